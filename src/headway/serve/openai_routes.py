"""The routes of OpenAI's API that a model of Headway can answer, for the clients that people have."""

from __future__ import annotations

import base64
import json
import secrets
import struct
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from headway.serve.bounds import refuse_long, refuse_many
from headway.serve.events import STREAMED, as_events
from headway.serve.limits import CHOICES
from headway.serve.openai_answers import Counted, Cut, as_told, chat_logprobs, completion_logprobs, usage
from headway.serve.problems import RESPONSES, Problem
from headway.serve.service import Service
from headway.serve.strict_route import StrictRoute

Number = StrictFloat | StrictInt
Stops = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=4, fail_fast=True)]
router = APIRouter(prefix="/v1", route_class=StrictRoute, responses=RESPONSES)


class StreamOptions(BaseModel):
    """What a stream tells beside the answer."""

    model_config = ConfigDict(extra="forbid")

    include_usage: StrictBool = False


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
    stream_options: StreamOptions | None = None
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
        warmth = 1 if self.temperature is None else self.temperature
        narrowed = self.top_p is not None and self.top_p < 1
        if self.n > 1 or (warmth > 0 and (self.temperature is not None or narrowed)):
            decoding = {"method": "sample", "n_best": self.n, "temperature": max(0.01, warmth)}
            decoding |= {} if self.top_p is None else {"top_p": max(0.01, self.top_p)}
        elif self.temperature == 0 or self.stream:  # beams change their minds
            decoding = {"method": "greedy", "n_best": 1}
        if most_tokens is not None:
            decoding["maximum_length"] = most_tokens
        return {"decoding": decoding, "seed": self.seed or 0, "details": True}

    def refuse_stream(self, texts: int, logprobs: bool) -> None:
        """Raises Problem for what cannot be streamed."""
        if texts * self.n > 1 or logprobs:
            problem = "stream: only one answer is streamed, and no logprobs"
            raise Problem(422, "not_valid", problem, "send one text, n: 1 and no logprobs")


MostTokens = Annotated[StrictInt, Field(ge=1, le=int(CHOICES["maximum_length"][1]))] | None


class Completion(_Asked):
    """A prompt that a language model goes on from; a text for a model of another task that writes."""

    prompt: StrictStr | Annotated[list[StrictStr], Field(min_length=1, fail_fast=True)]
    max_tokens: MostTokens = None
    echo: StrictBool = False
    suffix: None = None
    logprobs: Annotated[StrictInt, Field(ge=0, le=0)] | None = None  # of what was written, and of nothing beside it
    best_of: None = None


class TextPart(BaseModel):
    """A part of something that was said."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: StrictStr


class Message(BaseModel):
    """Something that was said. What a system or a developer says is no part of the conversation, and is left out."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "developer", "user", "assistant"]
    content: StrictStr | Annotated[list[TextPart], Field(min_length=1, max_length=64, fail_fast=True)]
    name: StrictStr | None = None

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class Chat(_Asked):
    """A conversation whose next utterance is wanted."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=256, fail_fast=True)]
    max_tokens: MostTokens = None
    max_completion_tokens: MostTokens = None
    logprobs: StrictBool = False
    top_logprobs: Literal[0] | None = None

    @property
    def said(self) -> list[str]:
        """Raises Problem where nobody has said anything."""
        found = [message.text for message in self.messages if message.role in ("user", "assistant")]
        if not found:
            raise Problem(422, "not_valid", "messages: nothing is said by a user", "send one with the role user")
        return found


class Embedding(BaseModel):
    """Texts whose vectors are wanted."""

    model_config = ConfigDict(extra="forbid")

    model: StrictStr
    input: StrictStr | Annotated[list[StrictStr], Field(min_length=1, fail_fast=True)]
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
    refuse_many("prompt", len(prompts), service.limits.texts)
    refuse_long("prompt", prompts, service.limits.characters)
    goes_on = facts["task"] == "language_model" and not asked.echo
    jobs = [{**asked.job(asked.max_tokens), "text": prompt} for prompt in prompts]
    frame = _frame("cmpl", "text_completion", asked.model)
    if asked.stream:
        asked.refuse_stream(len(prompts), asked.logprobs is not None)

        def event(part: str, end: str | None) -> dict[str, Any]:
            return {**frame, "choices": [_choice(0, end, text=part)]}

        told = as_told(service.stream(asked.model, jobs[0]), Cut(prompts[0] if goes_on else "", asked.stops), event)
        return await as_events(_with_usage(told, asked, frame))
    answers = await service.ask(asked.model, jobs)
    choices: list[dict[str, Any]] = []
    for prompt, best in zip(prompts, answers, strict=True):
        cut = Cut(prompt if goes_on else "", asked.stops)
        for one in best:
            logprobs = None if asked.logprobs is None else completion_logprobs(one)
            choices.append(_choice(len(choices), cut.end(one), logprobs, text=cut(one["text"])))
    return _answer({**frame, "choices": choices, "usage": usage(answers)})


@router.post("/chat/completions", summary="what is said next, as OpenAI tells it", responses=STREAMED)
async def chat(request: Request, asked: Chat) -> Response:
    """A model of dialogue is given what was said before as far as it looks back; any other that writes, the last message."""
    service: Service = request.app.state.service
    facts = _writer(service, asked.model)
    said = asked.said
    refuse_many("messages", len(said), service.limits.texts)
    refuse_long("messages", said, service.limits.characters)
    job = asked.job(asked.max_completion_tokens or asked.max_tokens)
    job |= {"said": said} if facts["task"] == "dialogue" else {"text": said[-1]}
    cut = Cut(said[-1] if facts["task"] == "language_model" else "", asked.stops)
    frame = _frame("chatcmpl", "chat.completion", asked.model)
    if asked.stream:
        asked.refuse_stream(1, asked.logprobs)
        frame["object"] = "chat.completion.chunk"

        def event(part: str, end: str | None) -> dict[str, Any]:
            delta = {"role": "assistant", "content": part} if end is None else {}
            return {**frame, "choices": [_choice(0, end, delta=delta)]}

        return await as_events(_with_usage(as_told(service.stream(asked.model, job), cut, event), asked, frame))
    (best,) = await service.ask(asked.model, [job])
    choices = []
    for place, one in enumerate(best):
        message = {"role": "assistant", "content": cut(one["text"])}
        choices.append(_choice(place, cut.end(one), chat_logprobs(one) if asked.logprobs else None, message=message))
    return _answer({**frame, "choices": choices, "usage": usage([best])})


@router.post("/embeddings", summary="vectors of texts, as OpenAI tells it")
async def embeddings(request: Request, asked: Embedding) -> Response:
    """One for each text, of unit length."""
    service: Service = request.app.state.service
    facts = service.pool(asked.model).facts or {}
    if facts.get("task") != "sentence_embedding":
        raise Problem(422, "other_task", "model: it makes no vectors", "GET /models tells the task of each")
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    refuse_many("input", len(texts), service.limits.texts)
    refuse_long("input", texts, service.limits.characters)
    answers = await service.ask(asked.model, [{"text": text, "details": True} for text in texts])
    vectors = [best[0]["vector"] for best in answers]
    data = [
        {"object": "embedding", "index": place, "embedding": _base64(vector) if asked.encoding_format == "base64" else vector}
        for place, vector in enumerate(vectors)
    ]
    return _answer({"object": "list", "model": asked.model, "data": data, "usage": usage(answers)})


def _writer(service: Service, name: str) -> dict[str, Any]:
    """What is known of a model that writes texts. Raises Problem for another."""
    facts = service.pool(name).facts or {}
    if not facts.get("decodes"):
        raise Problem(422, "other_task", "model: it writes no text in answer to a text", "GET /models tells the task of each")
    return facts


def _frame(prefix: str, kind: str, model: str) -> dict[str, Any]:
    return {"id": f"{prefix}-{secrets.token_hex(12)}", "object": kind, "created": int(time.time()), "model": model}


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _choice(index: int, end: str | None, logprobs: dict[str, Any] | None = None, **content: Any) -> dict[str, Any]:
    return {"index": index, **content, "logprobs": logprobs, "finish_reason": end}


def _answer(content: dict[str, Any]) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), media_type="application/json")


async def _with_usage(
    told: AsyncIterator[dict[str, Any] | Counted], asked: _Asked, frame: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """The events, and at last, where it is asked for, one without a choice that counts the pieces."""
    counts = asked.stream_options is not None and asked.stream_options.include_usage
    async for event in told:
        if not isinstance(event, Counted):
            yield {**event, "usage": None} if counts else event
        elif counts:
            yield {**frame, "choices": [], "usage": event.usage}
