"""How well rare words are answered: words, how often training saw them, and scores of each range of frequency. Pure functions."""

from __future__ import annotations

import bisect
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from headway.evaluation.formulas import by_label
from headway.evaluation.label_scores import KindScores, kind_scores
from headway.languages import writes_spaces

EDGES = (0, 1, 2, 6, 21, 101, 1001)  # where ranges of frequency begin
NAMES = ("never", "once", "2–5", "6–20", "21–100", "101–1,000", "over 1,000")


def words(text: str, language: str) -> list[str]:
    """Lower-cased words without the punctuation around them; characters where no spaces are written."""
    lowered = text.lower()
    if not writes_spaces(language):
        return [character for character in lowered if not _outside(character)]
    stripped = (_bare(word) for word in lowered.split())
    return [word for word in stripped if word]


def _bare(word: str) -> str:
    """Without punctuation and symbols at both ends; a mark that belongs to a letter stays."""
    if word.isalnum():
        return word
    start, end = 0, len(word)
    while start < end and _outside(word[start]):
        start += 1
    while end > start and _outside(word[end - 1]):
        end -= 1
    return word[start:end]


def _outside(character: str) -> bool:
    return unicodedata.category(character)[0] in "PSCZ"


def range_of(count: int) -> int:
    """The number of the range that a frequency is in."""
    return bisect.bisect_right(EDGES, count) - 1


def scores_by_frequency(
    answers: Iterable[Sequence[str]],
    references: Iterable[Sequence[str]],
    frequency: Callable[[str], int],
    confidence: float,
) -> list[KindScores]:
    """Precision, recall and F1 of the words of each range (Neubig et al. 2019, compare-mt), those without words left out.

    A word is right as often as both answer and reference have it.

    Args:
        answers, references: the words of each example.
        frequency: how often training saw a word.
        confidence: that the intervals hold the true scores.
    """
    rows = []
    for answer, reference in zip(answers, references, strict=True):
        written, wanted = Counter(answer), Counter(reference)
        sums = np.zeros((3, len(EDGES)))
        for part, some in enumerate((written & wanted, written - wanted, wanted - written)):
            for word, count in some.items():
                sums[part, range_of(frequency(word))] += count
        rows.append(sums.ravel())
    parts_NR3 = by_label(np.stack(rows))
    sums_R3 = parts_NR3.sum(0)
    found = kind_scores(sums_R3, NAMES, confidence, parts_NR3)
    counted = sums_R3.sum(-1)
    return [one for one, count in zip(found, counted, strict=True) if count]


def rarest(texts: Iterable[Sequence[str]], frequency: Mapping[str, int]) -> list[int | None]:
    """The range of the rarest word of each text; None where a text has no words."""
    return [min((range_of(frequency.get(word, 0)) for word in text), default=None) for text in texts]
