"""When and on what a run was begun or gone on with: RUN/starts.jsonl has a line for each time.

It is kept apart from metrics.jsonl, which reads as if nothing had ever been stopped.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from headway import machine
from headway.training.parallel import available_cores
from headway.training.state import TrainState

NAME = "starts.jsonl"


@dataclass(frozen=True)
class Start:
    """One start of a training."""

    time: float  # seconds since 1970
    update: int  # updates done before
    device: str  # cpu, or the name of the GPU
    processor: str
    cores: int  # that the process might use
    threads: int  # of one process
    processes: int
    precision: str
    parameters: int
    data: dict[str, str] = field(default_factory=dict)  # fingerprints of the training and the validation set
    versions: dict[str, str] = field(default_factory=dict)


def record_start(directory: Path, state: TrainState) -> None:
    """Adds a line for the training that begins now."""
    device = state.world.device
    start = Start(
        time=round(time.time(), 2),
        update=state.update,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        processor=machine.processor(),
        cores=available_cores(),
        threads=torch.get_num_threads(),
        processes=state.world.size,
        precision=state.precision,
        parameters=state.model.parameter_count(),
        data={"train": state.corpus, "validation": state.validation},
        versions=machine.versions(),
    )
    with (directory / NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(start)) + "\n")


def read_starts(directory: Path) -> list[Start]:
    """Every start that was recorded whole, in order; none of runs of older versions."""
    found = []
    path = directory / NAME
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else ():
        try:
            found.append(Start(**json.loads(line)))
        except (ValueError, TypeError):
            continue  # a killed run may have written half a line, a newer Headway more
    return found
