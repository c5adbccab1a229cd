"""A forecast as tables for people."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from headway.training.forecast import Forecast

TEXT_WIDTH = 88


def render(forecast: Forecast) -> RenderableType:
    parts: list[RenderableType] = [_parts_table(forecast), Padding("", (0, 0)), _memory_table(forecast)]
    if forecast.calibration or forecast.too_large_by:
        parts += [Padding("", (0, 0)), _time(forecast)]
    return Padding(Group(*parts), (1, 0, 1, 1))


def as_text(forecast: Forecast) -> str:
    console = Console(file=io.StringIO(), width=TEXT_WIDTH, force_terminal=False, color_system=None)
    console.print(forecast)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def _parts_table(forecast: Forecast) -> Table:
    parameters = sum(row.parameters for row in forecast.rows)
    flops = sum(row.flops for row in forecast.rows)
    table = _table("The model", "", "")
    for name in ("parameters", "share", "FLOPs a token", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for stack, group in itertools.groupby(forecast.rows, key=lambda row: row.stack):
        for index, row in enumerate(group):
            cells = (f"{row.parameters:,}" if row.parameters else "–", _share(row.parameters, parameters))
            work = (scaled(row.flops) if row.flops else "–", _share(row.flops, flops))
            table.add_row(Text.assemble((stack if index == 0 else "", "bold")), row.part, *cells, *work)
    table.add_section()
    table.add_row("total", "", f"{parameters:,}", "", scaled(flops), "", style="bold")
    table.caption = f"FLOPs: forward pass, for {_each(forecast)}; training takes 3 times as many"
    return table


def _each(forecast: Forecast) -> str:
    """What FLOPs and speed are counted by, and its lengths."""
    source, target = f"{forecast.source_length:.0f}", f"{forecast.target_length:.0f}"
    if forecast.noun == "pairs":
        return f"a target token, sentences of {source} source and {target} target tokens"
    if forecast.noun == "rows":
        return f"a token, rows of {target}"
    if any(row.stack == "decoder" for row in forecast.rows):
        return f"a target token, files of {source} positions and {target} target tokens"
    return f"a position, files of {source}"


def _memory_table(forecast: Forecast) -> Table:
    total = sum(forecast.memory.values())
    table = _table("Memory of training", "")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    for name, size in forecast.memory.items():
        table.add_row(name, as_size(size), _share(size, total))
    table.add_section()
    table.add_row("total", as_size(total), "", style="bold")
    table.caption = f"{forecast.precision}, updates of {forecast.batch_tokens:,} tokens, on each process; an estimate, ± 20 %"
    return table


def _table(title: str, *columns: str) -> Table:
    style = {"title_justify": "left", "title_style": "bold", "caption_justify": "left", "caption_style": "dim italic"}
    table = Table(title=title, box=box.SIMPLE, pad_edge=False, **style)  # type: ignore[arg-type]
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _time(forecast: Forecast) -> RenderableType:
    found = forecast.calibration
    if found is None:
        lacking = f"{as_size(forecast.too_large_by)} more memory than there is"
        return Text.assemble(("Time", "bold"), "\nnot measured: training would need ", (lacking, "bold red"))
    lines = Table(title="Time", box=None, title_justify="left", title_style="bold", pad_edge=False, show_header=False)
    lines.add_column()
    lines.add_column(justify="right", style="bold")
    counted = _each(forecast).partition(",")[0].removeprefix("a ")
    lines.add_row(f"{counted}s a second", f"{found.tokens_per_second:,.0f}")
    lines.add_row("an update", as_time(found.seconds_per_update))
    if forecast.rows_of_epoch:
        tokens = forecast.rows_of_epoch * (forecast.target_length + 1)
        lines.add_row(f"an epoch of {forecast.rows_of_epoch:,} {forecast.noun}", as_time(tokens / found.tokens_per_second))
    lines.add_row(f"all {forecast.updates:,} updates, without validation", as_time(forecast.updates * found.seconds_per_update))
    where = f"{found.device}, {found.threads} threads, {found.precision.name}: {found.precision.reason}"
    return Group(lines, Text(where, style="dim italic"))


def _share(value: float, total: float) -> str:
    share = value / total if total else 0.0
    return f"{share:.0%}" if share >= 0.005 else "<1%" if share else ""


def scaled(value: float) -> str:
    """12,300,000 → 12.3 M."""
    for unit in ("", "k", "M", "G", "T"):
        if value < 999.5 or unit == "T":
            return f"{value:.3g} {unit}".strip() if unit else f"{value:.0f}"
        value /= 1000
    raise AssertionError


def as_size(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size < 1e8 else f"{size / 1e6:.0f} MB"


def as_time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours / 24:.1f} days"
