"""Answers that are sequences: translation. In: a batch of pairs. Out: the loss of each next target token."""

from __future__ import annotations

from typing import Any

from headway.config import TrainingConfig
from headway.data.batches import Batch
from headway.training.losses import TokenLoss, cross_entropy


def loss(model: Any, batch: Batch, training: TrainingConfig) -> TokenLoss:
    """Cross-entropy of the target given the source and the target before (section 5.4).

    While the model is in training mode it is smoothed, and under R-Drop (Wu et al. 2021, section 3) every row goes
    through the model twice with different dropout; the sum is then halved, so a token still counts once.
    """
    tensors = batch.source_ids, batch.source_mask, batch.target_in, batch.target_out
    smoothing = training.label_smoothing if model.training else 0.0
    if training.r_drop and model.training:
        source_ids, source_mask, target_in, target_out = (tensor.repeat(2, 1) for tensor in tensors)
        hidden_BTD = model(source_ids, source_mask, target_in)
        both = cross_entropy(hidden_BTD, model.output_weight, target_out, smoothing=smoothing, consistency=training.r_drop)
        return TokenLoss(both.loss / 2, both.negative_log_likelihood / 2, both.tokens // 2)
    source_ids, source_mask, target_in, target_out = tensors
    hidden_BTD = model(source_ids, source_mask, target_in)
    return cross_entropy(hidden_BTD, model.output_weight, target_out, smoothing=smoothing)
