"""How sure a score is: an interval for each kind of score. Pure functions on statistics [N, K] and numbers.

A share has Wilson's interval, the calibration error one of its own; every other score that of the BCa bootstrap. A resample
draws N of the N sentences with replacement; its score needs only how often each sentence was drawn, so all resamples are one
matrix product, weights [R, N] @ statistics [N, K]; a score of ranks or of many labels is a function of the weights themselves.
The draws are those of sacreBLEU for the same seed. How often each kind holds the truth is measured: docs/intervals.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from headway.errors import DataError
from headway.evaluation.distributions import NORMAL, chi_squared_quantile, t_quantile, wilson
from headway.evaluation.formulas import (
    FORMULAS,
    PER_CENT,
    SHARES,
    DrawFunction,
    ScoreFunction,
    by_label,
    label_sums,
    scale_end,
    score_of,
    scores_of_resamples,
    scores_without,
)

CHUNK_ELEMENTS = 4_000_000  # draws held at once: bounds the memory on large test sets


@dataclass(frozen=True)
class Interval:
    """A score and the range that holds its true value with the given confidence."""

    score: float
    low: float
    high: float
    confidence: float
    samples: int
    seed: int


def score_interval(
    statistics: np.ndarray, formula: str, samples: int = 1000, confidence: float = 0.95, seed: int = 12345
) -> Interval:
    """The interval of a score, by the method that its formula asks for. Raises DataError for no sentences.

    Args:
        formula: the key in FORMULAS.
    """
    function = FORMULAS[formula]
    check(statistics, samples, confidence)
    if formula in SHARES:
        parts_N2 = SHARES[formula].parts(statistics.astype(np.float64))
        low, high = share_interval(parts_N2, confidence)
        score = score_of(function, statistics)
        low, high = (100 * SHARES[formula].value(end) for end in (low, high))
        return Interval(score, low, high, confidence, samples, seed)
    if formula == "calibration_error":
        score = score_of(function, statistics)
        low, high = calibration_interval(statistics, confidence)
        return Interval(score, low, max(score, high), confidence, samples, seed)
    found = bootstrap_interval(statistics, function, samples, confidence, seed)
    most = scale_end(formula)
    if formula in PER_CENT and math.isclose(found.low, found.high) and round(found.score, 6) <= most:
        # Examples that are all alike tell the bootstrap nothing: the score is no surer than a share of so many of them.
        low, high = (most * end for end in wilson(min(1.0, found.score / most), _alike(statistics, formula), confidence))
        return replace(found, low=min(found.score, low), high=max(found.score, high))
    return found


def _alike(statistics: np.ndarray, formula: str) -> float:
    """As how many examples a score is sure where all are alike; of labels, which weigh the same, the harmonic mean of theirs."""
    if formula.startswith("label_macro_"):
        counts_L = label_sums(statistics, np.ones((1, len(statistics))))[0].sum(1)
    elif formula.startswith("macro_"):
        counts_L = by_label(statistics.sum(0)).sum(1)
    else:
        return float(len(statistics))
    present = counts_L[counts_L > 0]
    return float(1 / np.mean(1 / present)) if len(present) else float(len(statistics))


# ---- shares --------------------------------------------------------------------------------------------------------


def share_interval(parts_N2: np.ndarray, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a share of parts, each example having so many right ones of so many; all shares where it has none."""
    size = effective_size(parts_N2)
    if not size:
        return 0.0, 1.0
    right, parts = parts_N2.sum(0)
    return wilson(min(1.0, right / parts), size, confidence)


def effective_size(parts_N2: np.ndarray) -> float:
    """How many independent parts tell as much as these, of which those of one example are alike (Kish 1965, section 8.2).

    They are never more than the parts. Where all are right, or none is, nothing tells how alike they are, and each example counts
    as one.
    """
    right_N, parts_N = parts_N2[parts_N2[:, 1] > 0].T
    examples, parts = len(parts_N), parts_N.sum()
    if examples < 2:
        return float(examples)
    share = right_N.sum() / parts
    variance = ((right_N - share * parts_N) ** 2).sum() / parts**2 * examples / (examples - 1)
    return min(float(share * (1 - share) / variance), float(parts)) if variance > 0 and 0 < share < 1 else float(examples)


# ---- calibration error ---------------------------------------------------------------------------------------------


def calibration_interval(statistics: np.ndarray, confidence: float) -> tuple[float, float]:
    """Of the expected calibration error, in per cent, from the gaps of each example, [N, bins + 1] as its formula has them.

    Gaps of chance alone add up to an error, so that the plain score is too high and its resamples are yet higher. Here each
    bin's gap is first made as much smaller as the absolute value of a normal variable is too large. No error is held to be
    possible where the gaps of all bins together are no larger than chance makes them (Hosmer and Lemeshow 1980).
    """
    examples, gaps_NB = max(statistics[:, -1].sum(), 1.0), statistics[:, :-1].astype(np.float64)
    deviations_B = np.sqrt((gaps_NB**2).sum(0)) / examples
    used_B = deviations_B > 0
    gaps, deviations = np.abs(gaps_NB.sum(0))[used_B] / examples, deviations_B[used_B]
    middle = sum(unfolded(gap, deviation) for gap, deviation in zip(gaps.tolist(), deviations.tolist(), strict=True))
    half = NORMAL.inv_cdf((1 + confidence) / 2) * math.sqrt((deviations**2).sum())
    by_chance = float(((gaps / deviations) ** 2).sum()) <= chi_squared_quantile(confidence, len(gaps))
    return 0.0 if by_chance else 100 * max(0.0, middle - half), 100 * (middle + half)


def unfolded(size: float, deviation: float) -> float:
    """The mean, not below 0, of a normal variable whose absolute value has the mean `size`; 0 where chance alone makes it."""
    low, high = 0.0, size
    for _ in range(60):
        mean = (low + high) / 2
        z = mean / deviation
        folded = deviation * math.sqrt(2 / math.pi) * math.exp(-z * z / 2) + mean * math.erf(z / math.sqrt(2))
        low, high = (low, mean) if folded > size else (mean, high)
    return low


# ---- the bootstrap -------------------------------------------------------------------------------------------------


def resampled_scores(statistics: np.ndarray, score_function: ScoreFunction | DrawFunction, samples: int, seed: int) -> np.ndarray:
    """The scores of `samples` bootstrap resamples, float64 [samples], or whatever else the function tells of each."""
    drawn = _weights(len(statistics), samples, seed)
    return np.concatenate([scores_of_resamples(score_function, statistics, weights) for weights in drawn])


def bootstrap_interval(
    statistics: np.ndarray,
    score_function: ScoreFunction | DrawFunction,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 12345,
) -> Interval:
    """The bootstrap interval of a corpus score, corrected for bias and skewness (BCa, Efron 1987). Raises DataError."""
    check(statistics, samples, confidence)
    score = score_of(score_function, statistics)
    resampled = resampled_scores(statistics, score_function, samples, seed)
    below = ((resampled < score).mean() + (resampled <= score).mean()) / 2
    bias = NORMAL.inv_cdf(min(max(below, 0.5 / samples), 1 - 0.5 / samples))
    skewness = _acceleration(scores_without(score_function, statistics)) if len(statistics) > 1 else 0.0
    levels = []
    for level in tail_levels(confidence, len(statistics)):
        z = bias + NORMAL.inv_cdf(level)
        levels.append(NORMAL.cdf(bias + z / max(1 - skewness * z, 0.1)))
    low, high = np.quantile(resampled, levels)
    return Interval(score, float(low), float(high), confidence, samples, seed)


def _acceleration(without: np.ndarray) -> float:
    """A sixth of the skewness of the score, from what it is without some of the examples (Efron 1987, equation 6.6)."""
    gaps = without.mean() - without
    scale = (gaps**2).sum() ** 1.5  # 0 also of gaps too small to be cubed, such as those of CIDEr of endless captions
    return float((gaps**3).sum() / (6 * scale)) if scale > 0 else 0.0


def tail_levels(confidence: float, sentences: int) -> tuple[float, float]:
    """The quantiles of resamples to read off: somewhat further out where sentences are few (Hesterberg 2015, section 5.3)."""
    level = (1 - confidence) / 2
    if 1 < sentences < CHUNK_ELEMENTS:
        level = max(1e-9, NORMAL.cdf(t_quantile(level, sentences - 1) * math.sqrt(sentences / (sentences - 1))))
    return level, 1 - level


def _weights(sentences: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each resample drew each sentence, float64 [rows, N], a bounded number of rows at a time."""
    random = np.random.default_rng(seed)
    for rows in chunks(sentences, samples):
        drawn = random.choice(sentences, size=(rows, sentences), replace=True)
        drawn += np.arange(rows)[:, None] * sentences
        yield np.bincount(drawn.ravel(), minlength=rows * sentences).reshape(rows, sentences).astype(np.float64)


def chunks(sentences: int, samples: int) -> Iterator[int]:
    """How many of the samples are drawn together."""
    rows = max(1, CHUNK_ELEMENTS // sentences)
    for start in range(0, samples, rows):
        yield min(rows, samples - start)


def check(statistics: np.ndarray, samples: int, confidence: float) -> None:
    """Raises DataError where nothing can be drawn."""
    if statistics.ndim != 2 or len(statistics) == 0:
        raise DataError(
            f"no sentences to draw from (statistics of shape {statistics.shape})", remedy="give at least one sentence"
        )
    if samples < 1 or not 0 < confidence < 1:
        raise DataError(
            f"samples={samples}, confidence={confidence}: at least 1 sample and a confidence between 0 and 1 are needed"
        )
