"""Scores by length, worst and best sentences, odd outputs, and text made safe to show."""

from __future__ import annotations

import random
import time

import numpy as np
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


@pytest.mark.parametrize(
    ("source", "hypothesis", "reference", "found"),
    [
        ("two", "zwei", "zwei", []),
        ("two", " ", "zwei", [analysis.EMPTY]),
        ("a b c d e", "eins zwei", "eins zwei drei vier fünf", [analysis.SHORT]),
        ("a", "eins zwei drei", "eins", [analysis.LONG]),
        ("a.", "eins zwei", "eins zwei.", [analysis.UNENDED]),
        ("in 1984", "1985 und 1984", "im Jahr 1984", [analysis.NUMBER]),
        ("in May", "im 5.", "im 5.", []),  # the reference has it too
        ("a dog", "a dog", "ein Hund", [analysis.COPY]),
        ("x", "我喜欢", "我喜欢吃很多很多的苹果", [analysis.SHORT]),  # without blanks characters are counted
    ],
)
def test_what_is_odd_about_an_output(source: str, hypothesis: str, reference: str, found: list[str]) -> None:
    assert analysis.marks(source, hypothesis, reference) == found


def test_of_equally_bad_ones_the_surest_is_the_worst() -> None:
    measured = metrics.chrf(["x", "x", "abc"], ["abc", "abc", "abc"])
    worst, best = analysis.worst_and_best(measured, [1, 1, 1], count=2, confidence=[0.2, 0.9, 0.5])
    assert (worst, best) == ([1], [2])


def test_groups_have_the_scores_of_their_examples_with_intervals() -> None:
    measured = metrics.chrf(HYPOTHESES, REFERENCES)
    [(name, *_), (other, examples, score, low, high)] = analysis.group_scores(
        measured, [("a", np.array([0, 1])), ("b", np.array([2, 3, 4]))], (100, 0.95, 1)
    )
    assert (name, other, examples) == ("a", "b", 3)
    assert score == pytest.approx(measured.over([2, 3, 4]))
    assert low <= score <= high


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
