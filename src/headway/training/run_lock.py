"""The lock of a run: one process writes it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
import weakref
from pathlib import Path
from types import TracebackType

from headway.errors import ResourceError


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
            remedy = "wait for it, stop it, or use another run_directory"
            raise ResourceError(f"this run is being written by {owner}", where=str(self.path), remedy=remedy) from None
        if not _is_still(self.path, descriptor):  # the directory was removed meanwhile: what we hold guards nothing
            os.close(descriptor)
            return self.acquire()
        content = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S %z")}
        with contextlib.suppress(OSError):  # on a full disk the lock holds without a name
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


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _owner(descriptor: int) -> str:
    """Who holds a lock; its holder may be about to write its name."""
    for _ in range(20):
        try:
            owner = json.loads(os.pread(descriptor, 4096, 0))
            return f"process {int(owner['pid'])} on {str(owner['host'])[:80]} since {str(owner['since'])[:40]}"
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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
