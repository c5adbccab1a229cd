"""Texts with labels as rows: the text as subwords, and the numbers of its labels, or the bits of its number.

Where two texts have a label together, they are one text with a tab between them, and in the row an end of sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from headway.config import Config, CorpusConfig, DataConfig
from headway.data.batches import BucketedEpoch, Epoch, Rows, collate_labels
from headway.data.labels import Labels
from headway.data.opening import source_opening
from headway.data.pairs import EMPTY_SOURCE
from headway.data.preparation import MemoryRows, Prepared, Read, integer_type, read_all
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.readers import Pair, corpus_name, count, number_of, read_pairs
from headway.data.tables import read_table
from headway.data.tokenizer import EOS_ID, Tokenizers
from headway.errors import DataError, UsageError

CutUp: TypeAlias = Callable[[Sequence[str]], list[list[int]]]
TAB = "\t"  # between two texts
LARGEST_NUMBER = 1e60  # its fourth power, a million times a million of it, is still a float64


class Labelled(NamedTuple):
    """A text and what it is to be answered with. `line` counts from 1."""

    source: str
    labels: tuple[str, ...]
    line: int

    @property
    def target(self) -> str:
        """Labels are no text."""
        return ""


def read_labelled(corpus: CorpusConfig, data: DataConfig) -> Iterator[Labelled]:
    """Yield the texts of a corpus with their labels, in order.

    Raises:
        DataError: as `read_pairs`, or a label is empty or no number, or too large a one, where numbers are asked for.
    """
    for pair in read_pairs(corpus, numbers=True) if corpus.second is None else read_joined(corpus):
        yield Labelled(pair.source, labels_of(pair.target, f"{corpus_name(corpus)}:{pair.line}", data), pair.line)


def labels_of(text: str, where: str, data: DataConfig) -> tuple[str, ...]:
    """The labels that a column tells. Raises DataError where there is none, or no number, or too large a one."""
    parts = text.split(data.label_separator) if data.labels == "several" else [text]
    labels = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    if not labels and data.labels != "several":
        raise DataError("has no label", where=where, remedy="give it one, or remove it")
    if data.labels == "number" and abs(number_of(labels[0], where, "mend it, or set data.labels: one")) > LARGEST_NUMBER:
        problem = f"{labels[0][:40]!r} is beyond {LARGEST_NUMBER:g}: too large for squares and correlations"
        raise DataError(problem, where=where, remedy="mend it, or give all numbers in a larger unit")
    return labels


def read_joined(corpus: CorpusConfig) -> Iterator[Pair]:
    """Yield two texts with a tab between them, and their label, which may be a number."""
    assert corpus.path is not None
    assert corpus.second is not None
    assert corpus.target is not None
    for (first, second, label), line in read_table(corpus.path, (corpus.source, corpus.second), (corpus.target,)):
        yield Pair(TAB.join(text.replace(TAB, " ") for text in (first, second)), label, line)


def label_numbers(known: Labels, labels: tuple[str, ...]) -> list[int]:
    """Numbers of the labels, those that are known; of a number the bits of its float32, in units of the deviation."""
    if known.kind == "number":
        scaled = np.float32((float(labels[0]) - known.mean) / known.deviation)
        return [int(scaled.view(np.uint32))]
    return sorted(known.numbers[label] for label in labels if label in known.numbers)


class LabelledPreparation:
    """`Preparation` of labelled texts. A text that is too long is cut, not dropped: its label is still true of it."""

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        data = config.data
        assert tokenizers.labels is not None
        self._tokenizer, self._labels = tokenizers.source, tokenizers.labels
        self._preprocessor = Preprocessor(data.preprocessing, data.source_language)
        self._max_length = data.max_length
        self._opening = source_opening(config, tokenizers)
        self.sampling = (self._tokenizer.dropout, 0.0)
        numbers = self._labels.kind == "number"
        self.dtypes = (integer_type(self._tokenizer.vocabulary_size), "uint32" if numbers else integer_type(self._labels.outputs))
        self.made_from: dict[str, Any] = {
            "labels": [self._labels.digest, data.label_separator],
            "tokenizers": [self._tokenizer.digest],
            "preprocessing": [data.preprocessing, data.source_language],
            "max_length": data.max_length,
        } | ({"opening": self._opening} if self._opening else {})

    @staticmethod
    def read(corpus: CorpusConfig, data: DataConfig) -> Iterator[Labelled]:
        return read_labelled(corpus, data)

    @staticmethod
    def count(corpus: CorpusConfig) -> int | None:
        return count(corpus) if corpus.path is None else None

    def prepare(self, examples: Sequence[Labelled], dropped: Counter[str]) -> Prepared:
        dropped.update({EMPTY_SOURCE: 0})
        texts = self.texts(examples)
        tokens = self.encode(texts, self._tokenizer.encode_many)
        kept = [row for row, text in enumerate(texts) if tokens[row] and not is_blank(text)]
        dropped[EMPTY_SOURCE] += len(examples) - len(kept)
        rows = (
            [[*self._opening, *self.fit(tokens[row])] for row in kept],
            [label_numbers(self._labels, examples[row].labels) for row in kept],
        )
        cut = sum(len(tokens[row]) > self._max_length for row in kept)
        return Prepared([examples[row].line for row in kept], rows, ([texts[row] for row in kept], [""] * len(kept)), cut)

    def texts(self, examples: Sequence[Labelled]) -> list[str]:
        """Texts as the tokenizer sees them."""
        return [self._preprocessor.apply(example.source) for example in examples]

    def encode(self, texts: Sequence[str], cut_up: CutUp) -> list[list[int]]:
        return cut_up(texts)

    def fit(self, row: list[int]) -> list[int]:
        """What the model reads of a row."""
        return row[: self._max_length]

    def example_of(self, line: str, number: int) -> Labelled:
        """A line of `predict`."""
        return Labelled(line, ("0",), number)

    def rows_to_answer(self, examples: Sequence[Labelled]) -> tuple[MemoryRows, list[int]]:
        """Rows of the lines of `predict` that are not blank, and the places of these."""
        places = [place for place, example in enumerate(examples) if not is_blank(example.source)]
        return self.rows_of_all([examples[place] for place in places]), places

    def sample(self, side: int, texts: Sequence[str], seed: int) -> list[list[int]]:
        rows = self.encode(texts, partial(self._tokenizer.sample_many, seed=seed))
        return [[*self._opening, *row] for row in rows]

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        several = self._labels.outputs if self._labels.kind == "several" else None
        return BucketedEpoch(rows, batch_tokens, seed, epoch, collate=partial(collate_labels, several=several))

    def rows_of_all(self, examples: Sequence[Labelled]) -> MemoryRows:
        tokens = self.encode(self.texts(examples), self._tokenizer.encode_many)
        cut = sum(len(row) > self._max_length for row in tokens)
        return MemoryRows(
            [[*self._opening, *self.fit(row)] for row in tokens],
            [label_numbers(self._labels, example.labels) for example in examples],
            cut,
        )


class JoinedPreparation(LabelledPreparation):
    """`Preparation` of two texts that have a label together: the first, an end of sentence or two, the second."""

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        super().__init__(tokenizers, config)
        self._between = [EOS_ID] * config.tokenizer.ends_between
        self.made_from |= {"between": self._between} if self._between != [EOS_ID] else {}

    def texts(self, examples: Sequence[Labelled]) -> list[str]:
        """Raises UsageError for a text without a tab."""
        joined = []
        for example in examples:
            first, tab, second = example.source.partition(TAB)
            if not tab and first.strip():
                problem, where = f"{first[:40]!r} has no tab between its two texts", f"line {example.line}"
                raise UsageError(problem, where=where, remedy="give FIRST TAB SECOND")
            joined.append(TAB.join(map(self._preprocessor.apply, (first, second.replace(TAB, " ")))))
        return joined

    def encode(self, texts: Sequence[str], cut_up: CutUp) -> list[list[int]]:
        sides = zip(*(text.split(TAB) for text in texts), strict=True) if texts else ((), ())
        firsts, seconds = (cut_up(list(side)) for side in sides)
        return [[*first, *self._between, *second] for first, second in zip(firsts, seconds, strict=True)]

    def fit(self, row: list[int]) -> list[int]:
        """The longer text is cut first, as BERT does."""
        middle, room = row.index(EOS_ID), max(0, self._max_length - len(self._between))
        first, second = row[:middle], row[middle + len(self._between) :]
        first = first[: max(room - len(second), room - room // 2)]
        return [*first, *self._between, *second[: room - len(first)]]


def learn_labels(data: DataConfig, read: Read = read_labelled) -> Labels:
    """The labels of the training corpus."""
    answers = (example.labels for example in read_all(read, data, "train"))
    return Labels.learn(data.labels, answers, corpus_name(*data.parts("train")))
