"""Rows of numbers, kept on disk: corpus + preparation (tokenizers, text steps) → a folder of flat arrays, memory-mapped.

Every example is prepared once, in pieces of constant size, and found again by the content of everything that it was made from.
Which examples are kept is decided on the plain tokens, so that all views (plain, or one subword sampling per epoch) hold the
same rows under the same indices.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from headway.config import CorpusConfig, DataConfig
from headway.data.array_store import ArrayWriter, DamagedError, MappedArray, exclusive, open_arrays
from headway.data.preparation import PIECE_EXAMPLES, SIDES, Example, Preparation, Tokens, fingerprint_of
from headway.data.progress import PairsProgress
from headway.data.readers import corpus_name
from headway.errors import DataError

FORMAT = 3
PIECE_CHARACTERS = 1 << 22  # the same for very long texts
RESIDENT_ROWS = 2048  # rows touched before mapped pages are given back, about 64 KiB each
_log = logging.getLogger(__name__)
E = TypeVar("E", bound=Example)


class TokenCache:
    """Rows of numbers. `open_cache` makes one.

    Attributes:
        source_lengths, target_lengths: int32 [N], numbers of each row.
        read, dropped: examples of the corpus, and how many of them were left out by reason; where an example is a row,
            `read = len(self) + sum(dropped)`.
        cut: rows that were too long and lost their end.
        fingerprint: SHA-256 over the corpus files.
        view: the seed of subword sampling, or None for plain tokens.
    """

    shares = None  # every row comes in each epoch

    def __init__(self, folder: Path, arrays: dict[str, MappedArray], facts: dict[str, Any]) -> None:
        self._folder, self._arrays = folder, arrays
        self.read: int = facts["read"]
        self.dropped: dict[str, int] = facts["dropped"]
        self.fingerprint: str = facts["fingerprint"]
        self.cut: int = facts["cut"]
        self.view: int | None = facts["view"]
        self._tokens = {side: arrays[f"{side}.tokens"].values for side in SIDES}
        self._ends = {side: arrays[f"{side}.ends"].values for side in SIDES}
        self._touched = 0

    def __len__(self) -> int:
        return len(self._ends["source"])

    @cached_property
    def source_lengths(self) -> NDArray[np.int32]:
        return self._lengths("source")

    @cached_property
    def target_lengths(self) -> NDArray[np.int32]:
        return self._lengths("target")

    def _lengths(self, side: str) -> NDArray[np.int32]:
        lengths = _lengths(self._ends[side])
        self._arrays[f"{side}.ends"].give_back()
        return lengths

    def source(self, index: int) -> NDArray[np.integer]:
        """The source of row `index`, a read-only view."""
        return self._row("source", index)

    def target(self, index: int) -> NDArray[np.integer]:
        """The target of row `index`, a read-only view."""
        return self._row("target", index)

    def line(self, index: int) -> int:
        """The line, from 1, at which row `index` stands in its corpus."""
        return int(self._arrays["lines"].values[index])

    def texts(self, side: str, start: int, stop: int) -> list[str]:
        """Preprocessed text of the rows from `start` to before `stop`; only where the cache was made to keep it."""
        ends = self._arrays[f"{side}.text_ends"].values[max(start - 1, 0) : stop]
        if start == 0:
            ends = np.concatenate(([0], ends))
        content = self._arrays[f"{side}.text"].values[ends[0] : ends[-1]].tobytes()
        places = (ends - ends[0]).tolist()
        return [content[first:last].decode() for first, last in itertools.pairwise(places)]

    def _row(self, side: str, index: int) -> NDArray[np.integer]:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        self._touch(1)
        ends = self._ends[side]
        return self._tokens[side][ends[index - 1] if index else 0 : ends[index]]

    @property
    def stream_length(self) -> int:
        """Numbers of all targets together."""
        return len(self._tokens["target"])

    def stream_at(self, places: NDArray[np.integer]) -> NDArray[np.integer]:
        """Numbers of the targets of all rows, one after another, at some places."""
        self._touch(len(places))
        return self._tokens["target"][places]

    def rows_at(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """The row that each place of that stream belongs to."""
        return np.searchsorted(self._ends["target"], places, side="right").astype(np.int64)

    def _touch(self, rows: int) -> None:
        self._touched += rows
        if self._touched >= RESIDENT_ROWS:
            self._touched = 0
            self.give_back()

    def give_back(self) -> None:
        """Let the resident pages of the mapped files go; nothing is lost, they are read again when touched."""
        for array in self._arrays.values():
            array.give_back()


def _lengths(ends: NDArray[np.int64]) -> NDArray[np.int32]:
    lengths = np.empty(len(ends), dtype=np.int32)
    before = 0
    for start in range(0, len(ends), 1 << 20):
        piece = ends[start : start + (1 << 20)]
        lengths[start : start + len(piece)] = np.diff(piece, prepend=before)
        before = int(piece[-1])
    return lengths


def open_cache(
    directory: str | Path,
    corpus: CorpusConfig,
    preparation: Preparation,
    data: DataConfig,
    *,
    view: int | None = None,
    expected_fingerprint: str | None = None,
) -> TokenCache:
    """The rows of `corpus`, from the cache or made now. Safe in several processes at once: one makes, the others wait.

    Args:
        directory: where caches are kept; each stands in a folder named by a digest of all it is made from.
        corpus: one of the corpora of `data`.
        preparation: how examples become rows.
        data: tells the accepted share of dropped examples.
        view: None for plain tokens; an int samples subwords with that seed (where the preparation samples at all).
        expected_fingerprint: of the corpus files, where training goes on with data that must be the same.

    Raises:
        DataError: the corpus is damaged, changed, or too many of its examples would be dropped.
        ResourceError: the disk is full or not writable.
    """
    found = fingerprint_of(preparation, corpus)
    name = corpus_name(corpus)
    if expected_fingerprint is not None and found != expected_fingerprint:
        raise DataError(
            f"the data has changed: its fingerprint is {found[:12]}, the run began with {expected_fingerprint[:12]}",
            where=name,
            remedy="put the old files back, or start a new run",
        )
    parent = Path(directory) / _key(corpus, found, preparation)
    rates = list(preparation.sampling)  # no part of a tokenizer's digest
    job = _Job(corpus, name, found, data, preparation)
    plain = _open_or_build(parent / ("plain-with-text" if any(rates) else "plain"), lambda folder: _build_plain(folder, job))
    _refuse_dropped(plain, name, data.accept_dropped)
    if view is None:
        return plain
    try:
        rate = hashlib.sha256(repr(rates).encode()).hexdigest()[:8]
        return _open_or_build(parent / f"view-{view}-{rate}", lambda folder: _build_view(folder, job, view, plain))
    finally:
        plain.give_back()


def _key(corpus: CorpusConfig, found: str, preparation: Preparation) -> str:
    made_from = {
        "format": FORMAT,
        "corpus": found,
        # The same bytes are read in another way under another suffix or from other columns.
        "table": None if corpus.path is None else [Path(corpus.path).suffixes, corpus.source, corpus.second, corpus.target],
        **preparation.made_from,
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:24]


def _refuse_dropped(cache: TokenCache, name: str, accepted: float) -> None:
    """Stop where more examples were dropped than the user accepts: nothing is left out silently."""
    dropped = sum(cache.dropped.values())
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in cache.dropped.items() if number)
    if not len(cache):
        raise DataError(
            f"none of its {cache.read:,} examples can be used ({reasons})",
            where=name,
            remedy="look at the files, or raise data.max_length",
        )
    if dropped > accepted * cache.read:
        share = dropped / cache.read
        raise DataError(
            f"{dropped:,} of {cache.read:,} examples ({share:.1%}) would be dropped ({reasons})",
            where=name,
            remedy=f"mend them, raise data.max_length, or accept it: data.accept_dropped={min(1.0, share + 0.0005):.3f}",
        )


class _Job(NamedTuple):
    """One corpus to be prepared, with all that decides the result."""

    corpus: CorpusConfig
    name: str
    fingerprint: str
    data: DataConfig
    preparation: Preparation

    @property
    def dtypes(self) -> dict[str, str]:
        tokens = {f"{side}.tokens": kind for side, kind in zip(SIDES, self.preparation.dtypes, strict=True)}
        return tokens | {f"{side}.ends": "int64" for side in SIDES} | {"lines": "int64"}


def _open_or_build(folder: Path, build: Callable[[Path], None]) -> TokenCache:
    if (cache := _open(folder)) is not None:
        return cache
    with exclusive(folder):
        if (cache := _open(folder, say=True)) is not None:  # another process has made it in the meantime
            return cache
        build(folder)
    cache = _open(folder, say=True)
    if cache is None:
        raise DataError("was written, but does not read back the same", where=str(folder), remedy="check the disk")
    return cache


def _open(folder: Path, *, say: bool = False) -> TokenCache | None:
    try:
        arrays, facts = open_arrays(folder)
        return TokenCache(folder, arrays, facts)
    except FileNotFoundError:
        return None
    except (DamagedError, KeyError) as error:
        if say:
            _log.warning("%s: the cache is damaged (%s) and is made anew", folder, error)
        return None


def _build_plain(folder: Path, job: _Job) -> None:
    preparation, keeps_text = job.preparation, any(job.preparation.sampling)
    total = preparation.count(job.corpus)
    dtypes = job.dtypes
    if keeps_text:
        dtypes |= {f"{side}.text": "uint8" for side in SIDES} | {f"{side}.text_ends": "int64" for side in SIDES}
    with ArrayWriter(folder, dtypes) as writer, PairsProgress(f"tokenising {job.name}", total) as progress:
        ends: Counter[str] = Counter()
        dropped: Counter[str] = Counter()
        read = cut = 0
        most = getattr(preparation, "piece_examples", PIECE_EXAMPLES)
        for examples in in_pieces(preparation.read(job.corpus, job.data), most):
            found = preparation.prepare(examples, dropped)
            read, cut = read + len(examples), cut + found.cut
            needed = _Needed(writer, read, total)
            writer.append("lines", np.array(found.lines, dtype=np.int64), needed)
            for side, rows in zip(SIDES, found.rows, strict=True):
                _append(writer, f"{side}.tokens", f"{side}.ends", rows, ends, needed)
            if keeps_text:
                for side, texts in zip(SIDES, found.texts, strict=True):
                    encoded = [text.encode() for text in texts]
                    _append(writer, f"{side}.text", f"{side}.text_ends", encoded, ends, needed)
            progress.advance(len(examples))
        if fingerprint_of(preparation, job.corpus) != job.fingerprint:
            raise DataError("changed while it was tokenised", where=job.name, remedy="wait until it is written, then start again")
        writer.publish({"read": read, "dropped": dict(dropped), "cut": cut, "fingerprint": job.fingerprint, "view": None})


def _build_view(folder: Path, job: _Job, view: int, plain: TokenCache) -> None:
    """The rows of `plain` with subwords by chance. A side that grew beyond the longest length keeps its plain tokens."""
    with (
        ArrayWriter(folder, job.dtypes) as writer,
        PairsProgress(f"sampling subwords of {job.name}", len(plain)) as progress,
    ):
        ends: Counter[str] = Counter()
        for start in range(0, len(plain), PIECE_EXAMPLES):
            stop = min(start + PIECE_EXAMPLES, len(plain))
            needed = _Needed(writer, stop, len(plain))
            writer.append("lines", plain._arrays["lines"].values[start:stop], needed)
            for number, side in enumerate(SIDES):
                seed = int(np.random.SeedSequence((view, number, start)).generate_state(1)[0])
                plain_row = (plain.source, plain.target)[number]
                if not job.preparation.sampling[number]:
                    rows = [plain_row(row).tolist() for row in range(start, stop)]
                else:
                    rows = job.preparation.sample(number, plain.texts(side, start, stop), seed)
                for row, tokens in enumerate(rows):
                    if len(tokens) > job.data.max_length:
                        rows[row] = plain_row(start + row).tolist()
                _append(writer, f"{side}.tokens", f"{side}.ends", rows, ends, needed)
            plain.give_back()
            progress.advance(stop - start)
        facts = {"read": plain.read, "dropped": plain.dropped, "cut": plain.cut, "fingerprint": job.fingerprint, "view": view}
        writer.publish(facts)


def in_pieces(examples: Iterator[E], most: int = PIECE_EXAMPLES) -> Iterator[list[E]]:
    """Examples in lists that are bounded by number and by characters, the same ones at every reading."""
    piece: list[E] = []
    characters = 0
    for example in examples:
        piece.append(example)
        characters += len(example.source) + len(example.target)
        if len(piece) == most or characters >= PIECE_CHARACTERS:
            yield piece
            piece, characters = [], 0
    if piece:
        yield piece


def _append(
    writer: ArrayWriter, values: str, ends: str, rows: Sequence[Tokens | bytes], reached: Counter[str], needed: _Needed
) -> None:
    """Write rows of numbers one after another, and where each ends; `reached` remembers where the last row before ended."""
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    total = int(lengths.sum())
    if rows and isinstance(rows[0], np.ndarray):
        flat = np.concatenate(rows)
    else:
        flat = np.fromiter(itertools.chain.from_iterable(rows), dtype=writer.dtype(values), count=total)
    writer.append(values, flat, needed)
    writer.append(ends, lengths.cumsum() + reached[values], needed)
    reached[values] += total


class _Needed:
    """Estimates the bytes of the whole cache from the part that is written, for the message of a full disk."""

    def __init__(self, writer: ArrayWriter, read: int, total: int | None) -> None:
        self._writer, self._read, self._total = writer, read, total

    def __call__(self) -> int:
        return self._writer.written_bytes * (self._total or self._read) // max(self._read, 1)
