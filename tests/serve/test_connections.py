"""A connection by itself: what it holds of a client's bytes, and how long it is held."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

import uvicorn
from running import in_a_loop
from uvicorn.server import ServerState

from headway.serve.connections import LONGEST_HEAD, LONGEST_REST, MOST_HEADERS, BoundedProtocol

CHUNKED = b"GET /healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
UNSENT = b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n"
PLAIN = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


class Wire(asyncio.Transport):
    """What a connection writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Hasty(BoundedProtocol):
    seconds = 0.2


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers without a look at the body; /slow never does."""
    if scope["path"] == "/slow":
        await asyncio.sleep(60)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def connected() -> tuple[Hasty, Wire]:
    config = uvicorn.Config(app, http=Hasty, ws="none", lifespan="off", log_config=None, timeout_keep_alive=1)
    config.load()
    protocol, wire = Hasty(config, ServerState(), {}, asyncio.get_running_loop()), Wire()
    protocol.connection_made(wire)
    return protocol, wire


def run(work: Coroutine[Any, Any, None]) -> None:
    in_a_loop(work)


async def said(protocol: Hasty, *parts: bytes) -> None:
    for part in parts:
        protocol.data_received(part)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("rest", [b"x", b"\r\n"], ids=["a byte of a body", "an empty line"])
def test_who_is_answered_and_says_next_to_nothing_is_not_held(rest: bytes) -> None:
    async def prove() -> None:
        protocol, wire = connected()
        await said(protocol, PLAIN if rest == b"\r\n" else UNSENT)
        assert wire.written.endswith(b"ok")
        assert not wire.closed
        await said(protocol, rest)
        await asyncio.sleep(0.3)
        assert wire.closed
        assert wire.written.count(b"HTTP/1.1") == 1

    run(prove())


def test_a_body_that_comes_after_its_answer_harms_no_request_behind_it() -> None:
    async def prove() -> None:
        protocol, wire = connected()
        await said(
            protocol, b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n", b"x" * 50_000, b"x" * 50_000, PLAIN
        )
        await asyncio.sleep(0.3)
        assert wire.written.count(b"200 OK") == 2
        assert not wire.closed

    run(prove())


def test_what_comes_after_an_answer_is_bounded() -> None:
    async def prove() -> None:
        protocol, wire = connected()
        await said(protocol, UNSENT)
        for _ in range(3):
            protocol.data_received(b"x" * (LONGEST_REST // 2))
        assert wire.closed
        assert wire.written.count(b"HTTP/1.1") == 1

    run(prove())


@pytest.mark.parametrize("trailer", [b"a: b\r\n" * 1000, b"a" * 6000], ids=["many", "a long one"])
def test_trailers_are_bounded_and_kept_nowhere(trailer: bytes) -> None:
    async def prove() -> None:
        protocol, wire = connected()
        await said(protocol, CHUNKED.replace(b"/healthz", b"/slow"), b"1\r\nx\r\n0\r\n")
        for _ in range(LONGEST_HEAD // 6000 + 2):
            if not wire.closed:
                protocol.data_received(trailer)
        assert wire.closed
        assert wire.written.startswith(b"HTTP/1.1 431 ")
        assert len(protocol.headers) == 2
        for task in protocol.tasks:
            task.cancel()

    run(prove())


def test_a_few_trailers_do_no_harm() -> None:
    async def prove() -> None:
        protocol, wire = connected()
        await said(protocol, CHUNKED, b"1\r\nx\r\n0\r\n", b"a: b\r\n" * MOST_HEADERS + b"\r\n", PLAIN)
        assert wire.written.count(b"200 OK") == 2
        assert not wire.closed

    run(prove())
