"""How the examples of a corpus become rows of numbers, and rows updates: what a task hands to training and to evaluation.

A row is two lists of numbers: what is read (source) and what is to be answered (target); either may be empty. Special tokens
are not in it, but where a preparation says so.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headway.config import Config, CorpusConfig, DataConfig, Split
from headway.data.batches import Epoch, Rows
from headway.data.files import fingerprint
from headway.data.readers import corpus_files
from headway.data.tokenizer import Tokenizers

SIDES = ("source", "target")
Tokens: TypeAlias = Sequence[int]
PIECE_EXAMPLES = 10_000  # prepared together; changing it changes what a seed samples, and so the format of the cache


class Example(Protocol):
    """What a reader yields: the texts of both sides and the line, from 1, at which it stands."""

    @property
    def source(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def line(self) -> int: ...


class Prepared(NamedTuple):
    """Rows of some examples, with the line of each; `texts` only where subwords may be sampled from them."""

    lines: list[int]
    rows: tuple[Sequence[Tokens], Sequence[Tokens]]
    texts: tuple[Sequence[str], Sequence[str]] = ([], [])
    cut: int = 0  # rows that were too long


class Preparation(Protocol):
    """Reads a corpus and turns its examples into rows.

    Attributes:
        dtypes: the numbers of source and target: uint16 or uint32.
        made_from: everything beside the corpus that decides the rows, as JSON.
        sampling: the rates of subword sampling of both sides; both 0 where every view is the same.
        piece_examples: how many examples are prepared together, where it is not `PIECE_EXAMPLES`.
    """

    dtypes: tuple[str, str]
    made_from: dict[str, Any]
    sampling: tuple[float, float]

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None: ...

    @staticmethod
    def read(corpus: CorpusConfig, data: DataConfig) -> Iterator[Any]:
        """The examples of one part of a corpus, in order."""

    @staticmethod
    def count(corpus: CorpusConfig) -> int | None:
        """How many examples there are, where that is known without reading them all as text."""

    def prepare(self, examples: Sequence[Any], dropped: Counter[str]) -> Prepared:
        """Rows of the examples that can be learned from; the others are counted in `dropped` by reason."""

    def sample(self, side: int, texts: Sequence[str], seed: int) -> list[list[int]]:
        """Rows of one side with subwords by chance; asked for only where the side has a rate."""

    def rows_of_all(self, examples: Sequence[Any]) -> MemoryRows:
        """Rows of every example, in order; what is too long is cut and counted."""

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        """The updates of an epoch; None for one without chance, as for validation."""


def files_of(preparation: type[Preparation] | Preparation, *parts: CorpusConfig) -> list[Path]:
    """All files that some parts are read from, each once: those that a manifest names too.

    Raises DataError for a corpus that is missing or no regular file.
    """
    own: Callable[[CorpusConfig], list[Path]] = getattr(preparation, "files", corpus_files)
    return list(dict.fromkeys(path for part in parts for path in own(part)))


def fingerprint_of(preparation: type[Preparation] | Preparation, *parts: CorpusConfig) -> str:
    """SHA-256 over the content of `files_of`, and over their names where these tell what is to be answered, as in a folder."""
    names_of: Callable[[CorpusConfig], list[str]] | None = getattr(preparation, "names", None)
    names = [name for part in parts for name in names_of(part)] if names_of is not None else []
    found = fingerprint(files_of(preparation, *parts))
    return hashlib.sha256(json.dumps([found, names]).encode()).hexdigest() if names else found


def texts_of(preparation: type[Preparation]) -> Read:
    """What yields the texts that tokenizers learn from: the examples, but where these are files."""
    found: Read = getattr(preparation, "read_texts", preparation.read)
    return found


def measured(preparation: Preparation, rows: Rows) -> Rows:
    """The rows with the lengths that decide which of them make a batch: those of rows of bytes are none."""
    measure: Callable[[Rows], Rows] | None = getattr(preparation, "measure", None)
    return measure(rows) if measure is not None else rows


Read: TypeAlias = Callable[[CorpusConfig, DataConfig], Iterator[Any]]


def read_all(read: Read, data: DataConfig, split: Split) -> Iterator[Any]:
    """The examples of every part of a data set, in order."""
    for part in data.parts(split):
        yield from read(part, data)


class CutUpOnce:
    """The part of a `Preparation` whose text is always cut into the same subwords: the configuration refuses to sample them."""

    sampling = (0.0, 0.0)

    def sample(self, side: int, texts: Sequence[str], seed: int) -> list[list[int]]:
        raise AssertionError("no side has a rate")


@dataclass(frozen=True)
class MemoryRows:
    """Rows held in memory; the same to read as a cache."""

    source_rows: Sequence[Tokens]
    target_rows: Sequence[Tokens]
    cut: int = 0
    shares: None = field(init=False, default=None)  # every row comes in each epoch
    source_lengths: NDArray[np.int32] = field(init=False)
    target_lengths: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        for name, rows in (("source_lengths", self.source_rows), ("target_lengths", self.target_rows)):
            object.__setattr__(self, name, np.fromiter(map(len, rows), dtype=np.int32, count=len(rows)))

    @classmethod
    def joined(cls, parts: Sequence[MemoryRows]) -> MemoryRows:
        """The rows of several, one after another."""
        sources, targets = ([row for part in parts for row in getattr(part, f"{side}_rows")] for side in SIDES)
        return cls(sources, targets, sum(part.cut for part in parts))

    def __len__(self) -> int:
        return len(self.source_rows)

    def source(self, index: int) -> NDArray[np.integer]:
        row = self.source_rows[index]
        return row if isinstance(row, np.ndarray) else np.asarray(row, dtype=np.int64)

    def target(self, index: int) -> NDArray[np.integer]:
        return np.asarray(self.target_rows[index], dtype=np.int64)

    @property
    def stream_length(self) -> int:
        return len(self._stream)

    def stream_at(self, places: NDArray[np.integer]) -> NDArray[np.integer]:
        return self._stream[places]

    def rows_at(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        return np.searchsorted(self.target_lengths.cumsum(dtype=np.int64), places, side="right").astype(np.int64)

    @cached_property
    def _stream(self) -> NDArray[np.integer]:
        return np.fromiter(chain.from_iterable(self.target_rows), dtype=np.int64)


def cut_warning(cut: int, texts: int, max_length: int) -> str:
    """What is said of texts whose rows are cut."""
    return f"{cut:,} of {texts:,} texts are cut: data.max_length={max_length} has no room for the whole of them"


def integer_type(numbers: int) -> str:
    """The smallest type of the cache that holds the numbers below `numbers`."""
    return "uint16" if numbers <= 1 << 16 else "uint32"
