"""What every evaluation begins with: a run, a data set and what may be changed for it, looked at before anything is computed."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from headway.config import WITHOUT_TARGET, Config, CorpusConfig, Direction, Split, load_config
from headway.data.preparation import fingerprint_of
from headway.data.readers import corpus_name, corpus_paths
from headway.data.tagged import in_scheme
from headway.errors import DataError, UsageError
from headway.evaluation import records
from headway.evaluation.intervals import score_interval
from headway.evaluation.metrics import Measurement
from headway.evaluation.records import ExampleRecord, ScoreRecord
from headway.machine import versions
from headway.tasks import TASKS

if TYPE_CHECKING:
    from headway.model_dir import LoadedModel

DATA_SETS = ("data.train", "data.validation", "data.test")
JUDGED_ON_ITSELF = "the confidence was calibrated on these very examples: how well it fits here says nothing about new ones"
MAY_CHANGE = ("decoding.", "evaluation.", *(f"{name}." for name in DATA_SETS))  # what a trained model leaves open


E = TypeVar("E", bound=ExampleRecord)


@dataclass(frozen=True)
class Request:
    """An evaluation that can be made: the model, the settings, and the examples of the set."""

    run: Path
    split: Split
    loaded: LoadedModel
    config: Config
    examples: list[Any]
    parts: list[CorpusConfig]  # where each example stands
    data: str  # fingerprint of the files
    clock: Clock

    def by_direction(self) -> list[Request]:
        """The same for the examples of each direction; their settings are those of the direction."""
        places: dict[Direction, list[int]] = {}
        for place, part in enumerate(self.parts):
            places.setdefault(part.direction, []).append(place)
        return [
            replace(
                self,
                config=self.config.in_direction(direction),
                examples=[self.examples[place] for place in some],
                parts=[self.parts[place] for place in some],
                data=self.data if len(places) == 1 else _fingerprint(self.config, [self.parts[place] for place in some]),
                clock=Clock(dict(self.clock.seconds)),
            )
            for direction, some in places.items()
        ]

    def placed(self, records: Sequence[E]) -> list[E]:
        """What was found of each example, with the file that it stands in where there are several."""
        files = [str(corpus_paths(part)[0]) for part in self.parts]
        if not records or len(set(files)) == 1:
            return list(records)
        return [record.model_copy(update={"file": file}) for record, file in zip(records, files, strict=True)]

    def made_of(self) -> dict[str, Any]:
        """What it takes to do it again, for the record, and what speaks against believing it."""
        settings, noise = (json.dumps(part.model_dump(mode="json"), sort_keys=True) for part in (self.config, self.config.noise))
        return {
            "seconds": self.clock.seconds,
            "versions": versions(),
            "fingerprints": {
                "data": self.data,
                "model": self.loaded.fingerprint,
                "config": hashlib.sha256(settings.encode()).hexdigest(),
                "tokenizer": self.loaded.tokenizers.target.digest,
                "noise": hashlib.sha256(noise.encode()).hexdigest() if self.config.task in WITHOUT_TARGET else "",
            },
            "warnings": [
                *_same_files(self.config, self.split),
                *([JUDGED_ON_ITSELF] if self.loaded.calibration and self.loaded.calibration.data == self.data else []),
                *_made_data(self.parts),
            ],
        }


def open_request(run: Path, overrides: Sequence[str], split: Split) -> Request:
    """Loads and checks everything that the evaluation of a run on one of its data sets needs.

    Raises:
        UsageError: an override that a trained model does not leave open, or a split that is not configured.
        DataError, ModelError, ResourceError: the data, the model or the disk.
    """
    check_request(split, overrides)
    clock = Clock()
    with clock.measure("load"):
        loaded = open_model(run)
        config = load_config(loaded.directory / "config.yaml", overrides, paths_as_written=True) if overrides else loaded.config
        _refuse_other_languages(config, loaded.config)
        parts = _parts_of(config, split, loaded.directory)
        data = _fingerprint(config, parts)
        read, reading = TASKS[config.task].preparation.read, in_scheme(config.data, loaded.tokenizers.labels)
        found = [(part, example) for part in parts for example in read(part, reading)]
        if not found:
            raise DataError(f"the {split} set holds no examples", where=corpus_name(*parts))
        records.prepare(run)
    return Request(run, split, loaded, config, [one for _, one in found], [part for part, _ in found], data, clock)


def _fingerprint(config: Config, parts: Iterable[CorpusConfig]) -> str:
    """Of the files of some parts, each counted once."""
    return fingerprint_of(TASKS[config.task].preparation, *parts)


def _refuse_other_languages(config: Config, trained: Config) -> None:
    """The order of a model's tags comes from its training data."""
    if config.language_tags != trained.language_tags:
        problem = f"the model was trained to write {', '.join(trained.language_tags)}, and not {', '.join(config.language_tags)}"
        raise UsageError(problem, where="data.train", remedy="leave its languages as they are, and in their order")


def _parts_of(config: Config, split: Split, directory: Path) -> list[CorpusConfig]:
    """The parts of a split. Raises UsageError where the configuration names none."""
    parts = config.data.parts(split)
    if not parts:
        raise UsageError(
            f"no {split} set is configured",
            where=f"{directory / 'config.yaml'}: data.{split}",
            remedy=f"name it: data.{split}.source=FILE data.{split}.target=FILE, or evaluate with --split validation",
        )
    return parts


def open_model(run: Path) -> LoadedModel:
    """The verified model of a run or model directory. Raises ModelError."""
    from headway.model_dir import load_model

    return load_model(run)


def bootstrap_of(config: Config) -> tuple[int, float, int]:
    """Samples, confidence and seed."""
    settings = config.evaluation
    return settings.bootstrap_samples, settings.confidence, settings.seed


def with_interval(measured: Measurement, config: Config) -> ScoreRecord:
    interval = score_interval(measured.statistics, measured.formula, *bootstrap_of(config))
    return ScoreRecord(
        label=measured.label,
        score=measured.score,
        low=interval.low,
        high=interval.high,
        signature=measured.signature,
        higher_is_better=measured.higher_is_better,
        formula=measured.formula,
    )


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def check_request(split: str, overrides: Sequence[str]) -> None:
    if split not in get_args(Split):
        raise UsageError(f"there is no split {split!r}", where="--split", remedy=f"choose one of {', '.join(get_args(Split))}")
    for override in overrides:
        key = override.strip().removeprefix("--").partition("=")[0]
        if key not in DATA_SETS and not key.startswith(MAY_CHANGE):
            raise UsageError(
                f"{key} cannot be changed in an evaluation: the model is trained",
                where="command line",
                remedy=f"settings that can be: {', '.join(name + '*' for name in MAY_CHANGE)}",
            )


def _same_files(config: Config, split: Split) -> list[str]:
    """A warning where the set is the training set, or a part of it; its files need not be here any more."""
    learned = [corpus_paths(part) for part in config.data.parts("train")]
    same = [corpus_paths(part) in learned for part in config.data.parts(split)]
    if split == "train" or not any(same):
        return []
    what = f"the {split} set is" if all(same) else f"a part of the {split} set is one of"
    return [f"{what} the training set: these scores say nothing about new sentences"]


def _made_data(parts: Iterable[CorpusConfig]) -> list[str]:
    from headway.samples import is_made

    if not any(map(is_made, corpus_paths(*parts))):
        return []
    return [
        "the data is synthetic, made by headway sample: these scores say that the machinery works, and nothing about real text"
    ]


@dataclass
class Clock:
    """Seconds of each named part."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
