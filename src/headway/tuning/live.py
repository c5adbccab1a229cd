"""What a person sees of a search: a live table on a terminal, a line for each event elsewhere. All on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from headway.config_reader import short
from headway.tuning.finals import best_trial, told_best
from headway.tuning.search_space import Search
from headway.tuning.workers import minutes_at_work
from headway.visible import visible

if TYPE_CHECKING:
    from headway.tuning.search import Running

SHOWN_TRIALS = 12
REFRESH_SECONDS = 1.0
STATES = {
    TrialState.COMPLETE: ("complete", "green"),
    TrialState.PRUNED: ("pruned", "yellow"),
    TrialState.FAIL: ("failed", "red"),
    TrialState.RUNNING: ("under way", "cyan"),
    TrialState.WAITING: ("waiting", "dim"),
}


class Shown:
    def __init__(self, space: Search, study: optuna.Study) -> None:
        self._space, self._study = space, study
        self.console = Console(file=sys.stderr, stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
        # refreshed by hand: a thread of its own would be in the way of starting processes
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        self._next = 0.0

    def __enter__(self) -> Self:
        searched = ", ".join(space.name for space in self._space.spaces)
        self.say(f"searching {searched} in {self._space.directory}, by the validation {self._space.metric}")
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self.console.print(Text(text))

    def event(self, number: int, text: str) -> None:
        """What became of a trial."""
        self.say(f"trial {number}: {visible(text.replace(chr(10), ' '))}")

    def refresh(self, running: Sequence[Running]) -> None:
        if self.console.is_terminal and time.monotonic() >= self._next:
            self._next = time.monotonic() + REFRESH_SECONDS
            self._live.update(self._table(running), refresh=True)

    def _table(self, running: Sequence[Running]) -> Group:
        trials = self._study.get_trials(deepcopy=False)
        best = best_trial(self._study)
        table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
        for name in ("trial", "", self._space.metric, "update"):
            table.add_column(name, justify="left" if not name else "right", no_wrap=True)
        table.add_column("settings", overflow="ellipsis", no_wrap=True, ratio=1)  # what is left of the width
        under_way = {one.number: one for one in running}
        chosen = [trial for trial in trials if trial.number in under_way or trial == best]
        others = [trial for trial in trials if trial not in chosen]
        for trial in sorted([*others[-max(0, SHOWN_TRIALS - len(chosen)) :], *chosen], key=lambda trial: trial.number):
            word, style = STATES[trial.state]
            one = under_way.get(trial.number)
            done = f"{one.metrics.update:,}/{one.updates:,}" if one else f"{trial.user_attrs.get('update', 0):,}"
            settings = shown_settings(self._space.settings_of(trial.params)) if trial.params else ""
            told = trial.user_attrs.get("cause", settings).replace("\n", " ")
            star = "★ " if best is not None and trial.number == best.number else ""
            table.add_row(f"{star}{trial.number}", Text(word, style), shown_value(trial), done, Text(visible(told)))
        return Group(table, Text(self._head(trials), style="bold"))

    def _head(self, trials: Sequence[FrozenTrial]) -> str:
        settings = self._space.settings
        ended = sum(trial.state.is_finished() for trial in trials)
        parts = [f"{ended} of {settings.most_trials} trials" if settings.most_trials else f"{ended} trials"]
        limit = f" of {settings.minutes:g}" if settings.minutes else ""
        parts.append(f"{minutes_at_work(self._study):.1f}{limit} minutes")
        parts.append(f"best: {told_best(self._study, self._space.metric)}")
        return " · ".join(parts)


def shown_value(trial: FrozenTrial) -> str:
    """The value of a trial, or the best so far."""
    value = trial.value
    if value is None and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    return "–" if value is None else f"{value:.4g}"


def short_names(names: Sequence[str]) -> list[str]:
    """The last word of each name, where it is the name of one alone."""
    last = [name.rpartition(".")[2] for name in names]
    return [word if last.count(word) == 1 else name for word, name in zip(last, names, strict=True)]


def shown_settings(settings: Mapping[str, Any]) -> str:
    """Settings in one line."""
    values = zip(short_names(list(settings)), settings.values(), strict=True)
    return " ".join(f"{name}={short(value)}" for name, value in values)
