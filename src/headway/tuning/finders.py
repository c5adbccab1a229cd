"""`headway tune --find`: one setting, found by trying it out. What is told goes to standard error, the setting is returned."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from headway.tuning.batch_size import Tried, largest_batch
from headway.tuning.finder_pages import HEAD, row, write_largest_batch, write_range_test
from headway.tuning.range_test import range_test
from headway.tuning.search_space import Search, read_search


def find(what: str, config: str, overrides: Sequence[str]) -> str:
    """A line `key=value` that can follow any command on this configuration; a page beside the search tells how it was found.

    Args:
        what: learning_rate or batch_tokens.

    Raises:
        HeadwayError: what stands in the way.
    """
    search = read_search(config, overrides, only_base=True)
    console = Console(file=sys.stderr, stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
    if search.spaces:
        console.print(f"with {', '.join(f'{space.name}={space.stand_in}' for space in search.spaces)}", markup=False)
    return _learning_rate(search, console) if what == "learning_rate" else _batch_tokens(search, console)


def _learning_rate(search: Search, console: Console) -> str:
    found = range_test(search.base)
    page = write_range_test(found, _page(search, "learning_rate"), search.base.run_directory)
    low, high = found.space
    console.print(f"{len(found.rates)} updates; for a search: learning_rate: {{log: [{low:g}, {high:g}]}}", markup=False)
    console.print(f"page: {page}", markup=False)
    return f"training.learning_rate={found.suggested:g}"


def _batch_tokens(search: Search, console: Console) -> str:
    def told(one: Tried) -> None:
        console.print(" · ".join(f"{name} {figure}".strip() for name, figure in zip(HEAD, row(one), strict=True) if figure))

    found = largest_batch(search.base, told)
    page = write_largest_batch(found, _page(search, "batch_tokens"), search.base.run_directory)
    console.print(f"none larger: {found.reason}", markup=False)
    console.print(f"page: {page}", markup=False)
    return f"training.batch_tokens={found.best.batch_tokens}"


def _page(search: Search, name: str) -> Path:
    return search.directory / f"{name}.html"
