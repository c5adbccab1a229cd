"""Quantiles of some distributions, and the bounds of a share that they give for a count of successes."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

NORMAL = NormalDist()
TINY = 1e-300
STEPS = 200  # of a continued fraction, and of halving an interval


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b) by its continued fraction (Press et al. 2007, section 6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the fraction converges fast
        return 1 - beta_cdf(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / _not_zero(1 + term * d), _not_zero(1 + term / c)
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return min(1.0, front * fraction)


def _not_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY


def beta_quantile(probability: float, a: float, b: float) -> float:
    return _inverse(lambda x: beta_cdf(x, a, b), probability, 0.0, 1.0)


def t_quantile(probability: float, degrees: float) -> float:
    """Of Student's t distribution."""
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    x = beta_quantile(2 * (1 - probability), degrees / 2, 0.5)
    return math.sqrt(degrees * (1 - x) / x) if x > 0 else math.inf


def chi_squared_quantile(probability: float, degrees: int) -> float:
    """Within 1 % for 2 degrees or more (Wilson and Hilferty 1931)."""
    part = 2 / (9 * max(degrees, 1))
    return max(degrees, 1) * (1 - part + NORMAL.inv_cdf(probability) * math.sqrt(part)) ** 3


def _inverse(function: Callable[[float], float], value: float, low: float, high: float) -> float:
    """Where a rising function takes a value, by halving."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if function(middle) < value else (low, middle)
    return (low + high) / 2


def share_at_least(successes: int, trials: int, confidence: float) -> float:
    """The share that so many successes prove: the one-sided lower bound of Clopper and Pearson (1934)."""
    return beta_quantile(1 - confidence, successes, trials - successes + 1) if successes else 0.0


def wilson(share: float, size: float, confidence: float) -> tuple[float, float]:
    """The score interval of Wilson (1927) for a share of `size` trials, which need not be whole."""
    z = NORMAL.inv_cdf((1 + confidence) / 2)
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * math.sqrt(share * (1 - share) / size + (z / (2 * size)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)
