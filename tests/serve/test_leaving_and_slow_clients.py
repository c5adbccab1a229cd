"""Clients that leave free their place within a step (S4); clients that are slow are cut off, and harm nobody (S5)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import re
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import Client, percentile, request, told, until
from running import Running, in_a_loop

TEXT = "the red cat sees a dog ."
LONG = {"texts": [TEXT] * 8, "decoding": {"method": "greedy", "n_best": 1, "minimum_length": 900, "maximum_length": 1000}}
STREAM = {"model": "mt", "prompt": TEXT, "stream": True, "max_tokens": 1000}
STEP_SECONDS = 0.5  # a decoding step of a tiny model takes about a hundredth of it
CLOSED_SECONDS = 10.0
LONGEST_IDLE = 5.0  # seconds that uvicorn keeps a connection that says nothing


async def figures(client: Client) -> dict[str, float]:
    content = (await client.ask("/metrics")).content.decode()
    return {name: float(value) for name, value in re.findall(r"^(headway_\S+) ([0-9.e+-]+)$", content, re.M)}


async def is_free(client: Client) -> bool:
    found = await figures(client)
    return found['headway_texts_open{model="mt"}'] == 0 and found["headway_requests_in_flight"] == 1  # this one


async def leave(port: int, stage: str) -> None:
    """Comes, and goes without a word at a stage of its request."""
    _, writer = reader_writer = await asyncio.open_connection("127.0.0.1", port)
    content = request("/v1/completions", STREAM) if stage == "streaming" else request("/predict/mt", LONG)
    writer.write(content[:-20] if stage == "body" else content[:40] if stage == "head" else content)
    if stage == "streaming":
        await reader_writer[0].readuntil(b"\r\n\r\n")
    elif stage in ("running", "queued"):
        await asyncio.sleep(0.05)
    writer.transport.abort()


async def all_leave(port: int, count: int) -> tuple[list[float], Any]:
    stages = ("queued", "running", "streaming", "body", "head")
    seconds: list[float] = []
    async with Client(port) as client:
        before = await client.ask("/predict/mt", {"texts": [TEXT]})
        for first in range(0, count, 25):
            await asyncio.gather(*(leave(port, stages[number % 5]) for number in range(first, first + 25)))
            seconds.append(await until(lambda: is_free(client)))
        after = await client.ask("/predict/mt", {"texts": [TEXT]})
        assert (before.status, before.content) == (after.status, after.content)
        return seconds, await figures(client)


@pytest.mark.parametrize("count", [50, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_who_leaves_frees_his_place(served: Running, count: int) -> None:
    seconds, found = in_a_loop(all_leave(served.port, count))
    told("S4", disconnects=count, leaked=int(found['headway_texts_open{model="mt"}']), slowest=max(seconds))
    assert max(seconds) < STEP_SECONDS
    assert found['headway_texts_open{model="mt"}'] == 0


# ---- slow clients --------------------------------------------------------------------------------------------------

DRIP = {
    "slow head": (b"GET /models HTTP/1.1\r\n", b"x-a: b\r\n"),
    "slow body": (request("/predict/mt", b"x" * 9000)[:200], b"x"),
    "half a head, then silence": (b"POST /predict/mt HTTP/1.1\r\nhost: localhost\r\n", b""),
    "idle": (b"", b""),
    "idle after an answer": (request("/healthz"), b""),
    "half-close": (request("/healthz"), b""),
}
ASKED = {**DRIP, "half-close of a sentence": (request("/predict/mt", {"texts": [TEXT]}), b"")}


async def drip(port: int, kind: str) -> tuple[str, float]:
    """The kind, and the seconds until the server has closed the connection."""
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    first, again = ASKED[kind]
    writer.write(first)
    closed = asyncio.create_task(reader.read())
    with contextlib.suppress(OSError):  # closed already
        if kind.startswith("half-close"):
            writer.write_eof()
        while not closed.done() and time.perf_counter() - begun < 40:
            await asyncio.wait([closed], timeout=0.3)
            if again and not closed.done():
                writer.write(again)
        await closed
    writer.close()
    return kind, time.perf_counter() - begun


async def read_slowly(port: int) -> tuple[str, float]:
    """Asks for much, again and again, and reads nothing: until the server has had enough."""
    begun = time.perf_counter()
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    with contextlib.suppress(ConnectionError):
        while time.perf_counter() - begun < 40:
            writer.write(request("/openapi.json") * 20)
            await asyncio.wait_for(writer.drain(), 40)
            await asyncio.sleep(0.05)
    writer.transport.abort()
    return "slow read", time.perf_counter() - begun


async def good_client(port: int, seconds: float) -> list[float]:
    """What each of its requests took, one after another for so long."""
    found, begun = [], time.perf_counter()
    async with Client(port) as client:
        while time.perf_counter() - begun < seconds:
            answer = await client.ask("/predict/mt", {"texts": [TEXT], "decoding": {"maximum_length": 5}})
            assert answer.status == 200
            found.append(answer.seconds)
    return found


def good_client_elsewhere(port: int, seconds: float) -> list[float]:
    return asyncio.run(good_client(port, seconds))


async def be_slow(port: int, count: int) -> tuple[list[tuple[str, float]], list[float], list[float]]:
    """The good client is in a process of its own: it must not wait for the loop of the slow ones."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
        measure = partial(asyncio.get_running_loop().run_in_executor, elsewhere, good_client_elsewhere, port)
        alone = await measure(4.0)
        good = measure(LONGEST_IDLE)
        chosen = [list(DRIP)[number % len(DRIP)] for number in range(count)]
        # Few of those who read slowly, or have much computed: many of them are a flood, which is another thing.
        for place in range(0, count, 35):
            chosen[place : place + 2] = ["slow read", "half-close of a sentence"]
        found = await asyncio.gather(*(read_slowly(port) if kind == "slow read" else drip(port, kind) for kind in chosen))
        return list(found), alone, await good


@pytest.mark.parametrize("count", [35, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_slow_clients_are_cut_off(served: Running, count: int) -> None:
    """With limits.read_seconds=1; the default is 8."""
    found, alone, beside = in_a_loop(be_slow(served.port, count))
    slowest = {kind: round(max(seconds for one, seconds in found if one == kind), 2) for kind, _ in found}
    told("S5", clients=count, slowest=json.dumps(slowest), p99_alone=percentile(alone, 0.99), p99_beside=percentile(beside, 0.99))
    assert max(slowest.values()) < CLOSED_SECONDS
    if count > 100:  # a few requests tell nothing of the slowest in a hundred
        assert percentile(beside, 0.99) < 1.5 * percentile(alone, 0.99)
