"""Positions of media as vectors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from headway.config import MediaConfig, ModelConfig
from headway.config_media import MEDIA, PLACES, TEXT
from headway.model.dropout import RandomMasks
from headway.model.layers import sinusoidal_positions
from headway.model.media_embeddings import AudioEmbedding, PatchEmbedding, build_media_embedding
from headway.model.transformer import Transformer


def model_config(**settings: Any) -> ModelConfig:
    sizes = {"preset": None, "encoder_layers": 2, "decoder_layers": 2, "width": 24, "feed_forward_width": 32, "heads": 4}
    return ModelConfig.model_validate({**sizes, "dropout": 0.0, **settings})


def positions_of(media: MediaConfig, places: list[list[int]]) -> Tensor:
    values = torch.randn(1, len(places), media.values, generator=torch.Generator().manual_seed(1))
    return torch.cat((torch.tensor([places], dtype=torch.float32), values), -1)


@pytest.mark.parametrize("stem", ["linear", "convolution"])
def test_a_patch_is_projected_and_knows_its_row_and_column(stem: str) -> None:
    media = MediaConfig.model_validate({"kind": "image", "patch": 4, "stem": stem})
    embedding = build_media_embedding(model_config(), media, 0, RandomMasks())
    assert isinstance(embedding, PatchEmbedding)
    source = positions_of(media, [[MEDIA, 0, 0, 0], [MEDIA, 0, 2, 5]])
    found = embedding(source, torch.arange(2), torch.float32)
    row, column = (sinusoidal_positions(torch.tensor([0, place]), 12) for place in (2, 5))
    plain = embedding.values(source[..., PLACES:])
    assert torch.allclose(found[0], plain[0] + torch.cat((row, column), -1), atol=1e-6)
    if stem == "linear":
        assert torch.allclose(plain, source[..., PLACES:] @ embedding.project.weight.t() + embedding.project.bias, atol=1e-6)
    turned = embedding(source[:, [1, 0]], torch.arange(2), torch.float32)
    assert torch.allclose(turned, found[:, [1, 0]], atol=1e-6), "a place is in the position, not in its order"


def test_a_convolution_sees_its_own_patch_alone() -> None:
    media = MediaConfig.model_validate({"kind": "video", "patch": 8, "stem": "convolution", "frames_per_patch": 2})
    embedding = build_media_embedding(model_config(), media, 0, RandomMasks())
    assert isinstance(embedding, PatchEmbedding)
    values = torch.randn(2, 3, media.values)
    before = embedding.values(values)
    values[0, 1] += 1
    changed = (embedding.values(values) - before).abs().amax(-1) > 0
    assert changed.tolist() == [[False, True, False], [False, False, False]]
    pixels = torch.randn(2, 8, 8, 3)  # frames, lines, columns, colours: as `cut_into_patches` lays them down
    assert embedding.stem is not None
    as_channels = pixels.permute(0, 3, 1, 2).reshape(1, 6, 8, 8)
    first = F.conv2d(as_channels, embedding.stem[0].weight, embedding.stem[0].bias, stride=2, padding=1)
    second = F.conv2d(F.gelu(first), embedding.stem[1].weight, embedding.stem[1].bias, stride=2, padding=1)
    wanted = embedding.project(F.gelu(second).reshape(1, -1))
    assert torch.allclose(embedding.values(pixels.reshape(1, 1, -1))[0], wanted, atol=1e-5)


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_frames_are_convolved_as_by_conv1d(steps: int) -> None:
    media = MediaConfig.model_validate({"kind": "audio", "mels": 5, "subsampling": 2**steps})
    embedding = build_media_embedding(model_config(), media, 0, RandomMasks())
    assert isinstance(embedding, AudioEmbedding)
    values = torch.randn(2, 7, media.values)
    x_BCT = values.reshape(2, 7 * 2**steps, 5).transpose(1, 2)
    for step in embedding.steps:
        weight = step.weight.view(24, 3, -1).transpose(1, 2)
        x_BCT = F.gelu(F.conv1d(x_BCT, weight, step.bias, stride=2, padding=1))
    wanted = embedding.project(x_BCT.transpose(1, 2))
    assert torch.allclose(embedding.values(values), wanted, atol=1e-5)


def test_text_among_the_patches_is_looked_up_and_has_a_type_of_its_own() -> None:
    media = MediaConfig(kind="image", patch=4)
    embedding = build_media_embedding(model_config(), media, 50, RandomMasks())
    assert embedding.tokens is not None
    assert embedding.types is not None
    source = positions_of(media, [[MEDIA, 0, 0, 0], [TEXT, 17, 0, 0], [TEXT, 9, 1, 0], [0, 0, 0, 0]])
    found = embedding(source, torch.arange(4), torch.float32)[0]
    order = sinusoidal_positions(torch.arange(2), 24)
    for place, number in ((1, 17), (2, 9)):
        wanted = embedding.tokens.weight[number] * 24**0.5 + order[place - 1] + embedding.types.weight[1]
        assert torch.allclose(found[place], wanted, atol=1e-6)
    assert torch.allclose(found[0] - embedding.types.weight[0], embedding.values(source[:, :1, PLACES:])[0, 0] + torch.cat(
        [sinusoidal_positions(torch.zeros(1, dtype=torch.long), 12)[0]] * 2), atol=1e-6)  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [{}, {"positions": "relative"}, {"positions": "rotary", "heads": 2}, {"positions": "learned"}, {"positions": "none"}],
)
@pytest.mark.parametrize("kind", ["image", "video", "audio"])
def test_padding_changes_nothing(kind: str, settings: dict[str, Any]) -> None:
    media = MediaConfig.model_validate({"kind": kind, **({"mels": 6} if kind == "audio" else {"patch": 4})})
    model = Transformer(model_config(**settings), 30, 30, media=media).eval()
    source = positions_of(media, [[MEDIA, 0, 0, place] for place in range(3)] + [[TEXT, 7, 0, 0], [TEXT, 2, 1, 0]])
    mask, target = torch.ones(1, 5, dtype=torch.bool), torch.tensor([[1, 5, 6]])
    alone = model(source, mask, target)
    padded = torch.cat((source, torch.zeros(1, 3, media.features)), 1)
    longer = model(padded, torch.arange(8)[None] < 5, target)
    assert torch.allclose(alone, longer, atol=1e-5)
    source[0, 0, PLACES:] += 1
    assert not torch.allclose(alone, model(source, mask, target), atol=1e-4), "and what is seen changes something"


def test_a_model_of_pictures_alone_has_no_table_of_pieces_but_that_of_what_it_writes() -> None:
    media = MediaConfig(kind="image", patch=4)
    model = Transformer(model_config(), 0, 30, media=media)
    assert model.source_embedding is not None
    assert model.source_embedding.tokens is None
    both = Transformer(model_config(), 30, 30, media=media)
    assert both.source_embedding is not None
    assert both.target_embedding is not None
    assert both.source_embedding.tokens is both.target_embedding.tokens
