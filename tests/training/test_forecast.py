from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tiny_run import tiny_config
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from headway.config import PRESETS, ModelConfig
from headway.data.checks.report import CheckReport, CorpusFigures
from headway.model.transformer import Transformer
from headway.training import forecast
from headway.training.forecast import calibrate, count, describe, kept_for_backward, memory
from headway.training.forecast_table import as_size, as_time, scaled

SWITCHES = {
    "encoder_layers": st.integers(0, 2),
    "decoder_layers": st.integers(0, 2),
    "key_value_heads": st.sampled_from([None, 1, 2]),
    "norm": st.sampled_from(["layer", "rms"]),
    "norm_place": st.sampled_from(["pre", "post"]),
    "positions": st.sampled_from(["sinusoidal", "learned", "rotary", "relative", "none"]),
    "gated": st.booleans(),
    "bias": st.booleans(),
    "tied_embeddings": st.sampled_from(["none", "decoder", "all"]),
    "query_key_norm": st.booleans(),
}


def model_config(**values: Any) -> ModelConfig:
    return ModelConfig.model_validate({"width": 16, "feed_forward_width": 24, "heads": 4, "max_positions": 10, **values})


@settings(deadline=None, max_examples=150)
@given(st.fixed_dictionaries(SWITCHES), st.integers(5, 40), st.integers(5, 40))
def test_parameters_are_those_of_the_real_model(values: dict[str, Any], source: int, target: int) -> None:
    if not values["encoder_layers"] and not values["decoder_layers"]:
        values["decoder_layers"] = 1
    if values["tied_embeddings"] == "all" and values["encoder_layers"] and values["decoder_layers"]:
        source = target
    config = model_config(**values)
    rows = count(config, source, target)
    real = Transformer(config, source, target)
    assert sum(row.parameters for row in rows) == real.parameter_count()
    for stack, modules in (("encoder", real.encoder), ("decoder", real.decoder)):
        outside = [getattr(real, f"{stack}_norm"), getattr(real, f"{stack}_bias")]
        wanted = sum(p.numel() for module in (modules, *outside) if module is not None for p in module.parameters())
        assert sum(row.parameters for row in rows if row.stack == stack) == wanted


@pytest.mark.parametrize(("preset", "parameters"), [("tiny", 2_605_568), ("base", 49_260_544)])
def test_presets(preset: str, parameters: int) -> None:
    assert sum(row.parameters for row in count(ModelConfig(preset=preset), 10_000, 10_000)) == parameters  # type: ignore[arg-type]
    assert preset in PRESETS


@pytest.mark.parametrize("values", [{}, {"gated": True}, {"key_value_heads": 2}, {"tied_embeddings": "none"}, {"norm": "rms"}])
@pytest.mark.parametrize(("S", "T"), [(7, 7), (5, 11), (12, 3)])
def test_flops_are_those_that_torch_counts(values: dict[str, Any], S: int, T: int) -> None:
    config = model_config(encoder_layers=2, decoder_layers=3, **values)
    model = Transformer(config, 30, 30).eval()
    ids_BS, ids_BT = torch.ones(2, S, dtype=torch.long), torch.ones(2, T, dtype=torch.long)
    mask_BS = torch.ones_like(ids_BS, dtype=torch.bool)
    mask_BS[0, -1] = False
    with FlopCounterMode(display=False) as counter:
        model.logits(model(ids_BS, mask_BS, ids_BT))
    rows = count(config, 30, 30, source_length=S, target_length=T)
    assert sum(row.flops for row in rows) * 2 * T == pytest.approx(counter.get_total_flops())


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"attention_dropout": 0.1, "feed_forward_dropout": 0.1},
        {"dropout": 0.0},
        {"gated": True, "activation": "silu"},
        {"norm": "rms", "norm_place": "post"},
        {"positions": "relative", "query_key_norm": True},
        {"preset": "small", "encoder_layers": 1, "decoder_layers": 1},
    ],
)
@pytest.mark.parametrize(("S", "T"), [(16, 16), (40, 24)])
def test_activations_are_what_torch_keeps(values: dict[str, Any], S: int, T: int) -> None:
    config = ModelConfig.model_validate({"encoder_layers": 3, "decoder_layers": 2, **values})
    model = Transformer(config, 50, 50).train()
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in weights and tensor.dtype == torch.float32:
            kept[place] = tensor  # and so its memory is not used again while we count
        return tensor

    ids_BS, ids_BT = torch.ones(4, S, dtype=torch.long), torch.ones(4, T, dtype=torch.long)
    mask_BS = torch.ones_like(ids_BS, dtype=torch.bool)
    mask_BS[0, -1] = False
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(ids_BS, mask_BS, ids_BT)
    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) / 4 / 4
    assert kept_for_backward(config, S, T) == pytest.approx(real, rel=0.12)


def test_memory_follows_the_settings(tmp_path: Path) -> None:
    def of(precision: str = "fp32", **training: Any) -> dict[str, int]:
        return memory(tiny_config(tmp_path, tmp_path, training=training), 300, 300, precision=precision)  # type: ignore[arg-type]

    parameters = sum(row.parameters for row in count(tiny_config(tmp_path, tmp_path).model, 300, 300))
    plain = of(averaging="none")
    assert (plain["weights"], plain["gradients"], plain["optimiser"]) == (4 * parameters, 4 * parameters, 8 * parameters)
    assert "averages" not in plain
    assert of(averaging="ema")["averages"] == 4 * parameters
    assert of(averaging="last", average_last=3)["averages"] == 12 * parameters
    assert of(accumulation=4)["activations"] == pytest.approx(plain["activations"] / 4, rel=0.01)
    assert of(r_drop=1.0)["activations"] == pytest.approx(plain["activations"] * 2, rel=0.01)
    assert of("bf16")["activations"] == pytest.approx(plain["activations"] / 2, rel=0.01)
    assert of("bf16")["copies in bf16"] > 0


@pytest.mark.parametrize("training", [{}, {"accumulation": 3, "r_drop": 1.0, "averaging": "none"}])
def test_calibration_takes_real_steps_and_leaves_the_random_numbers_alone(tmp_path: Path, training: dict[str, Any]) -> None:
    config = tiny_config(tmp_path, tmp_path / "run", training=training)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    found = calibrate(config, seconds=0.3, source_length=9.3, target_length=11.8)
    assert torch.equal(torch.get_rng_state(), before)
    assert 0 < found.seconds_per_update < 30
    pairs = int(config.training.batch_tokens / 11.8)
    assert found.tokens_per_second == pytest.approx(pairs * 12.8 / found.seconds_per_update)
    assert (found.precision.name, found.threads, found.device.type) == ("fp32", 1, "cpu")
    assert not (tmp_path / "run").exists()


def test_an_update_is_carried_over_from_two_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that takes 5 ms for the optimiser and 1 ms for each pair."""
    import headway.training.loop

    clock = [0.0]

    def pretend(state: Any, pieces: list[Any]) -> None:
        clock[0] += 0.005 + 0.001 * sum(len(piece.source_ids) for piece in pieces)

    monkeypatch.setattr(headway.training.loop, "train_step", pretend)
    monkeypatch.setattr(forecast.time, "perf_counter", lambda: clock[0])
    config = tiny_config(tmp_path, tmp_path, training={"batch_tokens": 100_000})
    found = calibrate(config, seconds=0.5, source_length=10, target_length=10)
    assert found.seconds_per_update == pytest.approx(0.005 + 0.001 * 10_000)


def test_the_tables_show_everything(tmp_path: Path) -> None:
    figures = CorpusFigures(
        "train", ("a", "b"), pairs=1000, checked=1000, dropped={"long": 10}, source_tokens=9.0, target_tokens=11.0
    )
    report = CheckReport((figures,), (), (), ("en", "de"), "learned", False, 1.0)
    config = tiny_config(tmp_path, tmp_path)
    found = describe(config, report=report, measure=True, source_vocabulary=250, target_vocabulary=250)
    assert found.rows == count(config.model, 250, 250, source_length=9.0, target_length=11.0)
    text = str(found)
    for part in (
        "cross-attention",
        "vocabulary (tied)",
        "optimiser",
        "activations",
        "target tokens a second",
        "990 pairs",
        "all 20 updates",
    ):
        assert part in text
    total = sum(row.parameters for row in found.rows)
    assert f"{total:,}" in text
    assert "9 source and 11 target tokens" in " ".join(text.split())
    assert max(len(line) for line in text.splitlines()) <= 88
    console = Console(file=io.StringIO(), width=60, force_terminal=True)
    console.print(found)
    assert isinstance(console.file, io.StringIO)
    assert "\x1b[1m" in console.file.getvalue()


def test_without_measuring_no_model_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "calibrate", lambda *_, **__: 1 / 0)
    config = tiny_config(tmp_path, tmp_path, model={"width": 65536, "encoder_layers": 256, "decoder_layers": 256})
    text = str(describe(config))
    assert "Time" not in text
    assert "TB" in text or "GB" in text


def test_a_model_that_does_not_fit_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "calibrate", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(forecast, "available_memory", lambda _: 100 << 20)
    found = describe(tiny_config(tmp_path, tmp_path), measure=True)
    assert found.too_large_by > 0
    assert "not measured: training would need" in str(found)


def test_free_memory_is_known_on_linux() -> None:
    found = forecast.available_memory(torch.device("cpu"))
    assert found is None or found > 1 << 20


def test_figures_for_people() -> None:
    assert [scaled(x) for x in (0, 999, 1000, 12_345, 5.38e6, 2e13)] == ["0", "999", "1 k", "12.3 k", "5.38 M", "20 T"]
    assert [as_size(x) for x in (1e6, 323.4e6, 2.014e9)] == ["1.0 MB", "323 MB", "2.01 GB"]
    assert [as_time(x) for x in (0.25, 12, 90, 3600 * 5.1, 86400 * 3)] == ["250 ms", "12.0 s", "2 min", "5 h 06 min", "3.0 days"]
