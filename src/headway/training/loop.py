"""How it learns: the only training loop in the house.

`train(config)` prepares data and model, then repeats `train_step`. Every update is a pure function of (seed, update):
the plan of its epoch, its learning rate and its dropout. So a run that is killed anywhere goes on from its newest
checkpoint to the same weights, bit for bit.
"""

from __future__ import annotations

import json
import logging
import math
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from headway.adapter_dir import save_adapter
from headway.config import Config
from headway.data.batches import Batch, Epoch
from headway.data.check import check
from headway.data.files import written_aside
from headway.data.tokenizer import Tokenizers
from headway.errors import DataError, Interrupted, ModelError, ResourceError
from headway.model.lora import merged_weights
from headway.model_dir import build_model, save_model
from headway.training.checkpoint import Checkpoints, RunLock
from headway.training.corpus import TrainingCorpus
from headway.training.optimizer import WeightAverage, build_optimizer, copies_of_weights, learning_rate, set_learning_rate
from headway.training.parallel import (
    World,
    all_reduce_sum,
    barrier,
    choose_precision,
    choose_threads,
    keep_freed_memory,
    start_distributed,
    stop_distributed,
)
from headway.training.parts import choose_what_learns, learning_parameters
from headway.training.progress import Progress
from headway.training.run_directory import (
    CHECK,
    TOKENIZERS,
    begin_or_go_on,
    forget_run,
    forget_tokenizers,
    has_checkpoints,
    make_run_directory,
    open_tokenizers,
)
from headway.training.start_from import inherit
from headway.training.starts import record_start
from headway.training.state import LossOf, TrainState
from headway.training.stop_signals import Stopped, StopSignal, stop_signals
from headway.training.validation import Validation, best_metric, validate

logger = logging.getLogger(__name__)


class StepResult(NamedTuple):
    loss: float  # of a target token, with smoothing and consistency
    negative_log_likelihood: float  # of a target token
    tokens: int  # target tokens over all ranks
    gradient_norm: float
    learning_rate: float
    finite: bool


def train_step(state: TrainState, pieces: list[Batch]) -> StepResult:
    """One update: forward, loss, backward, clip, step.

    The sum of the losses is divided by the number of valid target tokens of the whole update, over all micro-batches
    and ranks, so cutting a batch changes nothing. A non-finite gradient leaves the weights as they are.
    """
    settings, world, model = state.config.training, state.world, state.model
    update = state.update + 1
    rate = learning_rate(update, settings)
    set_learning_rate(state.optimizer, rate)
    tokens = max(1.0, all_reduce_sum(float(sum(piece.tokens for piece in pieces)), world))
    loss_sum = torch.zeros((), dtype=torch.float64, device=world.device)
    nll_sum = torch.zeros_like(loss_sum)
    for number, piece in enumerate(pieces):
        model.seed_dropout(settings.seed, update, world.rank * len(pieces) + number)
        with _gradients_shared_only_after(state.loss_of, last=number == len(pieces) - 1):
            loss = state.loss_of(piece.to(world.device))
            (loss.loss * (world.size / tokens)).backward()  # DDP takes the mean over ranks
        loss_sum += loss.loss.detach()
        nll_sum += loss.negative_log_likelihood
    norm = nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm or math.inf)
    loss_mean, nll_mean = (all_reduce_sum(float(x), world) / tokens for x in (loss_sum, nll_sum))
    finite = math.isfinite(float(norm)) and math.isfinite(loss_mean)
    if finite:
        state.optimizer.step()
        state.average.update()
    state.optimizer.zero_grad(set_to_none=False)
    return StepResult(loss_mean, nll_mean, int(tokens), float(norm), rate, finite)


def _gradients_shared_only_after(loss_of: nn.Module, *, last: bool) -> AbstractContextManager[None]:
    return nullcontext() if last or not isinstance(loss_of, DistributedDataParallel) else loss_of.no_sync()


def train(config: Config, *, fresh: bool = False, quiet: bool = False) -> Path:
    """Trains, or goes on with, the run of `config`; returns its directory, with the best model under `model/`.

    Args:
        fresh: forget what the run directory holds and begin anew.
        quiet: print nothing.

    Raises:
        HeadwayError: whatever stands in the way, said so that the user can mend it.
        Interrupted: after SIGINT or SIGTERM, when the step is finished and saved.
    """
    keep_freed_memory()
    world = start_distributed(config.training)
    try:
        directory = Path(config.run_directory)
        lock: AbstractContextManager[Any] = nullcontext()
        if world.first:
            lock = RunLock(make_run_directory(config))
        with lock:
            if world.first:
                if fresh:
                    forget_run(directory)
                begin_or_go_on(directory, config)
            shown = Progress(directory, config, enabled=world.first and not quiet, record=world.first)
            return _train(config, directory, world, shown)
    finally:
        stop_distributed()


def _train(config: Config, directory: Path, world: World, progress: Progress) -> Path:
    if world.first:
        if not has_checkpoints(directory):  # nothing is trained yet: data and tokenizer may still change
            forget_tokenizers(directory)
            _look_at_data(config, directory, progress)
        open_tokenizers(directory, config)
    barrier(world)
    tokenizers = open_tokenizers(directory, config)
    if world.first:  # one process makes the caches, the others find them made
        TrainingCorpus(config, tokenizers)
    barrier(world)
    corpus = TrainingCorpus(config, tokenizers)
    validation = Validation.open(config, tokenizers)
    checkpoints = Checkpoints(directory / "checkpoints", keep=config.training.keep_checkpoints)
    state = start(config, tokenizers, (corpus.fingerprint, validation.fingerprint), world, checkpoints, progress)
    if world.first:
        sets = 2 + copies_of_weights(config.training)  # two moments, averages; float32
        checkpoints.require_space(4 * (state.model.parameter_count() + sets * learning_parameters(state.model)))
        record_start(directory, state)
    progress.begin(state.model, corpus, state, best_metric(config, tokenizers))
    with progress, stop_signals() as stop:
        _run(state, corpus, validation, checkpoints, tokenizers, directory, progress, stop)
    return directory


def start(
    config: Config, tokenizers: Tokenizers, data: tuple[str, str], world: World, checkpoints: Checkpoints, progress: Progress
) -> TrainState:
    """Model, optimiser and averages, fresh or as the newest whole checkpoint has them."""
    settings = config.training
    threads = choose_threads(settings, world)
    newest = checkpoints.newest()
    for skipped in newest.skipped if newest else ():
        logger.warning("%s was passed over: %s", skipped.path, skipped.reason)
    tensors, saved = newest.load() if newest else ({}, {})
    setting = saved.get("precision", settings.precision)
    precision = choose_precision(setting, world.device, config.model, world=world)
    if newest and settings.precision == "auto":
        precision = replace(precision, reason="as the run began")
    model = build_model(config, tokenizers)
    inherited = saved.get("inherited")  # checkpoints of older versions do not tell
    if newest is None and config.model.start_from:
        found = inherit(model, config, tokenizers)
        progress.console.print(f"from {config.model.start_from}: {found}")
        inherited = found.as_json()
    choose_what_learns(model, config, new=inherited["new"] if inherited else ())
    model.to(world.device)
    model.compute_dtype = precision.dtype
    loss_of: nn.Module = LossOf(model, config)
    if settings.compile:
        loss_of.compile(dynamic=True)
    if world.size > 1:
        unused = config.model.layer_dropout > 0
        loss_of = DistributedDataParallel(loss_of, process_group=world.group, find_unused_parameters=unused)
    optimizer = build_optimizer(model, settings, precision.dtype)
    state = TrainState(config, world, model, loss_of, optimizer, WeightAverage(model, settings))
    for parameter in model.parameters():  # a layer that rests at first has a gradient too: resuming must not tell
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    state.precision, (state.corpus, state.validation), state.inherited = precision.name, data, inherited
    state.tokenizers = tokenizers.digest
    if newest:
        _refuse_other_tokenizers(tokenizers.digest, saved.get("tokenizers", tokenizers.digest), checkpoints)
        _refuse_other_data("train", data[0], saved["corpus"])
        _refuse_other_data("validation", data[1], saved["validation"])
        model.load_state_dict({name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")})
        state.restore(tensors, saved)
    progress.machine(world, threads, precision, resumed_at=state.update if newest else None)
    return state


def _look_at_data(config: Config, directory: Path, progress: Progress) -> None:
    """The quick part of `headway check`; what it finds is kept for the report."""
    report = check(config, progress.console, quick=True)
    with written_aside(directory / CHECK) as aside:
        aside.write_text(json.dumps(report.as_json(), ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace")
    if not report.ok:
        raise DataError(
            "training does not start on such data", where="data", remedy="mend what is listed above, then start again"
        )


def _refuse_other_data(name: str, found: str, expected: str) -> None:
    if found != expected:
        raise DataError(
            f"the data has changed since this run began: its fingerprint is {found[:12]}, not {expected[:12]}",
            where=f"data.{name}",
            remedy="put the old files back, or begin anew with --fresh",
        )


def _refuse_other_tokenizers(found: str, expected: str, checkpoints: Checkpoints) -> None:
    if found != expected:
        raise ModelError(
            f"have changed since this run began: their digest is {found[:12]}, not {expected[:12]}",
            where=str(checkpoints.directory.parent / TOKENIZERS),
            remedy="put the old files back, or begin anew with --fresh",
        )


def _run(
    state: TrainState,
    corpus: TrainingCorpus,
    validation: Validation,
    checkpoints: Checkpoints,
    tokenizers: Tokenizers,
    directory: Path,
    progress: Progress,
    stop: StopSignal,
) -> None:
    # The loop, in short:
    #   for each update: pieces of the global batch → train_step → log
    #     every `save_every`, at the end, and on a signal: save a checkpoint
    #     every `validate_every`: validate the averaged weights, keep the best model
    # Saved before it is validated, so that an error there costs nothing; what is due then is done on resuming.
    settings = state.config.training

    def interrupted() -> Interrupted:
        return Interrupted(
            stop.number or signal.SIGTERM,  # the signal may have come to another rank
            f"stopped after update {state.update:,} of {settings.updates:,}; everything is saved",
            where=str(directory),
            remedy="the same command goes on from here",
        )

    def validate_what_is_due() -> None:
        if state.validation_is_due:
            try:
                _validate(state, validation, tokenizers, directory, progress, stop)
            except Stopped:
                _save(state, checkpoints)
                raise interrupted() from None
            if _enough(state):  # the same command will find the run at its end
                _save(state, checkpoints)

    state.model.train()
    validate_what_is_due()
    clock = time.perf_counter()  # validating and saving are not counted as learning, reading is
    for pieces in _updates(state, corpus):
        result = train_step(state, pieces)
        _guard(state, result, pieces, corpus, directory)
        state.update += 1
        state.target_tokens += result.tokens
        progress.step(state, result, time.perf_counter() - clock)
        last = state.update == settings.updates
        state.validation_is_due = last or state.update % settings.validate_every == 0
        if state.validation_is_due:
            state.average.snapshot()
        signalled = all_reduce_sum(float(stop.number or 0), state.world)
        if last or signalled or state.update % settings.save_every == 0:
            _save(state, checkpoints)
        if signalled:
            raise interrupted()
        validate_what_is_due()
        clock = time.perf_counter()
    progress.end(state.best_score[0] if state.best_score else None, directory)


def _enough(state: TrainState) -> bool:
    settings = state.config.training
    patience = settings.patience
    return state.update >= settings.updates or (patience is not None and state.validations_without_gain >= patience)


def _updates(state: TrainState, corpus: TrainingCorpus) -> Iterator[list[Batch]]:
    """From the run's place on: the micro-batches of this rank for each update. Nothing before the place is read."""
    accumulation = state.config.training.accumulation
    pieces = state.world.size * accumulation
    updates: Epoch | None = None
    planned = -1
    while not _enough(state):
        epoch, index = state.place.epoch, state.place.index
        if updates is None or epoch != planned:
            updates, planned = corpus.updates(epoch), epoch
        state.place = state.place.next(updates)
        first = state.world.rank * accumulation
        yield [updates.batch(index, first + k, pieces) for k in range(accumulation)]


def _guard(state: TrainState, result: StepResult, pieces: list[Batch], corpus: TrainingCorpus, directory: Path) -> None:
    """A non-finite update was skipped: says which, and ends the run when too many come in a row."""
    if result.finite:
        state.bad_updates = 0
        return
    state.bad_updates += 1
    places = ", ".join(corpus.place(int(i)) for piece in pieces for i in piece.indices[:3])
    say = f"update {state.update + 1} was skipped: loss {result.loss}, gradient norm {result.gradient_norm}, at {places}, …"
    if state.bad_updates >= state.config.training.non_finite_limit:
        raise ResourceError(
            f"{state.bad_updates} updates in a row were not finite; the last: {say}",
            where=str(directory),
            remedy="begin anew in another run_directory with a lower training.learning_rate or with training.precision=fp32",
        )
    logger.warning(say)


def _validate(
    state: TrainState, validation: Validation, tokenizers: Tokenizers, directory: Path, progress: Progress, stop: StopSignal
) -> None:
    """Scores the averaged weights on the validation set; a better model is kept under `model/`.

    Raises Stopped on a signal, the state being as before; of several processes none can leave the others alone.
    """
    settings = state.config.training
    with state.average.average():
        with stop.at_once() if state.world.size == 1 else nullcontext():
            scores = validate(state.model, validation, state.config, tokenizers, state.world)
        state.validation_is_due = False
        score = [-scores.loss] if settings.best_by == "loss" else [scores.score or 0.0, -scores.loss]
        better = all(map(math.isfinite, score)) and (state.best_score is None or score > state.best_score)
        if better:
            state.best_score, state.validations_without_gain = score, 0
            if state.world.first:
                facts = {"update": state.update, "validation": scores.as_json(), "target_tokens": state.target_tokens}
                save_model(directory / "model", state.config, merged_weights(state.model), tokenizers, facts)
                if state.inherited and state.config.model.lora:
                    save_adapter(directory / "adapter", state.config, state.model, tokenizers, state.inherited["fingerprint"])
        else:
            state.validations_without_gain += 1
    progress.validation(state.update, scores, better)


def _save(state: TrainState, checkpoints: Checkpoints) -> None:
    if state.world.first:
        weights = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
        checkpoints.save(state.update, weights, state.tensors(), state.as_json())
    barrier(state.world)
