"""Vectors out of the model: rows in, a vector of unit length for each out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from headway.data.batches import BucketedEpoch
from headway.data.preparation import MemoryRows, Tokens
from headway.inference.labelling import BATCH_TOKENS
from headway.model.transformer import Transformer
from headway.tasks import embedding


@torch.inference_mode()
def row_vectors(model: Transformer, rows: Sequence[Tokens]) -> NDArray[np.float32]:
    """The vector of each row, float32 [N, D]; zero for an empty one, which is like nothing."""
    device = next(model.parameters()).device
    updates = BucketedEpoch(MemoryRows(rows, [[]] * len(rows)), BATCH_TOKENS, 0, None)
    found = np.zeros((len(rows), model.config.width), dtype=np.float32)
    for index in range(len(updates)):
        batch = updates.batch(index)
        vectors_BD = embedding.vectors(model, batch.source_ids.to(device), batch.source_mask.to(device))
        found[batch.indices.numpy()] = vectors_BD.cpu().numpy()
    found[[row for row, tokens in enumerate(rows) if not len(tokens)]] = 0
    return found
