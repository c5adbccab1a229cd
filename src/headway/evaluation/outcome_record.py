"""What an evaluation found, as it stands in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from headway.evaluation.metrics import Measurement
from headway.evaluation.records import FORMAT_VERSION, ExampleRecord, Record, ScoreRecord


class AnswerRecord(ExampleRecord):
    """One example and what became of it."""

    source: str
    reference: str
    answer: str
    probability: float | None = None


class TableRecord(Record):
    """Figures of parts, as text."""

    title: str
    head: list[str]
    rows: list[list[str]]


class OutcomeRecord(Record):
    """All that an evaluation found, and all that it takes to do it again."""

    format_version: int = FORMAT_VERSION
    task: str
    split: str
    examples: int
    scores: dict[str, ScoreRecord]
    baselines: dict[str, dict[str, ScoreRecord]]
    tables: list[TableRecord]
    bootstrap: dict[str, int | float]
    warnings: list[str]
    fingerprints: dict[str, str]
    seconds: dict[str, float]
    versions: dict[str, str]


class Wrong(NamedTuple):
    """A wrong answer, for people to read: the worst come first."""

    line: int
    source: str
    problem: str


@dataclass(frozen=True)
class Outcome:
    """Scores with the statistics of each example, and where the model's answers are texts or labels, these too."""

    measurements: dict[str, Measurement]
    answers: list[AnswerRecord] = field(default_factory=list)
    tables: list[TableRecord] = field(default_factory=list)
    baselines: dict[str, dict[str, Measurement]] = field(default_factory=dict)
    wrong: list[Wrong] = field(default_factory=list)
