"""What must be true of every Transformer, whatever its switches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from headway.config import ModelConfig
from headway.model.cache import KVCache
from headway.model.dropout import Dropout, RandomMasks
from headway.model.layers import attention, rotary_positions, rotate, sinusoidal_positions
from headway.model.transformer import Transformer

EIGHT_WIDE = ModelConfig(width=32, heads=4)
SIZES = {
    "preset": None,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "width": 16,
    "feed_forward_width": 24,
    "heads": 4,
    "dropout": 0.0,
}
SWITCHES = [
    {},
    {"norm_place": "post"},
    {"norm": "rms", "positions": "rotary", "gated": True, "activation": "silu", "bias": False, "key_value_heads": 2},
    {"positions": "relative", "tied_embeddings": "none", "activation": "gelu"},
    {"positions": "learned", "query_key_norm": True, "tied_embeddings": "decoder"},
    {"positions": "none", "key_value_heads": 1},
]
VOCABULARY = 31


def build(**switches: object) -> Transformer:
    model = Transformer(ModelConfig(**{**SIZES, **switches}), VOCABULARY, VOCABULARY, seed=3).double()
    model.compute_dtype = torch.float64
    return model.eval()


def random_ids(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(4, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("switches", SWITCHES)
def test_a_later_token_never_changes_an_earlier_state(switches: dict[str, object]) -> None:
    model, source, target = build(**switches), random_ids(2, 6), random_ids(2, 7, seed=1)
    mask = torch.ones_like(source, dtype=torch.bool)
    before = model(source, mask, target)
    changed = target.clone()
    changed[:, 4:] = 5
    after = model(source, mask, changed)
    torch.testing.assert_close(after[:, :4], before[:, :4], rtol=0, atol=0)
    assert not torch.allclose(after[:, 4:], before[:, 4:])


@pytest.mark.parametrize("switches", SWITCHES)
def test_padding_changes_nothing(switches: dict[str, object]) -> None:
    model, source, target = build(**switches), random_ids(2, 6), random_ids(2, 7, seed=1)
    mask = torch.ones_like(source, dtype=torch.bool)
    alone = model(source, mask, target)
    padded = torch.cat((source, random_ids(2, 3, seed=9)), dim=1)
    padded_mask = torch.cat((mask, torch.zeros(2, 3, dtype=torch.bool)), dim=1)
    torch.testing.assert_close(model(padded, padded_mask, target), alone, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(model(padded, torch.ones_like(padded_mask), target), alone)


@pytest.mark.parametrize("switches", [*SWITCHES, {"encoder_layers": 0}])
def test_cached_equals_uncached(switches: dict[str, object]) -> None:
    model, source, target = build(**switches), random_ids(3, 6), random_ids(3, 5, seed=1)
    mask = torch.ones_like(source, dtype=torch.bool)
    mask[1, 4:] = False
    memory = model.encode(source, mask) if model.encoder else None
    whole = model.decode(target, memory, mask if memory is not None else None)
    cache = KVCache(len(model.decoder))
    for position in range(target.shape[1]):
        cache.advance(torch.tensor([position]), None)
        step = model.decode(target[:, position : position + 1], memory, mask if memory is not None else None, cache)
        torch.testing.assert_close(step[:, 0], whole[:, position], rtol=1e-10, atol=1e-10)


def test_beams_beside_each_other_see_only_their_own_history() -> None:
    model, source = build(), random_ids(2, 6)
    mask = torch.ones_like(source, dtype=torch.bool)
    memory, histories = model.encode(source, mask), random_ids(2, 3, 4, seed=4)  # rows, beams, tokens
    cache = KVCache(len(model.decoder))
    for t in range(4):
        visible = torch.eye(3, dtype=torch.bool).repeat(1, t + 1).expand(2, 3, 3 * (t + 1))
        cache.advance(torch.full((3,), t), visible)
        states = model.decode(histories[:, :, t], memory, mask, cache)
    for beam in range(3):
        expected = model.decode(histories[:, beam], memory, mask)[:, -1]
        torch.testing.assert_close(states[:, beam], expected, rtol=1e-10, atol=1e-10)


def test_attention_is_equation_1() -> None:
    q, k, v = (torch.randn(2, 3, 5, 8, dtype=torch.float64) for _ in range(3))
    mask = torch.rand(2, 1, 5, 5) > 0.3
    mask[..., 0] = True
    scores = torch.einsum("bhtk,bhsk->bhts", q, k) / math.sqrt(8)
    weights = torch.where(mask, scores.exp(), 0.0)
    expected = torch.einsum("bhts,bhsk->bhtk", weights / weights.sum(-1, keepdim=True), v)
    torch.testing.assert_close(attention(q, k, v, mask=mask), expected, rtol=1e-12, atol=1e-12)


def test_long_sequences_take_the_fused_kernel_and_agree_with_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = (torch.randn(1, 2, 20, 8) for _ in range(3))
    mask, bias = torch.ones(20, 20, dtype=torch.bool).tril()[None, None], torch.randn(1, 2, 20, 20)
    unfused = attention(q, k, v, mask=mask, bias=bias)
    monkeypatch.setattr("headway.model.layers.LARGEST_UNFUSED_SCORES", 0)
    torch.testing.assert_close(attention(q, k, v, mask=mask, bias=bias), unfused, rtol=1e-5, atol=1e-6)


def test_recording_attention_leaves_the_output_alone() -> None:
    model, source, target = build(), random_ids(2, 6), random_ids(2, 7, seed=1)
    mask = torch.ones_like(source, dtype=torch.bool)
    plain = model(source, mask, target)
    with model.record_attention() as maps:
        recorded = model(source, mask, target)
    assert torch.equal(plain, recorded)
    weights = maps["decoder.1.cross_attention"][0]
    assert weights.shape == (2, 4, 7, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 7, dtype=torch.float64))
    model(source, mask, target)
    assert len(maps["decoder.1.cross_attention"]) == 1


def test_bfloat16_gradients_reach_float32_weights() -> None:
    model = Transformer(ModelConfig(**SIZES), VOCABULARY, VOCABULARY)
    model.compute_dtype = torch.bfloat16
    source, target = random_ids(2, 6), random_ids(2, 7, seed=1)
    hidden = model(source, torch.ones_like(source, dtype=torch.bool), target)
    assert hidden.dtype == torch.bfloat16
    hidden.float().square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == torch.float32, name


def test_dropout_repeats_with_its_seed_and_only_with_it() -> None:
    model = Transformer(
        ModelConfig(**{**SIZES, "dropout": 0.3, "attention_dropout": 0.2, "feed_forward_dropout": 0.2, "word_dropout": 0.1}),
        VOCABULARY,
        VOCABULARY,
    ).train()
    source, target = random_ids(2, 6), random_ids(2, 7, seed=1)
    mask = torch.ones_like(source, dtype=torch.bool)

    def run(*key: int) -> Tensor:
        model.seed_dropout(*key)
        return model(source, mask, target)

    assert torch.equal(run(1, 2), run(1, 2))
    assert not torch.equal(run(1, 2), run(1, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_dropout_keeps_the_mean_and_the_rate(dtype: torch.dtype) -> None:
    dropout = Dropout(0.3, RandomMasks()).train()
    y = dropout(torch.ones(400, 500, dtype=dtype)).float()
    assert abs(float((y == 0).float().mean()) - 0.3) < 0.005
    assert abs(float(y.mean()) - 1) < 0.01
    assert torch.equal(dropout.eval()(torch.ones(3)), torch.ones(3))


def test_layer_dropout_skips_layers_only_in_training() -> None:
    model = build(layer_dropout=0.9)
    source, target = random_ids(2, 6), random_ids(2, 7, seed=1)
    mask = torch.ones_like(source, dtype=torch.bool)
    whole = model(source, mask, target)
    assert torch.equal(whole, model(source, mask, target))
    assert not torch.allclose(model.train()(source, mask, target), whole)


def test_sinusoidal_positions_are_those_of_the_paper() -> None:
    table = sinusoidal_positions(torch.arange(50), 16)
    for position, i in [(0, 0), (3, 5), (49, 7)]:
        angle = position / 10000 ** (2 * i / 16)
        assert table[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
        assert table[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_rotary_scores_depend_only_on_distance() -> None:
    q, k = torch.randn(1, 1, 1, 8, dtype=torch.float64), torch.randn(1, 1, 1, 8, dtype=torch.float64)

    def score(query_at: int, key_at: int) -> float:
        turned = [rotate(x, rotary_positions(torch.tensor([at]), EIGHT_WIDE)) for x, at in ((q, query_at), (k, key_at))]
        return float((turned[0] * turned[1]).sum())

    assert score(3, 1) == pytest.approx(score(13, 11), rel=1e-5)
    assert score(3, 1) != pytest.approx(score(3, 2), rel=1e-3)


def test_rotary_positions_turn_complex_numbers() -> None:
    x_BTHK, positions = torch.randn(2, 5, 3, 8, dtype=torch.float64), torch.arange(5)
    numbers = torch.complex(x_BTHK[..., :4], x_BTHK[..., 4:])
    angles_TK = positions[:, None] / 10000.0 ** (torch.arange(4) / 4)
    turned = numbers * torch.polar(torch.ones(5, 1, 4, dtype=torch.float64), angles_TK[:, None].double())
    found = rotate(x_BTHK, rotary_positions(positions, EIGHT_WIDE))
    torch.testing.assert_close(found, torch.cat((turned.real, turned.imag), -1), rtol=1e-5, atol=1e-5)


def test_decoder_only_and_encoder_only() -> None:
    language_model = build(encoder_layers=0)
    assert language_model.decode(random_ids(2, 5), None, None).shape == (2, 5, 16)
    encoder = build(decoder_layers=0)
    ids = random_ids(2, 5)
    assert encoder.encode(ids, torch.ones_like(ids, dtype=torch.bool)).shape == (2, 5, 16)


def test_compiled_equals_eager() -> None:
    model, source, target = build(encoder_layers=1, decoder_layers=1), random_ids(2, 6), random_ids(2, 7, seed=1)
    mask = torch.ones_like(source, dtype=torch.bool)
    compiled = torch.compile(model, backend="aot_eager", dynamic=True)
    torch.testing.assert_close(compiled(source, mask, target), model(source, mask, target), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary", "relative", "none"])
def test_packed_documents_are_computed_as_if_each_stood_alone(positions: str) -> None:
    model = build(encoder_layers=0, positions=positions)
    documents = [random_ids(1, length, seed=length) for length in (5, 1, 7)]
    packed = torch.cat(documents, 1)
    segments = torch.repeat_interleave(torch.tensor([3, 4, 8]), torch.tensor([5, 1, 7]))[None]
    found = model.decode(packed, None, None, segments_BT=segments)
    alone = torch.cat([model.decode(document, None, None) for document in documents], 1)
    torch.testing.assert_close(found, alone)
    leaking = model.decode(packed, None, None)  # the test can fail
    assert not torch.allclose(found, leaking, atol=1e-3)


@pytest.mark.parametrize("pooling", ["mean", "max", "first"])
def test_padding_changes_no_sum_of_a_text(pooling: str) -> None:
    encoder = build(decoder_layers=0, pooling=pooling)
    ids = random_ids(1, 5)
    whole = torch.ones_like(ids, dtype=torch.bool)
    memory = encoder.encode(ids, whole)
    alone = encoder.pool(memory, whole)
    expected = {"mean": memory.mean(1), "max": memory.max(1).values, "first": memory[:, 0]}[pooling]
    torch.testing.assert_close(alone, expected)
    padded, mask = torch.nn.functional.pad(ids, (0, 3)), torch.nn.functional.pad(whole, (0, 3))
    torch.testing.assert_close(encoder.pool(encoder.encode(padded, mask), mask), alone)
