"""The trees of the tiny world: what is said, before any language says it.

One tree goes in; `english.say`, `german.say` and `chinese.say` each bring out one sentence, with nothing left to choose, so a
sentence has exactly one translation. `speaker.Speaker` makes trees up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headway.samples.lexicon import Adjective, Adverbial, Fixed, Noun, Place, Verb

Tense = Literal["past", "habit", "progressive", "future", "want", "can", "must", "state", "bare"]


@dataclass(frozen=True, slots=True)
class NounPhrase:
    noun: Noun
    determiner: str  # "the", "a", an owner ("my"); "" = none (bare numbers, masses)
    count: int = 1  # 0 = more than one, not said how many
    adjective: Adjective | None = None

    @property
    def plural(self) -> bool:
        return self.count != 1

    @property
    def definite(self) -> bool:
        return self.determiner not in ("a", "")


@dataclass(frozen=True, slots=True)
class Relative:
    """A noun phrase with a relative clause, in which it is itself the subject or the object (None there)."""

    head: NounPhrase
    clause: Clause
    role: Literal["subject", "object"]

    @property
    def plural(self) -> bool:
        return self.head.plural

    @property
    def definite(self) -> bool:
        return True


Phrase = NounPhrase | Fixed | Relative


@dataclass(frozen=True, slots=True)
class Spot:
    place: Place
    adjective: Adjective | None = None


@dataclass(frozen=True, slots=True)
class Clause:
    subject: Phrase | None
    verb: Verb
    tense: Tense
    object: Phrase | None = None
    indirect: Phrase | None = None
    goal: Spot | None = None
    place: Spot | None = None
    vehicle: Adverbial | None = None
    time: Adverbial | None = None
    front: bool = False  # the time stands first
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Description:
    """The dog is (very) tired; the dog was tired yesterday; the horse is bigger than the dog."""

    subject: Phrase
    adjective: Adjective
    than: NounPhrase | None = None
    very: bool = False
    negated: bool = False
    time: Adverbial | None = None  # with a time it is told in the past


@dataclass(frozen=True, slots=True)
class Passive:
    subject: NounPhrase
    verb: Verb
    agent: Phrase | None
    time: Adverbial | None


@dataclass(frozen=True, slots=True)
class Located:
    """The key is on the table; with `there`: there is a key on the table."""

    subject: NounPhrase
    spot: Spot
    there: bool


@dataclass(frozen=True, slots=True)
class Weather:
    verb: Literal["rain", "snow"]
    time: Adverbial
    tense: Literal["past", "bare"]


Body = Clause | Description | Passive | Located | Weather


@dataclass(frozen=True, slots=True)
class Statement:
    body: Body


@dataclass(frozen=True, slots=True)
class YesNo:
    body: Clause | Description


@dataclass(frozen=True, slots=True)
class Asking:
    """who, whom, what, where, where to: the asked part is None in the clause."""

    clause: Clause
    asked: Literal["subject", "object", "place", "goal"]
    person: bool = True  # who(m) or what


@dataclass(frozen=True, slots=True)
class Reported:
    subject: Phrase
    opinion: Literal["know", "believe", "say", "hope", "ask"]  # ask: whether, the others: that
    clause: Clause


@dataclass(frozen=True, slots=True)
class Because:
    main: Body
    reason: Body


@dataclass(frozen=True, slots=True)
class If:
    condition: Body
    main: Clause


@dataclass(frozen=True, slots=True)
class Attempt:
    """The man forgot, tried or promised to close the door."""

    subject: Phrase
    what: Literal["forget", "try", "promise"]
    clause: Clause


Tree = Statement | YesNo | Asking | Reported | Because | If | Attempt
