"""Tokenised pairs, kept on disk: corpus + tokenizers + preprocessing → a folder of flat arrays, memory-mapped.

Every pair is tokenised once, in pieces of constant size, and found again by the content of everything that it was made from.
Which pairs are kept is decided on the plain tokens, so that all views (plain, or one subword sampling per epoch) hold the same
pairs under the same indices.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headway.config import CorpusConfig, DataConfig
from headway.data.array_store import ArrayWriter, DamagedError, MappedArray, exclusive, open_arrays
from headway.data.preprocessing import Preprocessor
from headway.data.progress import PairsProgress
from headway.data.readers import Pair, corpus_files, count, fingerprint, read_pairs
from headway.data.tokenizer import Tokenizer, Tokenizers
from headway.errors import DataError

FORMAT = 2
PIECE_PAIRS = 10_000  # pairs tokenised together; changing it changes what a seed samples, and so FORMAT
PIECE_CHARACTERS = 1 << 22  # the same for very long lines
RESIDENT_ROWS = 2048  # rows touched before mapped pages are given back, about 64 KiB each
EMPTY_SOURCE, EMPTY_TARGET, TOO_LONG = "empty source", "empty target", "too long"
SIDES = ("source", "target")
Sides: TypeAlias = tuple[list[str], list[str]]
Kept: TypeAlias = tuple[NDArray[np.int64], Sides, tuple[list[list[int]], list[list[int]]]]  # lines, texts, tokens
_log = logging.getLogger(__name__)


class TokenCache:
    """Tokenised pairs without special tokens. `open_cache` makes one.

    Attributes:
        source_lengths, target_lengths: int32 [N], tokens of each pair.
        read, dropped: pairs of the corpus, and how many of them were left out by reason; `read = len(self) + sum(dropped)`.
        fingerprint: SHA-256 over the corpus files.
        view: the seed of subword sampling, or None for plain tokens.
    """

    def __init__(self, folder: Path, arrays: dict[str, MappedArray], facts: dict[str, Any]) -> None:
        self._folder, self._arrays = folder, arrays
        self.read: int = facts["read"]
        self.dropped: dict[str, int] = facts["dropped"]
        self.fingerprint: str = facts["fingerprint"]
        self.view: int | None = facts["view"]
        self._tokens = {side: arrays[f"{side}.tokens"].values for side in SIDES}
        self._ends = {side: arrays[f"{side}.ends"].values for side in SIDES}
        self.source_lengths, self.target_lengths = (_lengths(self._ends[side]) for side in SIDES)
        self._touched = 0

    def __len__(self) -> int:
        return len(self.source_lengths)

    def source(self, index: int) -> NDArray[np.integer]:
        """Tokens of the source of pair `index`, a read-only view."""
        return self._row("source", index)

    def target(self, index: int) -> NDArray[np.integer]:
        """Tokens of the target of pair `index`, a read-only view."""
        return self._row("target", index)

    def line(self, index: int) -> int:
        """The line, from 1, at which pair `index` stands in its corpus."""
        return int(self._arrays["lines"].values[index])

    def texts(self, side: str, start: int, stop: int) -> list[str]:
        """Preprocessed text of the pairs from `start` to before `stop`; only where the cache was made to keep it."""
        ends = self._arrays[f"{side}.text_ends"].values[max(start - 1, 0) : stop]
        if start == 0:
            ends = np.concatenate(([0], ends))
        content = self._arrays[f"{side}.text"].values[ends[0] : ends[-1]].tobytes()
        places = (ends - ends[0]).tolist()
        return [content[first:last].decode() for first, last in itertools.pairwise(places)]

    def _row(self, side: str, index: int) -> NDArray[np.integer]:
        if not 0 <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        self._touched += 1
        if self._touched == RESIDENT_ROWS:
            self._touched = 0
            self.give_back()
        ends = self._ends[side]
        return self._tokens[side][ends[index - 1] if index else 0 : ends[index]]

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
    tokenizers: Tokenizers,
    data: DataConfig,
    *,
    view: int | None = None,
    expected_fingerprint: str | None = None,
) -> TokenCache:
    """The tokenised pairs of `corpus`, from the cache or made now. Safe in several processes at once: one makes, the others wait.

    Args:
        directory: where caches are kept; each stands in a folder named by a digest of all it is made from.
        corpus: one of the corpora of `data`.
        data: preprocessing, languages, `max_length` in tokens without special ones, and the accepted share of dropped pairs.
        view: None for plain tokens; an int samples subwords with that seed (where the tokenizer has dropout).
        expected_fingerprint: of the corpus files, where training goes on with data that must be the same.

    Raises:
        DataError: the corpus is damaged, changed, or too many of its pairs would be dropped.
        ResourceError: the disk is full or not writable.
    """
    found = fingerprint(corpus_files(corpus))
    name = corpus_name(corpus)
    if expected_fingerprint is not None and found != expected_fingerprint:
        raise DataError(
            f"the data has changed: its fingerprint is {found[:12]}, the run began with {expected_fingerprint[:12]}",
            where=name,
            remedy="put the old files back, or start a new run",
        )
    parent = Path(directory) / _key(corpus, found, tokenizers, data)
    rates = [tokenizers.source.dropout, tokenizers.target.dropout]  # no part of a tokenizer's digest
    job = _Job(corpus, name, found, data, _Sides(tokenizers, data, keeps_text=any(rates)))
    plain = _open_or_build(parent / ("plain-with-text" if any(rates) else "plain"), lambda folder: _build_plain(folder, job))
    _refuse_dropped(plain, name, data.accept_dropped)
    if view is None:
        return plain
    try:
        rate = hashlib.sha256(repr(rates).encode()).hexdigest()[:8]
        return _open_or_build(parent / f"view-{view}-{rate}", lambda folder: _build_view(folder, job, view, plain))
    finally:
        plain.give_back()


def corpus_name(corpus: CorpusConfig) -> str:
    return str(corpus.path) if corpus.path is not None else f"{corpus.source} and {corpus.target}"


def _key(corpus: CorpusConfig, found: str, tokenizers: Tokenizers, data: DataConfig) -> str:
    made_from = {
        "format": FORMAT,
        "corpus": found,
        # The same bytes are read in another way under another suffix or from other columns.
        "table": None if corpus.path is None else [Path(corpus.path).suffixes, corpus.source, corpus.target],
        "tokenizers": [tokenizers.source.digest, tokenizers.target.digest],
        "preprocessing": [data.preprocessing, data.source_language, data.target_language],
        "max_length": data.max_length,
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:24]


def _refuse_dropped(cache: TokenCache, name: str, accepted: float) -> None:
    """Stop where more pairs were dropped than the user accepts: nothing is left out silently."""
    dropped = sum(cache.dropped.values())
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in cache.dropped.items() if number)
    if not len(cache):
        raise DataError(
            f"none of its {cache.read:,} pairs can be used ({reasons})",
            where=name,
            remedy="look at the files, or raise data.max_length",
        )
    if dropped > accepted * cache.read:
        share = dropped / cache.read
        raise DataError(
            f"{dropped:,} of {cache.read:,} pairs ({share:.1%}) would be dropped ({reasons})",
            where=name,
            remedy=f"mend them, raise data.max_length, or accept it: data.accept_dropped={min(1.0, share + 0.0005):.3f}",
        )


class _Sides:
    """Preprocessing and tokenizer of both sides, with what their arrays hold."""

    def __init__(self, tokenizers: Tokenizers, data: DataConfig, *, keeps_text: bool) -> None:
        self.keeps_text = keeps_text
        self.tokenizers: tuple[Tokenizer, Tokenizer] = (tokenizers.source, tokenizers.target)
        languages = (data.source_language, data.target_language)
        self.preprocessors = tuple(Preprocessor(data.preprocessing, language) for language in languages)
        self.dtypes = {}
        for side, tokenizer in zip(SIDES, self.tokenizers, strict=True):
            self.dtypes[f"{side}.tokens"] = "uint16" if tokenizer.vocabulary_size <= 1 << 16 else "uint32"
            self.dtypes[f"{side}.ends"] = "int64"

    def prepared(self, pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
        source, target = self.preprocessors
        return [source.apply(pair.source) for pair in pairs], [target.apply(pair.target) for pair in pairs]


class _Job:
    """One corpus to be tokenised, with all that decides the result."""

    def __init__(self, corpus: CorpusConfig, name: str, found: str, data: DataConfig, sides: _Sides) -> None:
        self.corpus, self.name, self.fingerprint, self.data, self.sides = corpus, name, found, data, sides


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
    total = count(job.corpus) if job.corpus.path is None else None
    dtypes = {**job.sides.dtypes, "lines": "int64"}
    if job.sides.keeps_text:
        dtypes |= {f"{side}.text": "uint8" for side in SIDES} | {f"{side}.text_ends": "int64" for side in SIDES}
    with ArrayWriter(folder, dtypes) as writer, PairsProgress(f"tokenising {job.name}", total) as progress:
        ends: Counter[str] = Counter()
        dropped = Counter({EMPTY_SOURCE: 0, EMPTY_TARGET: 0, TOO_LONG: 0})
        read = 0
        for pairs in in_pieces(read_pairs(job.corpus)):
            lines, texts, tokens = _plain_tokens(pairs, job, dropped)
            read += len(pairs)
            needed = _Needed(writer, read, total)
            writer.append("lines", lines, needed)
            for side, side_texts, rows in zip(SIDES, texts, tokens, strict=True):
                _append(writer, f"{side}.tokens", f"{side}.ends", rows, ends, needed)
                if job.sides.keeps_text:
                    encoded = [text.encode() for text in side_texts]
                    _append(writer, f"{side}.text", f"{side}.text_ends", encoded, ends, needed)
            progress.advance(len(pairs))
        if fingerprint(corpus_files(job.corpus)) != job.fingerprint:
            raise DataError("changed while it was tokenised", where=job.name, remedy="wait until it is written, then start again")
        writer.publish({"read": read, "dropped": dict(dropped), "fingerprint": job.fingerprint, "view": None})


def _build_view(folder: Path, job: _Job, view: int, plain: TokenCache) -> None:
    """The pairs of `plain` with subwords by chance. A side that grew beyond the longest length keeps its plain tokens."""
    with (
        ArrayWriter(folder, {**job.sides.dtypes, "lines": "int64"}) as writer,
        PairsProgress(f"sampling subwords of {job.name}", len(plain)) as progress,
    ):
        ends: Counter[str] = Counter()
        for start in range(0, len(plain), PIECE_PAIRS):
            stop = min(start + PIECE_PAIRS, len(plain))
            needed = _Needed(writer, stop, len(plain))
            writer.append("lines", plain._arrays["lines"].values[start:stop], needed)
            for number, (side, tokenizer) in enumerate(zip(SIDES, job.sides.tokenizers, strict=True)):
                seed = int(np.random.SeedSequence((view, number, start)).generate_state(1)[0])
                rows = tokenizer.sample_many(plain.texts(side, start, stop), seed)
                for row, tokens in enumerate(rows):
                    if len(tokens) > job.data.max_length:
                        rows[row] = (plain.source, plain.target)[number](start + row).tolist()
                _append(writer, f"{side}.tokens", f"{side}.ends", rows, ends, needed)
            plain.give_back()
            progress.advance(stop - start)
        writer.publish({"read": plain.read, "dropped": plain.dropped, "fingerprint": job.fingerprint, "view": view})


def in_pieces(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    """Pairs in lists that are bounded by number and by characters, the same ones at every reading."""
    piece: list[Pair] = []
    characters = 0
    for pair in pairs:
        piece.append(pair)
        characters += len(pair.source) + len(pair.target)
        if len(piece) == PIECE_PAIRS or characters >= PIECE_CHARACTERS:
            yield piece
            piece, characters = [], 0
    if piece:
        yield piece


def _plain_tokens(pairs: list[Pair], job: _Job, dropped: Counter[str]) -> Kept:
    """Lines, preprocessed texts and tokens of the pairs that are kept; the others are counted in `dropped`."""
    texts = job.sides.prepared(pairs)
    sources, targets = (tokenizer.encode_many(side) for tokenizer, side in zip(job.sides.tokenizers, texts, strict=True))
    kept = []
    for row, (source_text, target_text, source, target) in enumerate(zip(*texts, sources, targets, strict=True)):
        reason = drop_reason(source_text, target_text, len(source), len(target), job.data.max_length)
        if reason is None:
            kept.append(row)
        else:
            dropped[reason] += 1
    lines = np.array([pairs[row].line for row in kept], dtype=np.int64)
    kept_texts = [texts[0][row] for row in kept], [texts[1][row] for row in kept]
    return lines, kept_texts, ([sources[row] for row in kept], [targets[row] for row in kept])


def drop_reason(source: str, target: str, source_tokens: int, target_tokens: int, max_length: int) -> str | None:
    """Why a preprocessed pair cannot be learned from, or None. Both sides being empty counts as an empty source."""
    if not source_tokens or is_blank(source):
        return EMPTY_SOURCE
    if not target_tokens or is_blank(target):
        return EMPTY_TARGET
    return TOO_LONG if max(source_tokens, target_tokens) > max_length else None


def is_blank(text: str) -> bool:
    """Whether nothing of the text can be seen: blanks, controls, zero-width and direction marks."""
    return all(unicodedata.category(character) in ("Zs", "Zl", "Zp", "Cc", "Cf") for character in text)


def _append(
    writer: ArrayWriter, values: str, ends: str, rows: Sequence[Sequence[int]], reached: Counter[str], needed: _Needed
) -> None:
    """Write rows of numbers one after another, and where each ends; `reached` remembers where the last row before ended."""
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    total = int(lengths.sum())
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
