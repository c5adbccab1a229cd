"""Answers that are labels: one of several, several at once, or a number for a whole text; a tag for each word."""

from __future__ import annotations

from typing import Any

from headway.config import Config
from headway.data.batches import IGNORED, Batch
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
    consistency = training.r_drop if model.training else 0.0
    passes = 2 if consistency else 1
    found = logits(model, batch.source_ids.repeat(passes, 1), batch.source_mask.repeat(passes, 1))
    targets = batch.target_out.repeat(passes, 1)
    total = label_loss(found, targets, config.data.labels, smoothing=smoothing, consistency=consistency)
    return TokenLoss(total.loss / passes, total.negative_log_likelihood / passes, total.tokens // passes)


def tag_logits(model: Any, source_ids: Any, source_mask: Any) -> Any:
    """What the head makes of each position, [B, S, L] float32."""
    return model.head(model.encode(source_ids, source_mask)).float()


def tag_loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """Cross-entropy of the tag at the first subword of each word; R-Drop as above."""
    training = config.training
    smoothing = training.label_smoothing if model.training else 0.0
    consistency = training.r_drop if model.training else 0.0
    passes = 2 if consistency else 1
    found = tag_logits(model, batch.source_ids.repeat(passes, 1), batch.source_mask.repeat(passes, 1))
    targets = batch.target_out.repeat(passes, 1)
    tagged = targets != IGNORED
    total = label_loss(found[tagged], targets[tagged][:, None], "one", smoothing=smoothing, consistency=consistency)
    return TokenLoss(total.loss / passes, total.negative_log_likelihood / passes, total.tokens // passes)
