"""ROUGE (Lin 2004) of summaries, computed by the package `rouge-score`, and how varied answers are."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from headway.errors import UsageError
from headway.evaluation.label_scores import measurement_of
from headway.evaluation.metrics import Measurement, check_pairs
from headway.languages import base_language, writes_spaces

_log = logging.getLogger(__name__)
KINDS = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}


class _Characters:
    """What `rouge-score` cuts Chinese and its kin with."""

    def tokenize(self, text: str) -> list[str]:
        return [character for character in text.lower() if not character.isspace()]


class _Words:
    """What it cuts other languages than English with: its own words are of the letters a to z and digits."""

    def tokenize(self, text: str) -> list[str]:
        return "".join(" " if unicodedata.category(one)[0] in "PS" else one for one in text.lower()).split()


def rouge(hypotheses: Sequence[str], references: Sequence[str], *, language: str = "en") -> dict[str, Measurement]:
    """The mean F-measure over summaries, in per cent.

    Raises:
        DataError: unequal counts. UsageError: the package is missing.
    """
    check_pairs(hypotheses, references)
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise UsageError("ROUGE needs the package rouge-score", remedy='pip install "headway[metrics]"') from None
    words = writes_spaces(language)
    stems = words and base_language(language) == "en"
    if stems:
        _warn_of_other_letters(references)
    tokenizer = None if stems else _Words() if words else _Characters()
    scorer: Any = RougeScorer(list(KINDS), use_stemmer=stems, tokenizer=tokenizer)
    found = [scorer.score(reference, hypothesis) for hypothesis, reference in zip(hypotheses, references, strict=True)]
    unit = "words, stemmed" if stems else "words" if words else "characters"
    return {
        kind.lower(): measurement_of(
            kind.lower(), label, f"F-measure of {unit}, rouge-score", _with_count([one[kind].fmeasure for one in found]), "share"
        )
        for kind, label in KINDS.items()
    }


def _warn_of_other_letters(references: Sequence[str]) -> None:
    strange = sum(bool(text.strip()) and not re.search("[a-z0-9]", text.lower()) for text in references)
    if 10 * strange > len(references):
        message = "ROUGE of English knows the letters a to z and digits, of which %d of %d references have none: %s"
        _log.warning(message, strange, len(references), "is data.target_language right?")


def distinct(hypotheses: Sequence[str], *, language: str = "en") -> dict[str, Measurement]:
    """Distinct-1 and -2 (Li et al. 2016): different n-grams of all answers, for each n-gram that was written, in per cent.

    The share falls with the amount of text, so its interval comes from the answers alone and is narrow; compare equal sets.
    """
    rows = [text.split() if writes_spaces(language) else list("".join(text.split())) for text in hypotheses]
    results = {}
    for n in (1, 2):
        grams = [[tuple(row[i : i + n]) for i in range(len(row) - n + 1)] for row in rows]
        seen: set[tuple[str, ...]] = set()
        fresh = []
        for row in grams:
            fresh.append(len(set(row) - seen))
            seen.update(row)
        statistics = np.array([fresh, list(map(len, grams))], dtype=np.float64).T
        name = f"distinct{n}"
        results[name] = measurement_of(name, f"distinct-{n}", "different n-grams of all that were written", statistics, "share")
    return results


def _with_count(values: Sequence[float]) -> np.ndarray:
    return np.stack((values, np.ones(len(values))), 1)
