"""Whole documents through the workers of a translator: their sentences wait in line like anybody's, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from headway.inference.documents import USUAL_PIECES, Answer, Document, Form, Question
from headway.serve.bounds import refuse_many
from headway.serve.problems import Problem
from headway.serve.service import Service
from headway.serve.wishes import refuse_heavy

AT_A_TIME = 64  # sentences of a request that wait for workers: the rest leaves room to others
PAUSE = 0.1  # seconds, before a document that is under way asks for room again
CHARACTERS, MARKS = 512, 16  # for each sentence that a request may have: of its documents, and of these
MARKED = "<\n.!?。！？"


@dataclass
class Asked:
    """Sentences that a request has asked so far, of all its documents in all their languages."""

    sentences: int = 0

    def add(self, count: int, most: int) -> None:
        """Raises Problem where they are too many."""
        refuse_many("sentences", self.sentences + count, most, "send the document in parts")
        self.sentences += count


async def translate(
    service: Service,
    model: str,
    texts: Sequence[str],
    form: Form,
    job: dict[str, Any],
    to: str | None,
    from_: str | None,
    asked: Asked,
) -> list[list[str]]:
    """The translations of whole texts by a model, best first: as many as are asked for of a sentence.

    Args:
        job: what is asked of every sentence, without its text.
        asked: by the request before this; once it has asked anything, it is not refused for want of room.

    Raises Problem, as `Service.ask` does, and for a model that is no translator or documents of too many sentences.
    """
    source, target = _languages(service, model, to, from_)
    job = {**job, "to": to, "from_": from_}
    pieces = (service.pool(model).facts or {}).get("max_length", USUAL_PIECES)
    make = partial(Document, source=source, target=target, form=form, pieces=pieces)
    most = service.limits.sentences
    ranks = job["decoding"].get("n_best", 1)
    _refuse_heavy(texts, ranks, most)
    try:
        async with asyncio.timeout(service.limits.seconds):
            documents = await asyncio.to_thread(_taken_apart, make, texts, Asked(asked.sentences), most)
            rounds: list[list[list[list[Answer]]]] = [[] for _ in texts]
            while any(questions := await asyncio.to_thread(lambda: [document.questions() for document in documents])):
                every = [question for of_one in questions for question in of_one]
                accepted = asked.sentences > 0
                asked.add(len(every), most)
                refuse_heavy(job.get("glossary", {}), job.get("forbidden", ()), min(len(every), AT_A_TIME), service.limits)
                answers = iter(await _answers(service, model, job, every, accepted))
                for document, told, of_one in zip(documents, rounds, questions, strict=True):
                    told.append([next(answers) for _ in of_one])
                    document.answer([best[0] for best in told[-1]])
            return await asyncio.to_thread(
                lambda: [
                    [document.translation(), *(_again(make(text), told, rank) for rank in range(1, ranks))]
                    for document, text, told in zip(documents, texts, rounds, strict=True)
                ]
            )
    except TimeoutError:
        raise service.too_long() from None


def _refuse_heavy(texts: Sequence[str], ranks: int, sentences: int) -> None:
    """What costs much to be taken apart, and again for each rank, though it may ask nothing. Raises Problem."""
    refuse_many("characters of all texts", sum(map(len, texts)), CHARACTERS * sentences)
    marks = sum(text.count(mark) for text in texts for mark in MARKED)
    told = " times answers" * (ranks > 1)
    refuse_many(f"tags, lines and stops{told}", ranks * marks, MARKS * sentences)


def _taken_apart(make: Callable[[str], Document], texts: Sequence[str], asked: Asked, most: int) -> list[Document]:
    """One after another, until they ask more than may be asked. Raises Problem."""
    found = []
    for text in texts:
        found.append(make(text))
        asked.add(len(found[-1].questions()), most)
    return found


def _again(document: Document, rounds: Sequence[Sequence[Sequence[Answer]]], rank: int) -> str:
    """The translation by the answers of another rank; the last, where a sentence has fewer."""
    for answers in rounds:
        document.answer([best[min(rank, len(best) - 1)] for best in answers])
    return document.translation()


async def _answers(
    service: Service, model: str, shared: dict[str, Any], questions: Sequence[Question], accepted: bool
) -> list[list[Answer]]:
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
                group.create_task(one_after_another(patient=accepted or number > 0))
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
