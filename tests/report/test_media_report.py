"""A report of a run on files: small pictures of its examples, links to their explanations, and commands that find the files."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from headway.config import Config
from headway.evaluation.evaluate import evaluate_run
from headway.evaluation.outcome_record import AnswerRecord
from headway.report import thumbnails
from headway.report.page import write_report
from headway.report.thumbnails import SIDE, Thumbnails, line_of
from made_file_runs import run_of_kind


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run, _ = run_of_kind(tmp_path_factory.mktemp("reported"), "visual_question_answering")
    evaluate_run(run)
    return run


def test_examples_have_a_small_picture_and_a_link_to_their_explanation(evaluated: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(write_report(evaluated, explain=True))
    articles = page.locator("article")
    assert articles.count() >= 5
    assert articles.locator("a").count() == articles.count()
    assert page.locator("article img").evaluate_all("all => all.every(one => one.naturalWidth > 0)")
    assert page.locator("article img").count() == articles.count()
    rows = page.locator("#examples tbody tr")
    assert page.locator("#examples img").count() == rows.count() == 8
    assert page.locator("#examples dt").first.inner_text() == "file"
    page.goto(articles.locator("a").first.evaluate("link => link.href"))
    assert page.locator(".columns .cell").count() == 4
    assert page.locator("#seen img").count() == 1


def test_the_command_names_the_file_as_it_is_found_from_here(evaluated: Path, open_page: Callable[..., Any]) -> None:
    shutil.rmtree(evaluated / "explanations", ignore_errors=True)
    page = open_page(write_report(evaluated))
    _, _, run, asked = shlex.split(page.locator(".command code").last.inner_text().replace("$'", "'"))
    assert Path(run) == evaluated
    assert Path(asked.partition("\\t")[0]).is_file()


def captions_beside(directory: Path) -> Config:
    corpus = {"path": str(directory / "test.jsonl"), "source": "image", "target": "captions"}
    data = {"train": corpus, "validation": corpus}
    return Config.model_validate({"run_directory": str(directory), "task": "captioning", "data": data})


def test_a_file_that_is_gone_has_no_line(tmp_path: Path) -> None:
    config = captions_beside(tmp_path)
    record = AnswerRecord(line=1, source="a.png", reference="", answer="")
    parts = config.data.parts("train")
    assert line_of(record, parts) == ""
    Image.new("RGB", (300, 100), "red").save(tmp_path / "a.png")
    assert line_of(record, parts) == str(tmp_path / "a.png")
    small = Thumbnails(config)
    found = small.of(str(tmp_path / "a.png"))
    assert found.startswith("data:image/jpeg;base64,")
    assert small.of(str(tmp_path / "b.png")) == small.of("") == ""


def test_a_page_has_so_many_small_pictures_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = captions_beside(tmp_path)
    for number in range(4):
        Image.effect_noise((200, 200), 90).save(tmp_path / f"{number}.png")
    monkeypatch.setattr(thumbnails, "MOST_FILES", 3)
    small = Thumbnails(config)
    assert [bool(small.of(str(tmp_path / f"{number}.png"))) for number in (0, 1, 2, 3, 0)] == [True, True, True, False, True]
    monkeypatch.setattr(thumbnails, "MOST_BYTES", 1)
    small = Thumbnails(config)
    assert [bool(small.of(str(tmp_path / f"{number}.png"))) for number in (0, 1)] == [True, False]
    assert SIDE == 64
