"""Reports and their summaries: what was done is kept, cut down to who, what and where to; how things are is left out."""

from __future__ import annotations

from dataclasses import replace

from headway.samples import english
from headway.samples.grammar import Clause, NounPhrase, Phrase, Statement
from headway.samples.kind import Said
from headway.samples.speaker import Speaker

SENTENCES = 3  # of a report
EVENTS = 0.4


def core(event: Clause) -> Clause:
    """An event without adjectives, time, vehicle, and place."""
    return replace(
        event,
        subject=_bare(event.subject),
        object=_bare(event.object),
        indirect=_bare(event.indirect),
        goal=event.goal and replace(event.goal, adjective=None),
        place=None,
        vehicle=None,
        time=None,
        front=False,
    )


def _bare(phrase: Phrase | None) -> Phrase | None:
    return replace(phrase, adjective=None) if isinstance(phrase, NounPhrase) else phrase


def report(speaker: Speaker) -> Said | None:
    """(report, summary); None where nothing happened."""
    story = speaker.story(SENTENCES, events=EVENTS)
    kept = [Statement(core(statement.body)) for statement in story if isinstance(statement.body, Clause)]
    return (" ".join(map(english.say, story)), " ".join(map(english.say, kept))) if kept else None
