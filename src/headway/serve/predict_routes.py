"""Headway's own routes: what models there are, and what they answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StringConstraints

from headway.inference.documents import Form
from headway.serve import documents
from headway.serve.bounds import refuse_long, refuse_many
from headway.serve.events import STREAMED, as_events
from headway.serve.limits import CHOICES, Limits
from headway.serve.problems import RESPONSES, Problem
from headway.serve.service import Service
from headway.serve.strict_route import StrictRoute
from headway.serve.wishes import Wishes

Name = Annotated[str, Path(max_length=200, description="of a model, as GET /models tells it")]
Language = Annotated[str, StringConstraints(max_length=35, strict=True)]


def _bounded(name: str, description: str | None = None) -> Any:
    least, most = CHOICES[name]
    return Field(ge=least, le=most, description=description)


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Decoding(_Given):
    """How an answer is searched for; what is left out is as the model was trained to be asked."""

    method: Literal["greedy", "beam", "sample"] | None = None
    beam_size: Annotated[StrictInt | None, _bounded("beam_size")] = None
    n_best: Annotated[StrictInt | None, _bounded("n_best", "answers to each text")] = None
    length_penalty: Annotated[StrictFloat | StrictInt | None, _bounded("length_penalty")] = None
    maximum_length: Annotated[StrictInt | None, _bounded("maximum_length", "pieces of an answer")] = None
    minimum_length: Annotated[StrictInt | None, _bounded("minimum_length")] = None
    no_repeat_ngram: Annotated[StrictInt | None, _bounded("no_repeat_ngram")] = None
    temperature: Annotated[StrictFloat | StrictInt | None, _bounded("temperature")] = None
    top_k: Annotated[StrictInt | None, _bounded("top_k")] = None
    top_p: Annotated[StrictFloat | StrictInt | None, _bounded("top_p")] = None


class Question(Wishes, _Given):
    """Texts for a model: of a reader `question TAB passage`, of a language model prompts."""

    texts: list[Annotated[str, StringConstraints(strict=True)]] = Field(min_length=1, fail_fast=True)
    to: Language | None = Field(None, description="the language that is written, of a translator into several")
    from_: Language | None = Field(None, alias="from", description="the one that is read, where it must be known")
    decoding: Decoding = Field(default_factory=Decoding)
    seed: Annotated[StrictInt, _bounded("seed", "of samples: the same seed, the same answer")] = 0
    format: Literal["sentence", "text", "html"] = Field(
        "sentence", description="a text is one sentence; or a document for a translator, whose blanks, lines and tags stay"
    )
    details: StrictBool = Field(False, description="how sure each part of an answer is")
    explain: StrictBool = Field(False, description="of the best answer to each text, what each word of it is due to")
    stream: StrictBool = Field(False, description="server-sent events with what has been written so far; of one text")

    def jobs(self, limits: Limits) -> list[dict[str, Any]]:
        """One for each text. Raises Problem for one that is too long."""
        refuse_many("texts", len(self.texts), limits.texts)
        most = min(limits.characters, limits.explained) if self.explain else limits.characters
        for place, text in enumerate(self.texts):
            refuse_long(f"texts.{place}", [text], most, " to explain" * self.explain)
        shared = {
            "to": self.to,
            "from_": self.from_,
            "decoding": self.decoding.model_dump(exclude_none=True),
            "seed": self.seed,
            "details": self.details,
            "explain": self.explain,
        }
        wishes = self.wishes(len(self.texts), limits)
        return [{"text": text, **shared, **wish} for text, wish in zip(self.texts, wishes, strict=True)]


class Answered(BaseModel):
    """The answers to each text, best first."""

    model: str
    answers: list[list[dict[str, Any]]] = Field(description="each has `text`, `labels`, `words`, `answer` or `vector`, by task")


class ModelFacts(BaseModel):
    """What is known of a model."""

    name: str
    ready: bool
    trouble: str | None = Field(None, description="why a newer model does not answer in its place")
    task: str | None = None
    fingerprint: str | None = Field(None, description="of its weights and settings")
    labels: list[str] | None = None
    directions: list[list[str]] = Field(default_factory=list, description="from and to, of a translator")
    max_length: int | None = Field(None, description="pieces of a text that it reads")
    reads: str | None = Field(None, description="text; or image, video, audio: files, at /predict/{model}/file")
    text_beside: bool = Field(False, description="whether it reads a text beside a file, such as a question")
    language: str | None = Field(None, description="that it writes")


class Models(BaseModel):
    """All models of this server."""

    models: list[ModelFacts]


OF_EVERY_SENTENCE = ("decoding", "seed", "glossary", "forbidden")  # of a document, as it is asked for
router = APIRouter(route_class=StrictRoute, responses=RESPONSES)


@router.get("/models", summary="what models there are")
async def models(request: Request) -> Models:
    """Their names, tasks, languages and labels."""
    service: Service = request.app.state.service
    known = ModelFacts.model_fields.keys()
    facts = {
        name: {key: value for key, value in (pool.facts or {}).items() if key in known} for name, pool in service.pools.items()
    }
    return Models(
        models=[
            ModelFacts(name=name, ready=pool.ready, trouble=pool.trouble, **facts[name]) for name, pool in service.pools.items()
        ]
    )


@router.post("/predict/{model}", summary="answers to texts", response_model=Answered, responses=STREAMED)
async def predict(request: Request, model: Name, question: Question) -> Answered | Response:
    """Translations, labels, tags, spans, vectors or what goes on from a prompt, by the task of the model.

    With `stream` an event `{"text": …}` tells all that has been written so far, and a later one may replace it; then comes the
    answer as without `stream`, or an `error`.
    """
    service: Service = request.app.state.service
    service.pool(model)
    jobs = question.jobs(service.limits)
    if question.format != "sentence":
        return await _translated(service, model, question, question.format, jobs[0])
    if question.stream:
        if len(jobs) > 1:
            raise Problem(422, "not_valid", "stream: only the answer to one text is streamed", "send one text")
        return await as_events(_told(model, service.stream(model, jobs[0])))
    return Answered(model=model, answers=await service.ask(model, jobs))


async def _told(model: str, written: AsyncIterator[str | list[dict[str, Any]]]) -> AsyncIterator[dict[str, Any]]:
    before = ""
    async for found in written:
        if not isinstance(found, str):
            yield {"model": model, "answers": [found]}
        elif found != before:
            before = found
            yield {"text": found}


async def _translated(service: Service, model: str, question: Question, form: Form, first: dict[str, Any]) -> Answered:
    """`first` is the job of the first text. Raises Problem where a field is of sentences alone."""
    of_sentences = {
        "details": question.details,
        "decoding.n_best": (question.decoding.n_best or 1) > 1,
        "explain": question.explain,
        "stream": question.stream,
        "prefixes": question.prefixes,
    }
    if where := next((name for name, given in of_sentences.items() if given), None):
        raise Problem(422, "not_valid", f"{where}: is of sentences, and a document has one answer", "leave it out")
    job = {key: value for key, value in first.items() if key in OF_EVERY_SENTENCE}
    texts = await documents.translate(service, model, question.texts, form, job, question.to, question.from_, documents.Asked())
    return Answered(model=model, answers=[[{"text": best}] for best, *_ in texts])
