"""What a client is told when something is wrong: a status, a code for programs, a sentence for people and a remedy."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

SEE_FIELDS = "/docs tells what each field may be"  # remedies of several routes
TRY_AGAIN = "try again in a moment"


class Problem(Exception):
    """Ends a request with this answer."""

    def __init__(self, status: int, code: str, message: str, remedy: str, *, retry_after: int | None = None) -> None:
        self.status, self.code, self.message, self.remedy, self.retry_after = status, code, message, remedy, retry_after
        self.closes = status in (408, 413, 415) or code == "stopping"  # the rest of the body is not read, or nothing more
        super().__init__(message)

    def as_json(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message, "remedy": self.remedy}}

    def response(self) -> JSONResponse:
        """The answer that tells it; where the rest of the body is not read, the last one of its connection."""
        return JSONResponse(self.as_json(), self.status, self._headers())

    def plain(self) -> JSONResponse:
        """The same as LibreTranslate tells it: a text, and 400 for what is not valid."""
        status = 400 if self.status == 422 else self.status
        return JSONResponse({"error": f"{self.message}: {self.remedy}"}, status, self._headers())

    def _headers(self) -> dict[str, str]:
        headers = {"retry-after": str(self.retry_after)} if self.retry_after is not None else {}
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.closes:
            headers["connection"] = "close"
        return headers


class Told(BaseModel):
    """One problem."""

    code: str = Field(description="for programs, such as too_busy")
    message: str = Field(description="what is wrong, and where")
    remedy: str = Field(description="what to do about it")


class ProblemBody(BaseModel):
    """The body of every answer that is none."""

    error: Told


STATUSES = {
    400: "the request is no HTTP, or is for another host",
    401: "an API key is missing or wrong",
    403: "the API key in the body is missing or wrong",
    404: "there is no such model or page",
    405: "the method is another",
    408: "the request came too slowly",
    413: "the body is too large",
    415: "the body is no plain JSON",
    422: "a field is not valid",
    429: "too many wait: try again later",
    500: "the model failed on this text",
    501: "a package that this needs is not installed",
    503: "no worker can answer just now",
    504: "the answer took too long",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemBody, "description": told} for status, told in STATUSES.items() if status not in (403, 501)
}
