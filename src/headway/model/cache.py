"""Keys and values that incremental decoding keeps, so that each position is computed once.

A cache holds *slots*. Every call of `Transformer.decode` appends one slot per query, and each query says by a mask
which slots it may see. Beams of one source are queries beside each other in one row, and their histories are
slots of that row: when beams are re-ordered only the small mask changes and no key or value is ever copied.
Rows that come later (`join`) have slots of their own behind the others', and see none of theirs.
"""

from __future__ import annotations

import torch
from torch import Tensor


class LayerCache:
    """Keys [B, G, K, slots] and values [B, G, slots, K] of one layer's self-attention, and the memory's, computed once.

    Slots are the last dimension of the keys, so that a product with part of them needs no copy. There is room for more slots
    and, once others have joined, for more rows.
    """

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self.rows = self.length = 0
        self.memory: tuple[Tensor, Tensor] | None = None
        self._room: tuple[Tensor, Tensor] | None = None  # what `memory` is the first rows of

    def append(self, k_BGTK: Tensor, v_BGTK: Tensor) -> tuple[Tensor, Tensor]:
        """Adds T slots and returns all keys and values so far, [B, G, slots, K], as views."""
        B, start, end = len(k_BGTK), self.length, self.length + k_BGTK.shape[2]
        keys, values = self.keys, self.values
        if keys is None or values is None or end > values.shape[2]:
            keys, values = self._grown(k_BGTK, max(2 * start, start + 16 * (end - start)))
        keys[:B, ..., start:end] = k_BGTK.transpose(2, 3)
        values[:B, :, start:end] = v_BGTK
        self.keys, self.values, self.rows, self.length = keys, values, B, end
        return keys[:B, ..., :end].transpose(2, 3), values[:B, :, :end]

    def _grown(self, k_BGTK: Tensor, slots: int, rows: int = 0) -> tuple[Tensor, Tensor]:
        (B, G, _, K), length = k_BGTK.shape, self.length
        rows = max(rows, B, len(self.keys) if self.keys is not None else 0)
        keys, values = k_BGTK.new_empty(rows, G, K, slots), k_BGTK.new_empty(rows, G, slots, K)
        if self.keys is not None and self.values is not None:
            keys[: self.rows, ..., :length] = self.keys[: self.rows, ..., :length]
            values[: self.rows, :, :length] = self.values[: self.rows, :, :length]
        return keys, values

    def join(self, other: LayerCache) -> None:
        """The rows and the slots of `other` come behind these. What a row has not is zero: it is masked, but must be a number."""
        assert other.keys is not None
        assert other.values is not None
        rows, length = self.rows, self.length
        both, end = rows + other.rows, length + other.length
        if self.keys is None or self.values is None or both > len(self.keys) or end > self.values.shape[2]:
            self.keys, self.values = self._grown(other.keys.transpose(2, 3), 2 * end, 2 * both)
        self.keys[:rows, ..., length:end], self.values[:rows, :, length:end] = 0, 0
        self.keys[rows:both, ..., :length], self.values[rows:both, :, :length] = 0, 0
        self.keys[rows:both, ..., length:end] = other.keys[: other.rows, ..., : other.length]
        self.values[rows:both, :, length:end] = other.values[: other.rows, :, : other.length]
        self.rows, self.length = both, end
        if self.memory is not None and other.memory is not None:
            self._join_memory(self.memory, other.memory)

    def _join_memory(self, own: tuple[Tensor, Tensor], its: tuple[Tensor, Tensor]) -> None:
        rows, longest = len(own[0]), max(own[0].shape[2], its[0].shape[2])
        both, (_, G, S, K) = rows + len(its[0]), its[0].shape
        if self._room is None or both > len(self._room[0]) or longest > self._room[0].shape[2]:
            self._room = own[0].new_zeros(2 * both, G, longest, K), own[0].new_zeros(2 * both, G, longest, K)
            for room, one in zip(self._room, own, strict=True):
                room[:rows, :, : one.shape[2]] = one
        for room, one in zip(self._room, its, strict=True):
            room[rows:both, :, :S] = one
            room[rows:both, :, S:] = 0
        self.memory = self._room[0][:both], self._room[1][:both]

    def keep_slots(self, slots: Tensor) -> None:
        assert self.keys is not None
        assert self.values is not None
        rows, self.length = self.rows, len(slots)
        self.keys[:rows, ..., : self.length] = self.keys[:rows].index_select(3, slots)
        self.values[:rows, :, : self.length] = self.values[:rows].index_select(2, slots)

    def keep(self, rows: Tensor, into_gaps: Tensor | None) -> None:
        def kept(tensor: Tensor) -> Tensor:
            if into_gaps is None:
                return tensor[rows]
            tensor[into_gaps] = tensor[rows[into_gaps]]
            return tensor

        if self.keys is not None and self.values is not None:
            self.keys, self.values, self.rows = kept(self.keys), kept(self.values), len(rows)
        if self.memory is not None:
            self.memory = kept(self.memory[0])[: len(rows)], kept(self.memory[1])[: len(rows)]
            self._room = self._room if into_gaps is not None else None


class KVCache:
    """The caches of all decoder layers, the positions of their slots and what the next queries may see."""

    def __init__(self, layers: int) -> None:
        self.layers = [LayerCache() for _ in range(layers)]
        self.slot_positions = torch.empty(0, dtype=torch.long)
        self.query_positions = torch.empty(0, dtype=torch.long)
        self.mask: Tensor | None = None
        self.beginnings_B: Tensor | None = None  # where each row begins; None: all of them at 0

    def advance(self, query_positions_T: Tensor, visible_BTS: Tensor | None) -> None:
        """Announces the queries of the next `decode`: where they stand, and which slots (their own included) each may see.

        Args:
            query_positions_T: positions of the T new tokens, the same in every row, however late it came.
            visible_BTS: boolean over old and new slots; None lets every query see every slot.
        """
        self.query_positions = query_positions_T
        self.slot_positions = torch.cat((self.slot_positions.to(query_positions_T.device), query_positions_T))
        self.mask = None if visible_BTS is None else visible_BTS[:, None]

    def keep(self, rows: Tensor) -> None:
        """Keeps only these batch rows, in this order: finished sentences leave.

        Where last rows merely move into the gaps, only they are copied.
        """
        if self.beginnings_B is not None:
            self.beginnings_B = self.beginnings_B[rows]
        moved = (rows != torch.arange(len(rows), device=rows.device)).nonzero().squeeze(1)
        only_from_behind = bool((rows[moved] >= len(rows)).all())
        for layer in self.layers:
            layer.keep(rows, moved if only_from_behind else None)

    def own_positions(self) -> Tensor:
        """Positions of the queries within their rows, [T], or [B, T] where rows began at different times."""
        if self.beginnings_B is None:
            return self.query_positions
        return self.query_positions[None] - self.beginnings_B[:, None]

    def join(self, other: KVCache, later: int) -> None:
        """Rows of another cache come behind these; they begin `later` positions after the beginning of that cache."""
        device = self.slot_positions.device
        zeros = [torch.zeros(cache.layers[0].rows, dtype=torch.long, device=device) for cache in (self, other)]
        own = zeros[0] if self.beginnings_B is None else self.beginnings_B
        its_own = zeros[1] if other.beginnings_B is None else other.beginnings_B
        self.beginnings_B = torch.cat((own, its_own + later))
        self.slot_positions = torch.cat((self.slot_positions, other.slot_positions + later))
        for layer, its in zip(self.layers, other.layers, strict=True):
            layer.join(its)

    def keep_slots(self, slots: Tensor) -> None:
        """Keeps only these slots: the others are seen by no query any more."""
        self.slot_positions = self.slot_positions[slots]
        for layer in self.layers:
            layer.keep_slots(slots)
