"""Pictures and recordings from files: every kind as it is meant, every damage refused with its reason, nothing that hangs."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_media import animation_file, clip_file, grey_frames, picture_file, smooth_picture, sound_file, tone
from PIL import Image

from headway.data import media_files
from headway.data.media_files import UnreadableMedia, media_kind_of, read_clip, read_picture, read_sound
from headway.errors import UsageError

PICTURE = smooth_picture(40, 60)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def reason(read: object, *arguments: object, **options: object) -> str:
    with pytest.raises(UnreadableMedia) as caught:
        read(*arguments, **options)  # type: ignore[operator]
    return str(caught.value)


# Pictures


@pytest.mark.parametrize(
    ("kind", "options", "off_by"),
    [
        ("PNG", {}, 0), ("BMP", {}, 0), ("PPM", {}, 0), ("TIFF", {}, 0), ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0), ("WEBP", {"quality": 95}, 30), ("JPEG", {"quality": 95}, 30),
        ("JPEG", {"quality": 95, "progressive": True}, 30),
    ],
)  # fmt: skip
def test_every_format_shows_the_picture(kind: str, options: dict[str, object], off_by: int, tmp_path: Path) -> None:
    content = picture_file(PICTURE, kind, **options)
    seen = read_picture(content, color=True)
    assert (seen.shape, seen.dtype) == ((1, 40, 60, 3), np.uint8)
    assert np.abs(seen[0].astype(int) - PICTURE).max() <= off_by
    (tmp_path / "named.jpg").write_bytes(content)  # whatever its name says
    np.testing.assert_array_equal(read_picture(tmp_path / "named.jpg", color=True), seen)
    np.testing.assert_array_equal(read_picture(str(tmp_path / "named.jpg"), color=True), seen)
    grey = read_picture(content, color=False)
    assert grey.shape == (1, 40, 60, 1)
    assert np.abs(grey[0, :, :, 0] - PICTURE @ [0.299, 0.587, 0.114]).max() <= off_by + 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_thin_pictures(shape: tuple[int, int]) -> None:
    picture = smooth_picture(*shape)
    np.testing.assert_array_equal(read_picture(picture_file(picture, "PNG"), color=True)[0], picture)


def test_every_mode_of_colour() -> None:
    grey = PICTURE[:, :, 0]
    image = Image.fromarray(PICTURE)
    for made, expected, off_by in [
        (Image.fromarray(grey), np.repeat(grey[:, :, None], 3, 2), 0),
        (Image.fromarray(grey.astype(np.uint16) << 8), np.repeat(grey[:, :, None], 3, 2), 0),
        (Image.fromarray(grey > 128), np.repeat(255 * (grey > 128)[:, :, None], 3, 2), 0),
        (image.quantize(255), PICTURE, 40),
        (Image.merge("LA", [Image.fromarray(grey), Image.new("L", image.size, 255)]), np.repeat(grey[:, :, None], 3, 2), 0),
    ]:
        seen = read_picture(picture_file(made, "PNG"), color=True)[0]
        assert np.abs(seen.astype(int) - expected).max() <= off_by, made.mode
    cmyk = read_picture(picture_file(image.convert("CMYK"), "JPEG", quality=95), color=True)[0]
    assert np.abs(cmyk.astype(int) - PICTURE).max() <= 8
    assert read_picture(picture_file(image.convert("CMYK"), "TIFF"), color=False).shape == (1, 40, 60, 1)


def test_transparent_is_white() -> None:
    red = np.zeros((4, 4, 4), dtype=np.uint8)
    red[..., 0] = 255
    red[:2, :, 3] = 255
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        seen = read_picture(picture_file(red, kind, **options), color=True)[0]
        assert seen[0, 0].tolist() == [255, 0, 0]
        assert seen[3, 3].tolist() == [255, 255, 255]
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    for kind in ("GIF", "PNG"):
        seen = read_picture(picture_file(palette, kind, transparency=1), color=True)[0]
        assert seen[0].tolist() == [[255, 0, 0], [255, 255, 255]]
    assert read_picture(picture_file(Image.new("L", (1, 1), 7), "PNG", transparency=7), color=False).tolist() == [[[[255]]]]


def test_shades_of_32_bits_are_refused() -> None:
    assert reason(read_picture, picture_file(np.ones((2, 2), np.float32), "TIFF"), color=True).startswith("has shades of 32 bits")
    deep = picture_file(np.full((2, 2), 70000, np.int32), "TIFF")
    assert reason(read_picture, deep, color=True).startswith("has shades of 32 bits")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_it_stands_as_the_camera_was_held(orientation: int, kind: str) -> None:
    upright = np.zeros((20, 30, 3), dtype=np.uint8)
    upright[:10, :15] = (250, 10, 10)
    upright[:10, 15:] = (10, 250, 10)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1), 7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    seen = read_picture(picture_file(np.ascontiguousarray(stored), kind, exif=exif, **options), color=True)[0]
    assert seen.shape == upright.shape
    assert np.abs(seen.astype(int) - upright).mean() < 5


def test_damaged_notes_do_no_harm() -> None:
    content = picture_file(PICTURE, "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\0\0")
    np.testing.assert_array_equal(read_picture(content, color=True)[0], PICTURE)


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size, with a few bytes of content."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def test_bombs_are_refused_before_they_are_decoded() -> None:
    assert reason(read_picture, png_of(60000, 60000), color=True) == "has 3,600,000,000 pixels, more than 64,000,000"
    assert reason(read_picture, png_of(8001, 8000), color=True) == "has 64,008,000 pixels, more than 64,000,000"
    assert reason(read_clip, png_of(60000, 60000), frames=4, color=True) == "has 3,600,000,000 pixels, more than 64,000,000"
    assert reason(read_picture, png_of(100_000, 1), color=True) == "has a side of 100,000 pixels, more than 65,535"
    assert reason(read_picture, png_of(100, 100), color=True) == "is cut off or damaged"


def test_postscript_and_pages_of_the_web_meet_no_decoder() -> None:
    for content in (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"8BPS" * 9,
    ):
        assert reason(read_picture, content, color=True) == "is no picture of a known format"


# Whatever is no picture, clip or sound

READERS = [
    (lambda source: read_picture(source, color=True), "picture"),
    (lambda source: read_clip(source, frames=4, color=False), "clip"),
    (lambda source: read_sound(source, sample_rate=16000), "sound"),
]


@pytest.mark.parametrize(("read", "what"), READERS)
def test_what_cannot_be_read_says_why(read: object, what: str, tmp_path: Path) -> None:
    assert reason(read, tmp_path / "missing.png") == "is not there"
    assert reason(read, str(tmp_path / "missing" / "\0.png")) == "is not there"
    assert reason(read, tmp_path) == "is a directory, not a regular file"
    os.mkfifo(tmp_path / "pipe.png")
    assert reason(read, tmp_path / "pipe.png") == "is a pipe, not a regular file"
    assert reason(read, "/dev/zero") == "is a device, not a regular file"
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    assert reason(read, tmp_path / "circle.png") == "is not there"
    assert reason(read, b"") == "is empty"
    assert reason(read, b"version https://git-lfs.github.com/spec/v1\n") == "is a git-LFS pointer and not the file itself"
    for name in ("text.png", "text.wav", "text.mp4"):
        (tmp_path / name).write_text("These are words, and nothing to be seen or heard.\n")
        assert reason(read, tmp_path / name) == f"is no {what} of a known format"
    assert reason(read, "words".encode("utf-16")) == f"is no {what} of a known format"


def test_files_of_another_kind_are_refused() -> None:
    sound, picture, clip = sound_file(tone(0.1)), picture_file(PICTURE, "PNG"), clip_file(grey_frames(3))
    for content, what, read in [(sound, "picture", 0), (clip, "picture", 0), (sound, "clip", 1), (picture, "sound", 2)]:
        assert reason(READERS[read][0], content) == f"is no {what} of a known format"


WHOLE = {
    "jpeg": picture_file(PICTURE, "JPEG"),
    "progressive": picture_file(PICTURE, "JPEG", progressive=True),
    "png": picture_file(PICTURE, "PNG"),
    "gif": picture_file(PICTURE, "GIF"),
    "webp": picture_file(PICTURE, "WEBP"),
    "bmp": picture_file(PICTURE, "BMP"),
    "tiff": picture_file(PICTURE, "TIFF"),
    "animated gif": animation_file(grey_frames(5), "GIF", duration=50),
    "animated png": animation_file(grey_frames(5), "PNG", duration=50),
    "animated webp": animation_file(grey_frames(5), "WEBP", duration=50),
    "mp4": clip_file(grey_frames(10)),
    "mp4, index first": clip_file(grey_frames(10), options={"movflags": "faststart"}),
    "webm": clip_file(grey_frames(10), "webm", "libvpx-vp9"),
    "avi": clip_file(grey_frames(10), "avi", "mpeg4"),
    "wav": sound_file(tone(0.2)),
    "flac": sound_file(tone(0.2), kind="FLAC"),
    "vorbis": sound_file(tone(0.2), kind="OGG", subtype="VORBIS"),
    "opus": sound_file(tone(0.2), kind="OGG", subtype="OPUS"),
    "mp3": sound_file(tone(0.5), kind="MP3"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_is_cut_off_is_refused_or_read_right(name: str) -> None:
    content = WHOLE[name]
    kind = 2 if name in ("wav", "flac", "vorbis", "opus", "mp3") else 1
    read = READERS[kind][0]
    whole = read(content)
    refused = 0
    for cut in {*range(1, 24), *range(24, len(content), max(1, len(content) // 60)), *range(len(content) - 16, len(content))}:
        try:
            seen = read(content[:cut])
        except UnreadableMedia as error:
            assert "cut off" in str(error) or "known format" in str(error)  # noqa: PT017
            refused += 1
        else:
            np.testing.assert_array_equal(seen, whole)  # only a checksum and the end mark are missing
            assert cut >= len(content) - 16
    assert refused > 60


def test_a_clip_in_fragments_is_whole_between_two_of_them() -> None:
    content = clip_file(grey_frames(20), options={"movflags": "frag_keyframe+empty_moov"}, coding={"g": "10"})
    second = content.rindex(b"moof") - 4
    assert read_clip(content[:second], frames=2, color=False).mean() < read_clip(content, frames=2, color=False).mean() - 20
    assert reason(read_clip, content[: second - 1], frames=2, color=False) == "is cut off"
    with_header_alone = content[: content.rindex(b"mdat") - 4]
    assert reason(read_clip, with_header_alone, frames=2, color=False) == "is cut off"


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_files_end_in_a_reason(name: str) -> None:
    @settings(max_examples=15)
    @given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 255)), min_size=1, max_size=20))
    def try_it(changes: list[tuple[int, int]]) -> None:
        content = bytearray(WHOLE[name])
        for place, byte in changes:
            content[place % len(content)] = byte
        for read, _ in READERS:
            try:
                assert read(bytes(content)).size  # type: ignore[operator]
            except UnreadableMedia as error:
                assert str(error)  # noqa: PT017

    try_it()


def test_threads_may_read_side_by_side() -> None:
    jobs = [READERS[0][0]] * 3 + [READERS[1][0]] * 3 + [READERS[2][0]] * 3
    contents = [WHOLE[name] for name in ("jpeg", "png", "webp", "mp4", "webm", "animated gif", "wav", "opus", "mp3")]
    alone = [job(content) for job, content in zip(jobs, contents, strict=True)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda number: jobs[number % 9](contents[number % 9]), range(180)))
    for number, seen in enumerate(together):
        np.testing.assert_array_equal(seen, alone[number % 9])


@pytest.mark.parametrize(("package", "read"), [("PIL", 0), ("av", 1), ("soundfile", 2), ("soxr", 2)])
def test_a_missing_package_is_named(package: str, read: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=r'pip install "headway\[media\]"'):
        READERS[read][0]([WHOLE["png"], WHOLE["mp4"], WHOLE["wav"]][read])


def test_the_ending_tells_the_kind() -> None:
    names = {
        "a.JPG": "image",
        "b/c.webp": "image",
        "x.gif": "video",
        "x.mov": "video",
        "a.b.flac": "audio",
        "x.txt": None,
        "jpg": None,
    }
    assert {name: media_kind_of(name) for name in names} == names
    assert set(media_files.ENDINGS.values()) == {"image", "video", "audio"}


# Recordings


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"),
        ("WAV", "ULAW"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"),
        ("OGG", "OPUS"), ("MP3", None),
    ],
)  # fmt: skip
def test_every_format_sounds_the_tone(rate: int, kind: str, subtype: str | None) -> None:
    if (subtype, rate) == ("OPUS", 44100):
        pytest.skip("Opus knows no such rate")
    heard = read_sound(sound_file(tone(0.5, rate), rate, kind, subtype), sample_rate=16000)
    assert heard.dtype == np.float32
    assert abs(len(heard) - 8000) <= (1200 if kind == "MP3" else 2)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert abs(spectrum.argmax() * 16000 / len(heard) - 440) < 4
    assert np.abs(heard[2000:6000]).max() == pytest.approx(0.5, abs=0.05)


def test_16_bit_samples_are_exact() -> None:
    wave = (np.arange(-4000, 4000) / 32768).astype(np.float32)
    np.testing.assert_array_equal(read_sound(sound_file(wave, 16000), sample_rate=16000), wave)


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_are_averaged(channels: int) -> None:
    wave = tone(0.1)
    several = np.stack([wave * (number == 0) for number in range(channels)], axis=1)
    heard = read_sound(sound_file(several, subtype="FLOAT"), sample_rate=16000)
    np.testing.assert_allclose(heard, wave / channels, atol=1e-6)


def test_long_files_in_blocks_sound_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    content = sound_file(tone(1.0, 44100), 44100)
    whole = read_sound(content, sample_rate=16000)
    monkeypatch.setattr(media_files, "_BLOCK_FRAMES", 1000)
    np.testing.assert_allclose(read_sound(content, sample_rate=16000), whole, atol=1e-6)


def test_louder_than_full_scale_is_made_softer() -> None:
    heard = read_sound(sound_file(tone(0.1, level=3.0), subtype="FLOAT"), sample_rate=16000)
    np.testing.assert_allclose(heard, tone(0.1, level=1.0), atol=1e-2)
    assert np.abs(heard).max() == 1


@pytest.mark.parametrize(
    ("wave", "why"),
    [
        (np.zeros(1000), "is silent"), (np.full(1000, 0.3), "is silent"), (tone(0.1, level=5e-5), "is silent"),
        (np.array([0.5]), "is silent"),
        (np.array([]), "holds no samples"), (np.array([0.1, np.nan, 0.2]), "holds samples that are no numbers"),
        (np.array([0.1, np.inf]), "holds samples that are no numbers"),
    ],
)  # fmt: skip
def test_recordings_of_nothing(wave: np.ndarray, why: str) -> None:
    assert reason(read_sound, sound_file(wave.astype(np.float32), subtype="FLOAT"), sample_rate=16000) == why


def test_silence_of_8_bits_and_of_pictures() -> None:
    assert reason(read_sound, sound_file(np.zeros(100), subtype="PCM_U8"), sample_rate=16000) == "is silent"
    assert read_sound(sound_file(tone(0.1, level=1e-3)), sample_rate=16000).size == 1600


def test_what_lasts_too_long() -> None:
    content = sound_file(tone(1.0))
    assert reason(read_sound, content, sample_rate=16000, longest_seconds=0.5) == "lasts 1 seconds, more than 0.5"
    assert read_sound(content, sample_rate=16000, longest_seconds=1.0).size == 16000


def with_wav_length(content: bytes, length: int) -> bytes:
    place = content.index(b"data") + 4
    return content[:place] + struct.pack("<I", length) + content[place + 4 :]


def test_the_length_that_a_header_claims() -> None:
    content = sound_file(tone(0.2))
    assert reason(read_sound, with_wav_length(content, 2_000_000_000), sample_rate=16000) == "is cut off"
    for not_told in (0xFFFF_FFFF, 0x7FFF_FFFF):  # written to a pipe
        assert read_sound(with_wav_length(content, not_told), sample_rate=16000).size == 3200
    huge = bytearray(sound_file(tone(0.2), kind="RF64"))
    place = huge.index(b"ds64") + 8
    huge[place : place + 24] = struct.pack("<QQQ", 1 << 42, 1 << 42, 1 << 41)
    assert reason(read_sound, bytes(huge), sample_rate=16000) == "is cut off"


def test_fewer_samples_than_were_told(monkeypatch: pytest.MonkeyPatch) -> None:
    content = sound_file(tone(2.0), kind="MP3")
    monkeypatch.setattr(media_files, "is_cut_off", lambda stream, container: bool(stream.seek(0)))
    assert reason(read_sound, content[: len(content) // 2], sample_rate=16000) == "is cut off"


def test_rates_that_no_recorder_has() -> None:
    for rate in (5, 2_000_000):
        assert "which is not between 1000 and 768000" in reason(read_sound, sound_file(tone(0.1), rate), sample_rate=16000)


def test_a_clip_is_no_recording_though_it_has_sound() -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as file:
        sound = file.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(tone(0.064)[None], format="fltp", layout="mono")
        frame.rate = 16000
        file.mux(sound.encode(frame))
        file.mux(sound.encode())
    assert reason(read_clip, stream.getvalue(), frames=2, color=True) == "holds no moving picture"
    assert reason(read_sound, stream.getvalue(), sample_rate=16000) == "is no sound of a known format"
