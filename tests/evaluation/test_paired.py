"""Approximate randomisation against all the ways there are, Holm's correction, and the interval of a difference of shares."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.evaluation.formulas import FORMULAS, score_of, share
from headway.evaluation.label_scores import several_label_scores
from headway.evaluation.paired import approximate_randomisation, holm, paired_bootstrap

RANDOM = np.random.default_rng(4)


def with_ones(values: np.ndarray) -> np.ndarray:
    return np.stack((values, np.ones(len(values))), 1).astype(np.float64)


@pytest.mark.parametrize("formula", ["mean", "f1", "spearman"])
def test_randomisation_agrees_with_all_exchanges(formula: str) -> None:
    """Of 10 examples there are 1,024 ways to exchange the answers: the sample comes near the exact share."""
    function = FORMULAS[formula]
    a, b = (RANDOM.integers(0, 9, (10, 3 if formula == "f1" else 2)).astype(float) + 1 for _ in range(2))
    found = abs(score_of(function, a) - score_of(function, b))
    as_large = 0
    for kept in itertools.product((True, False), repeat=10):
        mask = np.array(kept)[:, None]
        gap = score_of(function, np.where(mask, a, b)) - score_of(function, np.where(mask, b, a))
        as_large += abs(gap) >= found - 1e-9
    assert approximate_randomisation(a, b, function, samples=4000) == pytest.approx(as_large / 1024, abs=0.03)


def test_randomisation_knows_equal_from_different() -> None:
    right, worse = RANDOM.random(400) < 0.9, RANDOM.random(400) < 0.8
    assert approximate_randomisation(with_ones(right), with_ones(right), share) == 1.0
    assert approximate_randomisation(with_ones(right), with_ones(worse), share) < 0.01
    gold = RANDOM.random((80, 6)) < 0.3
    few, many = (several_label_scores(chosen, gold)["macro_f1"] for chosen in (np.zeros_like(gold), gold))
    assert approximate_randomisation(few.statistics, many.statistics, few.score_function, samples=200) == 1 / 201


def test_under_the_null_a_small_p_is_as_rare_as_it_says() -> None:
    alarms = 0
    for trial in range(300):
        a, b = (with_ones(RANDOM.lognormal(0, 1, 60)) for _ in range(2))
        alarms += approximate_randomisation(a, b, FORMULAS["mean"], samples=200, seed=trial) < 0.05
    assert 3 <= alarms <= 28


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=8))
def test_holm_corrects_as_its_paper_says(values: list[float]) -> None:
    corrected = holm(values)
    assert all(given <= found <= 1 for given, found in zip(values, corrected, strict=True))
    rejected, smallest = set(), sorted(range(len(values)), key=values.__getitem__)
    for rank, place in enumerate(smallest):  # step down, until one is not small enough
        if values[place] * (len(values) - rank) >= 0.05:
            break
        rejected.add(place)
    assert {place for place, found in enumerate(corrected) if found < 0.05} == rejected


def test_few_examples_that_differ_have_an_interval_that_is_not_too_narrow() -> None:
    right = np.ones(100)
    other = right.copy()
    other[:2] = 0
    found = paired_bootstrap(with_ones(right), with_ones(other), share)
    assert found.low < 0 < found.difference == pytest.approx(2.0)  # 2 of 100 might be none
    assert found.high < 7
    assert paired_bootstrap(with_ones(right), with_ones(right), share).low < 0
