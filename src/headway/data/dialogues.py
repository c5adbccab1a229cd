"""Conversations as pairs: what was said before, and what is said next.

A conversation is a JSON object on a line with a list of utterances. Each utterance but the first is to be answered, given the
last few before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from headway.config import Config, CorpusConfig, DataConfig
from headway.data.pairs import PairPreparation
from headway.data.readers import Pair, corpus_name
from headway.data.tables import checked_text, kind_of, read_records
from headway.data.tokenizer import Tokenizers
from headway.errors import DataError

REMEDY = "a line is an object with a list of utterances, which source names: source: turns"
BETWEEN = " | "  # utterances of a history


def read_dialogues(corpus: CorpusConfig, turns: int) -> Iterator[Pair]:
    """Yield (history, answer) for every utterance that answers another; `source` of the corpus names the list of utterances.

    Args:
        turns: utterances of a history at most, the latest ones.

    Raises:
        DataError: the file is missing or damaged, or a line holds no list of texts.
    """
    anything = False
    for said, number in read_conversations(corpus):
        for place in range(1, len(said)):
            anything = True
            yield Pair(history(said[:place], turns), said[place], number)
    if not anything:
        raise DataError("holds no conversation", where=corpus_name(corpus), remedy=REMEDY)


def read_conversations(corpus: CorpusConfig) -> Iterator[tuple[list[str], int]]:
    """Yield the utterances of each conversation, and its line. Raises DataError as `read_dialogues`."""
    for record, number in read_records(str(corpus.path)):
        yield _utterances(record, str(corpus.source), f"{corpus_name(corpus)}:{number}"), number


def history(said: Sequence[str], turns: int) -> str:
    """The last utterances as the model reads them."""
    return BETWEEN.join(" ".join(utterance.split()) for utterance in said[-turns:])


def _utterances(record: Any, name: str, where: str) -> list[str]:
    if not isinstance(record, dict):
        raise DataError(f"holds {kind_of(record)}, not an object", where=where, remedy=REMEDY)
    found = record.get(name)
    if not isinstance(found, list):
        raise DataError(f"has no list of texts named {name!r}", where=where, remedy=REMEDY)
    said = [checked_text(utterance, f"{name}[{place}]", where) for place, utterance in enumerate(found)]
    for place, utterance in enumerate(said):
        if not utterance.strip():  # left out, what follows would answer what it did not
            remedy = "write what was said there, or part the conversation in two"
            raise DataError(f"'{name}[{place}]' is blank", where=where, remedy=remedy)
    return said


class DialoguePreparation(PairPreparation):
    """`Preparation` of conversations. Of a history that is too long the end is kept: it is what is answered."""

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        super().__init__(tokenizers, config)
        self.made_from = {**self.made_from, "history_turns": config.data.history_turns}

    def cut_source(self, row: list[int]) -> list[int]:
        return row[-self._max_length :]

    @staticmethod
    def read(corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair]:
        return read_dialogues(corpus, data.history_turns)

    @staticmethod
    def count(corpus: CorpusConfig) -> int | None:
        return None
