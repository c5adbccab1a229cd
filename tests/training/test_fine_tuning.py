"""Training on from a trained model: frozen parts, rates by layer, adapters and how they are merged, a larger vocabulary."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from test_loop import NO_CHANCE, assert_same_checkpoint, figures, headway, newest, train_and_die, write
from test_questions import question_config
from tiny_run import FEW, tuned_config

from headway.config import Config, LoraConfig, ModelConfig, TrainingConfig
from headway.data.tokenizer import Tokenizers, train_tokenizer
from headway.model.transformer import Transformer
from headway.model_dir import build_model, load_model, save_model
from headway.training.forecast import memory
from headway.training.loop import train
from headway.training.optimizer import build_optimizer, learning_rate, set_learning_rate
from headway.training.parts import choose_what_learns, learning_parameters, shares_of_rate
from headway.training.start_from import inherit

RELATIVE = {"positions": "relative"}


# ---- freezing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_frozen_parts_stay_and_a_killed_run_resumes_bit_for_bit(
    optimizer: str, base: Path, sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {**FEW, "freeze": ["embeddings", "encoder.0", "decoder"], "optimizer": optimizer}
    straight, killed = (tuned_config(sample_directory, tmp_path / one, base, training=training) for one in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
    before, after = (load_model(run).model.state_dict() for run in (base, tmp_path / "straight"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.partition(".")[0] for name in changed} == {"encoder", "encoder_norm", "encoder_bias"}
    assert all(name.startswith("encoder.1.") for name in changed if name.startswith("encoder."))
    learned = {name.split(".", 2)[2] for name in newest(tmp_path / "straight")[0] if name.startswith(("optimizer.", "average."))}
    assert learned == changed


@pytest.mark.slow
def test_a_frozen_model_trains_on_two_ranks_as_on_one(base: Path, sample_directory: Path, tmp_path: Path) -> None:
    training = {**FEW, "updates": 6, "freeze": ["embeddings", "encoder.0-1"]}
    for ranks in (1, 2):
        config = tuned_config(sample_directory, tmp_path / str(ranks), base, model=NO_CHANCE, training=training)
        subprocess.run(headway("train", write(config, tmp_path / f"{ranks}.yaml"), ranks=ranks), check=True, capture_output=True)
    for figure in ("loss", "gradient_norm"):
        assert figures(tmp_path / "1", figure) == pytest.approx(figures(tmp_path / "2", figure), rel=1e-4)


def transformer(**model: Any) -> tuple[Transformer, Config]:
    sizes = {"preset": None, "encoder_layers": 2, "decoder_layers": 3, "width": 16, "feed_forward_width": 24, "heads": 4, **model}
    corpus = {"source": "a", "target": "b"}
    values = {"run_directory": "r", "data": {"train": corpus, "validation": corpus}, "model": sizes}
    config = Config.model_validate(values)
    return Transformer(config.model, 20, 20), config


OF_ENCODER = {"encoder_bias.bias.weight", "encoder_norm.weight", "encoder_norm.bias"}
EMBEDDINGS = {"source_embedding.tokens.weight", "target_embedding.tokens.weight"}
UNTIED = {"tied_embeddings": "none"}


@pytest.mark.parametrize(
    ("freeze", "model", "learning"),
    [
        (["encoder", "decoder"], {}, {"target_embedding.tokens.weight"}),
        (["embeddings", "decoder", "encoder.0-1"], RELATIVE, OF_ENCODER),
        (["embeddings", "encoder", "decoder"], UNTIED, {"output.weight"}),
        (["output", "encoder", "decoder.0-2", "decoder"], UNTIED, EMBEDDINGS),
    ],
)
def test_parts_are_what_they_are_called(freeze: list[str], model: dict[str, Any], learning: set[str]) -> None:
    net, config = transformer(**model)
    config = config.model_copy(update={"training": TrainingConfig(freeze=freeze)})
    choose_what_learns(net, config, new=())
    found = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    tied = net.target_embedding.tokens.weight is net.source_embedding.tokens.weight
    assert found == ({"source_embedding.tokens.weight"} if tied and "target_embedding.tokens.weight" in learning else learning)


def test_progress_tells_how_many_learn(
    base: Path, sample_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = {**FEW, "updates": 1, "warmup_updates": 0, "freeze": ["embeddings", "encoder"]}
    train(tuned_config(sample_directory, tmp_path / "run", base, training=training))
    model = load_model(base).model
    learn = sum(p.numel() for name, p in model.named_parameters() if name.startswith("decoder"))
    assert f"{model.parameter_count():,} parameters, {learn:,} of them learn" in capsys.readouterr().err


# ---- rates by layer ------------------------------------------------------------------------------------------------

TABLE = {
    "source_embedding": 0.125, "target_embedding": 0.125, "output": 1.0,
    "encoder.0": 0.5, "encoder.1": 1.0, "encoder_norm": 1.0, "encoder_bias": 0.5,
    "decoder.0": 0.25, "decoder.1": 0.5, "decoder.2": 1.0, "decoder_norm": 1.0, "decoder_bias": 0.25,
}  # fmt: skip


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("tied", ["none", "all"])
def test_rates_are_those_of_the_table(optimizer: str, tied: str) -> None:
    net, _ = transformer(**RELATIVE, tied_embeddings=tied)
    settings = TrainingConfig(optimizer=optimizer, layer_decay=0.5, learning_rate=0.08, warmup_updates=10, updates=100)
    steps = build_optimizer(net, settings)
    for step in (1, 10, 40):
        rate = learning_rate(step, settings)
        set_learning_rate(steps, rate)
        found = {id(parameter): group["lr"] for group in steps.param_groups for parameter in group["params"]}
        assert len(found) == len(list(net.parameters()))
        for name, parameter in net.named_parameters():
            part = ".".join(name.split(".")[: 2 if name.startswith(("encoder.", "decoder.")) else 1])
            assert found[id(parameter)] == pytest.approx(rate * TABLE[part]), name


def test_a_head_has_the_full_rate_and_one_is_no_decay() -> None:
    sizes = {"preset": None, "encoder_layers": 3, "decoder_layers": 0, "width": 16, "feed_forward_width": 24, "heads": 4}
    net = Transformer(ModelConfig(**sizes), 20, 20, outputs=2)
    shares = shares_of_rate(net, 0.5)
    names = ("head.weight", "encoder.0.self_attention.query.bias", "source_embedding.tokens.weight")
    assert [shares[name] for name in names] == [1.0, 0.25, 0.125]
    assert set(shares_of_rate(net, 1.0).values()) == {1.0}
    assert len(build_optimizer(net, TrainingConfig()).param_groups) == 2


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_step_is_as_much_smaller_as_the_rate(optimizer: str) -> None:
    moved = []
    for decay in (1.0, 0.5):
        net, _ = transformer()
        before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
        steps = build_optimizer(net, TrainingConfig(optimizer=optimizer, layer_decay=decay, warmup_updates=0))
        for number, parameter in enumerate(net.parameters()):
            parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
        steps.step()
        moved.append({name: parameter.detach() - before[name] for name, parameter in net.named_parameters()})
    for name, share in shares_of_rate(net, 0.5).items():
        torch.testing.assert_close(moved[1][name], moved[0][name] * share, rtol=1e-3, atol=1e-6)


def test_a_killed_run_with_rates_by_layer_resumes_bit_for_bit(
    base: Path, sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {**FEW, "layer_decay": 0.7, "optimizer": "muon"}
    straight, killed = (tuned_config(sample_directory, tmp_path / one, base, training=training) for one in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")


def test_a_reader_goes_on_with_its_head(tmp_path: Path) -> None:
    config = question_config(tmp_path)
    tokenizer = train_tokenizer(["who danced in the garden"] * 2, config.tokenizer)
    tokenizers = Tokenizers(tokenizer, tokenizer)
    trained = Transformer(config.model, tokenizer.vocabulary_size, tokenizer.vocabulary_size, outputs=2, seed=9)
    save_model(tmp_path / "base", config, trained.state_dict(), tokenizers)
    config = config.model_copy(update={"model": config.model.model_copy(update={"start_from": str(tmp_path / "base")})})
    model = build_model(config, tokenizers)
    assert inherit(model, config, tokenizers).new == []
    assert trained.head is not None
    assert model.head is not None
    assert torch.equal(model.head.weight, trained.head.weight)


def test_the_forecast_counts_what_learns() -> None:
    _, config = transformer()
    whole = memory(config, 100, 100)
    training = config.training.model_copy(update={"freeze": ["embeddings", "encoder"], "averaging": "ema"})
    frozen = memory(config.model_copy(update={"training": training}), 100, 100)
    net, _ = transformer()
    learn = sum(p.numel() for name, p in net.named_parameters() if name.startswith("decoder"))
    assert (frozen["gradients"], frozen["optimiser"], frozen["averages"]) == (4 * learn, 8 * learn, 4 * learn)
    assert frozen["weights"] == whole["weights"] == whole["gradients"]
    model = config.model.model_copy(update={"lora": LoraConfig(rank=2)})
    assert memory(config.model_copy(update={"model": model}), 100, 100)["gradients"] < whole["gradients"] / 2
    assert learning_parameters(net) == net.parameter_count()
