"""The route by which people say what an answer should have been."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from headway.serve.bounds import refuse_long
from headway.serve.corrections import Corrected, Corrections, Labels, examples
from headway.serve.limits import Limits
from headway.serve.predict_routes import Language, Name
from headway.serve.problems import RESPONSES, Problem, ProblemBody
from headway.serve.service import Service
from headway.serve.strict_route import StrictRoute

Text = Annotated[str, StringConstraints(strict=True)]
NOT_SAVED: dict[int | str, dict[str, Any]] = {507: {"model": ProblemBody, "description": "it cannot be written down"}}
router = APIRouter(route_class=StrictRoute, responses=RESPONSES | NOT_SAVED)


class Correction(BaseModel):
    """An answer, and what it should have been."""

    model_config = ConfigDict(extra="forbid")

    text: Text = Field(description="what was asked; of a conversation an utterance a line, of two texts with a tab between")
    answer: Text = Field("", description="what the model said")
    correction: Text = Field(description="what it should have said: a text, a label, words of the passage")
    to: Language | None = Field(None, description="of a translation")
    from_: Language | None = Field(None, alias="from", description="of a translation")

    def refuse_long(self, limits: Limits) -> None:
        """Raises Problem."""
        for name in ("text", "answer", "correction"):
            refuse_long(name, [getattr(self, name)], limits.characters)


class Saved(BaseModel):
    """It is on the disk."""

    saved: int = Field(description="examples that its file holds now")


@router.post("/corrections/{model}", summary="what an answer should have been")
async def correct(request: Request, model: Name, correction: Correction) -> Saved:
    """Writes what `headway train` can learn from to a file of the server, named by the model (and the direction).

    Of a translated document (plain text) each sentence is an example, where its lines and those of its correction have as many.
    """
    service: Service = request.app.state.service
    corrections: Corrections = request.app.state.corrections
    correction.refuse_long(service.limits)
    facts = service.pool(model).facts or {}
    directions = [tuple(direction) for direction in facts.get("directions") or ()]
    direction = _direction(directions, correction) if directions else ()
    mended = Corrected(correction.text, correction.answer, correction.correction, direction)
    labels = Labels(tuple(facts.get("labels") or ()), facts.get("label_kind", "one"), facts.get("label_separator", ","))
    kept = await asyncio.to_thread(examples, facts.get("task", ""), labels, mended, service.limits.sentences)
    name = f"{model}.{'-'.join(direction)}" if len(directions) > 1 else model
    return Saved(saved=await corrections.saved(name, kept))


def _direction(directions: list[tuple[str, ...]], correction: Correction) -> tuple[str, ...]:
    """The one that is meant. Raises Problem."""
    asked = (correction.from_, correction.to)
    meant = [one for one in directions if all(wanted in (None, own) for wanted, own in zip(asked, one, strict=True))]
    if len(meant) != 1:
        told = "several directions" if meant else "no direction"
        raise Problem(422, "not_valid", f"to: the model has {told} that this may mean", "give from and to, as GET /models tells")
    return meant[0]
