"""Files of pictures, clips and recordings, decoded safely: path or bytes → arrays of pixels or samples.

What a file is, its first bytes say and not its name; only formats on a short list ever meet a decoder. Sizes are checked before
anything is decoded. A file that cannot be read raises `UnreadableMedia`; nothing is filled in for what is missing. The functions
keep no state, so that threads may call them side by side.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from headway.config_media import MediaKind
from headway.data.clip_frames import chosen_frames
from headway.data.files import open_regular, resolve
from headway.data.media_containers import CLIPS, PICTURES, SOUNDS, container_of, is_cut_off
from headway.data.media_limits import (
    LONGEST_SECONDS,
    MOST_ANIMATED_PIXELS,
    SAMPLE_RATES,
    check_clip,
    check_pixels,
    too_many_pixels,
)
from headway.data.media_limits import UnreadableMedia as UnreadableMedia
from headway.errors import DataError, HeadwayError, UsageError

MediaSource = str | Path | bytes

QUIETEST = 1e-4  # the largest sample of silence: 80 dB below full scale, three steps of 16 bits
_LEAST_FRAME_PIXELS = 10_000  # to seek takes as long as to decode so many
_BLOCK_FRAMES = 1 << 20

ENDINGS: dict[str, MediaKind] = {
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".avif"), "image"),
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".gif"), "video"),
    **dict.fromkeys((".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"), "audio"),
}
_PILLOW_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF")


def media_kind_of(path: str | Path) -> MediaKind | None:
    """image, video or audio, as the ending of the name says; None for a name with any other ending."""
    return ENDINGS.get(Path(path).suffix.lower())


def read_picture(source: MediaSource, *, color: bool) -> np.ndarray:
    """A picture as uint8 [1, H, W, C]; C is 3 (red, green, blue), or 1 (grey) without ``color``.

    It stands as its EXIF orientation says; what is transparent is seen on white; of an animation it is the first frame.

    Raises:
        UnreadableMedia: the file is missing, cut off, no picture, or larger than `MOST_PIXELS`.
        UsageError: Pillow is missing.
    """
    with _blamed_on_file(), _opened(source, PICTURES, "picture") as (stream, _), _pillow_image(stream) as image:
        return _pixels(image, color)[None]


def read_clip(source: MediaSource, *, frames: int, color: bool) -> np.ndarray:
    """A clip as uint8 [T, H, W, C], T = ``frames``: what is seen in the middle of each of T equal parts of its time.

    MP4, QuickTime, Matroska, WebM and AVI, and animated pictures; a still picture is the same all the time. Only the chosen
    frames are held, and in a long clip only what leads to them from the key frame before is decoded.

    Raises:
        UnreadableMedia: the file is missing, cut off, neither clip nor picture, or takes too long or too much memory.
        UsageError: PyAV or Pillow is missing.
    """
    with _blamed_on_file(), _opened(source, PICTURES | CLIPS, "clip") as (stream, container):
        if container in PICTURES:
            with _pillow_image(stream) as image:
                return _animation(image, frames, color)
        return chosen_frames(stream, container, frames, color=color)


def read_sound(source: MediaSource, *, sample_rate: int, longest_seconds: float = LONGEST_SECONDS) -> np.ndarray:
    """A recording as float32 [N] in [-1, 1], ``sample_rate`` samples a second: WAV, FLAC, OGG (Vorbis, Opus), MP3.

    Channels are averaged. What is louder than full scale is made softer as a whole.

    Raises:
        UnreadableMedia: the file is missing, cut off, no sound, silent or longer than ``longest_seconds``.
        UsageError: soundfile or soxr is missing.
    """
    with _blamed_on_file(), _opened(source, SOUNDS, "sound") as (stream, _):
        wave = _samples(stream, sample_rate, longest_seconds)
    if not np.isfinite(wave).all():
        raise UnreadableMedia("holds samples that are no numbers")
    loudest = float(np.abs(wave).max(initial=0))
    if not len(wave) or float(np.abs(wave - wave.mean(dtype=np.float64)).max()) < QUIETEST * max(1.0, loudest):
        raise UnreadableMedia("is silent" if len(wave) else "holds no samples")
    return wave / np.float32(loudest) if loudest > 1 else wave


def sample_rate_of(source: MediaSource) -> int:
    """Samples a second of a recording as it stands. Raises as `read_sound`, but does not decode it."""
    with _opened(source, SOUNDS, "sound") as (stream, _), _blamed_on_file(), _sound_file(stream) as sound:
        return int(sound.samplerate)


@contextmanager
def _opened(source: MediaSource, wanted: frozenset[str], what: str) -> Iterator[tuple[BinaryIO, str]]:
    """The stream of a file, at its start, and its container, one of ``wanted``."""
    with _stream(source) as stream:
        head = stream.read(64)
        if not head:
            raise UnreadableMedia("is empty")
        if head.startswith(b"version https://git-lfs"):
            raise UnreadableMedia("is a git-LFS pointer and not the file itself")
        container = container_of(head)
        if container not in wanted:
            raise UnreadableMedia(f"is no {what} of a known format")
        if is_cut_off(stream, container):
            raise UnreadableMedia("is cut off")
        yield stream, container


def _stream(source: MediaSource) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    # Asked first, because open_regular looks for names that are near, which takes long where thousands are missing.
    if not os.path.exists(resolve(source)):
        raise UnreadableMedia("is not there")
    try:
        return io.BufferedReader(open_regular(source), 1 << 16)
    except DataError as error:
        raise UnreadableMedia(error.problem) from None


@contextmanager
def _blamed_on_file() -> Iterator[None]:
    """Whatever a decoder throws is the fault of the file: from damaged files come errors of every type."""
    try:
        yield
    except (UnreadableMedia, HeadwayError):
        raise
    except MemoryError:
        raise UnreadableMedia("needs more memory than there is") from None
    except Exception as error:
        raise UnreadableMedia("is cut off or damaged") from error


# Pictures -----------------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _pillow_formats() -> list[str]:
    from PIL import Image

    # Notes of cameras are often damaged, and Pillow tells of each; what it says of the pixels are errors.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    Image.init()
    return [name for name in _PILLOW_FORMATS if name in Image.OPEN]  # AVIF is not in every build


def _pillow_image(stream: BinaryIO) -> Any:
    """The picture, not decoded yet; Pillow looks at its header alone."""
    try:
        from PIL import Image
    except ImportError:
        raise UsageError("reading pictures needs the package pillow", remedy='pip install "headway[media]"') from None
    try:
        image = Image.open(stream, formats=_pillow_formats())
    except Image.DecompressionBombError as error:
        told = re.search(r"\((\d+) pixels\)", str(error))
        raise too_many_pixels(int(told[1]) if told else 2 * int(Image.MAX_IMAGE_PIXELS or 0)) from None
    check_pixels(*image.size)
    return image


def _pixels(image: Any, color: bool) -> np.ndarray:
    """The frame at which the image stands, decoded: uint8 [H, W, C]."""
    from PIL import Image

    image.load()
    check_pixels(*image.size)  # frames of an animation may make it larger
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    turn = turns.get(_orientation(image))
    if image.mode.startswith(("I", "F")):
        image = _as_8_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        seen = Image.new("RGBA", image.size, "white")
        seen.alpha_composite(image.convert("RGBA"))
        image = seen
    image = image.convert("RGB" if color else "L")
    if turn is not None:
        image = image.transpose(turn)
    return np.array(image).reshape(image.height, image.width, -1)


def _orientation(image: Any) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # damaged notes of a camera do no harm to the picture
        return 1


def _as_8_bits(image: Any) -> Any:
    """Shades of 16 bits, which Pillow holds as numbers of 16 or 32 bits, as shades of 8."""
    from PIL import Image

    shades = np.asarray(image)
    if image.mode == "F" or shades.min() < 0 or shades.max() > 0xFFFF:
        raise UnreadableMedia("has shades of 32 bits, which tell no black and white")
    return Image.fromarray((shades >> 8).astype(np.uint8))


def _animation(image: Any, frames: int, color: bool) -> np.ndarray:
    """uint8 [T, H, W, C] of an animation: its frames last as long as they say, or 100 ms."""
    # Other files of several pictures hold pages, or one picture in several sizes.
    if image.format not in ("GIF", "PNG", "WEBP", "AVIF") or not getattr(image, "is_animated", False):
        return np.repeat(_pixels(image, color)[None], frames, axis=0)
    check_clip(frames, 0, MOST_ANIMATED_PIXELS, image.width, image.height)
    ends = np.cumsum(list(_durations(image)))
    chosen = np.searchsorted(ends, ends[-1] * (np.arange(frames) + 0.5) / frames, side="right").tolist()
    seen: dict[int, np.ndarray] = {}
    for index in sorted(set(chosen)):
        image.seek(index)
        seen[index] = _pixels(image, color)
    return np.stack([seen[index] for index in chosen])


def _durations(image: Any) -> Iterator[float]:
    """How long each frame of an animation is seen, in ms; it must be decoded to know it."""
    # A GIF does not tell how many it has, and to count them would take long where someone hid a million in it.
    told = None if image.format == "GIF" else image.n_frames
    index, pixels = 0, max(image.width * image.height, _LEAST_FRAME_PIXELS)
    while told is None or index < told:
        check_clip(0, index, MOST_ANIMATED_PIXELS, pixels, 1)
        try:
            image.seek(index)
        except EOFError:
            break
        image.load()
        yield image.info.get("duration") or 100
        index += 1
    if told is not None and index < told:
        raise UnreadableMedia("is cut off")


# Sound --------------------------------------------------------------------------------------------------------------------------


def _sound_file(stream: BinaryIO) -> Any:
    """The recording, not decoded yet."""
    try:
        import soundfile
    except ImportError:
        raise UsageError("reading sound needs soundfile and soxr", remedy='pip install "headway[media]"') from None
    return soundfile.SoundFile(stream)


def _samples(stream: BinaryIO, sample_rate: int, longest_seconds: float) -> np.ndarray:
    """float32 [N]: decoded, mixed and resampled block by block, so that only the result is held as a whole."""
    try:
        import soxr
    except ImportError:
        raise UsageError("reading sound needs soundfile and soxr", remedy='pip install "headway[media]"') from None
    with _sound_file(stream) as sound:
        rate, told = sound.samplerate, sound.frames
        if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
            raise UnreadableMedia(f"tells a sample rate of {rate}, which is not between {SAMPLE_RATES[0]} and {SAMPLE_RATES[1]}")
        length_is_told = 0 < told < 1 << 62
        if length_is_told and told > longest_seconds * rate:
            raise UnreadableMedia(f"lasts {told / rate:.0f} seconds, more than {longest_seconds:g}")
        resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ") if rate != sample_rate else None
        blocks, read = [], 0
        last = False
        while not last:
            block = sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
            last = len(block) < _BLOCK_FRAMES
            read += len(block)
            if read > longest_seconds * rate:
                raise UnreadableMedia(f"lasts more than {longest_seconds:g} seconds")
            mono = np.ascontiguousarray(block[:, 0]) if block.shape[1] == 1 else block.mean(axis=1)
            blocks.append(resampler.resample_chunk(mono, last=last) if resampler else mono)
        if length_is_told and read < told:
            raise UnreadableMedia("is cut off")
    return np.concatenate(blocks)
