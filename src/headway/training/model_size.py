"""Parameters and FLOPs of a model by part, from arithmetic.

Letters: S source and T target length, D width, H heads, V vocabulary, F width of the feed-forward layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headway.config import MediaConfig, ModelConfig

TYPICAL_LENGTH = 32  # tokens of a sentence, where nothing is known of the data


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
    media: MediaConfig | None = None,
    ctc: bool = False,
    source_length: float = TYPICAL_LENGTH,
    target_length: float = TYPICAL_LENGTH,
) -> list[Row]:
    """The parts of a `Transformer` of the same arguments.

    FLOPs are of the forward pass and for one target token (for one source token where there is no decoder) of sentences of
    these lengths; the backward pass takes twice as many. A product of [m, k] and [k, n] counts 2·m·n·k of them; look-ups,
    norms and softmax count none. The source length of media is in positions.
    """
    sources = source_length / target_length if config.decoder_layers else 1.0  # source tokens for each target token
    rows = list(_embedding_rows(config, media or MediaConfig(), source_vocabulary, target_vocabulary, sources))
    rows += _stack_rows(config, target_vocabulary, source_length, target_length)
    D = config.width
    if outputs and not config.decoder_layers:
        rows.append(Row("output", "head", (D + 1) * outputs, 2.0 * D * outputs))
    if ctc:
        rows.append(Row("output", "spelling (CTC)", (D + 1) * target_vocabulary, sources * 2.0 * D * target_vocabulary))
    return rows


@dataclass(frozen=True)
class Stem:
    """What makes a vector of the values of one position of media: parameters, FLOPs, and numbers that are kept for backward."""

    parameters: int
    flops: float
    kept: int


def stem(config: ModelConfig, media: MediaConfig) -> Stem:
    """That of `build_media_embedding`: linear layers and convolutions, each with a bias."""
    D = config.width
    layers: list[tuple[int, int, int]] = []  # inputs of a place, outputs, places in a position
    if media.front_end == "whisper":
        layers = [(3 * media.mels, D, 2), (3 * D, D, 1)]
        kept = sum(inputs * places for inputs, _, places in layers) + D  # before the second activation
    elif media.hears:
        steps = media.subsampling.bit_length() - 1
        layers = [(3 * (D if step else media.mels), D, media.subsampling >> (step + 1)) for step in range(steps)]
        layers.append((D if steps else media.mels, D, 1))
        kept = sum(inputs * places for inputs, _, places in layers)
    elif media.stem == "convolution":
        narrow, wide = max(8, D // 4), max(16, D // 2)
        halves, quarters = (media.patch // 2) ** 2, (media.patch // 4) ** 2
        layers = [(9 * media.frames_per_patch * media.channels, narrow, halves), (9 * narrow, wide, quarters)]
        layers.append((wide * quarters, D, 1))
        kept = media.values + narrow * halves + wide * quarters
    else:
        layers = [(media.values, D, 1)]
        kept = media.values
    kept += sum(outputs * places for _, outputs, places in layers[:-1])  # before the activation
    parameters = sum((inputs + 1) * outputs for inputs, outputs, _ in layers)
    return Stem(parameters, sum(2.0 * inputs * outputs * places for inputs, outputs, places in layers), kept)


def _stack_rows(config: ModelConfig, V_target: int, S: float, T: float) -> Iterator[Row]:
    D, encoder, decoder = config.width, config.encoder_layers, config.decoder_layers
    sources = S / T if decoder else 1.0
    projections, kv_flops = _attention_parameters(config), 4.0 * D * _kv_width(config)
    wide = config.heads * config.width_of_head
    own_flops = 4.0 * D * wide  # query and output
    feed_forward = _feed_forward_parameters(config)
    feed_forward_flops = 2.0 * (3 if config.gated else 2) * D * config.feed_forward_width
    norm, final = _norm_parameters(config, D), _norm_parameters(config, D) if config.norm_place == "pre" else 0
    relative = config.relative_buckets * config.heads if config.positions == "relative" else 0
    if encoder:
        flops = encoder * sources * (own_flops + kv_flops + 4.0 * S * wide)
        yield Row("encoder", "self-attention", encoder * projections + relative, flops)
        yield Row("encoder", "feed-forward", encoder * feed_forward, encoder * sources * feed_forward_flops)
        yield Row("encoder", "norms", encoder * 2 * norm + final, 0.0)
    if decoder:
        yield Row(
            "decoder", "self-attention", decoder * projections + relative, decoder * (own_flops + kv_flops + 4.0 * T * wide)
        )
        if encoder:
            flops = decoder * (own_flops + 4.0 * S * wide + sources * kv_flops)
            yield Row("decoder", "cross-attention", decoder * projections, flops)
        yield Row("decoder", "feed-forward", decoder * feed_forward, decoder * feed_forward_flops)
        yield Row("decoder", "norms", decoder * (3 if encoder else 2) * norm + final, 0.0)
        own = D * V_target if config.tied_embeddings in ("none", "inputs") else 0
        yield Row("output", "vocabulary" if own else "vocabulary (tied)", own, 2.0 * D * V_target)


def _embedding_rows(config: ModelConfig, media: MediaConfig, V_source: int, V_target: int, sources: float) -> Iterator[Row]:
    D, both = config.width, bool(config.encoder_layers and config.decoder_layers)
    in_order = bool(config.decoder_layers) + bool(config.encoder_layers and (media.in_order or V_source))
    if config.encoder_layers and media.kind != "text":
        made = stem(config, media)
        yield Row("embeddings", "sound" if media.hears else "patches", made.parameters, sources * made.flops)
        if media.class_token:
            yield Row("embeddings", "class token", D, 0.0)
        if V_source:
            yield Row("embeddings", "file or text", 2 * D, 0.0)
    if both and V_source and config.tied_embeddings in ("all", "inputs"):
        yield Row("embeddings", "source and target", V_target * D, 0.0)
    else:
        if config.encoder_layers and V_source:
            yield Row("embeddings", "source", V_source * D, 0.0)
        if config.decoder_layers:
            yield Row("embeddings", "target", V_target * D, 0.0)
    if config.positions == "learned":
        yield Row("embeddings", "positions", in_order * (config.max_positions + config.position_offset) * D, 0.0)
    doors = bool(config.decoder_layers) + bool(config.encoder_layers and media.kind == "text")
    if config.token_types:
        yield Row("embeddings", "token types", doors * config.token_types * D, 0.0)
    if config.embedding_norm:
        yield Row("embeddings", "norms", doors * _norm_parameters(config, D), 0.0)


def _kv_width(config: ModelConfig) -> int:
    """Width of the keys, which is also that of the values."""
    return (config.key_value_heads or config.heads) * config.width_of_head


def _norm_parameters(config: ModelConfig, width: int) -> int:
    return 2 * width if config.norm == "layer" and config.bias else width


def _attention_parameters(config: ModelConfig) -> int:
    D, q, kv = config.width, config.heads * config.width_of_head, _kv_width(config)
    reads, gives = config.biased
    biases = (q + 2 * kv) * reads + D * gives
    norms = 2 * _norm_parameters(config, config.width_of_head) if config.query_key_norm else 0
    return 2 * D * q + 2 * D * kv + biases + norms


def _feed_forward_parameters(config: ModelConfig) -> int:
    D, F = config.width, config.feed_forward_width
    inner = 2 if config.gated else 1
    return (inner + 1) * D * F + (inner * F + D if config.bias else 0)
