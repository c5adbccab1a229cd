"""In what two runs differ before they answer anything: their settings, and the files of their data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from headway.config import SPLITS, Config, changed_settings, load_config
from headway.data.files import fingerprint
from headway.data.readers import corpus_paths
from headway.errors import HeadwayError
from headway.evaluation.records import run_of
from headway.training.manifest import read_json

LEARNED_FROM = {"train": "corpus", "validation": "validation"}  # split → what a checkpoint calls its fingerprint
WITHOUT_MEANING = "run_directory"  # every run has its own


@dataclass(frozen=True)
class DataFile:
    """A file as it is on the disk now; without `bytes` it is not there any more."""

    path: str
    bytes: int | None


@dataclass(frozen=True)
class FilePair:
    """The files that stand in the same place of both configurations; `same` is None where it cannot be told."""

    a: DataFile | None
    b: DataFile | None
    same: bool | None


@dataclass(frozen=True)
class DataDifference:
    """One data set of both runs.

    Attributes:
        fingerprint_a, fingerprint_b: of the files that each learned from, or was evaluated on, at that time.
        same: whether both are the same text, by the fingerprints, or else by the files as they are now; None: not known.
    """

    split: str
    fingerprint_a: str | None
    fingerprint_b: str | None
    files: list[FilePair]
    same: bool | None


@dataclass(frozen=True)
class RunDifferences:
    """`settings`: dotted key → both values; `unknown` says why nothing can be told."""

    settings: dict[str, tuple[Any, Any]]
    data: list[DataDifference]
    unknown: str | None = None


def run_differences(a: Path, b: Path, evaluated: tuple[dict[str, str], dict[str, str]]) -> RunDifferences:
    """What changed from run A to run B. What cannot be read any more is told, and no error.

    Args:
        evaluated: of each the split that it was evaluated on, and the fingerprint of its files.
    """
    try:
        first, second = (load_config(run_of(run) / "config.yaml", paths_as_written=True) for run in (a, b))
    except HeadwayError as error:
        return RunDifferences({}, [], str(error).replace("\n", " "))
    settings = {key: values for key, values in changed_settings(first, second).items() if key != WITHOUT_MEANING}
    learned = [some | _fingerprints(run) for run, some in zip((a, b), evaluated, strict=True)]
    data = [_data(split, (first, second), (learned[0].get(split), learned[1].get(split))) for split in SPLITS]
    return RunDifferences(settings, [one for one in data if one.files])


def _fingerprints(run: Path) -> dict[str, str]:
    """Split → fingerprint of the files, of the sets that a run has learned from."""
    steps = sorted((run_of(run) / "checkpoints").glob("step-*/state.json"))
    try:
        state = read_json(steps[-1]) if steps else {}
    except HeadwayError:
        return {}
    return {split: str(state[name]) for split, name in LEARNED_FROM.items() if state.get(name)}


def _data(split: Any, configs: tuple[Config, Config], fingerprints: tuple[str | None, str | None]) -> DataDifference:
    ours, theirs = ([Path(path) for path in corpus_paths(*config.data.parts(split))] for config in configs)
    files = [_pair(one, other) for one, other in zip_longest(ours, theirs)]
    known = [pair.same for pair in files]
    by_files = False if False in known else None if None in known else True
    first, second = fingerprints
    return DataDifference(split, first, second, files, first == second if first and second else by_files)


def _pair(a: Path | None, b: Path | None) -> FilePair:
    one, other = (None if path is None else DataFile(str(path), _size(path)) for path in (a, b))
    if a is None or b is None or one is None or other is None:
        return FilePair(one, other, False)
    if os.path.realpath(a) == os.path.realpath(b):
        return FilePair(one, other, None if one.bytes is None else True)
    if one.bytes is None or other.bytes is None:
        return FilePair(one, other, None)
    return FilePair(one, other, one.bytes == other.bytes and _fingerprint(a) == _fingerprint(b))


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _fingerprint(path: Path) -> str | None:
    try:
        return fingerprint([path])
    except HeadwayError:
        return None
