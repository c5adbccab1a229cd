"""Answers of a worker in the words of OpenAI's API: what is shown of a text, why it ends, what was counted."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

Best = list[dict[str, Any]]  # the answers to a text, best first


@dataclass(frozen=True)
class Cut:
    """What is shown of an answer.

    Attributes:
        prompt: what it begins with, and is not shown. stops: texts before which it ends.
    """

    prompt: str
    stops: Sequence[str]

    def __call__(self, text: str) -> str:
        own = text.removeprefix(self.prompt)
        return own[: min(self._places(own), default=len(own))]

    def so_far(self, text: str) -> str:
        """What is shown of a text that goes on: not its end, where that may become a stop, nor half a character."""
        shown = self(text).rstrip("\ufffd")
        begun = (size for stop in self.stops for size in range(1, len(stop)) if shown.endswith(stop[:size]))
        return shown[: len(shown) - max(begun, default=0)]

    def end(self, answer: dict[str, Any]) -> str:
        """Why it ends there: ``length``, it might not be longer; else ``stop``."""
        stopped = bool(self._places(answer["text"].removeprefix(self.prompt)))
        return "stop" if stopped else str(answer.get("ends", "stop"))

    def _places(self, text: str) -> list[int]:
        return [place for stop in self.stops if (place := text.find(stop)) >= 0]


@dataclass(frozen=True)
class Counted:
    """The end of a stream."""

    usage: dict[str, int]


async def as_told(
    answers: AsyncIterator[str | Best], cut: Cut, event: Callable[[str, str | None], dict[str, Any]]
) -> AsyncIterator[dict[str, Any] | Counted]:
    """An event for what each text adds to what was told, one for the end, and the count."""
    told = ""
    async for written in answers:
        now = cut.so_far(written) if isinstance(written, str) else cut(written[0]["text"]).rstrip("\ufffd")
        if now.startswith(told) and now != told:
            yield event(now[len(told) :], None)
            told = now
        if not isinstance(written, str):
            yield event("", cut.end(written[0]))
            yield Counted(usage([written]))


def usage(answers: Sequence[Best]) -> dict[str, int]:
    """Pieces that were read of the texts, and written of all answers; of vectors nothing is written."""
    read = sum(best[0].get("read", 0) for best in answers)
    counts = [one["written"] for best in answers for one in best if "written" in one]
    written = {"completion_tokens": sum(counts)} if counts else {}
    return {"prompt_tokens": read, **written, "total_tokens": read + sum(counts)}


def completion_logprobs(answer: dict[str, Any]) -> dict[str, Any]:
    """Of each piece that was written, as the vocabulary has it."""
    tokens = answer.get("tokens", [])
    return {
        "tokens": [token["piece"] for token in tokens],
        "token_logprobs": [_log(token["probability"]) for token in tokens],
        "top_logprobs": None,
        "text_offset": None,
    }


def chat_logprobs(answer: dict[str, Any]) -> dict[str, Any]:
    """The same as a chat has it."""
    told = [(token["piece"], _log(token["probability"])) for token in answer.get("tokens", [])]
    content = [{"token": piece, "logprob": logprob, "bytes": None, "top_logprobs": []} for piece, logprob in told]
    return {"content": content, "refusal": None}


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else -9999.0  # so OpenAI's API tells what has none
