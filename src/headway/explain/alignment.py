"""Which words of a source and its translation belong together, by where the model looked.

The mean over all layers and heads of the cross-attention does it best: where the true alignment is known it errs in 1 to 3 of
100 words, single layers and occlusion in 4 to 8 (docs/explain.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.explain.attention import stacks
from headway.explain.sides import BLANK, INSIDE, Side


@dataclass(frozen=True)
class Link:
    """A word of the answer and the word of the source that it renders; `share` is how much of the looking at words went there."""

    target: int
    source: int
    share: float


def alignment(maps: Mapping[str, NDArray[np.float32]], source: Side, target: Side) -> list[Link]:
    """For each word of the answer the word of the source that the model looked at most, in order.

    Args:
        maps: of a forward pass that says `target`, as `attention_maps` gives them.
    """
    weights_TS = looked_at(maps, "cross_attention")
    # Row t says piece t + 1 of what the decoder reads; the last says the end.
    said_words = np.array(target.words[1:]) - target.words[1] if len(target) > 1 else np.array([], dtype=int)
    by_word = summed(weights_TS[: len(said_words)], said_words, axis=0)
    plain = ~np.array(source.marks)
    by_words = summed(by_word[:, plain], np.array(source.words)[plain], axis=1)
    total = by_words.sum(1)
    return [
        Link(word, int(row.argmax()), float(row.max() / whole))
        for word, (row, whole) in enumerate(zip(by_words, total, strict=True))
        if whole > 0
    ]


def looked_at(maps: Mapping[str, NDArray[np.float32]], kind: str) -> NDArray[np.float64]:
    """The mean over all layers and heads of the decoder's attention of a kind, [Q, K]."""
    mean_QK: NDArray[np.float64] = np.mean([weights.mean(0) for weights in stacks(maps)[f"decoder {kind}"]], axis=0)
    return mean_QK


def summed(values: NDArray[Any], groups: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
    """Sums of the rows or columns that belong to a word; word w is at place w."""
    moved = np.moveaxis(values.astype(np.float64), axis, 0)
    sums = np.zeros((int(groups.max(initial=-1)) + 1, *moved.shape[1:]))
    np.add.at(sums, groups, moved)
    return np.moveaxis(sums, 0, axis)


def words_of(side: Side) -> list[str]:
    """The words that the pieces of a side make up, by number; a mark is a word of its own."""
    words = [""] * (max(side.words, default=-1) + 1)
    for piece, number in zip(side.pieces, side.words, strict=True):
        words[number] += piece.removeprefix(INSIDE).removeprefix(BLANK)
    return words


def shown_links(links: Sequence[Link], source: Side, target: Side) -> list[tuple[str, str, float]]:
    """Word of the answer, word of the source, share."""
    read, said = words_of(source), words_of(target)[1:]
    return [(said[link.target], read[link.source], link.share) for link in links]
