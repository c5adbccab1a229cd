"""The process of one trial: `python -m headway.tuning.trial_process CONFIG PARENT`. It trains through the loop of all trainings.

A process of its own, because then a trial can be stopped by the signal that training already knows, a crash or a lack of
memory is the trial's alone, and its memory is given back whole.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from headway.config import Config, dump_config, load_config
from headway.data.files import written_aside
from headway.errors import HeadwayError, Interrupted, ResourceError
from headway.training.run_lock import RunLock

FAILED = "trial failed: "
STOP_SECONDS = 60.0  # that a trial may take to finish its step
LOCK_SECONDS = 120  # that a predecessor, whose worker has died, may take to finish its step


def start_trial(config: Config, path: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Writes the configuration of a trial and starts the process that trains it; what it says goes to a log beside it."""
    with written_aside(path) as aside:
        aside.write_text(dump_config(config), encoding="utf-8")
    with path.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "headway.tuning.trial_process", str(path), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )


def on_gpu(gpus: Sequence[str], slot: int) -> dict[str, str]:
    """The environment of the process in a slot, which sees one of the GPUs, where there are any."""
    return {**os.environ, **({"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if gpus else {})}


def ended_cause(log: Path, code: int) -> str:
    """Why the process of a trial ended: what it said last, or the signal that killed it."""
    text = log.read_text(encoding="utf-8", errors="replace")
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", perhaps by the system for want of memory" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"
    _, marked, cause = text.rpartition(FAILED)
    return cause.strip() if marked else f"the process ended with code {code}: {text.strip()[-300:]}"


def main(path: str, parent: int) -> int:
    _end_with(parent)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    try:
        config = load_config(path, paths_as_written=True)
        _wait_for_lock(Path(config.run_directory))
        from headway.training.loop import train

        train(config)
    except Interrupted as stop:
        return stop.exit_code
    except HeadwayError as error:
        print(f"{FAILED}{error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        traceback.print_exc()
        print(f"{FAILED}{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _end_with(parent: int) -> None:
    """Stops this process, as a signal would, once its parent is gone, be it before it has begun."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _wait_for_lock(directory: Path) -> None:
    """Until whoever trained this trial before has let go of it. Raises ResourceError after a while."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            with RunLock(directory):
                return
        except ResourceError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
