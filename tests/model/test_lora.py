"""Low-rank adapters: the base at the start, the equation of the paper afterwards, and one matrix again when merged."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from headway.config import LoraConfig, ModelConfig
from headway.model.lora import AdaptedLinear, adapt, merged_weights
from headway.model.transformer import Transformer

SHAPES = {"both": (2, 2), "decoder": (0, 2), "encoder": (2, 0)}


def build(shape: str, **changes: Any) -> Transformer:
    encoder, decoder = SHAPES[shape]
    sizes = {
        "preset": None,
        "encoder_layers": encoder,
        "decoder_layers": decoder,
        "width": 16,
        "feed_forward_width": 24,
        "heads": 4,
    }
    return Transformer(ModelConfig(**sizes, dropout=0.0, **changes), 30, 30, seed=3).eval()


def output(model: Transformer) -> Tensor:
    ids = torch.randint(1, 30, (3, 7), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.no_grad():
        memory = model.encode(ids, mask) if model.encoder else None
        return model.decode(ids, memory, mask if model.encoder else None) if model.decoder else memory


def shaken(model: Transformer) -> Transformer:
    """As after some training: B is no longer zero."""
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("changes", [{}, {"gated": True, "bias": False, "key_value_heads": 2}], ids=["plain", "gated"])
def test_it_begins_as_its_base_and_merges_into_one(shape: str, changes: dict[str, Any]) -> None:
    base, model = build(shape, **changes), build(shape, **changes)
    adapt(model, LoraConfig(rank=3, alpha=6), (), seed=1)
    assert torch.equal(output(model), output(base))
    before = output(shaken(model))
    assert not torch.allclose(before, output(base), atol=1e-2)
    merged = build(shape, **changes)
    merged.load_state_dict(merged_weights(model))  # strict: the names are those of a plain model
    torch.testing.assert_close(output(merged), before, rtol=0, atol=2e-5)


def test_an_adapted_product_is_the_papers() -> None:
    model = build("encoder")
    adapt(model, LoraConfig(rank=3, alpha=12), (), seed=1)
    linear = shaken(model).encoder[0].feed_forward.inner
    assert isinstance(linear, AdaptedLinear)
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(2))
    w, b, lora_a, lora_b = (tensor.double() for tensor in (linear.weight, linear.bias, linear.lora_a, linear.lora_b))
    slow = torch.stack([w @ row + b + 12 / 3 * (lora_b @ (lora_a @ row)) for row in x.double()])
    torch.testing.assert_close(linear(x).double(), slow, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("on", "learning"),
    [(["attention"], {"query", "key_value", "output"}), (["feed_forward"], {"inner", "outer"})],
)
def test_only_adapters_of_the_named_parts_and_what_is_new_learn(on: list[str], learning: set[str]) -> None:
    model = build("both")
    new = {name for name, _ in model.named_parameters() if name.startswith("decoder.1.")}
    adapt(model, LoraConfig(rank=2, on=on), new, seed=1)
    learn = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert new <= learn
    adapters = learn - new
    assert {name.split(".")[-2] for name in adapters} == learning
    assert all(name.endswith((".lora_a", ".lora_b")) and not name.startswith("decoder.1.") for name in adapters)
    assert len(adapters) == 2 * len(learning) * (4 if on == ["attention"] else 3)  # decoder.0 has two attentions


def test_its_dropout_comes_from_the_seeded_masks() -> None:
    model = build("encoder")
    adapt(model, LoraConfig(rank=2, dropout=0.5), (), seed=1)
    shaken(model).train()
    found = []
    for key in (1, 1, 2):
        model.seed_dropout(key)
        found.append(output(model))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_the_seed_is_that_of_the_run() -> None:
    starts = []
    for seed in (1, 1, 2):
        model = build("encoder")
        adapt(model, LoraConfig(), (), seed=seed)
        starts.append(model.encoder[1].self_attention.query.lora_a)
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])
