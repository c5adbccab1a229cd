"""Exact match and F1 of answers, by the rules of SQuAD's official script; of characters in Chinese and Japanese.

An answer is compared with every reference and the best one counts. No answer is right where there is none, and only there.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np

from headway.evaluation.label_scores import measurement_of
from headway.evaluation.metrics import Measurement
from headway.languages import base_language, writes_spaces

_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise(text: str, language: str) -> str:
    """Lower case, without punctuation; in English without articles too, as SQuAD has it."""
    text = text.lower()
    if base_language(language) == "en":
        text = "".join(letter for letter in text if letter not in string.punctuation)
        text = _ARTICLES.sub(" ", text)
    else:
        text = "".join(letter for letter in text if not unicodedata.category(letter).startswith("P"))
    return " ".join(text.split())


def pieces(text: str, language: str) -> list[str]:
    """What F1 counts: words, or characters where no spaces are written."""
    plain = normalise(text, language)
    return plain.split() if writes_spaces(language) else [letter for letter in plain if not letter.isspace()]


def f1(found: str, wanted: str, language: str) -> float:
    """The harmonic mean of precision and recall of the pieces, 0 to 1."""
    ours, theirs = pieces(found, language), pieces(wanted, language)
    if not ours or not theirs:
        return float(ours == theirs)
    both = (Counter(ours) & Counter(theirs)).total()
    return 2 * both / (len(ours) + len(theirs))


def span_scores(found: Sequence[str], wanted: Sequence[Sequence[str]], language: str) -> dict[str, Measurement]:
    """Exact match and F1 in per cent; where some questions have no answer, also of those with and without one."""
    exact, overlap = [], []
    for answer, references in zip(found, wanted, strict=True):
        options = list(references) or [""]
        exact.append(max(float(normalise(answer, language) == normalise(one, language)) for one in options))
        overlap.append(max(f1(answer, one, language) for one in options))
    answerable = np.array([bool(references) for references in wanted], dtype=np.float64)
    unit = "by the rules of SQuAD" + ("" if writes_spaces(language) else ", of characters")

    def measured(name: str, label: str, values: Sequence[float], weights: np.ndarray) -> Measurement:
        statistics = np.stack((np.asarray(values) * weights, weights), 1)
        return measurement_of(name, label, unit, statistics, "share")

    every = np.ones(len(found))
    results = [measured("exact", "exact match", exact, every), measured("f1", "F1", overlap, every)]
    if not answerable.all():
        results += [
            measured("answerable_f1", "F1 where there is an answer", overlap, answerable),
            measured("unanswerable", "right to have none", exact, 1 - answerable),
        ]
    return {one.name: one for one in results}
