"""Rows of media as a padded batch: chance changes what is seen and heard, and it becomes the positions that the encoder reads.

F numbers of a position: what it is and where (`PLACES`), then its values: pixels in [−1, 1], or log-mel energies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.config_media import TEXT, MediaConfig
from headway.data import media, sound, whisper_sound
from headway.data.batches import Batch, Rows
from headway.data.media_rows import MediaRow, unpack
from headway.data.tokenizer import EOS_ID


def collate_media(
    rows: Rows,
    indices: NDArray[np.integer],
    targets: tuple[NDArray[np.int64], NDArray[np.int64]],
    settings: MediaConfig,
    with_text: bool,
    *,
    seed: int,
    epoch: int | None,
) -> Batch:
    """Some of the rows as one padded batch whose `source_ids` are float32 [B, S, F].

    What is seen and heard is a pure function of the row, and where `epoch` is a number of (seed, epoch, its index) too.

    Args:
        targets: what is read of the answers, and what is to be said: `target_in` and `target_out` of the batch.
    """
    import torch

    drawn = None if epoch is None else [(seed, epoch, row) for row in map(int, indices)]
    read = positions_of([unpack(rows.source(row)) for row in map(int, indices)], settings, with_text, drawn)
    source_BSF, mask_BS = padded_positions(read, settings)
    arrays = (source_BSF, mask_BS, *targets, np.asarray(indices, dtype=np.int64).copy())
    return Batch(*(torch.from_numpy(array) for array in arrays))


def positions_of(
    rows: Sequence[MediaRow], settings: MediaConfig, with_text: bool, keys: Sequence[tuple[int, int, int]] | None = None
) -> list[NDArray[np.float32]]:
    """What the encoder reads of each row, [S, F]; `keys` seed what is changed by chance in each, None changes nothing."""
    chances = [None] * len(rows) if keys is None else [_chance(key) for key in keys]
    found = (_heard if settings.hears else _seen)([row.media for row in rows], settings, chances)
    if not with_text:
        return found
    texts = (_text_positions([*row.ids.tolist(), EOS_ID], settings) for row in rows)
    return [np.concatenate(both) for both in zip(found, texts, strict=True)]


def _chance(key: tuple[int, int, int]) -> np.random.Generator:
    """Of seed, epoch and row. Philox takes them as they are; to mix them first takes as long as to hear a recording."""
    seed, epoch, row = key
    return np.random.Generator(np.random.Philox(key=np.array([seed << 32 | epoch, row], dtype=np.uint64)))


def _seen(
    pictures: Sequence[NDArray[Any]], settings: MediaConfig, chances: Sequence[np.random.Generator | None]
) -> list[NDArray[np.float32]]:
    seen = []
    for pixels, chance in zip(pictures, chances, strict=True):
        changed = pixels if chance is None else media.augment_pictures(pixels, chance, settings)
        seen.append(media.cut_into_patches(changed, settings))
    return seen


def _heard(
    waves: Sequence[NDArray[Any]], settings: MediaConfig, chances: Sequence[np.random.Generator | None]
) -> list[NDArray[np.float32]]:
    speeds = None
    if settings.speed:
        speeds = [1.0 if chance is None else float(chance.uniform(1 - settings.speed, 1 + settings.speed)) for chance in chances]
    said = [
        wave if chance is None else _spoken_otherwise(wave, settings, chance) for wave, chance in zip(waves, chances, strict=True)
    ]
    heard = []
    for spectrum, chance in zip(_spectra(said, settings, speeds), chances, strict=True):
        changed = spectrum if chance is None else sound.spec_augment(spectrum, chance, settings)
        heard.append(sound.stack_frames(changed, subsampling=settings.subsampling))
    return heard


def _spectra(waves: Sequence[NDArray[Any]], settings: MediaConfig, speeds: Sequence[float] | None) -> list[NDArray[np.float32]]:
    if settings.front_end == "whisper":
        return whisper_sound.log_mel(waves, settings)
    return sound.log_mel(
        waves,
        sample_rate=settings.sample_rate,
        mels=settings.mels,
        window_ms=settings.window_ms,
        hop_ms=settings.hop_ms,
        speeds=speeds,
    )


def _spoken_otherwise(wave: NDArray[Any], settings: MediaConfig, chance: np.random.Generator) -> NDArray[np.float32]:
    """Earlier or later, with noise."""
    if settings.shift_ms:
        wave = sound.shift(wave, round(float(chance.uniform(-1, 1)) * settings.shift_ms * settings.sample_rate / 1000))
    return sound.add_noise(wave, chance, float(chance.uniform(0, settings.noise))) if settings.noise else wave


def _text_positions(ids: Sequence[int], settings: MediaConfig) -> NDArray[np.float32]:
    """Ids as positions that the encoder reads beside those of media, [len(ids), F]."""
    found = np.zeros((len(ids), settings.features), dtype=np.float32)
    found[:, 0], found[:, 1], found[:, 2] = TEXT, ids, np.arange(len(ids))
    return found


def padded_positions(
    read: Sequence[NDArray[np.float32]], settings: MediaConfig, step: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """[B, S, F], S a multiple of `step`, and the mask [B, S] of what is not padding."""
    lengths = np.array([len(one) for one in read], dtype=np.int64)
    longest = -(-int(lengths.max(initial=1)) // step) * step
    source = np.zeros((len(read), longest, settings.features), dtype=np.float32)
    for place, one in zip(source, read, strict=True):
        place[: len(one)] = one
    return source, np.arange(source.shape[1]) < lengths[:, None]
