"""What a search space says, and what it must not say."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.tuning.space import Space, read_space

KEY = ("training", "learning_rate")


def drawn(space: Space, seed: int) -> Any:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return space.value(space.draw(study.ask()))


@pytest.mark.parametrize(
    ("written", "kind", "ends"),
    [
        ({"log": [1e-4, 5e-3]}, "log", (1e-4, 5e-3)),
        ({"uniform": [0, 0.3]}, "uniform", (0.0, 0.3)),
        ({"int": [1, 4]}, "int", (1, 4)),
        ({"int": [16, 1024], "log": True}, "int", (16, 1024)),
        ({"choice": [2, 4, 6]}, "choice", (2, 4, 6)),
        ({"choice": [[], ["embeddings"]], "first": []}, "choice", ([], ["embeddings"])),
        ({"uniform": [0, 0.3], "step": 0.1, "first": 0.1}, "uniform", (0.0, 0.3)),
    ],
)
def test_a_space_is_read(written: dict[str, Any], kind: str, ends: tuple[Any, ...]) -> None:
    space = read_space(KEY, written)
    assert (space.name, space.kind, space.ends) == ("training.learning_rate", kind, ends)
    assert isinstance(space.ends[0], type(ends[0]))
    assert space.stand_in == (written["first"] if written.get("first") is not None else ends[0])


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"log": [0, 1]}, "no logarithm"),
        ({"uniform": [1, 0]}, "the low end comes first"),
        ({"int": [3, 3]}, "both ends are the same"),
        ({"int": [1.5, 3]}, "whole numbers"),
        ({"uniform": [0, 1, 2]}, "a low and a high end"),
        ({"uniform": ["a", 1]}, "a low and a high end"),
        ({"uniform": [True, 2]}, "a low and a high end"),
        ({"log": [1e-4, float("inf")]}, "a low and a high end"),
        ({"choice": [1]}, "at least two"),
        ({"choice": [1, 2, 1]}, "twice"),
        ({"choice": [[1], [1]]}, "twice"),
        ({"choice": [1, 2], "first": 3}, "first=3"),
        ({"int": [1, 8], "first": 9}, "first=9"),
        ({"int": [1, 8], "step": 3}, "do not end at 8"),
        ({"int": [1, 8], "step": 0}, "above 0"),
        ({"int": [1, 8], "step": 1, "log": True}, "no step"),
        ({"int": [1, 8], "log": "yes"}, "true or false"),
        ({"uniform": [0, 1], "stepp": 0.1}, "did you mean 'step'"),
        ({"log": [1, 2], "uniform": [1, 2]}, "no part of a search space of kind log"),
    ],
)
def test_a_wrong_space_says_why(written: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_space(KEY, written)


@given(st.floats(1e-6, 1), st.floats(1.5, 1e4), st.integers(0, 1000))
def test_a_rate_lies_between_its_ends_and_is_easy_to_read(low: float, factor: float, seed: int) -> None:
    space = read_space(KEY, {"log": [low, low * factor]})
    value = drawn(space, seed)
    assert space.low <= value <= space.high
    assert len(f"{value:.10e}".partition("e")[0].rstrip("0").rstrip(".").replace(".", "")) <= 4 or value in space.ends


@given(st.integers(-50, 50), st.integers(1, 9), st.integers(1, 30), st.integers(0, 1000))
def test_a_whole_number_is_a_number_of_steps_from_its_low_end(low: int, step: int, steps: int, seed: int) -> None:
    value = drawn(read_space(KEY, {"int": [low, low + step * steps], "step": step}), seed)
    assert isinstance(value, int)
    assert (value - low) % step == 0
    assert low <= value <= low + step * steps


@pytest.mark.parametrize("choices", [[1, 2], ["a", None], [True, False], [None, {"rank": 8}], [[], ["embeddings", "output"]]])
def test_a_choice_keeps_its_type(choices: list[Any]) -> None:
    space = read_space(KEY, {"choice": choices})
    found = [drawn(space, seed) for seed in range(20)]
    assert all(any(value is choice or (value == choice and type(value) is type(choice)) for choice in choices) for value in found)
    assert len({str(value) for value in found}) == 2


def test_a_step_leaves_no_noise_behind_the_point() -> None:
    space = read_space(KEY, {"uniform": [0, 0.3], "step": 0.1})
    assert {drawn(space, seed) for seed in range(30)} == {0.0, 0.1, 0.2, 0.3}
