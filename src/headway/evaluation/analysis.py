"""Where the errors are: scores by length, the worst and best sentences, odd outputs. Pure functions on measurements and lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headway.evaluation.metrics import Measurement

LENGTH_EDGES = (1, 6, 11, 16, 21, 31, 41, 61, 101)  # where groups begin, in words of the reference as BLEU counts them
LOOP_WORDS = 4  # so many equal n-grams (n = 1–4) in a row, and not in the reference, are a loop


@dataclass(frozen=True)
class LengthGroup:
    """Scores of the sentences whose references have `shortest` to `longest` words; `length_ratio` is words out / words wanted."""

    shortest: int
    longest: int | None
    sentences: int
    scores: dict[str, float]
    length_ratio: float


def by_length(measurements: Mapping[str, Measurement]) -> list[LengthGroup]:
    """The scores of each group of lengths that has sentences; lengths are those that BLEU counted (needs `bleu`)."""
    lengths = measurements["bleu"].statistics[:, 1]
    written = measurements["bleu"].statistics[:, 0]
    groups = []
    for shortest, following in zip((0, *LENGTH_EDGES), (*LENGTH_EDGES, None), strict=True):
        chosen = np.flatnonzero((lengths >= shortest) & (following is None or lengths < following))
        if len(chosen):
            scores = {name: measured.over(chosen) for name, measured in measurements.items()}
            ratio = float(written[chosen].sum() / max(lengths[chosen].sum(), 1))
            groups.append(LengthGroup(shortest, None if following is None else following - 1, len(chosen), scores, ratio))
    return groups


def name_of(group: LengthGroup) -> str:
    """``6–10``, ``101+`` or ``0``."""
    if group.longest is None:
        return f"{group.shortest}+"
    return str(group.shortest) if group.shortest == group.longest else f"{group.shortest}–{group.longest}"


def worst_and_best(measurement: Measurement, lengths: Sequence[int] | np.ndarray, count: int = 5) -> tuple[list[int], list[int]]:
    """Indices of the `count` worst sentences, worst first, and of the `count` best, best first; no sentence is in both.

    Of equally good ones the longer comes first, because it tells more; then the earlier.
    """
    sign = 1.0 if measurement.higher_is_better else -1.0
    quality = np.round(sign * measurement.sentence_scores(), 9)
    longer = -np.asarray(lengths, dtype=np.int64)
    places = np.arange(len(quality))
    worst_first = np.lexsort((places, longer, quality))
    best_first = np.lexsort((places, longer, -quality))
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
    empty = copies = loops = 0
    for source, hypothesis, reference in zip(sources, hypotheses, references, strict=True):
        empty += bool(reference.strip()) and not hypothesis.strip()
        copies += bool(hypothesis.strip()) and hypothesis.strip() == source.strip() != reference.strip()
        loops += has_loop(hypothesis) and not has_loop(reference)
    return Oddities(empty, copies, loops)


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
