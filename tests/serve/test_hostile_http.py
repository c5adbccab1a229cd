"""Requests that nobody in his right mind sends (S2): Schemathesis over every route, and bytes that are nearly HTTP.

No status that is not documented, none of 5xx but 503 with Retry-After, no traceback and no path in a body, nobody waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import percentile, request, told
from running import Running, in_a_loop

OWN_STATUSES = {200, 400, 401, 404, 405, 408, 413, 414, 415, 422, 429, 431, 503}
LEAKS = re.compile(rb"Traceback|File \"|/site-packages|/headway/|/tmp/|/home/|/root/")
NASTY = (
    b"\x00", b"\r", b"\n", b"\r\n\r\n", b"\xff\xfe", b" ", b"\t", b":", b"%00", b"%2e%2e/", b"../", b";", b"?", b"#", b"chunked",
    b"transfer-encoding: chunked\r\n", b"content-length: -1\r\n", b"content-length: 99999999999999999999\r\n", b"{", b"[" * 500,
    b'"', b"\\ud800", b"1e999", b"NaN", b"expect: 100-continue\r\n", b"upgrade: websocket\r\nconnection: upgrade\r\n",
    b"HTTP/0.9", b"HTTP/1.0", b"HTTP/2.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\xe2\x80\xae", b"host: attacker.example\r\n",
)  # fmt: skip


@pytest.mark.parametrize("cases", [100, pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])
def test_schemathesis(served: Running, cases: int) -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="makes the requests of this test")
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.errors import Unsatisfiable
    from schemathesis import GenerationMode
    from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

    schema = schemathesis.openapi.from_url(f"http://localhost:{served.port}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    posts = sum(operation.method.upper() == "POST" for operation in operations)  # the others have few cases
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    asked, rejections = 0, []

    def prove(operation: Any, mode: Any) -> None:
        @settings(
            max_examples=-(-cases // (posts * len(modes))), deadline=None, database=None, derandomize=True,
            suppress_health_check=list(HealthCheck), phases=[Phase.generate],
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case: Any) -> None:
            nonlocal asked
            if mode == GenerationMode.POSITIVE and asked % 4:
                name_a_model(case)
            answer = case.call(timeout=30)
            asked += 1
            if 400 <= answer.status_code < 500:
                rejections.append(answer.elapsed)
            assert answer.status_code < 500 or "retry-after" in answer.headers, answer.text
            assert not LEAKS.search(answer.content), answer.text
            allowed = [positive_data_acceptance]  # what the schema takes may be too long here, or for no model of this server
            if answer.status_code == 413:  # is a refusal of what is not valid, too
                allowed.append(negative_data_rejection)
            case.validate_response(answer, excluded_checks=allowed)

        holds()

    for operation in operations:
        for mode in modes:
            with contextlib.suppress(Unsatisfiable):  # nothing can be wrong in a request that has no parts
                prove(operation, mode)
    told("S2 Schemathesis", routes=len(operations), cases=asked, rejected=len(rejections), p99=percentile(rejections, 0.99))
    assert asked >= cases
    assert percentile(rejections, 0.99) < (0.05 if cases > 1000 else 1)


def name_a_model(case: Any) -> None:
    """One that is there, so that more than its name is looked at."""
    if "model" in (case.path_parameters or {}):
        case.path_parameters["model"] = "mt"
    if isinstance(case.body, dict) and "model" in case.body:
        case.body["model"] = "mt"


def mutants(count: int, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    whole = [
        request("/predict/mt", {"texts": ["two men"]}),
        request("/predict/mood", {"texts": ["two men", ""], "details": True, "decoding": {"beam_size": 2}}),
        request("/v1/completions", {"model": "mt", "prompt": "two men", "stream": True, "max_tokens": 3}),
        request("/models"),
        request("/metrics"),
        request("/healthz", method="HEAD"),
        request("/openapi.json", headers=b"accept: */*\r\nconnection: keep-alive\r\n"),
        b"POST /predict/mt HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        b'10\r\n{"texts": ["a"] \r\n1\r\n}\r\n0\r\n\r\n',
    ]
    return [mutated(rng.choice(whole) * rng.choice((1, 1, 1, 3)), rng) for _ in range(count)]


def mutated(content: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        place, kind = rng.randrange(len(content) + 1), rng.randrange(6)
        end = min(len(content), place + rng.randint(1, 12))
        if kind == 0:
            content = content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :]
        elif kind == 1:
            content = content[:place] + content[end:]
        elif kind == 2:
            content = content[:end] + content[place:]
        elif kind == 3:
            content = content[:place]
        else:
            content = content[:place] + rng.choice(NASTY) + content[place:]
    return content


async def send(port: int, content: bytes) -> tuple[bytes, float]:
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(content)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), 30), time.perf_counter() - begun
    except ConnectionError:
        return b"", time.perf_counter() - begun
    finally:
        writer.close()


async def send_all(port: int, contents: list[bytes], at_a_time: int) -> list[tuple[bytes, float]]:
    room = asyncio.Semaphore(at_a_time)

    async def one(content: bytes) -> tuple[bytes, float]:
        async with room:
            return await send(port, content)

    return list(await asyncio.gather(*(one(content) for content in contents)))


@pytest.mark.parametrize("count", [400, pytest.param(5000, marks=pytest.mark.slow)])
def test_mutants(served: Running, count: int) -> None:
    contents = mutants(count, seed=4711)
    found = in_a_loop(send_all(served.port, contents, 8))
    statuses = [int(status) for answer, _ in found for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
    refused = [seconds for answer, seconds in found if re.match(rb"HTTP/1\.1 4", answer)]
    odd = [(content, answer[:300]) for content, (answer, _) in zip(contents, found, strict=True) if is_odd(answer)]
    told("S2 mutants", sent=count, answers=len(statuses), rejected=len(refused), p99=percentile(refused, 0.99),
         slowest=max(seconds for _, seconds in found), kinds=sorted(set(statuses)))  # fmt: skip
    assert odd == []
    assert len(refused) > count // 4
    assert max(seconds for _, seconds in found) < 10
    assert served.ask("/predict/mt", {"texts": ["two men"]}).status == 200


def is_odd(answer: bytes) -> bool:
    statuses = {int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)} - {100}
    return not statuses <= OWN_STATUSES or LEAKS.search(answer) is not None or (503 in statuses and b"retry-after" not in answer)
