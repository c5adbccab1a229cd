"""Writes the 1,797 handwritten digits that scikit-learn brings with it as pictures, for examples/digits.yaml.

    python examples/digits.py data/digits

8 × 8 shades of grey each, drawn by lot: 1,347 to train, 150 for validation, 300 for the test.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

PARTS = {"train": slice(0, 1347), "validation": slice(1347, 1497), "test": slice(1497, None)}


def main(directory: Path) -> None:
    digits = load_digits()
    order = np.random.default_rng(1).permutation(len(digits.images))
    (directory / "images").mkdir(parents=True, exist_ok=True)
    for number, shades in enumerate(digits.images):  # from 0 to 16
        Image.fromarray(np.round(shades * (255 / 16)).astype(np.uint8)).save(directory / "images" / f"{number:04}.png")
    for part, places in PARTS.items():
        rows = ({"image": f"images/{number:04}.png", "label": str(digits.target[number])} for number in order[places].tolist())
        (directory / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "data/digits"))
