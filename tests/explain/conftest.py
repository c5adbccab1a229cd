"""A little run of every task, learned when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headway.config import load_config
from headway.samples import write_sample
from headway.training.loop import train

SMALL = (
    "model.width=32", "model.heads=2", "model.feed_forward_width=32", "training.updates=30", "training.batch_tokens=512",
    "training.tensorboard=false", "training.threads=1", "training.warmup_updates=5", "tokenizer.vocabulary_size=300",
)  # fmt: skip


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    found: dict[str, Path] = {}

    def learned(kind: str) -> Path:
        if kind not in found:
            directory = tmp_path_factory.mktemp("explained") / kind
            write_sample(kind, directory, seed=1, size=150)
            config = load_config(directory / "config.yaml", [*SMALL, f"run_directory={directory / 'run'}"])
            found[kind] = train(config)
        return found[kind]

    return learned
