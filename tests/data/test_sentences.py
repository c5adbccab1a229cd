"""Where sentences begin and end, in many languages and in texts that nobody would write."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.data.sentences import cut_in_two, gaps_between, sentence_spans

PIECES = st.sampled_from(list('a3ü他。.!?…"“”()।؟,;\u0301\U0001f600')) | st.sampled_from(
    ["Dr", "B", "word", "[1]", "- ", "* ", "1) ", "# ", " ", "  ", "\n", "\r\n", "\n\n", "\t", "\u3000", "\u2028", "x" * 50]
)
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=40).map("".join)


def sentences(text: str, language: str = "en") -> list[str]:
    return [text[begin:end] for begin, end in sentence_spans(text, language)]


@settings(max_examples=500)
@given(TEXTS, st.sampled_from(["", "en", "de", "zh", "ja", "hi", "xx"]), st.booleans())
def test_sentences_and_gaps_put_together_are_the_text(text: str, language: str, lines: bool) -> None:
    spans = sentence_spans(text, language, lines=lines)
    gaps = gaps_between(text, spans)
    own = [text[begin:end] for begin, end in spans]
    assert "".join(gap + sentence for gap, sentence in zip(gaps, [*own, ""], strict=True)) == text
    assert all(sentence and sentence == sentence.strip() for sentence in own)
    assert all(gap == "" or not any(map(str.isalpha, gap)) or lines for gap in gaps)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Dr. Smith met J. R. Brown at 5 p.m. in St. Louis.| He paid $3.50 (approx. 3 euros)!| Why?"),
        ("en", "He said: “Wait.”| She left…| “Is it 3.14?” he asked.| See fig. 3 and no. 7.| He said no.| Then 4 came."),
        ("en", "It works (see [2]).[3]| The U.S. Senate met.| Visit example.com.| Thanks!| :)"),
        ("en", "we go to st. louis.| it is small!| really."),
        ("de", "Am 3. Oktober kam Hr. Prof. Maier, z. B. um 8 Uhr.| Es war das 19. Jahrhundert.| „Gut.“| Ja."),
        ("fr", "M. Dupont est là.| Est-ce vrai ?| « Oui ! » dit-il.| Av. J.-C. est long."),
        ("zh", "你好。|我在这里！|“真的？”|他说：“好。”|３．５是数字。"),
        ("ja", "「はい。」と言った。|元気ですか？|はい。"),
        ("ru", "В 1990 г. он жил на ул. Ленина.| Да!| Т. е. нет."),
        ("ar", "كيف حالك؟| أنا بخير."),
        ("hi", "यह एक वाक्य है।| यह दूसरा है।|तीसरा?"),
        ("ur", "یہ ایک جملہ ہے۔| دوسرا۔"),
        ("am", "ሰላም ነው።| ደህና።"),
        ("xx", "Blah blah.| Blah."),
    ],
)  # fmt: skip
def test_languages(language: str, text: str) -> None:
    whole = text.replace("|", "")
    assert sentences(whole, language) == [sentence.strip() for sentence in text.split("|")]


def test_lists_headings_and_blank_lines() -> None:
    text = "# A heading\r\n\r\n  - one thing\n  - two things? Yes.\n\n1. first\n(2) second\n> quoted\n\tA title\nText.  \n\n"
    spans = sentence_spans(text, "en")
    assert [text[slice(*span)] for span in spans] == [
        "A heading", "one thing", "two things?", "Yes.", "first", "second", "quoted", "A title", "Text.",
    ]  # fmt: skip
    assert gaps_between(text, spans) == ["# ", "\r\n\r\n  - ", "\n  - ", " ", "\n\n1. ", "\n(2) ", "\n> ", "\n\t", "\n", "  \n\n"]


def test_a_sentence_goes_on_where_a_program_broke_its_line() -> None:
    wrapped = "The committee met on Monday in the old house at\nParis and then it decided that nothing was to be\ndone. It left."
    assert len(sentences(wrapped)) == 2
    assert sentences("The committee met on Monday\nParis and then it decided that nothing was to be\ndone.")[0].endswith("Monday")
    assert len(sentences(wrapped.replace("\n", "\n\n"))) == 4
    assert len(sentence_list := sentences("First point of them all that we have here, long\n- second point")) == 2, sentence_list


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three, four five six", ("one two three,", "four five six")),
        ("one two three four", ("one two", "three four")),
        ("我们今天去公园，他们明天去学校", ("我们今天去公园，", "他们明天去学校")),
        ("aaaa", ("aa", "aa")),
        ("e\u0301x", ("e\u0301", "x")),
        ("e\u0301", None),
        ("a", None),
    ],
)
def test_a_long_sentence_is_cut(text: str, expected: tuple[str, str] | None) -> None:
    halves = cut_in_two(text)
    assert (halves and tuple(text[slice(*half)] for half in halves)) == expected


@settings(max_examples=300)
@given(TEXTS.map(str.strip).filter(lambda text: len(text) > 1))
def test_a_cut_loses_nothing(text: str) -> None:
    if (halves := cut_in_two(text)) is not None:
        (begin, first), (second, end) = halves
        assert begin == 0
        assert end == len(text)
        assert first <= second
        assert text[first:second].strip() == ""


HOSTILE = [
    "a",
    ".",
    ". ",
    '"',
    "(",
    "a.",
    "A. ",
    "\n",
    "- x\n",
    "e.g. ",
    "[1]. ",
    "“a. ",
    "。",
    "« ",
    "?!",
    "> ",
    "x" * 50 + "\n",
]


@pytest.mark.parametrize("unit", HOSTILE, ids=range(len(HOSTILE)))
def test_time_is_linear(unit: str) -> None:
    def seconds(characters: int) -> float:
        text = (unit * characters)[:characters]
        begun = time.process_time()
        sentence_spans(text, "en")
        return time.process_time() - begun

    short, long = min(seconds(20_000) for _ in range(3)), min(seconds(160_000) for _ in range(3))
    assert long < 24 * short + 0.02  # eight times as long; twice as steep would be 64
