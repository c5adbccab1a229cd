"""From a configuration with search spaces to the configuration of each trial. Every mistake is told before anything runs."""

from __future__ import annotations

import copy
import difflib
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.config import WITHOUT_TARGET, Config, refuse_idle_preset
from headway.config_mistakes import mistakes_at, section_at, validate
from headway.config_reader import Document, Key, dotted, dump_yaml, read_document, short
from headway.config_tuning import KINDS, SECTION, Metric, TuningConfig, search_spaces
from headway.errors import UsageError
from headway.training.run_directory import cache_directory
from headway.tuning.space import Space, Value, read_space

SEARCHED = ("data", "tokenizer", "noise", "media", "model", "training")
# What decides what is measured, or where it is kept, is the same in all trials.
FIXED: tuple[Key, ...] = (("data", "validation"), ("data", "test"), ("data", "cache_directory"))
# Where text is cut up or damaged in another way, the loss of a token is another measure; these tasks have other losses.
CHANGES_LOSS = ("tokenizer", "noise", "data")
WITHOUT_TOKEN_LOSS = ("classification", "pair_classification", "tagging", "sentence_embedding", "media_classification")
OTHER_KINDS = {
    "loguniform": "log", "log_uniform": "log", "float": "uniform", "range": "uniform", "integer": "int", "choices": "choice",
    "categorical": "choice", "values": "choice",
}  # fmt: skip
TRIES = 300  # combinations of ends that are tried, if need be, until one is possible


class _Searched(Config):
    tuning: TuningConfig = TuningConfig()


@dataclass(frozen=True)
class Search:
    """What is searched and how.

    Attributes:
        document: the configuration with a stand-in for each space.
        base: the same, checked.
    """

    document: Document
    spaces: tuple[Space, ...]
    settings: TuningConfig
    base: Config

    @property
    def directory(self) -> Path:
        """Where trials, journal and page go."""
        return Path(self.settings.directory or f"{self.base.run_directory.rstrip('/')}-tuning")

    @property
    def metric(self) -> Metric:
        return self.settings.metric or self.base.training.best_by

    @property
    def higher_is_better(self) -> bool:
        return self.metric == "score"

    @property
    def validations(self) -> int:
        """Of a whole training."""
        return math.ceil(self.base.training.updates / self.base.training.validate_every)

    def settings_of(self, drawn: Mapping[str, Value]) -> dict[str, Any]:
        """The value of each searched setting; drawn values come by the name of their space."""
        return {space.name: space.value(drawn[space.name]) for space in self.spaces}

    def config(self, drawn: Mapping[str, Value]) -> Config:
        """The configuration with drawn values.

        Raises:
            UsageError: they cannot be combined, or none was drawn for a space.
        """
        if missing := [space.name for space in self.spaces if space.name not in drawn]:
            raise UsageError(f"the trial has no {', '.join(missing)}", where=self.document.name, remedy="give it a value")
        return validate(Config, _with(self.document, {space.key: space.value(drawn[space.name]) for space in self.spaces}))

    def trial_config(self, number: int, drawn: Mapping[str, Value], threads: int) -> Config:
        """That of a trial: a run of its own, which shares its cache with the run that is tuned.

        Raises:
            UsageError: the values cannot be combined.
        """
        found = self.config(drawn)
        data = found.data.model_copy(update={"cache_directory": str(cache_directory(found))})
        training = found.training.model_copy(update={"threads": found.training.threads or threads, "tensorboard": False})
        run = str(trial_directory(self.directory, number))
        return found.model_copy(update={"run_directory": run, "data": data, "training": training})

    def as_yaml(self, drawn: Mapping[str, Value]) -> str:
        """Drawn values as they are written into a configuration; a part of a list as a comment, for YAML has no name for it."""
        sections: dict[str, Any] = {}
        comments = ""
        for space in self.spaces:
            value, section = space.value(drawn[space.name]), sections
            if any(isinstance(part, int) for part in space.key):
                comments += f"# {space.name}: {dump_yaml({'value': value}).removeprefix('value: ')}"
                continue
            for part in space.key[:-1]:
                section = section.setdefault(str(part), {})
            section[str(space.key[-1])] = value
        return (dump_yaml(sections) if sections else "") + comments


def trial_directory(directory: Path, number: int) -> Path:
    return directory / "trials" / f"{number:04}"


def read_search(path: str | Path, overrides: Sequence[str] = (), *, only_base: bool = False) -> Search:
    """The search that a configuration describes.

    Args:
        only_base: for those who compare nothing, and need no space.

    Raises:
        UsageError: mistakes in settings, spaces or their ends, all at once, each with its place; or there is no space.
    """
    document = read_document(path, overrides)
    refuse_idle_preset(document)
    written = list(search_spaces(copy.deepcopy(document.values)))
    spaces = [space for key, value in written if (space := _read(document, key, value)) is not None]
    _refuse_unknown_kinds(document)
    whole = _possible(document, spaces)
    if not spaces and not only_base:
        remedy = "write one in place of a value, such as learning_rate: {log: [1e-4, 5e-3]}"
        raise UsageError("holds no search space", where=document.name, remedy=remedy)
    document.values.pop(SECTION, None)
    search = Search(document, tuple(spaces), whole.tuning, validate(Config, document))
    if not only_base and (found := list(_problems(search))):
        raise UsageError("\n".join(found))
    return search


def _read(document: Document, key: Key, written: dict[str, Any]) -> Space | None:
    """Puts a stand-in in the place of a space. What is wrong with it becomes a mistake of the document, and gives None."""
    space, mistakes = None, []
    try:
        if key[0] not in SEARCHED or any(key[: len(fixed)] == fixed for fixed in FIXED):
            raise ValueError("is the same in all trials and cannot be searched")
        space = read_space(key, written)
        for end in space.ends:
            mistakes += mistakes_at(Config, _with(document, {key: end}), key)
    except ValueError as error:
        mistakes = [f"{document.place(key)}: {dotted(key)}: {error} (got {short(written)})"]
    if space is None or mistakes:
        document.mistakes += mistakes
        _remove(document, key)
        return None
    document.values = _with(document, {key: space.stand_in}).values
    return space


def _refuse_unknown_kinds(document: Document) -> None:
    """A mapping where a value belongs was meant for a search space."""
    for key, written in list(_mappings(document.values)):
        section = section_at(Config, key[:-1])
        if len(key) == 1 or section is None or key[-1] not in section.model_fields or section_at(Config, key) is not None:
            continue
        name = str(next(iter(written), ""))
        near = OTHER_KINDS.get(name) or next(iter(difflib.get_close_matches(name, KINDS, 1, 0.5)), None)
        hint = f"did you mean '{near}'?" if near else f"there are {', '.join(KINDS)}, each with a list"
        text = f"{short(written)} is no search space — {hint}"
        document.mistakes.append(f"{document.place(key)}: {dotted(key)}: {text}")
        _remove(document, key)


def _mappings(values: Any, key: Key = ()) -> Iterator[tuple[Key, dict[str, Any]]]:
    if isinstance(values, dict):
        if key:
            yield key, values
        for name, value in values.items():
            yield from _mappings(value, (*key, name))


def _possible(document: Document, spaces: Sequence[Space]) -> _Searched:
    """The whole configuration; where the stand-ins do not go together, with other ends of the spaces.

    Raises UsageError with what is wrong with the stand-ins, if no ends that are tried go together.
    """
    try:
        return validate(_Searched, document)
    except UsageError as error:
        if document.mistakes:
            raise
        chance = random.Random(0)
        for _ in range(TRIES):
            tried = _with(document, {space.key: chance.choice(space.ends) for space in spaces})
            try:
                found = validate(_Searched, tried)
            except UsageError:
                continue
            document.values = tried.values
            return found
        raise error


def _problems(search: Search) -> Iterator[str]:
    """Settings of the search that do not go with the rest."""
    settings, training, place = search.settings, search.base.training, search.document.place
    if search.metric == "score" and (search.base.task in WITHOUT_TARGET or not training.validate_score):
        why = f"task={search.base.task} has none" if search.base.task in WITHOUT_TARGET else "training.validate_score=false"
        yield f"{place((SECTION, 'metric'))}: tuning.metric: there is no score to compare: {why} — set metric: loss"
    if search.metric == "bits_per_byte" and search.base.task != "language_model":
        yield f"{place((SECTION, 'metric'))}: tuning.metric=bits_per_byte is for task=language_model — leave it out"
    if settings.metric in ("score", "loss") and settings.metric != training.best_by:
        yield (
            f"{place((SECTION, 'metric'))}: tuning.metric={settings.metric}, but the model that training keeps is chosen by "
            f"training.best_by={training.best_by} — set both alike"
        )
    if search.metric == "loss" and search.base.task not in WITHOUT_TOKEN_LOSS:
        for space in search.spaces:
            if space.key[0] in CHANGES_LOSS and space.key[:2] != ("data", "train"):
                other = "bits_per_byte" if search.base.task == "language_model" else "score"
                yield (
                    f"{place(space.key)}: {space.name}: changes what a token is, so that losses cannot be compared — give it "
                    f"one value" + ("" if search.base.task in WITHOUT_TARGET[1:] else f", or compare by tuning.metric={other}")
                )
    if settings.pruning != "none" and search.validations <= settings.first_rung:
        yield (
            f"{place(('training', 'validate_every'))}: training.validate_every={training.validate_every} gives "
            f"{search.validations} validations in {training.updates} updates, so that there is nothing to prune by — set it to "
            f"{max(1, training.updates // 9)}, or tuning.pruning=none"
        )


def _with(document: Document, values: Mapping[Key, Any]) -> Document:
    """The same document with other values of some keys."""
    changed = Document(document.name, copy.deepcopy(document.values), document.places, document.mistakes)
    for key, value in values.items():
        inside: Any = changed.values
        for part in key[:-1]:
            inside = inside[part]
        inside[key[-1]] = value
    return changed


def _remove(document: Document, key: Key) -> None:
    inside: Any = document.values
    for part in key[:-1]:
        inside = inside[part]
    inside.pop(key[-1])
