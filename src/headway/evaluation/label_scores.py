"""Scores of labels and numbers as pure functions on arrays; the sums of any choice of texts give the score of that choice.

N texts, L labels. They agree with scikit-learn, which the tests compare them with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headway.evaluation.distributions import wilson
from headway.evaluation.formulas import MISSED, NONE, RIGHT, SHARES, WRONG, Share
from headway.evaluation.intervals import effective_size
from headway.evaluation.metrics import Measurement

CALIBRATION_BINS = 10
ACCURACY_UNIT = "share of texts; where each has one label, micro F1 is the same"
Numbers: TypeAlias = NDArray[np.float64]
Whole: TypeAlias = NDArray[np.int64]


def one_label_scores(chosen_N: Whole, gold_N: Whole, probability_N: Numbers) -> dict[str, Measurement]:
    """Accuracy, macro-averaged precision, recall and F1, and calibration error, in per cent.

    Args:
        chosen_N, gold_N: numbers of labels.
        probability_N: what the model gave to its choice.
    """
    right_N = chosen_N == gold_N
    # One label is right, or one is wrong and another is missed.
    first_N, second_N = 3 * chosen_N + np.where(right_N, RIGHT, WRONG), np.where(right_N, NONE, 3 * gold_N + MISSED)
    found = [
        measurement_of("accuracy", "accuracy", ACCURACY_UNIT, np.stack((right_N, np.ones_like(right_N)), 1), "share"),
        *_averages("macro", np.stack((first_N, second_N), 1)),
        calibration(right_N, probability_N, np.arange(len(right_N)), len(right_N)),
    ]
    return {measurement.name: measurement for measurement in found}


def several_label_scores(chosen_NL: NDArray[np.bool_], gold_NL: NDArray[np.bool_]) -> dict[str, Measurement]:
    """Micro- and macro-averaged precision, recall and F1, and the share of texts with all labels right, in per cent."""
    decisions_NM = _decisions(chosen_NL, gold_NL)
    parts_N3 = np.stack([((decisions_NM >= 0) & (decisions_NM % 3 == part)).sum(1) for part in (RIGHT, WRONG, MISSED)], 1)
    right_N = (chosen_NL == gold_NL).all(1)
    found = [
        *_averages("micro", parts_N3),
        *_averages("macro", decisions_NM),
        measurement_of("exact", "all labels right", "share of texts", np.stack((right_N, np.ones_like(right_N)), 1), "share"),
    ]
    return {measurement.name: measurement for measurement in found}


def number_scores(found_N: Numbers, gold_N: Numbers) -> dict[str, Measurement]:
    """Mean absolute error, root of the mean squared error, Pearson's correlation."""
    error_N, ones_N = found_N - gold_N, np.ones_like(found_N)
    moments = np.stack((ones_N, found_N, gold_N, found_N**2, gold_N**2, found_N * gold_N), 1)
    absolute, squared = np.stack((abs(error_N), ones_N), 1), np.stack((error_N**2, ones_N), 1)
    results = [
        measurement_of("pearson", "Pearson's r", "correlation", moments, "pearson"),
        measurement_of("mae", "mean absolute error", "in the unit of the numbers", absolute, "mean", False),
        measurement_of("rmse", "root mean squared error", "likewise", squared, "root_mean", False),
    ]
    return {measurement.name: measurement for measurement in results}


class Estimate(NamedTuple):
    """A score and the ends of its interval, which are not numbers where it has none."""

    score: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        interval = f" ({self.low:.1f}–{self.high:.1f})" if math.isfinite(self.low) else ""
        return f"{self.score:.1f}{interval}"


class KindScores(NamedTuple):
    """Of one kind, in per cent; `total`: how many there are."""

    name: str
    precision: Estimate
    recall: Estimate
    f1: Estimate
    total: int


def rows_of_kinds(scores: Sequence[KindScores]) -> list[list[str]]:
    """As text."""
    return [[one.name, *map(str, (one.precision, one.recall, one.f1)), f"{one.total:,}"] for one in scores]


def kind_scores(
    sums_K3: np.ndarray, names: Sequence[str], confidence: float, parts_NK3: np.ndarray | None = None
) -> list[KindScores]:
    """Precision, recall and F1 of each kind with their intervals.

    Args:
        sums_K3: how often each kind is right, wrong and missed.
        parts_NK3: the same of each example, where one may have several of a kind, which are then alike.
    """
    found = []
    for kind, (name, sums) in enumerate(zip(names, sums_K3, strict=True)):
        scores: dict[str, Estimate] = {}
        for formula in ("precision", "recall", "f1"):
            parts = SHARES[formula].parts(sums[None] if parts_NK3 is None else parts_NK3[:, kind])
            size = parts[0, 1] if parts_NK3 is None else effective_size(parts)
            scores[formula] = _with_interval(SHARES[formula], parts.sum(0), size, confidence)
        found.append(KindScores(name, **scores, total=int(sums[RIGHT] + sums[MISSED])))
    return found


def _with_interval(share: Share, right_of: np.ndarray, size: float, confidence: float) -> Estimate:
    right, parts = right_of
    score = 100 * share.value(right / parts) if parts else 0.0
    if not size:
        return Estimate(score)
    low, high = (100 * share.value(end) for end in wilson(right / parts, size, confidence))
    return Estimate(score, low, high)


def _decisions(chosen_NL: NDArray[np.bool_], gold_NL: NDArray[np.bool_]) -> Whole:
    """Those of each text, as `formulas.label_sums` reads them, [N, M]: as wide as the text with the most of them."""
    texts, labels = np.nonzero(chosen_NL | gold_NL)
    parts = np.where(chosen_NL[texts, labels], np.where(gold_NL[texts, labels], RIGHT, WRONG), MISSED)
    columns = np.arange(len(texts)) - np.searchsorted(texts, texts)
    decisions_NM = np.full((len(chosen_NL), 1 + columns.max(initial=0)), NONE)
    decisions_NM[texts, columns] = 3 * labels + parts
    return decisions_NM


def _averages(kind: str, statistics: Whole) -> list[Measurement]:
    """Precision, recall and F1; macro: the mean over the labels that are chosen or gold at all; micro: of all decisions."""
    names = {"precision": "precision", "recall": "recall", "f1": "F1"}
    unit, formula = f"{kind}-averaged over labels", "label_macro_" if kind == "macro" else ""
    return [Measurement(f"{kind}_{name}", f"{kind} {label}", unit, statistics, formula + name) for name, label in names.items()]


def calibration(right_D: NDArray[np.bool_], probability_D: Numbers, text_D: Whole, texts: int) -> Measurement:
    """Expected calibration error (Guo et al. 2017, equation 3): how far confidence is from accuracy, in bins of confidence.

    Args:
        right_D, probability_D, text_D: of each decision whether it was right, how sure it was, and which text it was on.
    """
    bins_D = np.minimum((probability_D * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    statistics = np.zeros((texts, CALIBRATION_BINS + 1))
    np.add.at(statistics, (text_D, bins_D), right_D - probability_D)
    statistics[:, -1] = np.bincount(text_D, minlength=texts)
    unit = f"{CALIBRATION_BINS} bins of confidence"
    return measurement_of("calibration", "calibration error", unit, statistics, "calibration_error", False)


def measurement_of(
    name: str, label: str, unit: str, statistics: np.ndarray, formula: str, higher_is_better: bool = True
) -> Measurement:
    return Measurement(name, label, unit, np.asarray(statistics, dtype=np.float64), formula, higher_is_better)
