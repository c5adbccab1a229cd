"""Real processes, killed with SIGKILL at random instants and started again until done: the weights are the same, bit for bit.

`make prove` runs it. HEADWAY_KILLS says how many kills (default 40).
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest
import torch
from test_loop import assert_same_checkpoint, headway, losses, newest, write
from tiny_run import tiny_config

KILLS = int(os.environ.get("HEADWAY_KILLS", "40"))
TRAINING = {"updates": 400, "validate_every": 40, "save_every": 10}


def seconds_of(command: list[str]) -> float:
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - started


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_killed_many_times_ends_where_the_straight_run_ends(sample_directory: Path, tmp_path: Path) -> None:
    straight = tiny_config(sample_directory, tmp_path / "straight", training=TRAINING, tokenizer={"dropout": 0.1})
    learning, start_up = (seconds_of(headway("train", write(straight, tmp_path / "straight.yaml"))) for _ in range(2))
    learning -= start_up  # the second time the run is at its end
    killed = tiny_config(sample_directory, tmp_path / "killed", training=TRAINING, tokenizer={"dropout": 0.1})
    command = headway("train", write(killed, tmp_path / "killed.yaml"))
    chance, kills, places = random.Random(20261123), 0, set()
    while kills < KILLS:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # Most lives get past the start, and go on by about one checkpoint.
            life = start_up * chance.uniform(0.5, 1.05) + chance.uniform(0.0, 1.9 * learning / KILLS)
            assert process.wait(timeout=life) == 0
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
            checkpoints = tmp_path / "killed" / "checkpoints"
            places.add(max((path.name for path in checkpoints.glob("step-*")), default="none"))
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
    assert losses(tmp_path / "straight") == losses(tmp_path / "killed")
    assert all(torch.isfinite(tensor).all() for tensor in newest(tmp_path / "killed")[0].values())
    assert kills == KILLS, f"the run ended after {kills} kills: give it more updates"
    assert len(places) >= KILLS // 4, f"the kills fell on few places: {sorted(places)}"
