"""Questions on passages, whose answers are spans of them: SQuAD's JSON → rows of a question and a window of its passage.

A row is the tokens of the question, the end of a sentence, and tokens of the passage. A passage that is too long for one row
is read in windows that overlap; where a window does not hold the answer, or there is none, the answer is the place between
question and passage. The target of a row is the place of the first and of the last token of the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from headway.config import Config, CorpusConfig, DataConfig
from headway.data.batches import BucketedEpoch, Epoch, Rows, collate_spans
from headway.data.lines import read_whole
from headway.data.opening import source_opening
from headway.data.pairs import EMPTY_SOURCE
from headway.data.preparation import CutUpOnce, MemoryRows, Prepared, integer_type
from headway.data.readers import corpus_name
from headway.data.tables import checked_text, decode_json, ending, kind_of, read_records
from headway.data.tokenizer import EOS_ID, Tokenizers
from headway.errors import DataError

NOT_IN_PASSAGE = "answer that is not in its passage"
AS_SQUAD = 'give {"context": …, "qas": [{"question": …, "answers": [{"text": …, "answer_start": …}]}]}'
V = TypeVar("V")


class Answer(NamedTuple):
    """A text that stands at `start` of the passage, in characters."""

    text: str
    start: int


class Question(NamedTuple):
    """A question on a passage; no answers where it has none. `line` counts from 1."""

    question: str
    passage: str
    answers: tuple[Answer, ...]
    line: int
    name: str = ""

    @property
    def source(self) -> str:
        return f"{self.question}\n{self.passage}"

    @property
    def target(self) -> str:
        """A span is no text of its own."""
        return ""


def read_questions(corpus: CorpusConfig) -> Iterator[Question]:
    """Yield the questions of a corpus: a passage as SQuAD writes it on each line, or one whole SQuAD file.

    `source` of the corpus names the field of the passage, which SQuAD calls context.

    Raises:
        DataError: the file is missing or damaged, or a passage is not as SQuAD has it.
    """
    anything = False
    for passage, line, where in _passages(str(corpus.path)):
        for question in _questions(passage, str(corpus.source), line, where):
            anything = True
            yield question
    if not anything:
        raise DataError("holds no question", where=corpus_name(corpus), remedy="see whether it was written or copied to its end")


def _passages(name: str) -> Iterator[tuple[Any, int, str]]:
    """Of a .jsonl each line; of a .json all paragraphs of all articles, with line 1. Each with the place to tell."""
    if ending(name) != ".json":
        yield from ((passage, line, f"{name}:{line}") for passage, line in read_records(name))
        return
    text = read_whole(name, "write a passage of it, with its qas, on each line of a .jsonl: that is read line by line")
    whole = decode_json(text, name, "see whether it was written or copied to its end")
    for number, article in enumerate(_field(whole, "data", list, name)):
        place = f"{name}: data[{number}]"
        for other, paragraph in enumerate(_field(article, "paragraphs", list, place)):
            yield paragraph, 1, f"{place}.paragraphs[{other}]"


def _questions(passage: Any, source: str, line: int, where: str) -> Iterator[Question]:
    if isinstance(passage, dict) and "data" in passage and source not in passage:
        remedy = "give the file a name that ends in .json: it is then read as a whole"
        raise DataError("is a whole file of SQuAD, not a passage of one", where=where, remedy=remedy)
    context = _field(passage, source, str, where)
    for number, asked in enumerate(_field(passage, "qas", list, where)):
        place = f"{where}: qas[{number}]"
        question = _field(asked, "question", str, place)
        impossible = "is_impossible" in asked and _field(asked, "is_impossible", bool, place)
        answers = [] if impossible or "answers" not in asked else _field(asked, "answers", list, place)
        found = tuple(Answer(_field(one, "text", str, place), _field(one, "answer_start", int, place)) for one in answers)
        yield Question(question, context, found, line, str(asked.get("id", "")))


_KINDS = {str: "a text", int: "a whole number", bool: "true or false", list: "an array"}


def _field(record: Any, name: str, kind: type[V], where: str) -> V:
    """What an object holds under a name, as SQuAD has it."""
    if not isinstance(record, dict):
        raise DataError(f"holds {kind_of(record)} where an object with {name!r} should be", where=where, remedy=AS_SQUAD)
    if name not in record:
        raise DataError(f"the field {name!r} is missing", where=where, remedy=AS_SQUAD)
    value = record[name]
    if type(value) is not kind:
        shown = repr(value) if type(value) is float else kind_of(value)
        raise DataError(f"{name!r} is {shown}, not {_KINDS[kind]}", where=where, remedy=AS_SQUAD)
    if isinstance(value, str):
        checked_text(value, name, where)
    return value


@dataclass(frozen=True)
class Window:
    """One row: of which question, where its passage begins in the row, and the characters that each of its tokens covers."""

    question: int
    begins: int  # place of the first token of the passage in the row
    ids: list[int]
    spans: list[tuple[int, int]]  # characters of the passage, for each token from `begins` on
    first: int  # place in the row of the first token of the answer, or of the end of the question
    last: int


class QuestionPreparation(CutUpOnce):
    """`Preparation` of questions on passages."""

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        data = config.data
        self._tokenizer, self._max_length, self._stride = tokenizers.source, data.max_length, data.window_stride
        size = integer_type(self._tokenizer.vocabulary_size)
        self.dtypes = (size, integer_type(data.max_length + 1))
        self._opening, self._between = source_opening(config, tokenizers), [EOS_ID] * config.tokenizer.ends_between
        self.made_from: dict[str, Any] = {
            "tokenizers": [self._tokenizer.digest],
            "windows": [data.max_length, data.window_stride],
            "task": config.task,
        } | ({"opening": self._opening} if self._opening else {})
        self.made_from |= {"between": self._between} if self._between != [EOS_ID] else {}

    @staticmethod
    def read(corpus: CorpusConfig, data: DataConfig) -> Iterator[Question]:
        return read_questions(corpus)

    @staticmethod
    def count(corpus: CorpusConfig) -> int | None:
        return None

    def prepare(self, examples: Sequence[Question], dropped: Counter[str]) -> Prepared:
        dropped.update({EMPTY_SOURCE: 0, NOT_IN_PASSAGE: 0})
        kept = []
        for example in examples:
            reason = drop_reason(example)
            if reason is None:
                kept.append(example)
            else:
                dropped[reason] += 1
        windows = self.windows(kept)
        rows = [window.ids for window in windows], [[window.first, window.last] for window in windows]
        return Prepared([kept[window.question].line for window in windows], rows, cut=self.cut(kept))

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        return BucketedEpoch(rows, batch_tokens, seed, epoch, collate=collate_spans)

    def rows_of_all(self, examples: Sequence[Question]) -> MemoryRows:
        """Rows of every question; there may be several of one."""
        windows = self.windows(examples)
        ends = [[window.first, window.last] for window in windows]
        return MemoryRows([window.ids for window in windows], ends, self.cut(examples))

    def cut(self, examples: Sequence[Question]) -> int:
        """Questions that take more than half of a row and lose their end."""
        asked = self._tokenizer.encode_many([example.question for example in examples])
        return sum(len(row) > self._max_length // 2 for row in asked)

    def windows(self, examples: Sequence[Question]) -> list[Window]:
        """All windows of all questions, in order; each token of a passage is in one at least."""
        cut = {passage: self._tokenizer.encode_with_spans(passage) for passage in dict.fromkeys(e.passage for e in examples)}
        return [
            window for number, example in enumerate(examples) for window in self._windows(number, example, *cut[example.passage])
        ]

    def _windows(self, number: int, example: Question, ids: list[int], spans: list[tuple[int, int]]) -> Iterator[Window]:
        asked = self._tokenizer.encode(example.question)[: self._max_length // 2]
        head, room = [*self._opening, *asked, *self._between], self._max_length - len(asked) - len(self._between)
        answer = _tokens_of(example.answers[0], spans) if example.answers else None
        start = 0
        while True:
            end = min(start + room, len(ids))
            first = last = len(head) - 1
            if answer is not None and start <= answer[0] and answer[1] < end:
                first, last = (len(head) + place - start for place in answer)
            yield Window(number, len(head), [*head, *ids[start:end]], spans[start:end], first, last)
            if end == len(ids):
                return
            start += max(1, min(self._stride, room))  # a row of a few tokens has room for none


def drop_reason(example: Question) -> str | None:
    """Why a question cannot be learned from, or None."""
    if not example.question.strip() or not example.passage.strip():
        return EMPTY_SOURCE
    return None if all(_stands(example, answer) for answer in example.answers) else NOT_IN_PASSAGE


def _stands(example: Question, answer: Answer) -> bool:
    text, start = answer
    return start >= 0 and bool(text.strip()) and example.passage[start : start + len(text)] == text


def _tokens_of(answer: Answer, spans: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The first and the last token that hold a character of the answer."""
    end = answer.start + len(answer.text)
    inside = [place for place, (first, last) in enumerate(spans) if first < end and last > answer.start]
    return (inside[0], inside[-1]) if inside else None
