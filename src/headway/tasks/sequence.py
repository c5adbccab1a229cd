"""Answers that are sequences: translation. In: a batch of pairs. Out: the loss of each next target token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headway.config import Config, TrainingConfig
from headway.data.batches import Batch
from headway.training.losses import TokenLoss, cross_entropy


def loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """Cross-entropy of the target given the source and the target before (section 5.4)."""
    inputs = (batch.source_ids, batch.source_mask, batch.target_in)
    return loss_of_targets(model, model, inputs, batch.target_out, config.training)


def loss_of_targets(
    model: Any, hidden: Callable[..., Any], inputs: tuple[Any, ...], target_out: Any, training: TrainingConfig
) -> TokenLoss:
    """Cross-entropy of `target_out` [B, T] under the states [B, T, D] that `hidden` gives for the inputs, each [B, …] or None.

    While the model is in training mode it is smoothed, and under R-Drop (Wu et al. 2021, section 3) every row goes
    through the model twice with different dropout; the sum is then halved, so a token still counts once.
    """
    smoothing = training.label_smoothing if model.training else 0.0
    if not (training.r_drop and model.training):
        return cross_entropy(hidden(*inputs), model.output_weight, target_out, smoothing=smoothing)
    twice = [None if tensor is None else tensor.repeat(2, 1) for tensor in inputs]
    states = hidden(*twice)
    both = cross_entropy(states, model.output_weight, target_out.repeat(2, 1), smoothing=smoothing, consistency=training.r_drop)
    return TokenLoss(both.loss / 2, both.negative_log_likelihood / 2, both.tokens // 2)
