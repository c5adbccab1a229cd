"""Little pictures, recordings and clips, and manifests of them, for the tests of what is seen and heard."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headway.config import Config


def make_picture(path: Path, seed: int, size: tuple[int, int] = (24, 16)) -> Path:
    """Noise of its own, so that no two seeds give the same file. `size`: width and height."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def make_sound(path: Path, seed: int, seconds: float = 0.3, rate: int = 8000) -> Path:
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate)).clip(-1, 1)
    soundfile.write(path, wave, rate)
    return path


def make_clip(path: Path, seed: int, frames: int = 6, size: tuple[int, int] = (32, 16)) -> Path:
    """An animated GIF."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, size[1], size[0], 3), dtype=np.uint8)
    first, *others = map(Image.fromarray, pixels)
    first.save(path, save_all=True, append_images=others, duration=100)
    return path


def write_manifest(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def media_config(folder: Path, task: str = "captioning", **sections: Any) -> Config:
    """A little model that learns from the manifests train.jsonl, validation.jsonl and, where it is there, test.jsonl.

    Their columns are file, text, and where the task reads one beside the file, question.
    """
    columns = {"source": "file", "target": "text"}
    if task in ("visual_question_answering", "multimodal_translation"):
        columns["second"] = "question"
    parts = [name for name in ("train", "validation", "test") if (folder / f"{name}.jsonl").exists()]
    corpora = {name: {"path": str(folder / f"{name}.jsonl"), **columns} for name in parts}
    layers = {"encoder_layers": 1, "decoder_layers": 0 if task == "media_classification" else 1}
    values = {
        "run_directory": str(folder / "run"),
        "task": task,
        "data": {**corpora, **sections.pop("data", {})},
        "media": {"patch": 8, "patches": 6, **sections.pop("media", {})},
        "tokenizer": {"vocabulary_size": 60, **sections.pop("tokenizer", {})},
        "model": {"width": 16, "feed_forward_width": 16, "heads": 2, **layers, **sections.pop("model", {})},
        "training": {
            "updates": 4, "batch_tokens": 128, "validate_every": 4, "save_every": 4, "threads": 1, "device": "cpu",
            "precision": "fp32", "tensorboard": False, "warmup_updates": 1, **sections.pop("training", {}),
        },
        **sections,
    }  # fmt: skip
    return Config.model_validate(values)
