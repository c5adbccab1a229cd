"""Scores of labels and numbers as pure functions on arrays; the sums of any choice of texts give the score of that choice.

N texts, L labels. They agree with scikit-learn, which the tests compare them with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headway.evaluation import formulas
from headway.evaluation.metrics import Measurement

CALIBRATION_BINS = 10
ACCURACY_UNIT = "share of texts; where each has one label, micro F1 is the same"
Numbers = NDArray[np.float64]


def one_label_scores(
    chosen_N: NDArray[np.int64], gold_N: NDArray[np.int64], probability_N: Numbers, labels: int
) -> dict[str, Measurement]:
    """Accuracy, macro-averaged precision, recall and F1, and calibration error, in per cent.

    Args:
        chosen_N, gold_N: numbers of labels.
        probability_N: what the model gave to its choice.
        labels: how many there are, those that the model does not know included.
    """
    right_N = chosen_N == gold_N
    by_label = _confusions(chosen_N[:, None] == np.arange(labels), gold_N[:, None] == np.arange(labels))
    found = [
        measurement_of("accuracy", "accuracy", ACCURACY_UNIT, np.stack((right_N, np.ones_like(right_N)), 1), "share"),
        *averages(by_label, "macro"),
        _calibration(right_N, probability_N),
    ]
    return {measurement.name: measurement for measurement in found}


def several_label_scores(chosen_NL: NDArray[np.bool_], gold_NL: NDArray[np.bool_]) -> dict[str, Measurement]:
    """Micro- and macro-averaged precision, recall and F1, and the share of texts with all labels right, in per cent."""
    by_label = _confusions(chosen_NL, gold_NL)
    right_N = (chosen_NL == gold_NL).all(1)
    found = [
        *averages(by_label, "micro"),
        *averages(by_label, "macro"),
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


def per_label(chosen_NL: NDArray[np.bool_], gold_NL: NDArray[np.bool_], names: Sequence[str]) -> list[dict[str, float | str]]:
    """Precision, recall and F1 of each label in per cent, and how many texts have it."""
    return figures_of_kinds(_confusions(chosen_NL, gold_NL).sum(0), names)


def figures_of_kinds(sums: Numbers, names: Sequence[str]) -> list[dict[str, float | str]]:
    """Precision, recall and F1 in per cent of sums of right, wrong and missed ones, [3 kinds]; `texts` is how many there are."""
    right, wrong, missed = sums.reshape(3, -1)
    rows: list[dict[str, float | str]] = []
    for number, name in enumerate(names):
        own = np.array([right[number], wrong[number], missed[number]])
        precision, recall, f1 = (float(function(own)) for function in (formulas.precision, formulas.recall, formulas.f1))
        rows.append({"label": name, "precision": precision, "recall": recall, "f1": f1, "texts": float(own[0] + own[2])})
    return rows


def _confusions(chosen_NL: NDArray[np.bool_], gold_NL: NDArray[np.bool_]) -> Numbers:
    """For each text and label whether it is right, wrong or missed, [N, 3 L]."""
    parts = (chosen_NL & gold_NL, chosen_NL & ~gold_NL, ~chosen_NL & gold_NL)
    return np.concatenate(parts, axis=1).astype(np.float64)


def averages(by_label: Numbers, kind: str) -> list[Measurement]:
    """Precision, recall and F1; macro: the mean over the labels that are chosen or gold at all; micro: of all decisions."""
    names = {"precision": "precision", "recall": "recall", "f1": "F1"}
    unit, macro = f"{kind}-averaged over labels", kind == "macro"
    statistics = by_label if macro else by_label.reshape(len(by_label), 3, -1).sum(-1)
    return [
        measurement_of(f"{kind}_{name}", f"{kind} {label}", unit, statistics, f"macro_{name}" if macro else name)
        for name, label in names.items()
    ]


def _calibration(right_N: NDArray[np.bool_], probability_N: Numbers) -> Measurement:
    """Expected calibration error (Guo et al. 2017, equation 3): how far confidence is from accuracy, in bins of confidence."""
    bins_N = np.minimum((probability_N * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    inside_NB = bins_N[:, None] == np.arange(CALIBRATION_BINS)
    gaps_NB = inside_NB * (right_N.astype(np.float64) - probability_N)[:, None]
    statistics = np.concatenate((gaps_NB, np.ones((len(right_N), 1))), axis=1)
    unit = f"{CALIBRATION_BINS} bins of confidence"
    return measurement_of("calibration", "calibration error", unit, statistics, "calibration_error", False)


def measurement_of(
    name: str, label: str, unit: str, statistics: np.ndarray, formula: str, higher_is_better: bool = True
) -> Measurement:
    return Measurement(name, label, unit, np.asarray(statistics, dtype=np.float64), formula, higher_is_better)
