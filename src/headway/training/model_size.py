"""Parameters and FLOPs of a model by part, from arithmetic.

Letters: S source and T target length, D width, H heads, V vocabulary, F width of the feed-forward layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headway.config import ModelConfig

TYPICAL_LENGTH = 32  # tokens of a sentence, where nothing is known of the data
RELATIVE_BUCKETS = 32


@dataclass(frozen=True)
class Row:
    """One part of the model: its parameters, and its multiplications and additions in a forward pass for a target token."""

    stack: str  # "embeddings", "encoder", "decoder" or "output"
    part: str
    parameters: int
    flops: float


def count(
    config: ModelConfig,
    source_vocabulary: int,
    target_vocabulary: int,
    *,
    outputs: int = 0,
    source_length: float = TYPICAL_LENGTH,
    target_length: float = TYPICAL_LENGTH,
) -> list[Row]:
    """The parts of the model. A product of [m, k] and [k, n] counts 2·m·n·k FLOPs; look-ups, norms and softmax count none.

    FLOPs are of the forward pass and for one target token (for one source token where there is no decoder) of sentences of
    these lengths; the backward pass takes twice as many. `outputs` are those of the head of an encoder alone.
    """
    rows = list(_rows(config, source_vocabulary, target_vocabulary, source_length, target_length))
    head = Row("output", "head", (config.width + 1) * outputs, 2.0 * config.width * outputs)
    return [*rows, head] if outputs and not config.decoder_layers else rows


def _rows(config: ModelConfig, V_source: int, V_target: int, S: float, T: float) -> Iterator[Row]:
    D, encoder, decoder = config.width, config.encoder_layers, config.decoder_layers
    sources = S / T if decoder else 1.0  # source tokens for each target token
    yield from _embedding_rows(config, V_source, V_target)
    projections, kv_flops = _attention_parameters(config), 4.0 * D * _kv_width(config)
    own_flops = 4.0 * D * D  # query and output
    feed_forward = _feed_forward_parameters(config)
    feed_forward_flops = 2.0 * (3 if config.gated else 2) * D * config.feed_forward_width
    norm, final = _norm_parameters(config, D), _norm_parameters(config, D) if config.norm_place == "pre" else 0
    relative = RELATIVE_BUCKETS * config.heads if config.positions == "relative" else 0
    if encoder:
        flops = encoder * sources * (own_flops + kv_flops + 4.0 * S * D)
        yield Row("encoder", "self-attention", encoder * projections + relative, flops)
        yield Row("encoder", "feed-forward", encoder * feed_forward, encoder * sources * feed_forward_flops)
        yield Row("encoder", "norms", encoder * 2 * norm + final, 0.0)
    if decoder:
        yield Row("decoder", "self-attention", decoder * projections + relative, decoder * (own_flops + kv_flops + 4.0 * T * D))
        if encoder:
            flops = decoder * (own_flops + 4.0 * S * D + sources * kv_flops)
            yield Row("decoder", "cross-attention", decoder * projections, flops)
        yield Row("decoder", "feed-forward", decoder * feed_forward, decoder * feed_forward_flops)
        yield Row("decoder", "norms", decoder * (3 if encoder else 2) * norm + final, 0.0)
        own = D * V_target if config.tied_embeddings == "none" else 0
        yield Row("output", "vocabulary" if own else "vocabulary (tied)", own, 2.0 * D * V_target)


def _embedding_rows(config: ModelConfig, V_source: int, V_target: int) -> Iterator[Row]:
    D, both = config.width, bool(config.encoder_layers and config.decoder_layers)
    if both and config.tied_embeddings == "all":
        yield Row("embeddings", "source and target", V_target * D, 0.0)
    else:
        if config.encoder_layers:
            yield Row("embeddings", "source", V_source * D, 0.0)
        if config.decoder_layers:
            yield Row("embeddings", "target", V_target * D, 0.0)
    if config.positions == "learned":
        yield Row("embeddings", "positions", (1 + both) * config.max_positions * D, 0.0)


def _kv_width(config: ModelConfig) -> int:
    """Width of the keys, which is also that of the values."""
    return (config.key_value_heads or config.heads) * (config.width // config.heads)


def _norm_parameters(config: ModelConfig, width: int) -> int:
    return 2 * width if config.norm == "layer" and config.bias else width


def _attention_parameters(config: ModelConfig) -> int:
    D, kv = config.width, _kv_width(config)
    biases = 2 * D + 2 * kv if config.bias else 0
    norms = 2 * _norm_parameters(config, D // config.heads) if config.query_key_norm else 0
    return 2 * D * D + 2 * D * kv + biases + norms


def _feed_forward_parameters(config: ModelConfig) -> int:
    D, F = config.width, config.feed_forward_width
    inner = 2 if config.gated else 1
    return (inner + 1) * D * F + (inner * F + D if config.bias else 0)
