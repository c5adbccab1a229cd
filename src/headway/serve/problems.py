"""What a client is told when something is wrong: a status, a code for programs, a sentence for people and a remedy."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Problem(Exception):
    """Ends a request with this answer."""

    def __init__(
        self, status: int, code: str, message: str, remedy: str | None = None, *, retry_after: int | None = None
    ) -> None:
        self.status, self.code, self.message, self.remedy, self.retry_after = status, code, message, remedy, retry_after
        super().__init__(message)

    def as_json(self) -> dict[str, Any]:
        told = {"code": self.code, "message": self.message, "remedy": self.remedy}
        return {"error": {key: value for key, value in told.items() if value is not None}}

    @property
    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after)} if self.retry_after is not None else {}


class Told(BaseModel):
    """One problem."""

    code: str = Field(description="for programs, such as too_busy")
    message: str = Field(description="what is wrong, and where")
    remedy: str | None = Field(None, description="what to do about it")


class ProblemBody(BaseModel):
    """The body of every answer that is none."""

    error: Told


STATUSES = {
    400: "the request is no HTTP, or is for another host",
    401: "an API key is missing or wrong",
    404: "there is no such model or page",
    405: "the method is another",
    408: "the request came too slowly",
    413: "the body is too large",
    415: "the body is no plain JSON",
    422: "a field is not valid",
    429: "too many wait: try again later",
    500: "the model failed on this text",
    503: "no worker can answer just now",
    504: "the answer took too long",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemBody, "description": told} for status, told in STATUSES.items()
}
