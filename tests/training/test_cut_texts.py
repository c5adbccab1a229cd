"""Texts that are longer than the model reads: every evaluation and every prediction says how many, once."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import headway
from headway.config import load_config
from headway.evaluation.evaluate import evaluate_run
from headway.evaluation.outcome import OutcomeResult
from headway.samples import write_sample
from headway.training.loop import train

LONG = "the king sold a horse to the queen in the garden " * 9
TEXTS = {
    "classification": LONG,
    "pair_classification": f"{LONG}\t{LONG}",
    "tagging": LONG,
    "question_answering": f"Who {LONG}?\tthe king",
    "summarisation": LONG,
    "sentence_embedding": LONG,
}
SMALL = [
    "data.max_length=6", "training.updates=2", "training.warmup_updates=1", "training.validate_every=2",
    "training.save_every=2", "model.preset=tiny", "training.log_every=2", "tokenizer.vocabulary_size=150", "model.width=16",
    "model.heads=2", "model.feed_forward_width=16", "evaluation.bootstrap_samples=100", "data.accept_dropped=1",
    "training.validate_score=false", "training.best_by=loss", "decoding.maximum_length=4", "training.batch_tokens=512",
]  # fmt: skip


@pytest.mark.parametrize("task", TEXTS)
def test_cut_texts_are_counted_and_told_once(task: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_sample(task, tmp_path / "data", seed=1, size=200)
    run = train(load_config(tmp_path / "data" / "config.yaml", [*SMALL, f"run_directory={tmp_path / 'run'}"]), quiet=True)
    caplog.clear()
    found = evaluate_run(run, console=Console(file=io.StringIO()), split="validation")
    assert isinstance(found, OutcomeResult)
    told = [warning for warning in found.record.warnings if "are cut: data.max_length=6" in warning]
    assert len(told) == 1
    assert f"of {found.record.examples} texts" in told[0]
    assert "cut" not in caplog.text
    short = "Who?\tthe" if task == "question_answering" else "the\t" if task == "pair_classification" else "the"
    headway.load(str(run)).predict([TEXTS[task], short, TEXTS[task]])
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["2 of 3 texts are cut"]
