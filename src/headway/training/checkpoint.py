"""Checkpoints that survive a kill, a full disk and a power failure at any instant, and the lock of a run.

    checkpoints/step-00000500/{model.safetensors, training.safetensors, state.json, manifest.json}    checkpoints/best.json

A checkpoint is written into a `.tmp-…` directory beside, every file is brought to the medium, the directory is renamed and
its parent brought to the medium; it is read back, and only then are older ones removed. A name `step-…` therefore means a
whole checkpoint, and `newest` still believes the digests in the manifest and not the name. The order of operations follows
Pillai et al. 2014 ("All File Systems Are Not Created Equal").
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import platform
import re
import secrets
import socket
import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from headway.errors import ModelError, ResourceError
from headway.training import _fs
from headway.training.tensor_file import (
    describe_stranger,
    parse_tensors,
    refuse_duplicates,
    refuse_non_finite,
    tensor_bytes,
    tensor_chunks,
)

FORMAT_VERSION = 1
MODEL, TRAINING, STATE, MANIFEST, BEST = "model.safetensors", "training.safetensors", "state.json", "manifest.json", "best.json"
MAX_JSON_BYTES = 64 << 20
SPARE_BYTES = 1 << 20  # directories, manifest, rounding to blocks

_NAME = re.compile(r"step-(\d{8,18})(?:\.(\d{1,6}))?")
_ASIDE = re.compile(r"\.tmp-.+-(\d+)-([0-9a-f]{8})-[0-9a-f]{8}")
log = logging.getLogger("headway")


@dataclass(frozen=True)
class Skipped:
    path: Path
    reason: str


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint, and the newer ones that were passed over, with the reasons."""

    path: Path
    step: int
    skipped: tuple[Skipped, ...] = ()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return load(self.path)


class Checkpoints:
    """The checkpoints of one run. One process may write; hold a `RunLock`.

    Args:
        directory: made at the first save.
        keep: verified checkpoints that always stay, besides the one marked best; at least 2.
    """

    def __init__(self, directory: Path | str, keep: int = 2) -> None:
        if keep < 2:
            raise ValueError(f"keep={keep}: one checkpoint alone cannot survive its own replacement")
        self.directory, self.keep = Path(directory), keep

    # --- writing ---

    def save(
        self, step: int, model_tensors: Mapping[str, Tensor], training_tensors: Mapping[str, Tensor], state: Mapping[str, Any]
    ) -> Path:
        """Write a checkpoint, verify it, remove those no longer needed, and return its directory.

        Args:
            step: updates made so far.
            model_tensors: the weights. training_tensors: optimiser, averages, random states.
            state: what JSON can hold; floats come back bit for bit.
        Raises:
            ResourceError: a value is not finite (nothing is written), or the disk refuses; what was there is intact.
        """
        assert not model_tensors.keys() & training_tensors.keys(), "loading puts them together again"
        refuse_non_finite({**model_tensors, **training_tensors})
        files = {STATE: [_json(state)]}
        needed = tensor_bytes(model_tensors) + tensor_bytes(training_tensors) + len(files[STATE][0]) + SPARE_BYTES
        try:
            self._prepare()
            self.require_space(needed)
            path = self._write(step, {MODEL: tensor_chunks(model_tensors), TRAINING: tensor_chunks(training_tensors), **files})
        except OSError as error:
            raise self._refused(step, error, needed) from error
        verify(path)
        self._prune(path)
        return path

    def require_space(self, needed: int) -> None:
        """Raise ResourceError unless `needed` bytes are free where the checkpoints go; call it before the first update too."""
        place = self.directory
        while _fs.status(place) is None and place != place.parent:
            place = place.parent
        free = _fs.free_bytes(place)
        if free < needed:
            raise ResourceError(
                f"a checkpoint needs {needed:,} bytes, but only {free:,} bytes are free",
                where=str(self.directory),
                remedy="free some space, or set run_directory to another disk; checkpoints already there are intact",
            )

    def mark_best(self, step: int) -> None:
        """Protect the (verified) checkpoint of `step` from removal until another one is marked."""
        found = [name for name in self._names() if _key(name)[0] == step]
        if not found:
            raise ModelError(f"there is no checkpoint of step {step} to mark as best", where=str(self.directory))
        verify(self.directory / found[0])
        aside = self._aside("best")
        try:
            _write_file(aside, [_json({"format_version": FORMAT_VERSION, "step": step, "directory": found[0]})])
            _fs.rename(aside, self.directory / BEST)
            _fs.fsync_directory(self.directory)
        except OSError as error:
            raise ResourceError(f"could not mark step {step} as best: {error.strerror}", where=str(self.directory)) from error

    def _prepare(self) -> None:
        """Make the directory durably, and remove what dead writers left in it."""
        missing = []
        place = self.directory
        while _fs.status(place) is None:
            missing.append(place)
            place = place.parent
        for path in reversed(missing):
            _fs.make_directory(path)
            _fs.fsync_directory(path.parent)
        for name in _fs.list_directory(self.directory):
            if (match := _ASIDE.fullmatch(name)) and not _lives(int(match[1]), match[2]):
                _remove(self.directory / name)

    def _write(self, step: int, files: Mapping[str, Iterable[memoryview | bytes]]) -> Path:
        aside, final = self._aside(f"step-{step:08d}"), self._free_name(step)
        _fs.make_directory(aside)
        try:
            records = {name: _write_file(aside / name, chunks) for name, chunks in files.items()}
            _write_file(aside / MANIFEST, [_manifest(step, records)])
            _fs.fsync_directory(aside)
            _fs.rename(aside, final)
        except OSError:
            _remove(aside, quietly=True)
            raise
        _fs.fsync_directory(self.directory)
        return final

    def _aside(self, what: str) -> Path:
        return self.directory / f".tmp-{what}-{os.getpid()}-{_host()}-{secrets.token_hex(4)}"

    def _free_name(self, step: int) -> Path:
        """`step-…`, or `step-….1` and so on where that step was saved before: what is whole is never replaced."""
        taken = [_key(name)[1] for name in self._names() if _key(name)[0] == step]
        return self.directory / (f"step-{step:08d}" + (f".{max(taken) + 1}" if taken else ""))

    def _refused(self, step: int, error: OSError, needed: int) -> ResourceError:
        free = "unknown"
        with contextlib.suppress(OSError):
            free = f"{_fs.free_bytes(self.directory):,}"
        return ResourceError(
            f"could not save step {step}: {error.strerror or error} (needed {needed:,} bytes, free {free})",
            where=str(error.filename or self.directory),
            remedy="free space or mend the rights, then resume; checkpoints already there are intact",
        )

    def _prune(self, saved: Path) -> None:
        """Remove what is older than the `keep` newest verified checkpoints. Trouble is told and leaves more than needed."""
        try:
            best = self._best_name()
            whole: list[str] = []
            old: list[str] = []
            for name in self._names():
                if len(whole) >= self.keep:
                    old.append(name)
                elif self._problem(name) is None:
                    whole.append(name)
            for name in old:
                if name not in (best, saved.name):
                    aside = self._aside(name)  # renamed first: half a removal must not look like a checkpoint
                    _fs.rename(self.directory / name, aside)
                    _remove(aside)
        except (OSError, ModelError) as error:
            log.warning("older checkpoints were not removed: %s", error)

    # --- reading ---

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint whose every byte is as it was written; None where none was ever finished.

        Raises:
            ModelError: there are checkpoints and all are damaged; lists each with its reason. Nothing is deleted.
            ResourceError: the directory cannot be read.
        """
        skipped = [Skipped(self.directory / name, "was interrupted while being written") for name in self._entries(_ASIDE)]
        names = self._names()
        for name in names:
            problem = self._problem(name)
            if problem is None:
                return Checkpoint(self.directory / name, _key(name)[0], tuple(skipped))
            skipped.append(Skipped(self.directory / name, problem))
        if not names:
            return None
        listed = "".join(f"\n  {one.path.name}: {one.reason}" for one in skipped)
        raise ModelError(
            f"none of the {len(names)} checkpoints can be used:{listed}",
            where=str(self.directory),
            remedy="restore one from a copy, or start again in a new run_directory; nothing was deleted",
        )

    def best(self) -> Checkpoint | None:
        """The checkpoint marked best, or None. Raises ModelError if it is damaged or gone."""
        name = self._best_name()
        if name is None:
            return None
        verify(self.directory / name)
        return Checkpoint(self.directory / name, _key(name)[0])

    def _entries(self, pattern: re.Pattern[str]) -> list[str]:
        if _fs.status(self.directory) is None:
            return []
        try:
            return [name for name in _fs.list_directory(self.directory) if pattern.fullmatch(name)]
        except OSError as error:
            raise ResourceError(f"cannot be read: {error.strerror}", where=str(self.directory)) from error

    def _names(self) -> list[str]:
        """Names of checkpoints, newest first."""
        return sorted(self._entries(_NAME), key=_key, reverse=True)

    def _problem(self, name: str) -> str | None:
        try:
            verify(self.directory / name)
        except ModelError as error:
            return f"{Path(error.where or '').name} {error.problem}"
        return None

    def _best_name(self) -> str | None:
        if _fs.status(self.directory / BEST) is None:
            return None
        name = _read_json(self.directory / BEST).get("directory")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ModelError("does not name a checkpoint", where=str(self.directory / BEST), remedy="remove the file")
        return name


def _key(name: str) -> tuple[int, int]:
    match = _NAME.fullmatch(name)
    assert match
    return int(match[1]), int(match[2] or 0)


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _lives(pid: int, host: str) -> bool:
    """Whether another process of this machine still writes. One of another machine is dead, for we hold the lock of the run."""
    if host != _host() or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _remove(path: Path, quietly: bool = False) -> None:
    try:
        found = _fs.status(path)
        if found and found.kind == "directory":
            for name in _fs.list_directory(path):
                _fs.remove_file(path / name)
            _fs.remove_directory(path)
        elif found:
            _fs.remove_file(path)
    except OSError as error:
        if not quietly:
            log.warning("could not remove %s: %s", path, error.strerror)


# --- files with digests ------------------------------------------------------------------------------------------


def _json(value: Mapping[str, Any]) -> bytes:
    """Canonical bytes of a JSON object. Raises ResourceError for NaN and infinity, TypeError for what JSON cannot hold."""
    try:
        return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except ValueError as error:
        raise ResourceError(f"not saved: the training state is not finite ({error})") from None


def _write_file(path: Path, chunks: Iterable[memoryview | bytes]) -> dict[str, Any]:
    """Write a new file, bring it to the medium and return its size and digest."""
    digest, size = hashlib.sha256(), 0
    descriptor = _fs.create(path)
    try:
        for chunk in chunks:
            rest = memoryview(chunk)
            digest.update(rest)
            size += len(rest)
            while rest:
                taken = _fs.write(descriptor, rest)
                if taken <= 0:
                    raise OSError(errno.EIO, "the disk takes no more bytes", str(path))
                rest = rest[taken:]
        _fs.fsync(descriptor)
    finally:
        _fs.close(descriptor)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _manifest(step: int, records: Mapping[str, Any]) -> bytes:
    content = {
        "format_version": FORMAT_VERSION,
        "step": step,
        "files": dict(records),
        "headway": metadata.version("headway"),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    return _json({**content, "digest": hashlib.sha256(_json(content)).hexdigest()})


def verify(path: Path) -> None:
    """Read every byte of a checkpoint and compare it with its manifest.

    Raises:
        ModelError: where and how it differs.
    """
    for name, record in _read_manifest(path).items():
        _read_file(path / name, record, keep=False)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors and the state of a checkpoint, verified as they are read; the tensors of a file share one buffer.

    Raises:
        ModelError: it is missing or differs from its manifest.
    """
    records = _read_manifest(path)
    tensors: dict[str, Tensor] = {}
    for name in (MODEL, TRAINING):
        tensors |= parse_tensors(_read_file(path / name, records[name]), str(path / name))
    return tensors, _read_json(path / STATE, records[STATE])


def _read_manifest(path: Path) -> dict[str, Any]:
    """The records of the files of a checkpoint, by name."""
    found = _fs.status(path)
    if found is None or found.kind != "directory":
        raise _damaged(path, "does not exist" if found is None else "is not a directory")
    where = path / MANIFEST
    manifest = _read_json(where)
    version = manifest.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ModelError(
            f"has format version {version}; this Headway knows {FORMAT_VERSION}", where=str(where), remedy="upgrade headway"
        )
    content = {key: value for key, value in manifest.items() if key != "digest"}
    if version != FORMAT_VERSION or manifest.get("digest") != hashlib.sha256(_json(content)).hexdigest():
        raise _damaged(where, "does not have its own digest")
    records = manifest["files"]
    step = _NAME.fullmatch(path.name)
    if set(records) != {MODEL, TRAINING, STATE} or (step and int(step[1]) != manifest["step"]):
        raise _damaged(where, f"is of another checkpoint (step {manifest['step']}, files {sorted(records)})")
    assert isinstance(records, dict)
    return records


def _read_json(path: Path, record: Mapping[str, Any] | None = None) -> dict[str, Any]:
    text = _read_file(path, record, limit=MAX_JSON_BYTES).numpy().tobytes()
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=refuse_duplicates)
    except (ValueError, RecursionError):
        raise _damaged(path, "is no JSON") from None
    if not isinstance(value, dict):
        raise _damaged(path, "is no JSON object")
    return value


def _read_file(path: Path, record: Mapping[str, Any] | None, keep: bool = True, limit: int | None = None) -> Tensor:
    """The bytes of a file (or, without `keep`, nothing), compared with its size and digest if a record is given."""
    try:
        found = _fs.status(path)
        if found is None or found.kind != "file":
            raise _damaged(path, "is missing" if found is None else "is not a regular file")
        if record and found.size != record["bytes"]:
            head = _read_bytes(path, min(found.size, 512))[0]
            strange = describe_stranger(head.numpy().tobytes())
            raise _damaged(path, f"is {strange}" if strange else f"has {found.size:,} bytes instead of {record['bytes']:,}")
        if limit is not None and found.size > limit:
            raise _damaged(path, f"has {found.size:,} bytes, more than the {limit:,} that are read")
        content, digest = _read_bytes(path, found.size, keep)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    if record and digest != record["sha256"]:
        strange = describe_stranger(content[:512].numpy().tobytes()) if keep else None
        raise _damaged(path, f"is {strange}" if strange else "is damaged: its SHA-256 differs from the manifest")
    return content


def _read_bytes(path: Path, size: int, keep: bool = True) -> tuple[Tensor, str]:
    """The first `size` bytes and their SHA-256; fewer where the file ends, or only the last part of them without `keep`."""
    content = torch.empty(size if keep else min(size, 1 << 20), dtype=torch.uint8)
    view, digest, done = content.numpy().data.cast("B"), hashlib.sha256(), 0
    descriptor = _fs.open_read(path)
    try:
        while done < size:
            place = done if keep else 0
            got = _fs.read_into(descriptor, view[place : place + min(size - done, 1 << 20)])
            if got <= 0:
                break
            digest.update(view[place : place + got])
            done += got
    finally:
        _fs.close(descriptor)
    return content[: done if keep else 0], digest.hexdigest()


def _damaged(path: Path, problem: str) -> ModelError:
    return ModelError(problem, where=str(path), remedy="restore it from a copy, or use another checkpoint")


# --- one writer --------------------------------------------------------------------------------------------------


class RunLock:
    """``with RunLock(run_directory):`` one writer per run. The kernel frees the lock when its holder dies, however it dies.

    Raises (on entering):
        ResourceError: another process has it; names it and its machine.
    """

    def __init__(self, directory: Path | str) -> None:
        self.path = Path(directory) / "run.lock"
        self._descriptor: int | None = None

    def acquire(self) -> RunLock:
        import fcntl

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise ResourceError(f"cannot be written: {error.strerror}", where=str(self.path), remedy="mend the rights") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _owner(descriptor) if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
            os.close(descriptor)
            if owner is None:
                raise ResourceError(f"cannot be locked: {error.strerror}", where=str(self.path)) from error
            raise ResourceError(
                f"this run is being written by {owner}",
                where=str(self.path),
                remedy="wait for it, stop it, or use another run_directory",
            ) from None
        content = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S %z")}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(content).encode(), 0)
        self._descriptor = descriptor
        _held.add(self)
        return self

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> RunLock:
        return self.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def _owner(descriptor: int) -> str:
    """Who holds a lock; its holder may be about to write its name."""
    for _ in range(20):
        try:
            owner = json.loads(os.pread(descriptor, 4096, 0))
            return f"process {int(owner['pid'])} on {str(owner['host'])[:80]!s} since {str(owner['since'])[:40]}"
        except (ValueError, KeyError, TypeError):
            time.sleep(0.05)
    return "another process"


_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _forget_locks() -> None:
    """In a forked child: let go of the copies, so that a surviving worker does not hold the lock of a dead parent."""
    for lock in list(_held):
        if lock._descriptor is not None:
            os.close(lock._descriptor)
            lock._descriptor = None


os.register_at_fork(after_in_child=_forget_locks)
