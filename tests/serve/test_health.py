"""Health tells the truth in every state, within two seconds: whether the server lives, and whether it can answer (S7)."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import told
from running import Running

RunOf = Callable[[str], Path]
TEXT = "the red cat sees a dog ."
STUBBORN = (sys.executable, str(Path(__file__).parent / "stubborn.py"))
SETTINGS = ("--workers", "1", "--threads", "1", "limits.seconds=4", "limits.waiting=2")
LONG = {"texts": [TEXT] * 2, "decoding": {"minimum_length": 500, "maximum_length": 600}}


@pytest.fixture(scope="module")
def server(run_of: RunOf) -> Iterator[Running]:
    os.environ["LOAD_SECONDS"] = "1"
    with Running(f"mt={run_of('translation')}", *SETTINGS, program=STUBBORN, loaded=False) as running:
        del os.environ["LOAD_SECONDS"]
        yield running


def code(answer: Any) -> str:
    return "ready" if answer.status == 200 else str(answer.json()["error"]["code"])


def when(server: Running, state: str, patience: float = 15.0) -> float:
    """Seconds until it is in this state; it lives all the time. Raises AssertionError."""
    begun = time.monotonic()
    while (found := code(server.ask("/readyz"))) != state:
        assert time.monotonic() - begun < patience, found
        assert server.ask("/healthz").status == 200
        time.sleep(0.02)
    return time.monotonic() - begun


def test_while_it_loads(server: Running) -> None:
    seconds = when(server, "loading")
    told("loading", seconds=seconds)
    answer = server.ask("/predict/mt", {"texts": [TEXT]})
    assert (answer.status, code(answer), answer.headers["retry-after"]) == (503, "loading", "1")
    assert server.ask("/models").json()["models"][0]["ready"] is False
    when(server, "ready", 60)
    assert server.ask("/predict/mt", {"texts": [TEXT]}).status == 200


def test_when_a_worker_is_dead(server: Running) -> None:
    when(server, "ready", 60)
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    told("worker dead", seconds=when(server, "not_ready"), back=when(server, "ready", 30))
    assert server.workers() != [worker]


def test_when_the_thread_that_computes_hangs(server: Running) -> None:
    when(server, "ready", 60)
    assert server.ask("/predict/mt", {"texts": [TEXT]}).status == 200
    (worker,) = server.workers()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.ask, "/predict/mt", {"texts": ["hang"]})
        time.sleep(0.1)
        seconds = when(server, "not_ready")
        assert asked.result().status in (503, 504)
    told("stuck", seconds=seconds, back=when(server, "ready", 30))
    assert server.workers() != [worker]
    assert server.ask("/predict/mt", {"texts": [TEXT]}).status == 200


def test_when_all_places_are_taken(server: Running) -> None:
    when(server, "ready", 60)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.ask, "/predict/mt", LONG)
        seconds = when(server, "too_busy")
        refused = server.ask("/predict/mt", {"texts": [TEXT]})
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert asked.result().status in (200, 504)
    told("saturated", seconds=seconds)
    when(server, "ready", 30)


def test_while_it_ends(server: Running) -> None:
    when(server, "ready", 60)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.ask, "/predict/mt", LONG)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        try:
            assert when(server, "stopping") < 2
        except ConnectionRefusedError:  # nor can anybody else come in
            assert time.monotonic() - begun < 2
        assert asked.result().status in (200, 504)
    assert server.process.wait(30) == 143


def test_a_bad_model_is_never_ready(run_of: RunOf, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_of("translation"), tmp_path / "mt"))
    weights = run / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    server = Running(run, *SETTINGS, loaded=False)
    found = set()
    try:
        while server.process.poll() is None:
            found.add(code(server.ask("/readyz")))
    except OSError:
        pass
    assert found <= {"loading", "not_ready", "stopping"}
    assert server.process.wait(30) == 4
    time.sleep(0.2)  # what it said last is read by a thread
    assert "instead of" in "".join(server.log[-6:]), server.log[-6:]
