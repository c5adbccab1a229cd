"""A document put together again: what a predictor says of its sentences, and all that lay between them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headway
from headway.cli import main
from headway.errors import UsageError
from headway.inference.documents import Answer, Document, translate
from headway.inference.links import word_links

RunOf = Callable[[str], Path]


def answered(text: str, source: str = "en", target: str = "de", longest: int = 1000) -> tuple[str, list[str]]:
    """Every sentence in capital letters; one that has more than `longest` characters was cut."""
    document, asked = Document(text, source, target), []
    while questions := document.questions():
        asked += [question.text for question in questions]
        document.answer([Answer(question.text.upper(), len(question.text) > longest) for question in questions])
    return document.translation(), asked


def test_what_lies_between_sentences_stays() -> None:
    text = "  One.  Two?\r\n\r\n - a list\n - 42 %\n\n---\thttps://a.example/b\nEnd \n"
    whole, asked = answered(text)
    assert asked == ["One.", "Two?", "a list", "End"]
    assert whole == "  ONE.  TWO?\r\n\r\n - A LIST\n - 42 %\n\n---\thttps://a.example/b\nEND \n"


@given(st.text(max_size=60) | st.text("a. \n-1)\r\t。", max_size=80))
def test_nothing_but_sentences_is_changed(text: str) -> None:
    document = Document(text, "en", "de")
    questions = document.questions()
    document.answer([Answer(question.text) for question in questions])
    assert "".join(document.translation().split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("source", "target", "text", "expected"),
    [
        ("zh", "en", "你好。我在。\n好。", "你好。 我在。\n好。"),
        ("en", "zh", "One. Two.\nThree.", "ONE.TWO.\nTHREE."),
        ("zh", "ja", "你好。我在。", "你好。我在。"),
        ("en", "de", "One.  Two.", "ONE.  TWO."),
        ("th", "en", "สวัสดี ครับ", "สวัสดี ครับ"),
    ],
)
def test_blanks_are_those_of_the_language(source: str, target: str, text: str, expected: str) -> None:
    assert answered(text, source, target)[0] == expected


def test_too_long_a_sentence_is_asked_in_parts() -> None:
    text = "one two three, four five six; seven eight nine ten."
    whole, asked = answered(text, longest=20)
    assert whole == text.upper()
    assert len(asked) == 7
    assert answered("a" * 100, longest=20)[0] == "A" * 100
    assert answered("我" * 100, "zh", "de", longest=60)[0] == "我" * 50 + " " + "我" * 50


def test_what_is_certainly_too_long_is_cut_before_it_is_asked() -> None:
    text = "word, " * 10_000
    document = Document(text, "en", "de", pieces=16)
    asked = [question.text for question in document.questions()]
    assert max(map(len, asked)) <= 128
    assert min(map(len, asked)) >= 40
    document.answer([Answer(question) for question in asked])
    assert document.translation() == text


def test_a_model_translates_documents(run_of: RunOf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of("translation")
    translator = headway.load(str(run), precision="fp32")
    one, two = translator.predict(["the red cat sees a dog .", "a bird sings ."])  # type: ignore[union-attr]
    text = "  the red cat sees a dog .\r\n\r\n* a bird sings .\n"
    assert translate(translator, [text, ""]) == [f"  {one.strip()}\r\n\r\n* {two.strip()}\n", ""]  # type: ignore[arg-type]
    (tmp_path / "letter.txt").write_bytes(text.encode())
    asked = ["predict", str(run), str(tmp_path / "letter.txt"), "--format", "text", "decoding.precision=fp32"]
    assert main([*asked, "-o", str(tmp_path / "out.txt")]) == 0
    assert (tmp_path / "out.txt").read_bytes().decode() == f"  {one.strip()}\r\n\r\n* {two.strip()}\n"
    assert main([*asked, "--scores"]) == 2
    assert "--scores: is of lines" in capsys.readouterr().err


def test_only_a_translator_does(run_of: RunOf) -> None:
    with pytest.raises(UsageError, match="translates no documents"):
        translate(headway.load(str(run_of("dialogue"))), ["hello ."])  # type: ignore[arg-type]


def test_only_sentences_with_a_tag_inside_are_aligned() -> None:
    document = Document("<p><b>One.</b> Two <i>three</i>.</p><li>Four</li>", "en", "de", "html")
    assert [(question.text, question.align) for question in document.questions()] == [
        ("One.", False), ("Two three.", True), ("Four", False),
    ]  # fmt: skip


def test_tags_survive_translation(run_of: RunOf) -> None:
    translator: Any = headway.load(str(run_of("translation")), precision="fp32", minimum_length=6)
    page = "<p>the <b>red cat</b> sees <i class='x'>a dog</i> .</p>\n<p>a bird <img src=y> sings .</p>"
    plain = re.sub("<[^p/][^>]*>|</[^p]>", "", page)
    (found,) = translate(translator, [page], "html")
    assert sorted(re.findall("<[^>]*>", found)) == sorted(re.findall("<[^>]*>", page))
    one, two = translator.predict(["the red cat sees a dog .", "a bird sings ."])
    assert re.sub("<[^>]*>", "", found).split() == f"{one} {two}".split()
    assert translate(translator, [plain], "html") == [f"<p>{one.strip()}</p>\n<p>{two.strip()}</p>"]
    text = "the red cat sees a dog ."
    (answer,) = translator.translate_detailed([text])
    links = word_links(translator, text, answer)
    assert [text[link[2] : link[3]] for link in links if not link[4]] == text.split()
    assert "".join(answer.text[link[0] : link[1]] for link in links if link[4]) == "".join(answer.text.split())
