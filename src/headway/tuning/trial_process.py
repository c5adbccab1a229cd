"""The process of one trial: `python -m headway.tuning.trial_process CONFIG PARENT`. It trains through the loop of all trainings.

A process of its own, because then a trial can be stopped by the signal that training already knows, a crash or a lack of
memory is the trial's alone, and its memory is given back whole.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from headway.config import load_config
from headway.errors import HeadwayError, Interrupted, ResourceError
from headway.training.run_lock import RunLock

FAILED = "trial failed: "
LOCK_SECONDS = 120  # that a predecessor, whose worker has died, may take to finish its step


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
