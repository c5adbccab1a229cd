"""How the sums of some examples become a score: each formula a pure function on the last axis, [..., K] → [...], known by name.

A score is stored as the name of its formula and the figures of each example; their sum over any choice of examples gives the
score of that choice, so the bootstrap and the comparison of runs never read text again. A score of ranks is no function of
sums, and one of many labels would need very wide sums: these are a `DrawFunction` of the figures of N examples and of how often
each of R resamples drew them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

ScoreFunction = Callable[[np.ndarray], np.ndarray]  # [..., K] → [...]


@dataclass(frozen=True)
class DrawFunction:
    """`function` takes figures [N, K] and weights [R, N] and gives [R, …]."""

    function: Callable[[np.ndarray, np.ndarray], np.ndarray]


def bounds(formula: str) -> tuple[float, float]:
    """What a score cannot be below and above."""
    if formula in CORRELATIONS:
        return -1.0, 1.0
    return 0.0, math.inf if formula in UNBOUNDED else scale_end(formula)


def scale_end(formula: str) -> float:
    """Where the scale of a score ends; rates of errors may go beyond."""
    return CIDER_END if formula == "cider" else 100.0


def score_of(function: ScoreFunction | DrawFunction, statistics: np.ndarray) -> float:
    """The score of all examples."""
    if isinstance(function, DrawFunction):
        return float(function.function(statistics, np.ones((1, len(statistics))))[0])
    return float(function(statistics.sum(axis=0)))


def scores_of_resamples(function: ScoreFunction | DrawFunction, statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The score of each resample, [R], or whatever else the function tells of it, [R, …]."""
    statistics = statistics.astype(np.float64)
    return function.function(statistics, weights) if isinstance(function, DrawFunction) else function(weights @ statistics)


JACKKNIFE_GROUPS = 100  # of examples, at least, that are left out together, where leaving out each costs too much


def scores_without(function: ScoreFunction | DrawFunction, statistics: np.ndarray) -> np.ndarray:
    """The score without each example, or, of a `DrawFunction`, without each of some groups of them (the jackknife)."""
    statistics = statistics.astype(np.float64)
    if not isinstance(function, DrawFunction):
        return function(statistics.sum(axis=0) - statistics)
    examples = np.arange(len(statistics))
    groups = min(len(statistics), max(JACKKNIFE_GROUPS, CHUNK_CELLS // len(statistics)))
    found = []
    for some in np.array_split(np.arange(groups), -(-groups * len(statistics) // CHUNK_CELLS)):
        left_out = examples % groups == some[:, None]
        found.append(function.function(statistics, np.where(left_out, 0.0, 1.0)))
    return np.concatenate(found)


BLEU_ORDER, CHRF_BETA = 4, 2
CIDER_END = 1000.0
MOST_NATS = 700.0  # e^700 is still a number


def mean(sums: np.ndarray) -> np.ndarray:
    """Values and weights, [..., 2]; 0 where nothing has weight."""
    return np.where(sums[..., 1] > 0, sums[..., 0] / np.where(sums[..., 1] > 0, sums[..., 1], 1.0), 0.0)


def share(sums: np.ndarray) -> np.ndarray:
    """The mean in per cent."""
    return 100.0 * mean(sums)


def root_mean(sums: np.ndarray) -> np.ndarray:
    return mean(sums) ** 0.5


def exponential_mean(sums: np.ndarray) -> np.ndarray:
    """Perplexity, of nats and tokens."""
    return np.exp(np.minimum(mean(sums), MOST_NATS))


def mean_bits(sums: np.ndarray) -> np.ndarray:
    """Of nats and bytes."""
    return mean(sums) / math.log(2)


def pearson(sums: np.ndarray) -> np.ndarray:
    """Pearson's r of the moments n, x, y, x², y², xy, [..., 6]; 0 where either side is constant."""
    n, x, y, xx, yy, xy = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
    spread = np.sqrt(np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0))
    return np.where(spread > 0, (n * xy - x * y) / np.where(spread > 0, spread, 1.0), 0.0)


def calibration_error(sums: np.ndarray) -> np.ndarray:
    """Of the gaps between being right and being sure in each bin, and of the number of texts, [..., bins + 1]; in per cent."""
    return 100.0 * np.abs(sums[..., :-1]).sum(-1) / np.maximum(sums[..., -1], 1.0)


# ---- what was chosen rightly, wrongly and not, [..., 3]; in per cent ---------------------------------------------------


def precision(sums: np.ndarray) -> np.ndarray:
    return share(np.stack((sums[..., 0], sums[..., 0] + sums[..., 1]), -1))


def recall(sums: np.ndarray) -> np.ndarray:
    return share(np.stack((sums[..., 0], sums[..., 0] + sums[..., 2]), -1))


def f1(sums: np.ndarray) -> np.ndarray:
    return share(np.stack((2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2]), -1))


def f1_of_one(sums: np.ndarray) -> np.ndarray:
    """Of an example; where there is nothing to choose and nothing was chosen it is perfect."""
    return np.where(sums.sum(-1) > 0, f1(sums), 100.0)


def macro(function: ScoreFunction, sums: np.ndarray) -> np.ndarray:
    """The mean over the labels that are chosen or gold at all, [..., 3 L]."""
    return _mean_of_present(function, by_label(sums))


def by_label(sums: np.ndarray) -> np.ndarray:
    """[..., 3 L] → [..., L, 3]"""
    return np.moveaxis(sums.reshape(*sums.shape[:-1], 3, -1), -2, -1)


def _mean_of_present(function: ScoreFunction, sums: np.ndarray) -> np.ndarray:
    """[..., L, 3] → [...]"""
    present = sums.sum(-1) > 0
    return (function(sums) * present).sum(-1) / np.maximum(present.sum(-1), 1)


# ---- the same of decisions: 3 · label + RIGHT, WRONG or MISSED, up to M of a text; NONE where it has fewer --------------

NONE, RIGHT, WRONG, MISSED = -1, 0, 1, 2
CHUNK_CELLS = 4_000_000  # bounds the memory where there are many labels


def label_sums(decisions_NM: np.ndarray, weights_RN: np.ndarray, labels: int | None = None) -> np.ndarray:
    """How often each label is right, wrong and missed in each resample, [R, L, 3]; without `labels` of those that occur."""
    texts, columns = np.nonzero(decisions_NM >= 0)
    kinds, number = np.unique(decisions_NM[texts, columns].astype(np.int64), return_inverse=True)
    rows = kinds // 3
    if labels is None:
        occurring, rows = np.unique(rows, return_inverse=True)
        labels = len(occurring)
    sums_RL3 = np.zeros((len(weights_RN), labels, 3))
    if len(kinds):
        order = np.argsort(number, kind="stable")
        starts = np.searchsorted(number[order], np.arange(len(kinds)))
        sums_RL3[:, rows, kinds % 3] = np.add.reduceat(weights_RN[:, texts[order]], starts, axis=1)
    return sums_RL3


def macro_of_decisions(function: ScoreFunction, decisions_NM: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
    """The mean over the labels that are chosen or gold at all, [R]."""
    pieces = min(len(weights_RN), 1 + len(weights_RN) * decisions_NM.size // CHUNK_CELLS)
    parts = np.array_split(weights_RN, pieces)
    return np.concatenate([_mean_of_present(function, label_sums(decisions_NM, part)) for part in parts])


# ---- ranks -----------------------------------------------------------------------------------------------------------


def spearman(pairs_N2: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
    """Spearman's ρ, [R]: Pearson's r of the ranks, each pair standing as often as its weight; 0 where either side is constant."""
    count_R1 = weights_RN.sum(1, keepdims=True)
    centred = [_mean_ranks(values, weights_RN) - (count_R1 + 1) / 2 for values in pairs_N2.T]
    xx, yy, xy = ((weights_RN * centred[i] * centred[j]).sum(1) for i, j in ((0, 0), (1, 1), (0, 1)))
    spread = np.sqrt(xx * yy)
    return np.asarray(np.where(spread > 0, xy / np.where(spread > 0, spread, 1.0), 0.0))


def _mean_ranks(values_N: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
    """Ranks from 1, [R, N]; equal values share the mean of theirs."""
    order = np.argsort(values_N, kind="stable")
    _, starts, group_N = np.unique(values_N[order], return_index=True, return_inverse=True)
    sizes_RG = np.add.reduceat(weights_RN[:, order], starts, axis=1)
    ranks_RN = np.empty_like(weights_RN)
    ranks_RN[:, order] = (sizes_RG.cumsum(1) - (sizes_RG - 1) / 2)[:, group_N]
    return ranks_RN


# ---- translations --------------------------------------------------------------------------------------------------


def bleu(sums: np.ndarray, effective_order: bool = False, most: int = BLEU_ORDER, smoothed: bool = True) -> np.ndarray:
    """BLEU (Papineni et al. 2002) with sacreBLEU's exponential smoothing. [..., 10] → [...] in 0–100.

    The ten sums: hypothesis length, reference length, matching n-grams of order 1–4, hypothesis n-grams of order 1–4; those
    above the order `most` do not count.
    """
    sums = np.asarray(sums, dtype=np.float64)
    hypothesis_length, reference_length = sums[..., 0], sums[..., 1]
    correct, total = sums[..., 2 : 2 + most], sums[..., 2 + BLEU_ORDER : 2 + BLEU_ORDER + most]
    counted = total > 0
    # the k-th order without a match counts as 1 / 2^k of a match
    halvings = np.exp2(np.cumsum((correct == 0) & counted, axis=-1))
    precisions = np.where(correct > 0, correct, 1.0 / halvings) / np.where(counted, total, 1.0) * 100.0
    orders = np.maximum(counted.sum(axis=-1), 1) if effective_order else np.float64(most)
    log_precision = np.where(counted, np.log(precisions), 0.0).sum(axis=-1) / orders
    ratio = reference_length / np.maximum(hypothesis_length, 1.0)
    brevity = np.where(hypothesis_length < reference_length, np.exp(1.0 - np.maximum(ratio, 1.0)), 1.0)
    matched = (correct > 0).any(axis=-1) if smoothed else (correct > 0).all(axis=-1)
    defined = matched & (effective_order | counted.all(axis=-1))
    return np.where(defined, brevity * np.exp(log_precision), 0.0)


def chrf(sums: np.ndarray) -> np.ndarray:
    """chrF2 (Popović 2015): F-score, recall weighing double, of character n-grams of order 1–6. [..., 18] → [...] in 0–100.

    For each order three sums: n-grams of the hypothesis, of the reference, and of both.
    """
    sums = np.asarray(sums, dtype=np.float64)
    hypothesis, reference, match = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    counted = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(counted.sum(axis=-1), 1)
    mean_precision = np.where(counted, match / np.maximum(hypothesis, 1.0), 0.0).sum(axis=-1) / orders
    mean_recall = np.where(counted, match / np.maximum(reference, 1.0), 0.0).sum(axis=-1) / orders
    weight = CHRF_BETA**2
    below = weight * mean_precision + mean_recall
    return np.where(below > 0, 100.0 * (1 + weight) * mean_precision * mean_recall / np.where(below > 0, below, 1.0), 0.0)


def ter(sums: np.ndarray) -> np.ndarray:
    """TER (Snover et al. 2006): edits / reference words. [..., 2] → [...]; 0 is perfect, above 100 is possible."""
    sums = np.asarray(sums, dtype=np.float64)
    edits, words = sums[..., 0], sums[..., 1]
    return np.where(words > 0, 100.0 * edits / np.maximum(words, 1.0), np.where(edits > 0, 100.0, 0.0))


def cider(sums: np.ndarray) -> np.ndarray:
    """The mean of what coco-caption gives each picture, 0 to 10, times 100, as papers print it. [..., 2] → [...]"""
    return 100.0 * mean(sums)


def error_rate(sums: np.ndarray) -> np.ndarray:
    """WER and CER: what was substituted, deleted and inserted, for each wanted piece. [..., 4] → [...]; 0 is perfect.

    Above 100 is possible; where nothing is wanted each piece that was written counts as 100, as jiwer has it.
    """
    sums = np.asarray(sums, dtype=np.float64)
    return 100.0 * sums[..., :3].sum(axis=-1) / np.maximum(sums[..., 3], 1.0)


FORMULAS: dict[str, ScoreFunction | DrawFunction] = {
    "mean": mean,
    "share": share,
    "root_mean": root_mean,
    "exponential_mean": exponential_mean,
    "mean_bits": mean_bits,
    "pearson": pearson,
    "calibration_error": calibration_error,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "macro_precision": partial(macro, precision),
    "macro_recall": partial(macro, recall),
    "macro_f1": partial(macro, f1),
    "label_macro_precision": DrawFunction(partial(macro_of_decisions, precision)),
    "label_macro_recall": DrawFunction(partial(macro_of_decisions, recall)),
    "label_macro_f1": DrawFunction(partial(macro_of_decisions, f1)),
    "spearman": DrawFunction(spearman),
    "bleu": bleu,
    "chrf": chrf,
    "ter": ter,
    **{f"bleu{order}": partial(bleu, most=order, smoothed=False) for order in range(1, BLEU_ORDER + 1)},
    "cider": cider,
    "error_rate": error_rate,
}
# No plain shares.
PER_CENT = {name for name in FORMULAS if name.startswith(("macro_", "label_macro_", "bleu"))} | {
    "chrf",
    "ter",
    "cider",
    "error_rate",
}
UNBOUNDED = (
    "mean",
    "root_mean",
    "exponential_mean",
    "mean_bits",
    "ter",
    "error_rate",
)  # above; others end with their scale, or at 1:
CORRELATIONS = ("pearson", "spearman")
# Scores are in per cent and shown with two decimals; these are not, and have four.
DECIMALS = dict.fromkeys(("mean", "root_mean", "exponential_mean", "mean_bits", "pearson", "spearman"), 4)
# Where one example alone is scored otherwise: BLEU with effective order, as sacreBLEU advises for sentences; F1 of nothing.
FORMULAS_OF_ONE: dict[str, ScoreFunction] = {
    name: function for name, function in FORMULAS.items() if not isinstance(function, DrawFunction)
} | {
    "bleu": partial(bleu, effective_order=True),
    **{f"bleu{order}": partial(bleu, effective_order=True, most=order) for order in range(1, BLEU_ORDER + 1)},
    "f1": f1_of_one,
}


@dataclass(frozen=True)
class Share:
    """What a formula counts: `parts` makes of figures [..., K] what is right and of how many, [..., 2]; `value` of their share
    the score, from 0 to 1."""

    parts: Callable[[np.ndarray], np.ndarray]
    value: Callable[[float], float] = float


def _of(*counted: int) -> Callable[[np.ndarray], np.ndarray]:
    """What is right, of what is in these columns."""
    return lambda sums: np.stack((sums[..., 0], sum(sums[..., column] for column in counted)), -1)


# F1 is 2 J / (1 + J) of the share J of what is right in all that is chosen or gold, so the interval of J tells its own.
SHARES: dict[str, Share] = {
    "share": Share(lambda sums: sums),
    "precision": Share(_of(0, 1)),
    "recall": Share(_of(0, 2)),
    "f1": Share(_of(0, 1, 2), lambda share: 2 * share / (1 + share)),
}
