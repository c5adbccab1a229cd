"""Explanations that a report links to: made of what people look at first, once, and never of another model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headway.cli import main
from headway.evaluation.evaluate import evaluate_run
from headway.report.page import write_report


@pytest.fixture(scope="module")
def evaluated(run_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("explained") / "run"
    shutil.copytree(run_of("classification"), run)
    evaluate_run(run)
    return run


def test_the_worst_best_and_least_sure_are_linked_to_their_explanations(evaluated: Path, open_page: Callable[..., Any]) -> None:
    plain = open_page(write_report(evaluated))
    assert plain.locator("article a").count() == 0
    shown = plain.locator("article").count()
    assert main(["report", str(evaluated), "--explain"]) == 0
    page = open_page(evaluated / "report.html")
    links = page.locator("article a")
    assert links.count() == shown >= 5
    asked = page.locator("article").first.locator("dd").first.inner_text()
    page.goto(links.first.evaluate("link => link.href"))
    assert page.locator(".asked dd").first.inner_text() == asked


def test_what_has_been_explained_stays_linked_and_is_not_made_again(
    evaluated: Path, tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    write_report(evaluated, explain=True)
    made = {path: path.stat().st_mtime_ns for path in (evaluated / "explanations").iterdir()}
    write_report(evaluated, explain=True)
    assert {path: path.stat().st_mtime_ns for path in (evaluated / "explanations").iterdir()} == made
    page = open_page(write_report(evaluated, tmp_path / "a page.html"))
    page.goto(page.locator("article a").first.evaluate("link => link.href"))
    assert "Explanation of an answer of" in page.title()
    opened = open_page(tmp_path / "a page.html").locator("#examples a")
    assert 0 < opened.count() <= len(made)
    assert opened.first.get_attribute("aria-label").startswith("the explanation of line")


def test_another_model_than_that_which_answered_is_not_explained(
    evaluated: Path, run_of: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(evaluated, run)
    shutil.rmtree(run / "explanations", ignore_errors=True)
    record = run / "evaluation" / "test.json"
    text = record.read_text("utf-8")
    fingerprint = text.partition('"model": "')[2].partition('"')[0]
    record.write_text(text.replace(fingerprint, fingerprint[::-1]), encoding="utf-8")
    assert main(["report", str(run), "--explain"]) == 3
    assert "the model has changed since it was evaluated" in capsys.readouterr().err
    assert main(["report", str(run)]) == 0
