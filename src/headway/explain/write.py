"""An explanation as a file: a page, or all figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from headway.data.files import written_aside
from headway.explain.explanation import explain
from headway.explain.page import explanation_page
from headway.explain.subjects import Direction


def write_explanation(
    run: str, text: str, path: Path, decoding: Mapping[str, Any], direction: Direction, *, name: str | None = None
) -> str:
    """Explains the answer to a text, writes the file whose ending says in which form, and returns the answer.

    Args:
        run: a run directory or a model directory.
        name: what the run is called on the page.

    Raises: as `explain`; ResourceError where the file cannot be written.
    """
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading the model", total=None)

        def done(what: str, number: int, of: int) -> None:
            progress.update(task, description=what, completed=number, total=of)

        found = explain(run, text, decoding=decoding, direction=direction, done=done)
    if path.suffix.lower() == ".json":
        content = json.dumps(found.as_json(), ensure_ascii=False, allow_nan=False) + "\n"
    else:
        content = explanation_page(found, f"Explanation of {name or run}")
    with written_aside(path) as aside:
        aside.write_text(content, encoding="utf-8")
    return found.subject.answer
