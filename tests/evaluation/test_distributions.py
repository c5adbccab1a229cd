"""Quantiles against SciPy's, and the bounds of a share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.evaluation.distributions import (
    beta_cdf,
    beta_quantile,
    chi_squared_quantile,
    share_at_least,
    t_quantile,
    wilson,
)

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1, 1), (3, 200), (95, 6), (5000, 5000), (1, 20000)])
def test_beta_agrees_with_scipy(a: float, b: float) -> None:
    for probability in (1e-6, 0.0025, 0.3, 0.95):
        expected = stats.beta.ppf(probability, a, b)
        assert beta_quantile(probability, a, b) == pytest.approx(expected, rel=1e-8)
        assert beta_cdf(expected, a, b) == pytest.approx(probability, rel=1e-7)


@pytest.mark.parametrize("degrees", [1, 2, 3, 30, 999, 50_000])
def test_t_agrees_with_scipy(degrees: int) -> None:
    for probability in (0.005, 0.025, 0.6, 0.975):
        assert t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-7)


def test_chi_squared_is_near_enough() -> None:
    for degrees in (2, 5, 10):
        assert chi_squared_quantile(0.95, degrees) == pytest.approx(stats.chi2.ppf(0.95, degrees), rel=0.01)


@given(st.integers(1, 400), st.data())
def test_bounds_of_shares_are_those_of_scipy(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, "exact")
    assert share_at_least(successes, trials, 0.975) == pytest.approx(expected.low, abs=1e-9)
    score = stats.binomtest(successes, trials).proportion_ci(0.95, "wilson")
    assert wilson(successes / trials, trials, 0.95) == pytest.approx((score.low, score.high), abs=1e-9)
