"""A real search from its configuration to its page: processes, pruning, failures and the training that follows."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from small_search import headway, small_search

from headway.cli import main
from headway.config import load_config
from headway.training.run_lock import RunLock
from headway.tuning.finals import best_trial, choose_finalists, finals, key, told_best, waiting
from headway.tuning.page import write_page
from headway.tuning.search import search
from headway.tuning.search_space import Search, read_search, trial_directory
from headway.tuning.study import begin_trial, drawn_for_trial, next_trial, open_study
from headway.tuning.trial_process import FAILED, ended_cause
from headway.tuning.workers import Worker

SEED = 2  # with it some trials end each way
SPACES: dict[str, Any] = {
    "tokenizer": {"path": {"choice": [None, "/no/such/tokenizer.json"]}},
    "model": {"heads": {"choice": [2, 3]}, "width": 16},  # 3 does not divide 16
    "training": {"best_by": "loss"},
    "tuning": {"trials": 7, "startup_trials": 7, "seed": SEED, "workers": 2, "reduction_factor": 2},
}


@pytest.fixture(scope="module")
def found(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Search, optuna.Study]:
    path = small_search(sample, tmp_path_factory.mktemp("search"), **SPACES)
    space = read_search(path)
    return path, space, search(space)


Found = tuple[Path, Search, optuna.Study]


def test_every_trial_has_an_end_and_failures_a_cause(found: Found) -> None:
    path, _, study = found
    trials = study.get_trials()
    assert len(trials) == 7
    assert all(trial.state.is_finished() for trial in trials)
    for trial in trials:
        cause = trial.user_attrs.get("cause", "")
        if trial.params["model.heads"] == 3:
            assert cause.endswith("model.heads=3 does not divide model.width=16")
            assert cause.startswith(f"{path}:")
        elif trial.params["tokenizer.path"] is not None:
            assert "/no/such/tokenizer.json" in cause
        else:
            assert not cause
        assert (trial.state == TrialState.FAIL) == bool(cause)
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}


def test_a_trial_is_a_run_and_its_value_the_best_validation(found: Found) -> None:
    _, space, study = found
    best = study.best_trial
    directory = trial_directory(space.directory, best.number)
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text("utf-8").splitlines()]
    losses = [line["validation_loss"] for line in lines if "validation_loss" in line]
    assert best.value == min(losses)
    assert list(best.intermediate_values.values()) == [min(losses[: place + 1]) for place in range(len(losses))]
    assert best.user_attrs["update"] == best.user_attrs["updates"] == 40
    assert best.user_attrs["parameters"] > 1000
    assert best.user_attrs["seconds"] > 0
    assert (directory / "model" / "model.safetensors").exists()


def test_what_is_pruned_keeps_its_record_and_loses_its_weights(found: Found) -> None:
    _, space, study = found
    pruned = study.get_trials(states=(TrialState.PRUNED,))
    for trial in pruned:
        directory = trial_directory(space.directory, trial.number)
        assert (directory / "metrics.jsonl").exists()
        assert not (directory / "model").exists()
        assert not (directory / "checkpoints").exists()
        # One that is quick may have come to its end while an earlier validation was judged.
        assert trial.user_attrs["update"] <= trial.user_attrs["updates"]


def test_the_data_is_prepared_once_for_each_tokenizer(found: Found) -> None:
    _, space, study = found
    trained = [trial for trial in study.get_trials() if trial.intermediate_values]
    assert len(trained) > 1
    caches = [path for path in (space.directory.parent / "cache").iterdir() if path.is_dir()]
    assert len(caches) == 1
    assert not (space.directory / "trials" / "cache").exists()


def test_the_same_command_adds_nothing_and_tells_the_best(found: Found, capsys: pytest.CaptureFixture[str]) -> None:
    path, _, study = found
    assert main(["tune", str(path)]) == 0
    out, err = capsys.readouterr()
    assert f"best: trial {study.best_trial.number}, loss" in err
    assert "heads: 2" in out
    assert len(study.get_trials()) == 7


def test_a_training_takes_the_settings_of_a_trial(found: Found, capsys: pytest.CaptureFixture[str]) -> None:
    path, _, study = found
    overrides = ["training.updates=5", f"run_directory={path.parent / 'full'}"]
    assert main(["train", str(path), "--from-trial", "best", *overrides]) == 0
    written = (path.parent / "full" / "config.yaml").read_text("utf-8")
    rate = study.best_trial.params["training.learning_rate"]
    assert f"learning_rate: {float(f'{rate:.4g}')}\n" in written
    assert "updates: 5\n" in written
    assert main(["train", str(path), "--from-trial", "77"]) == 2
    assert "there are trials 0 to 6" in capsys.readouterr().err


def test_the_page_tells_the_search(found: Found, open_page: Callable[..., Any]) -> None:
    _, space, study = found
    opened = open_page(write_page(space, study))
    assert f"--from-trial {study.best_trial.number}" in opened.locator("body").inner_text()
    assert "learning_rate" in opened.locator("pre").inner_text()
    rows = opened.locator("h2:text-is('Trials') + div tr")
    assert rows.count() == 8
    assert "does not divide" in opened.locator("table").last.inner_text()
    opened.locator("path.strand").last.hover(force=True)
    assert "learning_rate" in opened.locator("#tip").inner_text()
    assert opened.locator("figure.chart").count() >= 3


def test_the_best_trials_meet_again_with_other_seeds(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], open_page: Callable[..., Any]
) -> None:
    tuning = {"trials": 3, "startup_trials": 3, "pruning": "none", "workers": 2, "finalists": 2, "final_seeds": 3}
    path = small_search(sample, tmp_path, tuning=tuning, training={"updates": 20, "best_by": "loss"})
    space = read_search(path)
    study = search(space)
    held = finals(study)
    values = sorted(trial.value for trial in study.get_trials())
    assert sorted(one.own for one in held) == values[:2]
    assert all(list(one.others) == [2, 3] and len(set(one.values)) == 3 for one in held)
    best = best_trial(study)
    assert best is not None
    means = {one.number: fmean(one.values) for one in held}
    assert means[best.number] == min(means.values())
    assert f"{means[best.number]:.4g} in the mean of 3 seeds" in told_best(study, "loss")
    assert drawn_for_trial(study, "best") == best.params
    seeds = [load_config(one).training.seed for one in sorted((space.directory / "trials").glob("*-seed?.yaml"))]
    assert sorted(seeds) == [2, 2, 3, 3]
    before = sorted(path.stat().st_mtime_ns for path in (space.directory / "trials").glob("*-seed?/metrics.jsonl"))
    assert main(["tune", str(path)]) == 0
    assert f"best: trial {best.number}, loss" in capsys.readouterr().err
    assert sorted(path.stat().st_mtime_ns for path in (space.directory / "trials").glob("*-seed?/metrics.jsonl")) == before
    assert not list((space.directory / "trials").glob("*-seed?/model"))
    shown = open_page(space.directory / "tuning.html").locator("h2:text-is('Finals') ~ div table").first.inner_text()
    assert f"trial {best.number}" in shown
    assert "±" in shown


def test_finals_decide_when_they_are_over_and_none_failed(sample: Path, tmp_path: Path) -> None:
    space = read_search(small_search(sample, tmp_path, tuning={"finalists": 2, "final_seeds": 3}))
    study = open_study(space)
    for value in (90.0, 88.0, 50.0):
        study.tell(begin_trial(study, space, next_trial(study, space, "me")), value)
    choose_finalists(space, study)
    assert waiting(study) == [(0, 2), (1, 2), (0, 3), (1, 3)]
    for (number, seed), value in zip(waiting(study), (60.0, 89.0, 61.0, 90.0), strict=True):
        assert best_trial(study) == study.get_trials()[0]  # by its own value, until all is known
        study.set_user_attr(key(number, seed), value)
    assert best_trial(study) == study.get_trials()[1]
    study.set_user_attr(key(1, 3), None)  # that training failed
    assert best_trial(study) == study.get_trials()[0]
    study.set_user_attr(key(1, 3), 90.0)
    study.tell(begin_trial(study, space, next_trial(study, space, "me")), 99.0)
    assert best_trial(study) == study.get_trials()[3]  # who has become the best since was in no finals
    choose_finalists(space, study)
    assert waiting(study) == [(3, 2), (3, 3)]  # trial 0 has met these seeds


def test_one_worker_holds_the_finals_and_none_begins_them_early(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuning = {"trials": 1, "finalists": 1, "final_seeds": 2}
    path = small_search(sample, tmp_path, tuning=tuning, training={"updates": 20})
    space = read_search(path)
    study = search(read_search(path, ["tuning.finalists=0"]))
    with Worker(space.directory, study) as other:
        next_trial(study, space, other.name)
        assert finals(search(space)) == []
        assert "the finals are left to it" in capsys.readouterr().err
    study.tell(1, state=TrialState.FAIL)
    with RunLock(space.directory / "trials" / "finals"):
        assert finals(search(space)) == []
        assert "another worker holds the finals" in capsys.readouterr().err
    assert len(finals(search(space))) == 1


@pytest.mark.slow
def test_finals_that_are_stopped_go_on(sample: Path, tmp_path: Path) -> None:
    tuning = {"trials": 1, "finalists": 1, "final_seeds": 2}
    path = small_search(sample, tmp_path, tuning=tuning, training={"updates": 400, "save_every": 5, "validate_every": 100})
    space = read_search(path)
    final = space.directory / "trials" / "0000-seed2" / "metrics.jsonl"
    with subprocess.Popen(headway("tune", path), stderr=subprocess.PIPE, text=True) as process:
        while not final.exists() or final.read_bytes().count(b"\n") < 4:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 143
    reached = [json.loads(line)["update"] for line in final.read_text("utf-8").splitlines()]
    assert max(reached) < 400
    study = search(space)
    assert len(finals(study)[0].values) == 2
    after = [json.loads(line)["update"] for line in final.read_text("utf-8").splitlines()]
    assert after[: len(reached) - 1] == reached[:-1]  # it went on
    assert max(after) == 400


def test_stopped_by_a_signal_it_goes_on_where_it_was(sample: Path, tmp_path: Path) -> None:
    path = small_search(
        sample, tmp_path, training={"updates": 4000, "validate_every": 1000, "save_every": 5}, tuning={"trials": 1}
    )
    space = read_search(path)
    with subprocess.Popen(headway("tune", path), stderr=subprocess.PIPE, text=True) as process:
        metrics = trial_directory(space.directory, 0) / "metrics.jsonl"
        while not metrics.exists() or metrics.read_bytes().count(b"\n") < 4:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate()
    assert process.returncode == 143
    assert "the same command goes on from here" in told
    assert "under way" in (space.directory / "tuning.html").read_text("utf-8")
    reached = json.loads(metrics.read_text("utf-8").splitlines()[-1])["update"]
    assert 20 <= reached < 4000
    again = subprocess.run(headway("tune", path, "tuning.minutes=0.0001"), capture_output=True, text=True)
    assert "the time is used up" in again.stderr  # nothing begins, and the page says so
    assert "no trial is complete" in again.stderr
    assert again.returncode == 5
    assert "No trial is complete yet" in (space.directory / "tuning.html").read_text("utf-8")


def test_a_search_whose_trials_all_fail_ends(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.tuning.search.HOPELESS", 2)
    nowhere = {"path": {"choice": ["/no/such/a.json", "/no/such/b.json"]}}
    path = small_search(sample, tmp_path, tokenizer=nowhere, tuning={"trials": None, "minutes": 5, "workers": 1})
    study = search(read_search(path))
    assert [trial.state for trial in study.get_trials()] == [TrialState.FAIL] * 2


@pytest.mark.parametrize(
    ("log", "code", "cause"),
    [
        (f"update 5\n{FAILED}model.width: too small\n  → raise it\n", 4, "model.width: too small\n  → raise it"),
        ("update 5\n", -9, "the process was ended by SIGKILL, perhaps by the system for want of memory"),
        ("update 5\n", -11, "the process was ended by SIGSEGV"),
        ("Fatal Python error", 1, "the process ended with code 1: Fatal Python error"),
    ],
)
def test_the_cause_is_what_was_said_last(tmp_path: Path, log: str, code: int, cause: str) -> None:
    (tmp_path / "0001.log").write_text(log, encoding="utf-8")
    assert ended_cause(tmp_path / "0001.log", code) == cause
