"""An evaluation on disk: <split>.json, <split>.sentences.jsonl and <split>.hypotheses.txt in RUN/evaluation.

Each is written whole or not at all. Plain JSON that other tools can read; `load` refuses what is damaged, out of step or of
a newer format.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from headway.data.files import written_aside
from headway.errors import DataError, ModelError, ResourceError
from headway.evaluation.formulas import DECIMALS
from headway.evaluation.metrics import BleuTokenizer

R = TypeVar("R", bound="Record")
T = TypeVar("T")
FORMAT_VERSION = 2  # 1 had no passages, and no log-probabilities of written answers
AGAIN = "evaluate the run again"


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def decimals(formula: str | None) -> int:
    """With how many a score is shown."""
    return DECIMALS.get(formula or "", 2)


class ScoreRecord(Record):
    """A score over the corpus with its interval."""

    label: str
    score: float
    low: float
    high: float
    signature: str
    higher_is_better: bool
    formula: str | None = None  # the key in FORMULAS

    def shown(self, value: float) -> str:
        """The score, or an end of its interval, as people read it."""
        return f"{value:.{decimals(self.formula)}f}"

    def shown_with_interval(self) -> str:
        return f"{self.shown(self.score)} ({self.shown(self.low)}–{self.shown(self.high)})"


def drawn_how(bootstrap: Mapping[str, float], format_version: int) -> str:
    """How the intervals of an evaluation were made, for people."""
    drawn = f"{bootstrap['samples']:,.0f} samples, seed {bootstrap['seed']:.0f}"
    if format_version < 2:
        return f"intervals: percentiles of the bootstrap ({drawn})"
    return f"intervals: Wilson's of shares, the BCa bootstrap of most others ({drawn})"


class LengthRecord(Record):
    """Scores of the sentences whose references have as many words as `words` says."""

    words: str
    sentences: int
    scores: dict[str, float]
    length_ratio: float


class ExampleRecord(Record):
    """One example and where it stands: `line` counts from 1, and `file` is told where the set has several."""

    line: int
    file: str | None = None

    @property
    def place(self) -> str:
        return f"line {self.line}" if self.file is None else f"{self.file}, line {self.line}"


class SentenceRecord(ExampleRecord):
    """One pair and what became of it; `log_probability` is of the whole output, under the model."""

    source: str
    reference: str
    hypothesis: str
    words: int
    bleu: float
    chrf: float
    ter: float
    log_probability: float | None = None
    paper_hypothesis: str | None = None  # tokenised, as the BLEU for comparison with papers sees them
    paper_reference: str | None = None


class EvaluationRecord(Record):
    """All that an evaluation found, and all that it takes to do it again."""

    format_version: int = FORMAT_VERSION
    split: str
    sentences: int
    source_language: str
    target_language: str
    bleu_tokenize: BleuTokenizer
    scores: dict[str, ScoreRecord]
    bootstrap: dict[str, int | float]
    loss: float | None
    perplexity: float | None
    loss_tokens: int
    by_length: list[LengthRecord]
    worst: list[int]
    best: list[int]
    counts: dict[str, int]
    warnings: list[str]
    decoding: dict[str, Any]
    fingerprints: dict[str, str]
    seconds: dict[str, float] = {}
    versions: dict[str, str] = {}


class DirectionsRecord(Record):
    """Of a model of several directions: what the evaluation of each is called, and the mean of their scores."""

    format_version: int = FORMAT_VERSION
    split: str
    directions: dict[str, str]
    mean: dict[str, float]


Evaluation: TypeAlias = tuple[EvaluationRecord, list[SentenceRecord]]


def text_digest(lines: Iterable[str]) -> str:
    """SHA-256 of a list of texts; which line holds what counts."""
    return hashlib.sha256(json.dumps(list(lines)).encode()).hexdigest()


def run_of(directory: Path) -> Path:
    """The directory whose `evaluation` holds the results: RUN for RUN and for RUN/model alike."""
    directory = Path(directory)
    return directory.parent if directory.name == "model" and (directory.parent / "config.yaml").is_file() else directory


def record_path(run: Path, name: str) -> Path:
    """RUN/evaluation/<name>.json; an evaluation is called as its split, or ``test.en.zh`` where there are several directions."""
    return run_of(run) / "evaluation" / f"{name}.json"


def prepare(run: Path) -> Path:
    """Makes RUN/evaluation and proves that it can be written to, before hours are spent. Raises ResourceError."""
    folder = run_of(run) / "evaluation"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}.tmp"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise _cannot_write(folder, error) from None
    return folder


def save(run: Path, record: EvaluationRecord, sentences: Sequence[SentenceRecord], name: str | None = None) -> list[Path]:
    """Writes the three files, the JSON last, so that it never speaks of files that are not there. Raises ResourceError.

    Args:
        name: of the evaluation, as in `record_path`; its split by default.
    """
    name = name or record.split
    path = record_path(run, name)
    hypotheses = path.with_name(f"{name}.hypotheses.txt")
    details = path.with_name(f"{name}.sentences.jsonl")
    write_whole(hypotheses, "".join(_one_line(sentence.hypothesis) + "\n" for sentence in sentences))
    rows = (json.dumps(sentence.model_dump(), ensure_ascii=False, allow_nan=False) + "\n" for sentence in sentences)
    write_whole(details, "".join(rows))
    write_record(path, record)
    return [path, hypotheses, details]


def write_record(path: Path, record: Record) -> None:
    write_whole(path, json.dumps(record.model_dump(), ensure_ascii=False, allow_nan=False, indent=2) + "\n")


def load_all(run: Path, split: str = "test") -> list[Evaluation]:
    """A translator's evaluation of each direction; one where it has one. Raises as `load` does."""
    if kind_of(run, split) != "directions":
        return [load(run, split)]
    return [load(run, name) for name in load_record(DirectionsRecord, run, split).directions.values()]


def load(run: Path, name: str = "test") -> Evaluation:
    """Reads the evaluation of a translator back. Raises ModelError without a run, DataError where its files do not fit."""
    record = load_record(EvaluationRecord, run, name)
    path = record_path(run, name).with_name(f"{name}.sentences.jsonl")
    sentences = read(path, lambda text: [SentenceRecord.model_validate_json(line) for line in text.split("\n")[:-1]])
    found = {
        "sources": text_digest(sentence.source for sentence in sentences),
        "references": text_digest(sentence.reference for sentence in sentences),
        "hypotheses": text_digest(sentence.hypothesis for sentence in sentences),
    }
    if len(sentences) != record.sentences or any(record.fingerprints.get(name) != digest for name, digest in found.items()):
        raise stranger(path)
    return record, sentences


def kind_of(run: Path, name: str) -> Literal["translation", "directions", "outcome"]:
    """What RUN/evaluation/<name>.json records: a translator, its directions, or another task. Raises as `load_record` does, and
    DataError where it sums up several seeds."""
    fields = read(_existing(run, name), _known_format)
    if "seeds" in fields:
        remedy = f"name one of its runs: {run / 'seed'}N"
        raise DataError(f"holds a run for each of {len(fields['seeds'])} seeds", where=str(run), remedy=remedy)
    return "outcome" if "task" in fields else "directions" if "directions" in fields else "translation"


def load_record(kind: type[R], run: Path, name: str) -> R:
    """RUN/evaluation/<name>.json. Raises ModelError without a run, DataError for a missing or damaged or newer one."""
    return read(_existing(run, name), lambda text: kind.model_validate(_known_format(text)))


def _existing(run: Path, name: str) -> Path:
    path, split = record_path(run, name), name.partition(".")[0]
    if not run_of(run).is_dir():
        raise ModelError("there is no such run directory", where=str(run), remedy="name one that `headway train` wrote")
    if not path.is_file():
        remedy = f"make it: headway evaluate {run}" + ("" if split == "test" else f" --split {split}")
        raise DataError(f"the {split} set has not been evaluated", where=str(path), remedy=remedy)
    return path


def _known_format(text: str) -> dict[str, Any]:
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("it is no record")
    version = fields.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise DataError(f"format {version} is newer than this Headway knows ({FORMAT_VERSION})", remedy="upgrade")
    return fields


def read(path: Path, parse: Callable[[str], T]) -> T:
    """What `parse` makes of the text of a file. Raises DataError where it is missing or damaged."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except DataError as error:
        raise DataError(error.problem, where=str(path), remedy=error.remedy) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path), remedy=AGAIN) from None
    except (ValidationError, ValueError, TypeError, KeyError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"is damaged: {reason}", where=str(path), remedy=AGAIN) from None


def stranger(path: Path) -> DataError:
    return DataError("does not belong to the scores beside it", where=str(path), remedy=AGAIN)


def write_whole(path: Path, text: str) -> None:
    """Writes aside, syncs and renames: the file is the old one or the new one, never half of one. Raises ResourceError."""
    try:
        with written_aside(path) as aside, open(aside, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            if aside != path:
                os.fsync(file.fileno())
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> ResourceError:
    return ResourceError(f"cannot be written: {error.strerror}", where=str(path), remedy="free space, or mend the permissions")


def _one_line(text: str) -> str:
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")
