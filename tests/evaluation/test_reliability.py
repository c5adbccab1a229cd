"""Calibration in bins: shares, and intervals that hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from headway.evaluation.distributions import wilson
from headway.evaluation.label_scores import one_label_scores
from headway.evaluation.reliability import reliability


def test_bins_have_the_share_that_is_right() -> None:
    probability = np.array([0.31, 0.39, 0.35, 0.95, 0.99, 1.0])
    right = np.array([True, False, False, True, True, False])
    first, last = reliability(probability, right)
    assert (first.answers, first.share, first.confidence) == (3, pytest.approx(1 / 3), pytest.approx(0.35))
    assert (last.answers, last.share) == (3, pytest.approx(2 / 3))  # 1.0 is in the last bin
    assert first.low < first.share < first.high


def test_the_gaps_of_the_bins_are_the_calibration_error() -> None:
    source = np.random.default_rng(1)
    probability = source.random(500)
    right = source.random(500) < probability**2
    error = one_label_scores(right.astype(int), np.ones(500, dtype=int), probability)["calibration"].score
    gaps = [one.answers * abs(one.share - one.confidence) for one in reliability(probability, right)]
    assert 100 * sum(gaps) / 500 == pytest.approx(error)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilsons_interval_is_the_published_one(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes / trials, trials, 0.95) == pytest.approx((low, high), abs=1e-4)  # 81 of 263: Newcombe 1998, table I


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_wilsons_interval_holds_the_truth_as_often_as_it_says(share: float) -> None:
    seen = np.random.default_rng(2).binomial(100, share, size=4000)
    intervals = [wilson(int(one) / 100, 100, 0.95) for one in seen]
    assert 0.93 <= np.mean([low <= share <= high for low, high in intervals]) <= 0.97
