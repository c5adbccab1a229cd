"""The door of the model for text: ids in, vectors with positions out; B, S, T, D as in `layers.py`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headway.config import ModelConfig
from headway.model.dropout import Dropout, RandomMasks
from headway.model.layers import build_norm, sinusoidal_positions
from headway.special_ids import EOS_ID


class SinusoidTable:
    """`sinusoidal_positions` by looking up; no buffer: each rank's grows with its own longest row."""

    def __init__(self) -> None:
        self._tables: dict[int, Tensor] = {}  # by their width

    def __call__(self, positions: Tensor, width: int) -> Tensor:
        """Those of integers of any shape [...], as float32 [..., width]."""
        needed, table_TD = int(positions.max()) + 1, self._tables.get(width)
        if table_TD is None or needed > len(table_TD) or table_TD.device != positions.device:
            longest = torch.arange(max(256, 2 * needed), device=positions.device)
            self._tables[width] = table_TD = sinusoidal_positions(longest, width)
        return table_TD[positions]


class TextEmbedding(nn.Module):
    """E[id] · √D + position (section 3.4). The table is looked up in float32, so its gradient is summed in float32."""

    def __init__(self, config: ModelConfig, vocabulary_size: int, masks: RandomMasks) -> None:
        super().__init__()
        self.width = config.width
        self.tokens = nn.Embedding(vocabulary_size, config.width)
        self.kind, self.offset = config.positions, config.position_offset
        self.scale = config.width**0.5 if config.embedding_scale else 1.0
        rows = config.max_positions + config.position_offset
        self.learned = nn.Embedding(rows, config.width) if config.positions == "learned" else None
        self.types = nn.Embedding(config.token_types, config.width) if config.token_types else None
        self.norm = build_norm(config, config.width) if config.embedding_norm else nn.Identity()
        table = sinusoidal_positions(torch.arange(rows), config.width) if config.positions == "fixed" else None
        self.fixed: Tensor | None
        self.register_buffer("fixed", table)
        self.dropout = Dropout(config.dropout, masks)
        self.word_dropout = Dropout(config.word_dropout, masks)
        self.sinusoids = SinusoidTable()

    def forward(self, ids_BT: Tensor, positions: Tensor, dtype: torch.dtype, types_BT: Tensor | None = None) -> Tensor:
        """Returns [B, T, D] in `dtype`; positions are [T], or [B, T] where rows differ. Raises IndexError beyond learned ones.

        In place of ids their vectors [B, T, D] may be given, which explanations take away bit by bit; with them what
        `types_of` says of the ids, or nothing where all are of one text.
        """
        vectors_BTD = ids_BT if ids_BT.is_floating_point() else self.tokens(ids_BT)
        x_BTD = vectors_BTD * self.scale
        if self.word_dropout.active:
            x_BTD = x_BTD * self.word_dropout(x_BTD.new_ones(*ids_BT.shape[:2], 1))
        if self.kind == "sinusoidal":
            x_BTD = x_BTD + self.sinusoids(positions, self.width)
        elif self.learned is not None:
            x_BTD = x_BTD + self.learned(positions + self.offset)
        elif self.fixed is not None:
            x_BTD = x_BTD + self.fixed[positions + self.offset]
        if self.types is not None:
            x_BTD = x_BTD + self.types(self.types_of(ids_BT) if types_BT is None else types_BT)
        return self.dropout(self.norm(x_BTD).to(dtype))

    def types_of(self, ids_BT: Tensor) -> Tensor:
        """The number of its text for each token: an end of sentence parts texts, and belongs to the one before it, [B, T]."""
        if self.types is None or ids_BT.is_floating_point():
            return torch.zeros(ids_BT.shape[:2], dtype=torch.long, device=ids_BT.device)
        ends_BT = (ids_BT == EOS_ID).long()
        return (ends_BT.cumsum(1) - ends_BT).clamp(max=self.types.num_embeddings - 1)
