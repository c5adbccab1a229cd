"""Pairs that are held out (validation, test) and yet stand in the training data: hashes of lines → which, and where.

Exact, the same but for case, blanks or compatibility characters, one word changed, or one side only. Held-out pairs are kept
as hashes; the other corpus streams past them once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headway.data.checks.lines import Hashes, Lines, mix

Kind: TypeAlias = Literal["exact", "normalised", "near", "one side"]
KINDS: tuple[Kind, ...] = ("exact", "normalised", "near", "one side")  # a pair counts under the first that is true of it
MIN_NEAR_WORDS = 5  # of the longer side; shorter texts are a word apart by chance
MIN_SIDE_WORDS = 4  # a short text may well be said twice
MAX_NEAR_PAIRS = 200_000  # held-out pairs that are compared word by word; each needs some 300 bytes
MAX_OWNERS = 32  # lines in one piece that are looked at for one hash: more are a template, not a copy


@dataclass
class _Seen:
    """What was met of N held-out pairs in one other corpus."""

    kinds: NDArray[np.int8]  # index into KINDS
    lines: NDArray[np.int64]  # where it was met first

    @classmethod
    def nothing(cls, size: int) -> _Seen:
        return cls(np.full(size, len(KINDS), dtype=np.int8), np.zeros(size, dtype=np.int64))

    def note(self, kind: Kind, rows: NDArray[np.int64], lines: NDArray[np.int64]) -> None:
        number = KINDS.index(kind)
        better = self.kinds[rows] > number
        # Backwards, so that of several lines for one row the first one stays.
        self.kinds[rows[better]] = number
        self.lines[rows[better][::-1]] = lines[better][::-1]


class HeldOut:
    """The pairs of one held-out corpus. First `add` all of them, then let other corpora pass through `look`."""

    def __init__(self, *, near: bool) -> None:
        self._near = near
        self._parts: list[tuple[Hashes, ...]] = []
        self._words: list[NDArray[np.int64]] = []
        self._keys: tuple[list[Hashes], list[Hashes]] = ([], [])
        self._owners: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
        self._sealed = False
        self._seen: dict[str, _Seen] = {}
        self.lines: list[NDArray[np.int64]] = []
        self.size = self.compared = 0

    def add(self, source: Lines, target: Lines, lines: NDArray[np.int64]) -> None:
        """Add pairs; `lines` is where each of them stands in its file."""
        self._parts.append((*_pair_hashes(source, target), source.normal, target.normal))
        self._words.append(np.stack([source.word_counts, target.word_counts]))
        self.lines.append(lines)
        if self._near and self.size < MAX_NEAR_PAIRS:
            for side, text in enumerate((source, target)):
                keys, owners = _near_keys(text)
                self._keys[side].append(keys)
                self._owners[side].append(owners + self.size)
            self.compared = self.size + len(lines)
        self.size += len(lines)

    def look(self, other: str, source: Lines, target: Lines, lines: NDArray[np.int64]) -> None:
        """Note which held-out pairs stand among these pairs of the corpus `other`."""
        if not self._sealed:
            self._seal()
        seen = self._seen.setdefault(other, _Seen.nothing(self.size))
        if not self.size or not len(lines):
            return
        for kind, held, passing in zip(KINDS[:2], self._whole[:2], _pair_hashes(source, target), strict=True):
            rows, places = _first_matches(held, passing)
            written = self._word_counts.min(axis=0)[rows] > 0  # two blank lines are no copies
            seen.note(kind, rows[written], lines[places[written]])
        if self._near:
            rows, places = self._near_matches(source, target)
            seen.note("near", rows, lines[places])
        for side, text in enumerate((source, target)):
            rows, places = _first_matches(self._whole[2 + side], text.normal)
            long_enough = self._word_counts[side][rows] >= MIN_SIDE_WORDS
            seen.note("one side", rows[long_enough], lines[places[long_enough]])

    def found(self, other: str) -> dict[Kind, list[tuple[int, int]]]:
        """Lines of held-out pairs and the lines of `other` at which they were first met, by kind, in the held-out order."""
        own = np.concatenate(self.lines) if self.lines else np.empty(0, dtype=np.int64)
        seen = self._seen.get(other, _Seen.nothing(self.size))
        return {
            kind: [(int(own[row]), int(seen.lines[row])) for row in np.flatnonzero(seen.kinds == number)]
            for number, kind in enumerate(KINDS)
        }

    def _seal(self) -> None:
        self._sealed = True
        if not self.size:
            return
        self._whole = [np.concatenate(part) for part in zip(*self._parts, strict=True)]
        self._word_counts = np.concatenate(self._words, axis=1)
        if self._near:
            self._sorted_keys = [
                _Owners(np.concatenate(keys), np.concatenate(owners))
                for keys, owners in zip(self._keys, self._owners, strict=True)
            ]
        self._parts, self._words, self._keys, self._owners = [], [], ([], []), ([], [])

    def _near_matches(self, source: Lines, target: Lines) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Held-out rows and passing rows that are at most one word apart on either side."""
        sides = []
        for held, text in zip(self._sorted_keys, (source, target), strict=True):
            keys, owners = _near_keys(text)
            rows, places = held.of(keys)
            sides.append(np.unique(rows << 32 | owners[places]))
        both = np.intersect1d(sides[0], sides[1], assume_unique=True)
        rows, places = both >> 32, both & 0xFFFFFFFF
        passing = np.maximum(source.word_counts, target.word_counts)[places]
        long_enough = np.minimum(self._word_counts.max(axis=0)[rows], passing) >= MIN_NEAR_WORDS
        return rows[long_enough], places[long_enough]


class _Owners:
    """Hash → the rows that have it."""

    def __init__(self, keys: Hashes, owners: NDArray[np.int64]) -> None:
        order = np.argsort(keys, kind="stable")
        self._keys, self._owners = keys[order], owners[order]

    def of(self, keys: Hashes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows that have any of `keys`, and which of them it is."""
        low = np.searchsorted(self._keys, keys)
        hit = np.flatnonzero(self._keys[np.minimum(low, len(self._keys) - 1)] == keys)
        high = np.searchsorted(self._keys, keys[hit], side="right")
        number = np.minimum(high - low[hit], MAX_OWNERS)
        steps = np.arange(int(number.sum())) - np.repeat(number.cumsum() - number, number)
        return self._owners[np.repeat(low[hit], number) + steps], np.repeat(hit, number)


def _pair_hashes(source: Lines, target: Lines) -> tuple[Hashes, Hashes]:
    return mix(source.exact) + target.exact, mix(source.normal) + target.normal


def _near_keys(text: Lines) -> tuple[Hashes, NDArray[np.int64]]:
    """Hashes of the words of each line and of what is left of them without one, and the line that each belongs to.

    Two lines share one of these exactly if one word was put in, left out, changed or moved, or only punctuation was.
    """
    return np.concatenate([text.bare, text.without_one]), np.concatenate([np.arange(len(text.texts)), text.rows])


def _first_matches(held: Hashes, passing: Hashes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Held-out rows that are among `passing`, and the first place of each."""
    order = np.argsort(passing, kind="stable")
    ordered = passing[order]
    at = np.minimum(np.searchsorted(ordered, held), len(passing) - 1)
    rows = np.flatnonzero(ordered[at] == held)
    return rows, order[at[rows]]
