"""Plain text as rows for a model that mends it: pieces of documents with masks or gaps.

The rows in the cache are whole text; it is damaged when a batch is made, by chance that is seeded with (seed, epoch, row).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from headway.config import Config
from headway.data.batches import IGNORED, Batch, BucketedEpoch, Epoch, Rows, collate_pairs, collate_tags
from headway.data.noise import Ids, Random, denoised, masked, span_corrupted
from headway.data.opening import source_opening
from headway.data.preparation import MemoryRows, Prepared
from headway.data.texts import Text, TextPreparation
from headway.data.tokenizer import BOS_ID, EOS_ID, Tokenizer, Tokenizers
from headway.languages import writes_spaces

VALIDATION_EPOCH = 1 << 31  # a key of its own: validation is always damaged alike
_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？", "…", "\n", "Ċ")


class GapPreparation(TextPreparation):
    """`Preparation` of documents cut into pieces of at most `max_length` tokens, each damaged by itself."""

    guesses_all = False

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        super().__init__(tokenizers, config)
        self._noise, self._opening = config.noise, source_opening(config, tokenizers)
        self._vocabulary = self._tokenizer.vocabulary_size
        self.made_from = {**self.made_from, "pieces": config.data.max_length}

    def prepare(self, examples: Sequence[Text], dropped: Counter[str]) -> Prepared:
        whole = super().prepare(examples, dropped)
        lines, pieces = [], []
        for line, row in zip(whole.lines, whole.rows[1], strict=True):
            tokens = [token for token in row if token != EOS_ID]
            for start, end in pairwise([*range(0, len(tokens), self._max_length), len(tokens)]):
                lines.append(line)
                pieces.append(tokens[start:end])
        return Prepared(lines, ([[] for _ in pieces], pieces))

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        key = (seed, VALIDATION_EPOCH if epoch is None else epoch)

        def collate(whole: Rows, indices: NDArray[np.integer]) -> Batch:
            pairs = [self.damaged(whole.target(int(i)).astype(np.int64), Random.of(*key, int(i))) for i in indices]
            damaged = MemoryRows([source for source, _ in pairs], [target for _, target in pairs])
            return replace(self._collate(damaged, np.arange(len(indices))), indices=torch.tensor(indices.tolist()))

        return BucketedEpoch(rows, batch_tokens, seed, epoch, collate=collate)

    def damaged(self, ids: Ids, random: Random) -> tuple[list[int], list[int]]:
        """What is read and what is to be answered."""
        raise NotImplementedError

    def _collate(self, rows: Rows, indices: NDArray[np.integer]) -> Batch:
        return collate_pairs(rows, indices)


class MaskedPreparation(GapPreparation):
    """Of masked language modelling: each token that is hidden is answered in its place."""

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        super().__init__(tokenizers, config)
        self._begins_word = word_beginnings(self._tokenizer) | (not writes_spaces(config.data.source_language))

    def damaged(self, ids: Ids, random: Random) -> tuple[list[int], list[int]]:
        read, wanted = masked(ids, self._begins_word[ids], self._noise, self._vocabulary, random)
        return [*self._opening, *read.tolist()], [*[IGNORED] * len(self._opening), *wanted.tolist()]

    def _collate(self, rows: Rows, indices: NDArray[np.integer]) -> Batch:
        return collate_tags(rows, indices, untagged=IGNORED)


class SpanPreparation(GapPreparation):
    """Of span corruption: sentinels are read, and written with what they stand for."""

    def damaged(self, ids: Ids, random: Random) -> tuple[list[int], list[int]]:
        source, target = span_corrupted(ids, self._noise, self._vocabulary, random)
        return [*self._opening, *source.tolist()], target.tolist()


class DenoisingPreparation(GapPreparation):
    """Of a denoising autoencoder: the whole text is written."""

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        super().__init__(tokenizers, config)
        self._ends_sentence = np.array([piece.endswith(_SENTENCE_ENDS) for piece in self._tokenizer.vocabulary])

    def damaged(self, ids: Ids, random: Random) -> tuple[list[int], list[int]]:
        ends = (np.flatnonzero(self._ends_sentence[ids]) + 1).tolist()
        return [*self._opening, *denoised(ids, ends, self._noise, self._vocabulary, random).tolist()], ids.tolist()


def word_beginnings(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Which pieces begin a word, for every number of the vocabulary: those with a blank, and all but WordPiece's ``##``."""
    pieces = tokenizer.vocabulary
    if any(piece.startswith("##") for piece in pieces):
        return np.array([not piece.startswith("##") for piece in pieces])
    return np.array([piece[:1] in ("▁", "Ġ", "Ċ") or piece.isspace() or number <= BOS_ID for number, piece in enumerate(pieces)])
