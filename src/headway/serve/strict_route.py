"""How bodies are read: JSON alone, bounded in size and time, and each field told of where it is wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from headway.serve.limits import Limits
from headway.serve.problems import SEE_FIELDS, Problem
from headway.serve.strict_json import BadJson, parse

LONGEST_PART = 40  # characters of a field's name, which a client may have made up
REMEDIES = {  # by the kinds of mistakes that pydantic knows
    "missing": f"send it; {SEE_FIELDS}",
    "extra_forbidden": "leave it out; /docs tells which fields there are",
}
LEAST_BYTES_A_SECOND = 16 * 1024  # that a body must come with, after its first seconds


class StrictRequest(Request):
    """One whose body is bounded, and of one of these types; of any where there are none."""

    kinds: tuple[str, ...] = ("application/json",)
    whole = False  # it is all read

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await read_body(self, *self.kinds)
            self.whole = True
        return self._body

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            try:
                self._json = parse(await self.body())
            except BadJson as bad:
                raise bad_body(bad) from None
        return self._json


async def read_body(request: Request, *kinds: str) -> bytes:
    """The body, of one of these types where there are any. Raises Problem: too large, too slow, compressed, of another type."""
    limits: Limits = request.app.state.limits
    most = limits.bytes_of(request.scope["path"])
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "encoded_body", "the body is compressed", "send it as it is")
    if kinds and kind_of(request) not in kinds:
        code = "not_json" if "application/json" in kinds else "other_type"
        raise Problem(415, code, f"the body is not {' or '.join(kinds)}", f"set content-type: {kinds[0]}")
    content = bytearray()
    parts = request.stream()
    late = time.monotonic() + limits.read_seconds
    while True:
        try:  # who sends a byte now and then is as slow as who sends none
            part = await asyncio.wait_for(anext(parts), late + len(content) / LEAST_BYTES_A_SECOND - time.monotonic())
        except StopAsyncIteration:
            return bytes(content)
        except TimeoutError:
            problem = f"the body is not there after {limits.read_seconds:g} seconds and more"
            raise Problem(408, "too_slow", problem, "send it faster, or less at a time") from None
        except ClientDisconnect:
            raise Problem(400, "gone", "the client has left", "ask again") from None
        content += part
        if len(content) > most:
            raise Problem(413, "too_large", f"the body has more than {most:,} bytes", "send less at a time")


def bad_body(bad: BadJson) -> Problem:
    """What is told of a body that cannot be read."""
    return Problem(422, "bad_json", f"the body {bad}", "/docs has an example of each body")


def kind_of(request: Request) -> str:
    """The type of the body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


class StrictRoute(APIRoute):
    """A route whose body is read so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if self.body_field is not None:
                await strict.json()
            return await handle(strict)

        return strictly


def mistakes_of(errors: list[Any]) -> Problem:
    """What pydantic found, as one problem that names the field, the value's kind and the limit, but not the text."""
    first = errors[0]
    where = ".".join(str(part)[:LONGEST_PART] for part in first["loc"] if part != "body") or "the body"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    given = first.get("input")
    shown = f": {json.dumps(given)[:40]}" if isinstance(given, int | float | bool) or given is None else ""
    remedy = REMEDIES.get(first["type"], SEE_FIELDS)
    return Problem(422, "not_valid", f"{where}: {first['msg']}{shown}{more}", remedy)
