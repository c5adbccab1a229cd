"""Plain text as documents: a text file or one column of a table → rows that are learned from as one stream.

A document that is longer than a piece comes in several, all but the last with `ends=False`, so that a file of any size passes
through constant memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from headway.config import Config, CorpusConfig, DataConfig
from headway.data.batches import Epoch, Rows
from headway.data.lines import read_lines
from headway.data.packing import PackedEpoch
from headway.data.preparation import CutUpOnce, MemoryRows, Prepared, integer_type
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.readers import corpus_name
from headway.data.tables import read_table
from headway.data.tokenizer import EOS_ID, Tokenizers
from headway.errors import DataError

PIECE_CHARACTERS = 1 << 18
EMPTY = "empty"


class Text(NamedTuple):
    """A document or a piece of one. `line` counts from 1."""

    source: str
    line: int
    ends: bool = True

    @property
    def target(self) -> str:
        """Nothing is to be answered."""
        return ""


def read_texts(corpus: CorpusConfig, documents: str) -> Iterator[Text]:
    """Yield the documents of a corpus in order; line breaks within them are content.

    Args:
        documents: what ends one in a text file: "file", "paragraph" (a blank line) or "line". A row of a table is one; in JSONL
            it may be an array of texts, such as the turns of a dialogue, which become its lines.

    Raises:
        DataError: the file is missing, damaged or holds no text. UsageError: the kind of table is unknown.
    """
    found: Iterator[Text]
    if corpus.path is not None:
        found = (Text(cells[0], line) for cells, line in read_table(corpus.path, (corpus.source,), arrays=True))
    else:
        found = _documents(str(corpus.source), documents)
    anything = False
    for text in found:
        anything = True
        yield text
    if not anything:
        raise DataError("holds no text", where=corpus_name(corpus), remedy="see whether it was written or copied to its end")


def _documents(path: str, documents: str) -> Iterator[Text]:
    lines: list[str] = []
    first, characters = 1, 0
    for number, line in enumerate(read_lines(path), 1):
        if documents == "line":
            yield Text(line, number)
        elif documents == "paragraph" and not line.strip():
            if lines:
                yield Text("\n".join(lines), first)
            lines, first, characters = [], number + 1, 0
        else:
            if characters > PIECE_CHARACTERS:  # what was held goes on with this line
                yield Text("\n".join(lines) + "\n", first, ends=False)
                lines, first, characters = [], number, 0
            lines.append(line)
            characters += len(line) + 1
    if lines:
        yield Text("\n".join(lines) + ("\n" if documents == "file" else ""), first)


class TextPreparation(CutUpOnce):
    """`Preparation` of documents: the target of a row is a document with its EOS, or a piece of one; there is no source."""

    guesses_all = True  # every token is a target

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        data = config.data
        self._tokenizer = tokenizers.target
        self._preprocessor = Preprocessor(data.preprocessing, data.source_language)
        self._max_length = data.max_length
        size = integer_type(self._tokenizer.vocabulary_size)
        self.dtypes = (size, size)
        self.made_from: dict[str, Any] = {
            "documents": data.documents,
            "tokenizers": [self._tokenizer.digest],
            "preprocessing": [data.preprocessing, data.source_language],
        }

    @staticmethod
    def read(corpus: CorpusConfig, data: DataConfig) -> Iterator[Text]:
        return read_texts(corpus, data.documents)

    @staticmethod
    def count(corpus: CorpusConfig) -> int | None:
        return None

    def prepare(self, examples: Sequence[Text], dropped: Counter[str]) -> Prepared:
        dropped.update({EMPTY: 0})
        kept = [text for text in examples if not (text.ends and is_blank(text.source))]
        dropped[EMPTY] += len(examples) - len(kept)
        tokens = self._tokenizer.encode_many([self._preprocessor.apply(text.source) for text in kept])
        rows = [[*row, EOS_ID] if text.ends else row for row, text in zip(tokens, kept, strict=True)]
        return Prepared([text.line for text in kept], ([[] for _ in rows], rows))

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        """Full rows of `max_length` tokens."""
        return PackedEpoch(rows, self._max_length, batch_tokens, seed, epoch)

    def rows_of_all(self, examples: Sequence[Text]) -> MemoryRows:
        sources, targets = self.prepare(examples, Counter()).rows
        return MemoryRows(sources, targets)

    def decode(self, row: Sequence[int]) -> str:
        """The text of a row, before preprocessing is undone."""
        return self._tokenizer.decode(row)

    def spelled_bytes(self, rows: MemoryRows) -> int:
        """Bytes of UTF-8 that the pieces of documents spell. An unknown piece spells none: it costs bits and tells nothing."""
        return sum(len(self.decode(row).encode()) for row in rows.target_rows)
