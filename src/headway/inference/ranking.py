"""What is best among many logits, cheaply and with a promise about ties.

B sentences   K queries of one   V vocabulary   C candidates   X blocks of W columns   R rows
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 128  # columns of one block; the kernel's maximum over fewer is several times slower


def log_normaliser(logits: Tensor) -> Tensor:
    """log Σ exp over the last dimension. One pass of the softmax kernel is twice as fast as logsumexp on a CPU."""
    return logits.amax(-1) - logits.softmax(-1).amax(-1).log()


def best_tokens(logits_RV: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest logits of each row (float32) and their ids, best first; among equals the lower id comes first."""
    return best_continuations(logits_RV[:, None], logits_RV.new_zeros(len(logits_RV), 1), count)


def best_continuations(logits_BKV: Tensor, offsets_BK: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest logits + offsets of each row of queries, best first, and their places k · V + v; ties: the lower place.

    The `count` blocks with the highest maxima hold them all, so only these are searched.
    """
    B, K, V = logits_BKV.shape
    blocks, count = V // BLOCK, min(count, K * V)
    if blocks < 2 * count:
        return _top((logits_BKV + offsets_BK[:, :, None]).flatten(1), count)
    whole_BKXW = logits_BKV[:, :, : blocks * BLOCK].unflatten(2, (blocks, BLOCK))
    maxima_BX = (whole_BKXW.amax(3) + offsets_BK[:, :, None]).flatten(1)
    chosen_BC = _top(maxima_BX, count)[1].sort(1).values
    query_BC, block_BC = chosen_BC // blocks, chosen_BC % blocks
    row_B1 = torch.arange(B, device=chosen_BC.device)[:, None]
    found_BCW = whole_BKXW[row_B1, query_BC, block_BC] + offsets_BK.gather(1, query_BC)[:, :, None]
    first_BC = query_BC * V + block_BC * BLOCK
    places_BCW = first_BC[:, :, None] + torch.arange(BLOCK, device=chosen_BC.device)
    if blocks * BLOCK < V:
        return _with_rest(logits_BKV, offsets_BK, blocks * BLOCK, found_BCW.flatten(1), places_BCW.flatten(1), count)
    values_BC, at_BC = _top(found_BCW.flatten(1), count)
    return values_BC, places_BCW.flatten(1).gather(1, at_BC)


def _with_rest(
    logits_BKV: Tensor, offsets_BK: Tensor, start: int, found_BN: Tensor, places_BN: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """The same where a last, narrower block is searched as well."""
    B, K, V = logits_BKV.shape
    rest_BM = (logits_BKV[:, :, start:] + offsets_BK[:, :, None]).flatten(1)
    query_K1 = torch.arange(K, device=places_BN.device)[:, None] * V
    rest_places_M = (query_K1 + torch.arange(start, V, device=places_BN.device)).flatten()
    places_BN, order_BN = torch.cat((places_BN, rest_places_M.expand(B, -1)), 1).sort(1)
    values_BC, at_BC = _top(torch.cat((found_BN, rest_BM), 1).gather(1, order_BN), count)
    return values_BC, places_BN.gather(1, at_BC)


def _top(values_RN: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """torch.topk with a promise about ties: the lower place first. Keys hold the value's ordered bits, then the place."""
    bits = (values_RN + 0.0).view(torch.int32)  # + 0.0: -0.0 and 0.0 are equals
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    places_N = torch.arange(values_RN.shape[1], device=values_RN.device)
    keys_RC = ((ordered.long() << 32) - places_N).topk(count, dim=1).values
    places_RC = -keys_RC & 0xFFFFFFFF
    return values_RN.gather(1, places_RC), places_RC
