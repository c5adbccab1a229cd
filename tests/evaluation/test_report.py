"""Two runs compared in plain words, and an evaluation as a page that is safe to open."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import io
import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from headway.config import Config
from headway.data.readers import Pair
from headway.errors import DataError, ModelError
from headway.evaluation import records, report
from headway.evaluation.evaluate import ReferenceLoss, Translated, analyse
from headway.evaluation.records import EvaluationRecord

WORDS = ["der", "die", "ein", "Mann", "Frau", "Hund", "läuft", "spielt", "über", "im", "Park", "rot", "weit", "und"]
HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "\"><svg/onload=alert(1)>'",
    "</style><script>alert(1)</script>",
    "javascript:alert(1) &lt;b&gt; &amp;",
    "<!-- --!><b>x</b>",
    "\x00\x1b[31m\u202e\u2028 [bold]text[/bold]",
]


def references(count: int = 150) -> list[str]:
    source = random.Random(1)
    return [" ".join(source.choices(WORDS, k=source.randint(4, 14))) for _ in range(count)]


def outputs(share: float, seed: int) -> list[str]:
    """The references with a share of the words replaced."""
    source = random.Random(seed)
    return [" ".join(source.choice(WORDS) if source.random() < share else word for word in line.split()) for line in references()]


def saved(run: Path, hypotheses: Sequence[str], wanted: Sequence[str] | None = None, sources: Sequence[str] | None = None,
          **data: object) -> EvaluationRecord:  # fmt: skip
    """Writes an evaluation of made-up outputs into a run directory."""
    wanted = wanted or references()
    sources = sources or [f"source {number}" for number in range(len(wanted))]
    corpus = {"source": "x.en", "target": "x.de"}
    config = Config.model_validate(
        {
            "run_directory": str(run),
            "data": {"train": corpus, "validation": corpus, **data},
            "evaluation": {"bootstrap_samples": 100},
        }
    )
    pairs = [Pair(source, target, number) for number, (source, target) in enumerate(zip(sources, wanted, strict=True), 1)]
    translated = [Translated(text, text, -1.0) for text in hypotheses]
    record, sentences = analyse(pairs, translated, ReferenceLoss(1.5, 100, 0), config, "test")
    records.prepare(run)
    records.save(run, record, sentences)
    return record


def compare(a: Path, b: Path) -> tuple[report.Comparison, str]:
    console = Console(file=io.StringIO(), width=110)
    [comparison] = report.compare_runs(a, b, console=console)
    assert isinstance(console.file, io.StringIO)
    return comparison, console.file.getvalue()


def test_a_real_difference_is_called_real(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a", outputs(0.4, 1)), saved(tmp_path / "b", outputs(0.2, 2))
    found, shown = compare(tmp_path / "a", tmp_path / "b")
    for name, metric in found.metrics.items():
        assert metric.test.difference == pytest.approx(b.scores[name].score - a.scores[name].score)
        assert metric.better == "B"
        assert "is hardly noise (p ≤ 0.002)" in metric.verdict()
        assert metric.verdict() in shown
    assert found.metrics["ter"].test.difference < 0  # fewer edits are better
    assert compare(tmp_path / "b", tmp_path / "a")[0].metrics["bleu"].better == "A"
    assert "B better than A, by chrF" in shown


def test_a_chance_difference_is_called_noise(tmp_path: Path) -> None:
    saved(tmp_path / "a", outputs(0.3, 3))
    saved(tmp_path / "b", outputs(0.3, 5))
    found, shown = compare(tmp_path / "a", tmp_path / "b")
    assert found.metrics["chrf"].test.is_noise
    assert "this may well be noise (p = " in found.metrics["chrf"].verdict()
    assert "not the luck of a training seed" in re.sub(r"\s+", " ", shown)


def test_a_run_against_itself(tmp_path: Path) -> None:
    saved(tmp_path / "a", outputs(0.3, 3))
    found, shown = compare(tmp_path / "a", tmp_path / "a")
    assert found.same_outputs == 150
    assert "150 of 150 outputs are the same" in shown
    assert "BLEU: A and B score the same." in shown
    assert "better than" not in shown


def test_runs_on_other_sentences_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "a", outputs(0.3, 3))
    changed = references()
    changed[6] += " nicht"
    saved(tmp_path / "b", outputs(0.3, 3), changed)
    with pytest.raises(DataError, match="different references, first at sentence 7"):
        compare(tmp_path / "a", tmp_path / "b")
    saved(tmp_path / "c", outputs(0.3, 3), sources=["another source"] * 150)
    with pytest.raises(DataError, match="different sources, first at sentence 1"):
        compare(tmp_path / "a", tmp_path / "c")
    saved(tmp_path / "d", outputs(0.3, 3)[:100], references()[:100])
    with pytest.raises(DataError, match=r"150 sentences and .* on 100"):
        compare(tmp_path / "a", tmp_path / "d")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has not been evaluated"):
        compare(tmp_path / "a", tmp_path / "empty")
    with pytest.raises(ModelError, match="no such run directory"):
        compare(tmp_path / "a", tmp_path / "nothing")


def test_papers_bleu_is_not_compared_across_preprocessing(tmp_path: Path) -> None:
    pytest.importorskip("sacremoses")
    saved(tmp_path / "a", outputs(0.3, 3))
    saved(tmp_path / "b", outputs(0.2, 4), preprocessing=["moses_tokenize"])
    assert set(compare(tmp_path / "a", tmp_path / "b")[0].metrics) == {"bleu", "chrf", "ter"}
    assert "paper_bleu" in compare(tmp_path / "a", tmp_path / "a")[0].metrics


class Page(html.parser.HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_runs_nothing_and_asks_for_nothing(tmp_path: Path) -> None:
    saved(tmp_path / "<b>run</b>", HOSTILE, HOSTILE[::-1], HOSTILE)
    path = report.write_page(tmp_path / "<b>run</b>")
    assert path.name == "test.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert set(page.tags) <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "tr", "th", "td", "b", "code",
        "svg", "rect", "article", "dl", "dt", "dd", "i",
    }  # fmt: skip
    assert not {name for name, _ in page.attributes} & {"src", "href", "style", "onload", "onerror", "action", "data"}
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    for hostile in HOSTILE[:6]:
        assert hostile in page.text  # shown letter by letter
    assert "⟨U+0000⟩⟨U+001B⟩[31m⟨U+202E⟩⟨U+2028⟩ [bold]text[/bold]" in page.text
    assert "<b>run</b>" in page.text


def test_the_policy_of_the_page_allows_its_own_style_only(tmp_path: Path) -> None:
    saved(tmp_path / "a", outputs(0.3, 3))
    text = report.write_page(tmp_path / "a").read_text(encoding="utf-8")
    style = text.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text
    assert "unsafe" not in text


def test_the_page_shows_scores_lengths_and_sentences(tmp_path: Path) -> None:
    record = saved(tmp_path / "a", outputs(0.3, 3))
    page = Page(report.write_page(tmp_path / "a").read_text(encoding="utf-8"))
    for score in record.scores.values():
        assert score.label in page.text
        assert score.signature in page.text
        assert f"{score.low:.2f} – {score.high:.2f}" in page.text
    assert page.tags.count("article") == 10
    assert page.tags.count("rect") == len(record.by_length)
    assert "Worst sentences by chrF" in page.text
    assert "length ratio" in page.text
    assert re.search(r"How it was made.*beam_size\s*5\s", page.text, re.DOTALL)
