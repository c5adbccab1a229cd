"""An explanation as a file: a page, or all figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from headway.config import Split
from headway.data.files import written_aside
from headway.explain.explanation import explain
from headway.explain.heads import HeadReport, important_heads
from headway.explain.page import explanation_page, heads_page
from headway.explain.request import Direction
from headway.model_dir import LoadedModel, load_model


def write_heads(run: str, path: Path, split: Split | None, *, name: str) -> HeadReport:
    """Tries a model without each of its heads, and writes what it loses. Raises as `important_heads` does."""
    with _progress() as progress:
        task = progress.add_task("reading the model", total=None)
        loaded = load_model(run)

        def done(number: int, of: int) -> None:
            progress.update(task, description="heads", completed=number, total=of)

        report = important_heads(loaded, split=split or "validation", done=done)
    if path.suffix.lower() == ".json":
        _write(path, json.dumps(asdict(report), ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _write(path, heads_page(report, f"Which heads of {name} matter"))
    return report


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _write(path: Path, content: str) -> None:
    with written_aside(path) as aside:
        aside.write_text(content, encoding="utf-8")


def write_explanation(
    run: str | LoadedModel,
    text: str,
    path: Path,
    decoding: Mapping[str, Any],
    direction: Direction,
    *,
    name: str,
    neighbours: bool = False,
    progress: str = "",
) -> str:
    """Explains the answer to a text, writes the file whose ending says in which form, and returns the answer.

    Args:
        run: a run directory, a model directory, or a model that is loaded.
        name: of what is explained, for the title of the page.
        progress: what the progress bar says before what is computed.

    Raises: as `explain`; ResourceError where the file cannot be written.
    """
    with _progress() as bar:
        task = bar.add_task(f"{progress}reading the model", total=None)

        def done(what: str, number: int, of: int) -> None:
            bar.update(task, description=f"{progress}{what}", completed=number, total=of or None)

        found = explain(run, text, decoding=decoding, direction=direction, neighbours=neighbours, done=done)
    if path.suffix.lower() == ".json":
        _write(path, json.dumps(found.as_json(), ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _write(path, explanation_page(found, f"Explanation of {name}"))
    return found.subject.answer
