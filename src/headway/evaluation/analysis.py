"""Where the errors are: scores by length, the worst and best sentences, odd outputs. Pure functions on measurements and lists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headway.evaluation.intervals import score_interval
from headway.evaluation.metrics import Measurement

LENGTH_EDGES = (1, 6, 11, 16, 21, 31, 41, 61, 101)  # where groups begin, in words of the reference as BLEU counts them
EMPTY, COPY, LOOP = "empty", "the source itself", "a loop"
SHORT, LONG, UNENDED = "less than half as long", "more than twice as long", "without its full stop"
NUMBER = "a number of its own"  # that neither source nor reference has
_NUMBERS = re.compile(r"\d+")
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", ".”", '."', "」", "।", "؟")
LOOP_WORDS = 4  # so many equal n-grams (n = 1–4) in a row, and not in the reference, are a loop


@dataclass(frozen=True)
class LengthGroup:
    """Scores of the sentences whose references have as many words as `name` says; `length_ratio` is words out / words wanted."""

    name: str
    sentences: int
    scores: dict[str, float]
    length_ratio: float


def by_length(measurements: Mapping[str, Measurement]) -> list[LengthGroup]:
    """The scores of each group of lengths that has sentences; lengths are those that BLEU counted (needs `bleu`)."""
    lengths = measurements["bleu"].statistics[:, 1]
    written = measurements["bleu"].statistics[:, 0]
    groups = []
    for name, chosen in length_groups(lengths):
        scores = {name: measured.over(chosen) for name, measured in measurements.items()}
        ratio = float(written[chosen].sum() / max(lengths[chosen].sum(), 1))
        groups.append(LengthGroup(name, len(chosen), scores, ratio))
    return groups


def length_groups(lengths: Sequence[int] | np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The name of each group of lengths that occurs, such as ``6–10``, ``101+`` or ``0``, and the indices that are in it."""
    found = []
    for shortest, following in zip((0, *LENGTH_EDGES), (*LENGTH_EDGES, None), strict=True):
        chosen = np.flatnonzero((np.asarray(lengths) >= shortest) & (following is None or np.asarray(lengths) < following))
        if len(chosen):
            single = following is not None and following == shortest + 1
            name = f"{shortest}+" if following is None else str(shortest) if single else f"{shortest}–{following - 1}"
            found.append((name, chosen))
    return found


class GroupScore(NamedTuple):
    """The score of a group of examples, with its interval."""

    name: str
    examples: int
    score: float
    low: float
    high: float


def group_scores(
    measured: Measurement, groups: Sequence[tuple[str, np.ndarray]], bootstrap: tuple[int, float, int]
) -> list[GroupScore]:
    """Of each group, given as its name and the indices of its examples; `bootstrap` is samples, confidence and seed."""
    found = []
    for name, chosen in groups:
        interval = score_interval(measured.statistics[chosen], measured.formula, *bootstrap)
        found.append(GroupScore(name, len(chosen), interval.score, interval.low, interval.high))
    return found


def worst_and_best(
    measurement: Measurement, lengths: Sequence[int] | np.ndarray, count: int = 5, confidence: Sequence[float] | None = None
) -> tuple[list[int], list[int]]:
    """Indices of the `count` worst examples, worst first, and of the `count` best, best first; no example is in both.

    Of equally good ones that comes first of which the model is surer, where that is given; then the longer, because it tells
    more; then the earlier.
    """
    sign = 1.0 if measurement.higher_is_better else -1.0
    quality = np.round(sign * measurement.sentence_scores(), 9)
    longer = -np.asarray(lengths, dtype=np.int64)
    places = np.arange(len(quality))
    surer = -np.asarray(confidence) if confidence is not None else np.zeros(len(quality))
    worst_first = np.lexsort((places, longer, surer, quality))
    best_first = np.lexsort((places, longer, surer, -quality))
    count = min(count, len(quality) // 2) if len(quality) > 1 else len(quality)
    worst = worst_first[:count].tolist()
    taken = set(worst)
    best = [index for index in best_first.tolist() if index not in taken][:count]
    return worst, best


@dataclass(frozen=True)
class Oddities:
    """How many hypotheses are of a kind that a score alone does not show."""

    empty: int
    copies_of_source: int
    loops: int

    def warnings(self, sentences: int) -> list[str]:
        named = [(self.copies_of_source, "are the source itself, untranslated"), (self.loops, "repeat themselves in a loop")]
        return [f"{count} of {sentences} hypotheses {what}" for count, what in named if count >= max(1, 0.01 * sentences)]


def oddities(sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]) -> Oddities:
    """Counts outputs that are empty though the reference is not, copies of a source that should have been changed, and loops."""
    pairs = zip(sources, hypotheses, references, strict=True)
    found = Counter(mark for source, hypothesis, reference in pairs for mark in marks(source, hypothesis, reference))
    return Oddities(found[EMPTY], found[COPY], found[LOOP])


def marks(source: str, hypothesis: str, reference: str) -> list[str]:
    """What is odd about an output: some of EMPTY, COPY, LOOP, SHORT, LONG, UNENDED, NUMBER."""
    written, wanted = len(hypothesis.split()), len(reference.split())
    if wanted <= 2 and len(reference) > 8 * wanted:  # no blanks between words
        written, wanted = len(hypothesis), len(reference)
    own = set(_NUMBERS.findall(hypothesis)) - set(_NUMBERS.findall(source)) - set(_NUMBERS.findall(reference))
    odd = {
        EMPTY: bool(reference.strip()) and not hypothesis.strip(),
        COPY: bool(hypothesis.strip()) and hypothesis.strip() == source.strip() != reference.strip(),
        LOOP: has_loop(hypothesis) and not has_loop(reference),
        SHORT: 0 < 2 * written < wanted,
        LONG: written > 2 * wanted > 0,
        UNENDED: bool(hypothesis.strip()) and _ends(reference) and not _ends(hypothesis),
        NUMBER: bool(own),
    }
    return [mark for mark, is_so in odd.items() if is_so]


def _ends(text: str) -> bool:
    return text.rstrip().endswith(_SENTENCE_ENDS)


def has_loop(text: str) -> bool:
    """Whether one to four words stand `LOOP_WORDS` times in a row. Linear in the text."""
    words = text.split()
    for size in range(1, 5):
        run = 0
        for index in range(size, len(words)):
            run = run + 1 if words[index] == words[index - size] else 0
            if run >= size * (LOOP_WORDS - 1):
                return True
    return False
