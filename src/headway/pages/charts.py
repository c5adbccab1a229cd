"""Charts as SVG in a page: lines, bars, points, maps of a table. Each stands beside the very figures that it draws.

Colours are classes of page.css, so a chart follows the page into the dark; the table below it is what page.js hands
out as data, and what a screen reader reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headway.pages.document import table, text

WIDTH, HEIGHT = 720, 280
LEFT, RIGHT, TOP, BOTTOM = 76, 28, 12, 44
COLOURS = 6  # .line0 to .line5 of page.css
MOST_POINTS = 400  # of a line; a screen has not many more


@dataclass(frozen=True)
class Series:
    """A line, or a cloud of points; `low` and `high` are the ends of each point's interval."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    joined: bool = True  # by a line, where it is drawn among lines


@dataclass(frozen=True)
class Axis:
    """One of parallel axes: where each line crosses it, by numbers or by some of the `words`, which stand in their order."""

    name: str
    values: Sequence[float | str]
    words: Sequence[str] = ()
    log: bool = False


def number(value: float) -> str:
    """As people read it: 4 digits, no more."""
    if not math.isfinite(value):
        return "–"
    if value and (abs(value) < 1e-3 or abs(value) >= 1e7):
        return f"{value:.3g}"
    digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
    shown = f"{value:,.{digits}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


class Scale:
    """From values to places on the paper, straight or logarithmic, with round ticks."""

    def __init__(
        self,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        log: bool = False,
        from_zero: bool = False,
        margin: float = 0.0,
    ) -> None:
        known = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [0.0 if not log else 1.0]
        low, high = min(known), max(known)
        if from_zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
        room = margin * (high - low)
        if room and not log:
            low, high = low - room, high + room
        self.log, self.low, self.high = log, low, high
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        if self.log:
            value = math.log(max(value, 1e-300))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            fine = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
            inside = [tick for tick in fine if self.low <= tick <= self.high]
            coarse = [tick for tick in inside if f"{tick:e}".startswith("1")]
            return inside if len(inside) <= most else coarse[:: -(-len(coarse) // most)]
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first = math.ceil(self.low / step - 1e-9)
        return [index * step for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


def figure(title: str, svg: str, data: str, *, note: str = "") -> str:
    """A chart with its title and its figures; page.js adds the buttons that save it."""
    caption = f"<figcaption>{text(title)}{f' <span class=soft>{text(note)}</span>' if note else ''}</figcaption>"
    return f"<figure class=chart>{caption}\n{svg}\n<details><summary>the figures</summary>{data}</details></figure>"


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    points: bool = False,
    diagonal: bool = False,
    within: Sequence[float] = (),
    note: str = "",
) -> str:
    """Lines over one pair of axes, with intervals as bars where a series has them.

    Args:
        points: draw a mark at every value.
        diagonal: draw where x and y are equal.
        within: values that both axes reach, whatever the lines do.
    """
    drawn = [thinned(one) for one in series if len(one.x)]
    x = Scale([*within, *(value for one in drawn for value in one.x)], LEFT, WIDTH - RIGHT, log=log_x)
    y_values = [*within, *(value for one in drawn for value in (*one.y, *one.low, *one.high))]
    y = Scale(y_values, HEIGHT - BOTTOM, TOP, log=log_y, margin=0.04)
    body = [*_axes(x, y, x_label, y_label)]
    if diagonal:
        low, high = max(x.low, y.low), min(x.high, y.high)
        body.append(f'<path class=diagonal d="M{x(low):.1f} {y(low):.1f}L{x(high):.1f} {y(high):.1f}"/>')
    for place, one in enumerate(drawn):
        body += _line(one, x, y, place % COLOURS, points or len(one.x) == 1 or not one.joined)
    if any(len(one.x) > MOST_POINTS for one in series):
        note = f"{note}; every so many values are drawn".lstrip("; ")
    svg = _svg("".join(body), title) + (_legend([one.name for one in drawn]) if len(drawn) > 1 else "")
    return figure(title, svg, _line_table(drawn, x_label), note=note)


def thinned(series: Series) -> Series:
    """At most `MOST_POINTS` of its values, evenly chosen, the last among them."""
    count = len(series.x)
    if count <= MOST_POINTS:
        return series
    kept = sorted({round(place * (count - 1) / (MOST_POINTS - 1)) for place in range(MOST_POINTS)})
    x, y, low, high = ([values[place] for place in kept] if len(values) else () for values in _columns_of(series))
    return Series(series.name, x, y, low, high, series.joined)


def _columns_of(series: Series) -> tuple[Sequence[float], ...]:
    return series.x, series.y, series.low, series.high


def _line(one: Series, x: Scale, y: Scale, colour: int, points: bool) -> Iterator[str]:
    at = [(x(a), y(b)) if math.isfinite(b) and (b > 0 or not y.log) else None for a, b in zip(one.x, one.y, strict=True)]
    path, pen = [], "M"
    for place in at:
        path.append(f"{pen}{place[0]:.1f} {place[1]:.1f}" if place else "")
        pen = "L" if place else "M"
    if one.joined:
        yield f'<path class="line line{colour}" d="{"".join(path)}"/>'
    for low, high, place in zip(one.low, one.high, at, strict=False):
        if place:
            yield f'<path class="whisker line{colour}" d="M{place[0]:.1f} {y(low):.1f}V{y(high):.1f}"/>'
    for place, a, b in zip(at, one.x, one.y, strict=True):
        if place:
            tip = text(f"{one.name}: {number(a)} → {number(b)}")
            shown = f"dot dot{colour}" if points else "dot hidden"
            yield f'<circle class="{shown}" cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="{3 if points else 5}" data-tip="{tip}"/>'


def scatter_chart(title: str, series: Sequence[Series], x_label: str, y_label: str, *, tips: Sequence[Sequence[str]] = ()) -> str:
    """Clouds of points; `tips` says what each point of each series is."""
    x = Scale([value for one in series for value in one.x], LEFT, WIDTH - RIGHT, margin=0.04)
    y = Scale([value for one in series for value in one.y], HEIGHT - BOTTOM, TOP, margin=0.04)
    body = [*_axes(x, y, x_label, y_label)]
    for place, one in enumerate(series):
        for index, (a, b) in enumerate(zip(one.x, one.y, strict=True)):
            tip = text(tips[place][index] if tips else f"{one.name}: {number(a)}, {number(b)}")
            body.append(f'<circle class="dot dot{place % COLOURS}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="4" data-tip="{tip}"/>')
    rows = [(one.name, number(a), number(b)) for one in series for a, b in zip(one.x, one.y, strict=True)]
    svg = _svg("".join(body), title) + (_legend([one.name for one in series]) if len(series) > 1 else "")
    return figure(title, svg, table(("", x_label, y_label), rows))


def bar_chart(title: str, names: Sequence[str], bars: Series, y_label: str = "", *, note: str = "") -> str:
    """A bar to the right for each name, with its interval where its ends are numbers; the x of `bars` is not used."""
    row, left = 24, 16 + 7.2 * min(28, max(map(len, names), default=0))
    height = TOP + row * len(names) + BOTTOM
    scale = Scale([*bars.y, *bars.low, *bars.high], left, WIDTH - 80, from_zero=True)
    body = []
    for tick in scale.ticks():
        at = f"{scale(tick):.1f}"
        body.append(f'<path class=grid d="M{at} {TOP}V{height - BOTTOM}"/>')
        body.append(f'<text class=tick x="{at}" y="{height - BOTTOM + 16}" text-anchor="middle">{number(tick)}</text>')
    for place, (name, value) in enumerate(zip(names, bars.y, strict=True)):
        middle = TOP + row * place + row / 2
        start, end = sorted((scale(0.0), scale(value)))
        known = bool(bars.low) and math.isfinite(bars.low[place])
        interval = f" ({number(bars.low[place])}–{number(bars.high[place])})" if known else ""
        tip = text(f"{name}: {number(value)}{interval}")
        shown = name if len(name) <= 28 else f"{name[:27]}…"
        body.append(f'<text class=name x="{left - 8:.1f}" y="{middle + 4:.1f}" text-anchor="end">{text(shown)}</text>')
        size = f'width="{max(end - start, 0.5):.1f}" height="16"'
        body.append(f'<rect class=bar x="{start:.1f}" y="{middle - 8:.1f}" {size} data-tip="{tip}"/>')
        if known:
            body.append(f'<path class=whisker d="M{scale(bars.low[place]):.1f} {middle:.1f}H{scale(bars.high[place]):.1f}"/>')
        furthest = max(end, scale(bars.high[place])) if known else end
        body.append(f'<text class=value x="{furthest + 6:.1f}" y="{middle + 4:.1f}">{number(value)}</text>')
    body.append(
        f'<text class=label x="{(left + WIDTH - 80) / 2:.0f}" y="{height - 6}" text-anchor="middle">{text(y_label)}</text>'
    )
    head = ("", y_label or "value", *(("from", "to") if bars.low else ()))
    columns = (bars.y, bars.low, bars.high) if bars.low else (bars.y,)
    rows = [(name, *(number(column[place]) for column in columns)) for place, name in enumerate(names)]
    return figure(title, _svg("".join(body), title, height), table(head, rows), note=note)


def heat_map(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    *,
    row_label: str,
    column_label: str,
) -> str:
    """A table of numbers as shades, each cell with its number where there is room; a row's shades are shares of its sum."""
    side = max(22.0, min(64.0, (WIDTH - 220) / max(1, len(columns))))
    left, top = 190, 30 + 6.2 * min(16, max(map(len, columns), default=0))
    width, height = left + side * len(columns) + 20, top + side * len(rows) + 12
    body = [
        f'<text class=label x="{left}" y="14">{text(column_label)} →</text>',
        f'<text class=label x="{left - 8}" y="{top - 8:.0f}" text-anchor="end">{text(row_label)} ↓</text>',
    ]
    for place, name in enumerate(columns):
        x = left + side * (place + 0.5) + 4
        shown = name if len(name) <= 16 else f"{name[:15]}…"
        body.append(f'<text class=name transform="translate({x:.1f} {top - 6:.1f}) rotate(-60)">{text(shown)}</text>')
    for i, (name, cells) in enumerate(zip(rows, values, strict=True)):
        y, total = top + side * i, sum(cells) or 1.0
        shown = name if len(name) <= 24 else f"{name[:23]}…"
        body.append(f'<text class=name x="{left - 8}" y="{y + side / 2 + 4:.1f}" text-anchor="end">{text(shown)}</text>')
        for j, value in enumerate(cells):
            x, share = left + side * j, value / total
            tip = text(f"{row_label} {name}, {column_label} {columns[j]}: {number(value)} ({100 * share:.1f} %)")
            body.append(
                f'<rect class=cell x="{x:.1f}" y="{y:.1f}" width="{side - 1:.1f}" height="{side - 1:.1f}" '
                f'fill-opacity="{share:.3f}" data-tip="{tip}"/>'
            )
            if value and side >= 30:
                light = " light" if share > 0.55 else ""
                body.append(
                    f'<text class="count{light}" x="{x + side / 2:.1f}" y="{y + side / 2 + 4:.1f}" text-anchor="middle">'
                    f"{number(value)}</text>"
                )
    figures = [(name, *map(number, cells)) for name, cells in zip(rows, values, strict=True)]
    data = table((f"{row_label} \\ {column_label}", *columns), figures)
    return figure(title, _svg("".join(body), title, height, width), data)


def parallel_chart(title: str, axes: Sequence[Axis], names: Sequence[str], ranks: Sequence[float], *, note: str = "") -> str:
    """Parallel coordinates (Inselberg 1985): an upright axis for each figure, a line across all of them for each of `names`.

    Args:
        ranks: of each line, from 0, the faintest, to 1; that of rank 1 has a colour of its own.
    """
    width, top, bottom = max(WIDTH, 60 + 116 * len(axes)), 52, HEIGHT
    places = [70 + (width - 140) * place / max(1, len(axes) - 1) for place in range(len(axes))]
    scales = [_parallel_scale(axis, bottom, top) for axis in axes]
    crossed = list(zip(places, axes, scales, strict=True))
    body = []
    for line in sorted(range(len(names)), key=lambda line: ranks[line]):  # the best above the others
        at = "L".join(f"{x:.1f} {scale(_crossing(axis, line)):.1f}" for x, axis, scale in crossed)
        tip = " · ".join([names[line], *(f"{axis.name} {_figure(axis.values[line])}" for axis in axes)])
        faint = "" if ranks[line] == 1 else f' opacity="{0.15 + 0.6 * ranks[line]:.2f}"'
        body.append(f'<path class="line strand line{int(ranks[line] == 1)}"{faint} d="M{at}" data-tip="{text(tip)}"/>')
    for place, (x, axis, scale) in enumerate(crossed):
        body.append(f'<path class=axis d="M{x:.1f} {top}V{bottom}"/>')
        name = axis.name if len(axis.name) <= 24 else f"…{axis.name[-23:]}"
        body.append(f'<text class=name x="{x:.1f}" y="{16 + 16 * (place % 2)}" text-anchor="middle">{text(name)}</text>')
        body += [
            f'<text class="tick halo" x="{x - 6:.1f}" y="{scale(tick) + 4:.1f}" text-anchor="end">{text(word)}</text>'
            for tick, word in _parallel_ticks(axis, scale)
        ]
    rows = [(name, *(_figure(axis.values[line]) for axis in axes)) for line, name in enumerate(names)]
    data = table(("", *(axis.name for axis in axes)), rows)
    return figure(title, _svg("".join(body), title, bottom + 14, width), data, note=note)


def _parallel_scale(axis: Axis, start: float, end: float) -> Scale:
    values = list(range(len(axis.words))) if axis.words else [float(value) for value in axis.values]
    return Scale(values, start, end, log=axis.log)


def _parallel_ticks(axis: Axis, scale: Scale) -> Iterator[tuple[float, str]]:
    if axis.words:
        yield from ((place, word if len(word) <= 14 else f"{word[:13]}…") for place, word in enumerate(axis.words))
        return
    whole = all(isinstance(value, int) for value in axis.values)
    yield from ((tick, number(tick)) for tick in scale.ticks(5) if not whole or tick == round(tick))


def _crossing(axis: Axis, line: int) -> float:
    value = axis.values[line]
    return axis.words.index(str(value)) if axis.words else float(value)


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else number(value)


def _axes(x: Scale, y: Scale, x_label: str, y_label: str) -> Iterator[str]:
    for tick in y.ticks():
        at = f"{y(tick):.1f}"
        yield f'<path class=grid d="M{LEFT} {at}H{WIDTH - RIGHT}"/>'
        yield f'<text class=tick x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{number(tick)}</text>'
    for tick in x.ticks():
        yield f'<text class=tick x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{number(tick)}</text>'
    yield f'<path class=axis d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'
    yield f'<text class=label x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{text(x_label)}</text>'
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield f'<text class=label transform="translate(12 {middle:.0f}) rotate(-90)" text-anchor="middle">{text(y_label)}</text>'


def _svg(body: str, title: str, height: float = HEIGHT, width: float = WIDTH) -> str:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    full = "full" if width == WIDTH else "own"
    return f'<svg class={full} {size} role="img" aria-label="{text(title)}">{body}</svg>'


def _legend(names: Sequence[str]) -> str:
    return (
        "<p class=legend>"
        + "".join(f'<span class="key key{i % COLOURS}">{text(name)}</span>' for i, name in enumerate(names))
        + "</p>"
    )


def _line_table(series: Sequence[Series], x_label: str) -> str:
    rows = []
    for one in series:
        intervals = [f"{number(low)}–{number(high)}" for low, high in zip(one.low, one.high, strict=True)] or [""] * len(one.x)
        rows += [(one.name, number(a), number(b), i) for a, b, i in zip(one.x, one.y, intervals, strict=True)]
    return table(("", x_label, "value", "interval"), rows)
