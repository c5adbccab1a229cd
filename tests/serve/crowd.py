"""Many clients at the same time, each with a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Self


class Said(NamedTuple):
    """An answer; `seconds` from the first byte that was sent to the last one that came."""

    status: int
    headers: dict[str, str]
    content: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def text(self) -> str:
        """Of the best answer to the first text."""
        return self.json()["answers"][0][0]["text"]


def request(path: str, body: Any = None, *, method: str = "", headers: bytes = b"") -> bytes:
    """As it goes over the wire; JSON of `body`, or its bytes."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = b"" if body is None else b"content-type: application/json\r\ncontent-length: %d\r\n" % len(content)
    first = f"{method or ('GET' if body is None else 'POST')} {path} HTTP/1.1\r\nhost: localhost\r\n".encode()
    return first + kind + headers + b"\r\n" + content


async def read_answer(reader: asyncio.StreamReader, begun: float) -> Said:
    """Raises IncompleteReadError when the server closes before its end."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if headers.get("transfer-encoding") == "chunked":
        content = b""
        while size := int(await reader.readline(), 16):
            content += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        content = await reader.readexactly(int(headers.get("content-length", 0)))
    return Said(int(first.split()[1]), headers, content, time.perf_counter() - begun)


class Client:
    """Connects when it is first needed, and again when the server has closed. To be used in an `async with` statement."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.leave()

    def leave(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self._reader = self.writer = None

    async def send(self, content: bytes) -> asyncio.StreamReader:
        if self._reader is None or self.writer is None:
            self._reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26)
        self.writer.write(content)
        return self._reader

    async def ask(self, path: str, body: Any = None, *, method: str = "", headers: bytes = b"") -> Said:
        begun, used = time.perf_counter(), self._reader is not None
        content = request(path, body, method=method, headers=headers)
        try:
            answer = await read_answer(await self.send(content), begun)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            if not used or getattr(error, "partial", b""):
                raise
            self.leave()  # it stood idle for too long
            answer = await read_answer(await self.send(content), begun)
        if answer.headers.get("connection") == "close":
            self.leave()
        return answer


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 30) -> float:
    """Waits until it holds; the seconds that it took. Raises AssertionError when it takes too long."""
    begun = time.perf_counter()
    while not await holds():
        assert time.perf_counter() - begun < seconds, f"not within {seconds} seconds"
        await asyncio.sleep(0.02)
    return time.perf_counter() - begun


@contextlib.asynccontextmanager
async def under_load(port: int, path: str, bodies: list[Any], clients: int, found: list[Said | BaseException]) -> Any:
    """Clients that ask again and again, a body after the other; what they got is in `found`, in the order in which it came."""
    stop = asyncio.Event()

    async def ask(number: int) -> None:
        async with Client(port) as client:
            while not stop.is_set():
                try:
                    found.append(await client.ask(path, bodies[number % len(bodies)]))
                except (OSError, asyncio.IncompleteReadError) as error:
                    found.append(error)
                    client.leave()
                    await asyncio.sleep(0.05)
                number += clients

    asking = [asyncio.create_task(ask(number)) for number in range(clients)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*asking)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def told(what: str, **figures: Any) -> None:
    """A line with what a proof has measured, for whoever runs it with -s or records it."""
    shown = ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items())
    print(f"\n[{what}] {shown}")
