"""An evaluation as a page that is safe to open."""

from __future__ import annotations

import re
from pathlib import Path

from made_evaluations import outputs, saved

from headway.evaluation.outcome_record import AnswerRecord, OutcomeRecord, TableRecord, Wrong
from headway.evaluation.page import outcome_page, write_page
from headway.evaluation.records import ScoreRecord
from made_pages import HOSTILE, Page


def test_the_page_runs_nothing_and_asks_for_nothing(tmp_path: Path) -> None:
    saved(tmp_path / "<b>run</b>", HOSTILE, HOSTILE[::-1], HOSTILE)
    path = write_page(tmp_path / "<b>run</b>")
    assert path.name == "test.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert set(page.tags) <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "tr", "th", "td", "b", "code",
        "svg", "rect", "article", "dl", "dt", "dd", "i", "main", "script",
    }  # fmt: skip
    assert page.tags.count("script") == 1
    assert not {name for name, _ in page.attributes} & {"src", "href", "style", "onload", "onerror", "action", "data"}
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    for hostile in HOSTILE[:6]:
        assert hostile in page.text  # shown letter by letter
    assert "⟨U+0000⟩⟨U+001B⟩[31m⟨U+202E⟩⟨U+2028⟩ [bold]text[/bold]" in page.text
    assert "<b>run</b>" in page.text


def test_the_page_shows_scores_lengths_and_sentences(tmp_path: Path) -> None:
    record = saved(tmp_path / "a", outputs(0.3, 3))
    page = Page(write_page(tmp_path / "a").read_text(encoding="utf-8"))
    for score in record.scores.values():
        assert score.label in page.text
        assert score.signature in page.text
        assert f"{score.low:.2f} – {score.high:.2f}" in page.text
    assert page.tags.count("article") == 10
    assert page.tags.count("rect") == len(record.by_length)
    assert "Worst sentences by chrF" in page.text
    assert "length ratio" in page.text
    assert re.search(r"How it was made.*beam_size\s*5\s", page.text, re.DOTALL)


def test_the_page_of_a_classifier_shows_baselines_tables_and_what_was_wrong() -> None:
    score = ScoreRecord(
        label="accuracy", score=81.25, low=80, high=82.5, signature="share of texts", higher_is_better=True, formula="share"
    )
    record = OutcomeRecord(
        task="classification", split="test", examples=2, scores={"accuracy": score},
        baselines={"commonest <label>": {"accuracy": score.model_copy(update={"score": 50.0})}},
        tables=[TableRecord(title="each label", head=["label", "F1"], rows=[["<b>", "12.5"]])],
        wrong=[Wrong(line=7, source=HOSTILE[0], problem="wanted <a>, got b, 90% sure")],
        bootstrap={"samples": 100, "confidence": 0.95, "seed": 1}, warnings=["few texts"],
        fingerprints={"data": "abc"},
        seconds={}, versions={},
    )  # fmt: skip
    answers = [
        AnswerRecord(line=7, source=HOSTILE[0], reference="a", answer="b", probability=0.9),
        AnswerRecord(line=8, source="right", reference=HOSTILE[1], answer="", probability=0.9),
    ]
    page = Page(outcome_page(record, answers, "Evaluation"))
    for shown in ("81.25", "80.00 – 82.50", "commonest <label>", "50.00", "Each label", "<b>", "12.5", "few texts", *HOSTILE[:2]):
        assert shown in page.text
    assert "wanted <a>, got b, 90% sure" in page.text
    assert "(empty)" in page.text
    assert page.tags.count("script") == 1
