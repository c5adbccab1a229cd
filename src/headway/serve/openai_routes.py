"""The routes of OpenAI's API that a model of Headway can answer, for the clients that people have."""

from __future__ import annotations

import base64
import json
import struct
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from headway.serve.limits import CHOICES, Limits
from headway.serve.problems import RESPONSES, Problem
from headway.serve.service import Service
from headway.serve.strict_route import StrictRoute

Number = StrictFloat | StrictInt
Stops = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=4)]
router = APIRouter(prefix="/v1", route_class=StrictRoute, responses=RESPONSES)


class _Asked(BaseModel):
    """What both kinds of completion are told. Settings that would change the answer and that Headway has not must be at rest."""

    model_config = ConfigDict(extra="forbid")

    model: StrictStr
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    n: Annotated[StrictInt, Field(ge=1, le=16)] = 1
    seed: Annotated[StrictInt, Field(ge=0, le=2**63 - 1)] | None = None
    stop: StrictStr | Stops | None = None
    stream: StrictBool = False
    user: StrictStr | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logit_bias: None = None

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    def job(self, most_tokens: int | None) -> dict[str, Any]:
        """Without its text."""
        decoding: dict[str, Any] = {}
        if (self.temperature is not None and self.temperature > 0) or self.n > 1:
            decoding = {"method": "sample", "n_best": self.n, "temperature": max(0.01, self.temperature or 1)}
            decoding |= {} if self.top_p is None else {"top_p": max(0.01, self.top_p)}
        elif self.temperature == 0 or self.stream:  # beams change their minds
            decoding = {"method": "greedy", "n_best": 1}
        if most_tokens is not None:
            decoding["maximum_length"] = most_tokens
        return {"decoding": decoding, "seed": self.seed or 0}


EVENTS = {"schema": {"type": "object", "properties": {"data": {"type": "string"}}}}
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": EVENTS}, "description": "the answer; with `stream` piece by piece"}
}
MostTokens = Annotated[StrictInt, Field(ge=1, le=int(CHOICES["maximum_length"][1]))] | None


class Completion(_Asked):
    """A prompt that a language model goes on from; a text for a model of another task that writes."""

    prompt: StrictStr | Annotated[list[StrictStr], Field(min_length=1)]
    max_tokens: MostTokens = None
    echo: StrictBool = False
    suffix: None = None
    logprobs: None = None
    best_of: None = None


class Message(BaseModel):
    """Something that was said."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: StrictStr


class Chat(_Asked):
    """A conversation whose next utterance is wanted."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=256)]
    max_tokens: MostTokens = None
    max_completion_tokens: MostTokens = None


class Embedding(BaseModel):
    """Texts whose vectors are wanted."""

    model_config = ConfigDict(extra="forbid")

    model: StrictStr
    input: StrictStr | Annotated[list[StrictStr], Field(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: None = None
    user: StrictStr | None = None


@router.get("/models", summary="what models there are, as OpenAI tells it")
async def models(request: Request) -> dict[str, Any]:
    """Their names."""
    service: Service = request.app.state.service
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 0, "owned_by": "headway"} for name in service.pools],
    }


@router.post("/completions", summary="what goes on from a prompt, as OpenAI tells it", responses=STREAMED)
async def completions(request: Request, asked: Completion) -> Response:
    """Texts, or with `stream` server-sent events, a piece at a time."""
    service: Service = request.app.state.service
    prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
    facts = _writer(service, asked.model)
    _refuse_long(prompts, service.limits)
    goes_on = facts["task"] == "language_model"
    jobs = [{**asked.job(asked.max_tokens), "text": prompt} for prompt in prompts]

    def shown(text: str, prompt: str) -> str:
        own = text.removeprefix(prompt) if goes_on and not asked.echo else text
        return _until(own, asked.stops)

    frame = {"id": "cmpl-0", "object": "text_completion", "created": int(time.time()), "model": asked.model}
    if asked.stream:
        if len(prompts) > 1 or asked.n > 1:
            raise Problem(422, "not_valid", "stream: only one answer is streamed", "send one prompt, and n: 1")
        texts = _shown_parts(service.stream(asked.model, jobs[0]), lambda text: shown(text, prompts[0]))
        return await _events(texts, lambda part, end: {**frame, "choices": [_choice(0, end, text=part)]})
    answers = await service.ask(asked.model, jobs)
    found = [shown(one["text"], prompt) for prompt, best in zip(prompts, answers, strict=True) for one in best]
    return _answer({**frame, "choices": [_choice(place, "stop", text=text) for place, text in enumerate(found)]})


@router.post("/chat/completions", summary="what is said next, as OpenAI tells it", responses=STREAMED)
async def chat(request: Request, asked: Chat) -> Response:
    """A model of dialogue is given what was said before as far as it looks back; any other that writes, the last message."""
    service: Service = request.app.state.service
    facts = _writer(service, asked.model)
    said = [message.content for message in asked.messages]
    _refuse_long(said, service.limits)
    job = asked.job(asked.max_completion_tokens or asked.max_tokens)
    job |= {"said": said} if facts["task"] == "dialogue" else {"text": said[-1]}
    before = said[-1] if facts["task"] == "language_model" else ""
    frame = {"id": "chatcmpl-0", "created": int(time.time()), "model": asked.model}

    def shown(text: str) -> str:
        return _until(text.removeprefix(before), asked.stops)

    if asked.stream:
        if asked.n > 1:
            raise Problem(422, "not_valid", "stream: only one answer is streamed", "send n: 1")

        def event(part: str, end: str | None) -> dict[str, Any]:
            delta = {"role": "assistant", "content": part} if end is None else {}
            return {**frame, "object": "chat.completion.chunk", "choices": [_choice(0, end, delta=delta)]}

        return await _events(_shown_parts(service.stream(asked.model, job), shown), event)
    (best,) = await service.ask(asked.model, [job])
    told = [{"role": "assistant", "content": shown(one["text"])} for one in best]
    choices = [_choice(place, "stop", message=message) for place, message in enumerate(told)]
    return _answer({**frame, "object": "chat.completion", "choices": choices})


@router.post("/embeddings", summary="vectors of texts, as OpenAI tells it")
async def embeddings(request: Request, asked: Embedding) -> Response:
    """One for each text, of unit length."""
    service: Service = request.app.state.service
    facts = service.pool(asked.model).facts or {}
    if facts.get("task") != "sentence_embedding":
        raise Problem(422, "other_task", "model: it makes no vectors", "GET /models tells the task of each")
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    _refuse_long(texts, service.limits)
    answers = await service.ask(asked.model, [{"text": text} for text in texts])
    vectors = [best[0]["vector"] for best in answers]
    data = [
        {"object": "embedding", "index": place, "embedding": _base64(vector) if asked.encoding_format == "base64" else vector}
        for place, vector in enumerate(vectors)
    ]
    return _answer({"object": "list", "model": asked.model, "data": data, "usage": {"prompt_tokens": 0, "total_tokens": 0}})


def _writer(service: Service, name: str) -> dict[str, Any]:
    """What is known of a model that writes texts. Raises Problem for another."""
    facts = service.pool(name).facts or {}
    if not facts.get("decodes"):
        raise Problem(422, "other_task", "model: it writes no text in answer to a text", "GET /models tells the task of each")
    return facts


def _refuse_long(texts: list[str], limits: Limits) -> None:
    if len(texts) > limits.texts:
        raise Problem(422, "too_many", f"{len(texts):,} texts, more than {limits.texts:,}", "send fewer at a time")
    if longest := max((len(text) for text in texts if len(text) > limits.characters), default=0):
        raise Problem(422, "too_long_text", f"a text of {longest:,} characters, more than {limits.characters:,}", "cut it")


def _until(text: str, stops: list[str]) -> str:
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _choice(index: int, end: str | None, **content: Any) -> dict[str, Any]:
    return {"index": index, **content, "logprobs": None, "finish_reason": end}


def _answer(content: dict[str, Any]) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), media_type="application/json")


async def _shown_parts(texts: AsyncIterator[str], shown: Callable[[str], str]) -> AsyncIterator[str]:
    """What each text adds to what was told; a character that is not whole yet waits for its rest."""
    told = ""
    async for text in texts:
        now = shown(text).rstrip("\ufffd")
        if now.startswith(told) and now != told:
            yield now[len(told) :]
            told = now


async def _events(parts: AsyncIterator[str], event: Callable[[str, str | None], dict[str, Any]]) -> Response:
    """Server-sent events; what goes wrong before the first is an answer like any other."""
    first = await anext(parts, None)

    async def lines() -> AsyncIterator[str]:
        if first is not None:
            yield _line(event(first, None))
        try:
            async for part in parts:
                yield _line(event(part, None))
            yield _line(event("", "stop"))
        except Problem as problem:
            yield _line(problem.as_json())
        yield "data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


def _line(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
