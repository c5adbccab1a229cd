"""The page of a search, made from trials that nobody trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState
from small_search import small_search

from headway.tuning.importance import Importances, importances
from headway.tuning.page import pareto_front, search_page
from headway.tuning.search_space import Search, read_search
from headway.tuning.study import begin_trial, next_trial, open_study
from made_pages import HOSTILE, Page

SPACES: dict[str, Any] = {
    "model": {"dropout": {"uniform": [0, 0.5]}, "encoder_layers": {"int": [1, 3]}},
    "tokenizer": {"path": {"choice": [None, HOSTILE[1]]}},
}


def made(sample: Path, directory: Path, trials: int) -> tuple[Search, Any]:
    """Trials whose score the dropout decides; every fifth fails, every third is pruned, the last one still trains."""
    search = read_search(small_search(sample, directory, **SPACES), ["tuning.sampler=random"])
    study = open_study(search)
    for number in range(trials):
        trial = begin_trial(study, search, next_trial(study, search, "me"))
        score = 100 - 100 * trial.params["model.dropout"] + 0.01 * trial.params["model.encoder_layers"]
        if number % 5 == 4:
            trial.set_user_attr("cause", HOSTILE[0])
            study.tell(trial, state=TrialState.FAIL)
            continue
        trial.report(score - 10, 1)
        for name, value in {"update": 10, "updates": 40, "seconds": 1.5 + number, "parameters": 1000 * (number + 1)}.items():
            trial.set_user_attr(name, value)
        if number == trials - 1:
            continue
        if number % 3 == 2:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            trial.set_user_attr("update", 40)
            trial.report(score, 2)
            study.tell(trial, score)
    return search, study


def test_the_page_runs_nothing_and_tells_all(sample: Path, tmp_path: Path) -> None:
    search, study = made(sample, tmp_path, 16)
    page = Page(search_page(search, study))
    assert page.tags.count("script") == 1
    assert page.tags.count("img") == 0
    assert not {name for name, _ in page.attributes} & {"src", "href", "style", "onload", "onerror", "action"}
    assert HOSTILE[0] in page.text
    assert HOSTILE[1] in page.text
    for told in ("History", "Settings and outcome", "Importance of each setting", "Score and parameters", "16 trials"):
        assert told in page.text
    done = [(trial.user_attrs["update"], trial.user_attrs["updates"]) for trial in study.trials if "update" in trial.user_attrs]
    saved = 1 - sum(update for update, _ in done) / sum(updates for _, updates in done)
    assert f"{saved:.0%} saved" in page.text


@pytest.mark.parametrize("trials", [0, 1, 2, 5])
def test_a_page_of_few_trials_has_no_empty_charts(sample: Path, tmp_path: Path, trials: int) -> None:
    search, study = made(sample, tmp_path, trials)
    text = search_page(search, study)
    assert text.count("<figure") == text.count("<svg")
    assert ("No trial is complete yet" in text) == (trials < 2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_line_of_the_parallel_axes_tells_its_trial(
    sample: Path, tmp_path: Path, open_page: Callable[..., Any], scheme: str
) -> None:
    search, study = made(sample, tmp_path, 16)
    path = tmp_path / "page.html"
    path.write_text(search_page(search, study), "utf-8")
    opened = open_page(path, color_scheme=scheme)
    best = opened.locator("path.strand.line1")
    assert best.count() == 1
    assert best.get_attribute("data-tip").startswith(f"trial {study.best_trial.number} · ")
    best.dispatch_event("pointerover")
    assert opened.locator("#tip").inner_text().startswith(f"trial {study.best_trial.number} · ")
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_setting_that_decides_matters_most(sample: Path, tmp_path: Path) -> None:
    search, study = made(sample, tmp_path, 30)
    found = importances(search, study.get_trials())
    assert isinstance(found, Importances)
    assert next(iter(found.shares)) == "model.dropout"
    assert found.shares["model.dropout"] > 0.8
    assert sum(found.shares.values()) == pytest.approx(1)
    assert "came to validation 2" in found.note


def test_importances_of_few_trials_are_not_told(sample: Path, tmp_path: Path) -> None:
    search, study = made(sample, tmp_path, 5)
    assert importances(search, study.get_trials()) == "Importances need 8 trials with a validation; there are 4."


POINTS = st.dictionaries(st.integers(0, 99), st.tuples(st.integers(0, 9).map(float), st.integers(0, 9).map(float)), max_size=20)


@given(POINTS, st.booleans())
def test_a_point_is_on_the_front_unless_another_beats_it(points: dict[int, tuple[float, float]], higher: bool) -> None:
    front = pareto_front(points, higher_is_better=higher)
    sign = 1 if higher else -1

    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return one != other and one[0] <= other[0] and sign * one[1] >= sign * other[1]

    kept = {points[key] for key in front}
    assert kept == {point for point in points.values() if not any(beats(other, point) for other in points.values())}
    assert len(kept) == len(front)  # of equal ones, one
