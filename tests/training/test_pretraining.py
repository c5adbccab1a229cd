"""Pre-training on text alone, and tasks that start from it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from test_classification import kinds, label_config  # noqa: F401
from test_language_model import text_config
from test_loop import assert_same_checkpoint, figures, losses, train_and_die
from tiny_run import tiny_config

from headway.cli import main
from headway.config import Config, TokenizerConfig, dump_config
from headway.data.batches import IGNORED
from headway.data.corrupted import MaskedPreparation
from headway.data.noise import Random
from headway.data.tokenizer import Tokenizers, train_tokenizer
from headway.errors import UsageError
from headway.evaluation.evaluate import evaluate_run
from headway.evaluation.outcome_record import load_outcome
from headway.model_dir import build_model, load_model
from headway.report.page import write_report
from headway.training.loop import train
from headway.training.run_directory import open_tokenizers
from headway.training.start_from import inherit, start_findings

LAYERS = {
    "masked_language_model": {"encoder_layers": 2, "decoder_layers": 0},
    "span_corruption": {"encoder_layers": 2, "decoder_layers": 2},
    "denoising": {"encoder_layers": 2, "decoder_layers": 2},
}
TASKS = list(LAYERS)


def pretraining_config(task: str, sample: Path, folder: Path, run: str = "run", **sections: Any) -> Config:
    values = text_config(sample, folder, run, **sections).model_dump()
    values |= {"task": task, "tokenizer": {"vocabulary_size": 300, **sections.get("tokenizer", {})}}
    values["model"] |= {**LAYERS[task], **sections.get("model", {})}
    values["noise"] |= sections.get("noise", {})
    return Config.model_validate(values)


@pytest.mark.parametrize("task", TASKS)
def test_a_killed_run_resumes_bit_for_bit(
    task: str, sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = {"unit": "word", "permute_sentences": True, "deletion_rate": 0.1}
    straight, killed = (
        pretraining_config(task, sample_directory, tmp_path, name, noise=noise) for name in ("straight", "killed")
    )
    train(straight, quiet=True)
    train_and_die(killed, 13, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
    assert losses(tmp_path / "straight") == losses(tmp_path / "killed")


@pytest.mark.parametrize("task", TASKS)
def test_it_learns_and_is_evaluated(task: str, sample_directory: Path, tmp_path: Path) -> None:
    training = {"updates": 60, "validate_every": 60, "learning_rate": 1e-2, "averaging": "none"}
    run = train(pretraining_config(task, sample_directory, tmp_path, training=training), quiet=True)
    found = figures(run, "loss")
    assert found[-1] < found[0] - 0.7
    scores = evaluate_run(run, console=Console(file=io.StringIO()), split="validation").scores
    assert scores["loss"] == pytest.approx(figures(run, "validation_loss")[0], rel=1e-4)
    passages = load_outcome(run, "validation").passages
    assert sum(one.nats for one in passages) / sum(one.tokens for one in passages) == pytest.approx(scores["loss"])
    assert "The worst, by loss" in write_report(run, split="validation").read_text("utf-8")


@pytest.mark.parametrize(("language", "hidden"), [("zh", 2), ("en", 6)])
def test_pieces_are_words_where_no_spaces_are_written(language: str, hidden: int, sample_directory: Path, tmp_path: Path) -> None:
    text = "一二三四五 六七八九十"
    tokenizer = train_tokenizer([text], TokenizerConfig(kind="character", minimum_frequency=1))
    data, noise = {"source_language": language}, {"unit": "word", "rate": 0.2}
    config = pretraining_config("masked_language_model", sample_directory, tmp_path, data=data, noise=noise)
    preparation = MaskedPreparation(Tokenizers(tokenizer, tokenizer), config)
    _, wanted = preparation.damaged(np.array(tokenizer.encode(text)), Random.of(1))
    assert sum(token != IGNORED for token in wanted) == hidden


# ---- starting from it ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def masked(sample_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masked")
    training = {"updates": 10, "validate_every": 10}
    return train(pretraining_config("masked_language_model", sample_directory, folder, training=training), quiet=True)


@pytest.fixture(scope="module")
def writer(sample_directory: Path, masked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("writer")
    values = text_config(sample_directory, folder, training={"updates": 10, "validate_every": 10}).model_dump()
    values["tokenizer"] = {"path": str(masked / "model" / "tokenizer.json")}
    return train(Config.model_validate(values), quiet=True)


def started(config: Config, folder: Path) -> tuple[Any, Any]:
    folder.mkdir(parents=True)
    tokenizers = open_tokenizers(folder, config)
    model = build_model(config, tokenizers)
    return model, inherit(model, config, tokenizers)


def test_an_encoder_becomes_a_classifier(masked: Path, kinds: Path, tmp_path: Path) -> None:  # noqa: F811
    config = label_config(kinds, tmp_path / "run", model={"start_from": str(masked)})
    model, found = started(config, tmp_path / "run")
    old = load_model(masked)
    assert model.source_embedding.tokens.num_embeddings == old.tokenizers.source.vocabulary_size  # without the mask
    for name, tensor in old.model.state_dict().items():
        ours = model.state_dict()[name]
        assert torch.equal(ours, tensor[: len(ours)]), name
    assert sorted(found.new) == ["head.bias", "head.weight"]
    assert found.left == []
    assert "taken: encoder.*" in str(found)
    run = train(config.model_copy(update={"run_directory": str(tmp_path / "trained")}), quiet=True)
    assert load_model(run).tokenizers.source.digest == old.tokenizers.source.digest


def test_encoder_and_decoder_of_different_runs_become_a_translator(
    masked: Path, writer: Path, sample_directory: Path, tmp_path: Path
) -> None:
    runs = {"start_from": str(masked), "start_decoder_from": str(writer), "positions": "relative"}
    config = tiny_config(sample_directory, tmp_path / "run", model={**runs, "tied_embeddings": "decoder"})
    built, found = started(config, tmp_path / "run")
    inner = "feed_forward.inner.weight"
    for run, side, stack in ((masked, "source", "encoder"), (writer, "target", "decoder")):
        old = load_model(run).model
        for name in (f"{side}_embedding.tokens.weight", f"{stack}.1.{inner}"):
            ours, theirs = built.get_parameter(name), old.get_parameter(name)
            assert torch.equal(ours, theirs[: len(ours)]), name  # without the mask
    assert found.new
    assert all("cross_attention" in name for name in found.new)


def test_one_table_of_embeddings_does_not_begin_with_two(
    base: Path, masked: Path, writer: Path, sample_directory: Path, tmp_path: Path
) -> None:
    """Encoder and decoder of two runs, then of one run whose tables have gone their own ways."""
    two = {"start_from": str(masked), "start_decoder_from": str(writer), "positions": "relative"}
    refused = tiny_config(sample_directory, tmp_path / "two", model=two)
    problem = f"different embeddings in {masked / 'model'} and {writer / 'model'}, and this model has one table for both"
    with pytest.raises(UsageError, match=re.escape(problem)) as told:
        started(refused, tmp_path / "two")
    assert "set model.tied_embeddings=decoder" in str(told.value)
    assert [finding.problem for finding in start_findings(refused)] == [f"model.start_from: encoder and decoder have {problem}"]
    same = {"start_from": str(base), "start_decoder_from": str(base / "model"), "positions": "relative"}
    _, found = started(tiny_config(sample_directory, tmp_path / "same", model=same), tmp_path / "same")
    assert found.new == []
    one = {"start_from": str(base), "positions": "relative", "tied_embeddings": "none"}
    training = {"updates": 2, "validate_every": 2, "warmup_updates": 0, "averaging": "none"}
    untied = train(tiny_config(sample_directory, tmp_path / "untied", model=one, training=training), quiet=True)
    tied = tiny_config(sample_directory, tmp_path / "tied", model={"start_from": str(untied), "positions": "relative"})
    with pytest.raises(UsageError, match=r"set model\.tied_embeddings=none"):
        started(tied, tmp_path / "tied")


@pytest.mark.parametrize(("start_from", "part", "other"), [("masked", "encoder", "decoder"), ("writer", "decoder", "encoder")])
def test_a_stack_alone_starts_that_of_a_translator(
    start_from: str, part: str, other: str, request: pytest.FixtureRequest, sample_directory: Path, tmp_path: Path
) -> None:
    run = request.getfixturevalue(start_from)
    model = {"start_from": str(run), "positions": "relative"}
    config = tiny_config(sample_directory, tmp_path / "run", model=model, training={"updates": 6})
    assert start_findings(config) == []
    built, found = started(config, tmp_path / "run")
    theirs, ours = load_model(run).model.state_dict(), built.state_dict()
    assert all(torch.equal(ours[name], theirs[name][: len(ours[name])]) for name in found.taken)
    assert found.taken == list(theirs)
    assert found.left == []
    assert {name.partition(".")[0] for name in found.new} == {"decoder", f"{other}_norm", f"{other}_bias", other}
    assert all(name.startswith(other) or "cross_attention" in name for name in found.new)
    assert built.source_embedding.tokens is built.target_embedding.tokens
    trained = train(config.model_copy(update={"run_directory": str(tmp_path / "trained")}), quiet=True)
    assert load_model(trained).tokenizers.target.digest == load_model(run).tokenizers.target.digest


def test_a_translator_starts_a_language_model(base: Path, sample_directory: Path, tmp_path: Path) -> None:
    config = text_config(sample_directory, tmp_path, model={"start_from": str(base)})
    _, found = started(config, tmp_path / "run")
    assert found.new == []
    assert {name.partition(".")[0] for name in found.left} == {
        "encoder", "encoder_norm", "encoder_bias", "source_embedding", "decoder"
    }  # fmt: skip
    assert all("cross_attention" in name for name in found.left if name.startswith("decoder"))


def test_the_other_side_has_no_tokenizer_of_its_own(masked: Path, sample_directory: Path, tmp_path: Path) -> None:
    model = {"start_from": str(masked), "positions": "relative", "tied_embeddings": "decoder"}
    config = tiny_config(sample_directory, tmp_path / "run", model=model, tokenizer={"joint": False})
    with pytest.raises(UsageError, match=r"gives that of the encoder alone\n  → leave tokenizer\.joint out"):
        started(config, tmp_path / "run")


@pytest.mark.parametrize(
    ("start_from", "model", "problem"),
    [
        ("masked", {}, ""),
        ("masked", {"width": 64}, "model.width=64 (there: 32)"),
        ("writer", {}, "has no encoder to start from"),
        ("nowhere", {}, "no such directory"),
    ],
)
def test_the_check_looks_at_what_is_started_from(
    start_from: str, model: dict[str, Any], problem: str, request: pytest.FixtureRequest, kinds: Path, tmp_path: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = str(tmp_path / "nowhere") if start_from == "nowhere" else str(request.getfixturevalue(start_from))
    config = label_config(kinds, tmp_path / "run", model={"start_from": run, **model})
    (tmp_path / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    assert main(["check", str(tmp_path / "config.yaml"), "--quick", "--json", str(tmp_path / "out.json")]) == (
        3 if problem else 0
    )
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["findings"]
    told = [one["problem"] for one in found if one["check"] == "model.start_from"]
    assert len(told) == bool(problem)
    assert all(problem in one for one in told)


def test_what_does_not_fit_is_refused(masked: Path, writer: Path, sample_directory: Path, kinds: Path, tmp_path: Path) -> None:  # noqa: F811
    wider = label_config(kinds, tmp_path / "a", model={"start_from": str(masked), "width": 64})
    with pytest.raises(UsageError, match=r"model.width=64 \(there: 32\)") as refused:
        train(wider, quiet=True)
    assert "set model.width=32" in str(refused.value)
    no_encoder = label_config(kinds, tmp_path / "b", model={"start_from": str(writer)})
    with pytest.raises(UsageError, match="has no encoder to start from"):
        train(no_encoder, quiet=True)
    own_tokenizer = tmp_path / "own"
    own_tokenizer.mkdir()
    open_tokenizers(own_tokenizer, tiny_config(sample_directory, own_tokenizer)).save(tmp_path)
    other = label_config(
        kinds, tmp_path / "c", model={"start_from": str(masked)}, tokenizer={"path": str(tmp_path / "tokenizer.json")}
    )
    with pytest.raises(UsageError, match="another tokenizer"):
        train(other, quiet=True)
