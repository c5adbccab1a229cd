"""A search killed with SIGKILL and started again until it is done: no finished trial is lost, and nothing is tried twice.

HEADWAY_TUNING_KILLS says how many kills the long proof makes (default 20); `make prove` runs it.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from small_search import headway, small_search

from headway.errors import UsageError
from headway.tuning.search_space import read_search
from headway.tuning.study import load_study

KILLS = int(os.environ.get("HEADWAY_TUNING_KILLS", "20"))
Record = tuple[str, float | None, dict[str, Any]]


def ended(path: Path) -> dict[int, Record]:
    """What the storage has of each trial that has ended."""
    search = read_search(path)
    if not (search.directory / "journal.jsonl").exists():
        return {}
    try:
        trials = load_study(search).get_trials(deepcopy=False)
    except UsageError:  # the study is not yet in it
        return {}
    return {trial.number: (trial.state.name, trial.value, trial.params) for trial in trials if trial.state.is_finished()}


def kill_and_start_again(path: Path, kills: int, chance: random.Random, most_seconds: float) -> None:
    """Kills the search so often, each time making sure that what had ended before is still there, then lets it finish."""
    known: dict[int, Record] = {}
    for _ in range(kills):
        process = subprocess.Popen(headway("tune", path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        began = ended(path)
        while process.poll() is None and ended(path) == began and chance.random() > 0.03:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, most_seconds))
        assert process.poll() is None, "the search ended before it was killed: give it more trials"
        process.kill()
        process.wait()
        found = ended(path)
        assert {number: found.get(number) for number in known} == known
        known = found
    finished = subprocess.run(headway("tune", path), capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    found = ended(path)
    assert {number: found.get(number) for number in known} == known


def test_a_killed_search_loses_no_finished_trial(sample: Path, tmp_path: Path) -> None:
    path = small_search(sample, tmp_path, training={"updates": 20, "validate_every": 5})
    kill_and_start_again(path, 2, random.Random(1), 1.0)
    found = ended(path)
    assert sorted(found) == [0, 1, 2]
    assert all(state in ("COMPLETE", "PRUNED") for state, _, _ in found.values())
    assert found[0][2] == {"training.learning_rate": 0.01}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_search_killed_many_times_finds_what_the_straight_one_finds(sample: Path, tmp_path: Path) -> None:
    settings = {"trials": max(4, KILLS // 2), "startup_trials": 3, "pruning": "none"}
    (tmp_path / "straight").mkdir()
    (tmp_path / "killed").mkdir()
    straight = small_search(sample, tmp_path / "straight", tuning=settings)
    subprocess.run(headway("tune", straight), check=True, capture_output=True)
    killed = small_search(sample, tmp_path / "killed", tuning=settings)
    kill_and_start_again(killed, KILLS, random.Random(20261126), 3.0)
    assert ended(killed) == ended(straight)
    assert {state for state, _, _ in ended(killed).values()} == {TrialState.COMPLETE.name}
