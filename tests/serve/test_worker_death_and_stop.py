"""Workers that are killed under load are replaced, and nobody waits for them (S8); SIGTERM under load loses nothing (S6)."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import Client, Said, request, told, under_load, until
from running import PROGRAM, Running, in_a_loop

RunOf = Callable[[str], Path]
TEXT = "the red cat sees a dog ."
BODIES = [{"texts": [TEXT, f"the house number {number} is old ."]} for number in range(20)]
SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP)


def settings(workers: int) -> tuple[str, ...]:
    return (
        "--workers",
        str(workers),
        "--threads",
        "1",
        "limits.drain_seconds=10",
        "--log-format",
        "none",
        "decoding.precision=fp32",
    )


def texts_of(server: Running, body: Any) -> list[str]:
    return [best[0]["text"] for best in server.ask("/predict/mt", body).json()["answers"]]


async def kill_again_and_again(server: Running, kills: int, found: list[Said | BaseException]) -> list[float]:
    """Seconds until as many workers answer as before, for each."""
    rng, back = random.Random(3), []
    async with Client(server.port) as client:
        for number in range(kills):
            async with under_load(server.port, "/predict/mt", BODIES, 8, found):
                await asyncio.sleep(0.3)
                before = server.workers()
                victim = rng.choice(before)
                os.kill(victim, SIGNALS[number % 3])

                async def replaced(victim: int = victim, count: int = len(before)) -> bool:
                    now = await asyncio.to_thread(server.workers)
                    ready = (await client.ask("/readyz")).status == 200
                    return ready and victim not in now and len(now) == count

                back.append(await until(replaced))
    return back


@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_workers_that_are_killed(run_of: RunOf, kills: int) -> None:
    found: list[Said | BaseException] = []
    with Running(f"mt={run_of('translation')}", *settings(2)) as server:
        alone = [texts_of(server, body) for body in BODIES]
        back = in_a_loop(kill_again_and_again(server, kills, found))
        after = [texts_of(server, body) for body in BODIES]
    answers = [one for one in found if isinstance(one, Said)]
    affected = [answer for answer in answers if answer.status != 200]
    slowest = max((answer.seconds for answer in affected), default=0.0)
    told("S8", kills=kills, requests=len(found), affected=len(affected), slowest_503=slowest, slowest_back=max(back))
    assert len(answers) == len(found)
    assert {answer.status for answer in affected} <= {503}
    assert all(answer.headers["retry-after"] for answer in affected)
    assert after == alone
    assert len(affected) <= 8 * kills
    if kills > 10:
        assert slowest < 1 + max(answer.seconds for answer in answers if answer.status == 200)
        assert max(back) < 5


# ---- SIGTERM -------------------------------------------------------------------------------------------------------


async def ask_until_it_ends(port: int, number: int, signalled: asyncio.Event, kinds: list[str]) -> None:
    """New connections all the time; tells what became of each request. None that came before the signal may be lost."""
    while True:
        sent_before = not signalled.is_set()
        try:
            async with Client(port) as client:
                answer = await client.ask("/predict/mt", BODIES[number % len(BODIES)])
        except ConnectionRefusedError:
            kinds.append("refused" if not sent_before or signalled.is_set() else "lost")
            return
        except (OSError, asyncio.IncompleteReadError):
            kinds.append("lost" if sent_before else "closed")
            return
        kinds.append({200: "answered", 503: "told 503"}.get(answer.status, f"status {answer.status}"))
        if answer.status != 200:
            assert answer.headers["retry-after"]
            if sent_before and not signalled.is_set():
                kinds.append("lost")
            return
        number += 1


async def keep_one_alive(port: int, signalled: asyncio.Event, kinds: list[str]) -> None:
    """A request on a connection that stood idle when the signal came."""
    async with Client(port) as client:
        assert (await client.ask("/healthz")).status == 200
        await signalled.wait()
        try:
            kinds.append({200: "answered", 503: "told 503"}[(await client.ask("/predict/mt", BODIES[0])).status])
        except (OSError, asyncio.IncompleteReadError):
            kinds.append("closed")


async def end_under_load(server: Running, after: float, kinds: list[str], whole_group: bool = False) -> float:
    signalled = asyncio.Event()
    asking = [asyncio.create_task(ask_until_it_ends(server.port, number, signalled, kinds)) for number in range(6)]
    asking.append(asyncio.create_task(keep_one_alive(server.port, signalled, kinds)))
    await asyncio.sleep(after)
    begun = time.perf_counter()
    if whole_group:
        os.killpg(server.process.pid, signal.SIGTERM)
    else:
        server.process.send_signal(signal.SIGTERM)
    signalled.set()
    await asyncio.gather(*asking)
    await asyncio.to_thread(server.process.wait, 30)
    return time.perf_counter() - begun


@pytest.mark.parametrize("times", [1, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_sigterm_at_any_instant(run_of: RunOf, times: int) -> None:
    rng, kinds, seconds, codes = random.Random(6), [], [], []
    for _ in range(times):
        with Running(f"mt={run_of('translation')}", *settings(1)) as server:
            seconds.append(in_a_loop(end_under_load(server, 0.1 + rng.random(), kinds)))
            codes.append(server.process.returncode)
    told(
        "S6",
        signals=times,
        slowest_end=max(seconds),
        **{kind.replace(" ", "_"): kinds.count(kind) for kind in sorted(set(kinds))},
    )
    assert "lost" not in kinds
    assert set(kinds) <= {"answered", "told 503", "refused", "closed"}
    assert set(codes) == {143}
    assert max(seconds) < 10


def test_sigterm_to_the_whole_group_loses_nothing_either(run_of: RunOf) -> None:
    """systemd and a shell send it to the workers too, and to what they are forked from."""
    kinds: list[str] = []
    with Running(f"mt={run_of('translation')}", *settings(1), program=("setsid", *PROGRAM)) as server:
        in_a_loop(end_under_load(server, 0.5, kinds, whole_group=True))
    assert set(kinds) <= {"answered", "told 503", "refused", "closed"}
    assert server.process.returncode == 143
    assert not [line for line in server.log if "a worker of" in line]


def test_a_hangup_of_the_whole_group_kills_no_worker(run_of: RunOf) -> None:
    long = {"texts": [TEXT], "decoding": {"minimum_length": 400, "maximum_length": 450}}
    with (
        Running(f"mt={run_of('translation')}", *settings(1), program=("setsid", *PROGRAM)) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(server.ask, "/predict/mt", long)
        time.sleep(0.2)
        os.killpg(server.process.pid, signal.SIGHUP)
        assert asked.result().status == 200
        assert not [line for line in server.log if "a worker of" in line]


def test_sigterm_while_it_loads(run_of: RunOf) -> None:
    for after in (0.0, 0.3):
        server = Running(f"mt={run_of('translation')}", *settings(1), loaded=False)
        time.sleep(after)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) in (143, -signal.SIGTERM)  # it may not have begun to listen for signals


def test_a_request_that_is_half_sent_ends_with_the_server(run_of: RunOf) -> None:
    with Running(f"mt={run_of('translation')}", *settings(1)) as server:
        content: Any = request("/predict/mt", BODIES[0])

        async def half() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(content[:-5])
            await asyncio.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.1)
            writer.write(content[-5:])
            return await reader.read()

        answer = in_a_loop(half())
    assert answer.startswith((b"HTTP/1.1 503", b"HTTP/1.1 200"))
