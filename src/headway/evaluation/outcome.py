"""Evaluation of every task but translation: scores with intervals and their statistics, printed and written to disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rich import box
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from headway.config import OF_MEDIA, WITHOUT_TARGET
from headway.data.preparation import cut_warning
from headway.evaluation.embeddings import embedding_outcome
from headway.evaluation.generated import SCORES, generated_outcome
from headway.evaluation.labels import label_outcome
from headway.evaluation.metrics import Measurement
from headway.evaluation.outcome_record import Outcome, OutcomeRecord, TableRecord, save_outcome
from headway.evaluation.records import ScoreRecord, drawn_how
from headway.evaluation.request import Request, with_interval
from headway.evaluation.spans import span_outcome
from headway.evaluation.tags import tag_outcome
from headway.evaluation.text import text_outcome
from headway.tasks import TASKS
from headway.visible import visible

KEPT_WRONG, SHOWN_WRONG = 20, 5
OUTCOMES: dict[str, Callable[[Request], Outcome]] = {
    **dict.fromkeys(SCORES, generated_outcome),
    **dict.fromkeys(WITHOUT_TARGET, text_outcome),
    "classification": label_outcome,
    "pair_classification": label_outcome,
    "media_classification": label_outcome,
    "tagging": tag_outcome,
    "question_answering": span_outcome,
    "sentence_embedding": embedding_outcome,
}


@dataclass(frozen=True)
class OutcomeResult:
    """What was found, and where it was written."""

    record: OutcomeRecord
    outcome: Outcome
    files: list[Path]

    @property
    def scores(self) -> dict[str, float]:
        return {name: score.score for name, score in self.record.scores.items()}


def evaluate_outcome(request: Request, console: Console) -> OutcomeResult:
    """Answers and scores the examples, writes RUN/evaluation/<split>.* and prints a summary."""
    config = request.config
    with request.clock.measure("answer"):
        outcome = OUTCOMES[config.task](request)
        outcome = replace(outcome, answers=request.placed(outcome.answers))
        cut = _cut_warnings(request)

    def intervals(measured: Mapping[str, Measurement]) -> dict[str, ScoreRecord]:
        return {name: with_interval(measurement, config) for name, measurement in measured.items()}

    settings = config.evaluation
    with request.clock.measure("score"):
        scores = intervals(outcome.measurements)
        baselines = {name: intervals(measured) for name, measured in outcome.baselines.items()}
    made_of = request.made_of()
    record = OutcomeRecord(
        task=config.task,
        split=request.split,
        examples=len(request.examples),
        scores=scores,
        baselines=baselines,
        tables=outcome.tables,
        wrong=outcome.wrong[:KEPT_WRONG],
        bootstrap={"samples": settings.bootstrap_samples, "confidence": settings.confidence, "seed": settings.seed},
        **made_of | {"warnings": [*made_of["warnings"], *cut]},
    )
    files = save_outcome(request.run, record, outcome)
    _print(record, console, f"Evaluation of {request.run}")
    console.print(f"Written: {', '.join(str(file) for file in files)}", soft_wrap=True, markup=False, highlight=False)
    return OutcomeResult(record, outcome, files)


def _cut_warnings(request: Request) -> list[str]:
    """What the model did not read; the rows are made once more for it, so that no task can forget it."""
    config = request.config
    preparation = TASKS[config.task].preparation(request.loaded.tokenizers, config)
    tells = config.task not in (*WITHOUT_TARGET, *OF_MEDIA)  # which are packed, or scaled to what is read
    cut = preparation.rows_of_all(request.examples).cut if tells else 0
    return [cut_warning(cut, len(request.examples), config.data.max_length)] if cut else []


def _print(record: OutcomeRecord, console: Console, title: str) -> None:
    console.print(Rule(Text(visible(title), style="bold")))
    seconds = record.seconds.get("answer", 0.0)
    console.print(Text(f"{record.split} set: {record.examples:,} examples, {seconds:.1f} s"))
    console.print(_score_table(record))
    for score in record.scores.values():
        better = "" if score.higher_is_better else ", lower is better"
        console.print(Text(f"  {score.label}: {score.signature}{better}", style="dim"), soft_wrap=True)
    for table in record.tables:
        console.print(_figures(table))
    if record.wrong:
        console.print(Rule(Text("Some of what was wrong")))
    for wrong in record.wrong[:SHOWN_WRONG]:
        console.print(Text(f"line {wrong.line}: {visible(wrong.source[:300])}"), soft_wrap=True)
        console.print(Text(f"  {visible(wrong.problem)}", style="dim"), soft_wrap=True)
    for warning in record.warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"), soft_wrap=True)


def _score_table(record: OutcomeRecord) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("score")
    table.add_column("", justify="right")
    table.add_column(f"{100 * record.bootstrap['confidence']:g} % interval", justify="right")
    for name in record.baselines:
        table.add_column(Text(name, style="dim"), justify="right")
    for name, score in record.scores.items():
        interval = Text(f"{score.shown(score.low)} – {score.shown(score.high)}", style="cyan")
        found = [scores.get(name) for scores in record.baselines.values()]
        others = [Text(one.shown_with_interval() if one else "–", style="dim") for one in found]
        table.add_row(Text(score.label), Text(score.shown(score.score), style="bold"), interval, *others)
    table.caption = Text(drawn_how(record.bootstrap, record.format_version), style="dim")
    return table


def _figures(figures: TableRecord) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(figures.title, style="bold"), title_justify="left")
    for number, name in enumerate(figures.head):
        table.add_column(Text(visible(name)), justify="right" if number else "left")
    for row in figures.rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table
