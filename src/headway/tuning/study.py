"""The memory of a search: an Optuna study in a journal beside the trials, or in a database.

A trial is born with the name of the worker that trains it, and each draw is a pure function of (seed, number of the trial,
trials so far): a search that is killed goes on as if nothing had happened.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from headway.config import config_difference, dump_config, parse_config
from headway.errors import ResourceError, UsageError
from headway.training.run_lock import RunLock
from headway.tuning.finals import best_trial
from headway.tuning.search_space import Search

JOURNAL, TRIALS, WORKERS, PAGE = "journal.jsonl", "trials", "workers", "tuning.html"
WORKER = "worker"  # whose trial it is
MAY_CHANGE = ("run_directory",)


class _KernelLock(JournalFileOpenLock):
    """A lock that the kernel frees when its holder dies; Optuna's own would be waited for half a minute."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path.with_suffix(".lock")
        self._descriptor = -1

    def acquire(self) -> bool:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        os.close(self._descriptor)


def open_study(search: Search, *, fresh: bool = False) -> optuna.Study:
    """The study of a search, new or as it was left.

    Args:
        fresh: forget what there is.

    Raises:
        UsageError: it was begun with another configuration or another space; the difference is shown.
        ResourceError: the storage cannot be opened.
    """
    _quiet()
    directory = search.directory
    strangers = [path for path in directory.iterdir() if path.suffix != ".html"] if directory.exists() else []
    if strangers and not (directory / TRIALS).is_dir():
        raise UsageError("is not empty and holds no search", where=str(directory), remedy="choose another tuning.directory")
    (directory / TRIALS).mkdir(parents=True, exist_ok=True)
    name = directory.name
    storage = _storage(search)
    if fresh:
        _forget(directory, storage, name)
        storage = _storage(search)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize" if search.higher_is_better else "minimize",
        pruner=_pruner(search),
        load_if_exists=True,
    )
    _begin_or_go_on(study, search)
    return study


def load_study(search: Search) -> optuna.Study:
    """The study of a search that was begun. Raises UsageError where there is none."""
    _quiet()
    nothing = UsageError("there is no such search yet", where=str(search.directory), remedy="begin it: headway tune CONFIG")
    if search.settings.storage is None and not (search.directory / JOURNAL).exists():
        raise nothing
    try:
        return optuna.load_study(study_name=search.directory.name, storage=_storage(search))
    except KeyError:
        raise nothing from None


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module="optuna")
    logging.getLogger("alembic").setLevel(logging.ERROR)


def _storage(search: Search) -> BaseStorage:
    url = search.settings.storage
    if url is None:
        return _journal(search.directory / JOURNAL)
    try:
        return RDBStorage(url)
    except Exception as error:  # of any driver; the address may hold a password, so it is not repeated
        reason = next(iter(str(error).splitlines()), type(error).__name__).replace(url, "…")
        remedy = "a URL such as sqlite:///search.db or postgresql://user@host/name, and its driver installed"
        raise ResourceError(f"cannot be opened: {reason}", where="tuning.storage", remedy=remedy) from None


def _journal(path: Path) -> JournalStorage:
    lock = _KernelLock(path)
    lock.acquire()
    try:
        if path.exists():
            _cut_torn_line(path)
    finally:
        lock.release()
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except (ValueError, KeyError, TypeError) as error:
        raise ResourceError(
            f"is damaged: {error}", where=str(path), remedy="put a copy back, or begin anew with --fresh"
        ) from None


def _cut_torn_line(path: Path) -> None:
    """What a power failure left of the last line, so that the next one is not written behind it."""
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def _forget(directory: Path, storage: BaseStorage, name: str) -> None:
    """`--fresh`: removes what a search wrote, and nothing else. Raises ResourceError where a worker lives."""
    for worker in (directory / WORKERS).glob("*"):
        with RunLock(worker):
            shutil.rmtree(worker)
    with contextlib.suppress(KeyError):
        optuna.delete_study(study_name=name, storage=storage)
    shutil.rmtree(directory / TRIALS)
    (directory / TRIALS).mkdir()
    for path in (directory / JOURNAL, directory / PAGE):
        path.unlink(missing_ok=True)


def _begin_or_go_on(study: optuna.Study, search: Search) -> None:
    spaces = {space.name: space.as_json() for space in search.spaces}
    begun = study.user_attrs
    if "base" not in begun or "spaces" not in begun or "metric" not in begun:
        study.set_user_attr("base", dump_config(search.base))
        study.set_user_attr("spaces", spaces)
        study.set_user_attr("metric", search.metric)
        return
    old = parse_config(begun["base"], "what was begun")
    elsewhere = tuple(f"{name}{end}" for name in (*MAY_CHANGE, *begun["spaces"]) for end in ":.")
    changes = [line for line in config_difference(old, search.base) if not line.startswith(elsewhere)]
    for name in dict.fromkeys([*begun["spaces"], *spaces]):
        if begun["spaces"].get(name) != spaces.get(name):
            changes.append(f"{name}: {begun['spaces'].get(name, 'one value')} → {spaces.get(name, 'one value')}")
    if begun["metric"] != search.metric:
        changes.append(f"tuning.metric: {begun['metric']} → {search.metric}")
    if changes:
        raise UsageError(
            "holds a search with another configuration:\n    " + "\n    ".join(changes),
            where=str(search.directory),
            remedy="choose another tuning.directory, or begin anew with headway tune --fresh",
        )


def _pruner(search: Search) -> BasePruner:
    """Resources are counted in validations."""
    settings = search.settings
    first, factor = settings.first_rung, settings.reduction_factor
    if settings.pruning == "successive_halving":
        return SuccessiveHalvingPruner(min_resource=first, reduction_factor=factor)
    if settings.pruning == "hyperband":
        return HyperbandPruner(min_resource=first, max_resource=search.validations, reduction_factor=factor)
    if settings.pruning == "median":
        return MedianPruner(n_startup_trials=min(5, settings.startup_trials), n_warmup_steps=first)
    return NopPruner()


def _sampler(search: Search, number: int) -> BaseSampler:
    """One for each trial, so that what it draws does not depend on who drew before, in this process or in one that died."""
    seed = int(np.random.SeedSequence((search.settings.seed, number)).generate_state(1)[0])
    if search.settings.sampler == "random":
        return RandomSampler(seed=seed)
    startup = search.settings.startup_trials
    return TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True)


def next_trial(study: optuna.Study, search: Search, worker: str) -> FrozenTrial:
    """A new trial of a worker, which runs from now on. It is born with all that in one record, so that no other worker can draw
    it, and no kill leaves a trial without its worker."""
    first = {space.name: space.first_drawn() for space in search.spaces if space.first is not None}
    begins = not study.get_trials(deepcopy=False)
    fixed = {"fixed_params": first if begins else {}}  # as Study.enqueue_trial writes them
    study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs={WORKER: worker}, system_attrs=fixed))
    return [trial for trial in study.get_trials(deepcopy=False) if trial.user_attrs.get(WORKER) == worker][-1]


def begin_trial(study: optuna.Study, search: Search, frozen: FrozenTrial) -> Trial:
    """The trial with a value drawn from every space; what was drawn before a kill stays."""
    study.sampler = _sampler(search, frozen.number)
    trial = Trial(study, frozen._trial_id)
    for space in search.spaces:
        space.draw(trial)
    return trial


def counts(study: optuna.Study) -> Counter[TrialState]:
    return Counter(trial.state for trial in study.get_trials(deepcopy=False))


def refuse_other_spaces(study: optuna.Study, search: Search) -> None:
    """Raises UsageError where a configuration does not search what the study did: a trial would become another one."""
    begun, spaces = study.user_attrs.get("spaces", {}), {space.name: space.as_json() for space in search.spaces}
    other = sorted(name for name in {*begun, *spaces} if begun.get(name) != spaces.get(name))
    if other:
        remedy = "give the search spaces of `headway tune` once more, in the file or on the command line"
        raise UsageError(
            f"the search of {study.study_name} had other spaces: {', '.join(other)}", where="--from-trial", remedy=remedy
        )


def drawn_for_trial(study: optuna.Study, which: str) -> dict[str, Any]:
    """What was drawn for a trial: `which` is its number, or "best". Raises UsageError where there is none."""
    trials = study.get_trials(deepcopy=False)
    if which == "best" and (best := best_trial(study)) is not None:
        return best.params
    if which.isdecimal() and int(which) < len(trials) and trials[int(which)].params:
        return trials[int(which)].params
    known = f"there are trials 0 to {len(trials) - 1}" if trials else "there is no trial yet"
    problem = "no trial is complete" if which == "best" else f"there is no trial {which!r} with settings"
    raise UsageError(problem, where="--from-trial", remedy=f"{known}; or best")
