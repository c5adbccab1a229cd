"""Settings of published models are read; one that would change a number is refused by its name."""

from __future__ import annotations

from typing import Any

import pytest
from published_settings import OTHERWISE, PREPARED, PUBLISHED

from headway.config import MediaConfig, ModelConfig
from headway.errors import ModelError
from headway.interop.families import FAMILIES


def shape_of(settings: dict[str, Any]) -> ModelConfig:
    family = FAMILIES[settings["model_type"]]
    return ModelConfig.model_validate({**family.read(settings, "config.json"), "family": settings["model_type"]})


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings_are_read(name: str) -> None:
    shape = shape_of(PUBLISHED[name])
    assert (shape.width, shape.heads, shape.feed_forward_width) == (32, 4, 48 if "gpt2" not in name else 128)
    assert shape.encoder_layers + shape.decoder_layers in (2, 4)


def test_each_family_is_among_them() -> None:
    assert {settings["model_type"] for settings in PUBLISHED.values()} == FAMILIES.keys()


@pytest.mark.parametrize(("name", "key", "value"), OTHERWISE)
def test_what_would_change_a_number_is_refused_by_its_name(name: str, key: str, value: Any) -> None:
    with pytest.raises(ModelError, match=key):
        shape_of({**PUBLISHED[name], key: value})


def test_what_is_read_says_the_same_when_it_is_written() -> None:
    for name, settings in PUBLISHED.items():
        family, media = FAMILIES[settings["model_type"]], None
        if family.door is not None:
            senses = MediaConfig.model_validate(family.door.read(settings, PREPARED[name]))
            media, prepared = family.door.write(senses)
            assert MediaConfig.model_validate(family.door.read({**settings, **media}, prepared)) == senses, name
        again = shape_of({**family.write(shape_of(settings), media), "model_type": settings["model_type"]})
        assert again == shape_of(settings), name
