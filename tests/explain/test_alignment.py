"""Words are put together from pieces, and linked by where the model looked."""

from __future__ import annotations

import numpy as np
import pytest
from gold_alignment import gold_links

from headway.explain.alignment import alignment, shown_links, words_of
from headway.explain.sides import END, START, Side, word_numbers


def side(*pieces: str) -> Side:
    marks = [piece in (END, START) for piece in pieces]
    return Side(list(range(len(pieces))), list(pieces), marks, word_numbers(pieces, marks))


SOURCE = side("the", "dog", "·s", "ran", "␣", ".", END)
TARGET = side(START, "die", "Hund", "·e", "liefen", ".")


def test_pieces_make_words() -> None:
    assert SOURCE.words == [0, 1, 1, 2, 3, 3, 4]
    assert words_of(SOURCE) == ["the", "dogs", "ran", ".", END]
    assert words_of(TARGET) == [START, "die", "Hunde", "liefen", "."]


def test_a_piece_that_is_a_dot_itself_is_a_word_of_its_own() -> None:
    assert side(START, "·", "x").words == [0, 1, 2]


def test_each_word_of_the_answer_is_linked_to_the_word_looked_at_most() -> None:
    looked = np.full((2, 6, 7), 0.01, dtype=np.float32)  # heads, of the answer and its end, source
    for row, column in ((0, 0), (1, 1), (2, 2), (3, 3), (4, 5), (5, 6)):
        looked[:, row, column] = 0.5
    looked[:, 1, 6] = 3.0  # the end is no word
    links = alignment({"decoder.0.cross_attention": looked, "decoder.1.cross_attention": looked}, SOURCE, TARGET)
    assert [(link.target, link.source) for link in links] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert links[0].share == pytest.approx(0.5 / 0.55, rel=1e-3)
    assert [(said, read) for said, read, _ in shown_links(links, SOURCE, TARGET)] == [
        ("die", "the"), ("Hunde", "dogs"), ("liefen", "ran"), (".", "."),
    ]  # fmt: skip


def test_the_mean_is_over_layers_and_heads() -> None:
    source, target = side("a", "b", END), side(START, "x")
    maps = {f"decoder.{layer}.cross_attention": np.zeros((2, 2, 3), dtype=np.float32) for layer in (0, 1)}
    maps["decoder.0.cross_attention"][0, 0, 0] = 0.9
    for layer, head in ((0, 1), (1, 0), (1, 1)):
        maps[f"decoder.{layer}.cross_attention"][head, 0, 1] = 0.4
    (link,) = alignment(maps, source, target)
    assert (link.source, link.share) == (1, pytest.approx(1.2 / 2.1))


def test_an_empty_answer_has_no_links() -> None:
    maps = {"decoder.0.cross_attention": np.full((1, 1, 7), 1 / 7, dtype=np.float32)}
    assert alignment(maps, SOURCE, side(START)) == []


def test_true_links_are_told_by_the_lexicon() -> None:
    source = ["The", "two", "old", "dogs", "see", "the", "woman", "."]
    target = ["Die", "zwei", "alten", "Hunde", "sehen", "die", "Frau", "."]
    assert gold_links(source, target) == {1: 1, 2: 2, 3: 3, 6: 6}
    assert gold_links(["The", "dog", "saw", "a", "dog", "."], ["Der", "Hund", "sah", "einen", "Hund", "."]) == {}
