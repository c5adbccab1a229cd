"""Lines as numbers: texts → words → 64-bit hashes in flat arrays, so that millions of lines are compared in little memory.

The hash of the words of a line is a polynomial over them, so the hashes of the line without each of its words cost one pass.
The hashes are the same in every process and on every machine.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Hashes: TypeAlias = NDArray[np.uint64]

MEMO_WORDS = 1 << 20
STEM_LETTERS = 5
MIN_STEM_LETTERS = 4
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_WORDS_OF_UNSPACED = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_BASE_INVERSE = pow(_BASE, -1, 1 << 64)


def normalise(text: str) -> str:
    """The text without differences of case, blanks and Unicode compatibility (NFKC)."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def split_words(text: str) -> list[str]:
    """Words of a normalised text, with their punctuation; single characters in scripts that are written without blanks."""
    if not text.isascii() and _HAS_UNSPACED.search(text):
        return _WORDS_OF_UNSPACED.findall(text)
    return text.split()


def hash_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def mix(values: Hashes) -> Hashes:
    """Spread every bit over the whole word (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _bare(word: str) -> str:
    """The word without the punctuation around it."""
    first, last = 0, len(word)
    while first < last and not word[first].isalnum():
        first += 1
    while first < last and not word[last - 1].isalnum():
        last -= 1
    return word[first:last]


class _WordHashes(dict[str, int]):
    """word → hash of it without the punctuation around it, kept for the words met most recently; 0 for punctuation alone."""

    def __missing__(self, word: str) -> int:
        if len(self) >= MEMO_WORDS:
            self.clear()
        value = self[word] = hash_text(bare) if (bare := _bare(word)) else 0
        return value


class _StemHashes(dict[str, int]):
    """word → hash of its beginning, or of the number in it; 0 for short words.

    Two languages write names, numbers and many loan words alike, and mostly alike at the beginning.
    """

    def __missing__(self, word: str) -> int:
        if len(self) >= MEMO_WORDS:
            self.clear()
        letters = _bare(word)
        if any(character.isdigit() for character in letters):
            value = hash_text(letters)
        else:
            value = hash_text(letters[:STEM_LETTERS]) if len(letters) >= MIN_STEM_LETTERS else 0
        self[word] = value
        return value


_WORD_HASHES, _STEM_HASHES = _WordHashes(), _StemHashes()


def forget_words() -> None:
    """Gives back the memory of the words met, up to some 250 MiB."""
    _WORD_HASHES.clear()
    _STEM_HASHES.clear()


@dataclass(frozen=True)
class Lines:
    """One side of some pairs, N lines with M words in all."""

    texts: Sequence[str]
    normal: Hashes  # of the normalised texts, [N]
    words: Hashes  # of the words without punctuation, [M]
    stems: Hashes  # [M], 0 where a word has none
    ends: NDArray[np.int64]  # [N + 1], words of line i are words[ends[i] : ends[i + 1]]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Lines:
        normal = list(map(normalise, texts))
        rows = list(map(split_words, normal))
        counts = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        total = int(counts.sum())
        words = np.fromiter(map(_WORD_HASHES.__getitem__, chain.from_iterable(rows)), dtype=np.uint64, count=total)
        stems = np.fromiter(map(_STEM_HASHES.__getitem__, chain.from_iterable(rows)), dtype=np.uint64, count=total)
        real = words != 0
        ends = np.concatenate([[0], np.cumsum(real)])[np.concatenate([[0], np.cumsum(counts)])]
        hashes = np.fromiter(map(hash_text, normal), dtype=np.uint64, count=len(normal))
        return cls(texts, hashes, words[real], stems[real], ends)

    @property
    def word_counts(self) -> NDArray[np.int64]:
        return np.diff(self.ends)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The line of every word, [M]."""
        return np.repeat(np.arange(len(self.texts)), self.word_counts)

    @cached_property
    def exact(self) -> Hashes:
        """Hashes of the texts as they stand, [N]."""
        return np.fromiter(map(hash_text, self.texts), dtype=np.uint64, count=len(self.texts))

    @cached_property
    def bare(self) -> Hashes:
        """Hashes of the words of each line in their order, [N]."""
        sums = self._sums
        return mix(sums[self.ends[1:]] - sums[self.ends[:-1]] + self.word_counts.astype(np.uint64))

    @cached_property
    def without_one(self) -> Hashes:
        """Hashes of each line without one of its words, [M]; equal to `bare` of what remains."""
        sums, begin, end = self._sums, self.ends[:-1][self.rows], self.ends[1:][self.rows]
        word = np.arange(len(self.words))
        before, after = sums[word] - sums[begin], sums[end] - sums[word + 1]
        return mix(before + after * np.uint64(_BASE_INVERSE) + (end - begin - 1).astype(np.uint64))

    @cached_property
    def _sums(self) -> Hashes:
        """Running sums over all lines of hash × base ^ position in the line, [M + 1]."""
        powers = np.full(max(int(self.word_counts.max(initial=0)), 1), _BASE, dtype=np.uint64)
        powers[0] = 1
        powers = np.cumprod(powers, dtype=np.uint64)
        position = np.arange(len(self.words)) - self.ends[:-1][self.rows]
        sums = np.zeros(len(self.words) + 1, dtype=np.uint64)
        np.cumsum(mix(self.words) * powers[position], dtype=np.uint64, out=sums[1:])
        return sums
