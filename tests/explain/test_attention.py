"""Maps of attention are equation 1, rows add up to one, and rollout moves what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_subjects import TEXTS

from headway.explain.attention import attention_maps, rollout, stacks
from headway.explain.subjects import subject_of

RunOf = Callable[[str], Path]


@pytest.mark.parametrize("kind", ["translation", "language_model", "classification"])
def test_every_attention_has_a_map_whose_rows_are_shares(run_of: RunOf, kind: str) -> None:
    subject = subject_of(run_of(kind), TEXTS[kind], {})
    maps, model = attention_maps(subject), subject.model
    layers = len(model.encoder) + len(model.decoder) * (2 if model.encoder else 1)
    assert len(maps) == layers
    S, T = (len(side) if side else 0 for side in (subject.source, subject.target))
    for name, weights in maps.items():
        queries = T if name.startswith("decoder") else S
        keys = S if name.startswith("encoder") or name.endswith("cross_attention") else T
        assert weights.shape == (2, queries, keys)
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
        if name.startswith("decoder") and name.endswith("self_attention"):
            assert np.triu(weights, 1).max() == 0  # nothing ahead
    assert all(found.recorded_weights is None for found in model.modules() if hasattr(found, "recorded_weights"))


def test_a_map_is_equation_one_of_the_paper(run_of: RunOf) -> None:
    """Recomputed by hand from the weights of the last cross-attention."""
    subject = subject_of(run_of("translation"), TEXTS["translation"], {})
    model, seen = subject.model, {}
    block = model.decoder[-1]
    handle = block.cross_attention_norm.register_forward_hook(lambda _, __, output: seen.update(x=output))
    maps = attention_maps(subject)
    handle.remove()
    source, _ = subject.ids()
    with torch.no_grad():
        memory = model.encode(source, torch.ones_like(source, dtype=torch.bool))
        query = block.cross_attention.query(seen["x"])[0].view(-1, 2, 16).transpose(0, 1)
        key = block.cross_attention.key_value(memory)[0, :, :32].view(-1, 2, 16).transpose(0, 1)
        expected = (query @ key.transpose(1, 2) / 16**0.5).softmax(-1)
    np.testing.assert_allclose(maps[f"decoder.{len(model.decoder) - 1}.cross_attention"], expected.numpy(), atol=1e-5)


def test_rollout_is_the_product_of_what_layers_pass_on() -> None:
    draw = np.random.default_rng(1)

    def weights(queries: int, keys: int, causal: bool = False) -> np.ndarray:
        raw = draw.random((2, queries, keys)) + 0.1
        raw = np.tril(raw) if causal else raw
        return (raw / raw.sum(-1, keepdims=True)).astype(np.float32)

    maps = {
        "encoder.0.self_attention": weights(3, 3), "encoder.1.self_attention": weights(3, 3),
        "decoder.0.self_attention": weights(2, 2, causal=True), "decoder.0.cross_attention": weights(2, 3),
    }  # fmt: skip
    assert {name: len(layers) for name, layers in stacks(maps).items()} == {
        "encoder self_attention": 2, "decoder self_attention": 1, "decoder cross_attention": 1,
    }  # fmt: skip
    found = rollout(maps)
    half = [(np.eye(3) + maps[f"encoder.{layer}.self_attention"].astype(float).mean(0)) / 2 for layer in (0, 1)]
    np.testing.assert_allclose(found["encoder"], half[1] @ half[0])
    own = (np.eye(2) + maps["decoder.0.self_attention"].astype(float).mean(0)) / 2
    crossed = maps["decoder.0.cross_attention"].astype(float).mean(0) @ found["encoder"] / 2
    np.testing.assert_allclose(found["decoder"], np.concatenate((crossed, own / 2), 1))
    np.testing.assert_allclose(found["decoder"].sum(1), 1)
