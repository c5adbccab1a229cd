"""Clients that leave free their place within a step (S4); clients that are slow are cut off, and harm nobody (S5)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import Client, percentile, request, told, until
from running import Running, in_a_loop

RunOf = Callable[[str], Path]
TEXT = "the red cat sees a dog ."
LONG = {"texts": [TEXT] * 8, "decoding": {"method": "greedy", "n_best": 1, "minimum_length": 900, "maximum_length": 1000}}
STREAM = {"model": "mt", "prompt": TEXT, "stream": True, "max_tokens": 1000}
STEP_SECONDS = 0.5  # a decoding step of a tiny model takes about a hundredth of it
CLOSED_SECONDS = 10.0
ARRIVING = 100  # slow clients a second


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
    """Asks for much, goes on asking, and reads nothing: until the server has had enough."""
    begun = time.perf_counter()
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # else the system reads megabytes for it
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", port))
    _, writer = await asyncio.open_connection(sock=narrow, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(request("/openapi.json") * 60)  # more than the systems between them hold
    with contextlib.suppress(ConnectionError):
        while time.perf_counter() - begun < 40:
            await asyncio.wait_for(writer.drain(), 40)
            await asyncio.sleep(0.05)
            writer.write(request("/openapi.json"))
    writer.transport.abort()
    return "slow read", time.perf_counter() - begun


async def all_are_slow(port: int, count: int) -> list[tuple[str, float]]:
    chosen = [list(DRIP)[number % len(DRIP)] for number in range(count)]
    # Few of those who read slowly, or have much computed: many of them are a flood, which is another thing.
    for place in range(0, count, 35):
        chosen[place : place + 2] = ["slow read", "half-close of a sentence"]
    coming = []
    for kind in chosen:
        coming.append(asyncio.create_task(read_slowly(port) if kind == "slow read" else drip(port, kind)))
        await asyncio.sleep(1 / ARRIVING)  # who comes at the same instant is a flood, too
    return await asyncio.gather(*coming)


def yielding_slow_clients(port: int, count: int) -> list[tuple[str, float]]:
    """For a process of their own, which takes no more of the server's cores than is left: they would be on other machines."""
    os.nice(19)
    return asyncio.run(all_are_slow(port, count))


async def good_client(port: int, holds: Callable[[], bool]) -> list[float]:
    """What each of its requests took, one after another while it holds."""
    found = []
    async with Client(port) as client:
        while holds():
            answer = await client.ask("/predict/mt", {"texts": [TEXT], "decoding": {"maximum_length": 5}})
            assert answer.status == 200
            found.append(answer.seconds)
    return found


async def beside_slow_ones(port: int, count: int) -> tuple[list[tuple[str, float]], list[float], list[float]]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
        start = partial(asyncio.get_running_loop().run_in_executor, elsewhere, yielding_slow_clients, port)
        await start(0)  # the process is there before anything is measured
        begun = time.perf_counter()
        alone = await good_client(port, lambda: time.perf_counter() - begun < 5)
        slow = start(count)
        beside = await good_client(port, lambda: not slow.done())
        return await slow, alone, beside


def slowest_of_each(found: list[tuple[str, float]]) -> dict[str, float]:
    return {kind: round(max(seconds for one, seconds in found if one == kind), 2) for kind, _ in found}


def test_slow_clients_are_cut_off(served: Running) -> None:
    """With limits.read_seconds=1."""
    found = in_a_loop(all_are_slow(served.port, 35))
    assert max(slowest_of_each(found).values()) < CLOSED_SECONDS
    assert served.ask("/predict/mt", {"texts": [TEXT]}).status == 200


@pytest.mark.slow
def test_a_good_client_is_answered_as_fast_beside_slow_ones(run_of: RunOf) -> None:
    """With the limits that a server has by itself."""
    with Running(f"mt={run_of('translation')}", "--workers", "1", "--threads", "1", "--log-format", "none") as server:
        found, alone, beside = in_a_loop(beside_slow_ones(server.port, 500))
    slowest = slowest_of_each(found)
    p99_alone, p99_beside = percentile(alone, 0.99), percentile(beside, 0.99)
    told("S5", clients=len(found), slowest=json.dumps(slowest), p99_alone=p99_alone, p99_beside=p99_beside, asked=len(beside))
    assert max(slowest.values()) < CLOSED_SECONDS
    assert p99_beside < 1.5 * p99_alone
