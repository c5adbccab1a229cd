"""Two systems on the same sentences, is one better? The paired bootstrap, approximate randomisation, several comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headway.errors import DataError
from headway.evaluation.distributions import NORMAL
from headway.evaluation.formulas import NONE, DrawFunction, ScoreFunction, score_of, scores_of_resamples, share
from headway.evaluation.intervals import check, chunks, resampled_scores, tail_levels


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
    that it is never 0; it is below 0.05 about where the 95 % interval leaves out 0. The interval of a difference of plain
    shares is that of Agresti and Min (2005), since few examples tell the systems apart. Raises DataError for unequal counts.
    """
    _check_two(statistics_a, statistics_b)
    check(statistics_a, samples, confidence)
    resampled = resampled_scores(statistics_a, score_function, samples, seed) - resampled_scores(
        statistics_b, score_function, samples, seed
    )
    score_a, score_b = (score_of(score_function, statistics) for statistics in (statistics_a, statistics_b))
    if score_function is share and _plain(statistics_a) and _plain(statistics_b):
        low, high = _difference_of_shares(statistics_a[:, 0], statistics_b[:, 0], confidence)
    else:
        low, high = map(float, np.quantile(resampled, tail_levels(confidence, len(statistics_a))))
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


def approximate_randomisation(
    statistics_a: np.ndarray,
    statistics_b: np.ndarray,
    score_function: ScoreFunction | DrawFunction,
    samples: int = 1000,
    seed: int = 12345,
) -> float:
    """The two-sided p-value of approximate randomisation (Noreen 1989; Riezler and Maxwell 2005, section 4).

    If the systems are equally good, it is no matter which of them gave which answer to a sentence: how often does exchanging
    both answers to each sentence, or not, by the fall of a coin, make a difference as large as the one found? Raises
    DataError for unequal counts.
    """
    _check_two(statistics_a, statistics_b)
    check(statistics_a, samples, 0.5)
    if isinstance(score_function, DrawFunction):
        statistics_a, statistics_b = _equally_wide(statistics_a, statistics_b)
    found = abs(score_of(score_function, statistics_a) - score_of(score_function, statistics_b))
    both = np.concatenate((statistics_a, statistics_b))
    as_large = 0
    for kept in _coins(len(statistics_a), samples, seed):
        ours, theirs = np.concatenate((kept, 1 - kept), 1), np.concatenate((1 - kept, kept), 1)
        gaps = scores_of_resamples(score_function, both, ours) - scores_of_resamples(score_function, both, theirs)
        as_large += int((np.abs(gaps) >= found - 1e-9 * max(1.0, found)).sum())
    return (as_large + 1) / (samples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several comparisons, so corrected that any false claim is as rare as it is of one alone (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _plain(statistics: np.ndarray) -> bool:
    """Whether each example is right or wrong as a whole."""
    return bool(((statistics[:, 0] == 0) | (statistics[:, 0] == 1)).all() and (statistics[:, 1] == 1).all())


def _difference_of_shares(right_a: np.ndarray, right_b: np.ndarray, confidence: float) -> tuple[float, float]:
    """The adjusted Wald interval of paired shares, half an example added to each of the four outcomes; in per cent."""
    count = len(right_a) + 2.0
    only_a, only_b = (float((one > other).sum() + 0.5) / count for one, other in ((right_a, right_b), (right_b, right_a)))
    difference = only_a - only_b
    half = NORMAL.inv_cdf((1 + confidence) / 2) * ((only_a + only_b - difference**2) / count) ** 0.5
    return 100 * max(-1.0, difference - half), 100 * min(1.0, difference + half)


def _equally_wide(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decisions of as many columns: those of a text that has fewer are none."""
    width = max(one.shape[1], other.shape[1])
    first, second = (np.pad(some, ((0, 0), (0, width - some.shape[1])), constant_values=NONE) for some in (one, other))
    return first, second


def _coins(sentences: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """For each sample and sentence whether its answers stay where they are, 0 or 1, float64 [rows, N]."""
    random = np.random.default_rng(seed)
    for rows in chunks(2 * sentences, samples):
        yield random.integers(0, 2, size=(rows, sentences)).astype(np.float64)


def _check_two(statistics_a: np.ndarray, statistics_b: np.ndarray) -> None:
    if len(statistics_a) != len(statistics_b):
        raise DataError(
            f"the systems were scored on {len(statistics_a)} and {len(statistics_b)} sentences",
            remedy="a paired test needs the same sentences in the same order",
        )
