"""Two sentences, and whether the second follows from the first, contradicts it, or is open."""

from __future__ import annotations

from dataclasses import replace

from headway.samples import english
from headway.samples.grammar import Statement
from headway.samples.kind import Said
from headway.samples.reading import event_of
from headway.samples.speaker import Speaker
from headway.samples.summarisation import core

RELATIONS = ("follows", "contradicts", "open")


def premise_and_hypothesis(speaker: Speaker) -> Said | None:
    """(first, second, relation): the second says less than the first, denies it, or says it of somebody else."""
    told, other = speaker.story(2, events=1.0)
    premise, short = english.say(told), core(event_of(told))
    relation = RELATIONS[len(premise) % len(RELATIONS)]
    if relation == "contradicts":
        short = replace(short, negated=True)
    elif relation == "open":
        somebody = core(event_of(other)).subject
        if somebody == short.subject:
            return None
        short = replace(short, subject=somebody)
    return premise, english.say(Statement(short)), relation
