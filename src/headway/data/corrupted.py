"""Plain text as rows for a model that mends it: packed rows with masks, or pieces of documents with gaps.

The rows in the cache are whole text; it is damaged when a batch is made, by chance that is seeded with (seed, epoch, row).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from headway.config import Config
from headway.data.batches import Batch, BucketedEpoch, Epoch, Rows, collate_pairs
from headway.data.noise import Ids, Random, denoised, masked, span_corrupted
from headway.data.packing import PackedEpoch
from headway.data.preparation import MemoryRows, Prepared
from headway.data.texts import Text, TextPreparation
from headway.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, Tokenizer, Tokenizers

VALIDATION_EPOCH = 1 << 31  # a key of its own: validation is always damaged alike
_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？", "…", "\n", "Ċ")


class MaskedPreparation(TextPreparation):
    """`Preparation` of documents packed into full rows, some of whose tokens are hidden."""

    guesses_all = False

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        super().__init__(tokenizers, config)
        self._noise = config.noise
        self._vocabulary = self._tokenizer.vocabulary_size
        self._begins_word = word_beginnings(self._tokenizer)

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        packed = PackedEpoch(rows, self._max_length, batch_tokens, seed, epoch)
        return _Damaged(packed, lambda batch: self._mask(batch, (seed, VALIDATION_EPOCH if epoch is None else epoch)))

    def _mask(self, batch: Batch, key: tuple[int, int]) -> Batch:
        """What was to be written becomes what is read, with masks; the first number of its place in the stream seeds a row."""
        real_BS = batch.target_out.numpy() >= 0
        ids_BS = np.where(real_BS, batch.target_out.numpy(), PAD_ID)
        read, wanted = np.empty_like(ids_BS), np.empty_like(ids_BS)
        assert batch.places is not None
        for row, place in enumerate(batch.places.tolist()):
            ids = ids_BS[row]
            maskable = real_BS[row] & (ids != EOS_ID)
            random = Random.of(*key, place)
            read[row], wanted[row] = masked(ids, maskable, self._begins_word[ids], self._noise, self._vocabulary, random)
        nothing = torch.empty((len(ids_BS), 0), dtype=torch.long)
        return Batch(
            source_ids=torch.from_numpy(read),
            source_mask=torch.from_numpy(real_BS),
            target_in=nothing,
            target_out=torch.from_numpy(wanted),
            indices=batch.indices,
            segments=batch.segments,
        )


class _Damaged:
    """An `Epoch` whose batches pass through a function."""

    def __init__(self, whole: Epoch, damage: Callable[[Batch], Batch]) -> None:
        self._whole, self._damage = whole, damage

    def __len__(self) -> int:
        return len(self._whole)

    def batch(self, index: int, part: int = 0, parts: int = 1) -> Batch:
        return self._damage(self._whole.batch(index, part, parts))


class GapPreparation(TextPreparation):
    """`Preparation` of documents cut into pieces of at most `max_length` tokens, each damaged by itself."""

    guesses_all = False

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        super().__init__(tokenizers, config)
        self._noise = config.noise
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
            batch = collate_pairs(damaged, np.arange(len(indices)))
            return Batch(batch.source_ids, batch.source_mask, batch.target_in, batch.target_out, torch.tensor(indices.tolist()))

        return BucketedEpoch(rows, batch_tokens, seed, epoch, collate=collate)

    def damaged(self, ids: Ids, random: Random) -> tuple[list[int], list[int]]:
        """What is read and what is to be written."""
        raise NotImplementedError


class SpanPreparation(GapPreparation):
    """Of span corruption: sentinels are read, and written with what they stand for."""

    def damaged(self, ids: Ids, random: Random) -> tuple[list[int], list[int]]:
        source, target = span_corrupted(ids, self._noise, self._vocabulary, random)
        return source.tolist(), target.tolist()


class DenoisingPreparation(GapPreparation):
    """Of a denoising autoencoder: the whole text is written."""

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        super().__init__(tokenizers, config)
        self._ends_sentence = np.array([piece.endswith(_SENTENCE_ENDS) for piece in self._tokenizer.vocabulary])

    def damaged(self, ids: Ids, random: Random) -> tuple[list[int], list[int]]:
        ends = (np.flatnonzero(self._ends_sentence[ids]) + 1).tolist()
        return denoised(ids, ends, self._noise, self._vocabulary, random).tolist(), ids.tolist()


def word_beginnings(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Which pieces begin a word, for every number of the vocabulary: those with a blank, and all but WordPiece's ``##``."""
    pieces = tokenizer.vocabulary
    if any(piece.startswith("##") for piece in pieces):
        return np.array([not piece.startswith("##") for piece in pieces])
    return np.array([piece[:1] in ("▁", "Ġ", "Ċ") or piece.isspace() or number <= BOS_ID for number, piece in enumerate(pieces)])
