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
from test_loop import assert_same_checkpoint, headway, newest, told, write
from tiny_run import tiny_config

KILLS = int(os.environ.get("HEADWAY_KILLS", "40"))
TRAINING = {"updates": 10 * KILLS, "validate_every": KILLS, "save_every": 10}
MOST_LINES = 16  # a life writes at most so many lines, one an update: on average it goes on by less than a checkpoint


def wait_for_lines(metrics: Path, wanted: int, process: subprocess.Popen[bytes]) -> None:
    """Until a process has written so many lines, however fast the machine is, or has ended."""
    before = metrics.stat().st_ino if metrics.exists() else None
    first = None if before else 0
    while process.poll() is None:
        if metrics.exists() and metrics.stat().st_ino != before:  # resuming writes the file anew
            lines = metrics.read_bytes().count(b"\n")
            first = lines if first is None else first
            if lines >= first + wanted:
                return
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_killed_many_times_ends_where_the_straight_run_ends(sample_directory: Path, tmp_path: Path) -> None:
    straight = tiny_config(sample_directory, tmp_path / "straight", training=TRAINING, tokenizer={"dropout": 0.1})
    subprocess.run(headway("train", write(straight, tmp_path / "straight.yaml")), check=True, capture_output=True)
    killed = tiny_config(sample_directory, tmp_path / "killed", training=TRAINING, tokenizer={"dropout": 0.1})
    command = headway("train", write(killed, tmp_path / "killed.yaml"))
    chance, places, instants = random.Random(20261123), set(), set()
    metrics, checkpoints = tmp_path / "killed" / "metrics.jsonl", tmp_path / "killed" / "checkpoints"
    for kills in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if chance.random() < 0.2:
            time.sleep(chance.uniform(0.0, 5.0))  # while it starts, or soon after
        else:
            wait_for_lines(metrics, chance.randint(1, MOST_LINES), process)
            time.sleep(chance.uniform(0.0, 0.1))
        assert process.poll() is None, f"the run ended after {kills} kills: give it more updates"
        process.kill()
        process.wait()
        places.add(max((path.name for path in checkpoints.glob("step-*")), default="none"))
        instants.add(metrics.read_bytes().count(b"\n") if metrics.exists() else 0)
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
    assert told(tmp_path / "straight") == told(tmp_path / "killed")
    assert all(torch.isfinite(tensor).all() for tensor in newest(tmp_path / "killed")[0].values())
    assert len(places) >= KILLS // 4, f"the kills fell on few checkpoints: {sorted(places)}"
    assert len(instants) >= KILLS // 2, f"the kills fell on few instants: {sorted(instants)}"
