"""The routes of LibreTranslate, for the clients that people have: the translators of this server, chosen by their languages.

A body is JSON or a form; it may carry the key. What goes wrong is told as `{"error": "text"}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from headway.languages import base_language
from headway.serve import documents
from headway.serve.bounds import refuse_long, refuse_many
from headway.serve.guards import UNPROVED
from headway.serve.language_names import NAMES
from headway.serve.limits import CHOICES, Limits
from headway.serve.problems import STATUSES, Problem
from headway.serve.service import Service
from headway.serve.strict_json import BadJson, parse
from headway.serve.strict_route import bad_body, kind_of, mistakes_of, read_body

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
AUTO = "auto"
BEAMS = 5  # at least, where alternatives are wanted
MOST_FIELDS = 16  # of a form, beside its texts
Code = Annotated[str, StringConstraints(min_length=1, max_length=35)]


_Kind = TypeVar("_Kind", bound="_Given")


class PlainError(BaseModel):
    """The body of every answer that is none."""

    error: str


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")

    api_key: str | None = None


class Translate(_Given):
    """Texts, and the languages that they are in and are wanted in."""

    q: str | Annotated[list[str], Field(min_length=1, fail_fast=True)]
    source: Code = Field(description="its code, or auto")
    target: Code
    format: Literal["text", "html"] = "text"
    alternatives: Annotated[int, Field(ge=0, le=int(CHOICES["n_best"][1]) - 1)] = 0


class Detect(_Given):
    """A text whose language is wanted."""

    q: str


class Detected(BaseModel):
    """A language, and how sure that is, from 0 to 100."""

    confidence: float
    language: str


class Language(BaseModel):
    """A language, and into which ones it is translated."""

    code: str
    name: str
    targets: list[str]


class _PlainRoute(APIRoute):
    """A route that tells a problem as LibreTranslate does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def plainly(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem as problem:
                return problem.plain()

        return plainly


def _body(kind: type[BaseModel]) -> dict[str, Any]:
    """What the schema tells of a body that the route reads by itself."""
    content = {name: {"schema": kind.model_json_schema()} for name in (JSON, FORM)}
    return {"requestBody": {"required": True, "content": content}}


_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": PlainError, "description": told} for status, told in STATUSES.items() if status not in (401, 404, 422)
}
_RESPONSES[400]["description"] = "a field is not valid, or the request is for another host"
router = APIRouter(route_class=_PlainRoute, responses=_RESPONSES)


@router.get("/languages", summary="what is translated into what, as LibreTranslate tells it")
async def languages(request: Request) -> list[Language]:
    """Every language that a model reads or writes."""
    if request.scope.get(UNPROVED):  # its client sends the key in the body, of a GET too
        has_form = kind_of(request) == FORM
        fields = _form(await read_body(request, FORM), request.app.state.limits) if has_form else {}
        request.app.state.keys.prove(request.scope, fields.get("api_key"))
    targets: dict[str, list[str]] = {}
    for _, source, target in _directions(request.app.state.service):
        targets.setdefault(source, []).append(target)
        targets.setdefault(target, [])
    return [
        Language(code=code, name=NAMES.get(base_language(code), code), targets=sorted(set(found)))
        for code, found in sorted(targets.items())
    ]


@router.post("/translate", summary="translations, as LibreTranslate gives them", openapi_extra=_body(Translate))
async def translate(request: Request) -> dict[str, Any]:
    """`translatedText` of one text or of each, by the first model that has the direction."""
    asked = await _read(request, Translate)
    service: Service = request.app.state.service
    texts = [asked.q] if isinstance(asked.q, str) else asked.q
    refuse_many("q", len(texts), service.limits.texts)
    refuse_long("q", texts, service.limits.characters)
    detected = await _sources(request, texts, asked)
    found: list[list[str]] = [[]] * len(texts)
    before, shared = documents.Asked(), {"decoding": _decoding(asked)}
    for source in dict.fromkeys(one.language for one in detected):
        places = [place for place, one in enumerate(detected) if one.language == source]
        model, of, to = _model(service, source, asked.target)
        own = [texts[place] for place in places]
        several = await documents.translate(service, model, own, asked.format, shared, to, of, before)
        for place, translations in zip(places, several, strict=True):
            found[place] = translations
    answer: dict[str, Any] = {"translatedText": [best for best, *_ in found]}
    if asked.alternatives:
        answer["alternatives"] = [others for _, *others in found]
    if asked.source == AUTO:
        answer["detectedLanguage"] = [one.model_dump() for one in detected]
    return {key: value[0] for key, value in answer.items()} if isinstance(asked.q, str) else answer


@router.post("/detect", summary="the language of a text, as LibreTranslate tells it", openapi_extra=_body(Detect))
async def detect(request: Request) -> list[Detected]:
    """Among the languages of this server's translators, the likeliest first."""
    asked = await _read(request, Detect)
    service: Service = request.app.state.service
    refuse_long("q", [asked.q], service.limits.characters)
    known = {code for _, source, target in _directions(service) for code in (source, target)}
    return await _ranked(request, asked.q, sorted(known))


# ---- bodies ----------------------------------------------------------------------------------------------------------


async def _read(request: Request, kind: type[_Kind]) -> _Kind:
    """The fields of a body, once its key is proved. Raises Problem."""
    content = await read_body(request, JSON, FORM)
    try:
        fields = parse(content) if kind_of(request) == JSON else _form(content, request.app.state.limits)
    except BadJson as bad:
        raise bad_body(bad) from None
    key = fields.get("api_key") if isinstance(fields, dict) else None
    request.app.state.keys.prove(request.scope, key if isinstance(key, str) else None)
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise mistakes_of(list(error.errors())) from None


def _form(content: bytes, limits: Limits) -> dict[str, Any]:
    """The fields of a form; several of the name `q` are a list. Raises Problem for what may be read in two ways."""
    try:
        pairs = parse_qsl(
            content.decode("ascii"), keep_blank_values=True, strict_parsing=bool(content), errors="strict",
            max_num_fields=limits.texts + MOST_FIELDS,
        )  # fmt: skip
    except ValueError:  # half a percent sign's code is no UTF-8
        raise Problem(422, "bad_form", "the body is no form in UTF-8", "encode it: name=value&name=value") from None
    fields: dict[str, Any] = {name: value for name, value in pairs if name != "q"}
    texts = [value for name, value in pairs if name == "q"]
    if len(fields) + len(texts) != len(pairs):
        raise Problem(422, "bad_form", "a field stands twice", "send each once")
    return {**fields, "q": texts if len(texts) > 1 else texts[0]} if texts else fields


def _decoding(asked: Translate) -> dict[str, Any]:
    """As the model was trained to be asked; alternatives are found by beams."""
    several = 1 + asked.alternatives
    return {"method": "beam", "n_best": several, "beam_size": max(BEAMS, several)} if asked.alternatives else {}


# ---- languages and models --------------------------------------------------------------------------------------------


def _directions(service: Service) -> list[tuple[str, str, str]]:
    """Model, what it reads, what it writes: of every translator, in order. Raises Problem while one is loaded."""
    facts = {name: service.pool(name).facts or {} for name in service.pools}
    translators = {name: known for name, known in facts.items() if known.get("task") == "translation" and known.get("decodes")}
    return [(name, source, target) for name, known in translators.items() for source, target in known["directions"]]


def _model(service: Service, source: str, target: str) -> tuple[str, str, str]:
    """The model of a direction, with the codes that it knows; `zh` finds `zh-Hant` where there is no `zh`. Raises Problem."""
    known = _directions(service)
    exact = [one for one in known if one[1:] == (source, target)]
    base = [one for one in known if [*map(base_language, one[1:])] == [base_language(source), base_language(target)]]
    if not exact + base:
        raise Problem(
            422, "no_direction", "no model translates from this source into this target", "GET /languages tells which do"
        )
    return (exact + base)[0]


async def _sources(request: Request, texts: Sequence[str], asked: Translate) -> list[Detected]:
    """The language of each text: the one that is named, the only one that there is, or what the text looks like."""
    if asked.source != AUTO:
        return [Detected(confidence=100.0, language=asked.source)] * len(texts)
    into = base_language(asked.target)
    known = [source for _, source, target in _directions(request.app.state.service) if base_language(target) == into]
    sources = list(dict.fromkeys(known))
    if len(sources) < 2:
        return [Detected(confidence=100.0, language=(sources or [""])[0])] * len(texts)
    return [(await _ranked(request, text, sources))[0] for text in texts]


async def _ranked(request: Request, text: str, languages: Sequence[str]) -> list[Detected]:
    found = await asyncio.to_thread(request.app.state.detector.rank, text, languages)
    return [Detected(confidence=round(100 * share, 1), language=language) for language, share in found]
