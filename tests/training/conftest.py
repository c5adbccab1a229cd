"""The sample data that the tiny run of these tests learns from."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.samples import write_sample


@pytest.fixture(scope="session")
def sample_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample")
    write_sample("translation", directory, seed=1, size=400)
    return directory
