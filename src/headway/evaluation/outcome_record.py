"""What an evaluation found, as it stands in memory and on disk.

RUN/evaluation/<split>.json holds the scores, <split>.statistics.json what each example adds to them, so that two runs can be
compared without answering anything again, <split>.answers.jsonl the answers, <split>.passages.jsonl the rows of plain text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field

from headway.evaluation.formulas import FORMULAS
from headway.evaluation.metrics import Measurement
from headway.evaluation.records import (
    FORMAT_VERSION,
    ExampleRecord,
    Record,
    ScoreRecord,
    load_record,
    read,
    record_path,
    stranger,
    write_record,
    write_whole,
)


class AnswerRecord(ExampleRecord):
    """One example and what became of it."""

    source: str
    reference: str
    references: list[str] | None = None  # where several answers are right all of them, `reference` first
    answer: str
    probability: float | None = None  # of a label, of the least sure tag, of the answer against there being none
    log_probability: float | None = None  # of a written answer, under the model
    passage: str | None = None  # that a question is asked about


class PassageRecord(Record):
    """A row of plain text, and what the model makes of it."""

    text: str
    nats: float  # −log p of what was to be guessed in it
    tokens: int  # that were to be guessed

    @property
    def loss(self) -> float:
        return self.nats / max(self.tokens, 1)


class TableRecord(Record):
    """Figures of parts, as text."""

    title: str
    head: list[str]
    rows: list[list[str]]


class Wrong(Record):
    """A wrong answer, for people to read: the worst come first."""

    line: int
    source: str
    problem: str


class OutcomeRecord(Record):
    """All that an evaluation found, and all that it takes to do it again."""

    format_version: int = FORMAT_VERSION
    task: str
    split: str
    examples: int
    scores: dict[str, ScoreRecord]
    baselines: dict[str, dict[str, ScoreRecord]] = Field(default_factory=dict)
    tables: list[TableRecord]
    wrong: list[Wrong]  # some of them
    bootstrap: dict[str, int | float]
    warnings: list[str]
    fingerprints: dict[str, str]
    seconds: dict[str, float]
    versions: dict[str, str]
    files: dict[str, str] = Field(default_factory=dict)  # those beside it → SHA-256


@dataclass(frozen=True)
class Outcome:
    """Scores with the statistics of each example, and where the model's answers are texts or labels, these too."""

    measurements: dict[str, Measurement]
    answers: list[AnswerRecord] = field(default_factory=list)
    passages: list[PassageRecord] = field(default_factory=list)  # of plain text, which has no answers
    tables: list[TableRecord] = field(default_factory=list)
    baselines: dict[str, dict[str, Measurement]] = field(default_factory=dict)
    wrong: list[Wrong] = field(default_factory=list)


class SavedOutcome(NamedTuple):
    """An evaluation read back."""

    record: OutcomeRecord
    measurements: dict[str, Measurement]
    answers: list[AnswerRecord]  # none where the answers are no texts or labels
    passages: list[PassageRecord]


def save_outcome(run: Path, record: OutcomeRecord, outcome: Outcome) -> list[Path]:
    """Writes the files, the scores last, so that they never speak of what is not there. Raises ResourceError."""
    sums = {name: measurement.statistics.tolist() for name, measurement in outcome.measurements.items()}
    texts = {
        "statistics": json.dumps(sums, allow_nan=False) + "\n",
        "answers": _lines(outcome.answers),
        "passages": _lines(outcome.passages),
    }
    written = {name: _beside(run, record.split, name) for name, text in texts.items() if text}
    for name, path in written.items():
        write_whole(path, texts[name])
    whole = record.model_copy(update={"files": {name: _digest(texts[name]) for name in written}})
    path = record_path(run, record.split)
    write_record(path, whole)
    return [path, *written.values()]


def load_outcome(run: Path, split: str) -> SavedOutcome:
    """Reads an evaluation back. Raises ModelError without a run, DataError where there is none or its files do not fit."""
    record = load_record(OutcomeRecord, run, split)
    texts = {name: read(_beside(run, split, name), str) for name in record.files}
    for name, text in texts.items():
        if _digest(text) != record.files[name]:
            raise stranger(_beside(run, split, name))
    sums = json.loads(texts["statistics"])
    measurements = {
        name: Measurement(name, score.label, score.signature, np.array(sums[name]), score.formula, score.higher_is_better)
        for name, score in record.scores.items()
        if score.formula in FORMULAS
    }
    answers, passages = (texts.get(name, "").split("\n")[:-1] for name in ("answers", "passages"))
    return SavedOutcome(
        record,
        measurements,
        [AnswerRecord.model_validate_json(line) for line in answers],
        [PassageRecord.model_validate_json(line) for line in passages],
    )


def _lines(records: Sequence[Record]) -> str:
    return "".join(json.dumps(one.model_dump(), ensure_ascii=False, allow_nan=False) + "\n" for one in records)


def _beside(run: Path, split: str, name: str) -> Path:
    return record_path(run, split).with_name(f"{split}.{name}.{'json' if name == 'statistics' else 'jsonl'}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
