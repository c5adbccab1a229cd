"""A classifier and texts it has not seen → scores, figures of each label, confusions, and what simple methods reach."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from headway.config import TrainingConfig
from headway.data.labelled import Labelled, read_labelled
from headway.data.labels import Labels
from headway.data.preparation import read_all
from headway.errors import HeadwayError
from headway.evaluation.baselines import label_baselines
from headway.evaluation.label_scores import per_label
from headway.evaluation.metrics import Measurement
from headway.evaluation.outcome_record import AnswerRecord, Outcome, TableRecord, Wrong
from headway.evaluation.request import Request
from headway.inference.labelling import LabelAnswer, gold_matrix, label_answers, label_logits, label_scores
from headway.tasks import TASKS
from headway.training.parallel import choose_device

MOST_CONFUSED = 20  # labels that a table of confusions has room for
_log = logging.getLogger(__name__)


def label_outcome(request: Request) -> Outcome:
    """What the model says of the examples of a set, and how good that is."""
    loaded, config, examples = request.loaded, request.config, request.examples
    labels = loaded.tokenizers.labels
    assert labels is not None
    preparation = TASKS[config.task].preparation(loaded.tokenizers, config)
    model = loaded.model.to(choose_device(TrainingConfig()))  # that of this machine, whatever it was trained on
    logits_NL = label_logits(model, preparation.rows_of_all(examples), preparation)
    answers = label_answers(logits_NL, labels)
    answered = [_record(example, answer) for example, answer in zip(examples, answers, strict=True)]
    return Outcome(
        measurements=label_scores(logits_NL, examples, labels),
        answers=answered,
        wrong=_surest_wrong(answered),
        tables=_tables(examples, answers, labels),
        baselines=_baselines(request, labels),
    )


def _record(example: Labelled, answer: LabelAnswer) -> AnswerRecord:
    return AnswerRecord(
        line=example.line,
        source=example.source,
        reference=", ".join(example.labels),
        answer=answer.text,
        probability=answer.score,
    )


def _surest_wrong(answers: Sequence[AnswerRecord]) -> list[Wrong]:
    """Wrong labels, those first that the model was surest of."""
    wrong = [one for one in answers if one.answer != one.reference and one.probability is not None]
    wrong.sort(key=lambda one: -(one.probability or 0.0))
    return [
        Wrong(line=one.line, source=one.source, problem=f"wanted {one.reference}, got {one.answer}, {one.probability:.0%} sure")
        for one in wrong
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


def _tables(examples: Sequence[Labelled], answers: Sequence[LabelAnswer], labels: Labels) -> list[TableRecord]:
    if labels.kind == "number":
        return []
    every = labels.with_others(example.labels for example in examples)
    gold_NL = gold_matrix(examples, every)
    chosen_NL = np.array([[name in answer.labels for name in every.names] for answer in answers])
    rows: list[list[Any]] = [
        [row["label"], *(f"{row[name]:.1f}" for name in ("precision", "recall", "f1")), f"{row['texts']:,.0f}"]
        for row in per_label(chosen_NL, gold_NL, every.names)
    ]
    tables = [TableRecord(title="each label", head=["label", "precision", "recall", "F1", "texts"], rows=rows)]
    if labels.kind == "one" and every.outputs <= MOST_CONFUSED:
        counts = gold_NL.astype(int).T @ chosen_NL[:, : labels.outputs].astype(int)
        confusions = [[name, *map(str, counts[row])] for row, name in enumerate(every.names)]
        tables.append(TableRecord(title="label (rows) against answer (columns)", head=["", *labels.names], rows=confusions))
    return tables
