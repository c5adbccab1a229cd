"""Muon: momentum made orthogonal, for the matrices inside a Transformer; everything else is AdamW's.

Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon), at the step size of Liu et al. 2025 (arXiv:2502.16982),
which makes an update as large as one of AdamW, so that both work at the same learning rate.

Letters: n matrices of one shape, r rows, c columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
UPDATE_SIZE = 0.2  # root mean square of an update's elements: what AdamW's are found to have (Liu et al. 2025, section 2.2)
ITERATIONS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan et al.: steep at 0, so that few iterations do


def orthogonalise(matrices_nrc: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly: singular values come to lie within 0.7 and 1.2 (Newton–Schulz).

    Matrices of one shape go together, since a product of small ones costs less than its call.
    """
    a, b, c = QUINTIC
    tall = matrices_nrc.shape[-2] > matrices_nrc.shape[-1]
    x = matrices_nrc.mT if tall else matrices_nrc
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):  # a x + (b g + c g g) x with g = x xᵀ
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Steps `matrices` by their orthogonalised Nesterov momentum and lets `others` step the rest.

    Args:
        matrices: groups of two-dimensional parameters that are neither embeddings nor the output, each with its weight decay.
        others: the optimiser of all other parameters, if there are any; its groups and its state become part of this one's.
        dtype: of the products; bfloat16 is exact enough.
    """

    def __init__(
        self, matrices: list[dict[str, Any]], others: torch.optim.Optimizer | None, *, lr: float, dtype: torch.dtype
    ) -> None:
        super().__init__(matrices, {"lr": lr})
        self.own, self.others, self.dtype = list(self.param_groups), others, dtype
        if others is not None:
            self.param_groups.extend(others.param_groups)
            others.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.own:
            for shape in dict.fromkeys(matrix.shape for matrix in group["params"]):
                alike = [matrix for matrix in group["params"] if matrix.shape == shape]
                self._step_alike(alike, group["lr"], group["weight_decay"])
        if self.others is not None:
            self.others.step()

    def _step_alike(self, matrices: list[Tensor], rate: float, decay: float) -> None:
        """Steps matrices of one shape."""
        gradients = [matrix.grad if matrix.grad is not None else torch.zeros_like(matrix) for matrix in matrices]
        for matrix in matrices:
            if not self.state[matrix]:
                self.state[matrix]["momentum"] = torch.zeros_like(matrix)
        momenta = [self.state[matrix]["momentum"] for matrix in matrices]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        ahead_nrc = torch.stack(torch._foreach_lerp(gradients, momenta, MOMENTUM))
        updates_nrc = orthogonalise(ahead_nrc.to(self.dtype)).to(ahead_nrc.dtype)
        if decay:
            torch._foreach_mul_(matrices, 1 - rate * decay)
        size = UPDATE_SIZE * max(updates_nrc.shape[1:]) ** 0.5
        torch._foreach_add_(matrices, list(updates_nrc.unbind()), alpha=-rate * size)
