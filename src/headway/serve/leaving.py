"""Clients that leave: nobody waits for their answers any more, so nothing more is computed for them."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

GONE = 499  # the status of a request whose client has left before the end of its answer


class Presence:
    """A request that ends when its client has gone.

    Attributes:
        gone: the client has left before the end of its answer.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._heard_all = asyncio.Event()
        self._answered = False
        self.gone = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Answers it; returns early when the client has gone."""
        this = asyncio.current_task()
        assert this is not None
        watching = asyncio.create_task(self._watch(this))
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            if not self.gone:
                raise
            this.uncancel()
        finally:
            watching.cancel()

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.gone = not self._answered
        elif not message.get("more_body"):
            self._heard_all.set()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._answered = True  # from here on uvicorn tells of a client that has gone, whether it has or not
        await self._send(message)

    async def _watch(self, answering: asyncio.Task[None]) -> None:
        await self._heard_all.wait()  # until then who reads the body hears of it
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._answered:
            self.gone = True
            answering.cancel()
