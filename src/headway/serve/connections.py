"""What uvicorn leaves open: how long the head of a request may be and take, and how long an answer may lie unread."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 32 * 1024
LONGEST_URL = 8 * 1024
LONGEST_REST = 1 << 20  # of a body that goes on after its answer
MOST_HEADERS = 100


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is closed when its client is too slow, or says too much before it comes to the point."""

    seconds = 8.0  # for the head of a request, and for reading an answer
    most = 1024  # connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._in_head, self._bytes = False, 0  # since a request began, or a part of a body that somebody waits for
        self._unread: asyncio.TimerHandle | None = None
        self._headless: asyncio.TimerHandle | None = self.loop.call_later(self.seconds, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clocks()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        super().data_received(data)
        if self._is_answered() and self._headless is None:  # uvicorn's own clock stops at the first byte
            self._headless = self.loop.call_later(self.seconds, self._give_up)
        if not self._in_head and self._is_answered():
            if self._bytes > LONGEST_REST:
                self.transport.close()
        elif self._bytes > LONGEST_HEAD:
            long_url = len(getattr(self, "url", b"")) > LONGEST_URL
            self._refuse(b"414 URI Too Long" if long_url else b"431 Request Header Fields Too Large")

    def _is_answered(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        if self.cycle is not None:
            self._bytes = 0
        if self._headless is None:
            self._headless = self.loop.call_later(self.seconds, self._give_up)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # nobody reads trailers
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        if not self._is_answered():
            self._bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        self._in_head, self._bytes = False, 0
        if self._headless is not None:
            self._headless.cancel()
            self._headless = None
        if len(self.connections) > self.most:
            self._refuse(b"503 Service Unavailable\r\nretry-after: 1")
        elif len(self.url) > LONGEST_URL:
            self._refuse(b"414 URI Too Long")
        elif len(self.headers) > MOST_HEADERS:
            self._refuse(b"431 Request Header Fields Too Large")
        elif self._is_ambiguous():
            self._refuse(b"400 Bad Request")
        else:
            super().on_headers_complete()
            return
        self.parser = cast(Any, _Deaf())

    def _is_ambiguous(self) -> bool:
        """Whether another server might find another end of its body: two lengths, or a length and chunks."""
        names = [name for name, _ in self.headers]
        lengths, chunked, hosts = (names.count(name) for name in (b"content-length", b"transfer-encoding", b"host"))
        return lengths > 1 or chunked > 1 or bool(lengths and chunked) or hosts > 1

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _stop_clocks(self) -> None:
        for clock in (self._headless, self._unread):
            if clock is not None:
                clock.cancel()

    def _give_up(self) -> None:
        if self._in_head:
            self._refuse(b"408 Request Timeout")
        else:
            self.transport.close()

    def _refuse(self, status: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:  # else amid an answer
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


class _Deaf:
    """In the place of a parser that is to hear no more."""

    def feed_data(self, data: bytes) -> None:
        del data

    def __getattr__(self, name: str) -> Any:
        return lambda: False
