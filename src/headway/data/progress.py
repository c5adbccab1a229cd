"""A bar on standard error for reading many pairs, shown only once it has taken a while."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress

SILENT_SECONDS = 2.0


class PairsProgress:
    """To be used in a `with` statement; `advance` after every piece.

    Args:
        what: such as "tokenising train.en and train.de".
        total: pairs in all, where that is known.
        unit: what is counted.
    """

    def __init__(self, what: str, total: int | None, unit: str = "pairs") -> None:
        self._what, self._total, self._unit, self._done = what, total, unit, 0
        self._began = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, pairs: int) -> None:
        self._done += pairs
        if self._bar is None and time.monotonic() - self._began > SILENT_SECONDS:
            self._bar = self._start()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)

    def _start(self) -> Progress:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(self._unit),
            TimeRemainingColumn(),
        )
        bar = Progress(*columns, console=Console(file=sys.stderr), transient=True)
        bar.add_task(escape(self._what), total=self._total)
        bar.start()
        return bar
