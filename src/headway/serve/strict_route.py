"""How bodies are read: JSON alone, bounded in size and time, and each field told of where it is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from headway.serve.limits import Limits
from headway.serve.problems import Problem
from headway.serve.strict_json import BadJson, parse

LEFT = 499  # the status of an answer that nobody waits for


class StrictRequest(Request):
    """One whose body is bounded, and may be of one type only; `kind` None: of any."""

    kind: str | None = "application/json"

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await _read(self, self.kind)
        return self._body

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            try:
                self._json = parse(await self.body())
            except BadJson as bad:
                raise Problem(422, "bad_json", f"the body {bad}") from None
        return self._json


async def _read(request: Request, kind: str | None) -> bytes:
    """Raises Problem for a body that is too large, too slow, compressed, or of another type."""
    limits: Limits = request.app.state.limits
    most = limits.bytes_of(request.scope["path"])
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "encoded_body", "the body is compressed", "send it as it is")
    if kind is not None and request.headers.get("content-type", "").partition(";")[0].strip().lower() != kind:
        raise Problem(415, "not_json" if "json" in kind else "other_type", f"the body is not {kind}", f"set content-type: {kind}")
    content = bytearray()
    parts = request.stream()
    while True:
        try:
            part = await asyncio.wait_for(anext(parts), limits.read_seconds)
        except StopAsyncIteration:
            return bytes(content)
        except TimeoutError:
            raise Problem(408, "too_slow", f"the body stood still for {limits.read_seconds:g} seconds") from None
        content += part
        if len(content) > most:
            raise Problem(413, "too_large", f"the body has more than {most:,} bytes", "send less at a time")


class StrictRoute(APIRoute):
    """A route whose body is read so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if self.body_field is None:
                return await handle(strict)
            await strict.json()
            return await while_there(strict, handle(strict))

        return strictly


async def while_there(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Its answer, for which it is not worked on when the client has left. The body must have been read."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else Response(status_code=LEFT)
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def mistakes_of(errors: list[Any]) -> Problem:
    """What pydantic found, as one problem that names the field, the value's kind and the limit, but not the text."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    given = first.get("input")
    shown = f": {json.dumps(given)[:40]}" if isinstance(given, int | float | bool) or given is None else ""
    return Problem(422, "not_valid", f"{where}: {first['msg']}{shown}{more}")
