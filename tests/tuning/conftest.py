"""The sample data of these tests; they need Optuna."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.samples import write_sample

pytest.importorskip("optuna")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample")
    write_sample("classification", directory, seed=1, size=200)
    return directory
