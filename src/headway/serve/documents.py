"""Whole documents through the workers of a translator: their sentences wait in line like anybody's, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from headway.inference.documents import USUAL_PIECES, Answer, Document, Form, Question
from headway.serve.problems import Problem
from headway.serve.service import Service

AT_A_TIME = 64  # sentences of a request that wait for workers: the rest leaves room to others
PAUSE = 0.1  # seconds, before a document that is under way asks for room again


async def translate(
    service: Service, model: str, texts: Sequence[str], form: Form, job: dict[str, Any], to: str | None, from_: str | None
) -> list[list[str]]:
    """The translations of whole texts by a model, best first: as many as are asked for of a sentence.

    Args:
        job: what is asked of every sentence, without its text.

    Raises Problem, as `Service.ask` does, and for a model that is no translator or a document of too many sentences.
    """
    source, target = _languages(service, model, to, from_)
    job = {**job, "to": to, "from_": from_}
    try:
        async with asyncio.timeout(service.limits.seconds):
            pieces = (service.pool(model).facts or {}).get("max_length", USUAL_PIECES)
            ranks = range(job["decoding"].get("n_best", 1))
            documents = await asyncio.to_thread(
                lambda: [[Document(text, source, target, form, pieces) for _ in ranks] for text in texts]
            )
            asked = 0
            while any(questions := await asyncio.to_thread(lambda: [of_ranks[0].questions() for of_ranks in documents])):
                every = [question for of_one in questions for question in of_one]
                asked += len(every)
                _refuse_many(asked, service.limits.sentences)
                answers = iter(await _answers(service, model, job, every))
                for of_ranks, of_one in zip(documents, questions, strict=True):
                    own = [next(answers) for _ in of_one]
                    for rank, document in enumerate(of_ranks):
                        document.answer([best[min(rank, len(best) - 1)] for best in own])
            return await asyncio.to_thread(lambda: [[document.translation() for document in of_ranks] for of_ranks in documents])
    except TimeoutError:
        raise service.too_long() from None


async def _answers(service: Service, model: str, shared: dict[str, Any], questions: Sequence[Question]) -> list[list[Answer]]:
    """In order; as soon as one is there the next takes its place. What is accepted once is not refused for want of room."""
    waiting = iter(enumerate(questions))
    found: list[list[Answer]] = [[] for _ in questions]

    async def one_after_another(patient: bool) -> None:
        for place, question in waiting:
            job = {**shared, "text": question.text, "align": question.align, "details": True}  # which tell of a cut
            best = await _ask(service, model, job, patient=patient)
            found[place] = [Answer(one["text"], best[0]["cut"], one.get("links", ())) for one in best]
            patient = True

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(min(AT_A_TIME, len(questions))):
                group.create_task(one_after_another(patient=number > 0))
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return found


async def _ask(service: Service, model: str, job: dict[str, Any], *, patient: bool) -> list[dict[str, Any]]:
    while True:
        try:
            return (await service.ask(model, [job]))[0]
        except Problem as problem:
            if problem.status != 429 or not patient:
                raise
        await asyncio.sleep(PAUSE)


def _languages(service: Service, model: str, to: str | None, from_: str | None) -> tuple[str, str]:
    """What is read and written, as far as it is known. Raises Problem for a model that is no translator."""
    facts = service.pool(model).facts or {}
    if facts.get("task") != "translation" or not facts.get("decodes"):
        raise Problem(422, "other_task", "format: only a translator translates documents", "leave it out, or name another model")
    fitting = [pair for pair in facts["directions"] if to in (None, pair[1])]
    source, target = fitting[0] if fitting else ("", "")
    return from_ or source, to or target


def _refuse_many(asked: int, most: int) -> None:
    if asked > most:
        raise Problem(422, "too_many", f"{asked:,} sentences, more than {most:,}", "send the document in parts")
