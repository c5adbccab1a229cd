"""Little files of media, and manifests that name them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

COLOURS = {"red": (200, 20, 20), "green": (20, 180, 20), "blue": (20, 20, 200), "grey": (120, 120, 120)}
RATE = 8000
COLUMNS = {
    "captioning": {"source": "image", "target": "captions"},
    "visual_question_answering": {"source": "image", "second": "question", "target": "answer"},
    "media_classification": {"source": "image", "target": "label"},
    "speech_recognition": {"source": "audio", "target": "text"},
}


def write_picture(path: Path, colour: str, *, size: tuple[int, int] = (16, 16), seed: int = 0) -> Path:
    """A picture of one colour with a little noise."""
    noise = np.random.default_rng(seed).integers(-15, 16, (size[1], size[0], 3))
    Image.fromarray((np.array(COLOURS[colour]) + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


def write_recording(path: Path, hertz: float, *, seconds: float = 0.4, seed: int = 0) -> Path:
    """A tone with a little noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = 0.02 * np.random.default_rng(seed).standard_normal(len(time))
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * time) + noise, RATE)
    return path


def write_manifest(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_colours(directory: Path, count: int = 24) -> Path:
    """train, validation and test of pictures, each with its label, a caption or two, and a question with its answer."""
    (directory / "images").mkdir(parents=True)
    for part, seed in (("train", 0), ("validation", 1000), ("test", 2000)):
        rows = []
        for number in range(count if part == "train" else 8):
            colour = list(COLOURS)[number % 4]
            name = f"images/{part}{number}.png"
            write_picture(directory / name, colour, seed=seed + number)
            captions = [f"a {colour} picture"] + ([f"all is {colour}"] if number % 2 else [])
            asked = {"question": f"is it {colour} ?" if number % 3 else "is it pink ?", "answer": "yes" if number % 3 else "no"}
            rows.append({"image": name, "label": colour, "captions": captions, **asked})
        write_manifest(directory / f"{part}.jsonl", rows)
    return directory
