"""Damaged text: rates, what may be touched, whole words, spans that can be put back, and the same damage every time."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.config import NoiseConfig
from headway.data.batches import IGNORED
from headway.data.noise import Random, denoised, masked, span_corrupted

VOCABULARY = 100
ROWS = st.lists(st.integers(4, VOCABULARY - 1), min_size=1, max_size=80)


def mask_row(ids: np.ndarray, noise: NoiseConfig, *key: int, begins: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    every = np.ones(len(ids), dtype=bool)
    return masked(ids, every if begins is None else begins, noise, VOCABULARY, Random.of(*key))


def test_masks_come_at_their_rates() -> None:
    ids = np.arange(200) % 96 + 4
    counts = np.zeros(4)
    for number in range(200):
        read, wanted = mask_row(ids, NoiseConfig(), 1, number)
        chosen = wanted != IGNORED
        assert chosen.sum() == 30
        assert (wanted[chosen] == ids[chosen]).all()
        assert (read[~chosen] == ids[~chosen]).all()
        same = (read == ids) & chosen
        counts += [(read[chosen] == VOCABULARY).sum(), same.sum(), chosen.sum(), ((read < VOCABULARY) & chosen & ~same).sum()]
        assert (read[chosen & (read != VOCABULARY)] >= 4).all()
    assert counts[0] / counts[2] == pytest.approx(0.8, abs=0.02)
    assert counts[1] / counts[2] == pytest.approx(0.1, abs=0.02)
    assert counts[3] / counts[2] == pytest.approx(0.1, abs=0.02)


def test_every_token_is_chosen_as_often_as_any_other() -> None:
    ids = np.arange(40) + 4
    chosen = sum((mask_row(ids, NoiseConfig(rate=0.25), 7, number)[1] != IGNORED).astype(int) for number in range(2000))
    assert chosen.min() > 400
    assert chosen.max() < 600


def test_whole_words_are_hidden_or_not_at_all() -> None:
    begins = np.array([True, False, False] * 20)
    for number in range(50):
        chosen = mask_row(np.arange(60) + 4, NoiseConfig(unit="word"), 3, number, begins=begins)[1] != IGNORED
        assert (chosen.reshape(20, 3).all(1) == chosen.reshape(20, 3).any(1)).all()
        assert chosen.sum() == 9  # as many words as it takes to hide 0.15 of 60 tokens, and no more


@pytest.mark.parametrize("unit", ["word", "span"])
@pytest.mark.parametrize("begins", [[1] + [0] * 49, [0] * 50, ([1] + [0] * 24) * 2, [1] * 10, [1, 0, 0, 0], [1, 0, 0] * 20])
def test_text_without_blanks_is_hidden_at_the_same_rate(unit: Literal["word", "span"], begins: list[int]) -> None:
    noise, places = NoiseConfig(unit=unit), np.array(begins, dtype=bool)
    wanted = max(1, round(noise.rate * len(places)))
    for number in range(50):
        hidden = (mask_row(np.arange(len(places)) + 4, noise, 3, number, begins=places)[1] != IGNORED).sum()
        assert hidden == wanted


def test_a_span_ends_with_a_whole_word() -> None:
    begins = np.array([True, False, False, False] * 20)
    for number in range(50):
        chosen = mask_row(np.arange(80) + 4, NoiseConfig(unit="span"), 3, number, begins=begins)[1] != IGNORED
        assert (chosen.reshape(20, 4).all(1) == chosen.reshape(20, 4).any(1)).all()
        assert chosen.sum() == 12


def test_spans_are_longer_than_words() -> None:
    runs = {"word": 0, "span": 0}
    for unit in runs:
        for number in range(100):
            noise = NoiseConfig(unit=unit, span_length=4)
            chosen = mask_row(np.arange(90) + 4, noise, 5, number)[1] != IGNORED
            runs[unit] += int((np.diff(chosen.astype(int), prepend=0) == 1).sum())
    assert runs["span"] < 0.5 * runs["word"]


@settings(max_examples=200, deadline=None)
@given(ROWS, st.floats(0.05, 0.9), st.floats(1, 8), st.integers(0, 99))
def test_spans_can_be_put_back_behind_their_sentinels(row: list[int], rate: float, length: float, seed: int) -> None:
    source, target = span_corrupted(np.array(row), NoiseConfig(rate=rate, span_length=length), VOCABULARY, Random.of(seed))
    spans: dict[int, list[int]] = {}
    for number in target.tolist():
        if number > VOCABULARY:
            spans[number] = []
        else:
            spans[list(spans)[-1]].append(number)
    restored = [token for number in source.tolist() for token in spans.get(number, [number])]
    assert restored == row
    assert list(spans) == list(range(VOCABULARY + 1, VOCABULARY + 1 + len(spans)))
    assert all(spans.values())
    hidden = sum(map(len, spans.values()))
    assert abs(hidden - min(max(1, round(rate * len(row))), max(1, len(row) - 1))) == 0


@settings(max_examples=200, deadline=None)
@given(ROWS, st.floats(0.05, 0.9), st.integers(0, 99))
def test_infilling_keeps_the_order_of_what_is_left(row: list[int], rate: float, seed: int) -> None:
    read = denoised(np.array(row), [], NoiseConfig(rate=rate), VOCABULARY, Random.of(seed)).tolist()
    rest = iter(row)
    assert all(token == VOCABULARY or token in rest for token in read)  # a subsequence, with masks
    assert len(read) <= len(row)


def test_infilling_hides_about_its_rate() -> None:
    ids = np.arange(90) + 4
    left = [
        sum(token != VOCABULARY for token in denoised(ids, [], NoiseConfig(rate=0.3), VOCABULARY, Random.of(1, n)).tolist())
        for n in range(200)
    ]
    assert np.mean(left) / 90 == pytest.approx(0.7, abs=0.02)


def test_sentences_change_places_and_tokens_vanish() -> None:
    ids = np.arange(30) + 4
    shuffled = denoised(ids, [10, 20, 30], NoiseConfig(rate=0.01, permute_sentences=True), VOCABULARY, Random.of(2))
    assert sorted(shuffled.tolist()) == ids.tolist()
    starts = [shuffled.tolist().index(4 + start) for start in (0, 10, 20)]
    assert sorted(starts) == [0, 10, 20]
    deleted = denoised(ids, [], NoiseConfig(rate=0.01, deletion_rate=0.5), VOCABULARY, Random.of(2))
    assert 5 < len(deleted) < 25


def test_the_same_key_damages_alike() -> None:
    ids = np.arange(50) + 4
    assert (mask_row(ids, NoiseConfig(), 1, 2)[0] == mask_row(ids, NoiseConfig(), 1, 2)[0]).all()
    assert (mask_row(ids, NoiseConfig(), 1, 2)[0] != mask_row(ids, NoiseConfig(), 1, 3)[0]).any()
    read = denoised(ids, [], NoiseConfig(), VOCABULARY, Random.of(9))
    assert (read == denoised(ids, [], NoiseConfig(), VOCABULARY, Random.of(9))).all()
