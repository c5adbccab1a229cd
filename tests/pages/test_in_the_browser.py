"""Charts in a real browser: tips, what is saved, dark and light."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headway.pages.charts import Series, bar_chart, line_chart
from headway.pages.document import page
from made_pages import HOSTILE

CHART = line_chart("The loss", [Series("training", [0, 1, 2], [3.0, 2.0, 1.5])], "update", "nats", points=True)


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    path = tmp_path / "charts.html"
    path.write_text(page("Charts", HOSTILE[1], [CHART, bar_chart(HOSTILE[0], [HOSTILE[2]], Series("", [], [1.0]))]), "utf-8")
    return path


def test_a_value_is_told_where_the_pointer_is(charts: Path, open_page: Callable[..., Any]) -> None:
    opened = open_page(charts)
    tip = opened.locator("#tip")
    assert tip.is_hidden()
    opened.locator("circle").nth(1).hover()
    assert tip.is_visible()
    assert tip.inner_text() == "training: 1 → 2"
    opened.locator("h1").hover()
    assert tip.is_hidden()


@pytest.mark.parametrize(("label", "begins"), [("SVG", b"<svg"), ("PNG", b"\x89PNG"), ("CSV", b'"","update"')])
def test_a_chart_is_saved_as_picture_and_as_data(
    charts: Path, open_page: Callable[..., Any], tmp_path: Path, label: str, begins: bytes
) -> None:
    opened = open_page(charts)
    with opened.expect_download() as waiting:
        opened.get_by_role("button", name=f"save “The loss” as {label}").click()
    saved = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(saved)
    assert saved.name == f"the-loss.{label.lower()}"
    content = saved.read_bytes()
    assert content.startswith(begins)
    if label == "CSV":
        rows = list(csv.DictReader(content.decode().splitlines()))
        assert [(row["update"], row["value"]) for row in rows] == [("0", "3"), ("1", "2"), ("2", "1.5")]
    if label == "SVG":
        assert b"stroke: rgb" in content  # looks the same without the page
        assert b'xmlns="http://www.w3.org/2000/svg"' in content


@pytest.mark.parametrize(("scheme", "paper"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(22, 24, 27)")])
def test_a_page_follows_the_colours_of_the_system(charts: Path, open_page: Callable[..., Any], scheme: str, paper: str) -> None:
    opened = open_page(charts, color_scheme=scheme)
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == paper
