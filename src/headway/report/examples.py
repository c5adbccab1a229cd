"""Examples to read: the worst, the best and those that the model was least sure of, and a table of all of them to search."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from headway.config import Config
from headway.evaluation.analysis import worst_and_best
from headway.evaluation.evaluated import Evaluated
from headway.evaluation.frequency import words
from headway.evaluation.metrics import Measurement
from headway.evaluation.outcome_record import AnswerRecord
from headway.evaluation.records import EvaluationRecord
from headway.pages.charts import number
from headway.pages.document import data_block, text
from headway.report.breakdown import languages_of
from headway.report.training_text import WRITTEN
from headway.visible import in_a_shell, visible

MOST_EXAMPLES = 1000  # in the table
SHOWN = 5  # of the worst, of the best, of the least sure
MOST_CHARACTERS = 2000  # of a text that is shown; a longer one makes no command either


@dataclass(frozen=True)
class Example:
    """One example as the page shows it.

    Attributes:
        score: of the answer alone;  sureness: what the model gave to its answer, 0 to 1.
        command: that explains it; empty where there is none to type.
    """

    place: str
    source: str
    reference: str
    answer: str
    score: float | None
    sureness: float | None
    marks: tuple[str, ...]
    command: str
    languages: tuple[str, str]


def examples_of(evaluated: Evaluated, config: Config, run: Path, marks: Sequence[Sequence[str]]) -> list[Example]:
    """Every example of an evaluation, in order.

    Args:
        marks: what is odd about each answer.
    """
    languages = languages_of(evaluated, config)
    if not evaluated.answers:
        return [
            Example(f"row {row}", one.text, "", "", one.loss, None, (), _command(run, one.text, ""), languages)
            for row, one in enumerate(evaluated.passages, 1)
        ]
    measured = evaluated.of_one_example()
    scores: list[float | None] = measured.sentence_scores().tolist() if measured else [None] * len(evaluated.answers)
    target = languages[1] if config.language_tags and isinstance(evaluated.record, EvaluationRecord) else ""
    return [
        Example(
            one.place,
            one.source,
            one.reference,
            one.answer,
            score,
            _sureness(one, languages[1]),
            tuple(odd),
            _command_of(one, evaluated.task, run, target),
            languages,
        )
        for one, score, odd in zip(evaluated.answers, scores, marks, strict=True)
    ]


def _sureness(one: AnswerRecord, language: str) -> float | None:
    """The probability of the answer; of a text that of a word of it, the geometric mean, so that long texts are not unsure."""
    if one.log_probability is None:
        return one.probability
    return math.exp(min(0.0, one.log_probability) / (1 + len(words(one.answer, language))))


def _command_of(one: AnswerRecord, task: str, run: Path, target: str) -> str:
    if task == "question_answering":
        return "" if one.passage is None else _command(run, f"{one.source}\t{one.passage}", "")
    return _command(run, one.source, target)


def _command(run: Path, text: str, target: str) -> str:
    """What is to be typed for an explanation."""
    if not text.strip() or len(text) > MOST_CHARACTERS:
        return ""
    return f"headway explain {in_a_shell(str(run))} {in_a_shell(text)}" + (f" --to {target}" if target else "")


def chosen_part(evaluated: Evaluated, examples: Sequence[Example]) -> str:
    """The worst, the best and the least sure, each with how to have it explained."""
    quality = _quality(evaluated)
    lengths = [len(one.source) for one in examples]
    if quality is None:
        return ""
    known = [one.sureness if one.sureness is not None else 0.0 for one in examples]
    worst, best = worst_and_best(quality, lengths, SHOWN, sureness=known)
    parts = [
        *_articles(f"The worst, by {quality.label}", worst, examples, quality),
        *_articles(f"The best, by {quality.label}", best, examples, quality),
    ]
    if any(one.sureness is not None for one in examples):
        unsure = sorted(range(len(examples)), key=lambda place: (_or_one(examples[place].sureness), place))[:SHOWN]
        parts += _articles("Those that it was least sure of", unsure, examples, quality)
    return "\n".join(parts)


def _quality(evaluated: Evaluated) -> Measurement | None:
    if evaluated.answers:
        return evaluated.of_one_example()
    return evaluated.measurements.get("loss") if evaluated.passages else None


def _or_one(sureness: float | None) -> float:
    return 1.0 if sureness is None else sureness


def _articles(title: str, places: Sequence[int], examples: Sequence[Example], quality: Measurement) -> Iterator[str]:
    if not places:
        return
    yield f"<h3>{text(title)}</h3>"
    for place in places:
        one = examples[place]
        figures = [f"{quality.label} {number(one.score)}"] if one.score is not None else []
        figures += [f"{100 * one.sureness:.1f} % sure"] if one.sureness is not None else []
        shown = "".join(f'<dt>{name}<dd dir="auto" lang="{text(language)}">{_shown(raw)}' for name, raw, language in _sides(one))
        yield (
            f'<article><p class="soft">{text(one.place)}: {text(", ".join([*figures, *one.marks]))}</p>'
            f"<dl>{shown}</dl>{_copyable(one.command)}</article>"
        )


def _sides(one: Example) -> Iterator[tuple[str, str, str]]:
    """What is shown of an example, what it is called, and in which language it is."""
    source, target = one.languages
    yield "source", one.source, source
    if one.reference or one.answer:
        yield "wanted", one.reference, target
        yield "got", one.answer, target


def _shown(raw: str) -> str:
    return text(raw[:MOST_CHARACTERS]) + (" …" if len(raw) > MOST_CHARACTERS else "") if raw.strip() else "<i>(empty)</i>"


def _copyable(command: str) -> str:
    """The script of the page gives it a button."""
    return f'<p class="command"><code>{text(command)}</code></p>' if command else ""


def table_part(tables: Sequence[tuple[Evaluated, Sequence[Example]]]) -> str:
    """A table of at most `MOST_EXAMPLES`, which the script of the page fills, searches, filters and sorts."""
    every = [(evaluated, one) for evaluated, examples in tables for one in examples]
    if not every:
        return ""
    step = -(-len(every) // MOST_EXAMPLES)
    some = every[::step]
    quality = _quality(some[0][0])
    note = f"{len(some):,} of {len(every):,} examples, every {step}th" if step > 1 else f"all {len(every):,} examples"
    block = {
        "score": quality.label if quality else "",
        "compares": some[0][0].task in WRITTEN,
        "rows": [_row(one, evaluated.name if len(tables) > 1 else "") for evaluated, one in some],
    }
    if block["compares"]:
        note += "; words of an answer that are not wanted, and wanted ones that it lacks, are underlined"
    return f'<p class=soft>{note}.</p><div id="examples"></div>{data_block("examples-data", block)}'


def _row(one: Example, direction: str) -> list[str | float | list[str] | None]:
    """As examples.js reads it."""
    sides = (
        visible(raw[:MOST_CHARACTERS]) + (" …" if len(raw) > MOST_CHARACTERS else "")
        for raw in (one.source, one.reference, one.answer)
    )
    score = round(one.score, 4) if one.score is not None else None
    sureness = round(one.sureness, 4) if one.sureness is not None else None
    return [f"{direction}, {one.place}" if direction else one.place, *sides, score, sureness, list(one.marks), one.command]
