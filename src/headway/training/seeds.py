"""One configuration trained with several seeds: RUN/seed1, RUN/seed2, …, each a run like any other."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import mean, stdev

from headway.config import SPLITS, Config
from headway.errors import HeadwayError, UsageError
from headway.training.loop import train
from headway.training.manifest import read_json
from headway.training.run_directory import cache_directory, is_run, seed_runs

MOST_SEEDS = 100


def train_seeds(config: Config, count: int, *, fresh: bool = False) -> list[Path]:
    """Trains, or goes on with, a run for each of `count` seeds from `training.seed` on; returns their directories.

    Examples are turned into rows once, since all share one cache. A run at its end is left as it is.

    Args:
        fresh: forget what each of these run directories holds and begin anew.

    Raises:
        UsageError: the directory holds a run of its own, or the seeds are too few or many, or several processes work together.
        HeadwayError, Interrupted: as `train`, after which the same call goes on where it was.
    """
    directory = Path(config.run_directory)
    if not 2 <= count <= MOST_SEEDS:
        raise UsageError(f"{count} seeds", where="--seeds", remedy=f"ask for 2 to {MOST_SEEDS}; one seed needs no option")
    if is_run(directory):
        remedy = "choose another run_directory: RUN/seed1 and so on are made in it"
        raise UsageError("holds a run of its own", where=str(directory), remedy=remedy)
    if os.environ.get("WORLD_SIZE", "1") != "1":
        remedy = f"start each by itself: training.seed=N run_directory={directory}/seedN"
        raise UsageError("several processes train one seed at a time", where="--seeds", remedy=remedy)
    cache, first = str(cache_directory(config)), config.training.seed
    data = config.data.model_copy(update={"cache_directory": cache})
    runs = []
    for seed in range(first, first + count):
        training = config.training.model_copy(update={"seed": seed})
        changes = {"run_directory": str(directory / f"seed{seed}"), "data": data, "training": training}
        runs.append(train(config.model_copy(update=changes), fresh=fresh))
        if fresh:
            for split in SPLITS:  # what sums up the seeds that are forgotten now
                (directory / "evaluation" / f"{split}.json").unlink(missing_ok=True)
    return runs


def validation_summary(config: Config) -> str:
    """What the seeds have reached at their best validation, in words."""
    runs = seed_runs(Path(config.run_directory))
    what = config.training.best_by
    best = {seed: -score if what == "loss" else score for seed, run in runs.items() if (score := _best(run)) is not None}
    shown = ", ".join(f"seed {seed}: {score:.3f}" for seed, score in best.items())
    if len(best) < 2:
        return f"best validation {what}: {shown or 'none yet'}"
    return f"best validation {what}: {mean(best.values()):.3f} ± {stdev(best.values()):.3f} ({shown})"


def _best(run: Path) -> float | None:
    """The score of the best model so far, as the newest checkpoint tells: the larger the better, so that a loss is negated."""
    states = sorted((run / "checkpoints").glob("step-*/state.json"))
    try:
        score = read_json(states[-1]).get("best_score") if states else None
    except HeadwayError:
        return None
    return float(score[0]) if score else None
