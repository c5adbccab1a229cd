"""Texts with labels as rows: the text as subwords, and the numbers of its labels, or the bits of its number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from headway.config import Config, CorpusConfig, DataConfig
from headway.data.batches import BucketedEpoch, Epoch, Rows, collate_labels
from headway.data.labels import Labels
from headway.data.pairs import EMPTY_SOURCE
from headway.data.preparation import MemoryRows, Prepared, integer_type, read_all
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.readers import corpus_name, count, number_of, read_pairs
from headway.data.tokenizer import Tokenizers
from headway.errors import DataError


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
        DataError: as `read_pairs`, or a label is empty or no number where numbers are asked for.
    """
    for pair in read_pairs(corpus):
        parts = pair.target.split(data.label_separator) if data.labels == "several" else [pair.target]
        labels = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
        if not labels and data.labels != "several":
            raise DataError("has no label", where=f"{corpus_name(corpus)}:{pair.line}", remedy="give it one, or remove it")
        if data.labels == "number":
            number_of(labels[0], f"{corpus_name(corpus)}:{pair.line}", "mend it, or set data.labels: one")
        yield Labelled(pair.source, labels, pair.line)


class LabelledPreparation:
    """`Preparation` of labelled texts. A text that is too long is cut, not dropped: its label is still true of it."""

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        data = config.data
        assert tokenizers.labels is not None
        self._tokenizer, self._labels = tokenizers.source, tokenizers.labels
        self._preprocessor = Preprocessor(data.preprocessing, data.source_language)
        self._max_length = data.max_length
        self.sampling = (self._tokenizer.dropout, 0.0)
        numbers = self._labels.kind == "number"
        self.dtypes = (integer_type(self._tokenizer.vocabulary_size), "uint32" if numbers else integer_type(self._labels.outputs))
        self.made_from: dict[str, Any] = {
            "labels": [self._labels.digest, data.label_separator],
            "tokenizers": [self._tokenizer.digest],
            "preprocessing": [data.preprocessing, data.source_language],
            "max_length": data.max_length,
        }

    @staticmethod
    def read(corpus: CorpusConfig, data: DataConfig) -> Iterator[Labelled]:
        return read_labelled(corpus, data)

    @staticmethod
    def count(corpus: CorpusConfig) -> int | None:
        return count(corpus) if corpus.path is None else None

    def prepare(self, examples: Sequence[Labelled], dropped: Counter[str]) -> Prepared:
        dropped.update({EMPTY_SOURCE: 0})
        texts = [self._preprocessor.apply(example.source) for example in examples]
        tokens = self._tokenizer.encode_many(texts)
        kept = [row for row, text in enumerate(texts) if tokens[row] and not is_blank(text)]
        dropped[EMPTY_SOURCE] += len(examples) - len(kept)
        rows = [tokens[row][: self._max_length] for row in kept], [self._answer(examples[row].labels) for row in kept]
        cut = sum(len(tokens[row]) > self._max_length for row in kept)
        return Prepared([examples[row].line for row in kept], rows, ([texts[row] for row in kept], [""] * len(kept)), cut)

    def _answer(self, labels: tuple[str, ...]) -> list[int]:
        """Numbers of the labels, those that are known; of a number the bits of its float32, in units of the deviation."""
        known = self._labels
        if known.kind == "number":
            scaled = np.float32((float(labels[0]) - known.mean) / known.deviation)
            return [int(scaled.view(np.uint32))]
        return sorted(known.numbers[label] for label in labels if label in known.numbers)

    def sample(self, side: int, texts: Sequence[str], seed: int) -> list[list[int]]:
        return self._tokenizer.sample_many(texts, seed)

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        several = self._labels.outputs if self._labels.kind == "several" else None
        return BucketedEpoch(rows, batch_tokens, seed, epoch, collate=partial(collate_labels, several=several))

    def rows_of_all(self, examples: Sequence[Labelled]) -> MemoryRows:
        tokens = self._tokenizer.encode_many([self._preprocessor.apply(example.source) for example in examples])
        cut = sum(len(row) > self._max_length for row in tokens)
        return MemoryRows([row[: self._max_length] for row in tokens], [self._answer(e.labels) for e in examples], cut)


def learn_labels(data: DataConfig) -> Labels:
    """The labels of the training corpus."""
    answers = (example.labels for example in read_all(read_labelled, data, "train"))
    return Labels.learn(data.labels, answers, corpus_name(*data.parts("train")))
