"""More is asked than can be answered (S3): what is too much is refused at once, what is accepted is answered as fast as ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import Client, Said, percentile, told, under_load
from running import Running, in_a_loop

RunOf = Callable[[str], Path]
# Takes long enough that ten times as many are easily sent from beside it.
BODY = {
    "texts": [f"the red cat sees {number} dogs ." for number in range(4)],
    "decoding": {"method": "beam", "beam_size": 5, "minimum_length": 40},
}
SETTINGS = ("--workers", "1", "--threads", "1", "limits.waiting=32", "--log-format", "none")


def memory_of(pid: int) -> int:
    """Bytes that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def capacity(port: int, seconds: float) -> float:
    """Requests a second that four clients get answered, each waiting for its answer."""
    found: list[Said | BaseException] = []
    begun = time.perf_counter()
    async with under_load(port, "/predict/mt", [BODY], 4, found):
        while time.perf_counter() - begun < seconds or len(found) < 12:
            await asyncio.sleep(0.02)
        return len(found) / (time.perf_counter() - begun)


async def open_loop(port: int, rate: float, seconds: float) -> list[Said]:
    """Requests that come whether others are answered or not."""
    clients: list[Client] = []

    async def one() -> Said:
        client = clients.pop() if clients else Client(port)
        answer = await client.ask("/predict/mt", BODY)
        clients.append(client)
        return answer

    asking, begun = [], time.perf_counter()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        asking.append(asyncio.create_task(one()))
    answers = await asyncio.gather(*asking)
    for client in clients:
        client.leave()
    return list(answers)


async def overload(server: Running, seconds: float) -> dict[str, Any]:
    await capacity(server.port, min(2, seconds))
    full, before = await capacity(server.port, seconds / 4), memory_of(server.process.pid)
    figures: dict[str, Any] = {"capacity": full}
    for times in (1, 3, 10):
        answers = await open_loop(server.port, times * full, seconds)
        good, rest = [a.seconds for a in answers if a.status == 200], [a for a in answers if a.status != 200]
        assert {answer.status for answer in rest} <= {429}
        assert all(answer.headers["retry-after"] for answer in rest)
        figures |= {f"goodput_{times}x": len(good) / seconds, f"p99_{times}x": percentile(good, 0.99)}
        figures |= {f"refused_{times}x": len(rest), f"p99_refusal_{times}x": percentile([a.seconds for a in rest], 0.99)}
    figures["grown_MB"] = (memory_of(server.process.pid) - before) / 1e6
    await asyncio.sleep(max(0.0, 2 - figures["p99_10x"]))
    return figures | {"capacity_after": await capacity(server.port, seconds / 4)}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells of memory so")
@pytest.mark.parametrize("seconds", [1.0, pytest.param(60.0, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_what_is_too_much_is_refused_at_once(run_of: RunOf, seconds: float) -> None:
    with Running(f"mt={run_of('translation')}", *SETTINGS) as server:
        figures = in_a_loop(overload(server, seconds))
        told("S3", **figures)
        assert figures["refused_10x"] > 0
        assert figures["grown_MB"] < 30
        assert server.ask("/readyz").status == 200
    if seconds > 10:
        assert figures["goodput_10x"] >= 0.9 * figures["goodput_1x"]
        assert figures["p99_refusal_10x"] <= 0.1
        assert figures["capacity_after"] >= 0.9 * figures["capacity"]
