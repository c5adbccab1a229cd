"""Low-rank adapters (LoRA, Hu et al. 2022, section 4.1): y = x Wᵀ + b + α / R · (x Aᵀ) Bᵀ, with W and b fixed.

B begins at zero, so an adapted model computes what its base does; W + α / R · B A is a plain matrix again.
Dimension letters beside those of `layers.py`: R rank, N outputs and I inputs of a product.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headway.config import LoraConfig
from headway.model.dropout import Dropout, RandomMasks
from headway.model.layers import Attention, FeedForward, Linear
from headway.model.transformer import Transformer

ADAPTED: dict[str, type[nn.Module]] = {"attention": Attention, "feed_forward": FeedForward}
A, B = "lora_a", "lora_b"


class AdaptedLinear(Linear):
    """A `Linear` whose weights stay and whose adapter learns; the names of the weights stay as well."""

    def __init__(self, base: nn.Linear, lora: LoraConfig, masks: RandomMasks, generator: torch.Generator) -> None:
        super().__init__(base.in_features, base.out_features, bias=False, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.scale = lora.alpha / lora.rank
        start_RI = torch.randn(lora.rank, base.in_features, generator=generator) * base.in_features**-0.5
        self.lora_a = nn.Parameter(start_RI)
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, lora.rank))
        self.dropout = Dropout(lora.dropout, masks)

    def forward(self, x: Tensor) -> Tensor:
        reduced = F.linear(self.dropout(x), self.lora_a.to(x.dtype))
        return super().forward(x) + F.linear(reduced, self.lora_b.to(x.dtype)) * self.scale


def update_of(a_RI: Tensor, b_NR: Tensor, scale: float) -> Tensor:
    """What an adapter adds to the matrix that it adapts, [N, I]."""
    return b_NR @ a_RI * scale


def adapt(model: Transformer, lora: LoraConfig, new: Collection[str], seed: int) -> None:
    """Puts adapters on the matrices that `lora` names, and freezes all parameters of the base.

    Args:
        new: names of the parameters that the base has not; they learn as a whole.
        seed: of A.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in new)
    kinds = tuple(ADAPTED[kind] for kind in lora.on)
    for name, module in [(name, module) for name, module in model.named_modules() if isinstance(module, kinds)]:
        for child, linear in list(module.named_children()):
            if isinstance(linear, Linear) and f"{name}.{child}.weight" not in new:
                setattr(module, child, AdaptedLinear(linear, lora, model.masks, generator))


@torch.no_grad()
def merged_weights(model: Transformer) -> dict[str, Tensor]:
    """The `state_dict` of the same model without adapters: what they add is added to the matrices."""
    tensors = dict(model.state_dict())
    for name, module in model.named_modules():
        if isinstance(module, AdaptedLinear):
            update_NI = update_of(tensors.pop(f"{name}.{A}"), tensors.pop(f"{name}.{B}"), module.scale)
            tensors[f"{name}.weight"] = module.weight + update_NI
    return tensors
