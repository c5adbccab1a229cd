"""Learning from text without labels. In: a batch of documents. Out: the loss of what the text itself answers."""

from __future__ import annotations

from typing import Any

from headway.config import Config
from headway.data.batches import Batch
from headway.tasks.sequence import loss_of_targets
from headway.training.losses import TokenLoss


def next_token_loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """Cross-entropy of each token given those before it in its document (Radford et al. 2018, equation 1)."""

    def states(target_in: Any, segments: Any) -> Any:
        return model.decode(target_in, None, None, segments_BT=segments)

    return loss_of_targets(model, states, (batch.target_in, batch.segments), batch.target_out, config.training)


def masked_token_loss(model: Any, batch: Batch, config: Config) -> TokenLoss:
    """Cross-entropy of the tokens that were hidden, given all others of their document (Devlin et al. 2019, section 3.1)."""
    inputs = (batch.source_ids, batch.source_mask)
    return loss_of_targets(model, model.encode, inputs, batch.target_out, config.training)
