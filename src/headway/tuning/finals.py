"""The finals: the best trials once more with other seeds, because the best of many is the luckiest as well as the best.

What came of them stands in the study. They decide once they are over, and as long as their finalists are the best trials.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from headway.config import Config
from headway.tuning.search_space import Search, trial_directory

FINALISTS, AGAIN = "finalists", "again "  # study attributes: trial → its other seeds; trial and seed → value, null of a failure


@dataclass(frozen=True)
class Final:
    """A trial that trained with several seeds.

    Attributes:
        own: the value for which it became a finalist.
        others: those of its other seeds, None where that training failed.
    """

    number: int
    own: float
    others: dict[int, float | None]

    @property
    def values(self) -> list[float]:
        """Of all seeds that came to an end."""
        return [self.own, *(value for value in self.others.values() if value is not None)]

    @property
    def whole(self) -> bool:
        return None not in self.others.values()


def ranked(study: optuna.Study) -> list[FrozenTrial]:
    """Complete trials, the best first; of equal ones the earliest."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
    values = {one.number: sign * one.value for one in complete if one.value is not None}
    return sorted(complete, key=lambda one: (values[one.number], one.number))


def choose_finalists(space: Search, study: optuna.Study) -> None:
    """Notes which trials are in the finals, with which seeds beside their own."""
    found = {}
    for trial in ranked(study)[: space.settings.finalists]:
        own = space.config(trial.params).training.seed
        others = (seed for seed in itertools.count(space.base.training.seed) if seed != own)
        found[str(trial.number)] = list(itertools.islice(others, space.settings.final_seeds - 1))
    study.set_user_attr(FINALISTS, found)


def finals(study: optuna.Study) -> list[Final]:
    """As far as they are over; nothing before that, or where other trials have become the best since."""
    chosen = study.user_attrs.get(FINALISTS, {})
    best = ranked(study)[: len(chosen)]
    if waiting(study) or {str(one.number) for one in best} != set(chosen):
        return []
    results = study.user_attrs
    return [
        Final(one.number, one.value, {seed: results[key(one.number, seed)] for seed in chosen[str(one.number)]})
        for one in best
        if one.value is not None
    ]


def waiting(study: optuna.Study) -> list[tuple[int, int]]:
    """Trials and seeds that have not trained yet, all trials with one seed before any with the next."""
    chosen = study.user_attrs.get(FINALISTS, {})
    rounds = itertools.zip_longest(*([(int(number), seed) for seed in seeds] for number, seeds in chosen.items()))
    every = [one for some in rounds for one in some if one is not None]
    return [one for one in every if key(*one) not in study.user_attrs]


def key(number: int, seed: int) -> str:
    """The attribute of the study that holds what a trial reached with another seed."""
    return f"{AGAIN}{number} {seed}"


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """The best of the complete trials; after finals that with the best mean, of those that trained with every seed."""
    means = {one.number: fmean(one.values) for one in finals(study) if one.whole}
    if not means:
        return next(iter(ranked(study)), None)
    choose = max if study.direction == StudyDirection.MAXIMIZE else min
    number = choose(means, key=means.__getitem__)
    return study.get_trials(deepcopy=False)[number]


def told_best(study: optuna.Study, metric: str) -> str:
    """The best trial and what it reached, in words; the mean of the other seeds is not that for which it was chosen."""
    best = best_trial(study)
    if best is None or best.value is None:
        return "none is complete yet"
    final = next((one for one in finals(study) if one.number == best.number and one.whole), None)
    if final is None:
        under_way = "; the finals are not over" if waiting(study) else ""
        return f"trial {best.number}, {metric} {best.value:.4g}{under_way}"
    others = [value for value in final.others.values() if value is not None]
    return (
        f"trial {best.number}, {metric} {fmean(final.values):.4g} in the mean of {len(final.values)} seeds, "
        f"{fmean(others):.4g} without that which it was chosen for"
    )


def final_directory(space: Search, number: int, seed: int) -> Path:
    directory = trial_directory(space.directory, number)
    return directory.with_name(f"{directory.name}-seed{seed}")


def final_config(space: Search, trial: FrozenTrial, seed: int, threads: int) -> Config:
    """That of a trial with another seed."""
    config = space.trial_config(trial.number, trial.params, threads)
    training = config.training.model_copy(update={"seed": seed})
    return config.model_copy(update={"run_directory": str(final_directory(space, trial.number, seed)), "training": training})
