"""The sample data that the tiny run of these tests learns from, and a run to go on from."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_run import FEW, tiny_config

from headway.samples import write_sample
from headway.training.loop import train


@pytest.fixture(scope="session")
def sample_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample")
    write_sample("translation", directory, seed=1, size=400)
    return directory


@pytest.fixture(scope="session")
def base(sample_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A translator that has learned a little."""
    training = {**FEW, "updates": 30, "validate_every": 30, "averaging": "none"}
    config = tiny_config(
        sample_directory, tmp_path_factory.mktemp("base") / "run", model={"positions": "relative"}, training=training
    )
    return train(config, quiet=True)
