"""Phrases that an answer must contain: beam search that shares its beams among what has been written of them.

Dynamic beam allocation (Post and Vilar 2018) over a trie of the phrases (Hu et al. 2019). At each step a beam may go on with its
own best tokens or with the next token of a phrase. The beams are shared out, a place at a time, among banks: those to which
equally many tokens of phrases are missing. A sentence ends only when nothing is missing.

Three things make this hold without exception. What no longer leaves room for the missing tokens is no candidate, so that near
its longest a sentence writes nothing but phrases. A phrase begins where a word may begin, and counts when the token behind it
does not go on with its last word; until then no such token is allowed. And a demanded token is allowed though it repeats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from headway.data.surfaces import Surfaces

NONE = -1
MOST_PHRASES = 32  # different ones in one answer: each costs time at every step of every beam


@dataclass(frozen=True)
class Phrase:
    """One text, and the ways to write it: with a blank before it, at the beginning of a text, behind a bracket."""

    text: str
    variants: tuple[tuple[int, ...], ...]


class Progress(NamedTuple):
    """What one beam has written of the phrases.

    Attributes:
        missing: how often each must still come. node: of the trie, as far as one has been begun.
        ended: the phrase that ends here, if the next token does not go on with its word. within: the last word has not ended.
        fresh: a word may follow without a blank.
    """

    missing: tuple[int, ...]
    node: int
    ended: int
    within: bool
    fresh: bool


class Going(NamedTuple):
    """A beam that goes on with a token, or with the end."""

    total: float
    parent: int
    token: int
    score: float


class Demand:
    """What one answer must contain, and how far each of its beams has come.

    Args:
        phrases: each as often as it must come. written: ids that the answer begins with.
        limit: tokens that it may add to them. Phrases for which there is no room are left out, the last ones first, and so are
            those beyond MOST_PHRASES. Phrases that are written the same way are one.
        beams: of the search.
    """

    def __init__(
        self, phrases: Sequence[Phrase], surfaces: Surfaces, *, written: Sequence[int], limit: int, eos_id: int, beams: int
    ) -> None:
        self._begins, self._ends, self._openings = surfaces.begins, surfaces.ends, surfaces.openings
        self._spoiling = surfaces.spoiling
        self._eos_id, self._beams = eos_id, beams
        distinct = list(dict.fromkeys(phrase.variants for phrase in phrases))[:MOST_PHRASES]
        self._costs = [min(map(len, self._anywhere(variants))) for variants in distinct]
        self._children: list[dict[int, int]] = [{}]
        self._phrase_of: list[int] = [NONE]
        self._below: list[list[tuple[int, int]]] = [[]]  # phrases that a node leads to, and the tokens to their ends
        self._path: list[tuple[int, ...]] = [()]
        for number, variants in enumerate(distinct):
            for variant in variants:
                self._plant(number, variant)
        self._fallback = [self._otherwise(path) for path in self._path]
        counts = [0] * len(distinct)
        start = self._begun(counts, written)
        for number in [distinct.index(phrase.variants) for phrase in phrases if phrase.variants in distinct]:
            counts[number] += 1
            if self.tokens_missing(self._begun(counts, written)) > limit:
                counts[number] -= 1
            else:
                start = self._begun(counts, written)
        self.states = [start] * beams

    def _anywhere(self, variants: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
        """Those that may follow whatever has been written."""
        return [variant for variant in variants if variant[0] not in self._begins] or list(variants)

    def _plant(self, number: int, variant: tuple[int, ...]) -> None:
        node = 0
        for place, token in enumerate(variant):
            if token not in self._children[node]:
                self._children[node][token] = len(self._children)
                self._children.append({})
                self._phrase_of.append(NONE)
                self._below.append([])
                self._path.append(variant[: place + 1])
            node = self._children[node][token]
            self._below[node].append((number, len(variant) - place - 1))
        self._phrase_of[node] = number

    def _otherwise(self, path: tuple[int, ...]) -> int:
        """The node of the longest end of a path that begins a phrase, too."""
        for start in range(1, len(path)):
            if path[start] not in self._begins or path[start - 1] in self._openings:
                node: int | None = 0
                for token in path[start:]:
                    node = self._children[node].get(token) if node is not None else None
                if node is not None:
                    return node
        return 0

    def _begun(self, counts: Sequence[int], written: Sequence[int]) -> Progress:
        state = Progress(tuple(counts), 0, NONE, within=False, fresh=True)
        for token in written:
            state = self.advanced(state, token)
        return state

    def advanced(self, state: Progress, token: int) -> Progress:
        """What a beam has written after one more token."""
        missing, node = state.missing, state.node
        goes_on = token != self._eos_id and token in self._begins and state.within
        if state.ended != NONE and not goes_on:
            missing = (*missing[: state.ended], missing[state.ended] - 1, *missing[state.ended + 1 :])
        while node and token not in self._children[node]:
            node = self._fallback[node] if state.ended == NONE else 0
        node = self._children[node].get(token, 0) if node or state.fresh or token not in self._begins else 0
        ended = self._phrase_of[node]
        if ended != NONE and missing[ended] == 0:
            ended = NONE
        return Progress(missing, node, ended, token in self._ends, token in self._openings)

    def tokens_missing(self, state: Progress) -> int:
        """Tokens of phrases that must still be written, at least."""
        missing, costs = state.missing, self._costs
        begun = [costs[number] - rest for number, rest in self._below[state.node] if missing[number]]
        return sum(map(int.__mul__, missing, costs)) - max([0, *begun])

    def wanted(self, state: Progress) -> list[int]:
        """Tokens that begin a phrase, or go on with one."""
        found = [token for token, node in self._children[state.node].items() if state.node and self._leads(node, state)]
        if found and state.ended == NONE:
            return found
        begun = [token for token, node in self._children[0].items() if self._leads(node, state)]
        return [*found, *(token for token in begun if state.fresh or token not in self._begins)]

    def word_goes_on(self, state: Progress, token: int) -> bool:
        """Whether a phrase goes on with the word that a demanded token ends in."""
        node = self._children[state.node].get(token) or self._children[0].get(token, 0)
        within = token in self._ends and bool(node)
        return within and any(after in self._begins and self._leads(its, state) for after, its in self._children[node].items())

    def is_within_word(self, token: int) -> bool:
        """Whether a token goes on with a word."""
        return token in self._begins

    def _leads(self, node: int, state: Progress) -> bool:
        return any(state.missing[number] for number, _ in self._below[node])

    def may_end(self, state: Progress) -> bool:
        left = sum(state.missing)
        return left == 0 or (left == 1 and state.ended != NONE)

    def spoiling(self, state: Progress) -> Tensor | None:
        """The tokens [n] that go on with the last word, where they would spoil a phrase."""
        return self._spoiling if state.ended != NONE and state.within else None

    def choose(self, open_ones: Iterable[Going], ends: Iterable[Going], room: int) -> tuple[list[Going], list[Going]]:
        """Which beams end and which stay open, best first; remembers what the open ones have written.

        Args:
            open_ones: with every token but the end, each once. ends: with the end, where it is allowed.
            room: tokens that may follow.
        """
        banks: dict[int, list[tuple[Going, Progress]]] = {}
        for one in open_ones:
            state = self.advanced(self.states[one.parent], one.token)
            if (missing := self.tokens_missing(state)) <= room:
                banks.setdefault(missing, []).append((one, state))
        for bank in banks.values():
            bank.sort(key=lambda pair: _rank(pair[0]))
        complete = sorted([*(one for one, _ in banks.get(0, ())), *ends], key=_rank)
        ended = [one for one in complete[: self._beams] if one.token == self._eos_id]
        kept: list[tuple[Going, Progress]] = []
        ordered = [banks[missing] for missing in sorted(banks)]
        for place in range(max(map(len, ordered), default=0)):
            kept += [bank[place] for bank in ordered if place < len(bank)][: self._beams - len(kept)]
        kept.sort(key=lambda pair: _rank(pair[0]))
        self.states = [state for _, state in kept] + self.states[:1] * (self._beams - len(kept))
        return ended, [one for one, _ in kept]


def _rank(one: Going) -> tuple[float, int, int]:
    return (-one.total, one.parent, one.token)
