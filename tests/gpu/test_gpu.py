"""On a CUDA GPU: the arithmetic agrees with float64 on a CPU, and every made task trains, goes on and is evaluated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from headway.cli import main
from headway.config import DecodingConfig, ModelConfig
from headway.inference.decoding import generate
from headway.model.dropout import Dropout
from headway.model.transformer import Transformer
from headway.samples import SAMPLES
from headway.training.losses import cross_entropy
from headway.training.muon import orthogonalise

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")

SIZES = {
    "preset": None,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "width": 64,
    "feed_forward_width": 96,
    "heads": 4,
    "dropout": 0.0,
}
SWITCHES = [
    {},
    {"norm_place": "post", "positions": "learned"},
    {"norm": "rms", "positions": "rotary", "gated": True, "activation": "silu", "bias": False, "key_value_heads": 2},
    {"positions": "relative", "tied_embeddings": "none", "activation": "gelu", "query_key_norm": True},
]
VOCABULARY = 53


def build(switches: dict[str, object], device: str, dtype: torch.dtype, compute: torch.dtype | None = None) -> Transformer:
    model = Transformer(ModelConfig(**{**SIZES, **switches}), VOCABULARY, VOCABULARY, seed=3).to(device, dtype)
    model.compute_dtype = compute or dtype
    return model.eval()


def sentences() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    source, target = (torch.randint(4, VOCABULARY, (5, length), generator=random) for length in (19, 23))
    mask = torch.ones_like(source, dtype=torch.bool)
    mask[1, 7:] = mask[3, 12:] = False
    return source, mask, target


def loss_and_gradients(model: Transformer, device: str) -> tuple[Tensor, dict[str, Tensor]]:
    source, mask, target = (tensor.to(device) for tensor in sentences())
    hidden = model(source, mask, target[:, :-1])
    loss = cross_entropy(hidden, model.output_weight, target[:, 1:], smoothing=0.1).loss
    loss.backward()
    gradients = {name: p.grad.double().cpu() for name, p in model.named_parameters() if p.grad is not None}
    return loss.detach().double().cpu(), gradients


def far(found: Tensor, wanted: Tensor) -> float:
    """The length of the difference, as a share of the length of what is wanted."""
    return float((found - wanted).norm() / wanted.norm().clamp(min=1e-9))


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize(("compute", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 5e-2)])
def test_loss_and_gradients_agree_with_float64(switches: dict[str, object], compute: torch.dtype, tolerance: float) -> None:
    wanted, wanted_gradients = loss_and_gradients(build(switches, "cpu", torch.float64), "cpu")
    found, gradients = loss_and_gradients(build(switches, "cuda", torch.float32, compute), "cuda")
    assert far(found, wanted) < tolerance
    assert gradients.keys() == wanted_gradients.keys()
    together = [torch.cat([named[name].flatten() for name in wanted_gradients]) for named in (gradients, wanted_gradients)]
    assert far(*together) < tolerance


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_decoding_agrees_with_a_cpu(switches: dict[str, object], method: str) -> None:
    source, mask, _ = sentences()
    options = DecodingConfig(method=method, beam_size=3, maximum_length=20)
    answers = [
        generate(build(switches, device, torch.float32), source.to(device), mask.to(device), options, bos_id=1, eos_id=2)
        for device in ("cpu", "cuda")
    ]
    assert [[one.ids for one in each] for each in answers[0]] == [[one.ids for one in each] for each in answers[1]]


def test_muon_agrees_with_float64() -> None:
    matrices = torch.randn(3, 48, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = orthogonalise(matrices.to("cuda", torch.bfloat16)).double().cpu()
    assert far(found, orthogonalise(matrices)) < 0.05


def test_dropout_keeps_its_rate_and_repeats_with_its_key() -> None:
    model = build({"dropout": 0.3}, "cuda", torch.float32).train()
    dropout = Dropout(0.3, model.masks).train()
    draws = []
    for key in ((1, 2), (1, 2), (1, 3)):
        model.seed_dropout(*key)
        draws.append(dropout(torch.ones(400, 500, device="cuda")))
    assert float((draws[0] == 0).float().mean()) == pytest.approx(0.3, abs=0.005)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


FEW = [
    "training.updates=30",
    "training.warmup_updates=5",
    "training.validate_every=15",
    "training.save_every=10",
    "training.log_every=10",
    "training.tensorboard=false",
    "training.device=cuda",
]


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_made_task_trains_goes_on_and_is_evaluated(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path("runs/made")
    assert main(["sample", kind, "made", "--size", "400"]) == 0
    assert main(["train", "made/config.yaml", *FEW]) == 0
    assert main(["train", "made/config.yaml", *FEW, "training.updates=40"]) == 0
    history = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    losses = {row["update"]: row["loss"] for row in history if "loss" in row}
    assert {30, 40} <= losses.keys()
    assert all(math.isfinite(loss) for loss in losses.values())
    assert main(["evaluate", str(run)]) == 0
    scores = json.loads((run / "evaluation" / "test.json").read_text("utf-8"))["scores"]
    assert all(math.isfinite(one["score"]) for one in scores.values())
