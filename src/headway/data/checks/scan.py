"""One pass over one corpus: pairs → counts, faults with their places, and what is needed to compare it with the others."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headway.config import CorpusConfig, DataConfig
from headway.data.checks.languages import SideWords, swapped_pairs
from headway.data.checks.lines import Hashes, Lines, mix
from headway.data.checks.report import CorpusFigures
from headway.data.checks.shift import ShiftSearch
from headway.data.pairs import drop_reason
from headway.data.preparation import Example
from headway.data.preprocessing import Preprocessor
from headway.data.tokenizer import UNK_ID, Tokenizers

FAULTS = {
    "control characters": re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]"),
    "replacement characters": re.compile("\ufffd"),
    "doubly encoded text": re.compile("[ÃÂ][\x80-\xbf]|â€|â\x80|ï»¿"),
    "stacked marks": re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{8,}"),
}
_ANY_FAULT = re.compile("|".join(pattern.pattern for pattern in FAULTS.values()))
KEPT_PLACES = 3


@dataclass
class Places:
    """How many there are, and where the first few stand."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, place: str) -> None:
        self.count += 1
        if len(self.first) < KEPT_PLACES:
            self.first.append(place)


@dataclass
class TokenCounts:
    """Tokens of the pairs of one corpus, source and target."""

    total: list[int] = field(default_factory=lambda: [0, 0])
    unknown: list[int] = field(default_factory=lambda: [0, 0])
    longest: int = 0

    @property
    def unknown_share(self) -> float:
        return sum(self.unknown) / max(1, sum(self.total))

    def add(self, side: int, rows: Sequence[Sequence[int]]) -> None:
        self.total[side] += sum(map(len, rows))
        self.unknown[side] += sum(row.count(UNK_ID) for row in rows)
        self.longest = max(self.longest, max(map(len, rows), default=0))


class CorpusScan:
    """What is known of one corpus after its pairs have passed through `add`. Keeps some 25 bytes a pair."""

    def __init__(self, name: str, corpus: CorpusConfig, data: DataConfig, tokenizers: Tokenizers | None) -> None:
        self.name, self.direction = name, corpus.direction
        self.longest_kept = sys.maxsize if data.too_long == "cut" else data.max_length
        self.paths = [str(corpus.path)] if corpus.path is not None else [str(corpus.source), str(corpus.target)]
        self.pairs = self.checked = 0
        self.faults = {name: Places() for name in FAULTS}
        self.not_composed = 0  # lines with letters that are not in their composed form
        self.composed = False  # whether a line has letters that are
        self.copies = Places()
        self.swapped = Places()
        self.dropped: Counter[str] = Counter()
        self.drop_places: dict[str, list[str]] = {}
        self.words = SideWords.empty(), SideWords.empty()
        self.word_totals = [0, 0]
        self.characters: set[str] = set()
        self.tokens = TokenCounts() if tokenizers else None
        self.shift = ShiftSearch()
        self._tokenizers = (tokenizers.source, tokenizers.target) if tokenizers else None
        self._preprocessors = [Preprocessor(data.preprocessing, one) for one in self.direction] if tokenizers else None
        self._hashes: list[Hashes] = []
        self._lines: list[NDArray[np.uint32]] = []
        self._lengths: list[NDArray[np.uint16]] = []

    def add(self, pairs: Sequence[Example], source: Lines, target: Lines) -> None:
        """Look at the next pairs; `source` and `target` are their texts."""
        self.checked += len(pairs)
        self._hashes.append(mix(source.exact) + target.exact)
        self._lines.append(np.fromiter((pair.line for pair in pairs), dtype=np.uint32, count=len(pairs)))
        lengths = (np.fromiter(map(len, side.texts), dtype=np.int64, count=len(pairs)) for side in (source, target))
        self._lengths.append(np.minimum(np.stack(list(lengths)), 65_535).astype(np.uint16))
        for side, lines in enumerate((source, target)):
            self.words[side].add(lines)
            self.word_totals[side] += len(lines.words)
            self._add_faults(pairs, lines.texts, side)
        for row in np.flatnonzero((source.normal == target.normal) & (source.word_counts > 0)).tolist():
            self.copies.add(self.place(pairs[row].line, 0))
        for row in swapped_pairs(source, target, self.words):
            self.swapped.add(self.place(pairs[row].line, 0))
        self.shift.add(source, target)
        self._add_drops(pairs)

    def place(self, line: int, side: int, column: int | None = None) -> str:
        """``file:line:column`` of a text, or ``file:line``, as in a table, where a column would count from who knows where."""
        if len(self.paths) == 1 or column is None:
            return f"{self.paths[min(side, len(self.paths) - 1)]}:{line}"
        return f"{self.paths[side]}:{line}:{column}"

    def lines(self) -> NDArray[np.uint32]:
        """The line at which each pair stands, [N]."""
        return np.concatenate(self._lines) if self._lines else np.empty(0, dtype=np.uint32)

    def lengths(self) -> NDArray[np.uint16]:
        """Characters of source and target, [2, N]."""
        return np.concatenate(self._lengths, axis=1) if self._lengths else np.empty((2, 0), dtype=np.uint16)

    def duplicates(self) -> tuple[int, list[tuple[int, int]]]:
        """How many pairs are copies of an earlier one, and the lines of the first few with those of their originals."""
        if not self._hashes:
            return 0, []
        hashes = np.concatenate(self._hashes)
        order = np.argsort(hashes, kind="stable")
        again = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
        lines = self.lines()
        first = sorted(zip(order[again + 1].tolist(), order[again].tolist(), strict=True))[:KEPT_PLACES]
        return len(again), [(int(lines[copy]), int(lines[original])) for copy, original in first]

    def figures(self, duplicates: int) -> CorpusFigures:
        count = max(1, self.checked)
        words = [total / count for total in self.word_totals]
        tokens = self.tokens
        return CorpusFigures(
            name=self.name,
            files=tuple(self.paths),
            pairs=self.pairs,
            checked=self.checked,
            dropped=dict(self.dropped),
            duplicates=duplicates,
            source_words=words[0],
            target_words=words[1],
            source_tokens=tokens.total[0] / count if tokens else None,
            target_tokens=tokens.total[1] / count if tokens else None,
            longest=tokens.longest if tokens else None,
            unknown_share=tokens.unknown_share if tokens else None,
        )

    def _add_faults(self, pairs: Sequence[Example], texts: Sequence[str], side: int) -> None:
        joined = "\n".join(texts)
        self.characters.update(joined)
        if joined.isascii() and not _ANY_FAULT.search(joined):
            return
        if not unicodedata.is_normalized("NFC", joined):
            self.not_composed += sum(not unicodedata.is_normalized("NFC", text) for text in texts)
        if not self.composed:
            forms = (unicodedata.is_normalized("NFC", text) and not unicodedata.is_normalized("NFD", text) for text in texts)
            self.composed = any(forms)
        if not _ANY_FAULT.search(joined):
            return
        for pair, text in zip(pairs, texts, strict=True):
            if not _ANY_FAULT.search(text):
                continue
            for name, pattern in FAULTS.items():
                if (found := pattern.search(text)) is not None:
                    column = len(text[: found.start()].encode("utf-8", "surrogatepass")) + 1
                    self.faults[name].add(self.place(pair.line, side, column))

    def _add_drops(self, pairs: Sequence[Example]) -> None:
        texts = [[pair.source for pair in pairs], [pair.target for pair in pairs]]
        lengths = [[1 if text else 0 for text in side] for side in texts]
        if self._tokenizers and self._preprocessors and self.tokens:
            for side in (0, 1):
                texts[side] = [self._preprocessors[side].apply(text) for text in texts[side]]
                rows = self._tokenizers[side].encode_many(texts[side])
                self.tokens.add(side, rows)
                lengths[side] = list(map(len, rows))
        for pair, source, target, one, other in zip(pairs, *texts, *lengths, strict=True):
            reason = drop_reason(source, target, one, other, self.longest_kept)
            if reason is not None:
                self.dropped[reason] += 1
                places = self.drop_places.setdefault(reason, [])
                if len(places) < KEPT_PLACES:
                    blank_target = reason == "empty target"
                    places.append(self.place(pair.line, 1 if blank_target else 0))
