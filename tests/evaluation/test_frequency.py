"""How rare words are answered: words of every script, ranges of frequency, and scores that agree with counting by hand."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.evaluation.frequency import EDGES, NAMES, range_of, rarest, scores_by_frequency, words


def test_words_are_bare_and_lower_cased_or_characters() -> None:
    assert words('“Ein Mann, der so-und-so heißt…”  sagt: "Ja!" -', "de") == [
        "ein",
        "mann",
        "der",
        "so-und-so",
        "heißt",
        "sagt",
        "ja",
    ]
    assert words("你好，世界！ OK", "zh") == ["你", "好", "世", "界", "o", "k"]
    assert words("नमस्ते दुनिया।", "hi") == ["नमस्ते", "दुनिया"]  # whose last letters are marks


@given(st.text())
def test_words_hold_no_blanks_and_begin_without_punctuation(text: str) -> None:
    for word in words(text, "en"):
        assert word
        assert not any(character.isspace() for character in word)
        assert unicodedata.category(word[0])[0] not in "PS"


@given(st.integers(0, 10**6))
def test_every_frequency_is_in_the_range_that_says_so(count: int) -> None:
    number = range_of(count)
    assert EDGES[number] <= count
    assert number == len(EDGES) - 1 or count < EDGES[number + 1]
    assert len(NAMES) == len(EDGES)


def test_scores_of_ranges_are_those_of_counting_by_hand() -> None:
    counts = Counter({"the": 5000, "dog": 3, "cat": 3})
    answers = [["the", "the", "dog"], ["the", "cat", "zebra"]]
    wanted = [["the", "dog", "dog"], ["a", "cat"]]
    found = {one.name: one for one in scores_by_frequency(answers, wanted, lambda word: counts[word], 0.95)}
    assert list(found) == ["never", "2–5", "over 1,000"]
    assert (found["2–5"].precision.score, found["2–5"].recall.score) == (100.0, pytest.approx(100 * 2 / 3))
    assert (found["over 1,000"].precision.score, found["over 1,000"].recall.score) == (pytest.approx(100 / 3), 100.0)
    assert (found["never"].f1.score, found["never"].total) == (0.0, 1)
    assert found["2–5"].f1.low <= found["2–5"].f1.score <= found["2–5"].f1.high


def test_the_rarest_word_decides() -> None:
    assert rarest([["the", "dog"], ["the"], [], ["new"]], {"the": 5000, "dog": 1}) == [1, 6, None, 0]
