"""What a file is by its first bytes, and whether its end is there: for any bytes at all."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_media import sound_file, tone

from headway.data.media_containers import CLIPS, PICTURES, SOUNDS, container_of, is_cut_off

BEGINNINGS = {
    b"\xff\xd8\xff\xe0\0\x10JFIF\0": "jpeg", b"\x89PNG\r\n\x1a\n": "png", b"GIF89a": "gif", b"GIF87a": "gif", b"BM": "bmp",
    b"II*\0": "tiff", b"MM\0*": "tiff", b"P6\n2 2\n": "ppm", b"RIFF\0\0\0\0WEBPVP8 ": "webp", b"\0\0\0\x20ftypavif": "avif",
    b"\0\0\0\x20ftypisom": "mp4", b"\0\0\0\x08wide": "mp4", b"\x1aE\xdf\xa3": "matroska", b"RIFF\0\0\0\0AVI LIST": "avi",
    b"RIFF\0\0\0\0WAVEfmt ": "wav", b"RF64\xff\xff\xff\xffWAVE": "wav", b"fLaC": "flac", b"OggS": "ogg", b"ID3\3": "mp3",
    b"\xff\xfb\x90\x64": "mp3", b"\xff\xf3\x40\xc0": "mp3", b"RIFF\0\0\0\0ACON": None, b"%PDF-1.7": None, b"P7\n": None,
    b"\xff\xfew\0o\0r\0d\0": None, b"#EXTM3U\n": None, b"<svg": None, b"%!PS-Adobe": None, b"": None, b"\xff": None,
}  # fmt: skip


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_first_bytes_tell_the_container(beginning: bytes) -> None:
    assert container_of(beginning + bytes(32) * bool(beginning)) == BEGINNINGS[beginning]
    assert container_of(beginning) in (BEGINNINGS[beginning], None)


def test_each_container_is_of_one_kind() -> None:
    assert not PICTURES & CLIPS | PICTURES & SOUNDS | CLIPS & SOUNDS
    assert {found for found in BEGINNINGS.values() if found} == PICTURES | CLIPS | SOUNDS


@given(st.sampled_from(list(BEGINNINGS)), st.binary(max_size=200))
def test_any_bytes_are_answered(beginning: bytes, content: bytes) -> None:
    for container in PICTURES | CLIPS | SOUNDS:
        stream = io.BytesIO(beginning + content)
        stream.seek(3)
        assert is_cut_off(stream, container) in (True, False)
        assert stream.tell() == 0


@given(st.lists(st.tuples(st.sampled_from([b"ftyp", b"free", b"moov", b"mdat"]), st.binary(max_size=20)), min_size=1))
def test_boxes_end_where_they_say(boxes: list[tuple[bytes, bytes]]) -> None:
    content = b"".join(struct.pack(">I4s", 8 + len(data), name) + data for name, data in boxes)
    assert not is_cut_off(io.BytesIO(content), "mp4")
    assert is_cut_off(io.BytesIO(content[:-1]), "mp4")
    large = struct.pack(">I4sQ", 1, b"mdat", 1 << 40) + content
    assert is_cut_off(io.BytesIO(large), "mp4")
    to_the_end = struct.pack(">I4s", 0, b"mdat") + content
    assert not is_cut_off(io.BytesIO(to_the_end), "mp4")


@given(st.integers(0, 100), st.integers(0, 300), st.integers(1, 8))
def test_segments_of_every_length_of_size(header: int, content: int, size_bytes: int) -> None:
    size_bytes = max(size_bytes, 2)  # one byte holds up to 126
    size = ((1 << 7 * size_bytes) | content).to_bytes(size_bytes, "big")
    file = b"\x1aE\xdf\xa3" + (0x4000 | header).to_bytes(2, "big") + bytes(header) + b"\x18S\x80g" + size + bytes(content)
    assert not is_cut_off(io.BytesIO(file), "matroska")
    assert is_cut_off(io.BytesIO(file[:-1]), "matroska")
    not_told = ((1 << 7 * size_bytes + 1) - 1).to_bytes(size_bytes, "big")
    live = b"\x1aE\xdf\xa3" + (0x4000 | header).to_bytes(2, "big") + bytes(header) + b"\x18S\x80g" + not_told
    assert not is_cut_off(io.BytesIO(live), "matroska")


def test_empty_parts_without_end_are_not_followed_for_ever() -> None:
    assert not is_cut_off(io.BytesIO(struct.pack(">I4s", 8, b"free") * 1_100_000), "mp4")


def test_notes_before_the_samples_are_stepped_over() -> None:
    content = sound_file(tone(0.1))
    place = content.index(b"data")
    noted = content[:place] + struct.pack("<4sI", b"LIST", 5) + b"abcde\0" + content[place:]
    assert not is_cut_off(io.BytesIO(noted), "wav")
    assert is_cut_off(io.BytesIO(noted[:-1]), "wav")


def test_a_tag_before_the_first_frame_is_stepped_over() -> None:
    content = sound_file(tone(0.5), kind="MP3")
    tagged = b"ID3\4\0\0" + bytes([0, 0, 2, 1]) + bytes(257) + content
    assert not is_cut_off(io.BytesIO(tagged), "mp3")
    assert is_cut_off(io.BytesIO(tagged[:-1]), "mp3")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_the_last_page_must_say_so(subtype: str) -> None:
    content = sound_file(tone(5.0), kind="OGG", subtype=subtype)
    assert not is_cut_off(io.BytesIO(content), "ogg")
    without_last_page = content[: content.rindex(b"OggS")]
    assert without_last_page.count(b"OggS") >= 2
    assert is_cut_off(io.BytesIO(without_last_page), "ogg")
