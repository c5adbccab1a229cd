"""Charts draw what they are given, at the right place, and say it in figures too."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.pages.charts import (
    HEIGHT,
    MOST_POINTS,
    WIDTH,
    Scale,
    Series,
    bar_chart,
    heat_map,
    line_chart,
    number,
    scatter_chart,
    thinned,
)  # fmt: skip
from made_pages import HOSTILE, Page

FINITE = st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-9)


@given(st.lists(FINITE, min_size=1, max_size=20), st.booleans(), st.booleans())
def test_ticks_are_round_increasing_and_on_the_paper(values: list[float], log: bool, from_zero: bool) -> None:
    scale = Scale([abs(value) for value in values] if log else values, 50, 700, log=log, from_zero=from_zero and not log)
    ticks = scale.ticks()
    assert ticks == sorted(ticks)
    assert len(ticks) <= 12
    assert all(49 <= scale(tick) <= 701 for tick in ticks)


def test_a_scale_is_straight_or_logarithmic() -> None:
    straight, logarithmic = Scale([0, 10], 0, 100), Scale([1, 100], 0, 100, log=True)
    assert [straight(0), straight(5), straight(10)] == [0, 50, 100]
    assert [logarithmic(1), logarithmic(10), logarithmic(100)] == pytest.approx([0, 50, 100])
    assert logarithmic.ticks() == pytest.approx([1, 10, 100])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (1234.5, "1,234"), (0.98765, "0.9877"), (12, "12"), (1e-5, "1e-05"), (3.2e9, "3.2e+09"), (-0.25, "-0.25"),
     (math.nan, "–"), (math.inf, "–"), (100000, "100,000")],
)  # fmt: skip
def test_numbers_are_shown_with_four_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_line_stands_where_its_values_are_and_breaks_where_one_is_missing() -> None:
    chart = line_chart("loss", [Series("a", [0, 1, 2, 3], [1.0, 2.0, math.nan, 1.5])], "update", "nats")
    path = re.search(r'<path class="line line0" d="([^"]*)"', chart)
    assert path is not None
    pieces = re.findall(r"([ML])([\d.]+) ([\d.]+)", path[1])
    assert [piece[0] for piece in pieces] == ["M", "L", "M"]
    x, y = [float(piece[1]) for piece in pieces], [float(piece[2]) for piece in pieces]
    assert x == sorted(x)
    assert max(x) <= WIDTH
    assert max(y) <= HEIGHT
    assert y[1] < y[2] < y[0]  # upwards is less
    assert "a: 1 → 2" in chart


def test_long_lines_are_thinned_and_keep_both_ends() -> None:
    series = Series("a", range(10_001), range(10_001))
    kept = thinned(series)
    assert len(kept.x) == MOST_POINTS
    assert (kept.x[0], kept.x[-1]) == (0, 10_000)
    assert kept.x == kept.y
    assert "every so many" in line_chart("loss", [series], "x", "y")


def test_bars_have_lengths_that_are_in_proportion_and_their_intervals() -> None:
    chart = bar_chart("heads", ["one", "two", "minus"], Series("", [], [2.0, 4.0, -1.0], [1.0, 3.0, -1.5], [3.0, 5.0, -0.5]))
    widths = [float(width) for width in re.findall(r'<rect class=bar [^>]*? width="([\d.]+)"', chart)]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)
    assert widths[0] == pytest.approx(2 * widths[2], abs=0.2)
    assert chart.count("class=whisker") == 3
    assert "two: 4 (3–5)" in chart


def test_a_bar_without_an_interval_has_no_whisker() -> None:
    chart = bar_chart("labels", ["seen", "never"], Series("", [], [2.0, 0.0], [1.0, math.nan], [3.0, math.nan]))
    assert chart.count("whisker") == 1
    assert "nan" not in chart


def test_the_shades_of_a_map_are_shares_of_a_row() -> None:
    chart = heat_map("confusion", ["a", "b"], ["a", "b"], [[3, 1], [0, 5]], row_label="true", column_label="said")
    assert re.findall(r'fill-opacity="([\d.]+)"', chart) == ["0.750", "0.250", "0.000", "1.000"]
    assert "true a, said b: 1 (25.0 %)" in chart
    assert "NaN" not in heat_map("none", ["a"], ["a"], [[0]], row_label="true", column_label="said")


@pytest.mark.parametrize("empty", [[], [Series("nothing", [], [])], [Series("not a number", [1.0], [math.nan])]])
def test_a_chart_of_nothing_is_still_a_chart(empty: list[Series]) -> None:
    assert "<svg" in line_chart("loss", empty, "x", "y")
    assert "<svg" in line_chart("loss", empty, "x", "y", log_y=True)


@pytest.mark.parametrize("hostile", HOSTILE[:6])
def test_names_from_data_are_only_shown(hostile: str) -> None:
    series = [Series(hostile, [1.0, 2.0], [1.0, 2.0]), Series("b", [1.0], [2.0])]
    charts = "".join(
        [
            line_chart(hostile, series, hostile, hostile, note=hostile),
            scatter_chart(hostile, series, hostile, hostile, tips=[[hostile] * 2, [hostile]]),
            bar_chart(hostile, [hostile], Series("", [], [1.0]), hostile),
            heat_map(hostile, [hostile], [hostile], [[1]], row_label=hostile, column_label=hostile),
        ]
    )
    page = Page(charts)
    assert set(page.tags) <= {
        "figure", "figcaption", "span", "svg", "path", "text", "circle", "rect", "p", "details", "summary", "div", "table",
        "tr", "th", "td",
    }  # fmt: skip
    assert not {name for name, _ in page.attributes if name.startswith("on")}
