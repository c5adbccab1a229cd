"""Where two files of unequal length can be seen to part: lengths of lines → a line number.

Translations have lengths in proportion. Following Gale and Church (1993), the misfit of a pair is the squared difference of its
lengths in characters over their variance. From a missing line on, pairs fit badly as they stand and well when shifted by one.
A pass over both files finds the shift points of least total misfit (a Viterbi search over 0, 1, … lines of shift).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

MAX_SHIFT = 8
VARIANCE = 6.8  # of the length difference, per character (Gale and Church 1993, section 3.2)
WORST = 8.0  # a single odd pair must not decide
CHUNK = 1 << 15


def drift_guess(source: Iterable[list[str]], target: Iterable[list[str]], source_lines: int, target_lines: int) -> int | None:
    """The line, from 1, at which the shorter file begins to miss lines; None where it only seems to be cut off at its end.

    Args:
        source, target: the lines, in lists.
        source_lines, target_lines: how many there are, not equal.
    """
    longer, shorter = (source, target) if source_lines > target_lines else (target, source)
    missing = abs(source_lines - target_lines)
    fewer = min(source_lines, target_lines)
    if not fewer:
        return None
    shifts = min(missing, MAX_SHIFT)
    search = _Search(shifts, unrelated=missing > MAX_SHIFT, penalty=6.0 + math.log(fewer))
    for long_block, short_block in _aligned_chunks(_lengths(longer), _lengths(shorter), shifts):
        search.add(_misfits(long_block, short_block, shifts))
    return search.first_shift()


def _lengths(blocks: Iterable[list[str]]) -> Iterator[Floats]:
    for lines in blocks:
        yield np.fromiter(map(len, lines), dtype=np.float64, count=len(lines))


def _aligned_chunks(longer: Iterator[Floats], shorter: Iterator[Floats], shifts: int) -> Iterator[tuple[Floats, Floats]]:
    """Chunks of n short and n + `shifts` long lengths that begin at the same line."""
    held, short = np.empty(0), np.empty(0)
    more = True
    while more:
        while more and len(short) < CHUNK:
            block = next(shorter, None)
            more = block is not None
            short = np.concatenate([short, block]) if block is not None else short
        while len(held) < len(short) + shifts and (block := next(longer, None)) is not None:
            held = np.concatenate([held, block])
        count = len(short)
        if count:
            yield held[: count + shifts], short
        held, short = held[count:], np.empty(0)


def _misfits(longer: Floats, shorter: Floats, shifts: int) -> Floats:
    """Misfit [shifts + 1, lines] of every short line with the long line `shift` further on."""
    n = len(shorter)
    ratio = (longer[:n].sum() + n) / (shorter.sum() + n)
    scaled = shorter * ratio
    shifted = np.stack([longer[shift : shift + n] for shift in range(shifts + 1)])
    deviation = (shifted - scaled) ** 2 / (VARIANCE * (1 + ratio) / 2 * ((shifted + scaled) / 2 + 1))
    misfit: Floats = np.minimum(deviation / 2, WORST)
    return misfit


class _Search:
    """Least total misfit over paths 0 → 1 → … of shift, and the line at which the best path first leaves 0.

    With `unrelated`, for more missing lines than are searched, the path goes from shift 0 to lines that do not fit at all.
    """

    def __init__(self, shifts: int, *, unrelated: bool, penalty: float) -> None:
        states = 2 if unrelated else shifts + 1
        self.unrelated, self.penalty = unrelated, penalty
        self.cost = np.array([0.0] + [np.inf] * (states - 1))
        self.left = np.full(states, -1, dtype=np.int64)
        self.lines = 0

    def add(self, misfit: Floats) -> None:
        if self.unrelated:
            # Shifted lines are paired at random. Less than their mean, or the end of the fit would not be sharp.
            random = np.full((1, misfit.shape[1]), 0.6 * misfit[1:].mean())
            misfit = np.vstack([misfit[:1], random])
        n = misfit.shape[1]
        totals = np.concatenate([np.zeros((len(misfit), 1)), misfit.cumsum(axis=1)], axis=1)
        lines = np.arange(n + 1)
        # Costs and pointers before each line of the chunk and after the last one.
        cost, left = self.cost[0] + totals[0], np.full(n + 1, -1, dtype=np.int64)
        ends = [(cost[-1], left[-1])]
        for state in range(1, len(misfit)):
            departed = np.where(left < 0, self.lines + lines, left)
            enter = cost + self.penalty - totals[state]
            pointer = departed
            if self.cost[state] < enter[0]:
                enter[0], pointer = self.cost[state], pointer.copy()
                pointer[0] = self.left[state]
            best = np.minimum.accumulate(enter)
            fresh = np.concatenate([[True], enter[1:] < best[:-1]])
            taken = np.maximum.accumulate(np.where(fresh, lines, 0))
            cost, left = best + totals[state], pointer[taken]
            ends.append((cost[-1], left[-1]))
        self.cost = np.array([cost for cost, _ in ends])
        self.left = np.array([left for _, left in ends])
        self.lines += n

    def first_shift(self) -> int | None:
        best = int(self.left[int(self.cost.argmin())])
        return best + 1 if best >= 0 else None
