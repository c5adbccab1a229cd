"""What is odd in texts that a model has written: empty, cut off, repeating, copied, longer or shorter, made up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from headway.config import Config
from headway.evaluation.analysis import COPY, EMPTY, LONG, LOOP, NUMBER, SHORT, UNENDED, marks
from headway.evaluation.distributions import wilson
from headway.evaluation.evaluated import Evaluated
from headway.evaluation.frequency import words
from headway.evaluation.outcome_record import AnswerRecord
from headway.pages.document import table, text
from headway.report.breakdown import languages_of
from headway.report.training_text import WRITTEN, TrainingText

UNSEEN = "a word never seen"
MEANINGS = {
    EMPTY: "nothing was written",
    COPY: "the source, which the reference is not",
    LOOP: "one to four words, four times in a row; not so in the reference",
    SHORT: "less than half the words of the reference",
    LONG: "more than twice the words of the reference",
    UNENDED: "no end of a sentence, where the reference has one: perhaps cut off",
    NUMBER: "digits that neither the source nor the reference has",
    UNSEEN: "a word that stands neither in the source nor in what training wrote",
}


def marks_of(
    answers: Sequence[AnswerRecord], evaluated: Evaluated, config: Config, training: TrainingText | None
) -> list[list[str]]:
    """What is odd about each answer; nothing where answers are not texts of the model's own."""
    if evaluated.task not in WRITTEN:
        return [[] for _ in answers]
    source_language, language = languages_of(evaluated, config)
    seen = training.counts(language) if training is not None and training.whole else None
    found = []
    for one in answers:
        odd = marks(one.source, one.answer, one.reference)
        if seen is not None:
            known = set(words(one.source, source_language))
            if any(word not in seen and word not in known for word in words(one.answer, language)):
                odd.append(UNSEEN)
        found.append(odd)
    return found


def written_part(evaluated: Evaluated, config: Config, every: Sequence[Sequence[str]]) -> str:
    """How often each oddity comes, and how much is written.

    Args:
        every: what `marks_of` found of each answer.
    """
    if evaluated.task not in WRITTEN:
        return ""
    language, count = languages_of(evaluated, config)[1], len(every)
    confidence = evaluated.bootstrap[1]
    found = Counter(mark for odd in every for mark in odd)
    rows = []
    for mark, meaning in MEANINGS.items():
        low, high = wilson(found[mark] / count, count, confidence)
        rows.append(
            [mark, meaning, f"{found[mark]:,}", f"{100 * found[mark] / count:.1f} %", f"{100 * low:.1f} – {100 * high:.1f} %"]
        )
    written = sum(len(words(one.answer, language)) for one in evaluated.answers)
    wanted = sum(len(words(one.reference, language)) for one in evaluated.answers)
    ratio = f"{written:,} words were written and {wanted:,} are in the references: {written / max(wanted, 1):.2f} times as many."
    head = ["answers that are or have", "", "count", "share", f"{100 * confidence:g} % interval"]
    return table(head, rows, texts=2) + f"<p class=soft>{text(ratio)}</p>"
