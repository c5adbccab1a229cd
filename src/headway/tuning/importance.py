"""How much of the difference between trials each setting explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState, create_trial

from headway.tuning.search_space import Search

LEAST_TRIALS = 8
SHARE = 1 / 3  # of the trials that must have come as far as they are compared


@dataclass(frozen=True)
class Importances:
    shares: dict[str, float]  # the largest first; they add up to 1
    note: str


def importances(search: Search, trials: Sequence[FrozenTrial]) -> Importances | str:
    """fANOVA (Hutter et al. 2014) over the trials, or why there is none.

    Few trials run to their end, and those the best: so all are compared after the last validation that a third of them reached.
    """
    known = [trial for trial in trials if len(trial.params) == len(search.spaces) and trial.intermediate_values]
    needed = max(LEAST_TRIALS, round(SHARE * len(known)))
    if len(known) < needed:
        return f"Importances need {LEAST_TRIALS} trials with a validation; there are {len(known)}."
    if len(search.spaces) < 2:
        return "Importances compare settings, and there is one."
    steps = sorted({step for trial in known for step in trial.intermediate_values}, reverse=True)
    reached = {step: [trial for trial in known if step in trial.intermediate_values] for step in steps}
    step = next(step for step in steps if len(reached[step]) >= needed)
    if len({trial.intermediate_values[step] for trial in reached[step]}) < 2:
        return "All trials are alike, so that there is nothing to explain."
    study = optuna.create_study(direction="maximize" if search.higher_is_better else "minimize")
    study.add_trials(
        [
            create_trial(
                state=TrialState.COMPLETE,
                value=trial.intermediate_values[step],
                params=trial.params,
                distributions=trial.distributions,
            )
            for trial in reached[step]
        ]
    )
    try:
        shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=search.settings.seed))
    except ImportError:
        return "Importances need scikit-learn: pip install 'headway[tune]'."
    note = f"fANOVA over the {len(reached[step])} trials that came to validation {step}"
    return Importances(shares, note)
