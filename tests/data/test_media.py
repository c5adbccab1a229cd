"""Pictures as numbers: sizes in whole patches, scaling held to PyTorch's, patches that can be put together again, fair chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_media import smooth_picture
from torch.nn import functional

from headway.config_media import MEDIA, PLACES, MediaConfig
from headway.data.media import ASPECT, _bands, _crop, augment_pictures, cut_into_patches, fit, interpolate, resize

SIDES = st.integers(1, 700)


def chance(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def noisy(frames: int, height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, channels), dtype=np.uint8)


# Sizes


@given(SIDES, SIDES, st.integers(1, 40), st.integers(1, 300))
def test_sizes_are_whole_patches_and_no_more_than_wanted(height: int, width: int, patch: int, patches: int) -> None:
    h, w = fit(height, width, patch=patch, patches=patches)
    assert h % patch == w % patch == 0
    assert 1 <= (h // patch) * (w // patch) <= patches
    assert h <= -(-height // patch) * patch
    assert w <= -(-width // patch) * patch


@settings(max_examples=60)
@given(SIDES, SIDES, st.integers(4, 32), st.integers(1, 64))
def test_no_other_grid_is_nearer(height: int, width: int, patch: int, patches: int) -> None:
    shrink = min(1.0, math.sqrt(patches * patch * patch / (height * width)))
    rows, columns = height * shrink / patch, width * shrink / patch
    if rows < 1:
        rows, columns = 1, max(1, min(width / patch, patches))
    elif columns < 1:
        rows, columns = max(1, min(height / patch, patches)), 1

    def distance(down: int, across: int) -> float:
        return abs(math.log(down / rows)) + abs(math.log(across / columns))

    h, w = fit(height, width, patch=patch, patches=patches)
    best = min(
        distance(down, across)
        for down in range(1, min(-(-height // patch), patches) + 1)
        for across in range(1, min(-(-width // patch), patches // down) + 1)
    )
    assert distance(h // patch, w // patch) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize(
    ("height", "width", "patches", "expected"),
    [
        (224, 224, 196, (224, 224)), (448, 448, 196, (224, 224)), (375, 500, 196, (192, 256)), (500, 375, 196, (256, 192)),
        (1, 1, 196, (16, 16)), (1, 5000, 196, (16, 3136)), (5000, 1, 196, (3136, 16)), (20, 20, 196, (16, 16)),
        (30, 30, 196, (32, 32)), (1080, 1920, 196, (160, 304)), (1000, 1000, 1, (16, 16)), (1000, 10, 4, (64, 16)),
    ],
)  # fmt: skip
def test_sizes_of_known_pictures(height: int, width: int, patches: int, expected: tuple[int, int]) -> None:
    assert fit(height, width, patch=16, patches=patches) == expected


@given(st.integers(64, 2000), st.integers(64, 2000))
def test_the_aspect_stays_about_the_same(height: int, width: int) -> None:
    h, w = fit(height, width, patch=16, patches=196)
    if 1 / 3 < height / width < 3:
        assert abs(math.log(h / w) - math.log(height / width)) < 0.25
    assert h * w >= 0.6 * min(height * width, 196 * 256)


# Scaling


def reference(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 2, axis=2)
    values = torch.from_numpy(pixels.astype(np.float64)).permute(0, 3, 1, 2).contiguous()
    # One side after the other, because from a single column PyTorch 2.13 makes lines that are all the same.
    for step in ((size[0], values.shape[3]), size):
        values = functional.interpolate(values, size=step, mode="bicubic", antialias=True, align_corners=False)
    return values.permute(0, 2, 3, 1).numpy()


@settings(max_examples=40)
@given(st.integers(1, 2), *[st.integers(1, 90)] * 4, st.sampled_from([1, 3]))
def test_scaling_is_that_of_pytorch(frames: int, height: int, width: int, h: int, w: int, channels: int) -> None:
    pixels = noisy(frames, height, width, channels)
    expected = reference(pixels, (h, w))
    np.testing.assert_allclose(interpolate(pixels.astype(np.float64), (h, w)), expected, atol=1e-4 * 255)
    np.testing.assert_allclose(interpolate(pixels.astype(np.float32), (h, w)), expected, atol=1e-4 * 255)
    scaled = resize(pixels, (h, w))
    assert scaled.dtype == np.uint8
    assert np.abs(scaled - np.clip(expected, 0, 255)).max() <= 0.5 + 1e-3


@pytest.mark.parametrize(
    ("old", "new"), [((375, 500), (192, 256)), ((1, 5000), (16, 3136)), ((5000, 1), (16, 16)), ((20, 20), (64, 48))]
)
def test_scaling_of_real_sizes(old: tuple[int, int], new: tuple[int, int]) -> None:
    pixels = noisy(1, *old)
    np.testing.assert_allclose(interpolate(pixels.astype(np.float64), new), reference(pixels, new), atol=1e-6 * 255)


@given(st.integers(1, 300), st.integers(1, 300))
def test_weights_of_a_line_sum_to_one(old: int, new: int) -> None:
    lines = 0
    for place, _, weights in _bands(old, new, "float64"):
        assert place.start == lines
        lines = place.stop
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    assert lines == new


def test_weights_of_the_longest_picture_are_few() -> None:
    assert sum(weights.nbytes for _, _, weights in _bands(65_535, 3136, "float32")) < 8 << 20


def test_even_pictures_stay_even_and_the_same_size_stays_the_same() -> None:
    assert (resize(np.full((1, 33, 47, 3), 255, np.uint8), (16, 80)) == 255).all()
    pixels = noisy(2, 20, 30)
    np.testing.assert_array_equal(resize(pixels, (20, 30)), pixels)


# Patches


@given(*[st.integers(1, 4)] * 3, st.integers(1, 5), st.integers(1, 3), st.sampled_from([1, 3]))
def test_patches_can_be_put_together_again(frames: int, down: int, across: int, patch: int, deep: int, channels: int) -> None:
    pixels = noisy(frames, down * patch, across * patch, channels)
    rows = cut_into_patches(pixels, MediaConfig(kind="video", patch=patch, frames_per_patch=deep))
    assert rows.dtype == np.float32
    assert rows.shape == (-(-frames // deep) * down * across, PLACES + deep * patch * patch * channels)
    padded = np.concatenate([pixels, np.repeat(pixels[-1:], -frames % deep, axis=0)])
    for row, (kind, t, y, x) in enumerate(rows[:, :PLACES].astype(int)):
        assert kind == MEDIA
        assert row == (t * down + y) * across + x
        block = padded[t * deep : (t + 1) * deep, y * patch : (y + 1) * patch, x * patch : (x + 1) * patch]
        np.testing.assert_allclose(rows[row, PLACES:], ((block / 255.0 - 0.5) / 0.5).ravel(), atol=1e-6)


def test_values_reach_from_minus_one_to_one() -> None:
    pixels = np.array([0, 255], dtype=np.uint8).reshape(1, 1, 2, 1)
    assert cut_into_patches(pixels, MediaConfig(kind="image", patch=1))[:, PLACES:].ravel().tolist() == [-1, 1]


# What is changed in training


def config(**values: object) -> MediaConfig:
    return MediaConfig.model_validate({"kind": "image", **values})


def test_nothing_is_changed_that_is_not_asked_for() -> None:
    pixels = noisy(2, 16, 32)
    np.testing.assert_array_equal(augment_pictures(pixels, chance(1), config()), pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_chance_gives_the_same_picture(channels: int) -> None:
    pixels, before = noisy(3, 32, 48, channels), noisy(3, 32, 48, channels)
    settings = config(crop=0.4, flip=True, colour=0.3)
    first, again, other = (augment_pictures(pixels, chance(1, epoch, 5), settings) for epoch in (0, 0, 1))
    assert (first.shape, first.dtype, first.flags.c_contiguous) == (pixels.shape, np.uint8, True)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(pixels, before)


def test_every_other_picture_is_mirrored() -> None:
    pixels = noisy(1, 4, 6)
    mirrored = [
        bool((augment_pictures(pixels, chance(row), config(flip=True)) == pixels[:, :, ::-1]).all()) for row in range(400)
    ]
    assert 160 < sum(mirrored) < 240


def test_all_frames_of_a_clip_are_changed_alike() -> None:
    pixels = np.repeat(noisy(1, 32, 32), 5, axis=0)
    for row in range(20):
        changed = augment_pictures(pixels, chance(row), config(crop=0.5, flip=True, colour=0.5))
        assert (changed == changed[:1]).all()


def test_crops_keep_their_share_and_their_aspect() -> None:
    """Pixels that tell where they were tell what was cut away."""
    height, width = 120, 200
    place = np.zeros((1, height, width, 2), dtype=np.uint8)
    place[..., 0], place[..., 1] = np.arange(height)[:, None], np.arange(width)
    parts = [_crop(place, chance(row), 0.5)[0] for row in range(2000)]
    shares = np.array([part[..., 0].size / (height * width) for part in parts])
    aspects = np.array([(part.shape[1] / width) / (part.shape[0] / height) for part in parts])
    assert 0.5 <= shares.min() < 0.52
    assert 0.97 < shares.max() <= 1
    assert shares.mean() == pytest.approx(0.757, abs=0.012)
    assert 1 / ASPECT - 0.02 < aspects.min() < 0.8
    assert 1.25 < aspects.max() < ASPECT + 0.02
    assert np.log(aspects).mean() == pytest.approx(0, abs=0.02)
    for side in (0, 1):
        edges = [(int(part[..., side].min()), int(part[..., side].max())) for part in parts]
        assert min(low for low, _ in edges) == 0
        assert max(high for _, high in edges) == (height, width)[side] - 1
        assert 0.4 < np.mean([low / max(1, low + (height, width)[side] - 1 - high) for low, high in edges]) < 0.6


def test_a_crop_is_scaled_back() -> None:
    pixels = noisy(2, 30, 40)
    part = _crop(pixels, chance(7), 0.5)
    np.testing.assert_array_equal(augment_pictures(pixels, chance(7), config(crop=0.5)), resize(part, (30, 40)))
    assert part.shape != pixels.shape


def test_light_changes_by_no_more_than_asked() -> None:
    pixels = np.full((1, 8, 8, 3), 100, dtype=np.uint8)
    levels = [augment_pictures(pixels, chance(row), config(colour=0.2)).mean() for row in range(300)]
    assert 79.5 <= min(levels) < 84
    assert 116 < max(levels) <= 120.5


def test_colour_and_contrast_change_too() -> None:
    pixels = (100 + smooth_picture(32, 32)[None].astype(int) // 5).astype(np.uint8)  # so that nothing is cut at black and white
    changed = [augment_pictures(pixels, chance(row), config(colour=0.3)).astype(float) for row in range(200)]
    grey = [seen @ [0.299, 0.587, 0.114] for seen in changed]
    contrast = np.array([shades.std() / shades.mean() for shades in grey])
    # Contrast changes the colours as it changes the shades; what is left is the colour alone.
    colour = np.array([np.ptp(seen, axis=-1).mean() / shades.std() for seen, shades in zip(changed, grey, strict=True)])
    for changes in (contrast, colour):
        assert 1.5 < changes.max() / changes.min() < 1.3 / 0.7 + 0.15
    alone = augment_pictures(pixels[..., :1], chance(3), config(colour=0.3))
    assert alone.shape == (1, 32, 32, 1)
    assert (alone != pixels[..., :1]).any()
