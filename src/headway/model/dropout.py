"""Dropout from a cheap, seeded generator.

PyTorch's CPU dropout draws one Mersenne-Twister number per element on one thread and takes longer than the
products around it. Here masks come from raw 64-bit words of PCG64, eight elements a word. `RandomMasks.seed`
is called once per micro-batch with (seed, update, piece), so a resumed run draws the same masks and no
generator state needs saving.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RandomMasks:
    """The one source of randomness inside a model."""

    def __init__(self) -> None:
        self.seed(0)

    def seed(self, *key: int) -> None:
        self._bits = np.random.PCG64DXSM(np.random.SeedSequence(key))

    def uniform(self) -> float:
        return float(self._bits.random_raw() >> 11) * 2.0**-53

    def scaled_mask(self, shape: torch.Size, rate: float, dtype: torch.dtype) -> Tensor:
        """0 with probability `rate`, else 1 / (1 − rate); `rate` is rounded to a multiple of 1/256.

        NumPy compares and widens bytes many times faster than torch, which has no bf16 in NumPy's terms: there the mask is
        made of the bit pattern of the scale.
        """
        count = shape.numel()
        dropped = min(255, max(1, round(rate * 256)))
        keep = self._bits.random_raw((count + 7) // 8).view(np.uint8)[:count] >= dropped
        scale = torch.tensor(256 / (256 - dropped), dtype=dtype)
        if dtype == torch.bfloat16:
            pattern = np.multiply(keep, scale.view(torch.uint16).item(), dtype=np.uint16)
            return torch.from_numpy(pattern).view(dtype).view(shape)
        return torch.from_numpy(np.multiply(keep, scale.item(), dtype=np.float64 if dtype == torch.float64 else np.float32)).view(
            shape
        )


class Dropout(nn.Module):
    """x · mask / (1 − rate) in training, x otherwise (Srivastava et al. 2014)."""

    def __init__(self, rate: float, masks: RandomMasks) -> None:
        super().__init__()
        self.rate, self.masks = rate, masks

    @property
    def active(self) -> bool:
        return self.training and self.rate > 0

    def forward(self, x: Tensor) -> Tensor:
        if not self.active:
            return x
        if x.is_cuda or torch.compiler.is_compiling():
            return F.dropout(x, self.rate)
        return x * self.masks.scaled_mask(x.shape, self.rate, x.dtype)
