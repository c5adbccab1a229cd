"""One server for many proofs: two models, small bounds, a key that nobody needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Running

SETTINGS = (
    "limits.texts=8", "limits.characters=500", "limits.body_bytes=20000", "limits.read_seconds=1", "--workers", "1",
    "--threads", "1", "decoding.precision=fp32", "--log-format", "json",
)  # fmt: skip


@pytest.fixture(scope="session")
def runs(run_of: Callable[[str], Path]) -> dict[str, Path]:
    """A translator `mt` and a classifier `mood`."""
    return {"mt": run_of("translation"), "mood": run_of("classification")}


@pytest.fixture(scope="session")
def served(runs: dict[str, Path]) -> Iterator[Running]:
    """Both behind one server."""
    pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")
    with Running(*(f"{name}={path}" for name, path in runs.items()), *SETTINGS) as running:
        yield running
