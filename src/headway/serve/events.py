"""Server-sent events: an answer that is told while it is made, for the clients of every route.

data: {…}      again and again
data: [DONE]   at last
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Response
from fastapi.responses import StreamingResponse

from headway.serve.problems import Problem

EVENTS = {"schema": {"type": "object", "properties": {"data": {"type": "string"}}}}
STREAMED: dict[int | str, dict[str, Any]] = {  # of a route that may answer so
    200: {"content": {"text/event-stream": EVENTS}, "description": "the answer; with `stream` piece by piece"}
}


async def as_events(told: AsyncIterator[dict[str, Any]]) -> Response:
    """An event for each; what goes wrong before the first is an answer like any other, and after it an event.

    When the client leaves, `told` is closed. Raises Problem.
    """
    first = await anext(told, None)

    async def lines() -> AsyncIterator[str]:
        try:
            if first is not None:
                yield _line(first)
            async for content in told:
                yield _line(content)
        except Problem as problem:
            yield _line(problem.as_json())
        yield "data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


def _line(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
