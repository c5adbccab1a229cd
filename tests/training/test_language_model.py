"""A language model on the way from a text file to texts of its own: training, resuming, evaluating, writing."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from test_loop import NO_CHANCE, assert_same_checkpoint, figures, losses, train_and_die
from tiny_run import TINY_MODEL, TINY_TRAINING

import headway
from headway.config import Config
from headway.data.texts import read_texts
from headway.data.tokenizer import BOS_ID, EOS_ID
from headway.errors import UsageError
from headway.evaluation.evaluate import evaluate_run
from headway.evaluation.outcome_record import load_outcome
from headway.inference.writer import Writer
from headway.model_dir import load_model
from headway.training.loop import train


def made_text(sample: Path, side: str, lines: int = 400) -> str:
    """Paragraphs of four sentences of the sample."""
    sentences = (sample / f"{side}.en").read_text("utf-8").splitlines()[:lines]
    return "\n\n".join("\n".join(sentences[start : start + 4]) for start in range(0, len(sentences), 4)) + "\n"


def text_config(sample: Path, folder: Path, run: str = "run", **sections: dict[str, Any]) -> Config:
    for name in ("train", "validation"):
        (folder / f"{name}.txt").write_text(made_text(sample, name), encoding="utf-8")
    corpora = {name: {"source": str(folder / f"{name}.txt")} for name in ("train", "validation")}
    model = {**TINY_MODEL, "encoder_layers": 0, "positions": "relative", **sections.get("model", {})}
    return Config.model_validate(
        {
            "run_directory": str(folder / run),
            "task": "language_model",
            "data": {**corpora, "documents": "paragraph", "max_length": 48, **sections.get("data", {})},
            "tokenizer": {"kind": "character", "blanks": "all", "minimum_frequency": 1},
            "model": model,
            "training": {**TINY_TRAINING, **sections.get("training", {})},
        }
    )


def test_what_is_left_out_fits_the_task(sample_directory: Path, tmp_path: Path) -> None:
    config = text_config(sample_directory, tmp_path)
    assert config.training.label_smoothing == 0.0
    assert config.training.best_by == "loss"
    assert config.decoding.method == "sample"
    corpora = {"train": {"source": "a.txt"}, "validation": {"source": "b.txt"}}
    values = {"run_directory": "r", "task": "language_model", "data": corpora, "model": {"preset": "small"}}
    preset = Config.model_validate(values)
    assert (preset.model.encoder_layers, preset.model.decoder_layers, preset.model.width) == (0, 6, 256)


@pytest.mark.parametrize("training", [{}, {"r_drop": 1.0, "accumulation": 2, "averaging": "last"}])
def test_a_killed_run_resumes_bit_for_bit(
    training: dict[str, Any], sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = text_config(sample_directory, tmp_path, "straight", training=training)
    killed = text_config(sample_directory, tmp_path, "killed", training=training)
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
    assert losses(tmp_path / "straight") == losses(tmp_path / "killed")


def test_accumulation_changes_nothing(sample_directory: Path, tmp_path: Path) -> None:
    for pieces in (1, 3):
        training = {"accumulation": pieces, "updates": 6}
        train(text_config(sample_directory, tmp_path, str(pieces), model=NO_CHANCE, training=training), quiet=True)
    for figure in ("loss", "gradient_norm"):
        assert figures(tmp_path / "1", figure) == pytest.approx(figures(tmp_path / "3", figure), rel=1e-4)


@pytest.fixture(scope="module")
def run(sample_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    training = {"updates": 150, "validate_every": 150, "save_every": 150, "learning_rate": 1e-2, "averaging": "none"}
    return train(text_config(sample_directory, folder, training=training), quiet=True)


def test_it_learns(run: Path) -> None:
    found = figures(run, "loss")
    assert found[0] > 3.0
    assert found[-1] < 2.4


def test_the_validation_loss_is_that_of_the_documents_one_by_one(run: Path) -> None:
    loaded = load_model(run)
    config, tokenizer = loaded.config, loaded.tokenizers.target
    total, tokens = 0.0, 0
    stream: list[int] = []
    for text in read_texts(config.data.validation, "paragraph"):
        stream += [*tokenizer.encode(text.source), EOS_ID]
    for start in range(0, len(stream), config.data.max_length):  # each document of each row by itself
        row = stream[start : start + config.data.max_length]
        before = stream[start - 1] if start else EOS_ID
        while row:
            part = row[: row.index(EOS_ID) + 1] if EOS_ID in row else row
            ids = torch.tensor([[BOS_ID if before == EOS_ID else before, *part[:-1]]])
            with torch.no_grad():
                log_p = loaded.model.logits(loaded.model.decode(ids, None, None)).log_softmax(-1)[0]
            total -= float(log_p.gather(1, torch.tensor(part)[:, None]).sum())
            tokens, before, row = tokens + len(part), part[-1], row[len(part) :]
    (reported,) = figures(run, "validation_loss")
    assert reported == pytest.approx(total / tokens, rel=1e-5)
    text_bytes = len("".join(text.source for text in read_texts(config.data.validation, "paragraph")).encode())
    assert figures(run, "validation_bits_per_byte") == [pytest.approx(total / math.log(2) / text_bytes, rel=1e-5)]


def test_what_the_tokenizer_loses_earns_no_bytes(run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (run.parent / "validation.txt").read_text("utf-8")
    (tmp_path / "unknown.txt").write_text(text.replace("e", "漢"), "utf-8")
    overrides = [f"data.validation.source={tmp_path / 'unknown.txt'}"]
    found = evaluate_run(run, overrides, Console(file=io.StringIO(), width=100), "validation")
    written = json.loads((run / "evaluation" / "validation.json").read_text("utf-8"))["scores"]
    assert "% of the pieces are unknown" in caplog.text
    nats = written["loss"]["score"] * (len(text) + text.count("\n\n"))
    assert found.scores["bits_per_byte"] == pytest.approx(nats / math.log(2) / (len(text.encode()) - text.count("e")), rel=0.05)


def test_an_evaluation_agrees_with_validation(run: Path) -> None:
    console = Console(file=io.StringIO(), width=100)
    found = evaluate_run(run, console=console, split="validation")
    assert found.scores["loss"] == pytest.approx(figures(run, "validation_loss")[0], rel=1e-5)
    assert found.scores["bits_per_byte"] == pytest.approx(figures(run, "validation_bits_per_byte")[0], rel=1e-5)
    assert found.scores["perplexity"] == pytest.approx(math.exp(found.scores["loss"]))
    written = json.loads((run / "evaluation" / "validation.json").read_text("utf-8"))
    score = written["scores"]["loss"]
    assert score["low"] < score["score"] < score["high"]
    statistics = json.loads((run / "evaluation" / "validation.statistics.json").read_text("utf-8"))
    assert sum(row[0] for row in statistics["loss"]) / sum(row[1] for row in statistics["loss"]) == pytest.approx(score["score"])
    saved = load_outcome(run, "validation")
    assert [(one.nats, one.tokens) for one in saved.passages] == [tuple(row) for row in statistics["loss"]]
    [table] = saved.record.tables
    tokens = [int(row[-1].replace(",", "")) for row in table.rows]
    assert sum(tokens) == sum(one.tokens for one in saved.passages)
    each = [float(row[1].split()[0]) for row in table.rows]
    assert sum(np.multiply(each, tokens)) / sum(tokens) == pytest.approx(score["score"], abs=2e-3)
    assert each[0] > each[-1]  # the rarest pieces are the hardest
    data = load_model(run).config.data
    first = next(read_texts(data.parts("validation")[0], data.documents)).source
    assert saved.passages[0].text.split()[:5] == first.split()[:5]
    with pytest.raises(UsageError, match="no test set"):
        evaluate_run(run)


def test_texts_go_on_from_their_prompts(run: Path) -> None:
    writer = headway.load(str(run), maximum_length=40, temperature=0.8)
    assert isinstance(writer, Writer)
    prompts = ["The ", "", "A man"]
    texts = writer.predict(prompts)
    assert all(text.startswith(prompt) and len(text) > len(prompt) for text, prompt in zip(texts, prompts, strict=True))
    assert writer.predict(prompts) == texts
    other = headway.load(str(run), maximum_length=40, temperature=0.8, seed=2).predict(prompts)
    assert other != texts
    assert [answers[0].text for answers in writer.answer_pieces([prompts[:1], prompts[1:]])] == texts
    with pytest.raises(UsageError, match="one text"):
        writer.predict("The ")


def test_a_prompt_longer_than_the_model_reads_is_kept_whole(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    prompt = "The man and the woman " * 5
    (text,) = headway.load(str(run), maximum_length=10, method="greedy").predict([prompt])
    assert text.startswith(prompt)
    assert "more than the model reads" in caplog.text


def test_unknown_characters_of_a_prompt_are_told(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    headway.load(str(run), maximum_length=10, method="greedy").predict(["A 漢 man"])
    assert "does not know 1 of its 7 pieces" in caplog.text


def test_targets_and_encoders_are_refused(sample_directory: Path, tmp_path: Path) -> None:
    base = text_config(sample_directory, tmp_path).model_dump()
    base["data"]["train"]["target"] = "x.txt"
    with pytest.raises(ValueError, match="is not read by task=language_model"):
        Config.model_validate(base)
    base = text_config(sample_directory, tmp_path).model_dump()
    base["model"]["encoder_layers"] = 2
    with pytest.raises(ValueError, match="needs a decoder alone"):
        Config.model_validate(base)
