"""Who searches: processes that share a directory, on one machine or several, and what becomes of the trials of those that die."""

from __future__ import annotations

import secrets
import shutil
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import optuna
from optuna.trial import Trial, TrialState

from headway.errors import ResourceError
from headway.training.run_lock import RunLock
from headway.tuning.study import WORKER, WORKERS

SESSION = "session "  # of a worker: when it was at work, as seconds of the clock


class Worker:
    """``with Worker(directory, study) as worker:`` its lock, which the kernel frees when it dies, tells others that it lives."""

    def __init__(self, directory: Path, study: optuna.Study) -> None:
        self.name = f"{socket.gethostname()[:40]}-{secrets.token_hex(4)}"
        self._directory, self._study = directory / WORKERS, study
        self._lock = RunLock(self._directory / self.name)
        self._began = time.time()

    def __enter__(self) -> Self:
        self._lock.acquire()
        self.at_work()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()  # whoever comes next finds the trials that were left, and the directory
        if not self.own():
            shutil.rmtree(self._directory / self.name, ignore_errors=True)

    def at_work(self) -> None:
        """Records that the search goes on."""
        self._study.set_user_attr(f"{SESSION}{self.name}", [self._began, time.time()])

    def own(self) -> list[optuna.trial.FrozenTrial]:
        """Trials that are this worker's to train."""
        return [trial for trial in running_trials(self._study) if trial.user_attrs.get(WORKER) == self.name]

    def take_over(self) -> list[int]:
        """Makes the unfinished trials of dead workers its own; their numbers."""
        taken = []
        for other in sorted(self._directory.iterdir()):
            if other.name == self.name:
                continue
            try:
                with RunLock(other):
                    for trial in running_trials(self._study):
                        if trial.user_attrs.get(WORKER) == other.name:
                            Trial(self._study, trial._trial_id).set_user_attr(WORKER, self.name)
                            taken.append(trial.number)
                    shutil.rmtree(other, ignore_errors=True)
            except ResourceError:  # it lives
                continue
        return taken


def running_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def minutes_at_work(study: optuna.Study) -> float:
    """How long any worker was at work, those that worked side by side counted once."""
    return _covered(value for name, value in study.user_attrs.items() if name.startswith(SESSION)) / 60


def _covered(intervals: Iterable[tuple[float, float]]) -> float:
    total, reached = 0.0, float("-inf")
    for start, end in sorted(map(tuple, intervals)):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
