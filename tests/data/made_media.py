"""Small files of pictures, clips and sound, made on the spot."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
import soundfile
from PIL import Image


def smooth_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 [H, W, 3] without sharp edges, so that lossy formats keep it nearly as it is."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)).copy()


def picture_file(picture: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(stream, kind, **options)
    return stream.getvalue()


def animation_file(pictures: list[np.ndarray], kind: str, **options: Any) -> bytes:
    first, *others = map(Image.fromarray, pictures)
    return picture_file(first, kind, save_all=True, append_images=others, **options)


def grey_frames(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Frames that tell their number by how bright they are: 20, 20 + 200 / count, and so on."""
    return [np.full((height, width, 3), level_of(number, count), dtype=np.uint8) for number in range(count)]


def level_of(number: int, count: int) -> int:
    return 20 + 200 * number // count


def clip_file(
    pictures: Iterable[np.ndarray],
    container: str = "mp4",
    codec: str = "libx264",
    *,
    times: list[int] | None = None,
    options: dict[str, str] | None = None,
    coding: dict[str, str] | None = None,
) -> bytes:
    """A clip at 30 frames a second, or of frames shown at ``times`` in milliseconds."""
    with TemporaryDirectory() as folder:  # to put the index first FFmpeg must open its file a second time
        path = Path(folder) / "clip"
        _write_clip(path, pictures, container, codec, times, options or {}, coding or {})
        return path.read_bytes()


def _write_clip(
    path: Path,
    pictures: Iterable[np.ndarray],
    container: str,
    codec: str,
    times: list[int] | None,
    options: dict[str, str],
    coding: dict[str, str],
) -> None:
    with av.open(path, "w", format=container, options=options) as file:
        video: Any = None
        for number, picture in enumerate(pictures):
            if video is None:
                video = file.add_stream(codec, rate=30 if times is None else 1000, options=coding)
                video.height, video.width = picture.shape[:2]
                video.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            file.mux(video.encode(frame))
        file.mux(video.encode())


def tone(seconds: float, rate: int = 16000, hertz: float = 440.0, level: float = 0.5) -> np.ndarray:
    """float32 [N]."""
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def sound_file(wave: np.ndarray, rate: int = 16000, kind: str = "WAV", subtype: str | None = None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, wave, rate, format=kind, subtype=subtype)
    return stream.getvalue()
