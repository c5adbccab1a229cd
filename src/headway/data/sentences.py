"""Where the sentences of a text begin and end, in any language, by rules: a text in, places in characters out.

What lies between two sentences, the gap, is white space, line breaks and the marks of lists, and belongs to nobody: sentences
and gaps put together are the text. Where a rule is in doubt it leaves two sentences together, which a translator bears better
than one that is torn. Time is linear in the text, whatever is in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from headway.data.abbreviations import ABBREVIATIONS, BEFORE_NUMBERS, COMMON, WITH_ORDINALS
from headway.languages import base_language

Span = tuple[int, int]  # the first character, and the one behind the last

BREAKS = "\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
SHORTEST_WRAPPED, WIDEST_WRAPPED = 40, 120  # characters of lines that a program broke
LONGEST_ABBREVIATION = 24
_ALONE = "。！？｡．؟۔।॥፧።։។៕‼⁇⁈⁉"  # end a sentence also where no blank follows
_CLOSING = "\"'”’»›」』】）》〉＂)\\]}"
_LINE = re.compile(f"[^{BREAKS}]+")
_MARK = re.compile(
    r"\s*+(?:(?:>\s*+)++|#{1,6}\s++)?+(?:(?:[-*+•‣◦▪●·–—]|\(?\d{1,3}[.)]|\(?[A-Za-z]\)|\(?[ivx]{1,5}\))\s++|[一二三四五六七八九十]{1,3}、)?+"
)
_STOP = re.compile(rf"([.!?…{_ALONE}]++)(?:[{_CLOSING}]|\[\d{{1,3}}\]|[“‘](?=\s|$)|[ \u00a0\u202f]»(?=[\s,.;]|$))*+")
_OPENING = re.compile(r"\s++[\"'“‘«‹„‚¿¡(\[{*_\-–—\s]*+")
_GOES_ON = re.compile("[、，,;；：:]|と|って")  # behind a stop that is inside of a sentence, such as 「はい。」と
_CLAUSE = re.compile("[;:,،؛—–](?=\\s)|[，、；：]")
_BLANKS = re.compile(r"\s++")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u31ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]"
)


def sentence_spans(text: str, language: str = "", *, lines: bool = True) -> list[Span]:
    """The places of the sentences of a text, in order.

    Args:
        language: its code; abbreviations and ordinals depend on it.
        lines: a line break ends a sentence, but where a program seems to have broken a line that was too long; False: it is
            white space as any other, as in HTML.
    """
    rules = _Rules(text, language)
    paragraphs = _paragraphs(text) if lines else [_trimmed(text, 0, len(text))]
    return [span for begin, end in paragraphs for span in rules.sentences(begin, end)]


def gaps_between(text: str, spans: list[Span]) -> list[str]:
    """What stands before, between and behind the sentences: one more than there are sentences."""
    begins, ends = [begin for begin, _ in spans], [end for _, end in spans]
    return [text[begin:end] for begin, end in zip([0, *ends], [*begins, len(text)], strict=True)]


def cut_in_two(text: str) -> tuple[Span, Span] | None:
    """A sentence in two, near its middle: behind a clause, else between words, else between characters; None of one character.

    White space where it is cut belongs to neither.
    """
    middle = len(text) / 2
    clauses = [match.end() for match in _CLAUSE.finditer(text, len(text) // 4, 3 * len(text) // 4)]
    blanks = [match.start() for match in _BLANKS.finditer(text, 1, max(1, len(text) - 1))] if not clauses else []
    places = clauses or blanks or [_between_characters(text, len(text) // 2)]
    place = min(places, key=lambda place: abs(place - middle))
    first, second = _trimmed(text, 0, place), _trimmed(text, place, len(text))
    return (first, second) if first[0] < first[1] and second[0] < second[1] else None


def is_unspaced(character: str) -> bool:
    """Whether it is of a script that sets no blanks between words."""
    return _UNSPACED.match(character) is not None


def _between_characters(text: str, place: int) -> int:
    """The first place from here on that parts no character from its accents."""
    while place < len(text) and (unicodedata.combining(text[place]) or text[place] in "\u200d\ufe0f"):
        place += 1
    return place


def _trimmed(text: str, begin: int, end: int) -> Span:
    """Without white space at its ends."""
    inner = text[begin:end]
    begin += len(inner) - len(inner.lstrip())
    return begin, max(begin, begin + len(inner.strip()))


# ---- lines to paragraphs ---------------------------------------------------------------------------------------------


def _paragraphs(text: str) -> Iterator[Span]:
    """Stretches that no line break ends, without marks of lists, headings and quotations, and without white space around."""
    for block in _blocks(text):
        width = max(end - begin for begin, end in block)
        wrapped = SHORTEST_WRAPPED <= width <= WIDEST_WRAPPED
        open_at: int | None = None
        before: Span = (0, 0)
        for line in block:
            marked = _MARK.match(text, *line)
            begin, end = _trimmed(text, marked.end() if marked else line[0], line[1])
            if begin == end:
                continue
            own = text[line[0] : begin].strip() != ""
            if open_at is not None and (own or not (wrapped and _broken(text, before, (begin, end), width))):
                yield open_at, before[1]
                open_at = None
            open_at, before = begin if open_at is None else open_at, (line[0], end)
        if open_at is not None:
            yield open_at, before[1]


def _blocks(text: str) -> Iterator[list[Span]]:
    """Lines that follow each other without an empty one between them."""
    block: list[Span] = []
    for match in _LINE.finditer(text):
        if (block and text[block[-1][1] : match.start()] not in ("\n", "\r\n", "\r")) or not match[0].strip():
            if block:
                yield block
            block = []
        if match[0].strip():
            block.append(match.span())
    if block:
        yield block


def _broken(text: str, before: Span, line: Span, width: int) -> bool:
    """Whether a program broke the line before this one: its first word would have made that too long."""
    if is_unspaced(text[line[0]]) or text[before[1] - 1] in ":;":
        return False
    word = _BLANKS.search(text, *line)
    return before[1] - before[0] + 1 + ((word.start() if word else line[1]) - line[0]) > width


# ---- paragraphs to sentences -----------------------------------------------------------------------------------------


class _Rules:
    """What ends a sentence of this text."""

    def __init__(self, text: str, language: str) -> None:
        self._text, self._language = text, base_language(language)
        self._cased = text != text.lower()  # else a small letter tells nothing
        self._abbreviations = COMMON | ABBREVIATIONS.get(self._language, frozenset())

    def sentences(self, begin: int, end: int) -> Iterator[Span]:
        start = begin
        for stop in _STOP.finditer(self._text, begin, end):
            if stop.end() < end and self._ends(stop, start, end):
                yield start, stop.end()
                blanks = _BLANKS.match(self._text, stop.end(), end)
                start = blanks.end() if blanks else stop.end()
        if start < end:
            yield start, end

    def _ends(self, stop: re.Match[str], start: int, end: int) -> bool:
        text, behind = self._text, stop.end()
        if any(mark in _ALONE for mark in stop[1]):
            decimal = stop[1] == "．" and text[behind].isdigit()
            return not decimal and not _GOES_ON.match(text, behind, end)
        opening = _OPENING.match(text, behind, end)
        if opening is None:  # 你好!他
            return is_unspaced(text[behind]) and not _GOES_ON.match(text, behind, end)
        if opening.end() >= end:
            return True
        following = text[opening.end()]
        if following in ".!?…," or (self._cased and following.islower()):
            return False
        return stop[1] != "." or not self._abbreviated(start, stop.start(), following)

    def _abbreviated(self, start: int, stop: int, following: str) -> bool:
        """Whether a single full stop belongs to the word before it."""
        begin = stop
        while begin > max(start, stop - LONGEST_ABBREVIATION) and (
            self._text[begin - 1].isalnum() or self._text[begin - 1] in ".'’-"
        ):
            begin -= 1
        word = self._text[begin:stop].lstrip("'’-")
        if word.isdigit():
            return len(word) <= 2 and self._language in WITH_ORDINALS
        if len(word) == 1:
            initial = word.isupper() and not (word == "I" and self._language == "en")
            return initial or word in self._abbreviations or (word in BEFORE_NUMBERS and following.isdigit())
        parts = word.split(".")
        if len(parts) > 1 and all(part.isalpha() and len(part) <= 2 for part in parts):
            return True
        word = word.lower()
        return word in self._abbreviations or (word in BEFORE_NUMBERS and following.isdigit())
