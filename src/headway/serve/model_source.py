"""Where a model is, and how it is to compute."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelSource:
    """What a worker loads, and how it computes."""

    path: Path
    engine: str | None = None
    overrides: tuple[str, ...] = ()  # such as decoding.beam_size=1
    threads: int = 1
