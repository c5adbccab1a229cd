"""Pairs that are shifted by a line: both sides of a corpus → the stretches in which line i goes with line i + k.

Lines that are translations of each other have like lengths (Gale and Church 1993), end alike and share numbers, names and word
beginnings (Simard et al. 1992). How much each of these tells is learned from the corpus itself: the log-odds of what is seen
in aligned lines against lines paired at random. A Viterbi search over blocks of lines then finds where the shift changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from headway.data.checks.lines import Hashes, Lines

SHIFTS = (-2, -1, 0, 1, 2)
ZERO = SHIFTS.index(0)
UNRELATED = len(SHIFTS)  # the state of lines that go with none; its log-odds are 0 by definition
REACH = max(SHIFTS)
CALIBRATION_LINES = 40_000
MIN_LINES = 64
BLOCK = 16
CHANGE_PENALTY = 12.0  # nats that a change of state must gain
MIN_GAIN = 20.0  # nats by which a stretch must fit better than as it stands: odds of 5e8 to 1
MIN_FIT = 0.4  # of the fit of the lines learned from; a stretch that fits a shift less is as good as unrelated
MIN_TELLING = 0.15  # nats a line; below this the sides hardly tell translations from chance
MIN_UNRELATED_LINES = 64
_SCALE, _LIMIT = 4, 31  # scores are kept as int8 quarters of a nat
_LENGTH_BINS, _SHARED_BINS, _ENDS = 10, 5, 6
_MASK_WORDS = 4
_END_MARKS = {
    mark: number for number, marks in enumerate((".。．｡।", "?？؟", "!！", ":：;；,，、", "\"'”’»)）]」』"), 1) for mark in marks
}
_BITS = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.uint8)


@dataclass(frozen=True)
class Stretch:
    """Rows `first` to `last` (from 0, both included) whose source goes with the target `shift` rows further; None: with none."""

    first: int
    last: int
    shift: int | None


@dataclass
class _Features:
    """What is compared of N lines of one side."""

    length: NDArray[np.float64]  # characters
    end: NDArray[np.int64]  # kind of the last character
    mask: Hashes  # [N, 4], one bit for the stem of each word

    @classmethod
    def of(cls, lines: Lines) -> _Features:
        texts = lines.texts
        length = np.fromiter(map(len, texts), dtype=np.float64, count=len(texts))
        ends = (_END_MARKS.get(text.rstrip()[-1:], 0) for text in texts)
        mask = np.zeros((len(texts), _MASK_WORDS), dtype=np.uint64)
        known = lines.stems != 0
        stems, rows = lines.stems[known], lines.rows[known]
        bits = np.uint64(1) << (stems & np.uint64(63))
        np.bitwise_or.at(mask, (rows, ((stems >> np.uint64(6)) % np.uint64(_MASK_WORDS)).astype(np.int64)), bits)
        return cls(length, np.fromiter(ends, dtype=np.int64, count=len(texts)), mask)

    def __len__(self) -> int:
        return len(self.length)

    def take(self, start: int, stop: int) -> _Features:
        return _Features(self.length[start:stop], self.end[start:stop], self.mask[start:stop])

    def rolled(self, shift: int) -> _Features:
        return _Features(np.roll(self.length, -shift), np.roll(self.end, -shift), np.roll(self.mask, -shift, axis=0))

    def followed_by(self, other: _Features) -> _Features:
        return _Features(
            np.concatenate([self.length, other.length]),
            np.concatenate([self.end, other.end]),
            np.concatenate([self.mask, other.mask]),
        )


class _Odds:
    """Log-odds of aligned lines against random ones, by what is seen in them."""

    def __init__(self, source: _Features, target: _Features) -> None:
        self._ratio = (target.length.sum() + 1) / (source.length.sum() + 1)
        far = [target.rolled(step) for step in (max(REACH + 1, len(source) // 3), len(source) // 2, -len(source) // 5)]
        misfit = np.concatenate([self._misfit(source, other) for other in far])
        self._edges = np.quantile(misfit, np.arange(1, _LENGTH_BINS) / _LENGTH_BINS)
        seen = [self._seen(source, target.rolled(shift)) for shift in SHIFTS]
        random = self._tables([self._seen(source, other) for other in far], np.ones(len(source) * len(far), dtype=bool))
        everywhere = np.ones(len(source), dtype=bool)
        tables = [self._log_odds([bins], everywhere, random) for bins in seen]
        best = int(np.argmax([self._score(bins, table).mean() for bins, table in zip(seen, tables, strict=True)]))
        # Where only a part of the lines is aligned under any one shift, learn again from the lines that fit each shift best.
        fits = np.stack([_smooth(self._score(bins, tables[best])) for bins in seen])
        chosen = [(fits.argmax(axis=0) == number) & (fits[number] > 0) for number in range(len(SHIFTS))]
        self._table = self._log_odds(seen, np.concatenate(chosen), random)
        fit = np.concatenate([self._score(bins, self._table)[rows] for bins, rows in zip(seen, chosen, strict=True)])
        self.telling = float(fit.mean()) if len(fit) >= len(source) // 4 else 0.0

    def scores(self, source: _Features, target: _Features) -> NDArray[np.float64]:
        """Log-odds of each pair, [N]."""
        return self._score(self._seen(source, target), self._table)

    def _misfit(self, source: _Features, target: _Features) -> NDArray[np.float64]:
        expected = source.length * self._ratio
        misfit: NDArray[np.float64] = np.abs(target.length - expected) / np.sqrt((target.length + expected) / 2 + 4)
        return misfit

    def _seen(self, source: _Features, target: _Features) -> list[NDArray[np.int64]]:
        shared = _BITS[(source.mask & target.mask).view(np.uint8)].reshape(len(source), -1).sum(axis=1, dtype=np.int64)
        length = np.searchsorted(self._edges, self._misfit(source, target))
        return [length, source.end * _ENDS + target.end, np.minimum(shared, _SHARED_BINS - 1)]

    @staticmethod
    def _tables(seen: list[list[NDArray[np.int64]]], chosen: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
        tables = []
        for number, size in enumerate((_LENGTH_BINS, _ENDS * _ENDS, _SHARED_BINS)):
            counts = np.bincount(np.concatenate([bins[number] for bins in seen])[chosen], minlength=size) + 1.0
            tables.append(np.log(counts / counts.sum()))
        return tables

    def _log_odds(
        self, seen: list[list[NDArray[np.int64]]], chosen: NDArray[np.bool_], random: list[NDArray[np.float64]]
    ) -> list[NDArray[np.float64]]:
        return [aligned - chance for aligned, chance in zip(self._tables(seen, chosen), random, strict=True)]

    @staticmethod
    def _score(seen: list[NDArray[np.int64]], table: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        score: NDArray[np.float64] = sum(
            (odds[bins] for odds, bins in zip(table, seen, strict=True)), start=np.zeros(len(seen[0]))
        )
        return score


def _smooth(score: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.convolve(score, np.ones(2 * BLOCK + 1), mode="same")


class ShiftSearch:
    """Takes the pairs of a corpus piece by piece (`add`), then tells the stretches that do not stand as they should (`found`)."""

    def __init__(self) -> None:
        self._odds: _Odds | None = None
        self._held: tuple[_Features, _Features] | None = None
        self._fresh = 0  # the first row of `_held` that has no score yet; those before it are only neighbours
        self._scores: list[NDArray[np.int8]] = []  # [lines, SHIFTS]

    @property
    def telling(self) -> float:
        """Nats that a line tells on average, once enough lines were seen; under MIN_TELLING nothing can be said."""
        return self._odds.telling if self._odds else 0.0

    def add(self, source: Lines, target: Lines) -> None:
        fresh = _Features.of(source), _Features.of(target)
        self._held = fresh if self._held is None else (self._held[0].followed_by(fresh[0]), self._held[1].followed_by(fresh[1]))
        if len(self._held[0]) >= CALIBRATION_LINES or self._odds:
            self._score_held(last=False)

    def found(self) -> list[Stretch]:
        """Stretches of shifted or unrelated lines, in order. To be called once, at the end."""
        if self._held is None or (self._odds is None and len(self._held[0]) < MIN_LINES):
            return []
        self._score_held(last=True)
        if self.telling < MIN_TELLING:
            return []
        return _stretches(np.concatenate(self._scores), self.telling)

    def _score_held(self, *, last: bool) -> None:
        assert self._held is not None
        source, target = self._held
        if self._odds is None:
            self._odds = _Odds(source, target)
        stop = len(source) if last else len(source) - REACH
        scores = np.zeros((max(stop - self._fresh, 0), len(SHIFTS)), dtype=np.int8)
        for number, shift in enumerate(SHIFTS):
            low, high = max(self._fresh, -shift), min(stop, len(source) - shift)
            if low < high:
                fit = self._odds.scores(source.take(low, high), target.take(low + shift, high + shift))
                scores[low - self._fresh : high - self._fresh, number] = np.rint(np.clip(fit, -_LIMIT, _LIMIT) * _SCALE)
        self._scores.append(scores)
        keep = max(stop - REACH, 0)
        self._held = source.take(keep, len(source)), target.take(keep, len(target))
        self._fresh = stop - keep


def _stretches(scores: NDArray[np.int8], telling: float) -> list[Stretch]:
    """The stretches of the best path that are no whim of chance, their ends found to the line."""
    found: list[Stretch] = []
    path = _best_path(scores)
    changes = np.flatnonzero(np.diff(path)) + 1
    bounds = [0, *changes.tolist(), len(path)]
    for begin, end in pairwise(bounds):
        state = int(path[begin])
        if state == ZERO:
            continue
        first = _refine(scores, begin * BLOCK, int(path[begin - 1]), state) if begin else 0
        last = _refine(scores, end * BLOCK, state, int(path[end])) - 1 if end < len(path) else len(scores) - 1
        part = scores[first : last + 1].astype(np.float64) / _SCALE
        fit = part[:, state].sum() if state != UNRELATED else 0.0
        if not len(part) or fit - part[:, ZERO].sum() < MIN_GAIN:
            continue
        if state != UNRELATED and fit / len(part) >= MIN_FIT * telling:
            found.append(Stretch(first, last, SHIFTS[state]))
        elif len(part) >= MIN_UNRELATED_LINES:
            found.append(Stretch(first, last, None))
    return found


def _best_path(scores: NDArray[np.int8]) -> NDArray[np.int8]:
    """The likeliest state of every block of lines."""
    starts = np.arange(0, len(scores), BLOCK)
    blocks = np.zeros((len(starts), len(SHIFTS) + 1))
    blocks[:, : len(SHIFTS)] = np.add.reduceat(scores, starts, axis=0, dtype=np.int64) / _SCALE
    total = blocks[0].copy()
    total[np.arange(len(total)) != ZERO] -= CHANGE_PENALTY  # a corpus begins as it should, unless it shows otherwise
    stayed = np.zeros((len(starts), len(total)), dtype=bool)
    source = np.zeros(len(starts), dtype=np.int8)
    for number in range(1, len(starts)):
        best = int(total.argmax())
        moved = total[best] - CHANGE_PENALTY
        stayed[number] = total >= moved
        source[number] = best
        total = np.maximum(total, moved) + blocks[number]
    path = np.empty(len(starts), dtype=np.int8)
    path[-1] = total.argmax()
    for number in range(len(starts) - 1, 0, -1):
        path[number - 1] = path[number] if stayed[number, path[number]] else source[number]
    return path


def _refine(scores: NDArray[np.int8], near: int, before: int, after: int) -> int:
    """The line near `near` at which one state best hands over to the other."""
    low, high = max(0, near - 2 * BLOCK), min(len(scores), near + 2 * BLOCK)
    part = np.zeros((high - low, len(SHIFTS) + 1))
    part[:, : len(SHIFTS)] = scores[low:high]
    gain = np.concatenate([[0.0], np.cumsum(part[:, before] - part[:, after])])
    return low + int(gain.argmax())
