"""HTML taken apart and put together: tags keep their number, their attributes and their order; hostile pages cost no more."""

from __future__ import annotations

import html
import re
import time
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.data.markup import Node, Passage, read_markup
from headway.data.projection import Stretch, Word, diagonal, project
from headway.inference.documents import Answer, Document

TAG = re.compile(r"<!--.*?-->|</?[a-zA-Z](?:\"[^\"]*\"|'[^']*'|[^>\"'])*>", re.S)
INLINE = ["b", "i", "a", "span", "x-y"]


def translated(page: str, links: Sequence[Sequence[int]] | None = None) -> str:
    """Every sentence in capital letters, its words in the same order or as `links` say; one of 200 characters is too long."""
    document = Document(page, "en", "de", "html")
    while questions := document.questions():
        answers = [(one.text, words_of(one.text) if links is None else links) for one in questions]
        document.answer([Answer(text.upper(), len(text) > 200, found) for text, found in answers])
    return document.translation()


def words_of(text: str) -> list[tuple[int, ...]]:
    return [(*word.span(), *word.span(), 1) for word in re.finditer(r"\w+|[^\w\s]", text)]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("a <b>red</b> car", "A <b>RED</b> CAR"),
        ("<p>One. <i>Two three.</i></p>\n<p>Four</p>", "<p>ONE. <i>TWO THREE.</i></p>\n<p>FOUR</p>"),
        ('go <a href="?a=1&b=2" title="A &gt; B">to <u>it</u></a>.', 'GO <a href="?a=1&b=2" title="A &gt; B">TO <u>IT</u></a>.'),
        ("a &lt;b&gt; &amp; &copy; c", "A &lt;B&gt; &amp; © C"),
        ("x < y & z <3", "X &lt; Y &amp; Z &lt;3"),
        ("see <img src='a.png'> this <br/>and that", "SEE <img src='a.png'>THIS <br/>AND THAT"),
        ("One line<br>Other line", "ONE LINE<br>OTHER LINE"),
        ("run <code>ls -l</code> now", "RUN <code>ls -l</code> NOW"),
        ("<pre>a b</pre><script>if (a<b) c('</p>')</script>d", "<pre>a b</pre><script>if (a<b) c('</p>')</script>D"),
        ('<div translate="no">a <div>b</div> c</div> d', '<div translate="no">a <div>b</div> c</div> D'),
        ('by <span class="x notranslate">Ann</span> me', 'BY <span class="x notranslate">Ann</span> ME'),
        ("a <!-- no --> b", "A <!-- no -->B"),
        ("<b>One two. Three</b> four.", "<b>ONE TWO. THREE</b> FOUR."),
        ("one <b>two <i>three</b> four</i> five", "ONE <b>TWO <i>THREE</b> FOUR</i> FIVE"),
        ("<b>one <p>two</p> three", "<b>ONE <p>TWO</p> THREE"),
        ("a </b> c", "A</b> C"),
        ("<b></b> <i> </i>", "<b></b> <i></i> "),
        ("<!doctype html><?x y?><![CDATA[a]]>b", "<!doctype html><?x y?><![CDATA[a]]>B"),
        ("&#99999999999999999999; &#xD800; &nope; &nbsp;a", "&amp;#99999999999999999999; \ufffd &amp;NOPE; A"),
        ("a\0b", "AB"),
    ],
)  # fmt: skip
def test_tags_stay_around_their_words(page: str, expected: str) -> None:
    assert translated(page) == expected


def test_tags_go_where_their_words_go() -> None:
    passage = read_markup("<b>the dog</b> sees <i>a <u>cat</u></i>")[0]
    assert isinstance(passage, Passage)
    said = "eine Katze, der Hund sieht"
    words = [Word(target, source) for target, source in [
        ((0, 4), (13, 14)), ((5, 10), (15, 18)), ((10, 11), None), ((12, 15), (0, 3)), ((16, 20), (4, 7)), ((21, 26), (8, 12)),
    ]]  # fmt: skip
    found = project(passage, said, [Stretch((0, 18), (0, len(said)), words)])
    assert found == "<i>eine <u>Katze</u></i>, <b>der Hund</b> sieht"


def test_what_is_not_translated_replaces_nothing_else() -> None:
    passage = Passage("Run a b c d now", [Node(4, 11, whole="<code>a b c d</code>")])
    said = "Los a b JETZT c d"
    places = [(0, 3), (4, 5), (6, 7), (12, 15), (8, 9), (10, 11)]
    words = [
        Word(span, source) for span, source in zip([(0, 3), (4, 5), (6, 7), (8, 13), (14, 15), (16, 17)], places, strict=True)
    ]
    assert project(passage, said, [Stretch((0, 15), (0, len(said)), words)]) == "Los <code>a b c d</code> JETZT c d"
    compound = Word((8, 14), (10, 13), ((6, 9),))
    passage = Passage("Press foo bar", [Node(6, 9, whole="<code>foo</code>")])
    found = project(passage, "Druecke Foobar", [Stretch((0, 13), (0, 14), [Word((0, 7), (0, 5)), compound])])
    assert found == "Druecke <code>foo</code>Foobar"
    passage = Passage("One two. Three.", [Node(4, 15, whole="<code>two. Three.</code>")])
    words = [Word((0, 4), (4, 7)), Word((5, 9), (0, 3)), Word((9, 10), (7, 8))]
    stretches = [Stretch((0, 8), (0, 10), words), Stretch((9, 15), (11, 16), [Word((11, 15), (9, 14)), Word((15, 16), (14, 15))])]
    assert project(passage, "zwei eins. Drei.", stretches) == "zwei eins<code>two. Three.</code>"


def test_a_long_element_that_begins_with_a_blank_keeps_its_text() -> None:
    text = " ".join(["Word number here is long."] * 50)
    assert translated(f"<p><b> {text}</b></p>") == f"<p> <b>{text.upper()}</b></p>"


def test_by_order_alone_marks_are_words() -> None:
    assert translated("<p>See <code>foo</code>.</p>", []) == "<p>SEE <code>foo</code>.</p>"
    assert [word.target for word in diagonal("don't", "don't (so).")] == [(0, 5), (6, 7), (7, 9), (9, 10), (10, 11)]


def test_many_elements_of_a_sentence_cost_no_more() -> None:
    def seconds(count: int) -> float:
        text = "a " * count
        words = [Word((2 * place, 2 * place + 1), (2 * place, 2 * place + 1)) for place in range(count)]
        passage = Passage(text, [Node(2 * place, 2 * place + 1, "<b>", "</b>") for place in range(count)])
        begun = time.process_time()
        project(passage, text, [Stretch((0, len(text)), (0, len(text)), words)])
        return time.process_time() - begun

    assert min(seconds(4_000) for _ in range(2)) < 30 * min(seconds(400) for _ in range(3)) + 0.1  # ten times; else a hundred


class Balance(HTMLParser):
    """Whether every element is closed by its own tag, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults = 0

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.faults += not self.open or self.open.pop() != tag


WORDS = st.sampled_from(["one ", "two", ". ", " ", "Three", "&amp;", "! ", "\n", ",", "four five ", "&lt;x&gt;"])
TREES = st.recursive(
    WORDS,
    lambda inner: st.tuples(st.sampled_from([*INLINE, "p", "li"]), st.lists(inner, max_size=4)).map(
        lambda found: f"<{found[0]} id='{len(found[1])}>'>{''.join(found[1])}</{found[0]}>"
    ),
    max_leaves=20,
)
LINKS = st.none() | st.lists(st.tuples(*[st.integers(-2, 30)] * 4, st.integers(0, 1)), max_size=12)


@settings(max_examples=400)
@given(st.lists(TREES, max_size=5).map("".join), LINKS)
def test_what_is_well_formed_stays_so(page: str, links: list[tuple[int, ...]] | None) -> None:
    found = translated(page, links)
    balance = Balance()
    balance.feed(found)
    assert balance.faults == 0
    assert balance.open == []
    assert Counter(TAG.findall(found)) == Counter(TAG.findall(page))


MARKS = [
    "<",
    ">",
    "</",
    "/>",
    "<b>",
    "</b>",
    "<p>",
    "<i",
    "</i",
    "<!--",
    "-->",
    "=",
    "'",
    '"',
    "a",
    "&amp;",
    ";",
    "&lt;",
    "<br>",
    "<code>",
    "</code>",
    "<pre>",
    "<script>",
    ".",
    "x",
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from([*MARKS, " "]), max_size=30).map("".join))
def test_anything_can_be_read_and_no_letter_is_lost(page: str) -> None:
    def letters(text: str) -> Counter[str]:
        return Counter(re.sub(r"\W", "", html.unescape(text).lower()))

    assert letters(page) <= letters(translated(page))


HOSTILE = [
    "<b>", "<b>x ", "<b>x</b> ", "</b>", "<a ", "<a b='", '<a b="<a b=\'', "<!--", "<!-", "<", "</", "&#", "&amp", "<p>",
    "<b><p>", "<code>", "<pre>", "<script>", "<i><b></i>", "<b>x. ", "<b></b>", "x<br>", '<a class="', "<a translate=", "<svg/>",
    "<b>One two. </b>", "<!-- -->",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_pages_cost_no_more(unit: str) -> None:
    def seconds(characters: int) -> float:
        page = (unit * characters)[:characters]
        begun = time.process_time()
        translated(page)
        return time.process_time() - begun

    short, long = min(seconds(5_000) for _ in range(3)), min(seconds(80_000) for _ in range(2))
    assert long < 64 * short + 0.2  # sixteen times as long; twice as steep would be 256


def test_deep_and_wide() -> None:
    deep = "<b>" * 10_000 + "word" + "</b>" * 10_000
    assert translated(deep) == deep.replace("word", "WORD")
    wide = f"a <b title='{'x' * 1_000_000}'>c</b>"
    assert translated(wide) == wide.replace("a <b", "A <b").replace(">c<", ">C<")
