"""What is counted is what happened (S16), and nothing grows while a server runs for long (S12)."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import Client, percentile, request, told, until
from running import Running, in_a_loop

RunOf = Callable[[str], Path]
TEXT = "the red cat sees a dog ."
QUICK = {"texts": [TEXT], "decoding": {"method": "greedy", "n_best": 1, "maximum_length": 3}}
LONG = {"texts": [TEXT] * 8, "decoding": {"method": "beam", "beam_size": 8, "minimum_length": 40}}
ENDS = ("ok", "error", "cancelled", "rejected")
IN_FLIGHT, CAME = "headway_requests_in_flight", "headway_requests_total"


def ended_as(end: str) -> str:
    return f'headway_requests_ended_total{{end="{end}"}}'


async def figures(port: int) -> dict[str, float]:
    async with Client(port) as client:
        content = (await client.ask("/metrics")).content.decode()
    found = {name: float(value) for name, value in re.findall(r"^(headway_\S+) ([0-9.e+-]+)$", content, re.M)}
    return {**{ended_as(end): 0.0 for end in ENDS}, **found}


async def ask_some(port: int, first: int, count: int, seen: Counter[str]) -> None:
    """Good ones, mistaken ones of many kinds, and ones that are given up: what the client knows of each is counted."""
    asked = [
        ("/predict/mt", QUICK), ("/predict/mt", QUICK), ("/models", None), ("/predict/mt", {"texts": []}), ("/nothing", None),
        ("/predict/none", QUICK), ("/predict/mt", b"{"), ("/predict/mt", b"x" * 20_001), ("/healthz", None),
        ("/predict/mood", {"texts": [TEXT]}),
    ]  # fmt: skip
    async with Client(port) as client:
        for number in range(first, first + count):
            if number % 20 == 7:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request("/predict/mt", LONG)[: None if number % 40 == 7 else -9])
                await writer.drain()
                await asyncio.sleep(0.02)  # it must have come in to be counted
                writer.transport.abort()
                seen["cancelled"] += 1
                continue
            status = (await client.ask(*asked[number % len(asked)])).status
            seen["ok" if status < 400 else "rejected" if status in (429, 503) else "error"] += 1


async def count_all(port: int, count: int) -> tuple[Counter[str], dict[str, int], dict[str, float]]:
    before, seen = await figures(port), Counter[str]()
    await asyncio.gather(*(ask_some(port, part * count // 8, count // 8, seen) for part in range(8)))

    async def quiet() -> bool:
        return (await figures(port))[IN_FLIGHT] == 1

    await until(quiet)
    after = await figures(port)
    ended = {end: int(after[ended_as(end)] - before[ended_as(end)]) for end in ENDS}
    return seen, ended, after


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_every_request_is_counted_once(served: Running, count: int) -> None:
    seen, ended, after = in_a_loop(count_all(served.port, count))
    told("S16", requests=count, seen=dict(seen), counted=ended)
    looks = ended["ok"] - seen["ok"]  # at the figures themselves, while it became quiet
    assert 1 <= looks < 2000
    assert {**ended, "ok": seen["ok"]} == {end: seen[end] for end in ENDS}
    assert after[IN_FLIGHT] == 1
    assert after[CAME] == sum(after[ended_as(end)] for end in ENDS) + 1


# ---- for long ------------------------------------------------------------------------------------------------------


def megabytes(server: Running) -> float:
    """Of the server and its workers."""
    pids = [server.process.pid, *server.workers()]
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 for pid in pids) / 1e6


async def soak(server: Running, seconds: float) -> tuple[list[tuple[float, float, float]], Counter[str], dict[str, float]]:
    """For each part of the time: hours since the beginning, megabytes, 99th percentile of the good requests."""
    seen: Counter[str] = Counter()
    points, begun, number = [], time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        part, times = time.monotonic(), list[float]()
        while time.monotonic() - part < seconds / 40:
            await asyncio.gather(*(ask_some(server.port, number + place * 40, 40, seen) for place in range(4)))
            number += 160
            async with Client(server.port) as client:
                times += [(await client.ask("/predict/mt", QUICK)).seconds for _ in range(20)]
        points.append(((time.monotonic() - begun) / 3600, await asyncio.to_thread(megabytes, server), percentile(times, 0.99)))
    return points, seen, await figures(server.port)


def slope(points: list[tuple[float, float]]) -> float:
    """Of the line through them with the least squares."""
    middle = sum(x for x, _ in points) / len(points)
    return sum((x - middle) * y for x, y in points) / sum((x - middle) ** 2 for x, _ in points)


@pytest.mark.slow
@pytest.mark.timeout(100_000)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells of memory so")
def test_nothing_grows_while_it_runs_for_long(run_of: RunOf) -> None:
    """For ten minutes; HEADWAY_SOAK_MINUTES=480 is a night."""
    seconds = 60 * float(os.environ.get("HEADWAY_SOAK_MINUTES", 10))
    named = [f"mt={run_of('translation')}", f"mood={run_of('classification')}"]
    with Running(*named, "--workers", "1", "--threads", "1", "limits.body_bytes=20000", "--log-format", "none") as server:
        points, seen, after = in_a_loop(soak(server, seconds))
    half = points[len(points) // 2 :]
    grows = slope([(hours, size) for hours, size, _ in half])
    first, last = (percentile([p for *_, p in part], 0.5) for part in (points[: len(points) // 2], half))
    grown = half[-1][1] - half[0][1]
    told("S12", minutes=seconds / 60, requests=sum(seen.values()), MB_per_hour=grows, MB=half[-1][1], grown_MB=grown,
         p99_first_half=first, p99_last_half=last)  # fmt: skip
    assert after[IN_FLIGHT] == 1
    assert seen["rejected"] == 0
    assert grown < 3 + seconds / 3600
