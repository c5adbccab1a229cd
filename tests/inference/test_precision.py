"""Prepared models: close to the model they come from, and the same in every batch."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import torch

from headway.config import DecodingConfig, ModelConfig
from headway.errors import UsageError
from headway.inference.decoding import generate
from headway.inference.hypothesis import Hypothesis
from headway.inference.precision import (
    INT8_PRODUCTS,
    Int8Linear,
    choose_inference_precision,
    choose_int8_kernel,
    has_bf16_kernels,
    laid_out,
    prepare,
)
from headway.model.transformer import Transformer

PRECISIONS = ["fp32", "bf16", "int8"]
TOLERANCE = {"fp32": 1e-5, "bf16": 0.05, "int8": 0.05}


def model_of(**switches: Any) -> Transformer:
    sizes = {"encoder_layers": 2, "decoder_layers": 2, "width": 64, "feed_forward_width": 128, "heads": 4, "preset": None}
    return Transformer(ModelConfig(**(sizes | switches)), 500, 500, seed=1).eval()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_product_is_close_and_its_rows_are_their_own(precision: Any, bias: bool) -> None:
    torch.manual_seed(1)
    weight, x = torch.randn(96, 256) / 16, torch.randn(40, 256)
    x[3] = 0
    layer = laid_out(weight, torch.randn(96) if bias else None, precision)
    with torch.inference_mode():
        given = x.bfloat16() if precision == "bf16" else x
        y = layer(given)
        expected = x @ weight.t() + (layer.bias.float() if bias else 0)
        assert (y.float() - expected).abs().max() < TOLERANCE[precision]
        assert layer(given.view(4, 10, 256)).shape == (4, 10, 96)
        if precision != "fp32":
            for rows in (1, 2, 5, 17):
                assert torch.equal(layer(given[:rows]), y[:rows])


def test_int8_is_the_same_in_every_kernel() -> None:
    torch.manual_seed(2)
    weight, bias, x = torch.randn(32, 48), torch.randn(32), torch.randn(9, 48)
    kernels = [kernel for kernel in INT8_PRODUCTS if kernel == "plain" or torch.cpu._is_vnni_supported()]
    assert choose_int8_kernel() in kernels  # without VNNI the others overflow
    found = [Int8Linear(weight, bias, torch.float32, kernel)(x) for kernel in kernels]
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, rtol=1e-6, atol=1e-5)


SWITCHES: list[dict[str, Any]] = [
    {},
    {"norm_place": "post", "positions": "learned", "tied_embeddings": "none", "bias": False},
    {"positions": "rotary", "norm": "rms", "gated": True, "key_value_heads": 2, "query_key_norm": True},
    {"encoder_layers": 0, "positions": "relative"},
]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("switches", SWITCHES)
def test_a_prepared_model_computes_what_the_model_does(precision: Any, switches: dict[str, Any]) -> None:
    model = model_of(**switches)
    source, target = torch.randint(4, 500, (3, 16)), torch.randint(4, 500, (3, 9))
    mask = torch.ones_like(source, dtype=torch.bool)

    def log_probabilities(model: Transformer) -> torch.Tensor:
        with torch.inference_mode():
            memory = model.encode(source, mask) if model.encoder else None
            hidden = model.decode(target, memory, mask if model.encoder else None)
            return model.logits(hidden).float().log_softmax(-1)

    found, expected = log_probabilities(prepare(copy.deepcopy(model), precision)), log_probabilities(model)
    assert (found - expected).abs().mean() < TOLERANCE[precision]


@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_low_precision_answers_are_bit_equal_alone_and_in_a_batch(precision: Any, method: Any) -> None:
    if not has_bf16_kernels():
        pytest.skip("oneDNN has no bf16 here")
    torch.set_num_threads(1)
    model, rng = prepare(model_of(width=128), precision), random.Random(1)
    sources = [[*(rng.randrange(4, 500) for _ in range(rng.choice([1, 5, 14, 15, 16, 30, 40]))), 2] for _ in range(24)]
    options = DecodingConfig(method=method, beam_size=4, minimum_length=4, maximum_length=9)

    def answers(rows: list[list[int]]) -> list[list[Hypothesis]]:
        width = -(-max(map(len, rows)) // 16) * 16
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
        return generate(model, ids, ids != 0, options, bos_id=1, eos_id=2, forbidden_ids=(0, 1, 3))

    together = answers(sources)
    assert [answers([source])[0] for source in sources] == together


def test_auto_follows_a_rule() -> None:
    cpu = torch.device("cpu")
    assert choose_inference_precision("auto", cpu, ModelConfig(preset="tiny")) == "fp32"
    assert choose_inference_precision("int8", cpu, ModelConfig(preset="tiny")) == "int8"
    with pytest.raises(UsageError, match="int8 is for CPUs"):
        choose_inference_precision("int8", torch.device("cuda"), ModelConfig(preset="tiny"))
