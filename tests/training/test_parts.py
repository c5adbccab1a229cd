"""Corpora of several parts: trained on as one, resumed bit for bit, and every line still told with its file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from test_loop import assert_same_checkpoint, losses, newest, train_and_die
from tiny_run import TINY_MODEL, TINY_TRAINING, tiny_config

from headway.config import Config
from headway.data.check import check
from headway.errors import DataError
from headway.evaluation.evaluate import evaluate_run
from headway.training.corpus import TrainingCorpus
from headway.training.loop import train
from headway.training.run_directory import open_tokenizers


def halves(sample: Path, folder: Path) -> list[dict[str, str]]:
    """The training pairs in two parts: the first 300 and the last 100."""
    for language in ("en", "de"):
        lines = (sample / f"train.{language}").read_text("utf-8").splitlines(True)
        (folder / f"new.{language}").write_text("".join(lines[:300]), encoding="utf-8")
        (folder / f"old.{language}").write_text("".join(lines[300:]), encoding="utf-8")
    return [{"source": str(folder / f"{name}.en"), "target": str(folder / f"{name}.de")} for name in ("new", "old")]


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_list_of_one_part_is_the_part(dropout: float, sample_directory: Path, tmp_path: Path) -> None:
    plain = tiny_config(sample_directory, tmp_path / "plain", tokenizer={"dropout": dropout}, training={"updates": 6})
    data = {"train": [plain.data.train], "validation": [plain.data.validation]}
    listed = tiny_config(
        sample_directory, tmp_path / "listed", data=data, tokenizer={"dropout": dropout}, training={"updates": 6}
    )
    for config in (plain, listed):
        train(config, quiet=True)
    assert_same_checkpoint(tmp_path / "plain", tmp_path / "listed")
    assert losses(tmp_path / "plain") == losses(tmp_path / "listed")


def test_whole_parts_are_the_corpus_that_they_make_up(sample_directory: Path, tmp_path: Path) -> None:
    plain = tiny_config(sample_directory, tmp_path / "plain", training={"updates": 6})
    data = {"train": halves(sample_directory, tmp_path)}
    parted = tiny_config(sample_directory, tmp_path / "parted", data=data, training={"updates": 6})
    for config in (plain, parted):
        train(config, quiet=True)
    (one, _), (other, _) = newest(tmp_path / "plain"), newest(tmp_path / "parted")
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_killed_mixture_resumes_bit_for_bit(
    dropout: float, sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old = halves(sample_directory, tmp_path)
    data = {"train": [{**new, "repeat": 0.5}, {**old, "repeat": 1.5}]}
    sections: dict[str, dict[str, Any]] = {"data": data, "tokenizer": {"dropout": dropout}, "training": {"updates": 16}}
    straight, killed = (tiny_config(sample_directory, tmp_path / name, **sections) for name in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert newest(tmp_path / "straight")[1]["place"][0] > 0  # more than one epoch
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")


def test_rows_are_told_with_file_and_line(sample_directory: Path, tmp_path: Path) -> None:
    new, old = halves(sample_directory, tmp_path)
    config = tiny_config(sample_directory, tmp_path / "run", data={"train": [new, {**old, "repeat": 2.5}]})
    (tmp_path / "run").mkdir()
    corpus = TrainingCorpus(config, open_tokenizers(tmp_path / "run", config))
    assert (corpus.read, corpus.used) == (400, 400)
    assert corpus.place(299) == f"{new['source']}:300"
    assert corpus.place(300) == f"{old['source']}:1"
    assert corpus.place(499) == f"{old['source']}:100"
    assert corpus.place(599) == f"{old['source']}:100"


def test_a_part_that_changes_under_a_run_is_refused(sample_directory: Path, tmp_path: Path) -> None:
    new, old = halves(sample_directory, tmp_path)
    config = tiny_config(sample_directory, tmp_path / "run", data={"train": [new, old]}, training={"updates": 6})
    train(config, quiet=True)
    with open(old["target"], "a", encoding="utf-8") as file:
        file.write("Ein Satz.\n")
    with open(old["source"], "a", encoding="utf-8") as file:
        file.write("A sentence.\n")
    longer = config.model_copy(update={"training": config.training.model_copy(update={"updates": 8})})
    with pytest.raises(DataError, match="the data has changed since this run began"):
        train(longer, quiet=True)


def test_the_check_names_part_file_and_line(sample_directory: Path, tmp_path: Path) -> None:
    new, old = halves(sample_directory, tmp_path)
    lines = Path(old["target"]).read_text("utf-8").splitlines()
    lines[4] = ""
    Path(old["target"]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    report = check(tiny_config(sample_directory, tmp_path / "run", data={"train": [new, old]}), quick=True)
    assert [figures.name for figures in report.corpora] == ["train[0]", "train[1]", "validation", "test"]
    assert [figures.pairs for figures in report.corpora[:2]] == [300, 100]
    [dropped] = [finding for finding in report.findings if "empty target" in finding.problem]
    assert (dropped.corpus, dropped.places) == ("train[1]", (f"{old['target']}:5",))


def test_a_part_of_the_training_data_that_is_held_out_is_found(sample_directory: Path, tmp_path: Path) -> None:
    new, old = halves(sample_directory, tmp_path)
    report = check(tiny_config(sample_directory, tmp_path / "run", data={"train": [new, old], "test": old}), quick=True)
    [leak] = [finding for finding in report.findings if finding.level == "stop"]
    assert leak.corpus == "train[1] ↔ test"


# ---- other tasks ---------------------------------------------------------------------------------------------------


def other_config(folder: Path, task: str, data: dict[str, Any], **sections: Any) -> Config:
    stack = {"language_model": "encoder_layers", "classification": "decoder_layers"}[task]
    return Config.model_validate(
        {
            "run_directory": str(folder / "run"),
            "task": task,
            "data": {"max_length": 32, "documents": "line", **data},
            "tokenizer": {"kind": "character", "minimum_frequency": 1},
            "model": {**TINY_MODEL, stack: 0},
            "training": {**TINY_TRAINING, "label_smoothing": 0.0, "updates": 8, "validate_every": 8, **sections},
            "evaluation": {"bootstrap_samples": 100},
        }
    )


def test_a_language_model_of_two_texts(sample_directory: Path, tmp_path: Path) -> None:
    data = {
        "train": [{"source": str(sample_directory / "train.en")}, {"source": str(sample_directory / "train.de"), "repeat": 0.5}],
        "validation": [{"source": str(sample_directory / f"validation.{language}")} for language in ("en", "de")],
    }
    config = other_config(tmp_path, "language_model", data)
    train(config, quiet=True)
    assert losses(tmp_path / "run")[-1] < losses(tmp_path / "run")[0]
    found = evaluate_run(tmp_path / "run", console=Console(file=io.StringIO()), split="validation")
    assert found.scores["perplexity"] < 60


def test_a_classifier_of_two_files_knows_the_labels_of_both(tmp_path: Path) -> None:
    for name, label in (("cats", "cat"), ("dogs", "dog")):
        rows = [f"a {label} number {number}\t{label}\n" for number in range(40)]
        (tmp_path / f"{name}.tsv").write_text("".join(rows), encoding="utf-8")
        (tmp_path / f"held.{name}.tsv").write_text(f"one more {label}\t{label}\n" * 2, encoding="utf-8")
    columns = {"source": 0, "target": 1}
    parts = [{"path": str(tmp_path / f"{name}.tsv"), **columns} for name in ("cats", "dogs")]
    held = [{"path": str(tmp_path / f"held.{name}.tsv"), **columns} for name in ("cats", "dogs")]
    config = other_config(tmp_path, "classification", {"train": parts, "validation": held, "test": held})
    report = check(config, quick=True)
    assert "2 labels; the most frequent" in next(one.problem for one in report.findings if one.corpus == "train")
    train(config, quiet=True)
    evaluate_run(tmp_path / "run", console=Console(file=io.StringIO()))
    answers = [json.loads(line) for line in (tmp_path / "run" / "evaluation" / "test.answers.jsonl").read_text().splitlines()]
    assert [(Path(one["file"]).name, one["line"], one["reference"]) for one in answers] == [
        ("held.cats.tsv", 1, "cat"), ("held.cats.tsv", 2, "cat"), ("held.dogs.tsv", 1, "dog"), ("held.dogs.tsv", 2, "dog"),
    ]  # fmt: skip
