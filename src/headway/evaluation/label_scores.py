"""Scores of labels and numbers as pure functions on arrays; the sums of any choice of texts give the score of that choice.

N texts, L labels. They agree with scikit-learn, which the tests compare them with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from headway.evaluation.metrics import Measurement, ScoreFunction

CALIBRATION_BINS = 10
Numbers = NDArray[np.float64]


def one_label_scores(
    chosen_N: NDArray[np.int64], gold_N: NDArray[np.int64], probability_N: Numbers, labels: int
) -> dict[str, Measurement]:
    """Accuracy, macro-averaged precision, recall and F1, and calibration error, in per cent.

    Args:
        chosen_N, gold_N: numbers of labels; a gold label that the model does not know is −1 and always missed.
        probability_N: what the model gave to its choice.
    """
    right_N = chosen_N == gold_N
    by_label = _confusions(chosen_N[:, None] == np.arange(labels), gold_N[:, None] == np.arange(labels))
    found = [
        measurement_of("accuracy", "accuracy", "share of texts", np.stack((right_N, np.ones_like(right_N)), 1), ratio),
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
        measurement_of("exact", "all labels right", "share of texts", np.stack((right_N, np.ones_like(right_N)), 1), ratio),
    ]
    return {measurement.name: measurement for measurement in found}


def number_scores(found_N: Numbers, gold_N: Numbers) -> dict[str, Measurement]:
    """Mean absolute error, root of the mean squared error, Pearson's correlation."""
    error_N, ones_N = found_N - gold_N, np.ones_like(found_N)
    moments = np.stack((ones_N, found_N, gold_N, found_N**2, gold_N**2, found_N * gold_N), 1)
    results = [
        measurement_of("pearson", "Pearson's r", "correlation", moments, _pearson),
        measurement_of(
            "mae", "mean absolute error", "in the unit of the numbers", np.stack((abs(error_N), ones_N), 1), _mean, False
        ),
        measurement_of(
            "rmse", "root mean squared error", "likewise", np.stack((error_N**2, ones_N), 1), lambda s: _mean(s) ** 0.5, False
        ),
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
        precision, recall, f1 = (float(function(own)) for function in (_precision, _recall, _f1))
        rows.append({"label": name, "precision": precision, "recall": recall, "f1": f1, "texts": float(own[0] + own[2])})
    return rows


def _confusions(chosen_NL: NDArray[np.bool_], gold_NL: NDArray[np.bool_]) -> Numbers:
    """For each text and label whether it is right, wrong or missed, [N, 3 L]."""
    parts = (chosen_NL & gold_NL, chosen_NL & ~gold_NL, ~chosen_NL & gold_NL)
    return np.concatenate(parts, axis=1).astype(np.float64)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, 100.0 * part / np.maximum(whole, 1e-12), 0.0)


def _precision(sums: np.ndarray) -> np.ndarray:
    return _share(sums[..., 0], sums[..., 0] + sums[..., 1])


def _recall(sums: np.ndarray) -> np.ndarray:
    return _share(sums[..., 0], sums[..., 0] + sums[..., 2])


def _f1(sums: np.ndarray) -> np.ndarray:
    return _share(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def averages(by_label: Numbers, kind: str) -> list[Measurement]:
    """Macro: the mean over the labels that are chosen or gold at all; micro: of all decisions together."""

    def average(function: ScoreFunction) -> ScoreFunction:
        def of_sums(sums: np.ndarray) -> np.ndarray:
            parts = np.moveaxis(sums.reshape(*sums.shape[:-1], 3, -1), -2, -1)  # [..., L, 3]
            if kind == "micro":
                return function(parts.sum(-2))
            present = parts.sum(-1) > 0
            return (function(parts) * present).sum(-1) / np.maximum(present.sum(-1), 1)

        return of_sums

    names = {"precision": _precision, "recall": _recall, "f1": _f1}
    return [
        measurement_of(
            f"{kind}_{name}", f"{kind} {name.replace('f1', 'F1')}", f"{kind}-averaged over labels", by_label, average(function)
        )
        for name, function in names.items()
    ]


def _calibration(right_N: NDArray[np.bool_], probability_N: Numbers) -> Measurement:
    """Expected calibration error (Guo et al. 2017, equation 3): how far confidence is from accuracy, in bins of confidence."""
    bins_N = np.minimum((probability_N * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    inside_NB = bins_N[:, None] == np.arange(CALIBRATION_BINS)
    gaps_NB = inside_NB * (right_N.astype(np.float64) - probability_N)[:, None]
    statistics = np.concatenate((gaps_NB, np.ones((len(right_N), 1))), axis=1)

    def error(sums: np.ndarray) -> np.ndarray:
        return 100.0 * np.abs(sums[..., :-1]).sum(-1) / np.maximum(sums[..., -1], 1.0)

    return measurement_of("calibration", "calibration error", f"{CALIBRATION_BINS} bins of confidence", statistics, error, False)


def ratio(sums: np.ndarray) -> np.ndarray:
    return _share(sums[..., 0], sums[..., 1])


def _mean(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1.0))


def _pearson(sums: np.ndarray) -> np.ndarray:
    n, x, y, xx, yy, xy = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
    spread = np.sqrt(np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0))
    return np.where(spread > 0, (n * xy - x * y) / np.where(spread > 0, spread, 1.0), 0.0)


def measurement_of(
    name: str, label: str, unit: str, statistics: np.ndarray, score: Callable[[np.ndarray], np.ndarray], higher: bool = True
) -> Measurement:
    statistics = np.asarray(statistics, dtype=np.float64)
    return Measurement(name, label, float(score(statistics.sum(axis=0))), unit, higher, statistics, score, score)
