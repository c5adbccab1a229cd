"""What a configuration will cost: parameters, FLOPs and memory by part from arithmetic, time from a short measurement.

    print(describe(config))                  a table for people
    count(config.model, 8000, 8000)          its rows
    calibrate(config)                        a few real training steps of the real model on made-up sentences

Letters: S source and T target length, D width, H heads, V vocabulary, F width of the feed-forward layer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from headway.config import Config, ModelConfig
from headway.model.transformer import Transformer
from headway.training.losses import CHUNK_ELEMENTS
from headway.training.optimizer import WeightAverage, build_optimizer, copies_of_weights
from headway.training.parallel import (
    Precision,
    PrecisionName,
    World,
    choose_device,
    choose_precision,
    choose_threads,
    keep_freed_memory,
)
from headway.training.state import LossOf, TrainState

if TYPE_CHECKING:
    from rich.console import RenderableType

    from headway.data.batches import Batch
    from headway.data.checks.report import CheckReport

TYPICAL_LENGTH = 32  # tokens of a sentence, where nothing is known of the data
RELATIVE_BUCKETS = 32
LIBRARIES_BYTES = 400 << 20  # Python and PyTorch themselves
SLACK = 1.4  # measured: scratch space of the kernels and gaps of the allocator, for each byte of activations


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
    source_length: float = TYPICAL_LENGTH,
    target_length: float = TYPICAL_LENGTH,
) -> list[Row]:
    """The parts of the model. A product of [m, k] and [k, n] counts 2·m·n·k FLOPs; look-ups, norms and softmax count none.

    FLOPs are of the forward pass and for one target token (for one source token where there is no decoder) of sentences of
    these lengths; the backward pass takes twice as many.
    """
    return list(_rows(config, source_vocabulary, target_vocabulary, source_length, target_length))


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


# --- memory ------------------------------------------------------------------------------------------------------


def memory(
    config: Config,
    source_vocabulary: int,
    target_vocabulary: int,
    *,
    precision: PrecisionName = "fp32",
    source_length: float = TYPICAL_LENGTH,
    target_length: float = TYPICAL_LENGTH,
) -> dict[str, int]:
    """Bytes that training needs on one process, by what they are for."""
    training = config.training
    rows = count(config.model, source_vocabulary, target_vocabulary)
    parameters = sum(row.parameters for row in rows)
    matrices = sum(row.parameters for row in rows if row.stack in ("encoder", "decoder"))
    width = 2 if precision == "bf16" else 4
    piece = training.batch_tokens / training.accumulation * (2 if training.r_drop else 1)
    pairs = piece / max(source_length, target_length)
    logits = min(CHUNK_ELEMENTS, int(pairs * target_length) * target_vocabulary)
    output = config.model.width * target_vocabulary
    numbers = sum(part(config.model, source_length, target_length) for part in (kept_for_backward, _under_way))
    found = {
        "weights": 4 * parameters,
        "gradients": 4 * parameters,
        "optimiser": 8 * parameters - (4 * matrices if training.optimizer == "muon" else 0),  # Muon keeps one number, Adam two
        "averages": 4 * parameters * copies_of_weights(training),
        "activations": int(pairs * width * SLACK * numbers),
        "logits": 2 * width * logits + 4 * output,
        "copies in bf16": 2 * (matrices + output) if precision == "bf16" else 0,
        "Python and PyTorch": LIBRARIES_BYTES,
    }
    return {name: size for name, size in found.items() if size}


def kept_for_backward(config: ModelConfig, S: float, T: float) -> float:
    """Numbers that the forward pass of one pair of sentences keeps, up to the loss."""
    D, H = config.width, config.heads
    mask = D if config.dropout else 0  # a dropout keeps its mask
    weights = 3 * H if config.attention_dropout else H
    norms = 2 if config.norm == "layer" else 3  # input and output; root-mean-square norms also keep what they scale
    normed = (1 if config.norm == "layer" else 2) * D if config.query_key_norm else 0
    feed_forward = norms * D + _inner(config) + mask
    self_attention = (norms + 4) * D + 2 * normed + mask  # and query, key, value, mixed
    encoder = S * (self_attention + feed_forward + weights * S)
    decoder = T * (self_attention + feed_forward + weights * T)
    if config.encoder_layers:
        decoder += T * ((norms + 2) * D + normed + mask + weights * S) + S * (2 * D + normed)
    ends = (S if config.encoder_layers else 0) * (D + mask) + (T if config.decoder_layers else 0) * (D + mask)
    return config.encoder_layers * encoder + config.decoder_layers * decoder + ends


def _inner(config: ModelConfig) -> int:
    """Numbers kept for a token inside a feed-forward layer: before and after the activation, of the gate, of a dropout."""
    copies = (1 if config.activation == "relu" else 2) + (2 if config.gated else 0) + (2 if config.feed_forward_dropout else 0)
    return copies * config.feed_forward_width


def _under_way(config: ModelConfig, S: float, T: float) -> float:
    """Numbers that the backward pass of one pair needs besides, at its largest layer and at the ends."""
    longest = max(S, T)
    return longest * (2 * config.feed_forward_width + 6 * config.width + 2 * config.heads * longest)


def available_memory(device: torch.device) -> int | None:
    """Bytes that could still be taken, if that is known: of the GPU, or of the machine and of this process's control group."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
        group = Path("/sys/fs/cgroup")
        found.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass  # not Linux, or no limit ("max")
    return max(0, min(found)) if found else None


# --- time --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Calibration:
    """What a few training steps took, carried over to whole updates of `batch_tokens`."""

    tokens_per_second: float  # target tokens, padding not counted
    seconds_per_update: float
    precision: Precision
    device: torch.device
    threads: int


def calibrate(
    config: Config,
    *,
    seconds: float = 4.0,
    source_vocabulary: int | None = None,
    target_vocabulary: int | None = None,
    source_length: float = TYPICAL_LENGTH,
    target_length: float = TYPICAL_LENGTH,
) -> Calibration:
    """Time `train_step` of the real model on random sentences of these lengths, for about so many seconds.

    Small batches are timed at two sizes; an update of full size is on the line through both, for what does not grow with
    the batch (the optimiser) must not be counted for every piece of it. One process; validation is not in it.
    """
    from headway.training.loop import train_step

    keep_freed_memory()
    training = config.training
    world = World(device=choose_device(training))
    threads = choose_threads(training)
    precision = choose_precision(training.precision, world.device, config.model)
    state = _state(config, world, precision, source_vocabulary, target_vocabulary)
    longest = max(source_length, target_length)
    whole = max(1, int(training.batch_tokens / longest))

    def step(pairs: int) -> float:
        pieces = [_made_up(state, part, source_length, target_length) for part in _parts(pairs, training.accumulation)]
        _finish(world.device)
        start = time.perf_counter()
        with torch.random.fork_rng(devices=[]):
            train_step(state, pieces)
        _finish(world.device)
        return time.perf_counter() - start

    began = time.perf_counter()
    small = max(1, min(whole, int(128 / longest)))
    low = step(small)  # pays also for kernels, pages and the optimiser's memory
    while time.perf_counter() - began + low < seconds / 4:
        low = min(low, step(small))
    affordable = int(small * (seconds - (time.perf_counter() - began)) / 3 / max(low, 1e-6))
    large = max(small, min(whole, affordable))
    high = low if large == small else step(large)
    while large > small and time.perf_counter() - began + high < seconds:
        high = min(high, step(large))
    slope = max(high - low, 0.0) / (large - small) if large > small else high / large
    update = high + (whole - large) * slope
    return Calibration(whole * (target_length + 1) / update, update, precision, world.device, threads)


def _state(config: Config, world: World, precision: Precision, V_source: int | None, V_target: int | None) -> TrainState:
    V = config.tokenizer.vocabulary_size
    with torch.random.fork_rng(devices=[]):
        model = Transformer(config.model, V_source or V, V_target or V, seed=config.training.seed).to(world.device)
    model.compute_dtype = precision.dtype
    model.train()
    optimizer = build_optimizer(model, config.training, precision.dtype)
    average = WeightAverage(model, config.training)
    return TrainState(config, world, model, LossOf(model, config), optimizer, average)


def _parts(pairs: int, accumulation: int) -> list[int]:
    """`pairs` in as many micro-batches as training makes of an update, if there are as many."""
    parts = min(pairs, accumulation)
    return [pairs // parts + (part < pairs % parts) for part in range(parts)]


def _made_up(state: TrainState, pairs: int, source_length: float, target_length: float) -> Batch:
    """Random sentences of one length, end-of-sentence included."""
    from headway.data.batches import Batch

    generator = torch.Generator().manual_seed(0)
    shapes = [(pairs, max(1, round(length)) + 1) for length in (source_length, target_length)]
    embeddings = (state.model.source_embedding, state.model.target_embedding)
    sizes = [embedding.tokens.num_embeddings if embedding else 5 for embedding in embeddings]
    source, target = (torch.randint(4, max(5, V), shape, generator=generator) for shape, V in zip(shapes, sizes, strict=True))
    return Batch(source, torch.ones_like(source, dtype=torch.bool), target, target, torch.arange(pairs))


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# --- for people --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forecast:
    """Everything above for one configuration. `print` and `Console.print` show it as tables."""

    rows: list[Row]
    memory: dict[str, int]
    source_length: float
    target_length: float
    batch_tokens: int
    precision: PrecisionName
    updates: int
    pairs: int | None = None
    calibration: Calibration | None = None
    too_large_by: int = 0  # bytes

    def __rich__(self) -> RenderableType:
        from headway.training.forecast_table import render

        return render(self)

    def __str__(self) -> str:
        from headway.training.forecast_table import as_text

        return as_text(self)


def describe(
    config: Config,
    *,
    source_vocabulary: int | None = None,
    target_vocabulary: int | None = None,
    report: CheckReport | None = None,
    measure: bool = False,
) -> Forecast:
    """The forecast for a configuration.

    Args:
        source_vocabulary, target_vocabulary: of a trained tokenizer; default: what the configuration asks for.
        report: of `check`, for the number and the lengths of the pairs.
        measure: also train for a few seconds and tell the time; left out where the memory would not do.
    """
    V = config.tokenizer.vocabulary_size
    V_source, V_target = source_vocabulary or V, target_vocabulary or V
    figures = next((figures for figures in report.corpora if figures.name == "train"), None) if report else None
    S = (figures.source_tokens if figures else None) or TYPICAL_LENGTH
    T = (figures.target_tokens if figures else None) or TYPICAL_LENGTH
    calibration, too_large_by = None, 0
    precision: PrecisionName = "bf16" if config.training.precision == "bf16" else "fp32"
    lengths = {"source_length": S, "target_length": T}
    if measure:
        needed = sum(memory(config, V_source, V_target, precision=precision, **lengths).values())
        free = available_memory(choose_device(config.training))
        too_large_by = max(0, needed - free) if free is not None else 0
        if not too_large_by:
            calibration = calibrate(config, source_vocabulary=V_source, target_vocabulary=V_target, **lengths)
            precision = calibration.precision.name
    return Forecast(
        rows=count(config.model, V_source, V_target, **lengths),
        memory=memory(config, V_source, V_target, precision=precision, **lengths),
        source_length=S,
        target_length=T,
        batch_tokens=config.training.batch_tokens,
        precision=precision,
        updates=config.training.updates,
        pairs=figures.used if figures else None,
        calibration=calibration,
        too_large_by=too_large_by,
    )
