"""Answers that are labels: one of several, several at once, or a number for a whole text."""

from __future__ import annotations

from typing import Any

from headway.config import Config
from headway.data.batches import Batch
from headway.training.losses import TokenLoss, label_loss


def logits(model: Any, source_ids: Any, source_mask: Any) -> Any:
    """What the head makes of each text, [B, L] float32: L labels, or 1 for a number."""
    memory_BSD = model.encode(source_ids, source_mask)
    return model.head(model.pool(memory_BSD, source_mask)).float()


def loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """Cross-entropy of the label; of each label where there may be several; half the squared error of a number.

    R-Drop (Wu et al. 2021) as for sequences: every text goes through the model twice and both must agree.
    """
    training = config.training
    smoothing = training.label_smoothing if model.training else 0.0
    if not (training.r_drop and model.training):
        found = logits(model, batch.source_ids, batch.source_mask)
        return label_loss(found, batch.target_out, config.data.labels, smoothing=smoothing)
    twice = logits(model, batch.source_ids.repeat(2, 1), batch.source_mask.repeat(2, 1))
    targets = batch.target_out.repeat(2, 1)
    both = label_loss(twice, targets, config.data.labels, smoothing=smoothing, consistency=training.r_drop)
    return TokenLoss(both.loss / 2, both.negative_log_likelihood / 2, both.tokens // 2)
