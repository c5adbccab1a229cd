"""Media as rows of bytes, and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from headway.config import MediaConfig
from headway.data.media_batches import positions_of
from headway.data.media_rows import pack, positions, unpack

IDS = st.lists(st.integers(0, (1 << 32) - 1), max_size=5)
SHAPES = st.tuples(*[st.integers(1, 4)] * 3, st.sampled_from((1, 3)))


@given(SHAPES.flatmap(lambda shape: arrays(np.uint8, shape)), IDS)
def test_pixels_and_ids_come_back(pixels: np.ndarray, ids: list[int]) -> None:
    row = pack(pixels, ids)
    assert row.dtype == np.uint8
    found = unpack(row)
    assert np.array_equal(found.media, pixels)
    assert found.ids.tolist() == ids


@given(st.integers(0, 50), IDS)
def test_a_wave_comes_back_with_16_bits(samples: int, ids: list[int]) -> None:
    wave = np.random.default_rng(samples).uniform(-1, 1, samples).astype(np.float32)
    found = unpack(pack(wave, ids))
    assert found.media.dtype == np.float32
    assert np.abs(found.media - wave).max(initial=0) <= 1 / 32768 + 1e-7
    assert found.ids.tolist() == ids


def test_what_is_louder_than_full_scale_is_cut_off_and_does_not_turn_over() -> None:
    assert unpack(pack(np.array([2.0, -2.0], dtype=np.float32))).media.tolist() == [32767 / 32768, -1.0]


def test_positions_are_told_without_reading_all() -> None:
    pictures = MediaConfig(kind="video", patch=4, frames=3, frames_per_patch=2)
    row = pack(np.zeros((3, 8, 12, 3), np.uint8), [7, 8])
    assert positions(row, pictures) == 2 * 2 * 3 + 2
    assert len(positions_of([unpack(row)], pictures, with_text=True)[0]) == positions(row, pictures) + 1, (
        "and the end of the text"
    )
    for samples in (1, 100, 799, 8000, 8001):
        sound = MediaConfig(kind="audio", sample_rate=8000, mels=10)
        row = pack(np.random.default_rng(1).uniform(-1, 1, samples).astype(np.float32))
        assert abs(len(positions_of([unpack(row)], sound, with_text=False)[0]) - positions(row, sound)) <= 1
