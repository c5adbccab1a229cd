"""Conversations as pairs: what was said before, and what is said next.

A conversation is a JSON object on a line with a list of utterances. Each utterance but the first is to be answered, given the
last few before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from headway.config import CorpusConfig, DataConfig
from headway.data.lines import read_lines
from headway.data.pairs import PairPreparation
from headway.data.readers import Pair, corpus_name
from headway.errors import DataError

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
        raise DataError(
            "holds no conversation", where=corpus_name(corpus), remedy="a line is an object with a list of utterances"
        )


def read_conversations(corpus: CorpusConfig) -> Iterator[tuple[list[str], int]]:
    """Yield the utterances of each conversation, and its line. Raises DataError as `read_dialogues`."""
    for number, line in enumerate(read_lines(str(corpus.path)), 1):
        yield _utterances(line, corpus, number), number


def history(said: Sequence[str], turns: int) -> str:
    """The last utterances as the model reads them."""
    return BETWEEN.join(" ".join(utterance.split()) for utterance in said[-turns:])


def _utterances(line: str, corpus: CorpusConfig, number: int) -> list[str]:
    where = f"{corpus_name(corpus)}:{number}"
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON: {error}", where=where, remedy="write one whole JSON object on each line") from None
    found = record.get(str(corpus.source)) if isinstance(record, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        problem = f"has no list of texts named {corpus.source!r}"
        raise DataError(problem, where=where, remedy="name the list of utterances: source: turns")
    return [one for one in found if one.strip()]


class DialoguePreparation(PairPreparation):
    """`Preparation` of conversations. Of a history that is too long the end is kept: it is what is answered."""

    def cut_source(self, row: list[int]) -> list[int]:
        return row[-self._max_length :]

    @staticmethod
    def read(corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair]:
        return read_dialogues(corpus, data.history_turns)

    @staticmethod
    def count(corpus: CorpusConfig) -> int | None:
        return None
