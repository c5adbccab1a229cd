"""Tiny random models of Hugging Face that see and hear, saved with what prepares their files; and files to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

PATCH, SIDE = 8, 24
SIGHTS = ("cat", "dog", "crane", "crane")


def save_vit(
    directory: Path, *, head: bool = True, seed: int = 0, processor: dict[str, Any] | None = None, **settings: Any
) -> Any:
    """A ViT with its head or without, and its preprocessor_config.json."""
    torch.manual_seed(seed)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    names = {"id2label": dict(enumerate(SIGHTS)), "label2id": {name: number for number, name in enumerate(SIGHTS)}}
    config = transformers.ViTConfig(**{**shape, "image_size": SIDE, "patch_size": PATCH, **names, **settings})
    model = (transformers.ViTForImageClassification if head else transformers.ViTModel)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    model.save_pretrained(directory)
    size = dict(zip(("height", "width"), np.broadcast_to(config.image_size, 2).tolist(), strict=True))
    made = transformers.ViTImageProcessorPil(**{"size": size, "image_mean": [0.5] * 3, **(processor or {})})
    made.save_pretrained(directory)
    return model


def save_picture(path: Path, width: int, height: int, seed: int = 0) -> Path:
    """Smooth shapes and some noise, as a photograph has."""
    chance = np.random.default_rng(seed)
    coarse = Image.fromarray(chance.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    noise = chance.integers(-20, 20, (height, width, 3))
    Image.fromarray((np.asarray(coarse).astype(int) + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


def change(path: Path, **settings: Any) -> None:
    """Other settings in a JSON file; None takes one out."""
    content = {**json.loads(path.read_text("utf-8")), **settings}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}), encoding="utf-8")
