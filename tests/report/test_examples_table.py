"""The table of examples in a real browser: searched, filtered, sorted, some at a time, with the keyboard, commands copied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_classifier, made_run, write_pairs

from headway.report.page import write_report
from headway.report.reading import MOST_EXAMPLES
from made_evaluations import outputs, references, saved
from made_pages import HOSTILE

COUNT = 60


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [f"text number {number}" for number in range(COUNT - len(HOSTILE))] + HOSTILE
    probabilities = [0.5 + (7 * number % COUNT) / (2 * COUNT + 1) for number in range(COUNT)]
    return made_classifier(
        tmp_path_factory.mktemp("runs") / "run", texts, probabilities, [number % 4 > 0 for number in range(COUNT)]
    )


@pytest.fixture
def page(classifier: Path, open_page: Callable[..., Any]) -> Any:
    return open_page(classifier, permissions=["clipboard-read", "clipboard-write"])


def rows(page: Any) -> Any:
    return page.locator("#examples tbody tr")


def status(page: Any) -> str:
    return str(page.get_by_role("status").inner_text())


def test_rows_come_some_at_a_time(page: Any) -> None:
    assert rows(page).count() == 25
    assert status(page) == f"{COUNT} of {COUNT} examples"
    more = page.get_by_role("button", name="show 25 more of 35")
    more.focus()
    page.keyboard.press("Enter")
    assert rows(page).count() == 50
    page.get_by_role("button", name="show 10 more of 10").click()
    assert rows(page).count() == COUNT
    assert page.locator("#examples .more button").is_hidden()


def test_a_search_finds_texts_and_says_how_many(page: Any) -> None:
    page.get_by_label("search").fill("NUMBER 17")
    page.get_by_text(f"1 of {COUNT} examples", exact=True).wait_for()
    assert "text number 17" in rows(page).inner_text()
    page.get_by_label("search").fill("alert(1)")
    page.get_by_text(f"5 of {COUNT} examples", exact=True).wait_for()


def test_a_filter_shows_what_is_wrong_and_labels(page: Any) -> None:
    page.get_by_label("show").select_option(label="wrong")
    assert status(page) == f"{COUNT // 4} of {COUNT} examples"
    page.get_by_label("show").select_option(label="wanted: angry")
    assert status(page) == f"{COUNT // 3} of {COUNT} examples"


def test_a_column_is_sorted_both_ways_and_says_so(page: Any) -> None:
    head = page.get_by_role("columnheader", name="confidence")
    assert head.get_attribute("aria-sort") is None
    for direction in ("ascending", "descending"):
        head.get_by_role("button").focus()
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == direction
        shown = [float(cell) for cell in page.locator("#examples tbody td.figure:nth-last-child(2)").all_inner_texts()]
        assert shown == sorted(shown, reverse=direction == "descending")
    page.get_by_role("columnheader", name="accuracy").get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None


def test_the_command_that_explains_an_example_is_copied(page: Any, classifier: Path) -> None:
    button = rows(page).first.get_by_role("button")
    assert button.get_attribute("aria-label") == "copy the command that explains line 1"
    button.click()
    page.get_by_text("copied", exact=True).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"headway explain '{classifier.parent}' 'text number 0'"
    page.locator(".command button").first.click()
    page.locator(".command").get_by_text("copied", exact=True).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator(".command code").first.inner_text()


def test_words_that_differ_are_marked_and_a_large_set_is_thinned(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    write_pairs(tmp_path / "run", "train", ["a"], ["b"])
    write_pairs(tmp_path / "run", "validation", ["a"], ["b"])
    config = made_run(tmp_path / "run")
    several = -(-(MOST_EXAMPLES + 1) // 150)
    saved(
        tmp_path / "run",
        outputs(0.3, 3) * several,
        references() * several,
        **config.data.model_dump(include={"train", "validation"}),
    )
    page = open_page(write_report(tmp_path / "run"))
    assert "525 of 1,050 examples, one in 2" in page.content()
    wrong, missed = page.locator("#examples mark.got"), page.locator("#examples mark.wanted")
    assert wrong.count() > 0
    assert missed.count() == wrong.count()  # a word was replaced by another one
