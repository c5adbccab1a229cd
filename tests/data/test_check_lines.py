"""Lines as hashes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.data.checks.lines import Lines, normalise, split_words

texts = st.lists(
    st.lists(st.sampled_from(["ab", "Ab", "c", "dé", "１", "好", ".", "\u2028", " "]), max_size=7).map(" ".join), max_size=8
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("  A  B\t\u00a0C ", "a b c"), ("ﬁne １２", "fine 12"), ("STRASSE", "strasse"), ("straße", "strasse"), ("", "")],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_scripts_without_blanks_are_split_into_characters() -> None:
    assert split_words("我喜歡 python3。你好") == ["我", "喜", "歡", "python3。", "你", "好"]
    assert split_words("one two.") == ["one", "two."]


@settings(max_examples=200, deadline=None)
@given(texts)
def test_the_hash_without_a_word_is_the_hash_of_what_remains(lines: list[str]) -> None:
    found = Lines.of(lines)
    for row, line in enumerate(lines):
        words = [word for word in split_words(normalise(line)) if any(map(str.isalnum, word))]
        remains = Lines.of([" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))])
        assert found.without_one[found.ends[row] : found.ends[row + 1]].tolist() == remains.bare.tolist()
        assert found.bare[row] == Lines.of([" ".join(words)]).bare[0]


def test_hashes_tell_lines_apart() -> None:
    lines = [" ".join(words) for words in np.array(np.meshgrid(*[list("abcdefg")] * 4)).reshape(4, -1).T]
    found = Lines.of([*lines, "a", "a a", "a a a", ""])
    assert len(set(found.normal.tolist())) == len(found.normal)
    assert len(set(found.bare.tolist())) == len(found.bare)
    assert len(set(found.exact.tolist())) == len(found.exact)
    assert Lines.of(["a  B"]).normal[0] == Lines.of(["A b"]).normal[0]
    assert Lines.of(["a  B"]).exact[0] != Lines.of(["A b"]).exact[0]


def test_punctuation_is_no_word() -> None:
    found = Lines.of(["“Ja!”, sagte er .", "ja sagte er", "?!"])
    assert found.bare[0] == found.bare[1] != found.bare[2]
    assert found.word_counts.tolist() == [3, 3, 0]
    assert len(set(found.normal.tolist())) == 3


def test_no_lines() -> None:
    found = Lines.of([])
    assert [len(values) for values in (found.words, found.exact, found.bare, found.without_one, found.rows)] == [0] * 5


def test_hashes_are_the_same_in_every_process() -> None:
    code = "from headway.data.checks.lines import Lines; print(*Lines.of(['Ein Satz, 好。']).bare)"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {f"{Lines.of(['Ein Satz, 好。']).bare[0]}\n"}


def test_numbers_and_word_beginnings_are_stems() -> None:
    found = Lines.of(["Internationale (1984) der Musik", "international 1984, a music"])
    stems = [set(found.stems[found.rows == row].tolist()) - {0} for row in (0, 1)]
    assert len(stems[0] & stems[1]) == 2  # inter… and 1984; musik and music part at the fifth letter
