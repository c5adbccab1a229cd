"""Labels out of the model: rows in, what the head makes of each out, and from that the answers and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headway.data.labelled import Labelled
from headway.data.labels import Labels
from headway.data.preparation import MemoryRows, Preparation
from headway.evaluation.label_scores import calibration, number_scores, one_label_scores, several_label_scores
from headway.evaluation.metrics import Measurement
from headway.model.transformer import Transformer
from headway.tasks import label

BATCH_TOKENS = 4096
NOT_SURE = "?"
MAIN_SCORE = {"one": "accuracy", "several": "micro_f1", "number": "pearson"}


@dataclass(frozen=True)
class LabelAnswer:
    """What a model says of a text."""

    labels: tuple[str, ...]  # one, any number of them, or a number as text; none for a blank text
    probabilities: tuple[float, ...] = ()  # of all labels in their order; none for a number
    score: float | None = None  # probability of the label, or of the least likely of several; a number has none
    abstains: bool = False  # it is not as sure as was asked for

    @property
    def text(self) -> str:
        return NOT_SURE if self.abstains else ", ".join(self.labels)


@torch.inference_mode()
def label_logits(model: Transformer, rows: MemoryRows, preparation: Preparation) -> Tensor:
    """What the head makes of each row, [N, L] float32 on the CPU."""
    device = next(model.parameters()).device
    updates = preparation.updates(rows, BATCH_TOKENS, 0, None)
    found: Tensor | None = None
    for index in range(len(updates)):
        batch = updates.batch(index)
        logits_BL = label.logits(model, batch.source_ids.to(device), batch.source_mask.to(device)).cpu()
        if found is None:
            found = logits_BL.new_empty(len(rows), logits_BL.shape[1])
        found[batch.indices] = logits_BL
    assert found is not None
    return found


def label_answers(logits_NL: Tensor, labels: Labels) -> list[LabelAnswer]:
    """The label with the highest probability; all with more than a half where there may be several; the number."""
    if labels.kind == "number":
        return [LabelAnswer((f"{value * labels.deviation + labels.mean:.6g}",)) for value in logits_NL[:, 0].tolist()]
    if labels.kind == "several":
        return [_several_labels(row, labels) for row in logits_NL.sigmoid().tolist()]
    rows = logits_NL.softmax(1).tolist()
    return [LabelAnswer((labels.names[row.index(max(row))],), tuple(row), max(row)) for row in rows]


def _several_labels(probabilities: list[float], labels: Labels) -> LabelAnswer:
    """All that are more likely than not; where there are none, as sure as the likeliest one is not true."""
    chosen = {name: p for name, p in zip(labels.names, probabilities, strict=True) if p > 0.5}
    score = min(chosen.values()) if chosen else 1 - max(probabilities)
    return LabelAnswer(tuple(chosen), tuple(probabilities), score)


def label_scores(logits_NL: Tensor, examples: Sequence[Labelled], labels: Labels) -> dict[str, Measurement]:
    """The scores of what the head makes of some examples; labels that the model does not know are always missed."""
    if labels.kind == "number":
        found = logits_NL[:, 0].double().numpy() * labels.deviation + labels.mean
        return number_scores(found, np.array([float(example.labels[0]) for example in examples]))
    every = labels.with_others(example.labels for example in examples)
    if labels.kind == "several":
        chosen_NL = np.zeros((len(examples), every.outputs), dtype=bool)
        chosen_NL[:, : labels.outputs] = logits_NL.numpy() > 0
        gold_NL, probability_NL = gold_matrix(examples, every), logits_NL.double().sigmoid().numpy()
        right_NL, sure_NL = (chosen_NL == gold_NL)[:, : labels.outputs], np.maximum(probability_NL, 1 - probability_NL)
        sure = calibration(right_NL.ravel(), sure_NL.ravel(), np.repeat(range(len(examples)), labels.outputs), len(examples))
        return several_label_scores(chosen_NL, gold_NL) | {sure.name: sure}
    probability, chosen = logits_NL.double().softmax(1).max(1)
    gold = np.array([every.numbers[example.labels[0]] for example in examples])
    return one_label_scores(chosen.numpy(), gold, probability.numpy())


def gold_matrix(examples: Sequence[Labelled], labels: Labels) -> np.ndarray:
    """Which labels each example has, bool [N, L]; `labels` must hold all of them."""
    gold = np.zeros((len(examples), labels.outputs), dtype=bool)
    for row, example in enumerate(examples):
        gold[row, [labels.numbers[name] for name in example.labels]] = True
    return gold
