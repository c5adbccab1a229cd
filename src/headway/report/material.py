"""What there is to report of a run: what training and evaluation left in its directory, and what its data still tells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.config import WITHOUT_TARGET, Config, load_config
from headway.data.check import check
from headway.data.checks.report import CheckReport
from headway.data.labels import Labels
from headway.data.preparation import files_of, fingerprint_of
from headway.data.tokenizer import Tokenizers
from headway.errors import HeadwayError, ModelError
from headway.evaluation.evaluated import Evaluated, load_evaluated
from headway.evaluation.records import record_path, run_of
from headway.model_dir import CALIBRATION
from headway.report.training_text import TrainingText, read_training_text
from headway.tasks import TASKS
from headway.training.corpus import joined_fingerprint
from headway.training.run_directory import CHECK, TOKENIZERS, seed_runs
from headway.training.starts import Start, read_starts


@dataclass(frozen=True)
class Material:
    """All that the parts of a report are made of.

    Attributes:
        run: as the user named it;  directory: the same, of a model directory that of its run.
        metrics: the lines of metrics.jsonl.
        evaluated: of a translator one for each direction; none where the split has not been evaluated.
        check: what the pre-flight of the data found;  check_note: when, or why there is none.
        training: what the training set tells; training_note: why it cannot, or what is to be said of it.
        model: the manifest of the model, empty where there is none yet.
    """

    run: Path
    directory: Path
    split: str
    config: Config
    labels: Labels | None
    metrics: list[dict[str, Any]]
    starts: list[Start]
    evaluated: list[Evaluated]
    check: CheckReport | None
    check_note: str
    training: TrainingText | None
    training_note: str
    model: dict[str, Any]

    @property
    def calibration(self) -> str:
        """SHA-256 of that of the model, where its confidence was fitted."""
        return str(self.model.get("files", {}).get(CALIBRATION, {}).get("sha256", ""))


def gather(run: Path, split: str) -> Material:
    """Reads the run, and its data where that is still there. Raises ModelError where there is no run, DataError as `load`."""
    directory = run_of(run)
    path = next((path for path in (directory / "config.yaml", directory / "model" / "config.yaml") if path.is_file()), None)
    if path is None:
        several = next(iter(seed_runs(directory).values()), None)
        remedy = "name a directory that `headway train` wrote" if several is None else f"name a run of one seed: {several}"
        raise ModelError("there is no run here" if several is None else "holds several runs", where=str(run), remedy=remedy)
    config = load_config(path, paths_as_written=True)
    tokenizers = _tokenizers(directory)
    labels = tokenizers.labels if tokenizers else None
    found, check_note = _check(directory, config, tokenizers)
    starts = read_starts(directory)
    training, training_note = _training(config, labels, starts)
    manifest = next((path for path in (directory / "model", directory) if (path / "manifest.json").is_file()), None)
    return Material(
        run=run,
        directory=directory,
        split=split,
        config=config,
        labels=labels,
        metrics=_metrics(directory / "metrics.jsonl"),
        starts=starts,
        evaluated=load_evaluated(run, split) if record_path(run, split).is_file() else [],
        check=found,
        check_note=check_note,
        training=training,
        training_note=training_note,
        model=json.loads((manifest / "manifest.json").read_text("utf-8")) if manifest else {},
    )


def _tokenizers(directory: Path) -> Tokenizers | None:
    """Those of a run or of a model directory."""
    for folder in (directory / TOKENIZERS, directory / "model", directory):
        if any(folder.glob("tokenizer*.json")):
            return Tokenizers.load(folder)
    return None


def _metrics(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole; a run that goes on at this moment may be writing one."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else ():
        try:
            figures = json.loads(line)
        except ValueError:
            continue
        if isinstance(figures, dict) and isinstance(figures.get("update"), int):
            found.append(figures)
    return found


def _check(directory: Path, config: Config, tokenizers: Tokenizers | None) -> tuple[CheckReport | None, str]:
    """The quick check of the data as it is now; where the files are gone, what training found when it began."""
    try:
        parts = [part for split in ("train", "validation") for part in config.data.parts(split)]
        files_of(TASKS[config.task].preparation, *parts)
    except HeadwayError as error:
        return _recorded_check(directory / CHECK, str(error))
    return check(config, quick=True, tokenizers=tokenizers), "Looked through now, quickly, with the tokenizers of the run."


def _recorded_check(path: Path, why: str) -> tuple[CheckReport | None, str]:
    if not path.is_file():
        return None, f"The data is no longer where it was, and this run did not record what it held ({why})."
    try:
        recorded = CheckReport.from_json(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return None, f"The data is no longer where it was, and {path.name} is damaged ({error})."
    return recorded, f"As training found it when it began; the data is no longer where it was ({why})."


def _training(config: Config, labels: Labels | None, starts: list[Start]) -> tuple[TrainingText | None, str]:
    if config.task in WITHOUT_TARGET:
        return None, ""
    try:
        read = read_training_text(config, labels)
        learned = starts[-1].data.get("train") if starts else None
        found = joined_fingerprint([fingerprint_of(TASKS[config.task].preparation, part) for part in config.data.parts("train")])
    except HeadwayError as error:
        return None, f"Nothing can be said of rare words: the training set cannot be read ({error})."
    notes = []
    if learned and learned != found:
        notes.append(
            "The training set has changed since the model learned from it: what is said of rare words is of the new one."
        )
    if not read.whole:
        notes.append(f"Words were counted in the first {read.examples:,} examples of the training set.")
    return read, " ".join(notes)
