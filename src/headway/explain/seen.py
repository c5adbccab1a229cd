"""What was seen or heard, as an explanation shows it: pictures with a grid of patches, a spectrogram with stretches of time.

T steps of time   R rows   C columns of patches; of sound there is one picture, whose columns are stretches of time
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headway.config_media import MEDIA, PLACES, TEXT, MediaConfig, MediaKind
from headway.data.media import normalisation
from headway.data.tokenizer import Tokenizer
from headway.explain.sides import Side, read_side

# Black, violet, red, orange, a pale yellow: as bright as they are loud, for every eye.
_LOUDNESS = np.array([(6, 5, 20), (72, 22, 110), (170, 50, 100), (240, 120, 60), (252, 240, 180)], dtype=np.float64)
CLASS_NAME = "[class]"
_QUIETEST, _LOUDEST = 2, 99.5  # percentiles that the colours reach from and to


@dataclass(frozen=True)
class Seen:
    """What stands behind the first positions of a source, T · R · C of them, in this order.

    Attributes:
        pictures: uint8 [h, w, 3] for each step of time.
        grid: T, R, C.
        names: of each picture, empty for a single one.
        seconds: that a column of a spectrogram lasts; 0 of pictures.
    """

    kind: MediaKind
    pictures: list[NDArray[np.uint8]]
    grid: tuple[int, int, int]
    names: list[str]
    seconds: float

    def __len__(self) -> int:
        return self.grid[0] * self.grid[1] * self.grid[2]


def seen_in(positions_SF: NDArray[np.float32], settings: MediaConfig) -> Seen:
    """The pictures or the spectrogram that the encoder reads in these positions."""
    media = positions_SF[positions_SF[:, 0] == MEDIA]
    values = media[:, PLACES:]
    if settings.hears:
        spectrogram = values.reshape(-1, settings.mels).T[::-1]
        return Seen("audio", [_coloured(spectrogram)], (1, 1, len(media)), [""], seconds_of(settings))
    T, R, C = (int(media[:, axis].max()) + 1 for axis in (1, 2, 3))
    side, frames = settings.patch, settings.frames_per_patch
    pixels = values.reshape(T, R, C, frames, side, side, settings.channels)[:, :, :, (frames - 1) // 2]
    pictures = pixels.transpose(0, 1, 3, 2, 4, 5).reshape(T, R * side, C * side, settings.channels)
    scale, offset = normalisation(settings, settings.channels)
    shown = np.rint((pictures + offset) / scale).clip(0, 255).astype(np.uint8)
    names = [_frames(t * frames, min((t + 1) * frames, settings.frames)) for t in range(T)]
    return Seen(settings.kind, list(np.repeat(shown, 3 // settings.channels, axis=3)), (T, R, C), names if T > 1 else [""], 0.0)


def _frames(first: int, end: int) -> str:
    return f"frame {first + 1}" if end - first == 1 else f"frames {first + 1}–{end}"


def seconds_of(settings: MediaConfig) -> float:
    """How long a position of a recording lasts."""
    return settings.subsampling * settings.hop_ms / 1000


def media_side(positions_SF: NDArray[np.float32], settings: MediaConfig, tokenizer: Tokenizer) -> Side:
    """The side of these positions: a patch is called by its row and column from 1, a stretch by its begin, text by its pieces."""
    media = positions_SF[positions_SF[:, 0] == MEDIA]
    places = media[:, 1:PLACES].astype(int).tolist()
    if settings.hears:
        names = [f"{t * seconds_of(settings):.2f} s" for t, _, _ in places]
    else:
        time = settings.kind == "video"
        names = [f"t{t + 1} {y + 1},{x + 1}" if time else f"{y + 1},{x + 1}" for t, y, x in places]
    count = len(names)
    ids = positions_SF[positions_SF[:, 0] == TEXT, 1].astype(int).tolist()
    beside = read_side(tokenizer, ids[:-1]) if ids else Side([], [], [], [])
    if settings.class_token:
        beside = Side([0], [CLASS_NAME], [True], [0])
    return Side(
        list(range(len(positions_SF))),
        [*names, *beside.pieces],
        [*[False] * count, *beside.marks],
        [*range(count), *(count + number for number in beside.words)],
        np.ascontiguousarray(positions_SF),
    )


def without_sight(positions_SF: NDArray[np.float32], settings: MediaConfig) -> NDArray[np.float32]:
    """The same places with nothing to be told apart: the usual colour of the picture, the usual energy of each band, everywhere.

    Usual is the median over all. (Grey, the middle of what values can be, makes a bright background the largest cause of all.)
    """
    bare, media = positions_SF.copy(), positions_SF[:, 0] == MEDIA
    values = positions_SF[media, PLACES:].reshape(-1, settings.mels if settings.hears else settings.channels)
    bare[media, PLACES:] = np.tile(np.median(values, axis=0), settings.values // values.shape[1])
    return bare


def _coloured(spectrogram: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8 [bands, frames, 3]."""
    low, high = np.percentile(spectrogram, (_QUIETEST, _LOUDEST))
    share = ((spectrogram - low) / max(float(high - low), 1e-6)).clip(0, 1) * (len(_LOUDNESS) - 1)
    stops = np.arange(len(_LOUDNESS))
    return np.stack([np.interp(share, stops, _LOUDNESS[:, channel]) for channel in range(3)], axis=-1).round().astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> str:
    """A picture as a data: URL."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
