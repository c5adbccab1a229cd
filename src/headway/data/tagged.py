"""Words with tags: a CoNLL file, a word and its tag on each line and a blank line between sentences → rows of subwords.

Every word is cut into subwords by itself; its tag stands at the first of them, and at the others nothing is answered.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from headway.config import Config, CorpusConfig, DataConfig
from headway.data.batches import BucketedEpoch, Epoch, Rows, collate_tags
from headway.data.labels import Labels
from headway.data.lines import read_lines
from headway.data.opening import source_opening
from headway.data.pairs import EMPTY_SOURCE
from headway.data.preparation import CutUpOnce, MemoryRows, Prepared, integer_type, read_all
from headway.data.preprocessing import Preprocessor
from headway.data.readers import corpus_name
from headway.data.tags import BROKEN_OFF, OUTSIDE, Scheme, detect_scheme, entities, marks_entity, misfits, split_tag, write_tags
from headway.data.tokenizer import UNK_ID, Tokenizers
from headway.errors import DataError

CHARACTERS = 0.9  # share of words of one character from which on text is taken to be cut into them; a name may be left whole
_BLANKS = re.compile(r"[ \t]+")


class Tagged(NamedTuple):
    """The words of a sentence and a tag for each. `line` counts from 1, that of the first word."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    line: int

    @property
    def source(self) -> str:
        return " ".join(self.words)

    @property
    def target(self) -> str:
        """Tags are no text."""
        return ""


def read_tagged(corpus: CorpusConfig) -> Iterator[Tagged]:
    """Yield the sentences of a CoNLL file in order; `source` and `target` of the corpus are columns, from 0.

    Columns are parted by tabs where a line has one, else by blanks. Lines that begin with -DOCSTART- are passed over.

    Raises:
        DataError: the file is missing or damaged, holds no sentence, or a line lacks a column.
    """
    path, columns = corpus.path, (corpus.source, corpus.target)
    if path is None or not all(isinstance(column, int) for column in columns):
        problem = "tagging reads one CoNLL file and numbers its columns from 0"
        raise DataError(problem, where=corpus_name(corpus), remedy="such as {path: train.conll, source: 0, target: 1}")
    word, tag = (int(column) for column in columns if column is not None)
    words: list[str] = []
    tags: list[str] = []
    first, anything = 1, False
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            if words:
                yield Tagged(tuple(words), tuple(tags), first)
            words, tags = [], []
        elif not line.startswith("-DOCSTART-"):
            cells = line.split("\t") if "\t" in line else _BLANKS.split(line.strip(" "))
            if max(word, tag) >= len(cells) or not cells[word].strip() or not cells[tag].strip():
                problem = f"has not a text in each of the columns {word} and {tag}: {line[:40]!r}"
                remedy = "a line is a word and its tag, a blank line ends a sentence"
                raise DataError(problem, where=f"{path}:{number}", remedy=remedy)
            first = first if words else number
            words.append(cells[word])
            tags.append(cells[tag].strip())
            anything = True
    if words:
        yield Tagged(tuple(words), tuple(tags), first)
    if not anything:
        raise DataError("holds no sentence", where=path, remedy="see whether it was written or copied to its end")


def read_in_scheme(corpus: CorpusConfig, scheme: Scheme) -> Iterator[Tagged]:
    """As `read_tagged`. Raises DataError also for a tag that the scheme does not have: it would be lost without a word."""
    for sentence in read_tagged(corpus):
        for place, tag in enumerate(sentence.tags) if scheme != "plain" else ():
            if tag != OUTSIDE and not marks_entity(tag):
                problem = f"{tag[:40]!r} is no tag of entities, which are read as {scheme}"
                remedy = "mend it, such as B-PERSON or O; or, if each word's tag stands for itself, set data.tags: plain"
                raise DataError(problem, where=f"{corpus_name(corpus)}:{sentence.line + place}", remedy=remedy)
        yield sentence


def read_to_learn(corpus: CorpusConfig, data: DataConfig) -> Iterator[Tagged]:
    """As `TaggedPreparation.read`. Raises DataError also for a tag that does not fit the scheme: another would be learned."""
    scheme: Scheme = "plain" if data.tags == "auto" else data.tags
    for sentence in TaggedPreparation.read(corpus, data):
        for place, right in misfits(sentence.tags, scheme) if scheme != "plain" else ():
            tag = sentence.tags[place]
            if split_tag(tag)[0] not in BROKEN_OFF.get(scheme, ()):
                problem = f"{tag[:40]!r} does not fit {scheme}, which writes {right[:40]!r} here"
                remedy = "mend it; or, if another scheme is meant, name it: data.tags"
                raise DataError(problem, where=f"{corpus_name(corpus)}:{sentence.line + place}", remedy=remedy)
        yield sentence


def scheme_of(data: DataConfig) -> Scheme:
    """The scheme that is configured, or that the training corpus is written in."""
    return detect_scheme(s.tags for s in read_all(TaggedPreparation.read, data, "train")) if data.tags == "auto" else data.tags


def in_scheme(data: DataConfig, labels: Labels | None) -> DataConfig:
    """The settings by which other data is read as the training data was."""
    return data.model_copy(update={"tags": labels.scheme}) if labels is not None and labels.kind == "tags" else data


def learn_tags(data: DataConfig) -> Labels:
    """The tags of the training corpus."""
    scheme = scheme_of(data)
    sentences = read_all(read_to_learn, data.model_copy(update={"tags": scheme}), "train")
    lengths: Counter[int] = Counter()

    def answers() -> Iterator[tuple[str, ...]]:
        for sentence in sentences:
            lengths.update(map(len, sentence.words))
            yield tuple(inner_tags(sentence.tags, scheme))

    counted = Labels.learn("tags", answers(), corpus_name(*data.parts("train")))
    names = counted.names
    if scheme != "plain":  # an entity of one word may be new, and of many words too
        kinds = sorted({name.partition("-")[2] for name in names if name != "O"})
        every = {"O", *(f"{mark}-{kind}" for kind in kinds for mark in "BIES")}
        names = (*names, *sorted(every - set(names)))
    characters = lengths[1] >= CHARACTERS * lengths.total()
    return dataclasses.replace(counted, names=names, scheme=scheme, characters=characters)


def inner_tags(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """The tags as the model learns them: BIOES, or as they are where they are plain."""
    return list(tags) if scheme == "plain" else write_tags(entities(tags, scheme), len(tags), "bioes")


class TaggedPreparation(CutUpOnce):
    """`Preparation` of tagged sentences: the target of a row has a number for each subword, that of its tag or of no tag."""

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        data = config.data
        assert tokenizers.labels is not None
        self._tokenizer, self._labels = tokenizers.source, tokenizers.labels
        self._preprocessor = Preprocessor(data.preprocessing, data.source_language)
        self._max_length = data.max_length
        self._untagged = self._labels.outputs
        self._opening = source_opening(config, tokenizers)
        self.dtypes = (integer_type(self._tokenizer.vocabulary_size), integer_type(self._untagged + 1))
        self.made_from: dict[str, Any] = {
            "labels": self._labels.digest,
            "tokenizers": [self._tokenizer.digest],
            "preprocessing": [data.preprocessing, data.source_language],
            "max_length": data.max_length,
        } | ({"opening": self._opening} if self._opening else {})

    @staticmethod
    def read(corpus: CorpusConfig, data: DataConfig) -> Iterator[Tagged]:
        return read_tagged(corpus) if data.tags == "auto" else read_in_scheme(corpus, data.tags)

    @staticmethod
    def count(corpus: CorpusConfig) -> int | None:
        return None

    def prepare(self, examples: Sequence[Tagged], dropped: Counter[str]) -> Prepared:
        dropped.update({EMPTY_SOURCE: 0})
        rows = self.rows_of_all(examples)
        return Prepared([example.line for example in examples], (rows.source_rows, rows.target_rows), cut=rows.cut)

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        return BucketedEpoch(rows, batch_tokens, seed, epoch, collate=partial(collate_tags, untagged=self._untagged))

    def rows_of_all(self, examples: Sequence[Tagged]) -> MemoryRows:
        """Rows of every sentence; one that is too long is cut before the first word that does not fit."""
        sources, targets, cut = [], [], 0
        for example in examples:
            pieces = self._tokenizer.encode_many([self._preprocessor.apply(word) for word in example.words])
            source: list[int] = []
            target: list[int] = []
            for subwords, tag in zip(pieces, inner_tags(example.tags, self._labels.scheme), strict=True):
                subwords = subwords or [UNK_ID]
                if len(source) + len(subwords) > self._max_length:
                    cut += 1
                    break
                source += subwords
                target += [self._labels.numbers.get(tag, self._untagged), *[self._untagged] * (len(subwords) - 1)]
            sources.append([*self._opening, *source])
            targets.append([*[self._untagged] * len(self._opening), *target])
        return MemoryRows(sources, targets, cut)
