"""A file of media as a row of bytes, so that the token cache keeps it as it keeps text: decoded once, read ever after.

A row is a header of five 32-bit numbers, the pixels or the samples, and the ids of a text that is read beside them. What is
changed by chance in training is changed after reading, anew in each epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headway.config_media import MediaConfig

_HEADER = 20  # bytes: T, H, W, C of pictures, or the number of samples and three zeros; the number of ids
_FULL_SCALE = 32768  # of 16 bits: files of so many come back as they were


class MediaRow(NamedTuple):
    """What a row holds: pixels [T, H, W, C] uint8, or a wave [N] float32; and ids."""

    media: NDArray[Any]
    ids: NDArray[np.uint32]


def pack(media: NDArray[Any], ids: Sequence[int] = ()) -> NDArray[np.uint8]:
    """The row of pixels uint8 [T, H, W, C], or of a wave [N] in [−1, 1], which is kept with 16 bits; and of ids."""
    if media.dtype == np.uint8:
        shape, content = media.shape, media
    else:
        shape, content = (len(media), 0, 0, 0), (media * _FULL_SCALE).round().clip(-_FULL_SCALE, _FULL_SCALE - 1).astype("<i2")
    header = np.array([*shape, len(ids)], dtype="<u4")
    return np.concatenate([np.ascontiguousarray(one).view(np.uint8).ravel() for one in (header, content, np.array(ids, "<u4"))])


def unpack(row: NDArray[np.integer]) -> MediaRow:
    """What `pack` was given."""
    shape = row[:_HEADER].copy().view("<u4")[:4].astype(int)
    size = 2 * shape[0] if shape[1] == 0 else int(shape.prod())
    content = row[_HEADER : _HEADER + size]
    ids = row[_HEADER + size :].copy().view("<u4")
    if shape[1] == 0:
        return MediaRow(content.copy().view("<i2").astype(np.float32) / np.float32(_FULL_SCALE), ids)
    return MediaRow(content.reshape(shape), ids)


def positions(row: NDArray[np.integer], settings: MediaConfig) -> int:
    """What the encoder reads of a row, without the end of its text."""
    *shape, _, ids = row[:_HEADER].copy().view("<u4").astype(int).tolist()
    return places_of(shape if shape[1] else shape[:1], settings) + ids


def places_of(shape: Sequence[int], settings: MediaConfig) -> int:
    """What the encoder reads of pixels [T, H, W, …] or of a wave [N]."""
    if len(shape) > 1:
        times, rows, columns = -(-shape[0] // settings.frames_per_patch), shape[1] // settings.patch, shape[2] // settings.patch
        return times * rows * columns + settings.class_token
    heard = -(-max(1, shape[0] // hop_samples(settings)) // settings.subsampling)
    return max(heard, settings.positions) if settings.one_length else heard


def hop_samples(settings: MediaConfig) -> int:
    return max(1, round(settings.sample_rate * settings.hop_ms / 1000))
