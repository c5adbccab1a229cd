"""A classifier and texts it has not seen → scores, figures of each label, confusions, and what simple methods reach."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from headway.data.labelled import Labelled, read_labelled
from headway.data.labels import Labels
from headway.data.preparation import read_all
from headway.errors import HeadwayError
from headway.evaluation.baselines import label_baselines
from headway.evaluation.confidence import logits_of, promise_table
from headway.evaluation.formulas import label_sums
from headway.evaluation.label_scores import kind_scores, rows_of_kinds
from headway.evaluation.metrics import Measurement
from headway.evaluation.outcome_record import AnswerRecord, Outcome, TableRecord, Wrong
from headway.evaluation.request import Request
from headway.inference.labelling import LabelAnswer, label_answers, label_scores

MOST_CONFUSED = 20  # labels that a table of confusions has room for
PIECE = 256  # texts whose probabilities are held at once
_log = logging.getLogger(__name__)


def label_outcome(request: Request) -> Outcome:
    """What the model says of the examples of a set, and how good that is."""
    loaded, config, examples = request.loaded, request.config, request.examples
    labels = loaded.tokenizers.labels
    assert labels is not None
    logits_NL, calibration = logits_of(request), loaded.calibration
    measurements = label_scores(logits_NL, examples, labels)
    if calibration is not None:
        logits_NL = logits_NL / calibration.temperature
        before = uncalibrated(measurements["calibration"])
        measurements = label_scores(logits_NL, examples, labels) | before
    answers = _answers(logits_NL, labels)
    tables = _tables(measurements, examples, labels, config.evaluation.confidence)
    if calibration is not None:
        tables.append(promise_table(calibration, answers, examples, config.evaluation.confidence))
    return Outcome(
        measurements=measurements,
        answers=[_record(example, answer) for example, answer in zip(examples, answers, strict=True)],
        wrong=_surest_wrong(examples, answers),
        tables=tables,
        baselines=_baselines(request, labels),
    )


def uncalibrated(measured: Measurement) -> dict[str, Measurement]:
    """A calibration error from before the confidence was calibrated, under a name of its own."""
    return {"calibration_before": replace(measured, name="calibration_before", label="calibration error, uncalibrated")}


def _answers(logits_NL: Tensor, labels: Labels) -> list[LabelAnswer]:
    """Without the probabilities of every label: of many labels and texts they fill the memory."""
    return [replace(answer, probabilities=()) for some in logits_NL.split(PIECE) for answer in label_answers(some, labels)]


def _record(example: Labelled, answer: LabelAnswer) -> AnswerRecord:
    return AnswerRecord(
        line=example.line,
        source=example.source,
        reference=", ".join(example.labels),
        answer=answer.text,
        probability=answer.score,
    )


def _surest_wrong(examples: Sequence[Labelled], answers: Sequence[LabelAnswer]) -> list[Wrong]:
    """Wrong labels, those first that the model was surest of; of several the order is no matter, and no number is sure."""
    found = [
        (answer.score, example, answer)
        for example, answer in zip(examples, answers, strict=True)
        if answer.score is not None and set(answer.labels) != set(example.labels)
    ]
    return [
        Wrong(
            line=example.line,
            source=example.source,
            problem=f"wanted {', '.join(example.labels)}, got {answer.text or 'no label'}, {score:.0%} sure",
        )
        for score, example, answer in sorted(found, key=lambda one: -one[0])
    ]


def _baselines(request: Request, labels: Labels) -> dict[str, dict[str, Measurement]]:
    """What simple methods reach; where they cannot be had, that is said."""
    data = request.config.data
    try:
        train, validation = (list(read_all(read_labelled, data, split)) for split in ("train", "validation"))
        return label_baselines(train, validation, request.examples, labels, request.config)
    except HeadwayError as error:
        say_no_baseline(error)
        return {}


def say_no_baseline(error: HeadwayError) -> None:
    _log.warning("no baseline beside these scores: %s", error)


def _tables(
    measurements: Mapping[str, Measurement], examples: Sequence[Labelled], labels: Labels, confidence: float
) -> list[TableRecord]:
    if labels.kind == "number":
        return []
    every = labels.with_others(example.labels for example in examples)
    decisions = measurements["macro_f1"].statistics
    sums_L3 = label_sums(decisions, np.ones((1, len(decisions))), every.outputs)[0]
    head = ["label", "precision", "recall", "F1", "texts"]
    rows = rows_of_kinds(kind_scores(sums_L3, every.names, confidence))
    tables = [TableRecord(title=f"each label ({100 * confidence:g} % interval)", head=head, rows=rows)]
    if labels.kind == "one" and every.outputs <= MOST_CONFUSED:
        chosen, missed = decisions.T // 3
        counts = np.zeros((every.outputs, labels.outputs), dtype=int)
        np.add.at(counts, (np.where(missed < 0, chosen, missed), chosen), 1)
        confusions = [[name, *map(str, counts[row])] for row, name in enumerate(every.names)]
        tables.append(TableRecord(title="label (rows) against answer (columns)", head=["", *labels.names], rows=confusions))
    return tables
