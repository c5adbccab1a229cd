"""Answers that are spans of a passage: where they begin and where they end."""

from __future__ import annotations

from typing import Any

import torch

from headway.config import Config
from headway.data.batches import Batch
from headway.data.tokenizer import EOS_ID
from headway.training.losses import TokenLoss, label_loss, regularised

NEVER = -1e9


def span_logits(model: Any, source_ids: Any, source_mask: Any) -> Any:
    """For each position how well it begins and how well it ends the answer, [B, S, 2] float32."""
    return read_out(model, model.encode(source_ids, source_mask), source_ids, source_mask)


def read_out(model: Any, memory_BSD: Any, source_ids: Any, source_mask: Any) -> Any:
    """The same of the states of each position.

    Only the passage can answer, and the place between question and passage, which stands for no answer.
    """
    logits_BS2 = model.head(memory_BSD).float()
    places_S = torch.arange(source_ids.shape[1], device=source_ids.device)
    passage_ends_B = source_mask.sum(1) - 1
    ends_BS = (source_ids == EOS_ID) & (places_S < passage_ends_B[:, None])
    question_ends_B = (ends_BS * places_S).amax(1)  # of two ends between them the last
    open_BS = (places_S >= question_ends_B[:, None]) & (places_S < passage_ends_B[:, None])
    return logits_BS2.masked_fill(~open_BS[:, :, None], NEVER)


def loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """Cross-entropy of the first and of the last token (Devlin et al. 2019, section 4.2), without label smoothing."""

    def of(source_ids: Any, source_mask: Any, targets_B2: Any, *, smoothing: float, consistency: float) -> TokenLoss:
        logits_BS2 = span_logits(model, source_ids, source_mask)
        first, last = (
            label_loss(logits_BS2[:, :, end], targets_B2[:, end : end + 1], "one", consistency=consistency) for end in (0, 1)
        )
        nll = first.negative_log_likelihood + last.negative_log_likelihood
        return TokenLoss(first.loss + last.loss, nll, first.tokens + last.tokens)

    return regularised(model, config.training, of, batch.source_ids, batch.source_mask, batch.target_out)
