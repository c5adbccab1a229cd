"""A whole text through a translator of sentences: taken apart, asked, and put together again with all that lay between.

A `Document` does not ask by itself: who has a predictor in his process (`translate`) and who has workers elsewhere
(serve/documents.py) put its questions, a round at a time, until there are none. Nothing here imports what computes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headway.data.markup import Passage, read_markup, walk
from headway.data.projection import Stretch, Word, diagonal, project
from headway.data.sentences import Span, cut_in_two, gaps_between, is_unspaced, sentence_spans
from headway.languages import writes_spaces

if TYPE_CHECKING:
    from headway.inference.predictor import Predictor

Form = Literal["text", "html"]
Link = Sequence[int]  # as inference/links.py gives them
USUAL_PIECES = 512
LONGEST_PIECE = 8  # characters, on average over a sentence
_BLANK = re.compile("[ \u3000]*")
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|[^\s@]{1,64}+@[^\s@]+")


@dataclass(frozen=True)
class Question:
    """A sentence to translate; `align`: which words belong together must be told."""

    text: str
    align: bool = False


@dataclass(frozen=True)
class Answer:
    """To one question.

    Attributes:
        cut: the sentence was longer than the model reads: it is asked again in two parts.
    """

    text: str
    cut: bool = False
    links: Sequence[Link] = ()


@dataclass
class _Sentence:
    begin: int
    end: int
    answer: Answer | None = None
    kept: bool = False  # it is not asked


class Document:
    """A text on its way.

    Args:
        source, target: codes of the languages, as far as they are known.
        pieces: that the model reads of a sentence; one that is certainly longer is cut before it is asked.
    """

    def __init__(self, text: str, source: str = "", target: str = "", form: Form = "text", pieces: int = USUAL_PIECES) -> None:
        longest = pieces * LONGEST_PIECE
        parts = read_markup(text) if form == "html" else [Passage(text)]
        self._parts: list[str | _Translated] = []
        for part in parts:
            self._parts.append(_Translated(part, source, target, form, longest) if isinstance(part, Passage) else part)
        self._passages = [part for part in self._parts if isinstance(part, _Translated)]

    def questions(self) -> list[Question]:
        """The sentences that have no answer yet, in order."""
        return [question for passage in self._passages for question in passage.questions()]

    def answer(self, answers: Sequence[Answer]) -> None:
        """To all of `questions`, in order. What was too long is a question again, in two parts."""
        following = iter(answers)
        for passage in self._passages:
            passage.answer(following)

    def translation(self) -> str:
        """The whole, once there are no questions."""
        return "".join(part if isinstance(part, str) else part.translation() for part in self._parts)


class _Translated:
    """A passage with its sentences; of plain text all of it is one."""

    def __init__(self, passage: Passage, source: str, target: str, form: Form, longest: int) -> None:
        self._passage, self._target, self._form = passage, target, form
        spans = sentence_spans(passage.masked("X"), source, lines=form == "text")
        own = passage.masked(" ")
        parts = (part for span in spans for part in _cut(passage.text, span, longest))
        self._sentences = [_Sentence(*part, kept=not _is_read(own[slice(*part)])) for part in parts]
        self._edges = sorted({edge for node in walk(passage.nodes) for edge in (node.begin, node.end)})

    def questions(self) -> list[Question]:
        return [Question(" ".join(self._own(one).split()), self._has_edge(one)) for one in self._open()]

    def answer(self, answers: Iterable[Answer]) -> None:
        following = iter(answers)
        for sentence in self._open():
            sentence.answer = next(following)
        self._sentences = [part for sentence in self._sentences for part in self._halves(sentence)]

    def translation(self) -> str:
        gaps = gaps_between(self._passage.text, [(one.begin, one.end) for one in self._sentences])
        found, stretches, length = [gaps[0]], [], len(gaps[0])
        for sentence, gap in zip(self._sentences, gaps[1:], strict=True):
            own = sentence.answer.text.strip() if sentence.answer else self._own(sentence)
            stretches.append(self._stretch(sentence, own, length))
            found += [own, joint(self._passage.text, sentence.end, gap, self._target)]
            length += len(own) + len(found[-1])
        whole = "".join(found)
        return project(self._passage, whole, stretches) if self._form == "html" else whole

    def _open(self) -> list[_Sentence]:
        return [sentence for sentence in self._sentences if sentence.answer is None and not sentence.kept]

    def _own(self, sentence: _Sentence) -> str:
        return self._passage.text[sentence.begin : sentence.end]

    def _has_edge(self, sentence: _Sentence) -> bool:
        """Whether a tag stands inside of it."""
        place = bisect_right(self._edges, sentence.begin)
        return place < len(self._edges) and self._edges[place] < sentence.end

    def _halves(self, sentence: _Sentence) -> list[_Sentence]:
        halves = cut_in_two(self._own(sentence)) if sentence.answer is not None and sentence.answer.cut else None
        if halves is None:
            return [sentence]
        return [_Sentence(sentence.begin + begin, sentence.begin + end) for begin, end in halves]

    def _stretch(self, sentence: _Sentence, own: str, target: int) -> Stretch:
        """The sentence with its words, at this place of the translation."""
        source, words = self._own(sentence), []
        if self._has_edge(sentence):
            if sentence.answer is not None and sentence.answer.links:
                words = _linked(source, sentence.answer)
            elif sentence.kept:
                words = [Word((place, place + 1), (place, place + 1)) for place in range(len(own))]
            else:
                words = diagonal(source, own)
        moved = [word.moved(target, sentence.begin) for word in words]
        return Stretch((sentence.begin, sentence.end), (target, target + len(own)), moved)


def _cut(text: str, span: Span, longest: int) -> Iterator[Span]:
    """A sentence in parts of at most so many characters."""
    waiting = [span]
    while waiting:
        begin, end = waiting.pop()
        halves = cut_in_two(text[begin:end]) if end - begin > longest else None
        if halves is None:
            yield begin, end
        else:
            waiting += [(begin + low, begin + high) for low, high in reversed(halves)]


def _linked(source: str, answer: Answer) -> list[Word]:
    """The links of an answer as words; those of the question, whose blanks are single, as places in the sentence."""
    places = [
        place for place, (one, before) in enumerate(zip(source, " " + source, strict=False)) if not (one + before).isspace()
    ]
    own, blanks = answer.text.strip(), len(answer.text) - len(answer.text.lstrip())
    found: dict[Span, tuple[Span | None, list[Span]]] = {}
    for begin, stop, read, read_end, forward in answer.links:
        target = (min(max(0, begin - blanks), len(own)), min(max(0, stop - blanks), len(own)))
        span = (places[read], places[read_end - 1] + 1) if 0 <= read < read_end <= len(places) else None
        if span is not None and _has_letters(own[slice(*target)]) != _has_letters(source[slice(*span)]):
            span = None  # a comma renders no word
        first, also = found.setdefault(target, (None, []))
        if forward and first is None:
            found[target] = (span, also)
        elif span is not None:
            also.append(span)
    return [Word(target, span, tuple(also)) for target, (span, also) in sorted(found.items()) if target[0] < target[1]]


def _has_letters(text: str) -> bool:
    return any(map(str.isalnum, text))


def joint(text: str, place: int, gap: str, target: str) -> str:
    """A gap of a text, at this place, as the target language has it: a blank only where it sets blanks."""
    inside = place > 0 and place + len(gap) < len(text)
    if not inside or not _BLANK.fullmatch(gap):
        return gap
    if not writes_spaces(target):
        return "" if len(gap) <= 1 else gap
    before = text[place - 1]
    return gap.replace("\u3000", " ") or (" " if is_unspaced(before) or not before.isalnum() else "")


def _is_read(sentence: str) -> bool:
    """Whether there is something to translate: letters that are not of an address."""
    return any(any(map(str.isalpha, word)) and not _ADDRESS.fullmatch(word) for word in sentence.split())


def translate(predictor: Predictor, texts: Iterable[str], form: Form = "text") -> list[str]:
    """Whole texts, each put together again. The predictor has been told its direction (`towards`)."""
    from headway.inference.links import word_links

    source, target = predictor.languages
    pieces = predictor.loaded.config.data.max_length
    documents = [Document(text, source, target, form, pieces) for text in texts]
    while open_ones := [(document, questions) for document in documents if (questions := document.questions())]:
        asked = [question for _, questions in open_ones for question in questions]
        found = predictor.translate_detailed(question.text for question in asked)
        answers = iter([
            Answer(one.text, one.cut, word_links(predictor, question.text, one) if question.align else ())
            for one, question in zip(found, asked, strict=True)
        ])  # fmt: skip
        for document, questions in open_ones:
            document.answer([next(answers) for _ in questions])
    return [document.translation() for document in documents]
