"""The finals: the best trials once more with other seeds, because the best of many is the luckiest as well as the best.

What came of it stands in the study, so a search that is killed in its finals goes on with what is missing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from subprocess import Popen

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from headway.tuning.metrics import read_metrics
from headway.tuning.search_space import Search, trial_directory
from headway.tuning.trial_process import end_softly, ended_cause, on_gpu, start_trial

AGAIN = "again "  # study attribute: trial and seed → value, or null where that training failed
POLL_SECONDS = 0.2
Told = Callable[[int, str], None]


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """The best of the complete trials; where there were finals that with the best mean over all seeds."""
    complete = _ranked(study)
    finals = values_of_seeds(study)
    whole = max(map(len, finals.values()), default=0)
    means = {number: fmean(values) for number, values in finals.items() if len(values) == whole}
    if not complete or not means:
        return complete[0] if complete else None
    number = sorted(means, key=lambda number: _order(study, means[number]))[0]
    return study.get_trials(deepcopy=False)[number]


def values_of_seeds(study: optuna.Study) -> dict[int, list[float]]:
    """Of each trial that was in the finals its values, the own first."""
    trials = study.get_trials(deepcopy=False)
    found: dict[int, list[float | None]] = {}
    for name in sorted(study.user_attrs):
        value = study.user_attrs[name]
        if name.startswith(AGAIN) and value is not None:
            number = int(name.removeprefix(AGAIN).split()[0])
            found.setdefault(number, [trials[number].value]).append(value)
    return {number: [value for value in values if value is not None] for number, values in found.items()}


def _ranked(study: optuna.Study) -> list[FrozenTrial]:
    """Complete trials, the best first; of equal ones the earliest."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    values = {one.number: one.value for one in complete if one.value is not None}
    return sorted(complete, key=lambda one: (_order(study, values[one.number]), one.number))


def _order(study: optuna.Study, value: float) -> float:
    return -value if study.direction == StudyDirection.MAXIMIZE else value


@dataclass
class _Final:
    trial: FrozenTrial
    seed: int
    path: Path  # of its configuration
    process: Popen[bytes]
    slot: int


def run_finals(
    space: Search, study: optuna.Study, threads: int, gpus: Sequence[str], stopped: Callable[[], bool], told: Told
) -> None:
    """Trains the finalists with each of the other seeds, as far as that has not been done yet, as many at a time as there are
    workers; ends early where `stopped`."""
    settings = space.settings
    first = space.base.training.seed
    waiting = [
        (trial, seed)
        for seed in range(first + 1, first + settings.final_seeds)
        for trial in _ranked(study)[: settings.finalists]
        if f"{AGAIN}{trial.number} {seed}" not in study.user_attrs
    ]
    running: list[_Final] = []
    while running or (waiting and not stopped()):
        while waiting and len(running) < settings.workers and not stopped():
            trial, seed = waiting.pop(0)
            config = space.trial_config(trial.number, trial.params, threads)
            directory = trial_directory(space.directory, trial.number)
            path = directory.with_name(f"{directory.name}-seed{seed}.yaml")
            training = config.training.model_copy(update={"seed": seed})
            config = config.model_copy(update={"run_directory": str(path.with_suffix("")), "training": training})
            slot = min(set(range(settings.workers)) - {one.slot for one in running})
            running.append(_Final(trial, seed, path, start_trial(config, path, on_gpu(gpus, slot)), slot))
            told(trial.number, f"once more, with seed {seed}")
        if stopped():
            end_softly([one.process for one in running])
        for one in [one for one in running if one.process.poll() is not None]:
            running.remove(one)
            if not stopped():
                _record(space, study, one, told)
        time.sleep(POLL_SECONDS)


def _record(space: Search, study: optuna.Study, one: _Final, told: Told) -> None:
    metrics = read_metrics(one.path.with_suffix("") / "metrics.jsonl", space.metric)
    best = metrics.best(space.higher_is_better)
    code = one.process.returncode
    known = code == 0 and math.isfinite(best)
    study.set_user_attr(f"{AGAIN}{one.trial.number} {one.seed}", best if known else None)
    cause = f"{best:.4g}" if known else ended_cause(one.path.with_suffix(".log"), code) if code else "no finite validation"
    told(one.trial.number, f"with seed {one.seed}: {cause}")
