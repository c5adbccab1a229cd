"""Events, questions on them and their answers: text to go on with, conversations, passages to find answers in."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from headway.samples import english
from headway.samples.grammar import Asking, Clause, NounPhrase, Statement
from headway.samples.kind import Said
from headway.samples.lexicon import Fixed
from headway.samples.speaker import Speaker

SENTENCES = 2  # of a passage
ASKED = 2  # questions in a conversation, at most


def event_of(statement: Statement) -> Clause:
    assert isinstance(statement.body, Clause)
    return statement.body


def questions(event: Clause) -> Iterator[tuple[str, str]]:
    """Each question on an event that it answers itself, with the words of it that do: who, whom or what, where, where to."""
    told, verb = replace(event, front=False), event.verb
    asked: list[Literal["subject", "object", "place", "goal"]] = ["subject"]
    if verb.frame in ("accusative", "dative") and "-gap" not in verb.flags:
        asked.append("object")
    if event.place is not None:
        asked.append("place")
    if verb.frame == "goal" and event.vehicle is None and "-gap" not in verb.flags:
        asked.append("goal")
    for part in asked:
        gone: Any = getattr(event, part)
        person = isinstance(gone, Fixed) or (isinstance(gone, NounPhrase) and "person" in gone.noun.tags)
        left: dict[str, Any] = {part: None}
        yield english.say(Asking(replace(told, **left), part, person)), english.answer(event, part)


def conversation(speaker: Speaker) -> Said:
    """A sentence, then the first questions on it, each followed by its answer."""
    (statement,) = speaker.story(1, events=1.0)
    return _exercise(statement, ASKED)


def _exercise(statement: Statement, most: int | None = None) -> Said:
    said = [english.say(statement)]
    for question, answer in itertools.islice(questions(event_of(statement)), most):
        said += [question, answer[0].upper() + answer[1:] + "."]
    return tuple(said)


def retelling(speaker: Speaker) -> Said:
    """An exercise, and at last its sentence again: what is hidden of it can mostly be known from the rest."""
    (statement,) = speaker.story(1, events=1.0)
    return (" ".join((*_exercise(statement), english.say(statement))),)


def said_twice(speaker: Speaker) -> Said:
    """A sentence, and the same again: what is hidden of the one can be known from the other."""
    (statement,) = speaker.story(1, events=1.0)
    return (" ".join((english.say(statement),) * 2),)


def passage(speaker: Speaker) -> Said | None:
    """(the passage, the same with questions as a record of SQuAD): one on each sentence, and one that nothing answers."""
    story = speaker.story(SENTENCES + 1, events=1.0)
    events = [event_of(statement) for statement in story]
    if len({event.verb.english for event in events}) < len(events):
        return None
    sentences = [english.say(statement) for statement in story[:-1]]
    context, start, asked = " ".join(sentences), 0, []
    for sentence, event in zip(sentences, events, strict=False):
        choices = list(questions(event))
        question, answer = choices[len(sentence) % len(choices)]
        places = [found.start() for found in re.finditer(rf"\b{re.escape(answer)}\b", sentence, re.IGNORECASE)]
        if len(places) != 1:
            return None
        first = start + places[0]
        answers = [{"text": context[first : first + len(answer)], "answer_start": first}]
        asked.append({"question": question, "answers": answers, "is_impossible": False})
        start += len(sentence) + 1
    asked.append({"question": next(questions(events[-1]))[0], "answers": [], "is_impossible": True})
    return context, json.dumps({"context": context, "qas": asked})
