"""Scores by length, worst and best sentences, odd outputs, and text made safe to show."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.evaluation import analysis, metrics
from headway.visible import visible

REFERENCES = ["", "ja", "eins zwei drei", "a b c d e f g", "a b c d e f g h i j", " ".join("w" * 120), "gut", "sehr gut ."]
HYPOTHESES = ["", "nein", "eins zwei drei", "a b c d e f", "x y z", " ".join("w" * 120), "gut", "sehr gut ."]


def test_groups_hold_every_sentence_once_with_the_score_of_that_group() -> None:
    found = analysis.by_length(metrics.corpus_scores(HYPOTHESES, REFERENCES))
    assert [(group.name, group.sentences) for group in found] == [("0", 1), ("1–5", 4), ("6–10", 2), ("101+", 1)]
    third = found[2]
    again = metrics.corpus_scores(HYPOTHESES[3:5], REFERENCES[3:5])
    assert third.scores == pytest.approx({name: measured.score for name, measured in again.items()})
    assert third.length_ratio == pytest.approx(9 / 17)
    assert sum(group.sentences for group in found) == len(REFERENCES)


def test_worst_and_best_are_apart_and_in_order() -> None:
    measured = metrics.chrf(HYPOTHESES, REFERENCES)
    lengths = metrics.bleu(HYPOTHESES, REFERENCES).statistics[:, 1]
    worst, best = analysis.worst_and_best(measured, lengths, count=3)
    assert set(worst).isdisjoint(best)
    assert worst[:2] == [4, 1]  # both share nothing with their references; the longer one comes first
    assert best == [5, 2, 7]  # all perfect, by length
    assert analysis.worst_and_best(metrics.ter(HYPOTHESES, REFERENCES), lengths, count=2)[0] == [4, 1]  # lower is better
    assert analysis.worst_and_best(metrics.chrf(["a"], ["a"]), [1]) == ([0], [])


def test_odd_outputs_are_counted() -> None:
    sources = ["A dog.", "Berlin", "A man.", "A cat.", "", "x"]
    hypotheses = ["A dog.", "Berlin", "ein ein ein ein Mann", "", "", "ha ha ha ha"]
    references = ["Ein Hund.", "Berlin", "Ein Mann.", "Eine Katze.", "", "ha ha ha ha"]
    found = analysis.oddities(sources, hypotheses, references)
    assert (found.empty, found.copies_of_source, found.loops) == (1, 1, 1)
    assert found.warnings(6) == [
        "1 of 6 hypotheses are the source itself, untranslated",
        "1 of 6 hypotheses repeat themselves in a loop",
    ]
    assert found.warnings(1000) == []


def test_loops_of_several_words_are_found_in_linear_time() -> None:
    assert analysis.has_loop("er sagt " + "auf dem " * 4)
    assert not analysis.has_loop("auf dem Dach auf dem Berg auf dem See")
    assert not analysis.has_loop("ha ha ha")
    source = random.Random(0)
    long = " ".join(source.choices(["a", "b", "c", "d", "e", "f", "g"], k=200_000))
    start = time.perf_counter()
    analysis.has_loop(long)
    assert time.perf_counter() - start < 1.0


@given(st.text())
def test_shown_text_stays_on_one_line_and_can_be_encoded(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    if text.isascii() and text.isprintable():
        assert shown == text


def test_direction_marks_are_shown_and_joiners_are_left_alone() -> None:
    assert visible("a\u202eb\x1b[31m\u2028") == "a⟨U+202E⟩b⟨U+001B⟩[31m⟨U+2028⟩"
    assert visible("👩‍👩‍👧 می‌خواهم") == "👩‍👩‍👧 می‌خواهم"
