"""Trees of the tiny world → English sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from headway.samples.grammar import (
    Asking,
    Attempt,
    Because,
    Body,
    Clause,
    Description,
    If,
    Located,
    Passive,
    Phrase,
    Relative,
    Reported,
    Spot,
    Statement,
    Tree,
    Weather,
    YesNo,
)
from headway.samples.lexicon import NUMBERS, Adverbial, Fixed

_ATTEMPTS = {"forget": "forgot", "try": "tried", "promise": "promised"}
_WEATHER = {"rain": ("rained", "rains"), "snow": ("snowed", "snows")}


def say(tree: Tree) -> str:
    """The sentence, with its capital letter and its full stop or question mark."""
    match tree:
        case Statement(body):
            text = _body(body)
        case YesNo(body):
            text = _question(body)
        case Asking(clause, asked, person):
            text = _asking(clause, asked, person)
        case Reported(subject, opinion, clause):
            conjunction = "whether" if opinion == "ask" else "that"
            text = f"{_phrase(subject)} {_present(opinion, subject)} {conjunction} {_body(clause)}"
        case Because(main, reason):
            text = f"{_body(main)} because {_body(reason)}"
        case If(condition, main):
            text = f"if {_body(condition)}, {_body(main)}"
        case Attempt(subject, what, clause):
            text = f"{_phrase(subject)} {_ATTEMPTS[what]} to {_after(clause, clause.verb.english)}"
    return text[0].upper() + text[1:] + ("?" if isinstance(tree, YesNo | Asking) else ".")


def answer(clause: Clause, asked: Literal["subject", "object", "place", "goal"]) -> str:
    """The words of a clause that answer who, what, where or where to."""
    match asked:
        case "subject":
            assert clause.subject is not None
            return _phrase(clause.subject)
        case "object":
            assert clause.object is not None
            return _phrase(clause.object, as_object=True)
        case "place":
            assert clause.place is not None
            return _spot(clause.place, clause.place.place.english)
        case "goal":
            return _goal(clause)


# ---- phrases


def _phrase(phrase: Phrase, *, as_object: bool = False) -> str:
    if isinstance(phrase, Fixed):
        return phrase.english_object if as_object else phrase.english
    if isinstance(phrase, Relative):
        return f"{_phrase(phrase.head)} {_relative(phrase)}"
    noun = phrase.noun.english_plural if phrase.plural else phrase.noun.english
    number = NUMBERS[phrase.count][0] if phrase.count > 1 else ""
    words = _join(number, phrase.adjective.english if phrase.adjective else "", noun)
    article = "an" if phrase.determiner == "a" and words[0] in "aeiou" else phrase.determiner
    return _join(article, words)


def _relative(phrase: Relative) -> str:
    person = "person" in phrase.head.noun.tags
    if phrase.role == "subject":
        return _join("who" if person else "that", _predicate(replace(phrase.clause, subject=phrase.head)))
    assert phrase.clause.subject is not None
    return _join("whom" if person else "that", _phrase(phrase.clause.subject), _predicate(phrase.clause))


def _spot(spot: Spot, preposition: str) -> str:
    return _join(preposition, "the", spot.adjective.english if spot.adjective else "", spot.place.noun.english)


def _join(*words: str) -> str:
    return " ".join(word for word in words if word)


# ---- verbs


def _singular(subject: Phrase | None) -> bool:
    """Whether the verb takes its third-person -s. None is the subject that is asked for."""
    if isinstance(subject, Fixed):
        return subject.person == 3 and not subject.plural
    return subject is None or not subject.plural


def _present(base: str, subject: Phrase | None) -> str:
    if not _singular(subject):
        return base
    if base == "have":
        return "has"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + ("es" if base.endswith(("s", "sh", "ch", "o", "x")) else "s")


def _be(subject: Phrase | None, *, past: bool = False) -> str:
    if isinstance(subject, Fixed) and subject.english == "I":
        return "was" if past else "am"
    if _singular(subject):
        return "was" if past else "is"
    return "were" if past else "are"


def _finite(clause: Clause) -> tuple[str, str]:
    """(auxiliary, rest) of the verb; without an auxiliary the verb stands alone, and do is called in when one is needed."""
    verb, subject = clause.verb, clause.subject
    match clause.tense:
        case "past":
            return "", verb.english_past
        case "progressive":
            return _be(subject), verb.english_ing
        case "future":
            return "will", verb.english
        case "can":
            return "can", verb.english
        case "want":
            return "", f"{_present('want', subject)} to {verb.english}"
        case "must":
            return "", f"{_present('have', subject)} to {verb.english}"
    return "", _present(verb.english, subject)


def _with_do(clause: Clause) -> tuple[str, str]:
    auxiliary, rest = _finite(clause)
    if auxiliary:
        return auxiliary, rest
    helper = {"want": "want to ", "must": "have to "}.get(clause.tense, "")
    return "did" if clause.tense == "past" else "does" if _singular(clause.subject) else "do", helper + clause.verb.english


def _objects(clause: Clause) -> str:
    verb, target = clause.verb, clause.object
    what = _phrase(target, as_object=True) if target else ""
    receiver = _phrase(clause.indirect, as_object=True) if clause.indirect else ""
    if isinstance(target, Fixed) and not target.name:
        return _join(verb.preposition, receiver, what, verb.particle)
    return _join(verb.particle, verb.preposition, receiver, what)


def _goal(clause: Clause) -> str:
    if clause.goal is None:
        return ""
    return _spot(clause.goal, clause.goal.place.english if clause.verb.frame == "put" else "to")


def _after(clause: Clause, verb: str) -> str:
    """The verb and all that follows it: objects, goal, vehicle, place, time."""
    place = _spot(clause.place, clause.place.place.english) if clause.place else ""
    vehicle = clause.vehicle.english if clause.vehicle else ""
    return _join(verb, _objects(clause), _goal(clause), vehicle, place, _last(clause.time, clause.front))


def _last(time: Adverbial | None, front: bool = False) -> str:
    return "" if time is None or front or time.before_verb else time.english


def _predicate(clause: Clause) -> str:
    auxiliary, verb = _with_do(clause) if clause.negated else _finite(clause)
    early = clause.time.english if clause.time and clause.time.before_verb else ""
    if clause.negated:
        auxiliary = "cannot" if auxiliary == "can" else f"{auxiliary} not"
    return _join(auxiliary, early, _after(clause, verb))


# ---- clauses


def _body(body: Body) -> str:
    match body:
        case Clause():
            assert body.subject is not None
            first = body.time.english if body.time and body.front else ""
            return _join(first, _phrase(body.subject), _predicate(body))
        case Description():
            verb = _be(body.subject, past=body.time is not None)
            return _join(_phrase(body.subject), verb, "not" if body.negated else "", _quality(body))
        case Passive(subject, verb, agent, time):
            by = f"by {_phrase(agent, as_object=True)}" if agent else ""
            done = _join(verb.english_participle, verb.particle, verb.preposition)
            return _join(_phrase(subject), _be(subject, past=True), done, by, _last(time))
        case Located(subject, spot, there):
            place = _spot(spot, spot.place.english)
            return (
                _join("there", _be(subject), _phrase(subject), place) if there else _join(_phrase(subject), _be(subject), place)
            )
        case Weather(verb, time, tense):
            return _join("it", _WEATHER[verb][0 if tense == "past" else 1], time.english)


def _quality(told: Description) -> str:
    if told.than:
        return f"{told.adjective.english_comparative} than {_phrase(told.than)}"
    return _join("very" if told.very else "", told.adjective.english, _last(told.time))


def _question(body: Clause | Description) -> str:
    assert body.subject is not None
    if isinstance(body, Description):
        return _join(_be(body.subject, past=body.time is not None), _phrase(body.subject), _quality(body))
    auxiliary, verb = _with_do(body)
    early = body.time.english if body.time and body.time.before_verb else ""
    return _join(auxiliary, _phrase(body.subject), early, _after(body, verb))


def _asking(clause: Clause, asked: str, person: bool) -> str:
    if asked == "subject":
        return _join("who", _predicate(clause))
    if asked == "goal":
        time = _last(clause.time)
        return _join("where", _question(replace(clause, time=None)), "to", time)
    return _join("where" if asked == "place" else "who" if person else "what", _question(clause))
