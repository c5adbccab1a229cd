"""Scores of captions against all references of a picture or clip, as coco-caption (Chen et al. 2015) computes them.

CIDEr-D (Vedantam et al. 2015), BLEU-1 to -4 of the whole set, ROUGE-L, and the share of captions that somebody wrote so. All but
the last compare words: lower-cased, without punctuation, cut as the Penn Treebank does; characters where no spaces are written.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np

from headway.evaluation.formulas import BLEU_ORDER
from headway.evaluation.frequency import words
from headway.evaluation.label_scores import measurement_of
from headway.evaluation.metrics import Measurement, References, check_pairs, each_list, measured_by
from headway.languages import base_language, writes_spaces

Grams: TypeAlias = Counter[tuple[str, ...]]

CIDER_ORDER, CIDER_SIGMA, CIDER_FACTOR = 4, 6.0, 10.0
ROUGE_BETA = 1.2
_CLITIC = r"n't|'(?:s|m|d|re|ve|ll)"
_SET_APART = re.compile(rf"\s+(?=(?:{_CLITIC})(?!\S))")  # as text has them that is tokenised already
_PARTS = re.compile(rf"(?<=\w)(?=(?:{_CLITIC})$)|(?<=^can)(?=not$)")


def caption_scores(hypotheses: Sequence[str], references: References, *, language: str = "en") -> dict[str, Measurement]:
    """CIDEr, BLEU-1 to -4, ROUGE-L and exact match of a caption for each picture, which has one reference or several.

    The document frequencies of CIDEr are those of all these references, also in resamples and choices of the pictures: the
    intervals weigh which pictures are captioned, and not how the words are weighted.

    Raises:
        DataError: unequal counts, or a picture without a reference.
    """
    check_pairs(hypotheses, references)
    found = [caption_words(text, language) for text in hypotheses]
    wanted = [[caption_words(text, language) for text in some] for some in each_list(references)]
    unit = _unit(language)
    rouge = [rouge_l(ours, theirs) for ours, theirs in zip(found, wanted, strict=True)]
    exact = [_plain(text) in map(_plain, some) for text, some in zip(hypotheses, each_list(references), strict=True)]
    every = [
        _cider(found, wanted, unit),
        *_bleu(found, wanted, unit),
        measurement_of("rougel", "ROUGE-L", f"F of LCS, beta {ROUGE_BETA}, best of references, {unit}", _mean(rouge), "share"),
        measurement_of("exact", "exact match", "as a reference, but for case and blanks", _mean(exact), "share"),
    ]
    return {one.name: one for one in every}


def cider(hypotheses: Sequence[str], references: References, *, language: str = "en") -> Measurement:
    """CIDEr-D alone. Raises as `caption_scores` does."""
    check_pairs(hypotheses, references)
    found = [caption_words(text, language) for text in hypotheses]
    return _cider(found, [[caption_words(text, language) for text in some] for some in each_list(references)], _unit(language))


def caption_words(text: str, language: str) -> list[str]:
    """Lower-cased words without punctuation, in English with 's and n't set apart; characters where no spaces are written."""
    text = unicodedata.normalize("NFC", text)
    if base_language(language) != "en":
        return words(text, language)
    whole = words(_SET_APART.sub("", text.lower().replace("’", "'")), language)
    return [part for word in whole for part in _PARTS.split(word)]


def rouge_l(found: Sequence[str], wanted: Sequence[Sequence[str]]) -> float:
    """ROUGE-L (Lin 2004) of words, 0 to 1: F of the best precision and the best recall that any reference gives.

    Where the answer and some reference have no words it is 1.
    """
    if not found:
        return float(not all(wanted))
    common = [(_longest_common(found, some), len(some)) for some in wanted if some]
    precision = max((length / len(found) for length, _ in common), default=0.0)
    recall = max((length / size for length, size in common), default=0.0)
    weight = ROUGE_BETA**2
    return (1 + weight) * precision * recall / (recall + weight * precision) if precision else 0.0


def _longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for word in first:
        corner = 0
        for place, other in enumerate(second, 1):
            corner, row[place] = row[place], corner + 1 if word == other else max(row[place], row[place - 1])
    return row[-1]


# ---- CIDEr-D: Vedantam et al. 2015, sections 4 and 6 -----------------------------------------------------------------


class _Vector(NamedTuple):
    """The TF-IDF weights of the n-grams of a caption, for each n their length as a vector, and the number of words."""

    weights: dict[tuple[str, ...], float]
    norms: list[float]
    words: int


def _cider(found: Sequence[Sequence[str]], wanted: Sequence[Sequence[Sequence[str]]], unit: str) -> Measurement:
    ours = [_grams(some) for some in found]
    theirs = [[_grams(one) for one in some] for some in wanted]
    frequency = Counter(chain.from_iterable(set().union(*some) for some in theirs))  # in the references of how many pictures
    all_pictures = math.log(len(wanted))

    def vector(grams: Grams, length: int) -> _Vector:
        weights = {gram: count * (all_pictures - math.log(max(1, frequency[gram]))) for gram, count in grams.items()}
        squares = [0.0] * CIDER_ORDER
        for gram, weight in weights.items():
            squares[len(gram) - 1] += weight * weight
        return _Vector(weights, [math.sqrt(square) for square in squares], length)

    values = []
    for caption, grams, texts, references in zip(found, ours, wanted, theirs, strict=True):
        one = vector(grams, len(caption))
        alike = [_alike(one, vector(other, len(text))) for text, other in zip(texts, references, strict=True)]
        values.append(CIDER_FACTOR * sum(alike) / len(alike))
    signature = f"CIDEr-D x 100, sigma {CIDER_SIGMA:g}, document frequencies of these references, {unit}"
    return measurement_of("cider", "CIDEr", signature, _mean(values), "cider")


def _alike(caption: _Vector, reference: _Vector) -> float:
    """The mean over n of the clipped cosines, less the more the lengths differ; 0 to 1."""
    products = [0.0] * CIDER_ORDER
    for gram, weight in caption.weights.items():
        other = reference.weights.get(gram, 0.0)
        products[len(gram) - 1] += min(weight, other) * other
    norms = [ours * theirs for ours, theirs in zip(caption.norms, reference.norms, strict=True)]
    cosines = [product / norm for product, norm in zip(products, norms, strict=True) if norm]
    return sum(cosines) / CIDER_ORDER * math.exp(-((caption.words - reference.words) ** 2) / (2 * CIDER_SIGMA**2))


def _grams(caption: Sequence[str]) -> Grams:
    return Counter(tuple(caption[i : i + n]) for n in range(1, CIDER_ORDER + 1) for i in range(len(caption) - n + 1))


# ---- the others ------------------------------------------------------------------------------------------------------


def _bleu(found: Sequence[Sequence[str]], wanted: Sequence[Sequence[Sequence[str]]], unit: str) -> list[Measurement]:
    """Of each order up to 4, all from the same statistics: without smoothing, against the reference of the closest length."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize="none", lowercase=True, smooth_method="none", force=True)
    texts, references = [" ".join(some) for some in found], [[" ".join(one) for one in some] for some in wanted]
    whole = measured_by("bleu4", "BLEU-4", metric, texts, references, "bleu4")
    signature = f"{whole.signature}|{unit}"
    return [
        Measurement(f"bleu{order}", f"BLEU-{order}", signature, whole.statistics, f"bleu{order}")
        for order in range(1, BLEU_ORDER + 1)
    ]


def _unit(language: str) -> str:
    """What is compared, for a signature."""
    what = "PTB-like words" if base_language(language) == "en" else "words" if writes_spaces(language) else "characters"
    return f"{what}, lower-cased, no punctuation"


def _plain(text: str) -> str:
    return " ".join(text.split()).lower()


def _mean(values: Sequence[float]) -> np.ndarray:
    """The figures of a mean."""
    return np.stack((np.asarray(values, dtype=np.float64), np.ones(len(values))), 1)
