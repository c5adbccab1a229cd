"""Which workers get new jobs and which are called ready, by how long they are in a step; and what is sent to them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from headway.serve.limits import Limits
from headway.serve.model_source import ModelSource
from headway.serve.workers import Crew, Task, Worker


def worker_in(step: float, slowest: float, *, decodes: bool = True, silent: float = 0.0, **job: Any) -> Worker:
    """A worker without a process, that has been in a step for so many seconds."""
    crew: Any = Crew(ModelSource(Path("m")), Limits(), None, {"decodes": decodes})  # type: ignore[arg-type]
    worker = Worker.__new__(Worker)
    worker.crew, worker.ready, worker._step, worker._slowest = crew, True, step, slowest
    worker._heard = time.monotonic() - silent
    worker.tasks = {1: Task(1, job, None)}  # type: ignore[arg-type]
    return worker


@pytest.mark.parametrize(
    ("how", "flowing", "answering"),
    [
        ({"step": 1.3, "slowest": 0.01}, False, False),
        ({"step": 1.3, "slowest": 0.2}, True, True),
        ({"step": 1.3, "slowest": 0.0}, False, True),  # the first
        ({"step": 1.3, "slowest": 0.01, "decodes": False}, False, True),  # a long recording after a short one
        ({"step": 1.3, "slowest": 0.01, "explain": True}, False, True),  # loads the plain model
        ({"step": 11.0, "slowest": 0.0}, False, False),
        ({"step": 0.0, "slowest": 0.0, "silent": 1.3}, False, False),
    ],
    ids=["stuck", "slow as before", "first", "no writer", "explains", "first, too long", "silent"],
)
def test_what_is_expected_of_a_worker(how: dict[str, Any], flowing: bool, answering: bool) -> None:
    worker = worker_in(**how)
    assert (worker.flowing, worker.answering) == (flowing, answering)


def test_what_is_sent_is_not_longer_than_the_text() -> None:
    class Writer:
        content = b""

        def is_closing(self) -> bool:
            return False

        def write(self, content: bytes) -> None:
            self.content += content

    worker = worker_in(0.0, 0.0)
    worker._writer = writer = Writer()  # type: ignore[assignment]
    text = "漢" * 1000
    worker._send(["job", {"text": text + "\udce9"}])
    assert len(writer.content) < 3100  # type: ignore[attr-defined]
    assert json.loads(writer.content[4:])[1]["text"] == text + "\udce9"  # type: ignore[attr-defined]
