"""Two models side by side after an export: the same lines to Headway's and to what was written, each in a process of its own.

What is compared is greedy search: beams end by other rules in other engines. An export that was not quantised passes where its
outputs are the same; one that was, where its score lies within the interval of the model's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headway.config import Config
from headway.errors import DataError, ResourceError
from headway.evaluation.intervals import Interval, score_interval
from headway.evaluation.metrics import Measurement, corpus_scores
from headway.inference.engines import PARITY
from headway.interop.huggingface import NOT_KNOWN
from headway.model_dir import LoadedModel
from headway.tasks import TASKS

GREEDY = {"method": "greedy", "n_best": 1}
MOST_LINES, MOST_PROMPTS = 1000, 200
PROMPT_WORDS, CONTINUATION = 8, 40  # of a language model: words that are given, tokens that are written
LEAST_IDENTICAL = 0.99
LEAST_COSINE = 0.9999
LEAST_QUANTISED_COSINE = 0.99


@dataclass(frozen=True)
class Asked:
    """What one model did: answers, seconds for all of them once it was ready and until then, bytes of memory and of files."""

    answers: list[dict[str, Any]]
    seconds: float
    load_seconds: float
    peak: int
    size: int
    score: Interval | None


@dataclass(frozen=True)
class Parity:
    """Both models on the same lines.

    Attributes:
        identical: share of the lines whose outputs are the same, token for token; of vectors, those that point the same way.
        worst_cosine: of vectors.
    """

    destination: str
    quantization: str | None
    lines: int
    identical: float
    worst_cosine: float | None
    score_label: str
    own: Asked
    theirs: Asked

    @property
    def passed(self) -> bool | None:
        """None where a quantised model cannot be judged: other outputs may be as good, and nothing tells."""
        if self.worst_cosine is not None:
            return self.worst_cosine >= (LEAST_QUANTISED_COSINE if self.quantization else LEAST_COSINE)
        if self.identical >= LEAST_IDENTICAL or self.quantization is None:
            return self.identical >= LEAST_IDENTICAL
        if self.own.score is None or self.theirs.score is None:
            return None
        return self.theirs.score.score >= self.own.score.low

    def as_json(self) -> dict[str, Any]:
        def side(one: Asked) -> dict[str, Any]:
            score = None
            if one.score is not None:
                score = {"score": one.score.score, "low": one.score.low, "high": one.score.high}
            return {
                "score": score, "seconds": one.seconds, "load_seconds": one.load_seconds, "peak_bytes": one.peak,
                "file_bytes": one.size,
            }  # fmt: skip

        return {
            "passed": self.passed, "destination": self.destination, "quantization": self.quantization, "lines": self.lines,
            "identical": self.identical, "worst_cosine": self.worst_cosine, "score": self.score_label,
            "headway": side(self.own), "exported": side(self.theirs),
        }  # fmt: skip


def compare_export(
    loaded: LoadedModel, out: Path, destination: str, quantization: str | None, lines: Sequence[str] | None = None
) -> Parity:
    """Asks both models and writes parity.json into the exported directory.

    Args:
        lines: to ask; None for those of the validation set, with its references.

    Raises:
        DataError: the model reads files, it is only pre-trained, the validation set cannot be read, or there is no line.
        ResourceError: a process failed.
    """
    config = loaded.config
    if config.media.kind != "text":
        problem = "only texts are asked of both, and this model reads files"
        raise DataError(
            problem, where=str(out), remedy="ask either yourself: headway predict, and the processor beside the model"
        )
    if TASKS[config.task].extra_pieces:
        raise DataError("a model that is only pre-trained has no answers", where=str(out), remedy="start a task from it first")
    texts, references = (list(lines), None) if lines is not None else _lines_to_ask(config)
    decoding = {**GREEDY, "precision": "fp32"}
    if config.task == "language_model":
        texts = [" ".join(text.split()[:PROMPT_WORDS]) for text in texts if text.strip()][:MOST_PROMPTS]
        decoding["maximum_length"] = min(CONTINUATION, config.data.max_length // 2)
        references = None
    if not any(text.strip() for text in texts):
        raise DataError("there is no line to compare with", where="--lines", remedy="give a file with lines for predict")
    label, own, theirs = "", None, None
    direction = config.data.directions[0] if len(config.data.directions) > 1 else None
    towards = [direction.target, direction.source] if direction is not None else None
    request = {"path": str(out), "texts": texts, "decoding": decoding, "towards": towards}
    asked_own = _ask({**request, "path": str(loaded.directory)})
    asked_theirs = _ask({**request, "run": str(loaded.directory)} if destination == "huggingface" else request)
    if references is not None and (measured := _measured(asked_own["answers"], references, config)) is not None:
        label = measured.label
        own = score_interval(measured.statistics, measured.formula)
        other = _measured(asked_theirs["answers"], references, config)
        theirs = score_interval(other.statistics, other.formula) if other is not None else None
    same, worst = _alike(asked_own["answers"], asked_theirs["answers"], numbers=config.data.labels == "number")
    found = Parity(
        destination, quantization, len(texts), same, worst, label,
        _asked(asked_own, loaded.directory, own), _asked(asked_theirs, out, theirs),
    )  # fmt: skip
    (out / PARITY).write_text(json.dumps(found.as_json(), indent=1) + "\n", encoding="utf-8")
    return found


def _lines_to_ask(config: Config) -> tuple[list[str], list[str] | None]:
    try:
        return validation_lines(config)
    except DataError as error:
        remedy = "give lines as for predict: headway export … --lines FILE"
        raise DataError(error.problem, where=error.where, remedy=remedy) from error


def validation_lines(config: Config) -> tuple[list[str], list[str] | None]:
    """Lines of the validation set as `predict` takes them, at most `MOST_LINES`, and what is wanted of each.

    Raises DataError where it cannot be read; of a model that was imported it is not known.
    """
    if any(part.path == NOT_KNOWN for part in config.data.parts("validation")):
        raise DataError("an imported model has no validation set", where="data.validation")
    read = TASKS[config.task].preparation.read
    lines: list[str] = []
    wanted: list[str] = []
    for part in config.data.parts("validation"):
        if part.direction != config.data.directions[0]:
            continue
        for example in read(part, config.data):
            if len(lines) == MOST_LINES:
                break
            lines.append(_line_of(example, config.task))
            wanted.append(", ".join(example.labels) if "classification" in config.task else example.target)
    return lines, wanted


def _line_of(example: Any, task: str) -> str:
    if task == "question_answering":
        return f"{example.question}\t{example.passage}".replace("\n", " ")
    return str(example.source).replace("\n", " ")


def _measured(answers: list[dict[str, Any]], references: list[str], config: Config) -> Measurement | None:
    """The score that goes with a task: BLEU of what is written, the share of right ones of labels, none of vectors."""
    if config.task in ("sentence_embedding", "language_model", "question_answering", "tagging"):
        return None
    texts = [answer["text"] for answer in answers]
    if "classification" in config.task and config.data.labels != "one":
        return None
    if "classification" in config.task:
        return share_of_right(texts, references)
    language, tokenize = config.data.target_language, config.evaluation.bleu_tokenize
    if lower := "lowercase" in config.data.preprocessing:  # such a model writes no capital
        references = [reference.lower() for reference in references]
    found = corpus_scores(texts, references, language=language, tokenize=tokenize, names=["bleu"])["bleu"]
    return replace(found, label=f"{found.label}, lower-cased") if lower else found


def share_of_right(texts: Sequence[str], references: Sequence[str]) -> Measurement:
    right = np.array([text == wanted for text, wanted in zip(texts, references, strict=True)], dtype=np.float64)
    return Measurement("accuracy", "accuracy", "", np.stack((right, np.ones_like(right)), 1), "share")


def _alike(own: list[dict[str, Any]], theirs: list[dict[str, Any]], *, numbers: bool) -> tuple[float, float | None]:
    if "vector" in own[0]:
        one, other = (np.array([answer["vector"] for answer in some], dtype=np.float64) for some in (own, theirs))
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosines = np.where(lengths > 0, (one * other).sum(1) / np.where(lengths > 0, lengths, 1), 1.0)
        return float(np.mean(cosines >= LEAST_COSINE)), float(cosines.min())
    if numbers:
        one, other = (np.array([float(answer["text"] or "nan") for answer in some]) for some in (own, theirs))
        return float(np.isclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True).mean()), None
    by_ids = all("ids" in answer for answer in (*own, *theirs))
    key = "ids" if by_ids else "text"
    return float(np.mean([a[key] == b[key] for a, b in zip(own, theirs, strict=True)])), None


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "headway.evaluation.export_probe"]  # -P: what lies in this directory is not run
    ended = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True)
    if ended.returncode:
        lines = ended.stderr.strip().split("\n")
        said = lines[-1][:300] or f"its process ended with {ended.returncode}"
        raise ResourceError(f"could not be asked: {said}", where=request["path"], remedy="try headway predict with it")
    told = dict(json.loads(ended.stdout.strip().split("\n")[-1]))
    if "problem" in told:
        raise ResourceError(f"could not be asked: {told['problem']}", where=request["path"], remedy=told["remedy"])
    return told


def _asked(told: dict[str, Any], directory: Path, score: Interval | None) -> Asked:
    size = sum(file.stat().st_size for file in directory.iterdir() if file.is_file())
    return Asked(told["answers"], told["seconds"], told["load_seconds"], told["peak"], size, score)
