"""What every evaluation begins with: a run, a data set and what may be changed for it, looked at before anything is computed."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headway.config import Config, CorpusConfig, load_config
from headway.data.readers import corpus_files, corpus_name, corpus_paths, fingerprint
from headway.errors import DataError, UsageError
from headway.evaluation import records
from headway.evaluation.intervals import bootstrap_interval
from headway.evaluation.metrics import Measurement
from headway.evaluation.records import ScoreRecord
from headway.tasks import TASKS

if TYPE_CHECKING:
    from headway.model_dir import LoadedModel

MAY_CHANGE = ("decoding.", "evaluation.", "data.train.", "data.validation.", "data.test.")  # what a trained model leaves open
MEASURED_PACKAGES = ("headway", "torch", "numpy", "sacrebleu", "sacremoses", "tokenizers")


@dataclass(frozen=True)
class Request:
    """An evaluation that can be made: the model, the settings, and the examples of the set."""

    run: Path
    split: str
    loaded: LoadedModel
    config: Config
    examples: list[Any]
    data: str  # fingerprint of the files
    clock: Clock

    def made_of(self) -> dict[str, Any]:
        """What it takes to do it again, for the record, and what speaks against believing it."""
        settings = json.dumps(self.config.model_dump(mode="json"), sort_keys=True)
        return {
            "seconds": self.clock.seconds,
            "versions": _versions(),
            "fingerprints": {
                "data": self.data,
                "model": self.loaded.fingerprint,
                "config": hashlib.sha256(settings.encode()).hexdigest(),
            },
            "warnings": _same_files(self.config, self.split),
        }


def open_request(run: Path, overrides: Sequence[str], split: str) -> Request:
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
        corpus = corpus_of(config, split, loaded.directory)
        data = fingerprint(corpus_files(corpus))
        examples = list(TASKS[config.task].preparation.read(corpus, config.data))
        if not examples:
            raise DataError(f"the {split} set holds no examples", where=corpus_name(corpus))
        records.prepare(run)
    return Request(run, split, loaded, config, examples, data, clock)


def corpus_of(config: Config, split: str, directory: Path) -> CorpusConfig:
    """The corpus of a split. Raises UsageError where the configuration names none."""
    corpus: CorpusConfig | None = getattr(config.data, split)
    if corpus is None:
        raise UsageError(
            f"no {split} set is configured",
            where=f"{directory / 'config.yaml'}: data.{split}",
            remedy=f"name it: data.{split}.source=FILE data.{split}.target=FILE, or evaluate with --split validation",
        )
    return corpus


def open_model(run: Path) -> LoadedModel:
    """The verified model of a run or model directory. Raises ModelError."""
    from headway.model_dir import load_model

    return load_model(run)


def with_interval(measured: Measurement, config: Config) -> ScoreRecord:
    settings = config.evaluation
    drawn = settings.bootstrap_samples, settings.confidence, settings.seed
    interval = bootstrap_interval(measured.statistics, measured.score_function, *drawn)
    return ScoreRecord(
        label=measured.label,
        score=measured.score,
        low=interval.low,
        high=interval.high,
        signature=measured.signature,
        higher_is_better=measured.higher_is_better,
        formula=measured.formula,
    )


def check_request(split: str, overrides: Sequence[str]) -> None:
    if split not in records.SPLITS:
        raise UsageError(f"there is no split {split!r}", where="--split", remedy=f"choose one of {', '.join(records.SPLITS)}")
    for override in overrides:
        if not override.strip().removeprefix("--").startswith(MAY_CHANGE):
            key = override.partition("=")[0]
            raise UsageError(
                f"{key} cannot be changed in an evaluation: the model is trained",
                where="command line",
                remedy=f"settings that can be: {', '.join(name + '*' for name in MAY_CHANGE)}",
            )


def _same_files(config: Config, split: str) -> list[str]:
    """A warning where the set is the training set; its files need not be here any more."""
    if split == "train" or corpus_paths(getattr(config.data, split)) != corpus_paths(config.data.train):
        return []
    return [f"the {split} set is the training set: these scores say nothing about new sentences"]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in MEASURED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass
class Clock:
    """Seconds of each named part."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
