"""How far a model may be believed that tells how sure it is: in bins of its confidence, how often it is right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headway.evaluation.distributions import wilson
from headway.evaluation.label_scores import CALIBRATION_BINS


class Bin(NamedTuple):
    """The answers of like confidence; `share` of them are right, with the ends of its interval. All from 0 to 1."""

    confidence: float  # their mean
    share: float
    low: float
    high: float
    answers: int


def reliability(probability_N: NDArray[np.floating], right_N: NDArray[np.bool_], confidence: float = 0.95) -> list[Bin]:
    """The bins of the calibration error (Guo et al. 2017, figure 1) that have answers, with Wilson's intervals.

    Args:
        probability_N, right_N: what the model gave to its answers, and whether they are right.
        confidence: that the intervals hold the true share.
    """
    bins_N = np.minimum((probability_N * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    found = []
    for number in range(CALIBRATION_BINS):
        inside_N = bins_N == number
        count, right = int(inside_N.sum()), int(right_N[inside_N].sum())
        if count:
            interval = wilson(right / count, count, confidence)
            found.append(Bin(float(probability_N[inside_N].mean()), right / count, *interval, count))
    return found
