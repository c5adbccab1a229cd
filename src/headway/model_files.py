"""The files of a model directory: written whole, read with suspicion, put in place in one step.

Every operation on the disk goes through `training/_fs.py`, so that a test can fail each of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import re
import secrets
import socket
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.errors import ModelError, ResourceError, UsageError
from headway.training import _fs
from headway.training.tensor_file import describe_stranger

SEED_RUN = re.compile(r"seed([0-9]{1,9})")  # the directory of one of several seeds
EXPORT = "export.json"  # of a directory that was written for another engine
RESTORE = "restore the whole directory from a copy, or save the model again"


def damaged(path: Path, problem: str) -> ModelError:
    return ModelError(problem, where=str(path), remedy=RESTORE)


def shown(path: str | os.PathLike[str]) -> str:
    """A name as it is put into a message: one line, bounded."""
    text = os.fspath(path)
    return repr(text)[1:-1] if len(text) <= 200 else f"{text[:100]!r}… ({len(text)} characters)"


def refuse_existing(out: Path) -> None:
    """Raises UsageError where something stands in the place of a directory that is to be written."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("is there already", where=str(out), remedy="name a new directory")


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether a directory was written for another engine (interop/exported.py)."""
    return (Path(path) / EXPORT).is_file()


# ---- one file ------------------------------------------------------------------------------------------------------


def bring_to_medium(path: Path) -> dict[str, Any]:
    """A file that somebody else wrote, brought to the medium; its size and digest."""
    size, digest = _digest(path)
    descriptor = _fs.open_read(path)
    try:
        _fs.fsync(descriptor)
    finally:
        _fs.close(descriptor)
    return {"bytes": size, "sha256": digest}


def verify_file(path: Path, record: Mapping[str, Any]) -> None:
    """Compares a regular file with its record, a piece at a time. Raises ModelError."""
    _refuse_size(path, _size(path), record)
    try:
        digest = _digest(path)[1]
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path), remedy="mend its permissions") from None
    _refuse_digest(path, digest, record)


def read_file(path: Path, limit: int, record: Mapping[str, Any] | None = None) -> Tensor:
    """The bytes of a regular file (uint8), compared with its record; its kind and size are looked at before it is read.

    Raises:
        ModelError: it is missing, no regular file, longer than `limit`, or not what the record says.
    """
    size = _size(path)
    if record is not None:
        _refuse_size(path, size, record)
    if size > limit:
        raise damaged(path, f"has {size:,} bytes, more than the {limit:,} that it can have")
    content = _read_bytes(path, size)
    if record is not None:
        _refuse_digest(path, hashlib.sha256(_view(content)).hexdigest(), record)
    return content


def _refuse_size(path: Path, size: int, record: Mapping[str, Any]) -> None:
    if size != record["bytes"]:
        strange = describe_stranger(read_head(path))
        raise damaged(path, f"is {strange}" if strange else f"has {size:,} bytes instead of {record['bytes']:,}")


def _refuse_digest(path: Path, digest: str, record: Mapping[str, Any]) -> None:
    if digest != record["sha256"]:
        strange = describe_stranger(read_head(path))
        hashes = f"its SHA-256 is {digest[:16]}…, the manifest says {record['sha256'][:16]}…"
        raise damaged(path, f"is {strange}" if strange else f"is damaged or was exchanged: {hashes}")


def read_head(path: Path) -> bytes:
    """The first 512 bytes of a regular file. Raises ModelError."""
    return _read_bytes(path, min(_size(path), 512)).numpy().tobytes()


def _size(path: Path) -> int:
    try:
        found = _fs.status(path)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path), remedy="mend its permissions") from None
    if found is None or found.kind != "file":
        raise damaged(path, "is missing" if found is None else "is not a regular file (links are not followed)")
    return found.size


def _read_bytes(path: Path, size: int) -> Tensor:
    try:
        return _bytes_of(path, size)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path), remedy="mend its permissions") from None


def _view(content: Tensor) -> memoryview:
    buffer: Any = content.numpy()
    return memoryview(buffer)


def _digest(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file of any size."""
    buffer, size, found = memoryview(bytearray(1 << 20)), 0, hashlib.sha256()
    descriptor = _fs.open_read(path)
    try:
        while (got := _fs.read_into(descriptor, buffer)) > 0:
            found.update(buffer[:got])
            size += got
    finally:
        _fs.close(descriptor)
    return size, found.hexdigest()


def _bytes_of(path: Path, size: int) -> Tensor:
    content = torch.empty(size, dtype=torch.uint8)
    view, done = _view(content), 0
    descriptor = _fs.open_read(path)
    try:
        while done < size and (got := _fs.read_into(descriptor, view[done:])) > 0:
            done += got
    finally:
        _fs.close(descriptor)
    return content[:done]


# ---- one directory -------------------------------------------------------------------------------------------------


def write_directory(
    directory: Path, write: Callable[[Path], None], *, names: Collection[str], proof: str, what: str, needed: int
) -> Path:
    """A directory of files, written aside by `write` and put in place, or in the place of an older one, in one step.

    Args:
        directory: made with its parents; what stands there already must be of this kind or empty.
        names: of the files that it may have; `proof` is one that a whole one has.
        what: it is called in messages. needed: bytes.

    Raises:
        ModelError: something else stands there. ResourceError: the disk refuses.
    """
    directory = Path(os.path.abspath(directory))
    aside = name_aside(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        restore(directory, proof)
        _refuse_strangers(directory, proof, what)
        clean(directory, names)
        try:
            _fs.make_directory(aside)
            write(aside)
            _fs.fsync_directory(aside)
        except BaseException:  # also one that was interrupted leaves nothing behind
            remove(aside, names)
            raise
        put_in_place(aside, directory, names)
    except OSError as error:
        raise _disk_refuses(error, directory, what, needed) from error
    return directory


def _refuse_strangers(directory: Path, proof: str, what: str) -> None:
    found = _fs.status(directory)
    if found is None:
        return
    if found.kind != "directory":
        raise ModelError("is not a directory", where=str(directory), remedy=f"choose another name for the {what}")
    if _fs.list_directory(directory) and _fs.status(directory / proof) is None:
        raise ModelError(f"holds something that is not a {what}", where=str(directory), remedy="choose a new or empty directory")


def _disk_refuses(error: OSError, directory: Path, what: str, needed: int) -> ResourceError:
    free = "unknown"
    with contextlib.suppress(OSError):
        free = f"{_fs.free_bytes(directory.parent):,}"
    return ResourceError(
        f"the {what} could not be saved: {error.strerror or error} (needs about {needed:,} bytes, free {free})",
        where=str(error.filename or directory),
        remedy=f"free space or mend the rights; if a {what} was there, there still is a whole one",
    )


def name_aside(directory: Path) -> Path:
    """A new name beside `directory` that tells who writes there."""
    return directory.parent / f".{directory.name}.tmp-{this_host()}-{os.getpid()}-{secrets.token_hex(4)}"


def this_host() -> str:
    """A name of this machine that goes into names of files."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def put_in_place(aside: Path, directory: Path, names: Collection[str]) -> None:
    """Renames `aside` to `directory`; on Linux the two change places in one operation, so that readers never find a gap.

    Of what stood there before, the files `names` go; what somebody put beside them stays.
    """
    old = None
    if _fs.status(directory) is None:
        _fs.rename(aside, directory)
    elif _exchange(aside, directory):
        old = aside
    else:
        old = directory.parent / f".{directory.name}.old-{secrets.token_hex(4)}"
        _fs.rename(directory, old)
        try:
            _fs.rename(aside, directory)  # killed before this, `restore` brings the old one back
        except OSError:
            _fs.rename(old, directory)
            raise
    _fs.fsync_directory(directory.parent)
    if old is not None:
        for name in _fs.list_directory(old):
            if name not in names and _fs.status(directory / name) is None:
                _fs.rename(old / name, directory / name)
        remove(old, names)


def _exchange(one: Path, other: Path) -> bool:
    """Two directories change places at once, where the system can (Linux: renameat2 with RENAME_EXCHANGE)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    here, exchange = -100, 2
    return rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def restore(directory: Path, proof: str) -> None:
    """Brings back a directory whose replacement was cut off between two renames; `proof` is a file that a whole one has."""
    if _fs.status(directory) is None and _fs.status(directory.parent) is not None:
        for name in _fs.list_directory(directory.parent):
            if name.startswith(f".{directory.name}.old-") and _fs.status(directory.parent / name / proof) is not None:
                _fs.rename(directory.parent / name, directory)
                return


def clean(directory: Path, names: Collection[str]) -> None:
    """Removes what writers that died left beside `directory`; one that lives, or is of another machine, keeps its own."""
    for name in _fs.list_directory(directory.parent):
        left = name.removeprefix(f".{directory.name}.").split("-")
        dead = left[0] == "tmp" and len(left) == 4 and left[1] == this_host() and left[2].isdigit() and not lives(int(left[2]))
        if name.startswith(f".{directory.name}.") and (dead or left[0] == "old"):
            remove(directory.parent / name, names)


def lives(pid: int) -> bool:
    """Whether another process of this machine has the number."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def remove(directory: Path, names: Collection[str]) -> None:
    """Removes the files `names` and the directory, if nothing else is in it; what cannot be removed does no harm."""
    for folder in {name.partition("/")[0] for name in names if "/" in name}:
        remove(directory / folder, [name.partition("/")[2] for name in names if name.startswith(f"{folder}/")])
    try:
        for name in _fs.list_directory(directory):
            if name in names:
                _fs.remove_file(directory / name)
        _fs.remove_directory(directory)
    except OSError:
        return
