"""Several corpora as one: the rows of each stand one after another, as many times as the corpus comes in an epoch.

What comes a whole number of times is there as often. Of what is left, such as the half of 2.5, another part is drawn for each
epoch (`batches.drawn_for`). So a large old corpus is mixed in a little at a time, against forgetting, and a small one comes
more often than it is large, as with the temperatures of Arivazhagan et al. (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from headway.data.batches import Rows


class Mixture:
    """`Rows` of several corpora.

    Args:
        parts: the rows of each corpus.
        repeats: how many times each comes in an epoch.
    """

    def __init__(self, parts: Sequence[Rows], repeats: Sequence[float]) -> None:
        self._parts = parts
        copies = [(number, share) for number, repeat in enumerate(repeats) for share in _copies(repeat)]
        self._copies = [number for number, _ in copies]  # which part each is of
        each = [parts[number] for number in self._copies]
        self.source_lengths = np.concatenate([part.source_lengths for part in each])
        self.target_lengths = np.concatenate([part.target_lengths for part in each])
        self._starts = _starts([len(part.source_lengths) for part in each])
        self._stream_starts = _starts([part.stream_length for part in each])
        self.shares: NDArray[np.float64] | None = None
        if any(share < 1 for _, share in copies):
            self.shares = np.repeat([share for _, share in copies], np.diff(self._starts))

    def __len__(self) -> int:
        return len(self.source_lengths)

    def at(self, index: int) -> tuple[int, int]:
        """The number of the part in which row `index` stands, and the number of the row there."""
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        copy = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._copies[copy], index - int(self._starts[copy])

    def source(self, index: int) -> NDArray[np.integer]:
        part, row = self.at(index)
        return self._parts[part].source(row)

    def target(self, index: int) -> NDArray[np.integer]:
        part, row = self.at(index)
        return self._parts[part].target(row)

    @property
    def stream_length(self) -> int:
        return int(self._stream_starts[-1])

    def stream_at(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        return self._look_up(places, lambda copy, inside: self._parts[self._copies[copy]].stream_at(inside))

    def rows_at(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        return self._look_up(places, lambda copy, inside: self._starts[copy] + self._parts[self._copies[copy]].rows_at(inside))

    def _look_up(
        self, places: NDArray[np.integer], find: Callable[[int, NDArray[np.integer]], NDArray[np.integer]]
    ) -> NDArray[np.int64]:
        """What `find` says of each place of the stream, given its copy and the place in the stream of that copy."""
        copies = np.searchsorted(self._stream_starts, places, side="right") - 1
        found = np.empty(np.shape(places), dtype=np.int64)
        for copy in np.unique(copies).tolist():
            here = copies == copy
            found[here] = find(copy, places[here] - self._stream_starts[copy])
        return found


def _starts(sizes: list[int]) -> NDArray[np.int64]:
    """Where each begins when they stand one after another, and where the last one ends."""
    return np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))


def _copies(repeat: float) -> Iterator[float]:
    """The share of each copy: 2.5 → 1, 1, 0.5."""
    yield from [1.0] * int(repeat)
    if rest := repeat % 1:
        yield rest
