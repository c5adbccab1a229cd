"""The memory of a search: draws that do not depend on who lives, a journal that heals, trials that find a new worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from small_search import small_search

from headway.errors import ResourceError, UsageError
from headway.tuning.search_space import Search, read_search
from headway.tuning.study import begin_trial, drawn_for_trial, load_study, next_trial, open_study
from headway.tuning.workers import Worker, _covered, minutes_at_work

SPACES: dict[str, Any] = {"model": {"dropout": {"uniform": [0, 0.5]}, "encoder_layers": {"choice": [1, 2, 4]}}}


def searched(sample: Path, directory: Path, *overrides: str) -> Search:
    return read_search(small_search(sample, directory, **SPACES), overrides)


def pretend(search: Search, trials: int, *, again_after: int = 1000) -> list[dict[str, Any]]:
    """Trials whose value is a formula; every so many of them the study is opened anew, as after a kill."""
    study = open_study(search)
    for number in range(trials):
        if number % again_after == 0:
            study = open_study(search)
        trial = begin_trial(study, search, next_trial(study, search, "me"))
        study.tell(trial, trial.params["model.dropout"] - abs(trial.params["training.learning_rate"] - 0.01))
    return [trial.params for trial in study.get_trials()]


def test_what_is_drawn_does_not_depend_on_kills(sample: Path, tmp_path: Path) -> None:
    search = searched(sample, tmp_path, "tuning.startup_trials=3")
    once = pretend(search, 8)
    open_study(search, fresh=True)
    assert pretend(search, 8, again_after=1) == once
    assert once[0]["training.learning_rate"] == 0.01  # `first`
    assert len({params["model.dropout"] for params in once}) == 8


def test_the_seed_decides_what_is_drawn(sample: Path, tmp_path: Path) -> None:
    first = pretend(searched(sample, tmp_path), 2)
    other = searched(sample, tmp_path, "tuning.seed=2")
    open_study(other, fresh=True)
    assert pretend(other, 2) != first


def test_a_trial_that_was_half_drawn_keeps_what_it_had(sample: Path, tmp_path: Path) -> None:
    search = searched(sample, tmp_path)
    study = open_study(search)
    frozen = next_trial(study, search, "me")
    search.spaces[0].draw(optuna.trial.Trial(study, frozen._trial_id))
    before = open_study(search).get_trials()[0].params
    assert len(before) == 1
    after = begin_trial(open_study(search), search, frozen).params
    assert len(after) == 3
    assert before.items() <= after.items()


def test_a_torn_last_line_of_the_journal_is_cut(sample: Path, tmp_path: Path) -> None:
    search = searched(sample, tmp_path)
    pretend(search, 3)
    with (search.directory / "journal.jsonl").open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"x"')
    assert len(pretend(search, 1)) == 4


def test_a_damaged_journal_is_said_to_be(sample: Path, tmp_path: Path) -> None:
    search = searched(sample, tmp_path)
    pretend(search, 1)
    journal = search.directory / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[40:])
    with pytest.raises(ResourceError, match=r"journal.jsonl: is damaged"):
        open_study(search)


def test_trials_of_a_dead_worker_are_taken_over_and_those_of_a_living_one_are_not(sample: Path, tmp_path: Path) -> None:
    search = searched(sample, tmp_path)
    study = open_study(search)
    with Worker(search.directory, study) as dead:
        begin_trial(study, search, next_trial(study, search, dead.name))
    with Worker(search.directory, study) as living:
        begin_trial(study, search, next_trial(study, search, living.name))
        with Worker(search.directory, study) as heir:
            assert heir.take_over() == [0]
            assert [trial.number for trial in heir.own()] == [0]
            assert [trial.number for trial in living.own()] == [1]
            assert heir.take_over() == []


def test_a_new_trial_belongs_to_its_worker_from_its_first_record_on(sample: Path, tmp_path: Path) -> None:
    search = searched(sample, tmp_path)
    ours, theirs = open_study(search), open_study(search)
    before = (search.directory / "journal.jsonl").read_bytes().count(b"\n")
    frozen = next_trial(ours, search, "me")
    assert (search.directory / "journal.jsonl").read_bytes().count(b"\n") == before + 1
    assert (frozen.number, frozen.user_attrs["worker"], frozen.state) == (0, "me", TrialState.RUNNING)
    assert next_trial(theirs, search, "other").number == 1
    assert next_trial(ours, search, "me").number == 2
    assert theirs.get_trials()[0].user_attrs["worker"] == "me"


def test_nothing_is_forgotten_while_somebody_searches(sample: Path, tmp_path: Path) -> None:
    search = searched(sample, tmp_path)
    study = open_study(search)
    with Worker(search.directory, study), pytest.raises(ResourceError, match="is being written by process"):
        open_study(search, fresh=True)
    open_study(search, fresh=True)


def test_time_side_by_side_is_counted_once(sample: Path, tmp_path: Path) -> None:
    assert _covered([]) == 0
    assert _covered([(10, 20), (15, 30), (40, 50), (41, 42)]) == 30
    study = open_study(searched(sample, tmp_path))
    study.set_user_attr("session a", [0.0, 60.0])
    study.set_user_attr("session b", [30.0, 90.0])
    assert minutes_at_work(study) == 1.5


def test_another_configuration_is_refused_and_the_difference_shown(sample: Path, tmp_path: Path) -> None:
    pretend(searched(sample, tmp_path), 1)
    for override, told in {
        "training.batch_tokens=99": "training.batch_tokens: 256 → 99",
        "model.dropout={uniform: [0, 0.6]}": "model.dropout: {'uniform': [0.0, 0.5]",
        "model.dropout=0.1": "→ one value",
        "training.best_by=loss": "tuning.metric: score → loss",
    }.items():
        with pytest.raises(UsageError, match="holds a search with another configuration") as caught:
            open_study(searched(sample, tmp_path, override))
        assert told in str(caught.value)
    more = open_study(searched(sample, tmp_path, "tuning.trials=9", "tuning.workers=2"))  # a larger budget goes on
    assert len(more.get_trials()) == 1


def test_a_directory_of_something_else_is_left_alone(sample: Path, tmp_path: Path) -> None:
    search = searched(sample, tmp_path)
    search.directory.mkdir()
    (search.directory / "thesis.tex").touch()
    with pytest.raises(UsageError, match="holds no search"):
        open_study(search)


def test_a_database_keeps_a_search_too(sample: Path, tmp_path: Path) -> None:
    search = searched(sample, tmp_path, f"tuning.storage=sqlite:///{tmp_path}/search.db")
    assert pretend(search, 3) == pretend(search, 0)
    assert drawn_for_trial(load_study(search), "best")
    assert not (search.directory / "journal.jsonl").exists()


@pytest.mark.parametrize("url", ["nothing", "postgresql://me:secret@host/x?bad", "sqlite:////no/such/place/x.db"])
def test_a_database_that_cannot_be_had_is_told_without_its_password(sample: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(ResourceError, match=r"tuning.storage: cannot be opened") as caught:
        open_study(searched(sample, tmp_path, f"tuning.storage={url}"))
    assert "secret" not in str(caught.value)


def test_a_trial_is_found_by_number_or_as_the_best(sample: Path, tmp_path: Path) -> None:
    search = searched(sample, tmp_path)
    with pytest.raises(UsageError, match="there is no such search yet"):
        load_study(search)
    params = pretend(search, 3)
    study = load_study(search)
    assert drawn_for_trial(study, "1") == params[1]
    assert drawn_for_trial(study, "best") == study.best_trial.params
    for which in ("3", "-1", "last"):
        with pytest.raises(UsageError, match="there are trials 0 to 2; or best"):
            drawn_for_trial(study, which)
