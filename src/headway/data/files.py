"""A user's data file, opened safely: path → blocks of bytes.

Plain, gzip, xz and zstd files, told apart by their first bytes and not by their names. What is no regular file, is damaged,
is a decompression bomb or changes while it is read raises `DataError`.
"""

from __future__ import annotations

import difflib
import errno
import gzip
import hashlib
import itertools
import lzma
import os
import shlex
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import NoReturn

from headway.errors import DataError, UsageError

BLOCK_BYTES = 1 << 20
BOMB_RATIO = 250  # text shrinks 3 to 20 times; the most that gzip can do is 1032
BOMB_FLOOR_BYTES = 64 << 20  # below this size a bomb does no harm
XZ_MEMORY_BYTES = 256 << 20  # `xz -9` needs 65 MiB

_MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_SUFFIXES = {".gz": "gzip", ".xz": "xz", ".zst": "zstd"}
_REFUSED_MAGIC = {
    b"BZh": ("is compressed with bzip2", "unpack it: bunzip2 FILE"),
    b"PK\x03\x04": ("is a zip archive", "unpack it: unzip FILE"),
    b"version https://git-lfs": ("is a git-LFS pointer and not the data itself", "fetch the data: git lfs pull"),
    b"%PDF-": ("is a PDF document", "extract its text first"),
}
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_REASONS = {
    errno.EACCES: ("may not be read", "check its permissions"),
    errno.EPERM: ("may not be read", "check its permissions"),
    errno.ELOOP: ("is a symbolic link that leads in a circle: not a regular file", "point the link at a file"),
    errno.ENXIO: ("is a socket or device: not a regular file", "save its content to a file first"),
    errno.ENAMETOOLONG: ("has a name that is too long for this file system", None),
}


class _DamagedError(Exception):
    """What a decompressor of an optional package has to complain about."""


def resolve(path: str | os.PathLike[str]) -> Path:
    """The path as it stands, or with ``~`` and ``$VARIABLE`` filled in where it does not exist as it stands."""
    plain = Path(path)
    if os.path.lexists(plain):
        return plain
    return Path(os.path.expandvars(os.path.expanduser(plain)))


def open_regular(path: str | os.PathLike[str]) -> FileIO:
    """Open a regular file for reading without buffer.

    Raises:
        DataError: it is missing (with the nearest names), not a regular file, or may not be read.
    """
    try:
        place = resolve(path)
        # A pipe without a writer would block for ever in a plain open().
        descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        _refuse_to_open(path, error)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = next((name for test, name in _KINDS if test(mode)), "something else")
        raise DataError(f"is {kind}, not a regular file", where=str(place), remedy="give the path of a file")
    return FileIO(descriptor)


def _refuse_to_open(path: str | os.PathLike[str], error: OSError | ValueError) -> NoReturn:
    shown = repr(str(path)) if isinstance(error, ValueError) else str(path)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        raise DataError("there is no such file", where=shown, remedy=_nearest(resolve(path))) from None
    if isinstance(error, ValueError):
        raise DataError("holds a character that no path may hold", where=shown, remedy="mend the path") from None
    problem, remedy = _REASONS.get(error.errno or 0, (f"cannot be opened: {error.strerror}", None))
    raise DataError(problem, where=shown, remedy=remedy) from None


def _nearest(path: Path) -> str:
    """The remedy for a path that does not exist: names that are near it."""
    folder = path.parent
    if path.is_symlink():
        return f"it is a symbolic link to {os.readlink(path)}, which does not exist"
    if not folder.is_dir():
        return f"the directory {folder} does not exist either (working directory: {Path.cwd()})"
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, 10_000)]
    except OSError:
        names = []
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(str(folder / name) for name in near) + "?"
    return f"working directory: {Path.cwd()}"


def read_blocks(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the unpacked content in blocks of about 1 MiB, in constant memory.

    Raises:
        DataError: see the head of this file.
        UsageError: the file is zstd and the package for it is missing.
    """
    with open_regular(path) as raw:
        name = str(resolve(path))
        before = os.fstat(raw.fileno())
        try:
            head = raw.read(64)
            raw.seek(0)
            unpack = _unpacker(head, name)
            for produced, block in _running_total(_gathered(unpack(raw))):
                if produced > BOMB_FLOOR_BYTES and produced > BOMB_RATIO * raw.tell():
                    raise DataError(
                        f"unpacks to more than {BOMB_RATIO} times its size: this is no text",
                        where=name,
                        remedy="unpack it by hand",
                    )
                yield block
        except EOFError:
            raise DataError("is truncated: the compressed data ends early", where=name, remedy="copy the file again") from None
        except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, _DamagedError) as error:
            raise DataError(f"is damaged: {error}", where=name, remedy="copy the file again") from None
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}", where=name) from None
        after = os.fstat(raw.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise DataError("changed while it was read", where=name, remedy="wait until it is written, then start again")


def fingerprint(paths: Iterable[str | os.PathLike[str]]) -> str:
    """SHA-256 over the content of the files, in order; names and dates do not count."""
    whole = hashlib.sha256()
    for path in paths:
        with open_regular(path) as raw:
            try:
                whole.update(hashlib.file_digest(raw, "sha256").digest())
            except OSError as error:
                raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    return whole.hexdigest()


def _running_total(blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    total = 0
    for block in blocks:
        total += len(block)
        yield total, block


def _gathered(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes without tiny blocks, which a file made of a million small frames would give."""
    held: list[bytes] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += len(block)
        if size >= BLOCK_BYTES // 4:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


@contextmanager
def written_aside(name: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to; what was written appears under its name only when the block has ended well.

    A link is followed, and what is no file, such as /dev/null, is written to as it is.
    """
    path = Path(os.path.realpath(name))
    if path.exists() and not path.is_file():
        yield path
        return
    aside = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def packed_as(head: bytes) -> str | None:
    """How a file with these first bytes is compressed."""
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def _unpacker(head: bytes, name: str) -> Callable[[FileIO], Iterator[bytes]]:
    for magic, (problem, remedy) in _REFUSED_MAGIC.items():
        if head.startswith(magic):
            raise DataError(problem, where=name, remedy=remedy.replace("FILE", shlex.quote(name)))
    found = packed_as(head)
    named = _SUFFIXES.get(Path(name).suffix.lower())
    if named and found is None:
        state = "is empty" if not head else "does not begin as such a file"
        raise DataError(f"has the name of a {named} file but {state}", where=name, remedy="copy it again, or mend its name")
    return {None: _plain, "gzip": _gzip, "xz": _xz, "zstd": _zstd}[found]


def _plain(raw: FileIO) -> Iterator[bytes]:
    while block := raw.read(BLOCK_BYTES):
        yield block


def _gzip(raw: FileIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=raw) as stream:
        while block := stream.read(BLOCK_BYTES):
            yield block


def _xz(raw: FileIO) -> Iterator[bytes]:
    packed = raw.read(BLOCK_BYTES)
    while packed:
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES)
        while not stream.eof:
            if stream.needs_input and not packed:
                raise EOFError
            if block := stream.decompress(packed, BLOCK_BYTES):
                yield block
            packed = raw.read(BLOCK_BYTES) if stream.needs_input else b""
        # A file may hold several streams, with zero bytes between them.
        packed = stream.unused_data.lstrip(b"\0")
        while not packed and (more := raw.read(BLOCK_BYTES)):
            packed = more.lstrip(b"\0")


def _zstd(raw: FileIO) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise UsageError("reading .zst files needs the package zstandard", remedy='pip install "headway[zstd]"') from None
    packed = raw.read(1024)
    try:
        while packed:
            frame = zstandard.ZstdDecompressor().decompressobj()
            while not frame.eof:
                if not packed:
                    raise EOFError
                # Small bites, because one call unpacks all that it is given: 4 bytes can stand for 128 KiB.
                if block := frame.decompress(packed):
                    yield block
                packed = raw.read(1024) if not frame.eof else b""
            packed = frame.unused_data or raw.read(1024)
    except zstandard.ZstdError as error:
        raise _DamagedError(error) from None
