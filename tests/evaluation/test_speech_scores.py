"""WER and CER against jiwer's own figures and a plain edit distance, worked out by hand, and with sane intervals."""

from __future__ import annotations

import random
import sys
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import DataError, UsageError
from headway.evaluation.intervals import score_interval
from headway.evaluation.speech_scores import commonest_errors, normalise, speech_scores, word_accuracy

jiwer = pytest.importorskip("jiwer")
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def heard(seed: int, sentences: int, errors: float = 0.2) -> tuple[list[str], list[str]]:
    """What was said, and it with words changed, lost and added, more in some sentences than in others."""
    chance = random.Random(seed)
    wanted, found = [], []
    for _ in range(sentences):
        said = chance.choices(WORDS, k=chance.randint(1, 12))
        rate = min(1.0, errors * chance.expovariate(1))
        ours = []
        for word in said:
            fate = chance.choice("sdi") if chance.random() < rate else "="
            ours += {"=": [word], "s": [chance.choice(WORDS)], "d": [], "i": [word, chance.choice(WORDS)]}[fate]
        wanted.append(" ".join(said))
        found.append(" ".join(ours))
    return found, wanted


def distance(first: str, second: str) -> int:
    """Edits between two sequences, plainly."""
    one, other = (first, second)

    @cache
    def edits(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(edits(i - 1, j) + 1, edits(i, j - 1) + 1, edits(i - 1, j - 1) + (one[i - 1] != other[j - 1]))

    return edits(len(one), len(other))


@pytest.mark.parametrize("seed", range(6))
def test_the_rates_are_those_of_jiwer(seed: int) -> None:
    found, wanted = heard(seed, 60)
    scores = speech_scores(found, wanted)
    assert scores["wer"].score == pytest.approx(100 * jiwer.wer(wanted, found))
    assert scores["cer"].score == pytest.approx(100 * jiwer.cer(wanted, found))
    for one, other, rate in zip(found, wanted, scores["wer"].sentence_scores(), strict=True):
        assert rate == pytest.approx(100 * jiwer.wer(other, one))
    some = [0, 5, 5, 59]
    again = speech_scores([found[i] for i in some], [wanted[i] for i in some])
    for name, measured in scores.items():
        assert measured.over(some) == pytest.approx(again[name].score), name
    assert word_accuracy(found, wanted) == pytest.approx(100 - scores["wer"].score)


@given(st.lists(st.tuples(st.text("ab ", max_size=9), st.text("ab ", max_size=9)), min_size=1, max_size=4))
def test_every_edit_is_counted_once(pairs: list[tuple[str, str]]) -> None:
    found, wanted = zip(*pairs, strict=True)
    scores = speech_scores(found, wanted)
    for name, pieces in (("wer", str.split), ("cer", lambda text: " ".join(text.split()))):
        counts_N4 = scores[name].statistics
        assert counts_N4[:, :3].sum(1).tolist() == [distance(tuple(pieces(a)), tuple(pieces(b))) for a, b in pairs]  # type: ignore[arg-type]
        assert counts_N4[:, 3].tolist() == [len(pieces(text)) for text in wanted]
    assert scores["exact"].sentence_scores().tolist() == [100.0 * (a.split() == b.split()) for a, b in pairs]


def test_by_hand() -> None:
    scores = speech_scores(["The cat sat on mat.", "yes oh yes"], ["the bat sat on the mat", "Yes yes"])
    assert scores["wer"].statistics.tolist() == [[1, 1, 0, 6], [0, 0, 1, 2]]
    assert scores["wer"].score == pytest.approx(100 * 3 / 8)
    assert scores["cer"].statistics.tolist() == [[1, 4, 0, 22], [0, 0, 3, 7]]
    assert scores["exact"].score == 0
    assert not scores["wer"].higher_is_better
    assert not scores["cer"].higher_is_better
    assert scores["exact"].higher_is_better
    assert scores["wer"].signature.endswith("NFKC, lower-cased, no punctuation, blanks folded, of words")


def test_nothing_said_and_nothing_heard() -> None:
    assert speech_scores(["", "a"], ["", "a"])["wer"].score == 0
    assert speech_scores([""], ["a b"])["wer"].score == 100
    assert speech_scores(["x", "a b"], ["", "a b"])["wer"].score == 50  # an insertion, for two words that were said
    assert speech_scores(["x y"], ["..."])["wer"].score == 100 * jiwer.wer([""], ["x y"]) == 200
    assert speech_scores([""], [" ? "])["exact"].score == 100
    assert word_accuracy(["a b c d"], ["x"]) == -300


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  Don’t STOP,\tplease!  ", "don't stop please"),
        ("'Well-known' — 3.5 or 1,000…", "well known 3.5 or 1,000"),
        ("Straße. CAFE\u0301", "straße café"),
        ("你好，世界。", "你好 世界"),
        ("ＡＢＣ１２", "abc12"),
        ("एक कुत्ता।", "एक कुत्ता"),
        ("¿Qué?", "qué"),
        ("!?", ""),
    ],
)
def test_what_is_folded(text: str, plain: str) -> None:
    assert normalise(text) == plain


@given(st.text())
def test_what_is_folded_has_single_blanks_and_is_right_against_itself(text: str) -> None:
    plain = normalise(text)
    assert plain == " ".join(plain.split())
    scores = speech_scores([text], [text])
    assert (scores["wer"].score, scores["cer"].score, scores["exact"].score) == (0, 0, 100)


def test_of_characters_where_no_spaces_are_written() -> None:
    scores = speech_scores(["我愛你", "今天 天氣好"], ["我愛他。", "今天天氣好"], language="zh")
    assert scores["wer"].statistics.tolist() == [[1, 0, 0, 3], [0, 0, 0, 5]]
    assert scores["cer"].score == scores["wer"].score == pytest.approx(100 / 8)
    assert scores["exact"].score == 50
    assert scores["wer"].signature.endswith("of characters")
    assert commonest_errors(["我愛你"], ["我愛他"], language="zh") == [["substitution", "他", "你", "1"]]


def test_the_commonest_errors() -> None:
    found = ["five five", "five five", "one two", "one", "three x"]
    wanted = ["nine nine", "nine five", "one", "one two", "three"]
    assert commonest_errors(found, wanted) == [
        ["substitution", "nine", "five", "3"],
        ["deletion", "two", "", "1"],
        ["insertion", "", "two", "1"],
        ["insertion", "", "x", "1"],
    ]
    assert len(commonest_errors(found, wanted, rows=2)) == 2
    assert commonest_errors(["a"], ["A."]) == []


def test_what_cannot_be_scored_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="sentence 2 has no partner"):
        speech_scores(["a"], ["a", "b"])
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(UsageError, match=r'package jiwer\n.*pip install "headway\[media\]"'):
        speech_scores(["a"], ["a"])


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    population = speech_scores(*heard(1, 4000))["wer"]
    chance, held = np.random.default_rng(2), 0
    for trial in range(200):
        drawn = population.statistics[chance.integers(0, 4000, 120)]
        found = score_interval(drawn, population.formula, samples=300, seed=trial)
        assert found.low <= found.score <= found.high
        held += found.low <= population.score <= found.high
    assert 0.89 <= held / 200 <= 0.99


def test_without_an_error_the_rate_is_no_surer_than_a_share() -> None:
    found = score_interval(speech_scores(["a b"] * 40, ["a b"] * 40)["wer"].statistics, "error_rate")
    assert (found.low, found.score) == (0, 0)
    assert 5 < found.high < 12
