"""The little models, each learned once."""

from __future__ import annotations

import pytest
from little_models import learn

from headway.model.transformer import Transformer


@pytest.fixture(scope="session")
def reverser() -> Transformer:
    return learn(encoder_layers=1, updates=200)


@pytest.fixture(scope="session")
def continuer() -> Transformer:
    return learn(encoder_layers=0, updates=200)
