"""Text lines from a file: path → str, split on line feed alone, with every fault located.

U+2028, U+0085, VT, FF and the like are content. A carriage return at the end of a line and a byte-order mark at the start of
the file are removed. What is no UTF-8 raises `DataError` with ``file:line:column``, the column in bytes from 1.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterable, Iterator
from typing import NoReturn

from headway.data.files import packed_as, read_blocks, resolve
from headway.errors import DataError

MAX_LINE_BYTES = 1 << 20
MAX_WHOLE_BYTES = 1 << 29  # of a file that is held as a whole; what is decoded from it takes several times as much
STANDARD_INPUT = "standard input"  # the name of what is no file

_BOM = b"\xef\xbb\xbf"
_UTF_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_log = logging.getLogger(__name__)


def read_lines(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the lines of a plain, gzip, xz or zstd file without their ends.

    Raises:
        DataError: the file is missing, damaged, no UTF-8, holds a NUL character or a line over 1 MiB, or ends its lines
            with carriage returns alone.
    """
    for lines in read_line_blocks(path):
        yield from lines


def read_line_blocks(path: str | os.PathLike[str]) -> Iterator[list[str]]:
    """As `read_lines`, in lists of some thousand lines."""
    return split_lines(read_blocks(path), str(resolve(path)))


def read_whole(path: str | os.PathLike[str], too_large: str) -> str:
    """The text of a file whose lines may be of any length.

    Args:
        too_large: what to do with more than MAX_WHOLE_BYTES.

    Raises DataError as `read_lines`, but not for a long line.
    """
    return document_of(read_blocks(path), str(resolve(path)), too_large).replace("\r\n", "\n")


def document_of(blocks: Iterable[bytes], name: str, too_large: str) -> str:
    """The text of blocks of bytes as it stands, ends of lines included. `name` stands in the errors.

    Raises DataError as `read_whole`.
    """
    held, size = [], 0
    for block in _without_mark(blocks, name):
        held.append(block)
        if (size := size + len(block)) > MAX_WHOLE_BYTES:
            raise DataError(f"is larger than {MAX_WHOLE_BYTES:,} bytes and read as a whole", where=name, remedy=too_large)
    return _text(b"".join(held), name, 1)


def count_lines(path: str | os.PathLike[str]) -> int:
    """The number of lines, without decoding them. A last line without line feed counts."""
    lines, end = 0, b"\n"
    for block in read_blocks(path):
        lines += block.count(b"\n")
        end = (end + block)[-len(_BOM) - 1 :]
    nothing_else = not lines and end == b"\n" + _BOM
    return lines + (end[-1:] != b"\n" and not nothing_else)


def split_lines(blocks: Iterable[bytes], name: str) -> Iterator[list[str]]:
    """Turn blocks of bytes, cut anywhere, into lists of lines. `name` stands in the errors."""
    held, line = b"", 1
    for block in _without_mark(blocks, name):
        cut = block.rfind(b"\n") + 1
        if not cut:
            held += block
        else:
            whole = held + block[:cut]
            # Every line but the first lies within a block.
            if whole.find(b"\n") > MAX_LINE_BYTES or len(block) > MAX_LINE_BYTES:
                _check_lengths(whole, name, line)
            yield (lines := _decode(whole, name, line))
            line += len(lines)
            held = block[cut:]
        if len(held) > MAX_LINE_BYTES:
            _refuse_long(held, name, line)
    if held:
        if line == 1 and b"\r" in held[:-1]:
            _refuse_carriage_returns(name)
        yield _decode(held + b"\n", name, line)


def _without_mark(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The same blocks without a byte-order mark, however they are cut."""
    head, started = b"", False
    for block in blocks:
        if started:
            yield block
        elif len(head := head + block) >= 4 or head.endswith(b"\n"):  # who types a short line waits for its answer
            started = True
            yield _strip_mark(head, name)
    if head and not started:
        yield _strip_mark(head, name)


def _strip_mark(head: bytes, name: str) -> bytes:
    for mark, encoding in _UTF_MARKS.items():
        if head.startswith(mark):
            _refuse_encoding(name, encoding)
    if kind := packed_as(head):
        raise DataError(f"is packed with {kind}", where=name, remedy="unpack it: " + _command(f"{kind} -dc", name))
    if not head.startswith(_BOM):
        return head
    _log.warning("%s: removed the byte-order mark at its start", name)
    return head[len(_BOM) :]


def _decode(whole: bytes, name: str, first_line: int) -> list[str]:
    """Lines of a piece that ends with a line feed and whose first line has the number `first_line`."""
    text = _text(whole, name, first_line)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    lines.pop()
    return lines


def _text(whole: bytes, name: str, first_line: int) -> str:
    if (nul := whole.find(b"\0")) >= 0:
        # English in UTF-16 without its mark has a NUL at every other byte.
        if whole[:4096].count(b"\0") * 4 > len(whole[:4096]):
            _refuse_encoding(name, "UTF-16")
        remedy = "remove it: " + _command(r"tr -d '\0'", name)
        raise DataError("a NUL character", where=_place(whole, nul, name, first_line), remedy=remedy)
    try:
        return whole.decode("utf-8")
    except UnicodeDecodeError as error:
        problem, remedy = _explain_bytes(whole[error.start : error.start + 4], name)
        raise DataError(problem, where=_place(whole, error.start, name, first_line), remedy=remedy) from None


def _place(whole: bytes, at: int, name: str, first_line: int) -> str:
    return f"{name}:{first_line + whole.count(10, 0, at)}:{at - whole.rfind(10, 0, at)}"


def _explain_bytes(bad: bytes, name: str) -> tuple[str, str]:
    lead = bad[0]
    shown = f"byte 0x{lead:02X} is not UTF-8"
    if lead == 0xED and len(bad) > 1 and bad[1] >= 0xA0:
        return f"{shown}: half of a surrogate pair", "convert the file again from its source; iconv -f CESU-8 may help"
    overlong_below = {0xE0: 0xA0, 0xF0: 0x90}.get(lead, 0)
    if lead in (0xC0, 0xC1) or 0x80 <= (bad[1] if len(bad) > 1 else 0) < overlong_below:
        return f"{shown}: an overlong form of another character", "convert the file again from its source"
    letter = bytes([lead]).decode("cp1252", "replace")
    return f"{shown} (in Latin-1 it is {letter!r})", "if it is Latin-1: " + _command("iconv -f CP1252 -t UTF-8", name)


def _check_lengths(whole: bytes, name: str, first_line: int) -> None:
    for number, line in enumerate(whole.split(b"\n"), first_line):
        if len(line) > MAX_LINE_BYTES:
            _refuse_long(line, name, number)


def _refuse_long(line: bytes, name: str, number: int) -> NoReturn:
    if number == 1 and b"\r" in line:
        _refuse_carriage_returns(name)
    if line.count(b"\0") * 4 > len(line):
        raise DataError("holds NUL characters: this is no text in UTF-8", where=f"{name}:{number}", remedy="give a text file")
    raise DataError(
        f"the line is longer than {MAX_LINE_BYTES:,} bytes",
        where=f"{name}:{number}",
        remedy="break it into shorter lines, such as one for each sentence or paragraph",
    )


def _refuse_carriage_returns(name: str) -> NoReturn:
    remedy = "convert it: " + _command(r"tr '\r' '\n'", name)
    raise DataError("its lines end with carriage returns alone (old Macintosh)", where=name, remedy=remedy)


def _refuse_encoding(name: str, encoding: str) -> NoReturn:
    remedy = "convert it: " + _command(f"iconv -f {encoding} -t UTF-8", name)
    raise DataError(f"is {encoding}, not UTF-8", where=name, remedy=remedy)


def _command(text: str, name: str) -> str:
    """A command that mends a file, or what stands before Headway in a pipe."""
    return f"… | {text} | headway …" if name == STANDARD_INPUT else f"{text} < {shlex.quote(name)} > NEW_FILE"
