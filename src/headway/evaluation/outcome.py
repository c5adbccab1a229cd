"""Evaluation of every task but translation: scores with intervals and their statistics, printed and written to disk.

RUN/evaluation/<split>.json holds the scores, <split>.statistics.json what each example adds to them, so that two runs can be
compared without answering anything again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from headway.config import TrainingConfig
from headway.evaluation.analysis import visible
from headway.evaluation.metrics import Measurement
from headway.evaluation.records import FORMAT_VERSION, Record, ScoreRecord, record_path, write_whole
from headway.evaluation.request import Request, with_interval
from headway.evaluation.text import row_losses, text_scores
from headway.tasks import TASKS
from headway.training.parallel import choose_device


class OutcomeRecord(Record):
    """All that an evaluation found, and all that it takes to do it again."""

    format_version: int = FORMAT_VERSION
    task: str
    split: str
    examples: int
    scores: dict[str, ScoreRecord]
    bootstrap: dict[str, int | float]
    warnings: list[str]
    fingerprints: dict[str, str]
    seconds: dict[str, float]
    versions: dict[str, str]


@dataclass(frozen=True)
class OutcomeResult:
    """What was found, and where it was written."""

    record: OutcomeRecord
    files: list[Path]

    @property
    def scores(self) -> dict[str, float]:
        return {name: score.score for name, score in self.record.scores.items()}


def evaluate_outcome(request: Request, console: Console) -> OutcomeResult:
    """Scores the examples, writes RUN/evaluation/<split>.* and prints a summary."""
    config = request.config
    with request.clock.measure("answer"):
        measured = _measure(request)
    settings = config.evaluation
    with request.clock.measure("score"):
        scores = {name: with_interval(measurement, config) for name, measurement in measured.items()}
    record = OutcomeRecord(
        task=config.task,
        split=request.split,
        examples=len(request.examples),
        scores=scores,
        bootstrap={"samples": settings.bootstrap_samples, "confidence": settings.confidence, "seed": settings.seed},
        **request.made_of(),
    )
    files = _save(request.run, record, measured)
    _print(record, console, f"Evaluation of {request.run}")
    console.print(f"Written: {', '.join(str(file) for file in files)}", soft_wrap=True, markup=False, highlight=False)
    return OutcomeResult(record, files)


def _measure(request: Request) -> dict[str, Measurement]:
    loaded, config = request.loaded, request.config
    preparation = TASKS[config.task].preparation(loaded.tokenizers, config.data)
    rows = preparation.rows_of_all(request.examples)
    model = loaded.model.to(choose_device(TrainingConfig()))  # that of this machine, whatever it was trained on
    text_bytes = sum(len(example.source.encode()) for example in request.examples)
    return text_scores(row_losses(model, rows, preparation), text_bytes)


def _save(run: Path, record: OutcomeRecord, measured: Mapping[str, Measurement]) -> list[Path]:
    """Writes both files, the scores last, so that they never speak of statistics that are not there. Raises ResourceError."""
    path = record_path(run, record.split)
    details = path.with_name(f"{record.split}.statistics.json")
    statistics: dict[str, Any] = {name: measurement.statistics.tolist() for name, measurement in measured.items()}
    write_whole(details, json.dumps(statistics, allow_nan=False) + "\n")
    write_whole(path, json.dumps(record.model_dump(), ensure_ascii=False, allow_nan=False, indent=2) + "\n")
    return [path, details]


def _print(record: OutcomeRecord, console: Console, title: str) -> None:
    console.print(Rule(Text(visible(title), style="bold")))
    seconds = record.seconds.get("answer", 0.0)
    console.print(Text(f"{record.split} set: {record.examples:,} examples, {seconds:.1f} s"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("score")
    table.add_column("", justify="right")
    table.add_column(f"{100 * record.bootstrap['confidence']:g} % interval", justify="right")
    table.add_column("")
    for score in record.scores.values():
        better = "higher is better" if score.higher_is_better else "lower is better"
        interval = Text(f"{score.low:.4f} – {score.high:.4f}", style="cyan")
        table.add_row(Text(score.label), Text(f"{score.score:.4f}", style="bold"), interval, Text(better, style="dim"))
    drawn = f"bootstrap of {record.bootstrap['samples']:,.0f} samples, seed {record.bootstrap['seed']:.0f}"
    table.caption = Text(drawn, style="dim")
    console.print(table)
    for score in record.scores.values():
        console.print(Text(f"  {score.label}: {score.signature}", style="dim"), soft_wrap=True)
    for warning in record.warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"), soft_wrap=True)
