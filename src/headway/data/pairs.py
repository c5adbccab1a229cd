"""Pairs of texts as rows: each side is preprocessed and cut into subwords. The target is written, or read as the source is.

Where one model writes several languages, each source begins with the tag of the one that is asked for (Johnson et al. 2017).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from headway.config import Config, CorpusConfig, DataConfig
from headway.data.batches import BucketedEpoch, Epoch, Rows, collate_two_texts
from headway.data.opening import numbers_of, source_opening, target_opening
from headway.data.preparation import MemoryRows, Prepared, integer_type
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.readers import Pair, RatedPair, count, read_pairs, read_rated
from headway.data.tokenizer import FORBIDDEN_IDS, Tokenizers

EMPTY_SOURCE, EMPTY_TARGET, TOO_LONG = "empty source", "empty target", "too long"


def forbidden_ids(config: Config, tokenizers: Tokenizers) -> list[int]:
    """What is never written: special pieces, tags and `decoding.never`. Raises UsageError for what is no piece."""
    first = tokenizers.target.vocabulary_size
    never = numbers_of(tokenizers.target, config.decoding.never, "decoding.never")
    return [*FORBIDDEN_IDS, *range(first, first + len(config.language_tags)), *never]


def forbidden_first(config: Config, tokenizers: Tokenizers) -> list[int]:
    """What no answer begins with. Raises UsageError for what is no piece."""
    return numbers_of(tokenizers.target, config.decoding.never_first, "decoding.never_first")


class PairPreparation:
    """`Preparation` of pairs in one direction: `max_length` counts tokens without special ones and tags."""

    reads_both = False  # whether an encoder reads the target too

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        data = config.data
        self._tokenizers = (tokenizers.source, tokenizers.target)
        self._max_length, self._cuts = data.max_length, data.too_long == "cut"
        languages = (data.source_language, data.target_language)
        self._preprocessors = [Preprocessor(data.preprocessing, language) for language in languages]
        self.sampling = (tokenizers.source.dropout, tokenizers.target.dropout)
        source, target = source_opening(config, tokenizers), target_opening(config, tokenizers)
        self._openings = (source, source if self.reads_both else target)
        ids = tokenizers.source.vocabulary_size + len(config.language_tags)
        self.dtypes = (integer_type(ids), integer_type(tokenizers.target.vocabulary_size))
        self.made_from: dict[str, Any] = {
            "tokenizers": [tokenizers.source.digest, tokenizers.target.digest],
            "preprocessing": [data.preprocessing, data.source_language, data.target_language],
            "max_length": [data.max_length, data.too_long],
            **({"tag": source} if source else {}),
            **({"target_tag": target} if target else {}),
        }

    @staticmethod
    def read(corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair | RatedPair]:
        return read_pairs(corpus) if corpus.rating is None else read_rated(corpus)

    @staticmethod
    def count(corpus: CorpusConfig) -> int | None:
        return count(corpus) if corpus.path is None else None

    def prepare(self, examples: Sequence[Pair], dropped: Counter[str]) -> Prepared:
        dropped.update({EMPTY_SOURCE: 0, EMPTY_TARGET: 0, TOO_LONG: 0})
        texts = self.texts(examples)
        sources, targets = (cutter.encode_many(side) for cutter, side in zip(self._tokenizers, texts, strict=True))
        cut = self._cut(sources, targets) if self._cuts else 0
        kept = []
        for row, (source_text, target_text, source, target) in enumerate(zip(*texts, sources, targets, strict=True)):
            reason = drop_reason(source_text, target_text, len(source), len(target), self._max_length)
            if reason is None:
                kept.append(row)
            else:
                dropped[reason] += 1
        rows = self._opened(0, (sources[row] for row in kept)), self._opened(1, (targets[row] for row in kept))
        kept_texts = [texts[0][row] for row in kept], [texts[1][row] for row in kept]
        return Prepared([examples[row].line for row in kept], rows, kept_texts, cut)

    def _opened(self, side: int, rows: Iterable[list[int]]) -> list[list[int]]:
        return [[*self._openings[side], *row] for row in rows]

    def _cut(self, sources: list[list[int]], targets: list[list[int]]) -> int:
        """Cuts what is too long, in place, and counts it."""
        longest, cut = self._max_length, 0
        for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
            if max(len(source), len(target)) > longest:
                sources[row], targets[row] = self.cut_source(source), target[:longest]
                cut += 1
        return cut

    def cut_source(self, row: list[int]) -> list[int]:
        return row[: self._max_length]

    def texts(self, examples: Sequence[Pair]) -> tuple[list[str], list[str]]:
        """Sources and targets as the tokenizers see them."""
        source, target = self._preprocessors
        return [source.apply(pair.source) for pair in examples], [target.apply(pair.target) for pair in examples]

    def sample(self, side: int, texts: Sequence[str], seed: int) -> list[list[int]]:
        rows = self._tokenizers[side].sample_many(texts, seed)
        return self._opened(side, rows)

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        return BucketedEpoch(rows, batch_tokens, seed, epoch)

    def rows_of_all(self, examples: Sequence[Pair]) -> MemoryRows:
        texts = self.texts(examples)
        sources, targets = (cutter.encode_many(side) for cutter, side in zip(self._tokenizers, texts, strict=True))
        cut = self._cut(sources, targets)
        return MemoryRows(self._opened(0, sources), self._opened(1, targets), cut)


class SentencePreparation(PairPreparation):
    """`Preparation` of pairs whose two sides are read by one encoder."""

    reads_both = True

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        collate = partial(collate_two_texts, text_of=self._tokenizers[0].decode)
        return BucketedEpoch(rows, batch_tokens, seed, epoch, collate=collate)

    def rows_of_side(self, texts: Sequence[str], side: int) -> tuple[list[list[int]], int]:
        """Rows of the texts of one side, an empty one for a blank text, and how many were too long and are cut."""
        seen = [self._preprocessors[side].apply(text) for text in texts]
        whole = self._tokenizers[side].encode_many(seen)
        rows = [
            [] if is_blank(text) else [*self._openings[side], *self.cut_source(row)]
            for text, row in zip(seen, whole, strict=True)
        ]
        return rows, sum(len(row) > self._max_length for row in whole)


def drop_reason(source: str, target: str, source_tokens: int, target_tokens: int, max_length: int) -> str | None:
    """Why a preprocessed pair cannot be learned from, or None. Both sides being empty counts as an empty source."""
    if not source_tokens or is_blank(source):
        return EMPTY_SOURCE
    if not target_tokens or is_blank(target):
        return EMPTY_TARGET
    return TOO_LONG if max(source_tokens, target_tokens) > max_length else None
