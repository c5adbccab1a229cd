"""Every file-system operation of a checkpoint, one function each, so that a test can fail any of them.

Callers say ``_fs.rename(a, b)`` and never import the names, because tests put a simulated disk in their place.
All raise OSError and nothing else.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["file", "directory", "other"]
_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Status(NamedTuple):
    kind: Kind  # links are "other": nothing of ours is a link
    size: int


def status(path: Path) -> Status | None:
    """What stands at `path`, or None."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    kind: Kind = "file" if stat.S_ISREG(found.st_mode) else "directory" if stat.S_ISDIR(found.st_mode) else "other"
    return Status(kind, found.st_size)


def list_directory(path: Path) -> list[str]:
    return sorted(os.listdir(path))


def make_directory(path: Path) -> None:
    path.mkdir()


def create(path: Path) -> int:
    """A descriptor to write a file that did not exist."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSE_ON_EXEC, 0o644)


def write(descriptor: int, data: memoryview) -> int:
    """Bytes taken, maybe fewer than given."""
    return os.write(descriptor, data)


def open_read(path: Path) -> int:
    return os.open(path, os.O_RDONLY | _CLOSE_ON_EXEC)


def read_into(descriptor: int, buffer: memoryview) -> int:
    """Bytes read into the front of `buffer`; 0 at the end."""
    return os.readv(descriptor, [buffer])


def fsync(descriptor: int) -> None:
    """Bring data to the medium; on macOS fsync alone stops at the drive's cache."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def close(descriptor: int) -> None:
    os.close(descriptor)


def fsync_directory(path: Path) -> None:
    """Bring the names in a directory to the medium."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _CLOSE_ON_EXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(old: Path, new: Path) -> None:
    os.replace(old, new)


def remove_file(path: Path) -> None:
    path.unlink()


def remove_directory(path: Path) -> None:
    path.rmdir()


def free_bytes(path: Path) -> int:
    """Bytes that this user may still write where `path` stands."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
