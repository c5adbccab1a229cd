"""Headway's own routes: what models there are, and what they answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StringConstraints

from headway.inference.documents import Form
from headway.serve import documents
from headway.serve.limits import CHOICES, Limits
from headway.serve.problems import RESPONSES, Problem
from headway.serve.service import Service
from headway.serve.strict_route import StrictRoute

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


class Question(_Given):
    """Texts for a model: of a reader `question TAB passage`, of a language model prompts."""

    texts: list[Annotated[str, StringConstraints(strict=True)]] = Field(min_length=1)
    to: Language | None = Field(None, description="the language that is written, of a translator into several")
    from_: Language | None = Field(None, alias="from", description="the one that is read, where it must be known")
    decoding: Decoding = Field(default_factory=Decoding)
    seed: Annotated[StrictInt, _bounded("seed", "of samples: the same seed, the same answer")] = 0
    format: Literal["sentence", "text", "html"] = Field(
        "sentence", description="a text is one sentence; or a document for a translator, whose blanks, lines and tags stay"
    )
    details: StrictBool = Field(False, description="how sure each part of an answer is")

    def jobs(self, limits: Limits) -> list[dict[str, Any]]:
        """One for each text. Raises Problem for one that is too long."""
        if len(self.texts) > limits.texts:
            raise Problem(422, "too_many", f"texts: {len(self.texts):,}, more than {limits.texts:,}", "send fewer at a time")
        for place, text in enumerate(self.texts):
            if len(text) > limits.characters:
                problem = f"texts.{place}: {len(text):,} characters, more than {limits.characters:,}"
                raise Problem(422, "too_long_text", problem, "cut it into several")
        shared = {
            "to": self.to,
            "from_": self.from_,
            "decoding": self.decoding.model_dump(exclude_none=True),
            "seed": self.seed,
        }
        return [{"text": text, **shared} for text in self.texts]


class Answered(BaseModel):
    """The answers to each text, best first."""

    model: str
    answers: list[list[dict[str, Any]]] = Field(description="each has `text`, `labels`, `words`, `answer` or `vector`, by task")


class ModelFacts(BaseModel):
    """What is known of a model."""

    name: str
    ready: bool
    task: str | None = None
    fingerprint: str | None = Field(None, description="of its weights and settings")
    labels: list[str] | None = None
    directions: list[list[str]] = Field(default_factory=list, description="from and to, of a translator")
    max_length: int | None = Field(None, description="pieces of a text that it reads")


class Models(BaseModel):
    """All models of this server."""

    models: list[ModelFacts]


router = APIRouter(route_class=StrictRoute, responses=RESPONSES)
SHORT = ("text", "labels", "words", "entities", "answer", "start", "vector", "score", "confidence", "abstains")


@router.get("/models", summary="what models there are")
async def models(request: Request) -> Models:
    """Their names, tasks, languages and labels."""
    service: Service = request.app.state.service
    known = ModelFacts.model_fields.keys()
    return Models(
        models=[
            ModelFacts(name=name, ready=pool.ready, **{key: value for key, value in (pool.facts or {}).items() if key in known})
            for name, pool in service.pools.items()
        ]
    )


@router.post("/predict/{model}", summary="answers to texts")
async def predict(request: Request, model: Name, question: Question) -> Answered:
    """Translations, labels, tags, spans, vectors or what goes on from a prompt, by the task of the model."""
    service: Service = request.app.state.service
    service.pool(model)
    jobs = question.jobs(service.limits)
    if question.format != "sentence":
        texts = await _translated(service, model, question, question.format)
        return Answered(model=model, answers=[[{"text": best}] for best, *_ in texts])
    answers = await service.ask(model, jobs)
    if not question.details:
        answers = [[{key: one[key] for key in SHORT if key in one} for one in best] for best in answers]
    return Answered(model=model, answers=answers)


async def _translated(service: Service, model: str, question: Question, form: Form) -> list[list[str]]:
    """Raises Problem where a field is of sentences alone."""
    if question.details or (question.decoding.n_best or 1) > 1:
        where = "details" if question.details else "decoding.n_best"
        raise Problem(422, "not_valid", f"{where}: is of sentences, and a document has one answer", "leave it out")
    job = {"decoding": question.decoding.model_dump(exclude_none=True), "seed": question.seed}
    return await documents.translate(service, model, question.texts, form, job, question.to, question.from_)
