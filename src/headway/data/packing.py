"""Documents packed into full rows: the targets of all rows are one stream, cut into rows of `length` tokens, none of it padding.

Every document ends with EOS. What a position reads is the token before it, and BOS where a document begins, so the document
of a position can be told from its row alone. Each epoch cuts at another offset and takes the rows in another order, both pure
functions of (seed, epoch).

Letters: B rows of a batch, T tokens of a row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headway.data.batches import IGNORED, Batch, Rows, drawn_for, split_rows
from headway.data.tokenizer import BOS_ID, EOS_ID, PAD_ID


class PackedEpoch:
    """An `Epoch` of the documents that the targets of `rows` are.

    Args:
        length: T, tokens of a row; the first and the last row of an epoch may be shorter and are then padded.
        batch_tokens: of one update, at least one row.
        seed, epoch: the only sources of chance. None for the epoch: in order and cut at the beginning, as for validation.
    """

    def __init__(self, rows: Rows, length: int, batch_tokens: int, seed: int, epoch: int | None) -> None:
        self._rows, self._length = rows, length
        offset, chance = 0, None
        if epoch is not None:
            chance = np.random.PCG64(np.random.SeedSequence((seed, epoch)))
            offset = int(chance.random_raw() % length)
        starts = np.arange(offset - length if offset else 0, rows.stream_length, length, dtype=np.int64)
        if epoch is not None and rows.shares is not None:
            starts = starts[drawn_for(seed, epoch, rows.shares[rows.rows_at(starts.clip(0))])]
        # Only raw bits are drawn: numpy promises those for ever.
        self._starts = starts if chance is None else starts[np.argsort(chance.random_raw(len(starts)), kind="stable")]
        self._rows_of_update = max(1, batch_tokens // length)

    def __len__(self) -> int:
        return -(-len(self._starts) // self._rows_of_update)

    def batch(self, index: int, part: int = 0, parts: int = 1) -> Batch:
        """`indices` are the documents in which the rows begin."""
        if not 0 <= index < len(self):
            raise IndexError(f"update {index} of an epoch of {len(self)}")
        first = index * self._rows_of_update
        starts = split_rows(self._starts[first : first + self._rows_of_update], part, parts)
        return packed_rows(self._rows, starts, self._length)


def packed_rows(rows: Rows, starts: NDArray[np.integer], length: int) -> Batch:
    """The rows of the stream that begin at `starts`; what lies before its beginning or behind its end is padding."""
    import torch

    total = rows.stream_length
    places_BT = np.asarray(starts, dtype=np.int64)[:, None] + np.arange(-1, length)
    inside = (places_BT >= 0) & (places_BT < total)
    tokens = np.where(inside, rows.stream_at(places_BT.clip(0, total - 1)), EOS_ID).astype(np.int64)
    target_out = np.where(inside[:, 1:], tokens[:, 1:], IGNORED)
    target_in = np.where(tokens[:, :-1] == EOS_ID, BOS_ID, tokens[:, :-1])
    target_in[target_out == IGNORED] = PAD_ID
    segments = np.cumsum(target_in == BOS_ID, axis=1)
    alone = bool((segments == segments[:, :1]).all())
    nothing = torch.empty((len(starts), 0), dtype=torch.long)
    return Batch(
        source_ids=nothing,
        source_mask=nothing.bool(),
        target_in=torch.from_numpy(target_in),
        target_out=torch.from_numpy(target_out),
        indices=torch.from_numpy(rows.rows_at(places_BT[:, 1].clip(0))),
        segments=None if alone else torch.from_numpy(segments),
    )
