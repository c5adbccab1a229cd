"""A model made ready to answer: its weights converted and laid out for the machine's kernels once, not at every step.

    fp32  float32 weights            bf16  bfloat16 weights and activations
    int8  8-bit weights (a scale per output) and 8-bit inputs (a scale per row), summed exactly in 32-bit integers

The embeddings, their positions and the sums of the residual stream stay float32 in fp32 and int8. What a row gives never
depends on the other rows: oneDNN's kernels and integer sums keep that, MKL's float32 products do not for under four rows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headway.config import ModelConfig
from headway.model.layers import Linear
from headway.model.transformer import Transformer


class PackedLinear(nn.Module):
    """x Wᵀ + b with the weight in oneDNN's own layout."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().to(dtype), 64)
        self.bias = bias.detach().to(dtype) if bias is not None else None

    def forward(self, x: Tensor) -> Tensor:
        y = torch.ops.mkldnn._linear_pointwise(x.to(self.dtype), self.weight, self.bias, "none", [], "")
        return y.to(x.dtype)


class Int8Linear(nn.Module):
    """x Wᵀ + b with x and W rounded to 8 bits (Jacob et al. 2018, symmetric), as CTranslate2 does."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.scale = weight.detach().abs().amax(1).clamp(min=1e-30) / 127
        self.weight = (weight.detach() / self.scale[:, None]).round().to(torch.int8).t().contiguous()
        self.bias = bias.detach().clone() if bias is not None else None

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, -2)
        scale = rows.abs().amax(1, keepdim=True).clamp_(min=1e-30).div_(127)
        y = torch._int_mm((rows / scale).round_().to(torch.int8), self.weight) * self.scale
        y = y.mul_(scale) if self.bias is None else torch.addcmul(self.bias, y, scale)
        return y.view(*x.shape[:-1], -1)


def prepare(model: Transformer, precision: str) -> Transformer:
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, Linear):
                setattr(module, name, packed(child.weight, child.bias, precision))
    model.output = packed(model.output_weight, None, precision)
    return model


def packed(weight: Tensor, bias: Tensor | None, precision: str) -> nn.Module:
    if precision == "int8":
        return Int8Linear(weight, bias)
    return PackedLinear(weight, bias, torch.bfloat16 if precision.startswith("bf16") else torch.float32)
