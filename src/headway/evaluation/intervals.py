"""How sure a score is: bootstrap intervals, paired tests, spread over seeds. Pure functions on statistics [N, K] and numbers.

A resample draws N of the N sentences with replacement; its score needs only how often each sentence was drawn, so all resamples
are one matrix product, weights [R, N] @ statistics [N, K]; a score of ranks or of many labels is a function of the weights
themselves. The draws are those of sacreBLEU for the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from headway.errors import DataError
from headway.evaluation.formulas import DrawFunction, ScoreFunction, score_of, scores_of_resamples

CHUNK_ELEMENTS = 4_000_000  # draws held at once: bounds the memory on large test sets


@dataclass(frozen=True)
class Interval:
    """A score and the range that holds the given share of its bootstrap resamples."""

    score: float
    low: float
    high: float
    confidence: float
    samples: int
    seed: int


@dataclass(frozen=True)
class PairedDifference:
    """Score of A minus score of B on the same sentences; `wins` is the share of resamples in which A's score is higher."""

    score_a: float
    score_b: float
    difference: float
    low: float
    high: float
    p_value: float
    wins: float
    confidence: float
    samples: int
    seed: int

    @property
    def is_noise(self) -> bool:
        """Whether so large a difference is to be expected from the choice of the test sentences alone."""
        return self.p_value >= 1 - self.confidence


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
    """The percentile bootstrap interval (Efron; Koehn 2004) of a corpus score. Raises DataError for no sentences."""
    _check(statistics, samples, confidence)
    low, high = percentiles(resampled_scores(statistics, score_function, samples, seed), confidence)
    return Interval(score_of(score_function, statistics), low, high, confidence, samples, seed)


def paired_bootstrap(
    statistics_a: np.ndarray,
    statistics_b: np.ndarray,
    score_function: ScoreFunction | DrawFunction,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 12345,
) -> PairedDifference:
    """Paired bootstrap resampling (Koehn 2004): both systems on the same resamples, A − B.

    The two-sided p-value is twice the share of resamples in which the system ahead is not ahead, with one more counted so
    that it is never 0; it is below 0.05 about where the 95 % interval leaves out 0. Raises DataError for unequal counts.
    """
    _check_two(statistics_a, statistics_b)
    _check(statistics_a, samples, confidence)
    resampled = resampled_scores(statistics_a, score_function, samples, seed) - resampled_scores(
        statistics_b, score_function, samples, seed
    )
    score_a, score_b = (score_of(score_function, statistics) for statistics in (statistics_a, statistics_b))
    low, high = percentiles(resampled, confidence)
    not_ahead = int((resampled <= 0).sum() if score_a >= score_b else (resampled >= 0).sum())
    return PairedDifference(
        score_a,
        score_b,
        score_a - score_b,
        low,
        high,
        p_value=min(1.0, 2 * (not_ahead + 1) / (samples + 1)),
        wins=float((resampled > 0).mean()),
        confidence=confidence,
        samples=samples,
        seed=seed,
    )


def _weights(sentences: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each resample drew each sentence, float64 [rows, N], a bounded number of rows at a time."""
    random = np.random.default_rng(seed)
    for rows in _chunks(sentences, samples):
        drawn = random.choice(sentences, size=(rows, sentences), replace=True)
        drawn += np.arange(rows)[:, None] * sentences
        yield np.bincount(drawn.ravel(), minlength=rows * sentences).reshape(rows, sentences).astype(np.float64)


def _chunks(sentences: int, samples: int) -> Iterator[int]:
    rows = max(1, CHUNK_ELEMENTS // sentences)
    for start in range(0, samples, rows):
        yield min(rows, samples - start)


def percentiles(scores: np.ndarray, confidence: float) -> tuple[float, float]:
    """The ends of the range that holds the given share of some scores."""
    low, high = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Where a share lies of which `successes` in `trials` were seen (Wilson 1927); from 0 to 1 where nothing was."""
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, part = successes / trials, z * z / trials
    middle, half = share + part / 2, z * math.sqrt(share * (1 - share) / trials + part / (4 * trials))
    return max(0.0, (middle - half) / (1 + part)), min(1.0, (middle + half) / (1 + part))


def _check(statistics: np.ndarray, samples: int, confidence: float) -> None:
    if statistics.ndim != 2 or len(statistics) == 0:
        raise DataError(
            f"no sentences to draw from (statistics of shape {statistics.shape})", remedy="give at least one sentence"
        )
    if samples < 1 or not 0 < confidence < 1:
        raise DataError(
            f"samples={samples}, confidence={confidence}: at least 1 sample and a confidence between 0 and 1 are needed"
        )


def _check_two(statistics_a: np.ndarray, statistics_b: np.ndarray) -> None:
    if len(statistics_a) != len(statistics_b):
        raise DataError(
            f"the systems were scored on {len(statistics_a)} and {len(statistics_b)} sentences",
            remedy="a paired test needs the same sentences in the same order",
        )
