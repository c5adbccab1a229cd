"""What a search is worth: the best settings beside the defaults on unseen examples, and the training that pruning saves.

    python benchmarks/tuning.py examples/sample_tuning.yaml
    python benchmarks/tuning.py examples/sst2_tuning.yaml --seeds 1 2 3 4 5
    python benchmarks/tuning.py examples/sample_tuning.yaml tuning.trials=8 tuning.minutes=3 training.updates=90 --seeds 1 2

Searches by the budget of the example, trains the defaults (every searched setting left out) and the best settings with the same
seeds, scores both on the test set, and searches the same trials again without pruning. A search that is there is not made anew.
The kills are proved by `pytest -m slow tests/tuning/test_search_kills.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.config_reader import dump_yaml, read_document
from headway.config_tuning import SECTION, search_spaces
from headway.tuning.search_space import Search, read_search
from headway.tuning.study import load_study
from headway.tuning.workers import minutes_at_work
from measure import end_on_sigterm, table


def headway(*arguments: object) -> None:
    print("  headway", *arguments, file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "headway", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


@dataclass(frozen=True)
class Spent:
    """What a search took."""

    trials: int
    updates: int  # made
    whole: int  # that its trials would have made without pruning
    seconds: float  # of learning
    minutes: float
    best: float

    def cells(self) -> list[str]:
        counted = [f"{number:,}" for number in (self.trials, self.updates, self.whole)]
        return [*counted, f"{self.seconds:,.0f}", f"{self.minutes:.1f}", f"{self.best:.2f}"]


def spent(search: Search) -> Spent:
    study = load_study(search)
    known = [trial.user_attrs for trial in study.get_trials() if "updates" in trial.user_attrs]
    updates, whole, seconds = (sum(one[name] for one in known) for name in ("update", "updates", "seconds"))
    return Spent(len(study.trials), updates, whole, seconds, minutes_at_work(study), study.best_value)


def tune(path: Path, overrides: list[str], workers: int) -> Search:
    headway("tune", path, *overrides, "--workers", workers)
    return read_search(path, overrides)


def without_spaces(path: Path, overrides: list[str], place: Path) -> Path:
    """The configuration in which every searched setting is left out, so that it has its default."""
    document = read_document(path, [one for one in overrides if not one.startswith(f"{SECTION}.")])
    document.values.pop(SECTION, None)
    for key, _ in list(search_spaces(document.values)):
        inside: Any = document.values
        for part in key[:-1]:
            inside = inside[part]
        del inside[key[-1]]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(dump_yaml(document.values), encoding="utf-8")
    return place


def test_score(run: Path) -> float:
    """The first score of the evaluation of a run on its test set."""
    headway("evaluate", run)
    scores = json.loads((run / "evaluation" / "test.json").read_text("utf-8"))["scores"]
    return next(iter(scores.values()))["score"]


def compare(path: Path, overrides: list[str], search: Search, seeds: list[int]) -> dict[str, list[float]]:
    """Test scores of the defaults and of the best settings, one for each seed."""
    place = search.directory / "compared"
    ordinary = without_spaces(path, overrides, search.directory.with_name(f"{search.directory.name}-defaults.yaml"))
    found: dict[str, list[float]] = {"defaults": [], "best settings": []}
    for seed in seeds:
        for name, command in {
            "defaults": [ordinary],
            "best settings": [path, "--from-trial", "best", *overrides],
        }.items():
            run = place / f"{name.replace(' ', '-')}-{seed}"
            headway("train", *command, f"run_directory={run}", f"training.seed={seed}")
            found[name].append(test_score(run))
    return found


def shown(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{spread} ({', '.join(f'{value:.2f}' for value in values)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-unpruned", action="store_true", help="leave out the same search without pruning")
    options = parser.parse_intermixed_args()
    end_on_sigterm()
    pruned = tune(options.config, options.overrides, options.workers)
    scores = compare(options.config, options.overrides, pruned, options.seeds)
    print(table(["", "test score"], [[name, shown(values)] for name, values in scores.items()]))
    better, worse = scores["best settings"], scores["defaults"]
    beats = min(better) > max(worse)
    print(f"every seed of the best settings beats every seed of the defaults: {'yes' if beats else 'no'}\n")
    rows = {"pruned": spent(pruned)}
    if not options.no_unpruned:
        again = [
            *[one for one in options.overrides if not one.startswith(("tuning.trials", "tuning.minutes"))],
            "tuning.pruning=none",
            f"tuning.trials={rows['pruned'].trials}",
            "tuning.minutes=null",
            f"tuning.directory={pruned.directory}-unpruned",
        ]
        rows["without pruning"] = spent(tune(options.config, again, options.workers))
    head = ["search", "trials", "updates", "of", "seconds of learning", "minutes", "best validation"]
    print(table(head, [[name, *one.cells()] for name, one in rows.items()]))
    first = rows["pruned"]
    print(f"pruning saves {1 - first.updates / first.whole:.0%} of the updates of its own trials")
    if (other := rows.get("without pruning")) is not None:
        print(f"and {1 - first.seconds / other.seconds:.0%} of the time of learning of the other search")


if __name__ == "__main__":
    main()
