"""A tiny run on the made sample data: 2+2 layers, width 32, 400 pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headway.config import Config

TINY_MODEL: dict[str, Any] = {
    "preset": None,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "width": 32,
    "feed_forward_width": 64,
    "heads": 4,
    "dropout": 0.1,
    "attention_dropout": 0.1,
}
TINY_TRAINING: dict[str, Any] = {
    "updates": 20,
    "batch_tokens": 512,
    "learning_rate": 3e-3,
    "warmup_updates": 5,
    "validate_every": 10,
    "save_every": 5,
    "log_every": 1,
    "precision": "fp32",
    "device": "cpu",
    "threads": 1,
    "tensorboard": False,
    "averaging": "ema",
    "ema_decay": 0.9,
}
FEW: dict[str, Any] = {"updates": 10, "validate_every": 5, "best_by": "loss", "validate_score": False}


def tiny_config(sample: Path, run_directory: Path, **sections: dict[str, Any]) -> Config:
    """The tiny run; keyword sections such as training={"updates": 5} win over it."""
    corpora = {
        name: {"source": str(sample / f"{name}.en"), "target": str(sample / f"{name}.de")}
        for name in ("train", "validation", "test")
    }
    values: dict[str, Any] = {
        "run_directory": str(run_directory),
        "data": {**corpora, **sections.get("data", {})},
        "tokenizer": {"vocabulary_size": 300, **sections.get("tokenizer", {})},
        "model": {**TINY_MODEL, **sections.get("model", {})},
        "training": {**TINY_TRAINING, **sections.get("training", {})},
    }
    return Config.model_validate(values)


def tuned_config(sample: Path, run_directory: Path, base: Path, **sections: Any) -> Config:
    """A fine-tuning of the fixture `base`."""
    model = {"positions": "relative", "start_from": str(base), **sections.get("model", {})}
    return tiny_config(sample, run_directory, **{**sections, "model": model})
