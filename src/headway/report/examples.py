"""The examples of an evaluation as a report shows them: texts, score, confidence, oddities, and how they are explained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headway.config import OF_MEDIA
from headway.data.labels import Labels
from headway.data.tags import entities
from headway.evaluation.evaluated import Evaluated
from headway.evaluation.frequency import words
from headway.evaluation.outcome_record import AnswerRecord
from headway.report.breakdown import languages_of
from headway.report.material import Material
from headway.report.thumbnails import line_of
from headway.visible import in_a_shell

MOST_COMMAND = 2000  # characters of a text that a person may copy into a shell
# Of a source with a tab.
PARTS = {
    **dict.fromkeys(("pair_classification", "sentence_embedding"), ("first", "second")),
    "visual_question_answering": ("file", "question"),
    "multimodal_translation": ("file", "source"),
}


@dataclass(frozen=True)
class Example:
    """One example as the page shows it.

    Attributes:
        sides: what each text is called, the text, and its language.
        score: of the answer alone;  confidence: the probability that the model gave to its answer.
        marks: what is odd about the answer.
        asked: the line that `headway explain` takes, empty where it takes none;  to: the language that it is to write.
    """

    place: str
    sides: tuple[tuple[str, str, str], ...]
    score: float | None
    confidence: float | None
    marks: tuple[str, ...]
    asked: str
    to: str | None

    def command(self, run: Path) -> str:
        """What explains it; empty where it is too long to type."""
        if not self.asked or len(self.asked) > MOST_COMMAND:
            return ""
        towards = f" --to {self.to}" if self.to else ""
        return f"headway explain {in_a_shell(str(run))} {in_a_shell(self.asked)}{towards}"


def examples_of(evaluated: Evaluated, material: Material, marks: Sequence[Sequence[str]]) -> list[Example]:
    """Every example of an evaluation, in order; of plain text every row.

    Args:
        marks: what is odd about each answer.
    """
    source, target = languages_of(evaluated, material.config)
    if not evaluated.answers:
        # What hides words or spans is explained of a text with gaps, and not of the whole text.
        explained = evaluated.task == "language_model"
        return [
            Example(f"row {row}", (("text", one.text, source),), one.loss, None, (), one.text if explained else "", None)
            for row, one in enumerate(evaluated.passages, 1)
        ]
    measured = evaluated.of_one_example()
    scores: list[float | None] = measured.sentence_scores().tolist() if measured else [None] * len(evaluated.answers)
    towards = target if material.config.language_tags else None
    parts = material.config.data.parts(evaluated.record.split)  # type: ignore[arg-type]  # one of SPLITS, as it was written
    return [
        Example(
            one.place,
            tuple(_sides(one, evaluated.task, material.labels, (source, target))),
            score,
            _confidence(one, target),
            tuple(odd),
            line_of(one, parts) if evaluated.task in OF_MEDIA else _asked(one, evaluated.task),
            towards,
        )
        for one, score, odd in zip(evaluated.answers, scores, marks, strict=True)
    ]


def _sides(one: AnswerRecord, task: str, labels: Labels | None, languages: tuple[str, str]) -> list[tuple[str, str, str]]:
    source, target = languages
    wanted, got = " / ".join(one.references or [one.reference]), one.answer
    if task == "tagging" and labels is not None:
        wanted, got = (_tagged(one.source, tags, labels) for tags in (wanted, got))
    parts = one.source.split("\t", 1) if task in PARTS else [one.source]
    names = PARTS[task] if len(parts) > 1 else ("file" if task in OF_MEDIA else "source",)
    read = [(name, part, source) for name, part in zip(names, parts, strict=True)]
    if one.passage is not None:
        read = [("question", one.source, source), ("passage", one.passage, source)]
    return [*read, ("wanted", wanted, target), ("got", got, target)]


def _tagged(source: str, tags: str, labels: Labels) -> str:
    """The entities, or where tags are no entities each word with its own."""
    every, marked = source.split(" "), tags.split(" ")
    if labels.scheme == "plain":
        return " ".join(f"{word}/{tag}" for word, tag in zip(every, marked, strict=False))
    found = entities(marked, labels.scheme)
    return "; ".join(f"{' '.join(every[one.first : one.end])} ({one.kind})" for one in found)


def _confidence(one: AnswerRecord, language: str) -> float | None:
    """The probability of the answer; of a text that of a word of it, the geometric mean, so that length does not count."""
    if one.log_probability is None:
        return one.probability
    return math.exp(min(0.0, one.log_probability) / (1 + len(words(one.answer, language))))


def _asked(one: AnswerRecord, task: str) -> str:
    """The line that `headway predict` takes."""
    if task == "question_answering":
        return f"{one.source}\t{one.passage}" if one.passage is not None else ""
    return one.source if one.source.strip() else ""
