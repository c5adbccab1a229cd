"""Answers that are sequences: translation. In: a batch of pairs. Out: the loss of each next target token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headway.config import Config, TrainingConfig
from headway.data.batches import Batch
from headway.training.losses import TokenLoss, cross_entropy, regularised


def loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """Cross-entropy of the target given the source and the target before (section 5.4)."""
    inputs = (batch.source_ids, batch.source_mask, batch.target_in)
    return loss_of_targets(model, model, inputs, batch.target_out, config.training)


def loss_of_targets(
    model: Any, hidden: Callable[..., Any], inputs: tuple[Any, ...], target_out: Any, training: TrainingConfig
) -> TokenLoss:
    """Cross-entropy of `target_out` [B, T] under the states [B, T, D] that `hidden` gives for the inputs, each [B, …] or None."""

    def of(targets: Any, *given: Any, smoothing: float, consistency: float) -> TokenLoss:
        weight = model.output_weight
        return cross_entropy(hidden(*given), weight, targets, smoothing=smoothing, consistency=consistency)

    return regularised(model, training, of, target_out, *inputs)
