"""Answers that are sequences: translations, captions, transcripts. In: a batch. Out: the loss of each next target token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headway.config import Config, TrainingConfig
from headway.data.batches import Batch
from headway.training.losses import TokenLoss, cross_entropy, ctc_loss, regularised


def loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """Cross-entropy of the target given the source and the target before (section 5.4)."""
    inputs = (batch.source_ids, batch.source_mask, batch.target_in)
    return loss_of_targets(model, model, inputs, batch.target_out, config.training)


def speech_loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """(1 − λ) times the loss of the decoder and λ times CTC's on the encoder (Watanabe et al. 2017, equation 20)."""
    weight = config.training.ctc_weight
    if not weight:
        return loss(model, batch, config)

    def of(source: Any, mask: Any, target_in: Any, target_out: Any, *, smoothing: float, consistency: float) -> TokenLoss:
        memory = model.encode(source, mask)
        spelled = ctc_loss(model.ctc(memory), mask, target_out)
        found = cross_entropy(
            model.decode(target_in, memory, mask),
            model.output_weight,
            target_out,
            bias=model.output_bias,
            smoothing=smoothing,
            consistency=consistency,
        )
        return TokenLoss((1 - weight) * found.loss + weight * spelled, found.negative_log_likelihood, found.tokens)

    inputs = (batch.source_ids, batch.source_mask, batch.target_in, batch.target_out)
    return regularised(model, config.training, of, *inputs)


def loss_of_targets(
    model: Any, hidden: Callable[..., Any], inputs: tuple[Any, ...], target_out: Any, training: TrainingConfig
) -> TokenLoss:
    """Cross-entropy of `target_out` [B, T] under the states [B, T, D] that `hidden` gives for the inputs, each [B, …] or None."""

    def of(targets: Any, *given: Any, smoothing: float, consistency: float) -> TokenLoss:
        weight, bias = model.output_weight, model.output_bias
        return cross_entropy(hidden(*given), weight, targets, bias=bias, smoothing=smoothing, consistency=consistency)

    return regularised(model, training, of, target_out, *inputs)
