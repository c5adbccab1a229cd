"""The tree of a beam search: every continuation that was weighed, those that lost, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headway.inference.search import Candidate, Fate


@dataclass(frozen=True)
class Node:
    """A continuation; its number is its place in the list of all."""

    parent: int | None  # the number of what it goes on from; None at the start
    step: int  # tokens before it
    text: str
    log_probability: float  # of all tokens up to it
    fate: Fate


@dataclass(frozen=True)
class Ending:
    """A whole answer that the search found."""

    node: int
    text: str
    score: float  # what they are ranked by
    behind: float  # how far its score is below the best


@dataclass(frozen=True)
class SearchTree:
    """A beam search, step by step; `endings` has the best answers first."""

    nodes: list[Node]
    endings: list[Ending]


def search_tree(
    history: Sequence[Sequence[Candidate]],
    length_penalty: float,
    piece_of: Callable[[int], str],
    text_of: Callable[[list[int]], str],
) -> SearchTree:
    """The tree of what `generate` remembered of one source; its endings are all answers that were finished, the best first.

    Args:
        piece_of, text_of: what a token and a whole answer are shown as.
    """
    nodes: list[Node] = []
    tokens: list[list[int]] = []  # of each node, its own last
    beams: list[int | None] = [None]
    endings: list[tuple[float, int]] = []
    for step, candidates in enumerate(history):
        following: list[int | None] = []
        for one in candidates:
            parent = beams[one.parent]
            nodes.append(Node(parent, step, piece_of(one.token), one.log_probability, one.fate))
            tokens.append([*(tokens[parent] if parent is not None else []), one.token])
            if one.fate == "open":
                following.append(len(nodes) - 1)
            elif one.fate == "finished":
                endings.append((one.log_probability / (step + 1) ** length_penalty, len(nodes) - 1))
        beams = following
    ranked = sorted(endings, key=lambda ending: -ending[0])
    best = ranked[0][0] if ranked else 0.0
    return SearchTree(nodes, [Ending(node, text_of(tokens[node][:-1]), score, best - score) for score, node in ranked])
