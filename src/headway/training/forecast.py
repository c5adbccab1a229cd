"""What a configuration will cost: parameters, FLOPs and memory by part from arithmetic, time from a short measurement.

    print(describe(config))                  a table for people
    count(config.model, 8000, 8000)          its rows
    calibrate(config)                        a few real training steps of the real model on made-up sentences

Letters: S source and T target length, D width, H heads, V vocabulary, F width of the feed-forward layer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from headway.config import OF_MEDIA, WITHOUT_TARGET, Config, ModelConfig
from headway.model.transformer import Transformer
from headway.model_dir import new_model
from headway.tasks import extra_pieces
from headway.training.losses import CHUNK_ELEMENTS
from headway.training.made_up import least_outputs, made_up
from headway.training.model_size import TYPICAL_LENGTH, Row, count, stem
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
from headway.training.parts import choose_what_learns, learning_parameters, place_of
from headway.training.state import LossOf, TrainState

if TYPE_CHECKING:
    from rich.console import RenderableType

    from headway.data.checks.report import CheckReport

LIBRARIES_BYTES = 400 << 20  # Python and PyTorch themselves
TYPICAL_SECONDS = 8  # of a recording, where nothing is known of the data
SLACK = 1.4  # measured: scratch space of the kernels and gaps of the allocator, for each byte of activations


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
    rows = rows_of(config, source_vocabulary, target_vocabulary, outputs=least_outputs(config))
    matrices = sum(row.parameters for row in rows if row.stack in ("encoder", "decoder"))
    with torch.device("meta"):
        model = _model(config, source_vocabulary, target_vocabulary)
    parameters, learning = model.parameter_count(), learning_parameters(model)
    inner = sum(p.numel() for n, p in model.named_parameters() if p.requires_grad and place_of(n)[0] in ("encoder", "decoder"))
    width = 2 if precision == "bf16" else 4
    piece = training.batch_tokens / training.accumulation * (2 if training.r_drop else 1)
    pairs = piece / max(source_length, target_length)
    logits = min(CHUNK_ELEMENTS, int(pairs * target_length) * target_vocabulary)
    output = config.model.width * target_vocabulary
    numbers = sum(part(config.model, source_length, target_length) for part in (kept_for_backward, _under_way))
    if config.task == "sentence_embedding":  # the encoder reads the targets too
        numbers += kept_for_backward(config.model, target_length, source_length)
    if config.task in OF_MEDIA:
        numbers += source_length * stem(config.model, config.media).kept
    spelled = int(pairs * source_length) * target_vocabulary if config.training.ctc_weight else 0
    found = {
        "weights": 4 * parameters,
        "gradients": 4 * learning,
        "optimiser": 8 * learning - (4 * inner if training.optimizer == "muon" else 0),  # Muon keeps one number, Adam two
        "averages": 4 * learning * copies_of_weights(training),
        "activations": int(pairs * width * SLACK * numbers),
        "logits": 2 * width * logits + 4 * output + 3 * 4 * spelled,
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
        pieces = [made_up(state, part, source_length, target_length) for part in _parts(pairs, training.accumulation)]
        _finish(world.device)
        start = time.perf_counter()
        with torch.random.fork_rng(devices=[]):
            train_step(state, pieces)
        _finish(world.device)
        return time.perf_counter() - start

    began = time.perf_counter()
    small = max(1, min(whole, int(128 / longest)))
    step(small)  # pays for kernels, pages and the optimiser's memory: seconds, on a busy machine
    low = step(small)
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
        model = _model(config, V_source or V, V_target or V).to(world.device)
    model.compute_dtype = precision.dtype
    model.train()
    optimizer = build_optimizer(model, config.training, precision.dtype)
    average = WeightAverage(model, config.training)
    return TrainState(config, world, model, LossOf(model, config), optimizer, average)


def _model(config: Config, V_source: int, V_target: int) -> Transformer:
    """The model that is trained, as if `model.start_from` had all of it but the head."""
    model = new_model(config, V_source, V_target, outputs=least_outputs(config))
    choose_what_learns(model, config, new=("head.weight", "head.bias"))
    return model


def rows_of(config: Config, V_source: int, V_target: int, *, outputs: int, **lengths: float) -> list[Row]:
    """`count` of what `new_model` makes."""
    ctc, read = config.training.ctc_weight > 0, V_source if config.reads_text else 0
    return count(config.model, read, V_target, outputs=outputs, media=config.media, ctc=ctc, **lengths)


def _parts(pairs: int, accumulation: int) -> list[int]:
    """`pairs` in as many micro-batches as training makes of an update, if there are as many."""
    parts = min(pairs, accumulation)
    return [pairs // parts + (part < pairs % parts) for part in range(parts)]


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
    noun: str = "pairs"  # what a row is
    rows_of_epoch: int | None = None
    calibration: Calibration | None = None
    too_large_by: int = 0  # bytes

    def __rich__(self) -> RenderableType:
        from headway.training.forecast_table import render

        return render(self)

    def __str__(self) -> str:
        from headway.training.forecast_table import as_text

        return as_text(self)


def _epoch(config: Config, report: CheckReport | None) -> tuple[float | None, float | None, int | None]:
    """Mean tokens of source and target of the training examples, and how many come in an epoch; None where not known."""
    each: list[tuple[float, float, float]] = []  # examples of a part in one direction, their tokens
    parts = config.data.written_parts("train")
    for figures in report.corpora if report else ():
        if (part := parts.get(figures.name)) is not None:
            examples, source, target = figures.used * part.repeat, figures.source_tokens or 0.0, figures.target_tokens or 0.0
            each += [(examples, source, target), *([(examples, target, source)] if part.both_directions else [])]
    total = sum(examples for examples, _, _ in each)
    if not total:
        return None, None, None
    source = sum(examples * tokens for examples, tokens, _ in each) / total
    target = sum(examples * tokens for examples, _, tokens in each) / total
    return source or None, target or None, round(total)


def _lengths(config: Config, report: CheckReport | None) -> tuple[float, float, int | None]:
    """Mean tokens of source and target, and how many such rows there are; of a text that has no partner both are alike."""
    source, target, used = _epoch(config, report)
    longest = config.data.max_length - 1
    if config.task in OF_MEDIA:
        source = source or _typical_positions(config)
        return source, (target or TYPICAL_LENGTH) if config.model.decoder_layers else source, used
    if config.task in ("language_model", "masked_language_model"):  # full rows
        return longest, longest, max(1, round(source * used / longest)) if source and used else None
    if config.task in WITHOUT_TARGET:
        pieces = max(1.0, source / longest) if source else 1.0
        length = (source or TYPICAL_LENGTH) / pieces
        return length, length, round(used * pieces) if used else None
    if config.task not in ("translation", "sentence_embedding"):
        target = source = min(source or TYPICAL_LENGTH, longest)
    return source or TYPICAL_LENGTH, target or TYPICAL_LENGTH, used


def _typical_positions(config: Config) -> float:
    """What the encoder reads of a file, where nothing is known of the data: the largest picture, some seconds of sound."""
    media = config.media
    share = min(1.0, TYPICAL_SECONDS / media.longest_seconds) if media.hears and not media.one_length else 1.0
    return share * media.positions + (TYPICAL_LENGTH if config.reads_text else 0)


def describe(
    config: Config,
    *,
    source_vocabulary: int | None = None,
    target_vocabulary: int | None = None,
    outputs: int | None = None,
    report: CheckReport | None = None,
    measure: bool = False,
) -> Forecast:
    """The forecast for a configuration.

    Args:
        source_vocabulary, target_vocabulary: of a trained tokenizer; default: what the configuration asks for.
        outputs: of the head of a trained model; default: the fewest there can be.
        report: of `check`, for the number and the lengths of the pairs.
        measure: also train for a few seconds and tell the time; left out where the memory would not do.
    """
    V, extra = config.tokenizer.vocabulary_size, len(extra_pieces(config))
    V_source, V_target = (source_vocabulary or V) + extra, (target_vocabulary or V) + extra
    outputs = least_outputs(config) if outputs is None else outputs
    S, T, rows = _lengths(config, report)
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
        rows=rows_of(config, V_source, V_target, outputs=outputs, **lengths),
        memory=memory(config, V_source, V_target, precision=precision, **lengths),
        source_length=S,
        target_length=T,
        batch_tokens=config.training.batch_tokens,
        precision=precision,
        updates=config.training.updates,
        noun="pairs" if config.task == "translation" else "files" if config.task in OF_MEDIA else "rows",
        rows_of_epoch=rows,
        calibration=calibration,
        too_large_by=too_large_by,
    )
