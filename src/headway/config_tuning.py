"""A search space in a configuration: `{log: [1e-4, 5e-3]}` in place of a value, and the section `tuning` on how to search it.

`headway tune` alone reads them. Everywhere else they are mistakes, which say what to do instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from headway.config_data import MANY, PathText, Section
from headway.config_reader import Document, Key, dotted, short

KINDS = ("log", "uniform", "int", "choice")
SECTION = "tuning"
DEFAULT_TRIALS = 30

Pruning = Literal["successive_halving", "hyperband", "median", "none"]
Metric = Literal["score", "loss", "bits_per_byte"]


class TuningConfig(Section):
    """How a search space is searched."""

    trials: int | None = Field(
        None, gt=0, le=1_000_000, description=f"trainings in all; default: {DEFAULT_TRIALS}, unless there are minutes"
    )
    minutes: float | None = Field(None, gt=0, le=1e7, description="time in all in which the search is at work")
    metric: Metric | None = Field(None, description="what is compared; default: training.best_by")
    sampler: Literal["tpe", "random"] = Field("tpe", description="tree-structured Parzen estimator (Bergstra et al. 2011)")
    startup_trials: int = Field(10, ge=0, le=1_000_000, description="drawn by chance before TPE learns from them")
    seed: int = Field(1, ge=0, lt=1 << 31, description="of the sampler")
    pruning: Pruning = Field(
        "successive_halving", description="asynchronous (Li et al. 2020); hyperband: Li et al. 2018; median: Golovin et al. 2017"
    )
    reduction_factor: int = Field(3, ge=2, le=100, description="of so many trials one goes on at each rung")
    first_rung: int = Field(1, gt=0, le=MANY, description="validations before a trial may be pruned")
    finalists: int = Field(
        0,
        ge=0,
        le=1000,
        description="the best so many train again with other seeds when the trials are over; then the means decide",
    )
    final_seeds: int = Field(3, ge=2, le=100, description="of each finalist in all")
    workers: int = Field(1, gt=0, le=1024, description="trials that train at the same time; --workers")
    storage: str | None = Field(None, min_length=1, description="URL of a database; default: a journal in the directory")
    keep: Literal["all", "complete", "best"] = Field("complete", description="trials whose weights are kept")
    directory: PathText | None = Field(None, description="where trials and the page go; default: run_directory-tuning")

    @property
    def most_trials(self) -> int | None:
        return DEFAULT_TRIALS if self.trials is None and self.minutes is None else self.trials


def is_space(value: Any) -> bool:
    """Whether a value is a search space; it may still be a wrong one."""
    return isinstance(value, dict) and any(isinstance(value.get(kind), list) for kind in KINDS)


def search_spaces(values: Any, key: Key = ()) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Every search space of a configuration, in order, with its key."""
    if key and is_space(values):
        yield key, values
    elif isinstance(values, dict | list):
        for part, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from search_spaces(value, (*key, part))


def refuse_search_spaces(document: Document) -> None:
    """Takes search spaces and the section `tuning` out of a configuration that is not to be tuned; they are its mistakes."""
    for key, space in reversed(list(search_spaces(document.values))):
        document.mistakes.append(
            f"{document.place(key)}: {dotted(key)}: is a search space for `headway tune` — give it a value, or take that of a "
            f"trial: --from-trial N (got {short(space)})"
        )
        inside: Any = document.values
        for part in key[:-1]:
            inside = inside[part]
        del inside[key[-1]]
    if SECTION in document.values:
        document.mistakes.append(
            f"{document.place((SECTION,))}: {SECTION}: this section is for `headway tune` and --from-trial N — take it out"
        )
        del document.values[SECTION]
