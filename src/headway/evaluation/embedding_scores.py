"""Scores of vectors as pure functions: how often the nearest text is the right one, and whether cosines rank as people do.

Rows of vectors have unit length, and may be sparse. N queries, M different candidates, R resamples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.evaluation.label_scores import measurement_of
from headway.evaluation.metrics import Measurement

CHUNK_ELEMENTS = 1 << 22  # cosines held at a time
DEPTHS = (1, 5)


@dataclass(frozen=True)
class Retrieval:
    """What became of N queries.

    Attributes:
        ahead: how many wrong candidates are at least as near as the nearest right one, [N]; so a tie is no success.
        nearest: the row whose text is nearest, [N]; of a tie a wrong one.
        right: how many candidates are right, [N].
        candidates: how many there are.
    """

    ahead: NDArray[np.int64]
    nearest: NDArray[np.int64]
    right: NDArray[np.int64]
    candidates: int

    def found(self, depth: int) -> NDArray[np.float64]:
        """Which queries have a right one among their `depth` nearest."""
        return (self.ahead < depth).astype(np.float64)

    def by_chance(self, depth: int) -> NDArray[np.float64]:
        """How probable that is among `depth` candidates drawn at random."""
        missed = np.ones(len(self.right))
        for drawn in range(min(depth, self.candidates)):
            missed *= np.maximum(self.candidates - drawn - self.right, 0) / (self.candidates - drawn)
        return 1 - missed


def retrieve(queries_ND: Any, candidates_ND: Any, asked: Sequence[str], answers: Sequence[str]) -> Retrieval:
    """Each text of `asked` looks for its answer, which stands in the same row, among all answers.

    A text that stands in several rows is one candidate, and right for every text that it answers somewhere. What reads like
    the query itself is no candidate, unless it is right.
    """
    first: dict[str, int] = {}
    for row, text in enumerate(answers):
        first.setdefault(text, row)
    column, rows_M = {text: number for number, text in enumerate(first)}, np.array(list(first.values()))
    own: dict[str, set[int]] = defaultdict(set)
    for question, answer in zip(asked, answers, strict=True):
        own[question].add(column[answer])
    distinct_MD = candidates_ND[rows_M]
    ahead, nearest, right = (np.zeros(len(asked), dtype=np.int64) for _ in range(3))
    step = max(1, CHUNK_ELEMENTS // len(rows_M))
    for start in range(0, len(asked), step):
        part = slice(start, start + step)
        cosine_CM = queries_ND[part] @ distinct_MD.T
        cosine_CM = cosine_CM if isinstance(cosine_CM, np.ndarray) else cosine_CM.toarray()
        right_CM = np.zeros(cosine_CM.shape, dtype=bool)
        for row, question in enumerate(asked[part]):
            right_CM[row, list(own[question])] = True
            if question in column and column[question] not in own[question]:
                cosine_CM[row, column[question]] = -np.inf
        best_C = np.where(right_CM, cosine_CM, -np.inf).max(1)
        wrong_CM = ~(cosine_CM < best_C[:, None]) & ~right_CM  # so that what is no number is wrong
        ahead[part], right[part] = wrong_CM.sum(1), right_CM.sum(1)
        shown_CM = np.where(wrong_CM.any(1, keepdims=True) & right_CM, -np.inf, cosine_CM)
        nearest[part] = rows_M[shown_CM.argmax(1)]
    return Retrieval(ahead, nearest, right, len(rows_M))


def retrieve_both(vectors: Sequence[Any], texts: Sequence[Sequence[str]]) -> tuple[Retrieval, Retrieval]:
    """Targets for the sources, and sources for the targets; vectors and texts are those of both sides."""
    (sources_ND, targets_ND), (sources, targets) = vectors, texts
    return retrieve(sources_ND, targets_ND, sources, targets), retrieve(targets_ND, sources_ND, targets, sources)


def retrieval_scores(both: tuple[Retrieval, Retrieval], *, by_chance: bool = False) -> dict[str, Measurement]:
    """Accuracy@k in per cent: how many queries have a right text among their k nearest; of all directions, and of each."""

    def share(name: str, label: str, depth: int, some: Sequence[Retrieval]) -> Measurement:
        found = [one.by_chance(depth) if by_chance else one.found(depth) for one in some]
        statistics = np.stack((np.sum(found, axis=0), np.full(len(found[0]), len(found))), 1)
        unit = f"share of queries with a right text among their {depth} nearest"
        of = " and ".join(f"{one.candidates:,}" for one in some)
        return measurement_of(name, label, f"{unit} of {of}", statistics, "share")

    results = [share("accuracy@1", "accuracy@1", 1, both)]
    for name, direction, one in zip(
        ("source_to_target", "target_to_source"), ("source → target", "target → source"), both, strict=True
    ):
        results += [share(f"{name}@{depth}", f"{direction} @{depth}", depth, [one]) for depth in DEPTHS]
    return {one.name: one for one in results}


def rating_scores(cosines_N: NDArray[np.floating], ratings_N: NDArray[np.floating]) -> dict[str, Measurement]:
    """Spearman's rank correlation of cosines and ratings; every resample of the bootstrap is ranked anew."""
    unit = "rank correlation of cosine and rating, from -1 to 1"
    return {"spearman": measurement_of("spearman", "Spearman's ρ", unit, np.stack((cosines_N, ratings_N), 1), "spearman")}
