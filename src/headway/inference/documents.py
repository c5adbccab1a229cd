"""A whole text through a translator of sentences: taken apart, asked, and put together again with all that lay between.

A `Document` does not ask by itself: who has a predictor in his process (`translate`) and who has workers elsewhere
(serve/documents.py) put its questions, a round at a time, until there are none. Nothing here imports what computes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headway.data.sentences import cut_in_two, gaps_between, is_unspaced, sentence_spans
from headway.languages import writes_spaces

if TYPE_CHECKING:
    from headway.inference.predictor import Predictor

_BLANK = re.compile("[ \u3000]*")
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|[^\s@]{1,64}+@[^\s@]+")


@dataclass(frozen=True)
class Answer:
    """Of one sentence.

    Attributes:
        cut: the sentence was longer than the model reads: it is asked again in two parts.
    """

    text: str
    cut: bool = False


@dataclass
class Sentence:
    """A stretch of a document that is asked as it stands, and its answer once it is there."""

    begin: int
    end: int
    answer: Answer | None = None


class Document:
    """A text on its way.

    Args:
        source, target: codes of the languages, as far as they are known.
    """

    def __init__(self, text: str, source: str = "", target: str = "") -> None:
        self._text, self._target = text, target
        self._sentences = [Sentence(*span) for span in sentence_spans(text, source)]
        for sentence in self._sentences:
            if not _is_read(text[sentence.begin : sentence.end]):
                sentence.answer = Answer(text[sentence.begin : sentence.end])

    def questions(self) -> list[str]:
        """The sentences that have no answer yet, in order."""
        return [" ".join(self._text[one.begin : one.end].split()) for one in self._open()]

    def answer(self, answers: Sequence[Answer]) -> None:
        """To all of `questions`, in order. What was too long is a question again, in two parts."""
        for sentence, answer in zip(self._open(), answers, strict=True):
            sentence.answer = answer
        self._sentences = [part for sentence in self._sentences for part in self._parts(sentence)]

    def translation(self) -> str:
        """The whole, once there are no questions."""
        gaps = gaps_between(self._text, [(one.begin, one.end) for one in self._sentences])
        found = [gaps[0]]
        for sentence, gap in zip(self._sentences, gaps[1:], strict=True):
            assert sentence.answer is not None
            found += [sentence.answer.text.strip(), self._joint(sentence.end, gap)]
        return "".join(found)

    def _open(self) -> list[Sentence]:
        return [sentence for sentence in self._sentences if sentence.answer is None]

    def _parts(self, sentence: Sentence) -> list[Sentence]:
        own = self._text[sentence.begin : sentence.end]
        halves = cut_in_two(own) if sentence.answer is not None and sentence.answer.cut else None
        if halves is None:
            return [sentence]
        return [Sentence(sentence.begin + begin, sentence.begin + end) for begin, end in halves]

    def _joint(self, place: int, gap: str) -> str:
        """What stands in the translation in place of the gap that begins here."""
        return joint(self._text, place, gap, self._target)


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


def translate(predictor: Predictor, texts: Iterable[str]) -> list[str]:
    """Whole texts, each put together again. The predictor has been told its direction (`towards`)."""
    source, target = predictor.languages
    documents = [Document(text, source, target) for text in texts]
    while open_ones := [(document, questions) for document in documents if (questions := document.questions())]:
        asked = [question for _, questions in open_ones for question in questions]
        answers = iter([Answer(found.text, found.cut) for found in predictor.translate_detailed(asked)])
        for document, questions in open_ones:
            document.answer([next(answers) for _ in questions])
    return [document.translation() for document in documents]
