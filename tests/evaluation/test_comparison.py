"""Two runs compared in plain words."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from headway.config import Config
from headway.errors import DataError, ModelError
from headway.evaluation import records
from headway.evaluation.comparison import Comparison, compare_runs
from headway.evaluation.comparison_summary import print_comparisons
from headway.evaluation.evaluated import OF_KINDS, renumbered
from headway.evaluation.formulas import by_label
from headway.evaluation.label_scores import one_label_scores
from headway.evaluation.metrics import Measurement
from headway.evaluation.outcome_record import AnswerRecord, Outcome, OutcomeRecord, TableRecord, save_outcome
from headway.evaluation.request import with_interval
from headway.evaluation.text import loss_scores
from made_evaluations import outputs, references, saved

SETS = ("train", "validation", "test")


def compare(a: Path, b: Path) -> tuple[Comparison, str]:
    console = Console(file=io.StringIO(), width=110)
    [comparison] = compare_runs([a, b])
    print_comparisons([comparison], console)
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
    assert found.metrics["chrf"].is_noise
    assert "this may well be noise (p = " in found.metrics["chrf"].verdict()
    assert "not the luck of a training seed" in re.sub(r"\s+", " ", shown)


def test_a_run_against_itself(tmp_path: Path) -> None:
    saved(tmp_path / "a", outputs(0.3, 3))
    found, shown = compare(tmp_path / "a", tmp_path / "a")
    assert found.same_answers == 150
    assert "150 of 150 answers are the same" in shown
    assert "BLEU: A and B score the same." in shown
    assert "better than" not in shown


def test_runs_on_other_sentences_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "a", outputs(0.3, 3))
    changed = references()
    changed[6] += " nicht"
    saved(tmp_path / "b", outputs(0.3, 3), changed)
    with pytest.raises(DataError, match="different references, first at example 7"):
        compare(tmp_path / "a", tmp_path / "b")
    saved(tmp_path / "c", outputs(0.3, 3), sources=["another source"] * 150)
    with pytest.raises(DataError, match="different sources, first at example 1"):
        compare(tmp_path / "a", tmp_path / "c")
    saved(tmp_path / "d", outputs(0.3, 3)[:100], references()[:100])
    with pytest.raises(DataError, match=r"150 examples and .* on 100"):
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


def saved_labels(run: Path, wrong: set[int], others: dict[str, Measurement] | None = None, **changed: object) -> None:
    """Writes an evaluation of a made-up classifier of 200 texts into a run directory, with other measurements beside its own."""
    gold = np.arange(200) % 2
    chosen = np.array([1 - label if place in wrong else label for place, label in enumerate(gold)])
    measurements = one_label_scores(chosen, gold, np.full(200, 0.9)) | (others or {})
    answers = [
        AnswerRecord(line=place + 1, source=f"text {place}", reference="ab"[label], answer="ab"[chosen[place]])
        for place, label in enumerate(gold)
    ]
    config = Config.model_validate(
        {"run_directory": str(run), "task": "classification", "data": {name: {"source": "x", "target": "y"} for name in SETS}}
    )
    values = {
        "task": "classification", "split": "test", "examples": 200, "baselines": {}, "tables": [], "wrong": [], "warnings": [],
        "scores": {name: with_interval(one, config) for name, one in measurements.items()},
        "bootstrap": {"samples": 1000, "confidence": 0.95, "seed": 1}, "fingerprints": {"data": "x"},
        "seconds": {}, "versions": {},
    }  # fmt: skip
    records.prepare(run)
    save_outcome(run, OutcomeRecord.model_validate(values | changed), Outcome(measurements, answers))


def test_classifiers_are_compared_text_by_text(tmp_path: Path) -> None:
    saved_labels(tmp_path / "a", set(range(40)))
    saved_labels(tmp_path / "b", {0, 199})
    found, shown = compare(tmp_path / "a", tmp_path / "b")
    assert found.metrics["accuracy"].test.difference == pytest.approx(19)
    assert found.metrics["accuracy"].better == "B"
    assert not found.metrics["macro_f1"].is_noise
    assert found.metrics["calibration"].better == "B"  # 90 % sure: of 80 % right and of 99 %
    assert found.same_answers == 160
    assert "B better than A, by accuracy" in shown
    assert re.search(r"source text 1 *\n *wanted b *\n +A a *\n +B b", shown)
    assert "line 200: accuracy 100.0 → 0.0" in shown


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    saved_labels(tmp_path / "a", set(range(40)))
    saved(tmp_path / "b", outputs(0.3, 3))
    with pytest.raises(DataError, match=r"run of classification and .* of translation"):
        compare(tmp_path / "a", tmp_path / "b")
    saved_labels(tmp_path / "c", set(range(40)), task="tagging")
    with pytest.raises(DataError, match=r"run of classification and .* of tagging"):
        compare(tmp_path / "a", tmp_path / "c")
    (tmp_path / "c" / "evaluation" / "test.statistics.json").write_text('{"accuracy": [[1, 1]]}')
    with pytest.raises(DataError, match="does not belong to the scores beside it"):
        compare(tmp_path / "c", tmp_path / "c")
    (tmp_path / "c" / "evaluation" / "test.json").write_text('{"task": "tagging", "format_version": 99}')
    with pytest.raises(DataError, match="newer than this Headway knows"):
        compare(tmp_path / "a", tmp_path / "c")
    (tmp_path / "c" / "evaluation" / "test.json").write_text('{"task": "tagging"}')
    with pytest.raises(DataError, match="is damaged"):
        compare(tmp_path / "a", tmp_path / "c")


def test_losses_are_compared_only_of_the_same_tokens(tmp_path: Path) -> None:
    def saved_losses(name: str, tokens: float, tokenizer: str | None, noise: str = "") -> None:
        losses = loss_scores(np.stack((np.arange(200.0), np.full(200, tokens)), 1))
        told = {"tokenizer": tokenizer, "noise": noise} if tokenizer else {}
        saved_labels(tmp_path / name, set(range(40)), losses, fingerprints={"data": "x", **told})

    for name, tokens, tokenizer in (("a", 5, "one"), ("b", 5, "one"), ("c", 5, "other"), ("d", 4, "one"), ("old", 5, None)):
        saved_losses(name, tokens, tokenizer)
    saved_losses("e", 5, "one", "spans")
    assert {"loss", "perplexity", "accuracy"} <= set(compare(tmp_path / "a", tmp_path / "b")[0].metrics)
    reasons = {
        "e": "other tokens were hidden",
        "c": "the tokenizers differ",
        "d": "cut into other tokens",
        "old": "does not tell its tokenizer: evaluate the run",
    }
    for name, why in reasons.items():
        found, shown = compare(tmp_path / "a", tmp_path / name)
        assert set(found.left_out) == {"loss", "perplexity"}
        assert "accuracy" in found.metrics
        assert re.search(rf"Not compared: loss, perplexity \(.*{why}", shown)


def test_labels_that_two_runs_number_differently_are_the_same_labels(tmp_path: Path) -> None:
    def numbered(run: Path, names: str, wrong: set[int]) -> None:
        gold = np.array([names.index("ab"[place % 2]) for place in range(200)])
        chosen = np.array([names.index("ba"[place % 2]) if place in wrong else gold[place] for place in range(200)])
        kinds = TableRecord(title="", head=["label", *OF_KINDS, "texts"], rows=[[name, "", "", "", ""] for name in names])
        saved_labels(run, wrong, one_label_scores(chosen, gold, np.full(200, 0.9)), tables=[kinds])

    numbered(tmp_path / "a", "ab", {0, 2, 4, 5})
    numbered(tmp_path / "b", "ab", set(range(40)))
    numbered(tmp_path / "c", "zbya", set(range(40)))  # it has learned other labels too
    same, other = compare(tmp_path / "a", tmp_path / "b")[0], compare(tmp_path / "a", tmp_path / "c")[0]
    assert not other.left_out
    for name in ("macro_precision", "macro_recall", "macro_f1"):
        assert other.metrics[name] == same.metrics[name]
        assert other.metrics[name].better == "A"


@given(st.integers(0, 10**6))
def test_sums_by_kind_are_numbered_anew(seed: int) -> None:
    random = np.random.default_rng(seed)
    sums, numbers = random.integers(0, 3, (9, 3 * 4)), random.permutation(6)[:4]
    old = Measurement("macro_f1", "", "", sums, "macro_f1")
    new = renumbered(old, numbers, 6)
    assert new.statistics.shape == (9, 18)
    assert new.score == pytest.approx(old.score)
    assert np.array_equal(by_label(new.statistics)[:, numbers], by_label(sums))


def test_macro_scores_of_older_evaluations_can_be_read_but_not_paired(tmp_path: Path) -> None:
    saved_labels(tmp_path / "a", set(range(40)))
    wide = np.eye(6)[np.arange(200) % 6]  # right, wrong and missed of two labels
    old = {"macro_f1": Measurement("macro_f1", "macro F1", "macro-averaged over labels", wide, "macro_f1")}
    saved_labels(tmp_path / "b", set(range(40)), old)
    assert compare(tmp_path / "b", tmp_path / "b")[0].metrics["macro_f1"].test.score_a == pytest.approx(50, abs=1)
    assert "evaluate the run again" in compare(tmp_path / "a", tmp_path / "b")[0].left_out["macro F1"]
