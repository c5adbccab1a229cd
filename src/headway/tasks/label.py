"""Answers that are labels: one of several, several at once, or a number for a whole text; a tag for each word."""

from __future__ import annotations

from typing import Any

from headway.config import Config
from headway.data.batches import IGNORED, Batch
from headway.training.losses import TokenLoss, label_loss, regularised


def logits(model: Any, source_ids: Any, source_mask: Any) -> Any:
    """What the head makes of each text, [B, L] float32: L labels, or 1 for a number."""
    return read_out(model, model.encode(source_ids, source_mask), source_mask)


def read_out(model: Any, memory_BSD: Any, source_mask: Any) -> Any:
    """What the head makes of the states of each text, [B, L] float32."""
    return model.head(model.pool(memory_BSD, source_mask)).float()


def loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """Cross-entropy of the label; of each label where there may be several; half the squared error of a number."""

    def of(source_ids: Any, source_mask: Any, targets: Any, *, smoothing: float, consistency: float) -> TokenLoss:
        found = logits(model, source_ids, source_mask)
        return label_loss(found, targets, config.data.labels, smoothing=smoothing, consistency=consistency)

    return regularised(model, config.training, of, batch.source_ids, batch.source_mask, batch.target_out)


def tag_logits(model: Any, source_ids: Any, source_mask: Any) -> Any:
    """What the head makes of each position, [B, S, L] float32."""
    return model.head(model.encode(source_ids, source_mask)).float()


def tag_loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """Cross-entropy of the tag at the first subword of each word."""

    def of(source_ids: Any, source_mask: Any, targets: Any, *, smoothing: float, consistency: float) -> TokenLoss:
        tagged = targets != IGNORED
        found, wanted = tag_logits(model, source_ids, source_mask)[tagged], targets[tagged][:, None]
        return label_loss(found, wanted, "one", smoothing=smoothing, consistency=consistency)

    return regularised(model, config.training, of, batch.source_ids, batch.source_mask, batch.target_out)
