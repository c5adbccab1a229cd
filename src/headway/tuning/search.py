"""The search: trials are drawn, train as processes of their own, are watched and pruned, and leave a record each.

One loop in one process looks after all trials of this worker. Whatever it knows stands in the study and in the directories of
the trials, so it can be killed at any instant: its successor takes the trials over, and they go on from their checkpoints.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from headway.config import Config
from headway.data.check import check
from headway.errors import DataError, Interrupted, ResourceError, UsageError
from headway.training.parallel import available_cores
from headway.training.run_lock import RunLock
from headway.training.stop_signals import StopSignal, stop_signals
from headway.tuning.finals import best_trial, choose_finalists, final_config, key, ranked, waiting
from headway.tuning.live import Shown, shown_settings
from headway.tuning.metrics import Metrics, read_metrics
from headway.tuning.page import write_page
from headway.tuning.search_space import Search, trial_directory
from headway.tuning.study import TRIALS, WORKER, begin_trial, counts, next_trial, open_study
from headway.tuning.trial_process import STOP_SECONDS, ended_cause, on_gpu, start_trial
from headway.tuning.workers import Worker, minutes_at_work, running_trials

POLL_SECONDS = 0.2
RECORD_SECONDS = 20.0  # between two notes that the search is at work, and two looks for dead workers
CAUSE_CHARACTERS = 2000
HOPELESS = 10  # trials that fail before one succeeds: no other is begun
WEIGHTS = ("checkpoints", "model", "adapter")


@dataclass
class Running:
    """A trial that trains, and its process."""

    trial: Trial | FrozenTrial  # that of a final has ended
    directory: Path
    updates: int
    validations: int  # of a whole training
    slot: int
    process: subprocess.Popen[bytes]
    seed: int | None = None  # in the finals
    metrics: Metrics = field(default_factory=Metrics)
    pruned: bool = False
    stop_until: float | None = None  # when it is asked to stop: the time at which it is killed

    @property
    def number(self) -> int:
        return self.trial.number


def search(space: Search, *, fresh: bool = False) -> optuna.Study:
    """Searches until the budget is used up, and writes the page; returns the study with everything that is known.

    Raises:
        HeadwayError: what stands in the way.
        Interrupted: after SIGINT or SIGTERM; the same command goes on.
    """
    study = open_study(space, fresh=fresh)
    with Worker(space.directory, study) as worker, stop_signals() as stop, Shown(space, study) as shown:
        if not counts(study):
            _look_at_data(space, shown)
        _Search(space, study, worker, stop, shown).run()
    shown.say(f"page: {write_page(space, study)}")
    if stop.number is not None:
        raise Interrupted(
            stop.number,
            f"stopped, under way: {counts(study)[TrialState.RUNNING]} trials, {len(waiting(study))} finals; everything is saved",
            where=str(space.directory),
            remedy="the same command goes on from here",
        )
    return study


def _look_at_data(space: Search, shown: Shown) -> None:
    """The quick part of `headway check`, so that no trial has to find out."""
    if not check(space.base, shown.console, quick=True).ok:
        raise DataError("trials do not start on such data", where="data", remedy="mend what is listed above, then start again")


class _Search:
    """What one worker does."""

    def __init__(self, space: Search, study: optuna.Study, worker: Worker, stop: StopSignal, shown: Shown) -> None:
        self.space, self.study, self.worker, self.stop, self.shown = space, study, worker, stop, shown
        self.running: list[Running] = []
        self.failures = 0
        self.threads = max(1, available_cores() // space.settings.workers)
        self.gpus = _gpus(space)

    def run(self) -> None:
        for pruned in self.study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)):
            self._forget_weights(pruned.number)  # a kill may have come before
        self._loop(self._fill_slots, self._may_begin, lambda: self.stop.number is not None or self._time_is_up())
        if self.stop.number is None and self._time_is_up():
            self.shown.say("the time is used up")
        if self._is_hopeless():
            self.shown.say(f"{self.failures} trials failed and none succeeded: the search ends")
        if self.space.settings.finalists and self.stop.number is None:
            self._hold_finals()
        if self.space.settings.keep == "best" and not waiting(self.study):
            self._keep([best_trial(self.study)])

    def _loop(self, fill: Callable[[], None], more: Callable[[], bool], over: Callable[[], bool]) -> None:
        """Lets `fill` begin what can be begun and looks after all that trains, until there is no more or it is over."""
        noted = -math.inf
        while True:
            if time.monotonic() - noted >= RECORD_SECONDS:
                noted = time.monotonic()
                self.worker.at_work()
                for number in self.worker.take_over():
                    self.shown.event(number, "goes on: its worker had ended")
            ending = over()
            if ending:
                for one in self.running:
                    self._ask_to_stop(one)
            else:
                fill()
            for one in list(self.running):
                self._look_at(one)
            self.shown.refresh(self.running)
            if not self.running and (ending or not more()):
                break
            time.sleep(POLL_SECONDS)
        self.worker.at_work()

    def _hold_finals(self) -> None:
        """Once no other worker trains a trial; one worker alone holds them."""
        if any(trial.user_attrs.get(WORKER) != self.worker.name for trial in running_trials(self.study)):
            self.shown.say("another worker is still at work: the finals are left to it")
            return
        try:
            with RunLock(self.space.directory / TRIALS / "finals"):
                choose_finalists(self.space, self.study)
                self._loop(self._fill_finals, lambda: bool(waiting(self.study)), lambda: self.stop.number is not None)
        except ResourceError:
            self.shown.say("another worker holds the finals")

    # ---- beginning ---------------------------------------------------------------------------------------------------

    def _time_is_up(self) -> bool:
        minutes = self.space.settings.minutes
        return minutes is not None and minutes_at_work(self.study) >= minutes

    def _is_hopeless(self) -> bool:
        states = counts(self.study)
        return self.failures >= HOPELESS and not (states[TrialState.COMPLETE] or states[TrialState.PRUNED])

    def _left_behind(self) -> list[FrozenTrial]:
        """Trials of this worker that do not train: those that it took over."""
        numbers = {one.number for one in self.running}
        return [trial for trial in self.worker.own() if trial.number not in numbers]

    def _may_begin(self) -> bool:
        if self._is_hopeless():
            return False
        most = self.space.settings.most_trials
        return most is None or sum(counts(self.study).values()) < most or bool(self._left_behind())

    def _fill_slots(self) -> None:
        while len(self.running) < self.space.settings.workers and self._may_begin():
            left = self._left_behind()
            self._begin(left[0] if left else next_trial(self.study, self.space, self.worker.name))

    def _begin(self, frozen: FrozenTrial) -> None:
        trial = begin_trial(self.study, self.space, frozen)
        try:
            config = self.space.trial_config(trial.number, trial.params, self.threads)
        except UsageError as error:
            self._fail(trial, str(error))
            return
        self._start(trial, config)
        self.shown.event(trial.number, f"begins: {shown_settings(self.space.settings_of(trial.params))}")

    def _fill_finals(self) -> None:
        under_way = {(one.number, one.seed) for one in self.running}
        for number, seed in waiting(self.study):
            if len(self.running) == self.space.settings.workers:
                break
            if (number, seed) not in under_way:
                trial = self.study.get_trials(deepcopy=False)[number]
                self._start(trial, final_config(self.space, trial, seed, self.threads), seed)
                self.shown.event(number, f"once more, with seed {seed}")

    def _start(self, trial: Trial | FrozenTrial, config: Config, seed: int | None = None) -> None:
        slot = min(set(range(self.space.settings.workers)) - {one.slot for one in self.running})
        directory = Path(config.run_directory)
        process = start_trial(config, directory.with_suffix(".yaml"), on_gpu(self.gpus, slot))
        updates = config.training.updates
        validations = math.ceil(updates / config.training.validate_every)
        self.running.append(Running(trial, directory, updates, validations, slot, process, seed=seed))

    # ---- watching ----------------------------------------------------------------------------------------------------

    def _look_at(self, one: Running) -> None:
        ended = one.process.poll()  # before the metrics are read: what ended has written all of them
        one.metrics = read_metrics(one.directory / "metrics.jsonl", self.space.metric)
        if not one.pruned and one.seed is None:
            self._report(one)
        if ended is None:
            if one.stop_until is not None and time.monotonic() > one.stop_until:
                one.process.kill()
            return
        self.running.remove(one)
        stopped = one.stop_until is not None or self.stop.number is not None
        if one.pruned:
            self._forget_weights(one.number)
        elif one.seed is not None:
            if ended == 0 or not stopped:
                self._end_final(one, one.seed, ended)
        elif ended == 0:
            self._complete(one)
        elif not stopped:
            self._fail(one.trial, ended_cause(one.directory.with_suffix(".log"), ended))

    def _report(self, one: Running) -> None:
        """Tells the study of new validations, and prunes."""
        known = self.study.get_trials(deepcopy=False)[one.number].intermediate_values
        for validation in range(len(known) + 1, len(one.metrics.values) + 1):
            best = one.metrics.best(self.space.higher_is_better, validation)
            one.trial.report(best, validation)
            if validation < one.validations and one.trial.should_prune():
                self._record(one)
                self.study.tell(one.number, state=TrialState.PRUNED)
                one.pruned = True
                self._ask_to_stop(one)
                self.shown.event(one.number, f"pruned at update {one.metrics.update:,}: {best:.4g}")
                return

    def _ask_to_stop(self, one: Running) -> None:
        if one.stop_until is None:
            one.stop_until = time.monotonic() + STOP_SECONDS
            one.process.send_signal(signal.SIGTERM)

    # ---- ending ------------------------------------------------------------------------------------------------------

    def _complete(self, one: Running) -> None:
        best = one.metrics.best(self.space.higher_is_better)
        if not math.isfinite(best):
            self._fail(one.trial, f"no validation gave a finite {self.space.metric}")
            return
        self._record(one)
        self.study.tell(one.number, best)
        self.shown.event(one.number, f"complete: {best:.4g}")
        if self.space.settings.keep == "best":
            self._keep(ranked(self.study)[: max(1, self.space.settings.finalists)])

    def _end_final(self, one: Running, seed: int, code: int) -> None:
        best = one.metrics.best(self.space.higher_is_better)
        known = code == 0 and math.isfinite(best)
        self.study.set_user_attr(key(one.number, seed), best if known else None)
        cause = ended_cause(one.directory.with_suffix(".log"), code) if code else "no validation gave a finite value"
        self.shown.event(one.number, f"with seed {seed}: {f'{best:.4g}' if known else f'failed: {cause}'}")
        self._forget_weights_in(one.directory)

    def _keep(self, kept: Sequence[FrozenTrial | None]) -> None:
        """Forgets the weights of all other complete trials."""
        numbers = {trial.number for trial in kept if trial is not None}
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if trial.number not in numbers:
                self._forget_weights(trial.number)

    def _record(self, one: Running) -> None:
        """What a page wants to know of a trial beside its value."""
        one.trial.set_user_attr("update", one.metrics.update)
        one.trial.set_user_attr("updates", one.updates)
        one.trial.set_user_attr("seconds", round(one.metrics.seconds, 2))
        parameters = _parameters(trial_directory(self.space.directory, one.number))
        if parameters is not None:
            one.trial.set_user_attr("parameters", parameters)

    def _fail(self, trial: Trial | FrozenTrial, cause: str) -> None:
        trial.set_user_attr("cause", cause[:CAUSE_CHARACTERS])
        self.study.tell(trial.number, state=TrialState.FAIL)
        self.failures += 1
        self._forget_weights(trial.number)
        self.shown.event(trial.number, f"failed: {cause}")

    def _forget_weights(self, number: int) -> None:
        self._forget_weights_in(trial_directory(self.space.directory, number))

    def _forget_weights_in(self, directory: Path) -> None:
        if self.space.settings.keep != "all":
            for name in WEIGHTS:
                shutil.rmtree(directory / name, ignore_errors=True)


def _gpus(space: Search) -> list[str]:
    """Names of the GPUs that trials may be put on, for CUDA_VISIBLE_DEVICES."""
    if space.base.training.device == "cpu":
        return []
    if (given := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in given.split(",") if name]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _parameters(directory: Path) -> int | None:
    """Of the model that a trial kept, if it has kept one yet."""
    try:
        tensors = json.loads((directory / "model" / "manifest.json").read_text("utf-8"))["tensors"]
    except (OSError, ValueError, KeyError):
        return None
    return sum(math.prod(shape) for _, *shape in tensors.values())
