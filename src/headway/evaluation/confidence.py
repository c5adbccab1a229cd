"""The confidence of a trained classifier made believable: fitted on its validation set, stored beside its weights, and held to
what it promised on another set."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from headway.config import TrainingConfig
from headway.data.labelled import Labelled
from headway.data.labels import Labels
from headway.errors import DataError, UsageError
from headway.evaluation.calibration import Calibration, temperature_of_one, temperature_of_several, thresholds
from headway.evaluation.distributions import wilson
from headway.evaluation.outcome_record import TableRecord
from headway.evaluation.request import Request, open_request
from headway.inference.labelling import LabelAnswer, gold_matrix, label_answers, label_logits
from headway.inference.tagging import word_logits
from headway.model_dir import CALIBRATION, add_calibration
from headway.tasks import TASKS
from headway.training.parallel import choose_device

PROMISES = (0.90, 0.95, 0.99)


def calibrate_run(run: Path, overrides: Sequence[str], console: Console) -> Calibration:
    """Fits a temperature and thresholds on the validation set of a run, stores them in its model directory, and says what came
    of it.

    Raises UsageError for a task whose answers are no labels, and as `open_request` does.
    """
    request = open_request(run, overrides, "validation")
    labels = request.loaded.tokenizers.labels
    if labels is None or labels.kind == "number":
        what = request.config.task.replace("_", " ") + (" of numbers" if labels is not None else "")
        remedy = "leave it out: only labels and tags have such a confidence"
        raise UsageError(f"{what} has no confidence to calibrate", where="--calibrate", remedy=remedy)
    if labels.kind == "tags":
        calibration = _calibration_of_tags(request)
    else:
        calibration = calibration_of(logits_of(request), request.examples, labels)
    calibration = replace(calibration, data=request.data)
    directory = add_calibration(request.loaded.directory, calibration)
    console.print(
        f"Temperature {calibration.temperature:.3f}, fitted on {calibration.examples:,} validation texts: "
        f"loss {calibration.loss_before:.4f} → {calibration.loss_after:.4f}. Written: {directory / CALIBRATION}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    return calibration


def _calibration_of_tags(request: Request) -> Calibration:
    """Of the words that the model read, but for tags that it does not know; sentences are not left unanswered."""
    loaded, config = request.loaded, request.config
    preparation = TASKS[config.task].preparation(loaded.tokenizers, config)
    model = loaded.model.to(choose_device(TrainingConfig()))
    found = [two for _, *two in word_logits(model, preparation.rows_of_all(request.examples), preparation)]
    logits_WL, gold_W = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    _refuse_nothing(gold_W)
    temperature, before, after = temperature_of_one(logits_WL.astype(np.float64), gold_W)
    return Calibration(temperature, len(request.examples), before, after, ())


def _refuse_nothing(known: Sized) -> None:
    if not len(known):
        problem = "the validation set has none of the labels that the model knows"
        raise DataError(problem, where="data.validation", remedy="calibrate on texts with labels that it has learned")


def logits_of(request: Request) -> Tensor:
    """What the head makes of each example, [N, L]."""
    loaded, config = request.loaded, request.config
    preparation = TASKS[config.task].preparation(loaded.tokenizers, config)
    model = loaded.model.to(choose_device(TrainingConfig()))  # that of this machine, whatever it was trained on
    return label_logits(model, preparation.rows_of_all(request.examples), preparation)


def calibration_of(logits_NL: Tensor, examples: Sequence[Labelled], labels: Labels) -> Calibration:
    """What the logits of some texts and their labels tell. A label that the model does not know is no fault of its confidence:
    such a text is left out of the fit, but is a wrong answer above every threshold."""
    logits = logits_NL.double().numpy()
    if labels.kind == "several":
        every = labels.with_others(example.labels for example in examples)
        temperature, before, after = temperature_of_several(logits, gold_matrix(examples, every)[:, : labels.outputs])
    else:
        known = [row for row, example in enumerate(examples) if example.labels[0] in labels.numbers]
        _refuse_nothing(known)
        gold = np.array([labels.numbers[examples[row].labels[0]] for row in known], dtype=np.int64)
        temperature, before, after = temperature_of_one(logits[known], gold)
    confidence_N, right_N = sure_and_right(label_answers(logits_NL / temperature, labels), examples)
    return Calibration(temperature, len(examples), before, after, thresholds(confidence_N, right_N))


def sure_and_right(answers: Sequence[LabelAnswer], examples: Sequence[Labelled]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How sure each answer is, and whether it has all labels of its text and no other."""
    right = [set(answer.labels) == set(example.labels) for answer, example in zip(answers, examples, strict=True)]
    return np.array([answer.score for answer in answers], dtype=np.float64), np.array(right, dtype=bool)


def promise_table(
    calibration: Calibration, answers: Sequence[LabelAnswer], examples: Sequence[Labelled], confidence: float
) -> TableRecord:
    """For some precisions what `headway predict --precision` would leave blank here, and whether the promise is kept."""
    sure_N, right_N = sure_and_right(answers, examples)
    rows = []
    for precision in PROMISES:
        threshold = calibration.promise(precision)
        if threshold is None:
            rows.append([f"{100 * precision:g}", "–", "–", "–", "cannot be promised"])
            continue
        answered_N = sure_N >= threshold.confidence
        answered, right = int(answered_N.sum()), int(right_N[answered_N].sum())
        cells = [f"{100 * precision:g}", f"{threshold.confidence:.4f}", f"{100 * answered_N.mean():.1f}"]
        if not answered:
            rows.append([*cells, "–", "nothing was answered"])
            continue
        low, high = wilson(right / answered, answered, confidence)
        kept = "yes" if right >= precision * answered else "within chance" if high >= precision else "no"
        rows.append([*cells, f"{100 * right / answered:.1f} ({100 * low:.1f}–{100 * high:.1f})", kept])
    head = ["precision promised, %", "confidence from", "answered, %", "precision, %", "kept"]
    return TableRecord(title="answers that are sure enough (thresholds of the validation set)", head=head, rows=rows)
