"""Answers that are vectors: texts that belong together are near each other, all others far."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from headway.config import Config
from headway.data.batches import Batch
from headway.data.tokenizer import PAD_ID
from headway.training.losses import TokenLoss, contrastive_loss


def vectors(model: Any, ids: Any, mask: Any) -> Any:
    """One vector of unit length for each text, [B, D] float32; ids and mask are [B, S]."""
    return read_out(model, model.encode(ids, mask), mask)


def read_out(model: Any, memory_BSD: Any, mask: Any) -> Any:
    """The vector of the states of each text, [B, D] float32."""
    return F.normalize(model.pool(memory_BSD.float(), mask), dim=1)


def loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """The contrastive loss of sources and targets, both read by the one encoder, each with dropout of its own."""
    sources_BD = vectors(model, batch.source_ids, batch.source_mask)
    targets_BD = vectors(model, batch.target_in, batch.target_in != PAD_ID)
    return contrastive_loss(sources_BD, targets_BD, batch.target_out, temperature=config.training.contrastive_temperature)
