"""Scores of what was heard: word and character error rate, computed by the package `jiwer`, and the share of right sentences.

Speech has neither case nor punctuation, so both are folded on both sides before anything is compared, and the signature says so.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from itertools import zip_longest
from typing import Any

import numpy as np

from headway.errors import UsageError
from headway.evaluation.label_scores import measurement_of
from headway.evaluation.metrics import Measurement, check_pairs
from headway.languages import writes_spaces

NORMALISED = "NFKC, lower-cased, no punctuation, blanks folded"
ERRORS_HEAD = ["error", "wanted", "heard", "times"]
_NAMES = {"substitute": "substitution", "delete": "deletion", "insert": "insertion"}  # as people and as jiwer call them
_COLUMNS = {name: column for column, name in enumerate(_NAMES)}
_INSIDE = re.compile(r"(?<=\w)'(?=\w)|(?<=\d)[.,:](?=\d)")  # what belongs to a word or number: don't, 3.5


def normalise(text: str) -> str:
    """Lower-cased, without punctuation but for apostrophes in words and points in numbers, one blank where some were."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    inside = {found.start() for found in _INSIDE.finditer(text)}
    bare = (
        letter if place in inside or not unicodedata.category(letter).startswith("P") else " "
        for place, letter in enumerate(text)
    )
    return " ".join("".join(bare).split())


def speech_scores(hypotheses: Sequence[str], references: Sequence[str], *, language: str = "en") -> dict[str, Measurement]:
    """WER and CER, lower is better, and the share of sentences without an error, in per cent.

    Where no spaces are written, WER is of characters. CER counts blanks between words as characters. Of a sentence that has no
    words every one that is heard is an insertion.

    Raises:
        DataError: unequal counts. UsageError: the package is missing.
    """
    check_pairs(hypotheses, references)
    jiwer = _jiwer()
    wanted, found = ([normalise(text) for text in texts] for texts in (references, hypotheses))
    spaces = writes_spaces(language)
    of_words = _counts(jiwer.process_words(*(_spaced(texts, language) for texts in (wanted, found))))
    of_characters = _counts(jiwer.process_characters(wanted, found)) if spaces else of_words
    right = np.stack((of_words[:, :3].sum(1) == 0, np.ones(len(of_words))), 1)
    unit = f"jiwer {version('jiwer')}, {NORMALISED}"
    every = (
        measurement_of("wer", "WER", f"{unit}, of {'words' if spaces else 'characters'}", of_words, "error_rate", False),
        measurement_of("cer", "CER", f"{unit}, of characters", of_characters, "error_rate", False),
        measurement_of("exact", "exact match", f"sentences without an error, {NORMALISED}", right, "share"),
    )
    return {one.name: one for one in every}


def word_accuracy(hypotheses: Sequence[str], references: Sequence[str], *, language: str = "en") -> float:
    """100 − WER, so that more is better; below 0 where there are more errors than words. Raises as `speech_scores` does."""
    return 100.0 - speech_scores(hypotheses, references, language=language)["wer"].score


def commonest_errors(
    hypotheses: Sequence[str], references: Sequence[str], *, language: str = "en", rows: int = 10
) -> list[list[str]]:
    """What is misheard most often, under `ERRORS_HEAD`: words, or characters where no spaces are written.

    Raises as `speech_scores` does.
    """
    check_pairs(hypotheses, references)
    wanted, found = ([normalise(text) for text in texts] for texts in (references, hypotheses))
    aligned = _jiwer().process_words(*(_spaced(texts, language) for texts in (wanted, found)))
    times: Counter[tuple[str, str, str]] = Counter()
    for theirs, ours, chunks in zip(aligned.references, aligned.hypotheses, aligned.alignments, strict=True):
        for chunk in chunks:
            if chunk.type != "equal":
                meant, heard = theirs[chunk.ref_start_idx : chunk.ref_end_idx], ours[chunk.hyp_start_idx : chunk.hyp_end_idx]
                times.update((_NAMES[chunk.type], *pair) for pair in zip_longest(meant, heard, fillvalue=""))
    return [[*error, f"{count:,}"] for error, count in sorted(times.items(), key=lambda one: (-one[1], one[0]))[:rows]]


def _spaced(texts: Sequence[str], language: str) -> list[str]:
    """With blanks between what WER counts."""
    return list(texts) if writes_spaces(language) else [" ".join("".join(text.split())) for text in texts]


def _counts(aligned: Any) -> np.ndarray:
    """Substitutions, deletions, insertions and wanted pieces of each sentence, [N, 4]."""
    counts = np.zeros((len(aligned.references), 4))
    for row, (wanted, chunks) in enumerate(zip(aligned.references, aligned.alignments, strict=True)):
        counts[row, 3] = len(wanted)
        for chunk in chunks:
            if chunk.type != "equal":
                size = max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
                counts[row, _COLUMNS[chunk.type]] += size
    return counts


def _jiwer() -> Any:
    try:
        import jiwer
    except ImportError:
        raise UsageError("word error rates need the package jiwer", remedy='pip install "headway[media]"') from None
    return jiwer
