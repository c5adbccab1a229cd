"""Flat arrays in a folder, written once and memory-mapped ever after: arrays + facts → folder → the same arrays + facts.

A folder appears whole or not at all: it is written aside, synced and renamed. `meta.json` holds the SHA-256 of every array
and of itself; opening verifies all of them, so that nothing on the disk is trusted blindly.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import mmap
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from headway.errors import ResourceError

MAX_META_BYTES = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DTYPES = ("uint8", "uint16", "uint32", "int64")
_BUILDING = ".building-"
_log = logging.getLogger(__name__)


class DamagedError(Exception):
    """The folder is not what was written. Never shown to a user: what it held is built anew."""


class MappedArray:
    """One memory-mapped array whose pages can be given back.

    Rows are read in a random order, and each touch makes 64 KiB resident: without giving back, a long epoch would in the
    end hold the whole file in memory.
    """

    def __init__(self, file: IO[bytes], dtype: str, length: int) -> None:
        size = np.dtype(dtype).itemsize * length
        self._map = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else None
        self.values: NDArray[Any] = np.frombuffer(self._map or b"", dtype=dtype, count=length)

    def give_back(self) -> None:
        """Let the resident pages go; they are read again from the file when they are touched."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


class ArrayWriter:
    """Writes arrays piece by piece beside `folder`; `publish` makes them appear there. To be used in a `with` statement.

    Args:
        folder: where the arrays shall stand. The caller holds the lock of it.
        dtypes: name of each array → uint8, uint16, uint32 or int64.
    """

    def __init__(self, folder: Path, dtypes: dict[str, str]) -> None:
        self.folder = folder
        self._aside = folder.parent / f"{_BUILDING}{folder.name}-{os.getpid()}"
        self._dtypes = dtypes
        self._lengths = dict.fromkeys(dtypes, 0)
        self._digests = {name: hashlib.sha256() for name in dtypes}
        self._files: dict[str, IO[bytes]] = {}
        self.written_bytes = 0

    def __enter__(self) -> Self:
        with _disk_errors_named(self.folder, lambda: 0):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            # Of a process that was killed; a folder whose name merely begins like this one's has a lock of its own.
            for left in self.folder.parent.glob(f"{_BUILDING}{self.folder.name}-[0-9]*"):
                shutil.rmtree(left, ignore_errors=True)
            self._aside.mkdir()
            self._files = {name: open(self._aside / name, "wb") for name in self._dtypes}  # noqa: SIM115
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):  # closing flushes, and the disk may still be full
                file.close()
        shutil.rmtree(self._aside, ignore_errors=True)

    def dtype(self, name: str) -> str:
        return self._dtypes[name]

    def append(self, name: str, values: NDArray[Any], needed_bytes: Callable[[], int] = lambda: 0) -> None:
        """Add `values` to the end of array `name`; `needed_bytes` estimates the whole size, for the message of a full disk."""
        piece = np.ascontiguousarray(values, dtype=self._dtypes[name]).data.cast("B")
        with _disk_errors_named(self.folder, needed_bytes):
            self._files[name].write(piece)
        self._digests[name].update(piece)
        self._lengths[name] += len(values)
        self.written_bytes += piece.nbytes

    def publish(self, facts: dict[str, Any]) -> None:
        """Sync all arrays and `facts` (JSON) and rename them into place."""
        arrays = {
            name: {"dtype": self._dtypes[name], "length": self._lengths[name], "sha256": self._digests[name].hexdigest()}
            for name in self._dtypes
        }
        meta = {"facts": facts, "arrays": arrays}
        with _disk_errors_named(self.folder, lambda: self.written_bytes):
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
                file.close()
            with open(self._aside / "meta.json", "wb") as described:
                described.write(json.dumps({**meta, "sha256": _digest(meta)}, indent=1).encode())
                described.flush()
                os.fsync(described.fileno())
            _sync_folder(self._aside)
            if self.folder.exists():
                shutil.rmtree(self.folder)
            os.rename(self._aside, self.folder)
            _sync_folder(self.folder.parent)


def open_arrays(folder: Path) -> tuple[dict[str, MappedArray], dict[str, Any]]:
    """The arrays and facts of a folder, every byte verified.

    Raises:
        FileNotFoundError: there is no such folder.
        DamagedError: anything in it is not as it was written.
    """
    if not os.path.lexists(folder):
        raise FileNotFoundError(folder)
    try:
        with open(folder / "meta.json", "rb") as file:
            meta = json.loads(file.read(MAX_META_BYTES))
        if meta.pop("sha256") != _digest(meta):
            raise DamagedError("meta.json has changed")
        arrays = {name: _open_array(folder / name, **described) for name, described in meta["arrays"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from None
    return arrays, meta["facts"]


def _open_array(path: Path, dtype: str, length: int, sha256: str) -> MappedArray:
    if path.name not in os.listdir(path.parent) or dtype not in _DTYPES:
        raise DamagedError(f"meta.json names {path.name!r} of {dtype!r}")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size != length * np.dtype(dtype).itemsize:
            raise DamagedError(f"{path.name} has {size:,} bytes where {length * np.dtype(dtype).itemsize:,} were written")
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise DamagedError(f"{path.name} has changed since it was written")
        return MappedArray(file, dtype, length)


def _digest(meta: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` (a file beside it); wait for another process that holds it, and say so.

    The system frees the lock when its owner dies, so there are no stale ones.
    """
    with _disk_errors_named(folder, lambda: 0):
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = open(folder.parent / f".{folder.name}.lock", "a+b", buffering=0)  # noqa: SIM115
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read(200).decode(errors="replace") or "unknown"
            _log.warning("%s: waiting for another process that is writing it (%s)", folder, owner)
            fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):  # the owner's name is a courtesy; a full disk must not cost the lock
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield


@contextlib.contextmanager
def _disk_errors_named(folder: Path, needed_bytes: Callable[[], int]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _explain(error, folder, needed_bytes())


def _explain(error: OSError, folder: Path, needed_bytes: int) -> NoReturn:
    if error.errno in FULL:
        existing = next(parent for parent in [folder, *folder.parents] if parent.exists())
        free = shutil.disk_usage(existing).free
        raise ResourceError(
            f"no space left for tokenised data: about {max(needed_bytes, 0):,} bytes are needed in all, {free:,} are free",
            where=str(folder),
            remedy="free space there, or set data.cache_directory to a larger disk",
        ) from None
    raise ResourceError(
        f"tokenised data cannot be written: {error.strerror or error}",
        where=str(folder),
        remedy="make the folder writable, or set data.cache_directory to another one",
    ) from None
