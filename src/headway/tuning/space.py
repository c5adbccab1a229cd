"""A search space: which settings are searched, between which ends, and what a value found there stands for.

    {log: [1e-4, 5e-3]}   {uniform: [0, 0.3], step: 0.05}   {int: [1, 4]}   {int: [16, 1024], log: true}   {choice: [2, 4, 6]}

Each may name the value that the first trial has: `first: 1e-3`.
"""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headway.config_reader import Key, dotted, short
from headway.config_tuning import KINDS

if TYPE_CHECKING:
    from optuna.trial import Trial

BESIDE = {"log": ("first",), "uniform": ("step", "first"), "int": ("step", "log", "first"), "choice": ("first",)}
DIGITS = 4  # of a number that is drawn: more of them change nothing and are hard to read

Value = float | int | str | bool | None  # as Optuna keeps it


@dataclass(frozen=True)
class Space:
    """The values that one setting may have: numbers from `low` to `high`, or `choices`."""

    key: Key
    kind: str
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()
    first: Any = None  # of the first trial

    @property
    def name(self) -> str:
        return dotted(self.key)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that the schema must allow: all choices, or both ends of a range."""
        return self.choices or (self.low, self.high)

    @property
    def stand_in(self) -> Any:
        """A value for whoever needs one before any is drawn."""
        return self.ends[0] if self.first is None else self.first

    def draw(self, trial: Trial) -> Value:
        """A value by the sampler of Optuna's trial. Lists and sections are drawn as their JSON."""
        if self.kind == "choice":
            return trial.suggest_categorical(self.name, [_plain(choice) for choice in self.choices])
        if self.kind == "int":
            return trial.suggest_int(self.name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    def value(self, drawn: Value) -> Any:
        """The setting that a drawn value stands for; one that was drawn from another space stands for itself."""
        if self.kind == "choice":
            return next((choice for choice in self.choices if _plain(choice) == drawn), drawn)
        if self.kind == "int" or drawn is None:
            return drawn
        return min(max(float(f"{float(drawn):.{10 if self.step else DIGITS}g}"), self.low), self.high)

    def first_drawn(self) -> Value:
        return _plain(self.first) if self.kind == "choice" else self.first

    def as_json(self) -> dict[str, Any]:
        """For whoever asks whether a space is still the same."""
        ends = list(self.choices) if self.kind == "choice" else [self.low, self.high]
        return {self.kind: ends, "step": self.step, "log": self.log}


def _plain(choice: Any) -> Value:
    return json.dumps(choice) if isinstance(choice, list | dict) else choice


def read_space(key: Key, written: dict[str, Any]) -> Space:
    """The space that a mapping of the configuration describes. Raises ValueError, which says what is wrong with it."""
    kind = "int" if "int" in written else next(kind for kind in KINDS if isinstance(written.get(kind), list))
    if unknown := [name for name in written if name != kind and name not in BESIDE[kind]]:
        near = difflib.get_close_matches(str(unknown[0]), BESIDE[kind], 1)
        hint = f"did you mean '{near[0]}'?" if near else f"beside {kind} there may be {' and '.join(BESIDE[kind])}"
        raise ValueError(f"{short(unknown[0])} is no part of a search space of kind {kind} — {hint}")
    values, first = written[kind], written.get("first")
    if kind == "choice":
        return _choice(key, values, first)
    if not isinstance(values, list) or len(values) != 2 or not all(map(_is_number, values)):
        raise ValueError(f"{kind} must have a low and a high end, such as {{{kind}: [1, 4]}}")
    if kind == "int" and not all(isinstance(value, int) for value in values):
        raise ValueError("the ends of int must be whole numbers; uniform takes others")
    low, high = values if kind == "int" else map(float, values)
    if not low < high:
        why = "both ends are the same: write the value alone" if low == high else "the low end comes first"
        raise ValueError(f"the range from {low:g} to {high:g} is empty — {why}")
    log, step = kind == "log" or written.get("log", False), written.get("step")
    if not isinstance(log, bool):
        raise ValueError("log must be true or false beside int")
    if log and low <= 0:
        raise ValueError(f"the low end {low:g} has no logarithm — begin above 0")
    _check_step(kind, low, high, step, log)
    space = Space(key, kind, low, high, step, log, (), first)
    if first is not None and not (_is_number(first) and low <= first <= high and (kind != "int" or isinstance(first, int))):
        raise ValueError(f"first={short(first)} is not in it")
    return space


def _choice(key: Key, values: list[Any], first: Any) -> Space:
    if len(values) < 2:
        raise ValueError("choice must have at least two values — write a single one alone")
    plain = [_plain(value) for value in values]
    if any(one == other for place, one in enumerate(plain) for other in plain[:place]):
        raise ValueError("a choice comes twice")
    if first is not None and _plain(first) not in plain:
        raise ValueError(f"first={short(first)} is not among the choices")
    return Space(key, "choice", choices=tuple(values), first=first)


def _check_step(kind: str, low: float, high: float, step: Any, log: bool) -> None:
    if step is None:
        return
    if log:
        raise ValueError("a logarithmic range has no step")
    if not _is_number(step) or step <= 0 or (kind == "int" and not isinstance(step, int)):
        raise ValueError(f"step={short(step)} must be a {'whole ' if kind == 'int' else ''}number above 0")
    steps = (high - low) / step
    if steps < 1 or abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
        raise ValueError(f"steps of {step:g} from {low:g} do not end at {high:g}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
