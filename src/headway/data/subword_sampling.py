"""Subword regularisation: the same word cut in other ways at random, so that a model learns from all its parts.

BPE-dropout (Provilkov et al. 2020), sampling from a unigram model (Kudo 2018) and MaxMatch-dropout (Hiraoka 2022), over the
model of a tokenizer.json. With rate 0 each gives what `tokenizers` gives.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol
from zlib import crc32

import numpy as np
import numpy.typing as npt

from headway.data.tokenizer_layout import BYTE_TOKENS, SPECIAL_TOKENS, Json

DRAWS = 32  # ways to cut a chunk that are drawn once and chosen from
MEMO_CHUNKS = 1 << 15
MEMO_CHARACTERS = 24  # longer chunks hardly come again
UNKNOWN_PENALTY = 10.0  # of an unknown character below the worst piece, as in sentencepiece and tokenizers


class Segmenter(Protocol):
    """Cuts a word, as the pre-tokenizer gives it, into piece numbers. `chance` gives numbers in [0, 1)."""

    def __call__(self, word: str, chance: Callable[[], float]) -> list[int]: ...


def segmenter(model: Json, rate: float) -> Segmenter:
    """The segmenter for a model of a tokenizer.json. It never gives the special pieces 0 to 2."""
    kinds: dict[str, Callable[[Json, float], Segmenter]] = {
        "BPE": BpeDropout,
        "Unigram": UnigramSampling,
        "WordPiece": MaxMatchDropout,
        "WordLevel": WholeWords,
    }
    return kinds[model["type"]](model, rate)


class BpeDropout:
    """At every step each possible merge is left out with probability `rate`; of the others the earliest learned is done."""

    def __init__(self, model: Json, rate: float) -> None:
        self.rate = rate
        self.vocabulary: dict[str, int] = model["vocab"]
        self.prefix: str = model.get("continuing_subword_prefix") or ""
        self.suffix: str = model.get("end_of_word_suffix") or ""
        self.whole_words = bool(model.get("ignore_merges")) and not rate
        self.fuse = bool(model.get("fuse_unk"))
        self.unknown = self.vocabulary.get(model.get("unk_token") or "")
        self.bytes = _byte_pieces(model, self.vocabulary)
        self.merges: dict[tuple[int, int], tuple[int, int]] = {}
        for rank, merge in enumerate(model["merges"]):
            left, right = merge.split(" ") if isinstance(merge, str) else merge
            joined = self.vocabulary[left + right[len(self.prefix) :]]
            if joined >= len(SPECIAL_TOKENS):
                self.merges[self.vocabulary[left], self.vocabulary[right]] = rank, joined

    def __call__(self, word: str, chance: Callable[[], float]) -> list[int]:
        if self.whole_words and word in self.vocabulary:
            return [self.vocabulary[word]]
        ids = self._characters(word)
        count, merges, rate = len(ids), self.merges, self.rate
        after, before = list(range(1, count + 1)), list(range(-1, count - 1))
        found = ((at, merges.get(pair)) for at, pair in enumerate(itertools.pairwise(ids)))
        queue = [(merge[0], at, merge[1]) for at, merge in found if merge]
        heapq.heapify(queue)
        left_out: list[tuple[int, int, int]] = []
        while queue:
            best = heapq.heappop(queue)
            _, at, joined = best
            right = after[at]
            if ids[at] < 0 or right >= count or merges.get((ids[at], ids[right]), (0, -1))[1] != joined:
                continue  # a neighbour was merged in the meantime
            if rate and chance() < rate:
                left_out.append(best)
                continue
            ids[at], ids[right] = joined, -1
            after[at] = following = after[right]
            if following < count:
                before[following] = at
            for start, end in ((before[at], at), (at, following)):
                if start >= 0 and end < count and (merge := merges.get((ids[start], ids[end]))):
                    heapq.heappush(queue, (merge[0], start, merge[1]))
            while left_out:
                heapq.heappush(queue, left_out.pop())
        return [number for number in ids if number >= 0]

    def _characters(self, word: str) -> list[int]:
        ids: list[int] = []
        last = len(word) - 1
        for at, character in enumerate(word):
            piece = (self.prefix if at else "") + character + (self.suffix if at == last else "")
            number = self.vocabulary.get(piece)
            if number is not None:
                ids.append(number)
            elif self.bytes:
                ids += [self.bytes[byte] for byte in character.encode()]
            elif self.unknown is not None and not (self.fuse and ids and ids[-1] == self.unknown):
                ids.append(self.unknown)
        return ids


class UnigramSampling:
    """Forward filtering, backward sampling over all cuts x of a word, with probability ∝ P(x)^α, α = 0.025 / rate.

    So chosen, a rate makes text about as much longer as BPE-dropout at that rate does (measured on Multi30k: 1.25 and 1.29
    times at 0.1). Kudo (2018) uses α from 0.1 to 0.5, which are rates from 0.25 to 0.05. Rate 0 gives the best cut.
    """

    def __init__(self, model: Json, rate: float) -> None:
        self.alpha = 0.025 / rate if rate else 0.0
        self.pieces: dict[str, tuple[int, float]] = {}
        for number, (piece, score) in enumerate(model["vocab"]):
            self.pieces.setdefault(piece, (number, score))
        self.longest = max(map(len, self.pieces))
        self.unknown: int | None = model.get("unk_id")
        self.unknown_score = min(score for _, score in self.pieces.values()) - UNKNOWN_PENALTY
        self.pieces = {piece: entry for piece, entry in self.pieces.items() if entry[0] >= len(SPECIAL_TOKENS)}
        self.fuse = bool(model.get("fuse_unk", True))
        self.bytes = _byte_pieces(model, {piece: number for piece, (number, _) in self.pieces.items()})

    def __call__(self, word: str, chance: Callable[[], float]) -> list[int]:
        edges = [list(self._edges(word, start)) for start in range(len(word))]
        cuts = self._sampled(edges, chance) if self.alpha else _best_path(edges)
        ids: list[int] = []
        strange = ""  # characters without a piece
        for start, end, number in cuts:
            if number is None and self.fuse:
                strange += word[start:end]
                continue
            ids += self._unknown_ids(strange if number is not None else word[start:end])
            strange = ""
            if number is not None:
                ids.append(number)
        return ids + self._unknown_ids(strange)

    def _edges(self, word: str, start: int) -> Iterator[tuple[int, float, int | None]]:
        """End, score and number of the pieces that begin at `start`; an unknown character has no number."""
        single = False
        for end in range(start + 1, min(len(word), start + self.longest) + 1):
            found = self.pieces.get(word[start:end])
            if found is not None:
                single |= end == start + 1
                yield end, found[1], found[0]
        if not single:
            yield start + 1, self.unknown_score, None

    def _unknown_ids(self, text: str) -> list[int]:
        if not text:
            return []
        if self.bytes:
            return [self.bytes[byte] for byte in text.encode()]
        return [] if self.unknown is None else [self.unknown]

    def _sampled(
        self, edges: list[list[tuple[int, float, int | None]]], chance: Callable[[], float]
    ) -> list[tuple[int, int, int | None]]:
        count = len(edges)
        arrivals: list[list[tuple[float, int, int | None]]] = [[] for _ in range(count + 1)]
        total = [0.0] + [-math.inf] * count
        for start in range(count):
            if start:
                total[start] = _log_sum([weight for weight, _, _ in arrivals[start]])
            for end, score, number in edges[start]:
                arrivals[end].append((total[start] + self.alpha * score, start, number))
        cuts = []
        end = count
        while end:
            options = arrivals[end]
            highest = max(weight for weight, _, _ in options)
            weights = [math.exp(weight - highest) for weight, _, _ in options]
            left = chance() * sum(weights)
            chosen = 0
            while chosen < len(options) - 1 and left >= weights[chosen]:
                left -= weights[chosen]
                chosen += 1
            _, start, number = options[chosen]
            cuts.append((start, end, number))
            end = start
        return cuts[::-1]


def _log_sum(weights: list[float]) -> float:
    highest = max(weights)
    return highest + math.log(sum(math.exp(weight - highest) for weight in weights))


def _best_path(edges: list[list[tuple[int, float, int | None]]]) -> list[tuple[int, int, int | None]]:
    """Viterbi. Of equal paths the first found stays, as in `tokenizers`."""
    count = len(edges)
    best: list[tuple[float, int, int | None] | None] = [None] * (count + 1)
    for start in range(count):
        arrived = best[start]
        so_far = arrived[0] if arrived else 0.0
        for end, score, number in edges[start]:
            there = best[end]
            if there is None or so_far + score > there[0]:
                best[end] = so_far + score, start, number
    cuts = []
    end = count
    while end and (step := best[end]):
        cuts.append((step[1], end, step[2]))
        end = step[1]
    return cuts[::-1]


class MaxMatchDropout:
    """The longest piece that fits is taken, each one but single characters being passed over with probability `rate`."""

    def __init__(self, model: Json, rate: float) -> None:
        self.rate = rate
        self.prefix: str = model["continuing_subword_prefix"]
        self.longest_word: int = model["max_input_chars_per_word"]
        self.unknown: int | None = model["vocab"].get(model["unk_token"])
        self.vocabulary = _without_special(model["vocab"])
        self.longest = max(map(len, self.vocabulary), default=0)

    def __call__(self, word: str, chance: Callable[[], float]) -> list[int]:
        ids = None
        if len(word) <= self.longest_word:
            ids = self._match(word, self.rate, chance) or self._match(word, 0.0, chance)
        if ids is not None:
            return ids
        return [] if self.unknown is None else [self.unknown]

    def _match(self, word: str, rate: float, chance: Callable[[], float]) -> list[int] | None:
        ids = []
        start = 0
        while start < len(word):
            prefix = self.prefix if start else ""
            for end in range(min(len(word), start + self.longest), start, -1):
                number = self.vocabulary.get(prefix + word[start:end])
                if number is not None and (not rate or end == start + 1 or chance() >= rate):
                    break
            else:
                return None
            ids.append(number)
            start = end
        return ids


class WholeWords:
    """Words as they stand in the vocabulary: nothing to sample."""

    def __init__(self, model: Json, rate: float) -> None:
        self.unknown: int | None = model["vocab"].get(model["unk_token"])
        self.vocabulary = _without_special(model["vocab"])

    def __call__(self, word: str, chance: Callable[[], float]) -> list[int]:
        number = self.vocabulary.get(word, self.unknown)
        return [] if number is None else [number]


def _without_special(vocabulary: dict[str, int]) -> dict[str, int]:
    return {piece: number for piece, number in vocabulary.items() if number >= len(SPECIAL_TOKENS)}


def _byte_pieces(model: Json, vocabulary: dict[str, int]) -> list[int] | None:
    if not model.get("byte_fallback") or any(token not in vocabulary for token in BYTE_TOKENS):
        return None
    return [vocabulary[token] for token in BYTE_TOKENS]


class SubwordSampler:
    """Many texts at once. Each chunk of text has 32 ways to be cut, drawn when first asked for; an occurrence takes one of them.

    What comes out is a pure function of (text, seed, place in the list): the memo only saves time.
    """

    def __init__(self, cut: Segmenter, chunks: Callable[[str], list[str]], words: Callable[[str], list[str]]) -> None:
        """`chunks` cuts a text into strings, `words` such a string into the words of the pre-tokenizer."""
        self._cut, self._chunks, self._words = cut, chunks, words
        self._random = random.Random()
        self._memo: dict[str, tuple[list[tuple[int, ...] | None], list[str]]] = {}
        self._same: dict[tuple[int, ...], tuple[int, ...]] = {}

    def sample_many(self, texts: Sequence[str], seed: int) -> list[list[int]]:
        """Piece numbers of every text."""
        pieces = [self._chunks(text) for text in texts]
        lots = _lots(seed, [len(chunks) for chunks in pieces])
        choices = iter((lots >> np.uint64(59)).tolist())  # the highest 5 bits: one of 32
        memo = self._memo
        rows = []
        at = 0
        for chunks in pieces:
            row: list[int] = []
            for chunk, choice in zip(chunks, choices, strict=False):
                known = memo.get(chunk)
                ids = known[0][choice] if known is not None else None
                row += ids if ids is not None else self._draw(chunk, choice, lots, at)
                at += 1
            rows.append(row)
        return rows

    def _draw(self, chunk: str, choice: int, lots: npt.NDArray[np.uint64], at: int) -> tuple[int, ...]:
        key = crc32(chunk.encode())
        if len(chunk) > MEMO_CHARACTERS:
            return self._cut_words(self._words(chunk), key << 64 | int(lots[at]))
        drawn, words = self._memo.get(chunk) or ([None] * DRAWS, self._words(chunk))
        ids = self._cut_words(words, key << 8 | choice)
        drawn[choice] = self._same.setdefault(ids, ids)
        if len(self._memo) < MEMO_CHUNKS:
            self._memo[chunk] = drawn, words
        return ids

    def _cut_words(self, words: list[str], seed: int) -> tuple[int, ...]:
        self._random.seed(seed)
        chance = self._random.random
        return tuple(number for word in words for number in self._cut(word, chance))


def _lots(seed: int, counts: list[int]) -> npt.NDArray[np.uint64]:
    """64 random bits for every chunk of every text: SplitMix64 (Steele et al. 2014) of seed, text and place in it."""
    lengths = np.array(counts, dtype=np.int64)
    starts = lengths.cumsum() - lengths
    text = np.repeat(np.arange(len(counts), dtype=np.uint64), lengths)
    place = np.arange(int(lengths.sum()), dtype=np.uint64) - np.repeat(starts.astype(np.uint64), lengths)
    return _mix(_mix(np.uint64(seed & (1 << 64) - 1) ^ _mix(text)) ^ place)


def _mix(value: Any) -> npt.NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        value = value + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: npt.NDArray[np.uint64] = value ^ (value >> np.uint64(31))
    return mixed
