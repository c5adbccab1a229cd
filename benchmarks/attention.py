"""Fused attention against plain products on short sequences: milliseconds of forward and backward on one thread.

    python benchmarks/attention.py

This is why `attention()` in src/headway/model/layers.py has two ways, and where it changes from one to the other.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import Tensor

from headway.model.layers import attention_weights

SHAPES = ((270, 4, 15, 32), (140, 4, 30, 32), (270, 8, 15, 64), (8, 8, 128, 64), (2, 8, 512, 64))  # B, H, T, K
RUNS = 15


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return attention_weights(q, k, None, None) @ v


def milliseconds(kind: str, shape: tuple[int, int, int, int], dtype: torch.dtype) -> float:
    """Median of `RUNS` runs after three warm ones."""
    B, H, T, K = shape
    q, k, v = (torch.randn(B, T, H, K).to(dtype).transpose(1, 2).requires_grad_() for _ in range(3))
    gradient = torch.randn(B, T, H, K).to(dtype).transpose(1, 2)
    function = {"fused": fused, "plain": plain}[kind]
    times = []
    for _ in range(RUNS + 3):
        start = time.perf_counter()
        torch.autograd.grad(function(q, k, v), (q, k, v), gradient)
        times.append(time.perf_counter() - start)
    return sorted(times[3:])[RUNS // 2] * 1e3


def main() -> None:
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, forward + backward, median of {RUNS} runs, ms")
    print(f"{'B, H, T, K':>20}  {'fused fp32':>10}  {'plain fp32':>10}  {'fused bf16':>10}  {'plain bf16':>10}")
    for shape in SHAPES:
        row = [milliseconds(kind, shape, dtype) for dtype in (torch.float32, torch.bfloat16) for kind in ("fused", "plain")]
        print(f"{shape!s:>20}  " + "  ".join(f"{value:10.1f}" for value in row))


if __name__ == "__main__":
    main()
