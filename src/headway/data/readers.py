"""Sentence pairs from what a configuration names: two line files, or one TSV, CSV, JSONL or Parquet table.

`read_pairs(corpus)` streams `Pair`s in constant memory and refuses, with file and line, whatever is damaged or out of step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

from headway.config import CorpusConfig
from headway.data.alignment import drift_guess
from headway.data.files import fingerprint, open_regular, resolve
from headway.data.lines import count_lines, read_line_blocks, read_lines, split_lines
from headway.data.tables import read_table
from headway.errors import DataError

__all__ = [
    "Pair", "RatedPair", "corpus_files", "corpus_name", "count", "count_lines", "fingerprint", "number_of", "read_lines",
    "read_pairs", "read_rated", "split_lines",
]  # fmt: skip


class Pair(NamedTuple):
    """A source and its target. `line` counts from 1: in a table it is where the row begins, in Parquet the row."""

    source: str
    target: str
    line: int

    @property
    def answers(self) -> tuple[str, ...]:
        """All that would be right."""
        return (self.target,)


class RatedPair(NamedTuple):
    """Two texts, the line of a `Pair`, and how alike people find them."""

    source: str
    target: str
    line: int
    rating: float


P = TypeVar("P", Pair, RatedPair)


def read_pairs(corpus: CorpusConfig, *, numbers: bool = False) -> Iterator[Pair]:
    """Yield the pairs of a corpus in order.

    Args:
        numbers: whether the target may be a number, true or false in a table, as labels are; it is given as text.

    Raises:
        DataError: a file is missing, empty or damaged, the line counts differ, or a row does not hold two texts.
        UsageError: the kind of table is unknown, or the package that reads it is missing.
    """
    if corpus.path is None:
        pairs = _read_line_files(str(corpus.source), str(corpus.target))
    else:
        assert corpus.target is not None
        texts, others = ((corpus.source,), (corpus.target,)) if numbers else ((corpus.source, corpus.target), ())
        table = read_table(corpus.path, texts, others)
        pairs = (Pair(source, target, line) for (source, target), line in table)
    yield from _some(pairs, corpus)


def read_rated(corpus: CorpusConfig) -> Iterator[RatedPair]:
    """Yield the pairs of a table with a column of ratings. Raises as `read_pairs`, and DataError where a rating is no number."""
    assert corpus.path is not None
    assert corpus.target is not None
    assert corpus.rating is not None
    table = read_table(corpus.path, (corpus.source, corpus.target), (corpus.rating,))
    pairs = (
        RatedPair(source, target, line, number_of(rating, f"{corpus.path}:{line}")) for (source, target, rating), line in table
    )
    yield from _some(pairs, corpus)


def _some(pairs: Iterator[P], corpus: CorpusConfig) -> Iterator[P]:
    """The same pairs, at least one."""
    first = next(pairs, None)
    if first is None:
        if corpus.path is not None:
            raise DataError("holds no examples", where=corpus.path, remedy="see whether it was written or copied to its end")
        problem = "both are empty: there are no sentence pairs"
        raise DataError(problem, where=corpus_name(corpus), remedy="see whether they were written or copied to their end")
    yield first
    yield from pairs


def corpus_paths(*parts: CorpusConfig) -> list[Path]:
    """Where the parts of a corpus are read from: the table, or source and target."""
    return [resolve(path) for part in parts for path in _names(part)]


def corpus_name(*parts: CorpusConfig) -> str:
    return " and ".join(path for part in parts for path in _names(part))


def corpus_files(*parts: CorpusConfig) -> list[Path]:
    """`corpus_paths`, of files that are there. Raises DataError for one that is missing or not a regular file."""
    paths = corpus_paths(*parts)
    for path in paths:
        open_regular(path).close()
    return paths


def count(corpus: CorpusConfig) -> int:
    """The number of pairs; raises as `read_pairs` does, but the text of line files is not looked at."""
    if corpus.path is not None:
        return sum(1 for _ in read_pairs(corpus))
    source, target = str(corpus.source), str(corpus.target)
    lines = count_lines(source), count_lines(target)
    if lines[0] != lines[1]:
        _refuse_counts(source, target, *lines)
    return lines[0]


def number_of(text: str, where: str, remedy: str = "mend it") -> float:
    """Raises DataError for what is no finite number."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{text[:40]!r} is no number", where=where, remedy=remedy)
    return number


def _read_line_files(source: str, target: str) -> Iterator[Pair]:
    # Checked first: a missing second file is not found out after an hour spent on the first.
    open_regular(target).close()
    pairs = zip(read_lines(source), read_lines(target), strict=True)
    try:
        for line, (one, other) in enumerate(pairs, 1):
            yield Pair(one, other, line)
    except ValueError:  # from zip(): one side ended first
        _refuse_counts(source, target, count_lines(source), count_lines(target))


def _refuse_counts(source: str, target: str, source_lines: int, target_lines: int) -> NoReturn:
    if not (source_lines and target_lines):
        empty, other, lines = (source, target, target_lines) if target_lines else (target, source, source_lines)
        remedy = f"line n of it must be the translation of line n of {other}, which has {lines:,}"
        raise DataError("is empty", where=empty, remedy=remedy)
    guess = drift_guess(read_line_blocks(source), read_line_blocks(target), source_lines, target_lines)
    shorter = target if target_lines < source_lines else source
    where = f"{shorter}:{guess}" if guess else shorter
    hint = (
        f"by their lengths the lines part at about line {guess}: look there for a missing or a doubled line"
        if guess
        else f"the first {min(source_lines, target_lines):,} lines look aligned: the shorter file seems to be cut off"
    )
    raise DataError(f"{source} has {source_lines:,} lines but {target} has {target_lines:,}", where=where, remedy=hint)


def _names(corpus: CorpusConfig) -> list[str]:
    if corpus.path is not None:
        return [corpus.path]
    return [str(side) for side in (corpus.source, corpus.target) if side is not None]
