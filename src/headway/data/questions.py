"""Questions on passages, whose answers are spans of them: SQuAD's JSON → rows of a question and a window of its passage.

A row is the tokens of the question, the end of a sentence, and tokens of the passage. A passage that is too long for one row
is read in windows that overlap; where a window does not hold the answer, or there is none, the answer is the place between
question and passage. The target of a row is the place of the first and of the last token of the answer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from headway.config import Config, CorpusConfig, DataConfig
from headway.data.batches import BucketedEpoch, Epoch, Rows, collate_spans
from headway.data.lines import read_lines
from headway.data.pairs import EMPTY_SOURCE
from headway.data.preparation import CutUpOnce, MemoryRows, Prepared, integer_type
from headway.data.readers import corpus_name
from headway.data.tokenizer import EOS_ID, Tokenizers
from headway.errors import DataError

NOT_IN_PASSAGE = "answer that is not in its passage"


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

    Raises:
        DataError: the file is missing or damaged, or a passage is not as SQuAD has it.
    """
    anything = False
    for passage, line in _passages(corpus):
        where = f"{corpus_name(corpus)}:{line}"
        try:
            found = list(_questions(passage, line))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"is no passage with questions: {type(error).__name__} {error}"
            remedy = 'give {"context": …, "qas": [{"question": …, "answers": [{"text": …, "answer_start": …}]}]}'
            raise DataError(problem, where=where, remedy=remedy) from None
        anything |= bool(found)
        yield from found
    if not anything:
        raise DataError("holds no question", where=corpus_name(corpus), remedy="see whether it was written or copied to its end")


def _passages(corpus: CorpusConfig) -> Iterator[tuple[Any, int]]:
    """Of a .jsonl each line; of a .json all paragraphs of all articles, with line 1."""
    name = str(corpus.path)
    plain = name.removesuffix(".gz").removesuffix(".xz").removesuffix(".zst")
    lines = read_lines(name)
    try:
        if plain.endswith(".json"):
            whole = json.loads("\n".join(lines))
            yield from ((paragraph, 1) for article in whole["data"] for paragraph in article["paragraphs"])
            return
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line), number
            except ValueError as error:
                raise DataError(
                    f"is not valid JSON: {error}", where=f"{name}:{number}", remedy="write one object a line"
                ) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"is no SQuAD file: {error}", where=name, remedy="give SQuAD's JSON, or a passage a line") from None


def _questions(passage: Any, line: int) -> Iterator[Question]:
    context = passage["context"]
    for asked in passage["qas"]:
        answers = [] if asked.get("is_impossible") else asked.get("answers", [])
        found = tuple(Answer(str(answer["text"]), int(answer["answer_start"])) for answer in answers)
        if not isinstance(context, str) or not isinstance(asked["question"], str):
            raise TypeError("context and question must be texts")
        yield Question(asked["question"], context, found, line, str(asked.get("id", "")))


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
        self.made_from: dict[str, Any] = {
            "tokenizers": [self._tokenizer.digest],
            "windows": [data.max_length, data.window_stride],
            "task": config.task,
        }

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
            if not example.question.strip() or not example.passage.strip():
                dropped[EMPTY_SOURCE] += 1
            elif any(not _stands(example, answer) for answer in example.answers):
                dropped[NOT_IN_PASSAGE] += 1
            else:
                kept.append(example)
        windows = self.windows(kept)
        rows = [window.ids for window in windows], [[window.first, window.last] for window in windows]
        return Prepared([kept[window.question].line for window in windows], rows)

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        return BucketedEpoch(rows, batch_tokens, seed, epoch, collate=collate_spans)

    def rows_of_all(self, examples: Sequence[Question]) -> MemoryRows:
        """Rows of every question; there may be several of one."""
        windows = self.windows(examples)
        return MemoryRows([window.ids for window in windows], [[window.first, window.last] for window in windows])

    def windows(self, examples: Sequence[Question]) -> list[Window]:
        """All windows of all questions, in order; each token of a passage is in one at least."""
        cut = {passage: self._tokenizer.encode_with_spans(passage) for passage in dict.fromkeys(e.passage for e in examples)}
        return [
            window for number, example in enumerate(examples) for window in self._windows(number, example, *cut[example.passage])
        ]

    def _windows(self, number: int, example: Question, ids: list[int], spans: list[tuple[int, int]]) -> Iterator[Window]:
        asked = self._tokenizer.encode(example.question)[: self._max_length // 2]
        head, room = [*asked, EOS_ID], self._max_length - len(asked) - 1
        answer = _tokens_of(example.answers[0], spans) if example.answers else None
        start = 0
        while True:
            end = min(start + room, len(ids))
            first = last = len(asked)
            if answer is not None and start <= answer[0] and answer[1] < end:
                first, last = (len(head) + place - start for place in answer)
            yield Window(number, len(head), [*head, *ids[start:end]], spans[start:end], first, last)
            if end == len(ids):
                return
            start += min(self._stride, room)


def _stands(example: Question, answer: Answer) -> bool:
    return bool(answer.text.strip()) and example.passage[answer.start : answer.start + len(answer.text)] == answer.text


def _tokens_of(answer: Answer, spans: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The first and the last token that hold a character of the answer."""
    end = answer.start + len(answer.text)
    inside = [place for place, (first, last) in enumerate(spans) if first < end and last > answer.start]
    return (inside[0], inside[-1]) if inside else None
