"""The steps before the tokenizer. The shortcuts for plain lines must give what sacremoses gives."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.data.preprocessing import Preprocessor
from headway.errors import UsageError

sacremoses = pytest.importorskip("sacremoses")

PUBLISHED = ("lowercase", "moses_punctuation", "moses_tokenize")
LANGUAGES = ["en", "de", "fr", "cs", "zh", "xx"]
# Words, punctuation and blanks in any order: plain lines and nearly plain ones.
LINES = st.lists(
    st.sampled_from(["a", "Dr", "No", "etc", "Mann", "größer", "x-ray", "U.S", "don't", "7", "7,000", "的", "Œuvre", "œ"])
    | st.sampled_from(
        [" ", " ", " ", ", ", ",", ". ", ".", "-", "'", '"', "  ", "…", "..", "(", ")", "`", ":", "%", "\u00a0", "\t"]
    )
    | st.text(max_size=3),
    max_size=14,
).map("".join)


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=200, deadline=None)
@given(text=LINES)
def test_same_as_sacremoses(language: str, text: str) -> None:
    normalized = sacremoses.MosesPunctNormalizer(language).normalize(text)
    assert _preprocessor("moses_punctuation", language).apply(text) == normalized
    words = sacremoses.MosesTokenizer(language).tokenize(text, return_str=True, escape=False)
    assert _preprocessor("moses_tokenize", language).apply(text) == words
    assert _preprocessor("moses_tokenize", language).undo(words) == sacremoses.MosesDetokenizer(language).detokenize(
        words.split(), unescape=False
    )


_made: dict[tuple[str, str], Preprocessor] = {}


def _preprocessor(step: str, language: str) -> Preprocessor:
    if (step, language) not in _made:
        _made[step, language] = Preprocessor([step], language)  # type: ignore[list-item]
    return _made[step, language]


@pytest.mark.parametrize(
    ("language", "raw", "published"),
    [
        ("en", "Two young, White males are outside.", "two young , white males are outside ."),
        ("en", "A boy's T-shirt says “I ♥ NY”.", 'a boy \'s t-shirt says " i ♥ ny . "'),
        ("de", "Ein Mann im T-Shirt hält ca. 3,5 Liter…", "ein mann im t-shirt hält ca. 3,5 liter ..."),
        ("de", "Zwei Hunde rennen,  ein dritter schläft.", "zwei hunde rennen , ein dritter schläft ."),
        ("fr", "L'homme boit d'un trait.", "l' homme boit d' un trait ."),
    ],
)
def test_the_published_setting(language: str, raw: str, published: str) -> None:
    assert Preprocessor(PUBLISHED, language).apply(raw) == published


def test_words_are_put_together_again() -> None:
    steps = Preprocessor(PUBLISHED, "en")
    for text in ("two young, white males (and a dog) aren't outside.", 'he said "no," twice.', "a & b < c [d] | e; 5% off!"):
        assert steps.undo(steps.apply(text)) == text
    assert Preprocessor(["lowercase"], "en").undo("a b .") == "a b ."


def test_steps_run_in_their_order() -> None:
    assert Preprocessor(["nfc"], "en").apply("e\u0301") == "é"
    assert Preprocessor(["nfkc"], "en").apply("ﬁn ２") == "fin 2"
    assert Preprocessor(["lowercase"], "de").apply("GROẞ ÉTÉ") == "groß été"
    assert Preprocessor(["lowercase", "nfc"], "tr").apply("İ") == unicodedata.normalize("NFC", "İ".lower())
    assert Preprocessor([], "en").apply(" As  It Is ") == " As  It Is "
    assert Preprocessor(PUBLISHED, "en").apply("") == ""
    assert Preprocessor(PUBLISHED, "en").apply("\u2028 \t") == ""


def test_a_missing_package_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacremoses", None)
    with pytest.raises(UsageError, match=r'pip install "headway\[moses\]"'):
        Preprocessor(["moses_tokenize"], "en")
    assert Preprocessor(["nfc", "lowercase"], "en").apply("A") == "a"
