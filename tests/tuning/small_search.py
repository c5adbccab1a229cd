"""A small search on made data: a classifier of width 16 that learns in a second or two."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

from headway.config_reader import dump_yaml

SMALL: dict[str, Any] = {
    "task": "classification",
    "tokenizer": {"vocabulary_size": 200},
    "model": {"encoder_layers": 1, "width": 16, "feed_forward_width": 16, "heads": 2, "dropout": 0.0},
    "training": {
        "updates": 40,
        "batch_tokens": 256,
        "learning_rate": {"log": [1e-3, 1e-1], "first": 0.01},
        "warmup_updates": 2,
        "validate_every": 10,
        "save_every": 5,
        "log_every": 5,
        "precision": "fp32",
        "device": "cpu",
        "threads": 1,
        "tensorboard": False,
    },
    "tuning": {"trials": 3, "startup_trials": 2},
}


def small_search(sample: Path, directory: Path, **sections: dict[str, Any]) -> Path:
    """Writes the configuration; keyword sections win over it. Returns its path."""
    values: dict[str, Any] = {"run_directory": str(directory / "run"), **copy.deepcopy(SMALL)}
    values["data"] = {
        part: {"path": str(sample / f"{part}.jsonl"), "source": "text", "target": "label"}
        for part in ("train", "validation", "test")
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    path = directory / "search.yaml"
    path.write_text(dump_yaml(values), encoding="utf-8")
    return path


def headway(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "headway", *map(str, arguments)]
