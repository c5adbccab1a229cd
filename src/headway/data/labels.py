"""What a labelled corpus can answer: the names of its labels by number, or the mean and spread of its numbers."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from headway.data.tags import SCHEMES, Scheme
from headway.errors import DataError, ModelError

AnswerKind: TypeAlias = Literal["one", "several", "number", "tags"]
MOST_LABELS = 100_000
MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Labels:
    """The answers that a model gives.

    Attributes:
        kind: "one" label of several, "several" labels at once, a "number", or "tags" for the words of a text.
        names: of the labels, the most frequent in training first; empty for numbers; of entities the BIOES tags.
        scheme: of tags: how the training data writes them.
        characters: of tags: whether its words are single characters.
        mean, deviation: of the numbers in training, so that the model learns figures of usual size.
    """

    kind: AnswerKind
    names: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0
    scheme: Scheme = "plain"
    characters: bool = False

    @property
    def outputs(self) -> int:
        """Figures that the model computes for a text."""
        return len(self.names) or 1

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the answers mean."""
        meaning = {name: value for name, value in asdict(self).items() if name != "characters"}  # which old files do not have
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    def with_others(self, answers: Iterable[tuple[str, ...]]) -> Labels:
        """These, and after them the names that only `answers` have: a model cannot give them, so they can only be missed."""
        others = sorted({name for answer in answers for name in answer} - self.numbers.keys())
        return replace(self, names=(*self.names, *others)) if others else self

    @classmethod
    def learn(cls, kind: AnswerKind, answers: Iterable[tuple[str, ...]], where: str) -> Labels:
        """From the answers of the training corpus `where`. Raises DataError where they teach nothing."""
        if kind == "number":
            return cls._of_numbers([float(answer[0]) for answer in answers], where)
        counts: Counter[str] = Counter()
        for answer in answers:
            counts.update(answer)
        if len(counts) < (2 if kind == "one" else 1):
            shown = ", ".join(repr(name) for name in counts) or "none"
            raise DataError(f"all examples have the same label ({shown})", where=where, remedy="there is nothing to tell apart")
        if len(counts) > MOST_LABELS:
            problem = f"has {len(counts):,} different labels, more than {MOST_LABELS:,}"
            raise DataError(problem, where=where, remedy="is `target` the column of the labels? numbers need data.labels=number")
        return cls(kind, tuple(sorted(counts, key=lambda name: (-counts[name], name))))

    @classmethod
    def _of_numbers(cls, numbers: list[float], where: str) -> Labels:
        mean = math.fsum(numbers) / max(1, len(numbers))
        deviation = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / max(1, len(numbers)))
        if deviation == 0:
            raise DataError("all its numbers are the same", where=where, remedy="there is nothing to tell apart")
        return cls("number", (), mean, deviation)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Labels:
        """Raises ModelError where the file is missing or damaged."""
        try:
            with path.open("rb") as file:
                content: Any = json.loads(file.read(MAX_BYTES))
            names = content["names"]
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
                raise ValueError("its names are not different texts")
            if content["kind"] not in get_args(AnswerKind) or bool(names) == (content["kind"] == "number"):
                raise ValueError("its kind does not fit its names")
            if content["scheme"] not in SCHEMES:
                raise ValueError("its scheme is unknown")
            figures = float(content["mean"]), float(content["deviation"])
            if not all(map(math.isfinite, figures)) or figures[1] <= 0:
                raise ValueError("its mean and deviation are no figures")
            if type(characters := content.get("characters", False)) is not bool:
                raise ValueError("its characters is neither true nor false")
            return cls(content["kind"], tuple(names), *figures, content["scheme"], characters)
        except OSError as error:
            raise ModelError(f"cannot be read: {error.strerror}", where=str(path), remedy="restore the file") from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(f"is damaged: {error}", where=str(path), remedy="restore the file from a copy") from None
