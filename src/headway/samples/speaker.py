"""A speaker who makes up trees: which words go together in the tiny world, and how often each shape of sentence is said.

Every (word, word) combination in a tree is noted, so that whole combinations can be held out from training.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from headway.samples.grammar import (
    Asking,
    Attempt,
    Because,
    Body,
    Clause,
    Description,
    If,
    Located,
    NounPhrase,
    Passive,
    Phrase,
    Relative,
    Reported,
    Spot,
    Statement,
    Tense,
    Tree,
    Weather,
    YesNo,
)
from headway.samples.lexicon import (
    ADJECTIVES,
    NAMES,
    NOUNS,
    OWNERS,
    PRONOUNS,
    TIMES,
    VEHICLES,
    VERBS,
    Adjective,
    Adverbial,
    Fixed,
    Noun,
    Verb,
    adjectives_for,
    nouns_with,
    places_with,
)

Item = TypeVar("Item")
Combination = tuple[str, str, str]

_SHAPES = {
    "statement": 40, "yes_no": 10, "asking": 10, "reported": 8, "because": 6, "if": 5, "relative": 8, "attempt": 4,
    "description": 9, "passive": 6, "located": 6,
}  # fmt: skip
_TENSES: dict[Tense, int] = {"past": 40, "habit": 14, "progressive": 14, "future": 14, "want": 7, "can": 5, "must": 6}
_DEFINITE = {"the": 50, "the many": 15, "the number": 5, "owner": 18, "owner number": 3}
_INDEFINITE = {"a": 60, "number": 30}
_ANY = {**_DEFINITE, "a": 35, "number": 15}
_ACTIONS = tuple(verb for verb in VERBS if "state" not in verb.flags)
_STATES = tuple(verb for verb in VERBS if "state" in verb.flags)
_CLASSES = frozenset({"person", "animal", "thing", "food", "place"})  # only like is compared with like
_QUALITIES: tuple[set[str], ...] = (
    *({adjective.english} for adjective in ADJECTIVES),
    {"big", "small"}, {"old", "new", "young"}, {"expensive", "cheap"},
    {adjective.english for adjective in ADJECTIVES if "colour" in adjective.tags},
)  # fmt: skip
# Which of two German verbs is meant is told by the noun alone (put: legen, stellen; be: liegen, stehen), and a place has its own
# preposition: who has not seen the two together cannot know, so such combinations are never held out.
_TOLD_BY_THE_NOUN = {("object", "put"), ("object", "be")}
_ANYONE = next(noun for noun in NOUNS if noun.english == "man")  # what can be said of a name or a pronoun


class Speaker:
    """Makes up sentences from nothing but the seed: only `random()` is drawn, which stays the same from Python to Python."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random
        self._used: set[str] = set()
        self.combinations: list[Combination] = []

    def speak(self) -> Tree:
        """A new tree; `combinations` then holds the pairs of words that meet in it."""
        self._used, self.combinations = set(), []
        shape = self.weighted(_SHAPES)
        tree: Tree = getattr(self, f"_{shape}")()
        return tree

    def story(self, sentences: int, events: float) -> list[Statement]:
        """So many statements, in which hardly a noun comes twice; `combinations` then holds the pairs of words of all.

        Args:
            events: the share that tells what somebody did; the others tell how something is, or where.
        """
        self._used, self.combinations = set(), []
        return [Statement(self._event()) if self.chance(events) else self._background() for _ in range(sentences)]

    # ---- chance

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self._random() * len(items))]

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def whole(self, least: int, most: int) -> int:
        """A whole number from least to most, each as likely."""
        return least + int(self._random() * (most - least + 1))

    def weighted(self, weights: Mapping[Item, int]) -> Item:
        at = self._random() * sum(weights.values())
        for item, weight in weights.items():
            at -= weight
            if at < 0:
                return item
        return item

    # ---- phrases

    def _noun(self, tags: frozenset[str], verb: str, role: str) -> Noun:
        for _ in range(8):  # a noun comes twice only where the world has too few of its kind
            noun = self.pick(nouns_with(tags))
            if noun.english not in self._used:
                break
        self._used.add(noun.english)
        if (role, verb) not in _TOLD_BY_THE_NOUN:
            self.combinations.append((role, verb, noun.english))
        return noun

    def _adjective(self, noun: Noun, probability: float = 0.35, *, noted: bool = True) -> Adjective | None:
        choices = adjectives_for(noun)
        if not choices or not self.chance(probability):
            return None
        adjective = self.pick(choices)
        if noted:
            self.combinations.append(("adjective", adjective.english, noun.english))
        return adjective

    def _phrase(self, noun: Noun, determiners: Mapping[str, int]) -> NounPhrase:
        adjective = self._adjective(noun)
        if "mass" in noun.tags:
            return NounPhrase(noun, "", 1, adjective)
        if "unique" in noun.tags:
            return NounPhrase(noun, "the", 1, adjective)
        if "free" in noun.tags:
            determiners = {kind: weight for kind, weight in determiners.items() if not kind.startswith("owner")}
        kind = self.weighted(determiners)
        number = self.pick((2, 3, 4, 5, 10))
        match kind:
            case "number":
                return NounPhrase(noun, "", number, adjective)
            case "the number":
                return NounPhrase(noun, "the", number, adjective)
            case "the many":
                return NounPhrase(noun, "the", 0, adjective)
            case "owner":
                return NounPhrase(noun, self.pick(tuple(OWNERS)), 1, adjective)
            case "owner number":
                return NounPhrase(noun, self.pick(tuple(OWNERS)), number, adjective)
        return NounPhrase(noun, kind, 1, adjective)

    def _subject(self, tags: frozenset[str], verb: str, *, definite: bool = False) -> Phrase:
        people = bool(tags & {"person", "adult"})
        if people and self.chance(0.3):
            fixed = self.pick(NAMES) if self.chance(0.4) else self.pick(PRONOUNS)
            if not fixed.name or fixed.english not in self._used:
                self._used.add(fixed.english)
                return fixed
        kinds = _DEFINITE if definite or self.chance(0.8) else _INDEFINITE
        return self._phrase(self._noun(tags, verb, "subject"), kinds)

    def _object(self, verb: Verb, subject: Phrase | None, negated: bool, *, role: str = "object") -> Phrase:
        tags = frozenset({"person"}) if role == "indirect" else verb.objects
        wants_dative = role == "indirect" or verb.frame == "dative"
        if tags & {"person"} and self.chance(0.25):
            fixed = self.pick(NAMES) if self.chance(0.4) else self.pick(PRONOUNS)
            # "sie" is both her and them in the accusative: one of the two stays out, so that German can be read back.
            clash = fixed.english in self._used or (fixed.english == "they" and not wants_dative)
            itself = isinstance(subject, Fixed) and subject.person == 1 and fixed.person == 1
            if not clash and not itself:
                self._used.add(fixed.english)
                return fixed
        noun = self._noun(tags, verb.english, role)
        if "definite" in verb.flags or verb.frame == "put" or (role == "indirect" and negated):
            return self._phrase(noun, _DEFINITE)
        if negated:
            kinds = {"the": 40, "the many": 10, "owner": 20} | ({} if verb.preposition else {"a": 40})
            return self._phrase(noun, {"a": 1} if "indefinite" in verb.flags else kinds)
        return self._phrase(noun, _INDEFINITE if "indefinite" in verb.flags else _ANY)

    def _spot(self, tag: str) -> Spot:
        for _ in range(8):
            place = self.pick(places_with(tag))
            if place.noun.english not in self._used:
                break
        self._used.add(place.noun.english)
        return Spot(place, self._adjective(place.noun, 0.25, noted=False))

    # ---- clauses

    def _action(self, tense: Tense, *, definite: bool = False, negatable: bool = True, timed: bool = True) -> Clause:
        """A clause with a verb that can be told in this tense."""
        verb = self.pick(_ACTIONS)
        while not _can_be(verb, tense):
            verb = self.pick(_ACTIONS)
        subject = self._subject(verb.subjects, verb.english, definite=definite or tense not in ("past", "progressive"))
        return self._complete(subject, verb, tense, negatable=negatable, timed=timed)

    def _complete(self, subject: Phrase | None, verb: Verb, tense: Tense, *, negatable: bool, timed: bool) -> Clause:
        able = subject is None or isinstance(subject, Fixed) or subject.definite
        negated = (
            negatable and able and tense not in ("progressive", "habit") and "vehicle" not in verb.flags and self.chance(0.2)
        )
        target = self._object(verb, subject, negated) if verb.objects else None
        receiver = self._object(verb, subject, negated, role="indirect") if verb.frame == "double" else None
        goal = None
        if verb.frame == "goal":
            goal = self._spot("far" if "vehicle" in verb.flags else "goal")
        elif verb.frame == "put":
            goal = self._spot("stand" if "stand" in verb.objects else "lie")
        none_of = isinstance(target, NounPhrase) and target.determiner in ("a", "") and not target.plural
        placed = (
            not verb.flags & {"-place", "state"}
            and verb.frame not in ("goal", "put")
            and (not negated or none_of)
            and self.chance(0.25)
        )
        place = self._spot("water" if "water" in verb.flags else "town") if placed else None
        time = self._time(tense) if timed and (tense == "habit" or self.chance(0.6)) else None
        vehicle = self.pick(VEHICLES) if "vehicle" in verb.flags else None
        return Clause(subject, verb, tense, target, receiver, goal, place, vehicle, time, False, negated)

    def _time(self, tense: Tense) -> Adverbial | None:
        group = "future" if tense in ("want", "can", "must") else tense
        return self.pick(TIMES[group]) if group in TIMES else None

    def _state(self) -> Clause:
        verb = self.pick(_STATES)
        subject = self._subject(verb.subjects, verb.english, definite=True)
        return self._complete(subject, verb, "state", negatable=True, timed=False)

    def _described(self, subject: Phrase | None = None) -> Description:
        if subject is None:
            subject = self._subject(frozenset({"person", "animal", "thing"}), "be", definite=True)
        phrase = subject.head if isinstance(subject, Relative) else subject
        noun = phrase.noun if isinstance(phrase, NounPhrase) else None
        said = phrase.adjective if isinstance(phrase, NounPhrase) else None
        adjective = self.pick([one for one in adjectives_for(noun or _ANYONE) if not _alike(one, said)])
        if noun:
            self.combinations.append(("adjective", adjective.english, noun.english))
        if noun and adjective.english_comparative != "-" and self.chance(0.3):
            others = [
                one for one in nouns_with(noun.tags & _CLASSES) if one.tags & adjective.tags and one.english not in self._used
            ]
            if others:
                other = self.pick(others)
                self.combinations.append(("than", adjective.english, other.english))
                return Description(subject, adjective, than=NounPhrase(other, "the"))
        time = self.pick(TIMES["past"]) if adjective.english in ("tired", "hungry") and self.chance(0.4) else None
        negated = self.chance(0.25)
        very = not negated and "colour" not in adjective.tags and self.chance(0.4)
        return Description(subject, adjective, None, very, negated, time)

    def _event(self) -> Clause:
        """A past action of others than the speaker."""
        before = len(self.combinations)
        while True:
            del self.combinations[before:]
            clause = self._action("past", definite=True, negatable=False)
            who = (clause.subject, clause.object, clause.indirect)
            if not any(isinstance(phrase, Fixed) and phrase.person == 1 for phrase in who):
                return replace(clause, front=clause.time is not None and self.chance(0.3))

    # ---- sentences, one function a shape

    def _statement(self) -> Tree:
        if self.chance(0.15):
            return Statement(self._state())
        clause = self._action(self.weighted(_TENSES))
        front = clause.time is not None and not clause.time.before_verb and self.chance(0.4)
        return Statement(replace(clause, front=front))

    def _yes_no(self) -> Tree:
        if self.chance(0.2):
            told = self._described()
            return YesNo(Description(told.subject, told.adjective, told.than, time=told.time))
        clause = self._state() if self.chance(0.15) else self._action(self.weighted(_TENSES), definite=True, negatable=False)
        if clause.time is not None and clause.time.english == "never":
            clause = replace(clause, time=TIMES["habit"][0])
        return YesNo(replace(clause, negated=False))

    def _asking(self) -> Tree:
        clause = self._action("past", definite=True, negatable=False)
        frame = clause.verb.frame
        if frame == "goal" and clause.vehicle is None and "-gap" not in clause.verb.flags and self.chance(0.6):
            return Asking(replace(clause, goal=None), "goal")
        if frame in ("accusative", "dative") and "-gap" not in clause.verb.flags and self.chance(0.6):
            target = clause.object
            person = isinstance(target, Fixed) or (isinstance(target, NounPhrase) and "person" in target.noun.tags)
            return Asking(replace(clause, object=None), "object", person)
        known = all(isinstance(phrase, Fixed) or phrase.definite for phrase in (clause.object, clause.indirect) if phrase)
        if known and frame not in ("goal", "put") and "-place" not in clause.verb.flags and self.chance(0.5):
            return Asking(replace(clause, place=None), "place")
        return Asking(replace(clause, subject=None), "subject")

    def _reported(self) -> Tree:
        opinion: Literal["know", "believe", "say", "hope", "ask"] = self.pick(("know", "believe", "say", "hope", "ask"))
        subject = self._subject(frozenset({"person"}), opinion, definite=True)
        tense: Tense = "future" if opinion == "hope" or self.chance(0.3) else "past"
        return Reported(subject, opinion, self._action(tense, definite=True, negatable=opinion != "ask"))

    def _because(self) -> Tree:
        if self.chance(0.3):
            main: Body = self._described()
        else:
            main = self._action(self.pick(("past", "progressive", "want", "must")), definite=True)
        if self.chance(0.25):
            return Because(main, Weather(self.pick(("rain", "snow")), self.pick(TIMES["past"]), "past"))
        return Because(main, self._described() if self.chance(0.3) else self._action("past", definite=True))

    def _if(self) -> Tree:
        condition: Body
        if self.chance(0.5):
            condition = Weather(self.pick(("rain", "snow")), self.pick(TIMES["future"]), "bare")
        else:
            condition = self._action("bare", definite=True, negatable=False, timed=False)
        return If(condition, self._action("future", definite=True, timed=False))

    def _relative(self) -> Tree:
        inner = self._action("past", definite=True)
        role: Literal["subject", "object"] = "subject"
        head, clause = inner.subject, replace(inner, subject=None)
        if self.chance(0.5) and "-gap" not in inner.verb.flags and isinstance(inner.object, NounPhrase) and not inner.negated:
            noun = inner.object.noun
            # "die Frau, die das Kind sah" has two readings; a masculine or a thing has one.
            clear = not noun.tags & {"person", "animal"} or (noun.gender == "m" and not inner.object.plural)
            if clear and len(adjectives_for(noun)) > 3 and "mass" not in noun.tags:
                role, head, clause = "object", inner.object, replace(inner, object=None)
        if not isinstance(head, NounPhrase) or "unique" in head.noun.tags:
            return Statement(replace(inner, front=inner.time is not None))
        phrase = Relative(NounPhrase(head.noun, "the", 0 if head.plural else 1, head.adjective), clause, role)
        if "person" not in head.noun.tags or self.chance(0.4):
            return Statement(self._described(phrase))
        verb = self.pick(_ACTIONS)
        while not verb.subjects & head.noun.tags or not _can_be(verb, "future"):
            verb = self.pick(_ACTIONS)
        self.combinations.append(("subject", verb.english, head.noun.english))
        return Statement(self._complete(phrase, verb, "future", negatable=True, timed=False))

    def _attempt(self) -> Tree:
        what: Literal["forget", "try", "promise"] = self.pick(("forget", "try", "promise"))
        clause = self._action("want", definite=True, negatable=False, timed=False)
        while clause.subject is None or (isinstance(clause.subject, NounPhrase) and "person" not in clause.subject.noun.tags):
            clause = self._action("want", definite=True, negatable=False, timed=False)
        return Attempt(clause.subject, what, replace(clause, subject=None))

    def _background(self) -> Statement:
        return self.pick((self._description, self._located))()

    def _description(self) -> Statement:
        return Statement(self._described())

    def _passive(self) -> Tree:
        verb = self.pick(tuple(verb for verb in _ACTIONS if verb.chinese_passive))
        patient = self._phrase(self._noun(verb.objects - {"food"} or verb.objects, verb.english, "object"), _DEFINITE)
        agent = self._subject(verb.subjects, verb.english, definite=True) if self.chance(0.7) else None
        return Statement(Passive(patient, verb, agent, self._time("past") if self.chance(0.6) or agent is None else None))

    def _located(self) -> Statement:
        spot = self._spot("stand") if self.chance(0.6) else self._spot("town")
        small = "stand" in spot.place.tags
        tags = frozenset({"lie", "stand"} if small else {"animal", "person"})
        there = self.chance(0.5)
        phrase = self._phrase(self._noun(tags, "be", "object"), _INDEFINITE if there else _DEFINITE)
        return Statement(Located(phrase, spot, there and not phrase.definite))


def _can_be(verb: Verb, tense: Tense) -> bool:
    flag = {"past": "-past", "progressive": "-now", "habit": "-habit", "bare": ""}.get(tense, "-later")
    return flag not in verb.flags


def _alike(one: Adjective, other: Adjective | None) -> bool:
    """Whether the two answer the same question: "the red hat is blue" is not said."""
    return other is not None and any({one.english, other.english} <= group for group in _QUALITIES)
