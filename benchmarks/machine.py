"""What the machine can do: `python benchmarks/machine.py` prints its processor and its matrix-multiply rates as JSON.

Rates are GFLOP/s (2·m·n·k per product) into a reused buffer, the best of many repetitions in a fraction of a second.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path

import torch

SECONDS_PER_SHAPE = 1.0
# rows × inner × columns. The large squares give the peak; the others are what `base` (512/2048) spends its time in.
SHAPES = {
    "square 4096": (4096, 4096, 4096),
    "square 2048": (2048, 2048, 2048),
    "attention projection": (4096, 512, 512),
    "feed-forward in": (4096, 512, 2048),
    "feed-forward out": (4096, 2048, 512),
    "weight gradient": (512, 4096, 2048),
    "vocabulary, a chunk": (1024, 512, 10_000),
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def rate(shape: tuple[int, int, int], dtype: torch.dtype) -> float:
    rows, inner, columns = shape
    left, right = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
    out = torch.empty(rows, columns, dtype=dtype)
    torch.mm(left, right, out=out)
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < SECONDS_PER_SHAPE:
        before = time.perf_counter()
        torch.mm(left, right, out=out)
        best = min(best, time.perf_counter() - before)
    return 2 * rows * inner * columns / best / 1e9


def matmul_rates() -> dict[str, dict[str, float]]:
    return {kind: {name: rate(shape, dtype) for name, shape in SHAPES.items()} for kind, dtype in DTYPES.items()}


def describe() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")
    flags = set(facts.get("flags", "").split())
    return {
        "processor": facts.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "instructions": [flag for flag in wanted if flag in flags],
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
    }


if __name__ == "__main__":
    json.dump({"machine": describe(), "gflops": matmul_rates()}, sys.stdout)
