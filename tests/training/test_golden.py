"""The loss curve of the tiny sample run, as it was when it was last looked at.

A change of numbers is a change of the mathematics: if it is meant, run `python tests/training/test_golden.py` and say why in
the commit. Processors round differently, so the curve is compared to three digits.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest
from tiny_run import tiny_config

from headway.samples import write_sample
from headway.training.loop import train

GOLDEN = Path(__file__).with_name("golden_losses.json")
SETTINGS = {"updates": 40, "validate_every": 40, "save_every": 40, "validate_score": False, "best_by": "loss"}


def curve(sample: Path, run: Path) -> list[float]:
    train(tiny_config(sample, run, training=SETTINGS), quiet=True)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line.get("loss", line.get("validation_loss")) for line in lines]


def test_the_loss_curve_is_the_golden_one(sample_directory: Path, tmp_path: Path) -> None:
    golden = json.loads(GOLDEN.read_text())
    found = curve(sample_directory, tmp_path / "run")
    assert len(found) == 41
    assert found == pytest.approx(golden, rel=2e-3)
    assert found[-2] < 0.8 * found[0]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_sample("translation", Path(folder) / "sample", seed=1, size=400)
        GOLDEN.write_text(json.dumps([round(x, 5) for x in curve(Path(folder) / "sample", Path(folder) / "run")]) + "\n")
        sys.stderr.write(GOLDEN.read_text())
