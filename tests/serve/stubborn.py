"""`headway` with workers that go wrong when they are told to: for tests of what the server does about it.

A text with "hang" in it holds the thread that computes for ever, while the others of its process live on. LOAD_SECONDS of the
environment is how long a worker waits before it loads its model.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any


def run_worker(*arguments: Any) -> None:
    from headway.serve import engine, worker

    time.sleep(float(os.environ.get("LOAD_SECONDS", 0)))
    step = engine.Engine.step

    def hang_or_step(self: engine.Engine) -> list[engine.Reply]:
        if any("hang" in job.text for jobs in self._waiting.values() for job in jobs):
            time.sleep(1000)
        return step(self)

    engine.Engine.step = hang_or_step  # type: ignore[method-assign]
    worker.run(*arguments)


if __name__ == "__main__":
    from headway.cli import main
    from headway.serve import workers

    workers.run_worker = run_worker
    sys.exit(main())
