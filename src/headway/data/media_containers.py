"""What kind of file it is by its first bytes, and whether all of it is there: decoders fill what is cut off with grey or silence.

Only the outermost structure of a file is read here, never a pixel or a sample.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import BinaryIO

# Sizes that a program writes into a WAV file when it does not know the end, because it writes to a pipe.
_LENGTH_NOT_TOLD = 0x7FFF_F000
_MOST_PARTS = 1_000_000  # of a file that are looked at: there is one that is nothing but empty parts

_PICTURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    *((b"P%d" % number + blank, "ppm") for number in range(1, 7) for blank in (b"\n", b" ", b"\r", b"\t")),
)
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")

PICTURES = frozenset(kind for _, kind in _PICTURES) | {"webp", "avif"}
CLIPS = frozenset({"mp4", "matroska", "avi"})
SOUNDS = frozenset({"wav", "flac", "ogg", "mp3"})


def container_of(head: bytes) -> str | None:
    """The kind of file that begins with these (at least 16) bytes: a member of PICTURES, CLIPS or SOUNDS, or None."""
    for magic, kind in _PICTURES:
        if head.startswith(magic):
            return kind
    if head[:4] in (b"RIFF", b"RF64", b"RIFX"):
        return {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12])
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "avif"
    if head[4:8] in _MP4_BOXES:
        return "mp4"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    for magic, kind in ((b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3", "mp3")):
        if head.startswith(magic):
            return kind
    return "mp3" if len(head) > 2 and _is_mpeg_frame(head) else None


def _is_mpeg_frame(head: bytes) -> bool:
    """Eleven bits set, no reserved version, and layer 3 or 2 (ISO/IEC 11172-3, 2.4.1.3)."""
    return head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x18 != 0x08 and head[1] & 0x06 in (2, 4)


def is_cut_off(stream: BinaryIO, container: str) -> bool:
    """Whether the file ends before the end that it tells itself. False where it tells none. Leaves the stream at its start.

    JPEG, PNG, TIFF and FLAC are not looked into: their decoders notice.
    """
    check = _CHECKS.get(container)
    length = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    try:
        return check is not None and check(stream, length)
    except struct.error:  # the header itself ends early
        return True
    finally:
        stream.seek(0)


def _mp4_is_cut_off(stream: BinaryIO, length: int) -> bool:
    """Every outermost box must end within the file (ISO/IEC 14496-12, 4.2), and no fragment lack its content.

    Where a clip in fragments ends between two of them, nothing tells that more should come.
    """
    place, name = 0, b""
    for _ in range(_MOST_PARTS):
        if place >= length:
            break
        stream.seek(place)
        size, name = struct.unpack(">I4s", stream.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", stream.read(8))
        if size == 0:  # up to the end of the file
            return False
        if size < 8:
            raise struct.error
        place += size
    return place > length or name == b"moof"


def _matroska_is_cut_off(stream: BinaryIO, length: int) -> bool:
    """The file is a header and a segment, each with its size (RFC 8794); all bits set means that it is not told."""
    place = 0
    for _ in range(2):
        stream.seek(place)
        head = stream.read(16)
        name_bytes = 9 - head[0].bit_length() if head else 9
        field = head[name_bytes : name_bytes + 8]
        if name_bytes > 4 or not field or not field[0]:
            raise struct.error
        size_bytes = 9 - field[0].bit_length()
        if len(field) < size_bytes:
            raise struct.error
        size = int.from_bytes(field[:size_bytes], "big") & ((1 << 7 * size_bytes) - 1)
        if size == (1 << 7 * size_bytes) - 1:
            return False
        place += name_bytes + size_bytes + size
        if place > length:
            return True
    return False


def _riff_is_cut_off(stream: BinaryIO, length: int) -> bool:
    (size,) = struct.unpack("<4xI", stream.read(8))
    return size + 8 > length and size != 0xFFFF_FFFF


def _wav_is_cut_off(stream: BinaryIO, length: int) -> bool:
    """Only the samples must be there: many programs write a wrong size for the whole."""
    magic = stream.read(12)[:4]
    order = ">" if magic == b"RIFX" else "<"
    told = 0
    place = 12
    for _ in range(_MOST_PARTS):
        stream.seek(place)
        name, size = struct.unpack(f"{order}4sI", stream.read(8))
        if name == b"ds64":  # of RF64: the sizes that 32 bits cannot hold
            (told,) = struct.unpack("<8xQ", stream.read(16))
        if name == b"data":
            size = told if size == 0xFFFF_FFFF and magic == b"RF64" else size
            not_told = magic != b"RF64" and size >= _LENGTH_NOT_TOLD
            return place + 8 + size > length and not not_told
        place += 8 + size + size % 2
    return True


def _ogg_is_cut_off(stream: BinaryIO, length: int) -> bool:
    """The last page must be whole and say that it is the last (RFC 3533)."""
    stream.seek(max(0, length - 65_307 - 1))  # the longest page
    tail = stream.read()
    start = tail.rfind(b"OggS")
    page = tail[start:]
    if start < 0 or len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]) or not page[5] & 4


def _gif_is_cut_off(stream: BinaryIO, length: int) -> bool:
    """The last byte is a semicolon, with which no other block ends (GIF89a, 27); zeros after it do no harm."""
    stream.seek(max(0, length - 4096))
    return not stream.read().rstrip(b"\0").endswith(b";")


def _mp3_is_cut_off(stream: BinaryIO, length: int) -> bool:
    """Its first frame may tell the length of all frames, in a note that begins with Xing or Info."""
    start = 0
    head = stream.read(10)
    if head.startswith(b"ID3"):
        # Seven bits of each of four bytes, so that no player takes them for the beginning of a frame.
        start = 10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(head[6:10])))
        stream.seek(start)
        head = stream.read(10)
    if len(head) < 10:
        return True
    stream.seek(start)
    frame = stream.read(64)
    note = max(frame.find(b"Xing"), frame.find(b"Info"))
    if not _is_mpeg_frame(frame) or note < 0:
        return False
    (told,) = struct.unpack(">I", frame[note + 4 : note + 8])
    if told & 3 != 3:  # the number of frames, then that of bytes
        return False
    (size,) = struct.unpack(">I", frame[note + 12 : note + 16])
    return start + size > length


_CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mp4": _mp4_is_cut_off,
    "avif": _mp4_is_cut_off,
    "matroska": _matroska_is_cut_off,
    "avi": _riff_is_cut_off,
    "webp": _riff_is_cut_off,
    "wav": _wav_is_cut_off,
    "ogg": _ogg_is_cut_off,
    "gif": _gif_is_cut_off,
    "mp3": _mp3_is_cut_off,
}
