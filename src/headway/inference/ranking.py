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


def best_tokens(logits_RV: Tensor, count: int) -> Tensor:
    """Ids [R, C] of the `count` highest logits (float32) of each row, best first; among equals the lower id comes first."""
    return best_continuations(logits_RV[:, None], logits_RV.new_zeros(len(logits_RV), 1), count)


def best_continuations(logits_BKV: Tensor, offsets_BK: Tensor, count: int) -> Tensor:
    """Places k · V + v [B, C] of the `count` highest logits + offsets of each row of queries, best first; ties: the lower place.

    The `count` blocks with the highest maxima hold them all, so only these are searched.
    """
    B, K, V = logits_BKV.shape
    blocks, count, device = V // BLOCK, min(count, K * V), logits_BKV.device
    if blocks < 2 * count:
        return _best_places((logits_BKV + offsets_BK[:, :, None]).flatten(1), torch.arange(K * V, device=device), count)
    whole_BKXW = logits_BKV[:, :, : blocks * BLOCK].unflatten(2, (blocks, BLOCK))
    maxima_BX = (whole_BKXW.amax(3) + offsets_BK[:, :, None]).flatten(1)
    chosen_BC = _best_places(maxima_BX, torch.arange(K * blocks, device=device), count)
    query_BC, block_BC = chosen_BC // blocks, chosen_BC % blocks
    row_B1 = torch.arange(B, device=device)[:, None]
    found_BN = (whole_BKXW[row_B1, query_BC, block_BC] + offsets_BK.gather(1, query_BC)[:, :, None]).flatten(1)
    first_BC = query_BC * V + block_BC * BLOCK
    places_BN = (first_BC[:, :, None] + torch.arange(BLOCK, device=device)).flatten(1)
    if blocks * BLOCK < V:  # what is left over after the last whole block
        rest_BM = (logits_BKV[:, :, blocks * BLOCK :] + offsets_BK[:, :, None]).flatten(1)
        query_K1 = torch.arange(K, device=device)[:, None]
        rest_places_M = (query_K1 * V + torch.arange(blocks * BLOCK, V, device=device)).flatten()
        found_BN, places_BN = torch.cat((found_BN, rest_BM), 1), torch.cat((places_BN, rest_places_M.expand(B, -1)), 1)
    return _best_places(found_BN, places_BN, count)


def _best_places(values_RN: Tensor, places_RN: Tensor, count: int) -> Tensor:
    """The places of the highest values, among equals the lower first: a key holds the ordered bits of a value, then its place."""
    bits = (values_RN + 0.0).view(torch.int32)  # + 0.0: -0.0 and 0.0 are equals
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return -((ordered.long() << 32) - places_RN).topk(count, dim=1).values & 0xFFFFFFFF
