"""Routes that take files: pictures, clips and recordings, alone or in the form that OpenAI's clients send."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from headway.serve.bounds import refuse_long
from headway.serve.predict_routes import Answered, Name
from headway.serve.problems import RESPONSES, Problem
from headway.serve.service import Service
from headway.serve.strict_route import StrictRequest, mistakes_of
from headway.serve.transcripts import FORMATS, transcript

MOST_FIELDS, MOST_FIELD_BYTES = 8, 1 << 10
BEHIND = "/file"


class _FileRoute(APIRoute):
    """A route whose body is a file, or a form with one; it is bounded in size and time, and so are the files at a time."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            strict.kinds = () if self.path.endswith(BEHIND) else ("multipart/form-data",)
            service: Service = request.app.state.service
            try:
                with service.file():
                    return await handle(strict)
            except Problem as problem:
                problem.closes = not strict.whole  # the rest of it is not read
                raise

        return strictly


router = APIRouter(route_class=_FileRoute, responses=RESPONSES)


class Beside(BaseModel):
    """What is told of a file."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field("", description="that is read beside it: a question, or a sentence to translate")
    details: bool = Field(False, description="how sure each part of an answer is")


ONE_FILE = {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


@router.post(
    "/predict/{model}/file",
    summary="answers to a picture, a clip or a recording",
    openapi_extra={"requestBody": ONE_FILE},
)
async def predict_file(request: Request, model: Name, beside: Annotated[Beside, Query()]) -> Answered:
    """Labels, captions, answers to a question, transcripts. The body is the file; what it is, its first bytes say."""
    service: Service = request.app.state.service
    facts = _reader_of_files(service, model)
    refuse_long("text", [beside.text], service.limits.characters)
    if bool(beside.text.strip()) != bool(facts["text_beside"]):
        told = "the model reads one beside the file" if facts["text_beside"] else "the model reads none beside the file"
        raise Problem(422, "not_valid", f"text: {told}", "GET /models tells which do")
    content = await request.body()
    (best,) = await service.ask(model, [{"text": beside.text, "content": content, "details": beside.details}])
    return Answered(model=model, answers=[best])


class Transcription(BaseModel):
    """The fields of the form beside its file."""

    model_config = ConfigDict(extra="forbid")

    model: str
    language: str | None = Field(None, max_length=35)
    response_format: Literal["json", "text", "verbose_json", "srt", "vtt"] = "json"
    temperature: Literal["0", "0.0"] | None = None
    stream: Literal["false"] | None = None
    granularities: Literal["segment"] | None = Field(None, alias="timestamp_granularities[]")


FORM = {
    "type": "object",
    "required": ["file", "model"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "model": {"type": "string"},
        "language": {"type": "string", "description": "must be that of the model"},
        "response_format": {"type": "string", "enum": list(FORMATS)},
        "temperature": {"type": "string", "enum": ["0", "0.0"]},
        "stream": {"type": "string", "enum": ["false"]},
        "timestamp_granularities[]": {"type": "string", "enum": ["segment"]},
    },
}


@router.post(
    "/v1/audio/transcriptions",
    summary="what is said in a recording, as OpenAI tells it",
    response_class=Response,
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}},
)
async def transcriptions(request: Request) -> Response:
    """Text, JSON, or subtitles; those have a part for each window that the model reads at once."""
    service: Service = request.app.state.service
    asked, content = await _form(request)
    facts = _reader_of_files(service, asked.model)
    if facts["task"] != "speech_recognition":
        raise Problem(422, "other_task", "model: it writes down no speech", "GET /models tells the task of each")
    if asked.language not in (None, facts["language"]):
        raise Problem(422, "not_valid", f"language: the model writes {facts['language']}", "leave it out")
    ((best, *_),) = await service.ask(asked.model, [{"content": content, "details": True}])
    told = transcript(best, asked.response_format, facts["language"])
    return PlainTextResponse(told, media_type=FORMATS[asked.response_format])


def _reader_of_files(service: Service, name: str) -> dict[str, Any]:
    """What is known of a model that reads files. Raises Problem for another."""
    facts = service.pool(name).facts or {}
    if facts.get("reads", "text") == "text":
        raise Problem(422, "other_task", "model: it reads no files", "POST /predict/{model} answers texts")
    return facts


async def _form(request: Request) -> tuple[Transcription, bytes]:
    """The fields of a form, and its one file; the name that a client gave to it is not looked at. Raises Problem."""
    await request.body()
    try:
        async with request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=MOST_FIELD_BYTES) as form:
            del request._body  # the form has it now
            items = form.multi_items()
            content = [await value.read() for name, value in items if isinstance(value, UploadFile) and name == "file"]
    except HTTPException:
        problem = f"the form is damaged, or has more than a file and {MOST_FIELDS} short fields"
        raise Problem(422, "bad_form", problem, "send multipart/form-data") from None
    fields = [(name, value) for name, value in items if isinstance(value, str)]
    if len(content) != 1 or len(dict(fields)) < len(fields):
        raise Problem(422, "bad_form", "the form must have one file, named file, and each field once", "/docs has an example")
    try:
        return Transcription.model_validate(dict(fields)), content[0]
    except ValidationError as error:
        raise mistakes_of(list(error.errors())) from None
