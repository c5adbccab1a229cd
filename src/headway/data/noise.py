"""Text that has been damaged for a model to mend: masked tokens, spans behind sentinels, gaps, deletions, shuffled sentences.

All of it is a pure function of the tokens and a generator that is seeded with (seed, epoch, row), so every epoch damages a text
anew and resuming damages it the same. Ids from the size of the vocabulary on stand for no text: the first is the mask, and
those that follow are sentinels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headway.config import NoiseConfig
from headway.data.batches import IGNORED

LONGEST_WORD = 20  # tokens; what is longer is no word, but text without blanks, except where even more are to be hidden
SENTINELS = 100  # spans of one text; T5 has as many
Ids = NDArray[np.int64]


class Random(NamedTuple):
    """Numbers that are the same on every machine and with every version of numpy: only raw bits are drawn."""

    bits: np.random.PCG64

    @classmethod
    def of(cls, *key: int) -> Random:
        return cls(np.random.PCG64(np.random.SeedSequence(key)))

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Numbers in [0, 1)."""
        return (np.asarray(self.bits.random_raw(count), dtype=np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def integers(self, count: int, below: int) -> Ids:
        return (self.uniform(count) * below).astype(np.int64)

    def order(self, count: int) -> Ids:
        """A permutation."""
        return np.argsort(self.bits.random_raw(count), kind="stable").astype(np.int64)


def masked(ids: Ids, begins_word: NDArray[np.bool_], noise: NoiseConfig, vocabulary: int, random: Random) -> tuple[Ids, Ids]:
    """Masked language modelling (Devlin et al. 2019, section 3.1): what is read, and what is to be answered, each [T].

    Of the tokens that are chosen 80 % become the mask, 10 % a random piece, 10 % stay; all others are `IGNORED`.

    Args:
        ids: tokens of a piece of a document.
        begins_word: where words begin, for whole-word masking and spans of words.
        noise: `rate` of the tokens are chosen, by `unit`: single tokens, whole words, or spans of words.
    """
    chosen = _chosen(begins_word, noise, random)
    lots, pieces = random.uniform(len(ids)), random.integers(len(ids), vocabulary - FIRST_PIECE) + FIRST_PIECE
    read = np.where(chosen & (lots < 0.8), vocabulary, np.where(chosen & (lots >= 0.9), pieces, ids))
    return read, np.where(chosen, ids, IGNORED)


FIRST_PIECE = 4  # the four special pieces never stand for text


def _chosen(begins_word: NDArray[np.bool_], noise: NoiseConfig, random: Random) -> NDArray[np.bool_]:
    """Which tokens are to be guessed: about `rate` of them, at least one."""
    total = len(begins_word)
    wanted = max(1, round(noise.rate * total))
    chosen = np.zeros(total, dtype=bool)
    if noise.unit == "token":
        chosen[random.order(total)[:wanted]] = True
        return chosen
    numbers = _word_numbers(begins_word, min(max(wanted, LONGEST_WORD), total // 2))  # half of a text is left to guess from
    count = int(numbers.max(initial=-1)) + 1
    if noise.unit == "word":
        order = random.order(count)
        hidden = np.cumsum(np.bincount(numbers, minlength=count)[order])
        words = np.zeros(count, dtype=bool)
        words[order[: np.searchsorted(hidden, wanted) + 1]] = True
        return words[numbers]
    lengths = _span_lengths(count, noise, random)
    for start, length in zip(random.order(count).tolist(), lengths.tolist(), strict=True):
        if (left := wanted - int(chosen.sum())) <= 0:
            break
        span = ~chosen & (numbers >= start) & (numbers < start + length)
        last = numbers[min(int(np.searchsorted(np.cumsum(span), left)), total - 1)]  # the word with which enough is hidden
        chosen |= span & (numbers <= last)
    return chosen


def _word_numbers(begins_word: NDArray[np.bool_], longest: int) -> Ids:
    """The number of the word of each token; of what is too long for a word, as text without blanks is, each token is one."""
    numbers = np.cumsum(begins_word, dtype=np.int64)
    too_long = np.bincount(numbers)[numbers] > longest
    numbers = np.cumsum(begins_word | too_long, dtype=np.int64)
    return numbers - numbers[:1]


def _span_lengths(count: int, noise: NoiseConfig, random: Random) -> Ids:
    """Geometric, with the mean `span_length`, at most 10 (Joshi et al. 2020, section 3.1)."""
    stop = 1.0 / noise.span_length
    drawn = np.log1p(-random.uniform(count)) / np.log1p(-min(stop, 1 - 1e-12))
    return np.clip(1 + drawn.astype(np.int64), 1, 10)


def span_corrupted(ids: Ids, noise: NoiseConfig, vocabulary: int, random: Random) -> tuple[Ids, Ids]:
    """Span corruption (Raffel et al. 2020, section 3.1.4): spans become sentinels; the answer is each sentinel and its span.

    `rate` of the tokens are in spans of `span_length` tokens on average; the pieces of both kinds are cut at random.
    """
    total = len(ids)
    hidden = min(max(1, round(noise.rate * total)), total - 1) if total > 1 else total
    spans = max(1, min(round(hidden / noise.span_length), SENTINELS - 1, hidden, total - hidden or 1))
    gaps = _random_parts(hidden, spans, random)
    kept = _random_parts(total - hidden, spans, random) if total > hidden else np.zeros(spans, dtype=np.int64)
    source: list[int] = []
    target: list[int] = []
    place = 0
    for number, (keep, gap) in enumerate(zip(kept.tolist(), gaps.tolist(), strict=True)):
        sentinel = vocabulary + 1 + number
        source += [*ids[place : place + keep].tolist(), sentinel]
        target += [sentinel, *ids[place + keep : place + keep + gap].tolist()]
        place += keep + gap
    return np.array(source, dtype=np.int64), np.array(target, dtype=np.int64)


def _random_parts(total: int, parts: int, random: Random) -> Ids:
    """`parts` numbers of at least 1 that add up to `total`, all cuts alike."""
    cuts = np.sort(random.order(total - 1)[: parts - 1] + 1) if total > 1 else np.empty(0, dtype=np.int64)
    return np.diff(np.concatenate(([0], cuts, [total])))


def denoised(ids: Ids, ends: Sequence[int], noise: NoiseConfig, vocabulary: int, random: Random) -> Ids:
    """A text as a denoising autoencoder reads it (Lewis et al. 2020, section 2.2); the answer is the text itself.

    Sentences are shuffled, then tokens deleted, then spans (of Poisson length) replaced by one mask each: text infilling.

    Args:
        ends: places after which a sentence ends.
    """
    read = ids
    if noise.permute_sentences and len(ends) > 1:
        sentences = np.split(ids, [end for end in ends if 0 < end < len(ids)])
        read = np.concatenate([sentences[number] for number in random.order(len(sentences)).tolist()])
    if noise.deletion_rate:
        kept = read[random.uniform(len(read)) >= noise.deletion_rate]
        read = kept if len(kept) else read[:1]
    return _infilled(read, noise, vocabulary, random)


def _infilled(ids: Ids, noise: NoiseConfig, vocabulary: int, random: Random) -> Ids:
    wanted = round(noise.rate * len(ids))
    gone, begins = np.zeros((2, len(ids)), dtype=bool)
    starts, lengths = random.order(len(ids)).tolist(), _poisson(len(ids), noise.span_length, random).tolist()
    for start, length in zip(starts, lengths, strict=True):
        if gone.sum() >= wanted:
            break
        span = slice(start, start + max(1, min(length, wanted - int(gone.sum()))))
        if not gone[max(0, start - 1) : span.stop + 1].any():
            gone[span] = True
            begins[start] = True
    found = np.where(begins, vocabulary, ids)
    return found[~gone | begins]


def _poisson(count: int, mean: float, random: Random) -> Ids:
    """Numbers of a Poisson distribution, by inversion."""
    lots = random.uniform(count)
    found = np.zeros(count, dtype=np.int64)
    term = total = float(np.exp(-mean))
    for number in range(1, 10 * round(mean) + 20):
        found += lots >= total
        term *= mean / number
        total += term
    return found
