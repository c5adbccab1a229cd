"""The loop: normalisation, ranks, resuming, guards and signals, on a tiny run of the sample data."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import tiny_config
from torch import Tensor

from headway.config import Config, dump_config
from headway.errors import DataError, Interrupted, ModelError, ResourceError, UsageError
from headway.training import loop
from headway.training.checkpoint import Checkpoints
from headway.training.loop import train
from headway.training.losses import TokenLoss


def newest(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    checkpoint = Checkpoints(directory / "checkpoints").newest()
    assert checkpoint is not None
    return checkpoint.load()


def assert_same_checkpoint(first: Path, second: Path) -> None:
    (tensors_a, state_a), (tensors_b, state_b) = newest(first), newest(second)
    assert state_a == state_b
    assert tensors_a.keys() == tensors_b.keys()
    for name, tensor in tensors_a.items():
        assert torch.equal(tensor, tensors_b[name]), name


def figures(directory: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def told(directory: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl, but for what a clock says."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in ("time", "tokens_per_second")} for line in lines]


def losses(directory: Path) -> list[float]:
    return figures(directory, "loss")


class Killed(Exception):
    pass


def train_and_die(config: Config, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs until update `after` is done and then dies as a power cut would: no saving, no tidying."""
    with monkeypatch.context() as patch:
        step = loop.train_step

        def dying(state: loop.TrainState, pieces: Any) -> loop.StepResult:
            if state.update == after:
                raise Killed
            return step(state, pieces)

        patch.setattr(loop, "train_step", dying)
        with pytest.raises(Killed):
            train(config, quiet=True)


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"model": {"layer_dropout": 0.5}},
        {"tokenizer": {"dropout": 0.1}, "training": {"r_drop": 1.0, "averaging": "last", "accumulation": 2}},
    ],
)
def test_a_killed_run_resumes_bit_for_bit_twice(
    sections: dict[str, dict[str, Any]], sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = tiny_config(sample_directory, tmp_path / "straight", **sections)
    killed = tiny_config(sample_directory, tmp_path / "killed", **sections)
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train_and_die(killed, 13, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
    assert told(tmp_path / "straight") == told(tmp_path / "killed")


@pytest.mark.parametrize("averaging", ["ema", "last"])
def test_a_signal_ends_a_validation_at_once_and_it_is_done_again(
    averaging: str, sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {"averaging": averaging, "save_every": 1000, "log_every": 4}
    straight, stopped = (tiny_config(sample_directory, tmp_path / name, training=training) for name in ("straight", "stopped"))
    train(straight, quiet=True)

    def endless(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "validate", endless)
        with pytest.raises(Interrupted):
            train(stopped, quiet=True)
    assert newest(tmp_path / "stopped")[1]["update"] == stopped.training.validate_every
    train(stopped, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "stopped")
    assert told(tmp_path / "straight") == told(tmp_path / "stopped")


def test_other_tokenizers_are_refused(sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(sample_directory, tmp_path / "run")
    train_and_die(config, 7, monkeypatch)
    path = tmp_path / "run" / "tokenizers" / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    vocabulary = content["model"]["vocab"]
    one, other = list(vocabulary)[20:22]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ModelError, match="have changed since this run began"):
        train(config, quiet=True)


def test_a_failing_validation_costs_nothing(sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight, failing = tmp_path / "straight", tmp_path / "failing"
    train(tiny_config(sample_directory, straight), quiet=True)
    config = tiny_config(sample_directory, failing)
    every = config.training.validate_every
    assert every % config.training.save_every == 0

    def full_disk(*_: Any) -> None:
        raise ResourceError("no space is left")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_model", full_disk)
        with pytest.raises(ResourceError, match="no space"):
            train(config, quiet=True)
    assert newest(failing)[1]["update"] == every
    train(config, quiet=True)
    assert_same_checkpoint(straight, failing)
    assert figures(straight, "validation_loss") == figures(failing, "validation_loss")


def test_another_seed_is_another_run(sample_directory: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        train(tiny_config(sample_directory, tmp_path / str(seed), training={"seed": seed, "updates": 6}), quiet=True)
    assert losses(tmp_path / "1") != losses(tmp_path / "2")


NO_CHANCE = {"dropout": 0.0, "attention_dropout": 0.0}


@pytest.mark.slow
def test_a_compiled_run_learns_the_same(sample_directory: Path, tmp_path: Path) -> None:
    for compiled in (False, True):
        training = {"updates": 12, "compile": compiled}
        train(tiny_config(sample_directory, tmp_path / str(compiled), model=NO_CHANCE, training=training), quiet=True)
    assert losses(tmp_path / "True") == pytest.approx(losses(tmp_path / "False"), rel=1e-4)
    assert newest(tmp_path / "True")[0].keys() == newest(tmp_path / "False")[0].keys()


@pytest.mark.parametrize("pieces", [2, 4])
def test_accumulation_changes_nothing(pieces: int, sample_directory: Path, tmp_path: Path) -> None:
    for number in (1, pieces):
        train(
            tiny_config(
                sample_directory, tmp_path / str(number), model=NO_CHANCE, training={"accumulation": number, "updates": 6}
            ),
            quiet=True,
        )
    for figure in ("loss", "gradient_norm"):
        assert figures(tmp_path / "1", figure) == pytest.approx(figures(tmp_path / str(pieces), figure), rel=1e-4)


def test_a_mean_of_means_would_be_noticed(sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug that other trainers had: each micro-batch divided by its own tokens. The test above must see it."""
    sections = {"model": NO_CHANCE, "training": {"accumulation": 3, "updates": 8}}
    train(tiny_config(sample_directory, tmp_path / "right", **sections), quiet=True)
    right_loss = loop.LossOf.forward

    def mean_of_means(self: loop.LossOf, batch: Any) -> TokenLoss:
        found = right_loss(self, batch)
        return TokenLoss(found.loss / max(found.tokens, 1) * 100, found.negative_log_likelihood, found.tokens)

    monkeypatch.setattr(loop.LossOf, "forward", mean_of_means)
    train(tiny_config(sample_directory, tmp_path / "wrong", **sections), quiet=True)
    assert losses(tmp_path / "right") != pytest.approx(losses(tmp_path / "wrong"), rel=1e-5)


def headway(*arguments: str, ranks: int = 1) -> list[str]:
    if ranks == 1:
        return [sys.executable, "-m", "headway", *arguments]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return [*launcher, "-m", "headway", *arguments]


def write(config: Config, path: Path) -> str:
    path.write_text(dump_config(config), encoding="utf-8")
    return str(path)


def test_two_gloo_ranks_equal_one_process(sample_directory: Path, tmp_path: Path) -> None:
    for ranks in (1, 2):
        config = tiny_config(
            sample_directory, tmp_path / str(ranks), model=NO_CHANCE, training={"updates": 6, "validate_every": 6}
        )
        subprocess.run(headway("train", write(config, tmp_path / f"{ranks}.yaml"), ranks=ranks), check=True, capture_output=True)
    for figure in ("loss", "gradient_norm"):
        assert figures(tmp_path / "1", figure) == pytest.approx(figures(tmp_path / "2", figure), rel=1e-4)


def test_sigterm_saves_and_the_run_goes_on_to_the_same_weights(sample_directory: Path, tmp_path: Path) -> None:
    training = {"updates": 60, "validate_every": 60, "save_every": 1000}
    straight = tiny_config(sample_directory, tmp_path / "straight", training=training)
    train(straight, quiet=True)
    stopped = tiny_config(sample_directory, tmp_path / "stopped", training=training)
    command = headway("train", write(stopped, tmp_path / "stopped.yaml"))
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "stopped" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text().count("\n") >= 3):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "same command goes on" in errors
    assert 3 <= newest(tmp_path / "stopped")[1]["update"] < 60
    subprocess.run(command, check=True, capture_output=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "stopped")


def test_an_interrupt_is_typed(sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = loop.train_step

    def interrupting(state: loop.TrainState, pieces: Any) -> loop.StepResult:
        if state.update == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(state, pieces)

    monkeypatch.setattr(loop, "train_step", interrupting)
    with pytest.raises(Interrupted) as caught:
        train(tiny_config(sample_directory, tmp_path / "run"), quiet=True)
    assert caught.value.exit_code == 130
    assert newest(tmp_path / "run")[1]["update"] == 3


def poison(monkeypatch: pytest.MonkeyPatch, bad_calls: set[int]) -> None:
    right_loss, calls = loop.LossOf.forward, [0]

    def sometimes_nan(self: loop.LossOf, batch: Any) -> TokenLoss:
        found = right_loss(self, batch)
        if not self.training:
            return found
        calls[0] += 1
        return (
            TokenLoss(found.loss * float("nan"), found.negative_log_likelihood, found.tokens) if calls[0] in bad_calls else found
        )

    monkeypatch.setattr(loop.LossOf, "forward", sometimes_nan)


def test_a_non_finite_update_is_skipped_and_named(
    sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poison(monkeypatch, {4})
    train(tiny_config(sample_directory, tmp_path / "run", training={"updates": 6}), quiet=True)
    assert "update 4 was skipped" in caplog.text
    tensors, state = newest(tmp_path / "run")
    assert state["update"] == 6
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_too_many_non_finite_updates_end_the_run(sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, set(range(7, 100)))
    config = tiny_config(sample_directory, tmp_path / "run", training={"non_finite_limit": 3})
    with pytest.raises(ResourceError, match="3 updates in a row"):
        train(config, quiet=True)
    tensors, state = newest(tmp_path / "run")
    assert state["update"] == 5
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_one_batch_is_learned_by_heart(sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_look_at_data", lambda *_: None)  # it would refuse to validate on training data
    short = tmp_path / "short"
    short.mkdir()
    for name in ("train", "validation", "test"):
        for language in ("en", "de"):
            lines = (sample_directory / f"train.{language}").read_text(encoding="utf-8").split("\n")[:12]
            (short / f"{name}.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    training = {
        "updates": 300,
        "warmup_updates": 10,
        "validate_every": 300,
        "label_smoothing": 0.0,
        "averaging": "none",
        "schedule": "wsd",
    }
    tokenizer = {"minimum_frequency": 1, "kind": "character"}
    train(tiny_config(short, tmp_path / "run", model=NO_CHANCE, training=training, tokenizer=tokenizer), quiet=True)
    assert losses(tmp_path / "run")[-1] < 0.3
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["validation_bleu"] > 95


def test_another_configuration_in_the_same_directory_is_refused(sample_directory: Path, tmp_path: Path) -> None:
    train(tiny_config(sample_directory, tmp_path / "run", training={"updates": 6}), quiet=True)
    with pytest.raises(UsageError, match=r"model\.width"):
        train(tiny_config(sample_directory, tmp_path / "run", model={"width": 64}, training={"updates": 6}), quiet=True)


def test_an_early_stopped_run_stays_stopped(sample_directory: Path, tmp_path: Path) -> None:
    training = {"updates": 40, "validate_every": 2, "patience": 2, "learning_rate": 1e-30, "averaging": "none", "best_by": "loss"}
    config = tiny_config(sample_directory, tmp_path / "run", training=training)
    train(config, quiet=True)
    stopped_at = newest(tmp_path / "run")[1]["update"]
    assert stopped_at < 40
    train(config, quiet=True)
    assert newest(tmp_path / "run")[1]["update"] == stopped_at


@pytest.mark.parametrize("name", ["train", "validation"])
def test_data_that_changed_since_is_refused(name: str, sample_directory: Path, tmp_path: Path) -> None:
    copied = tmp_path / "data"
    shutil.copytree(sample_directory, copied)
    config = tiny_config(copied, tmp_path / "run", training={"updates": 6})
    train(config, quiet=True)
    lines = (copied / f"{name}.en").read_text(encoding="utf-8")
    (copied / f"{name}.en").write_text(lines.replace("a", "e", 1), encoding="utf-8")
    longer = tiny_config(copied, tmp_path / "run", training={"updates": 8})
    with pytest.raises(DataError, match="has changed"):
        train(longer, quiet=True)


def test_early_stopping_counts_over_a_resume(sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = {
        "updates": 40,
        "validate_every": 2,
        "save_every": 3,
        "patience": 3,
        "learning_rate": 1e-30,
        "averaging": "none",
        "best_by": "loss",
    }
    straight = tiny_config(sample_directory, tmp_path / "straight", training=training)
    train(straight, quiet=True)
    stopped_at = newest(tmp_path / "straight")[1]["update"]
    assert stopped_at < 40
    killed = tiny_config(sample_directory, tmp_path / "killed", training=training)
    train_and_die(killed, stopped_at - 1, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
