"""What is best among many logits, cheaply and with a promise about ties.

R rows   V vocabulary   C candidates   X blocks
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 128  # columns of one block; the kernel's maximum over fewer is several times slower


def log_normaliser(logits: Tensor) -> Tensor:
    """log Σ exp over the last dimension. One pass of the softmax kernel is twice as fast as logsumexp on a CPU."""
    return logits.amax(-1) - logits.softmax(-1).amax(-1).log()


def best_tokens(logits_RV: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest logits of each row (float32) and their ids, best first; among equals the lower id comes first.

    The `count` blocks with the highest maxima hold them all, so only these are searched.
    """
    R, V = logits_RV.shape
    blocks = V // BLOCK
    if blocks < 2 * count:
        return _top(logits_RV, count)
    whole_RXB = logits_RV[:, : blocks * BLOCK].unflatten(1, (blocks, BLOCK))
    chosen_RC = _top(whole_RXB.amax(2), count)[1].sort(1).values
    found = whole_RXB.gather(1, chosen_RC[:, :, None].expand(-1, -1, BLOCK)).flatten(1)
    ids = (chosen_RC[:, :, None] * BLOCK + torch.arange(BLOCK, device=found.device)).flatten(1)
    rest = torch.arange(blocks * BLOCK, V, device=found.device).expand(R, -1)
    values_RC, places_RC = _top(torch.cat((found, logits_RV[:, blocks * BLOCK :]), 1), count)
    return values_RC, torch.cat((ids, rest), 1).gather(1, places_RC)


def _top(values_RN: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """torch.topk with a promise about ties: the lower place first. Keys hold the value's ordered bits, then the place."""
    bits = values_RN.contiguous().view(torch.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    places_N = torch.arange(values_RN.shape[1], device=values_RN.device)
    keys_RC = ((ordered.long() << 32) - places_N).topk(count, dim=1).values
    places_RC = -keys_RC & 0xFFFFFFFF
    return values_RN.gather(1, places_RC), places_RC
