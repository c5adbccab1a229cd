"""Tags of words ↔ entities: IOB1, IOB2, BIOES and BMES all say where an entity begins and ends, each in its own way.

Inside Headway tags are BIOES: B and E at both ends of an entity, I between, S for one of a single word, O for none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

Scheme: TypeAlias = Literal["iob1", "iob2", "bioes", "bmes", "plain"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
# Tags that are read as they stand though their entity breaks off: where sentences were cut, real data has such.
BROKEN_OFF: dict[Scheme, tuple[str, ...]] = {"bioes": tuple("BIES"), "bmes": tuple("BMES")}
ENTITY_SCHEMES: tuple[Scheme, ...] = ("iob2", "iob1", "bioes", "bmes")  # where tags fit several, the first
OUTSIDE = "O"
NEARLY_ALL = 0.9  # of the tags but O: where more of them mark entities, the rest are mistakes


class Entity(NamedTuple):
    """Words `first` to before `end` are one entity."""

    kind: str
    first: int
    end: int


def split_tag(tag: str) -> tuple[str, str]:
    """``B-LOC`` → ("B", "LOC"); a tag without an entity gives ("O", "")."""
    mark, dash, kind = tag.partition("-")
    return (mark, kind) if dash else (OUTSIDE, "")


def marks_entity(tag: str) -> bool:
    """Whether a tag is one of an entity, in any scheme."""
    mark, kind = split_tag(tag)
    return mark in tuple("BIMES") and bool(kind)


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme that the fewest tags do not fit; "plain" where they are no entities, such as parts of speech.

    Where no tag has an E, BIOES may do without (B, I, O and S, as CLUENER has it): only single words tell it from IOB2.
    """
    wrong: Counter[Scheme] = Counter()
    entity_tags = others = without_end = 0
    ends = False
    for tags in sentences:
        own = [tag if marks_entity(tag) else OUTSIDE for tag in tags]
        here = len(own) - own.count(OUTSIDE)
        entity_tags, others = entity_tags + here, others + len(tags) - tags.count(OUTSIDE) - here
        if here:
            wrong.update({scheme: len(misfits(own, scheme)) for scheme in ENTITY_SCHEMES})
            without_end += sum((own[place][0], right[0]) == ("I", "E") for place, right in misfits(own, "bioes"))
            ends |= any(tag[0] == "E" for tag in own)
    if entity_tags <= NEARLY_ALL * (entity_tags + others):
        return "plain"
    wrong["bioes"] -= 0 if ends else without_end
    return min(ENTITY_SCHEMES, key=wrong.__getitem__)


def misfits(tags: Sequence[str], scheme: Scheme) -> list[tuple[int, str]]:
    """Places of the tags that a scheme of entities writes otherwise, and how: of an entity in IOB2 that begins with I, a B."""
    right = write_tags(entities(tags, scheme), len(tags), scheme)
    return [(place, wanted) for place, (tag, wanted) in enumerate(zip(tags, right, strict=True)) if tag != wanted]


def entities(tags: Sequence[str], scheme: Scheme) -> list[Entity]:
    """The entities that tags tell of. Tags that break their scheme begin a new entity rather than lose one."""
    found: list[Entity] = []
    kind, first = "", 0

    def close(end: int) -> None:
        nonlocal kind
        if kind:
            found.append(Entity(kind, first, end))
        kind = ""

    for place, tag in enumerate(tags):
        mark, own = split_tag(tag)
        goes_on = bool(kind) and own == kind and mark in ("I", "M", "E")
        if mark == OUTSIDE or not goes_on:
            close(place)
            if mark != OUTSIDE:
                kind, first = own, place
        if mark in ("E", "S") and scheme in ("bioes", "bmes"):
            close(place + 1)
    close(len(tags))
    return found


def write_tags(found: Sequence[Entity], words: int, scheme: Scheme) -> list[str]:
    """Tags of so many words in a scheme. Entities must not overlap."""
    tags = [OUTSIDE] * words
    before: Entity | None = None
    for entity in sorted(found, key=lambda entity: entity.first):
        length = entity.end - entity.first
        if scheme in ("bioes", "bmes"):
            inside = "I" if scheme == "bioes" else "M"
            marks = ["S"] if length == 1 else ["B", *[inside] * (length - 2), "E"]
        else:
            touching = before is not None and before.end == entity.first and before.kind == entity.kind
            marks = ["B" if scheme == "iob2" or touching else "I", *["I"] * (length - 1)]
        tags[entity.first : entity.end] = [f"{mark}-{entity.kind}" for mark in marks]
        before = entity
    return tags


def may_follow(before: str | None, tag: str | None) -> bool:
    """Whether a BIOES tag may stand after another; None is the beginning or the end of a sentence."""
    mark, kind = split_tag(before) if before is not None else (OUTSIDE, "")
    next_mark, next_kind = split_tag(tag) if tag is not None else (OUTSIDE, "")
    if mark in ("B", "I"):
        return next_mark in ("I", "E") and next_kind == kind
    return next_mark in (OUTSIDE, "B", "S")
