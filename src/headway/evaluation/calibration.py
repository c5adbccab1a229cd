"""Confidence that can be believed: a temperature for the logits, and from which confidence on an answer is right often enough.

N texts, L labels. Both are fitted on examples that the model has not learned from, and stand beside its weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from headway.evaluation.distributions import share_at_least

Numbers = NDArray[np.float64]
HOTTEST = 100.0  # a temperature is between its reciprocal and this
HALVINGS = 60
STEPS = 20  # thresholds that are looked at: those that answer 1/20, 2/20, … of the texts
RISK = 0.05  # that a promise on precision is not kept


@dataclass(frozen=True)
class Threshold:
    """Of the validation texts, so many were answered with this confidence or more, and so many of these rightly."""

    confidence: float
    answered: int
    right: int


@dataclass(frozen=True)
class Calibration:
    """What makes the confidence of a model believable.

    Attributes:
        temperature: what the logits are divided by.
        examples: that it was fitted on.
        loss_before, loss_after: their mean negative log-likelihood, without the temperature and with it.
        thresholds: at most `STEPS`, the highest first.
        data: fingerprint of the files that it was fitted on.
    """

    temperature: float
    examples: int
    loss_before: float
    loss_after: float
    thresholds: tuple[Threshold, ...]
    data: str = ""

    def proven(self, threshold: Threshold) -> float:
        """The precision above a threshold that the validation texts prove, at `RISK`, whichever of the thresholds is chosen.

        The bound of Clopper and Pearson, its risk shared out among the thresholds that might have been chosen (Bonferroni).
        """
        return share_at_least(threshold.right, threshold.answered, 1 - RISK / STEPS)

    def promise(self, precision: float) -> Threshold | None:
        """The lowest threshold above which at least this share of the answers is right; None where none is proven to be so."""
        kept = [one for one in self.thresholds if self.proven(one) >= precision]
        return max(kept, key=lambda one: one.answered, default=None)

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Raises ValueError for what `as_json` did not write."""
        try:
            values = json.loads(text)
            thresholds = tuple(Threshold(**one) for one in values.pop("thresholds"))
            found = cls(thresholds=thresholds, **values)
        except (TypeError, KeyError, AttributeError, RecursionError):
            raise ValueError("is no calibration") from None
        figures = (found.temperature, found.loss_before, found.loss_after, *(one.confidence for one in thresholds))
        counts = [found.examples, *(count for one in thresholds for count in (one.answered, one.right))]
        sound = all(isinstance(x, float | int) and math.isfinite(x) for x in figures) and all(type(x) is int for x in counts)
        if not sound or not found.temperature > 0 or any(not 0 <= one.right <= one.answered for one in thresholds):
            raise ValueError("has figures that no calibration has")
        return found


def _temperature(gap: Callable[[float], float], loss: Callable[[float], float]) -> tuple[float, float, float]:
    """The temperature (Guo et al. 2017, section 4.2), and the loss without and with it.

    Args:
        gap: how much more the model expects of its logits than it gets, when they are multiplied by a number: the derivative
            of the loss, which is convex. loss: of the same.
    """
    low, high = -math.log(HOTTEST), math.log(HOTTEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if gap(math.exp(middle)) < 0 else (low, middle)
    return math.exp(-(low + high) / 2), loss(1.0), loss(math.exp((low + high) / 2))


def temperature_of_one(logits_NL: Numbers, gold_N: NDArray[np.int64]) -> tuple[float, float, float]:
    """Temperature and losses where each text has one label.

    The targets leave 1 / (N + 2) to chance (Platt 1999, section 2.2): a set without errors would ask for temperature 0.
    """
    texts, chance = np.arange(len(gold_N)), 1 / (len(gold_N) + 2)
    wanted_N = (1 - chance) * logits_NL[texts, gold_N] + chance * logits_NL.mean(1)

    def log_p(scale: float) -> Numbers:
        scaled_NL = scale * logits_NL
        scaled_NL = scaled_NL - scaled_NL.max(1, keepdims=True)
        return scaled_NL - np.log(np.exp(scaled_NL).sum(1, keepdims=True))

    def gap(scale: float) -> float:
        return float(((np.exp(log_p(scale)) * logits_NL).sum(1) - wanted_N).mean())

    return _temperature(gap, lambda scale: float(-log_p(scale)[texts, gold_N].mean()))


def temperature_of_several(logits_NL: Numbers, gold_NL: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Temperature and losses, of a decision, where each label may be true or not."""
    chance = 1 / (len(gold_NL) + 2)
    target_NL = np.where(gold_NL, 1 - chance, chance)

    def gap(scale: float) -> float:
        probability_NL = 0.5 * (1 + np.tanh(scale * logits_NL / 2))
        return float(((probability_NL - target_NL) * logits_NL).mean())

    def loss(scale: float) -> float:
        return float(np.logaddexp(0, np.where(gold_NL, -scale, scale) * logits_NL).mean())

    return _temperature(gap, loss)


def thresholds(confidence_N: Numbers, right_N: NDArray[np.bool_]) -> tuple[Threshold, ...]:
    """What came of answering the surest 1/20, 2/20, … of the texts: shares that were fixed before anything was looked at."""
    surest = np.sort(confidence_N)[::-1]
    lowest = [surest[math.ceil(len(surest) * step / STEPS) - 1] for step in range(1, STEPS + 1)]
    found = []
    for confidence in dict.fromkeys(lowest):
        answered_N = confidence_N >= confidence
        found.append(Threshold(float(confidence), int(answered_N.sum()), int(right_N[answered_N].sum())))
    return tuple(found)
