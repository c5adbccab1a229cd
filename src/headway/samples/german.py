"""Trees of the tiny world → German sentences: verb second in main clauses, verb last in subordinate ones.

Order of the middle field: pronoun · time · receiver · definite object · vehicle · place · indefinite object · nicht · goal.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    NounPhrase,
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
from headway.samples.lexicon import NUMBERS, OWNERS, Case, Fixed, Noun, Verb

Order = Literal["second", "first", "last"]  # where the finite verb stands

# Rows: nominative, accusative, dative; columns: masculine, feminine, neuter, plural (Duden, Grammatik).
_THE = {
    "nominative": ("der", "die", "das", "die"),
    "accusative": ("den", "die", "das", "die"),
    "dative": ("dem", "der", "dem", "den"),
}
_EIN = {"nominative": ("", "e", "", "e"), "accusative": ("en", "e", "", "e"), "dative": ("em", "er", "em", "en")}
_WEAK = {"nominative": ("e", "e", "e", "en"), "accusative": ("en", "e", "e", "en"), "dative": ("en",) * 4}
_MIXED = {"nominative": ("er", "e", "es", "en"), "accusative": ("en", "e", "es", "en"), "dative": ("en",) * 4}
_STRONG = {"nominative": ("er", "e", "es", "e"), "accusative": ("en", "e", "es", "e"), "dative": ("em", "er", "em", "en")}
_RELATIVE_DATIVE_PLURAL = "denen"

# (ich, er/sie/es, wir/sie) of the verbs that do not follow the rule
_IRREGULAR = {
    "haben": ("habe", "hat", "haben"), "sein": ("bin", "ist", "sind"), "werden": ("werde", "wird", "werden"),
    "wollen": ("will", "will", "wollen"), "können": ("kann", "kann", "können"), "müssen": ("muss", "muss", "müssen"),
    "mögen": ("mag", "mag", "mögen"), "war": ("war", "war", "waren"), "wurde": ("wurde", "wurde", "wurden"),
    "wissen": ("weiß", "weiß", "wissen"), "glauben": ("glaube", "glaubt", "glauben"), "sagen": ("sage", "sagt", "sagen"),
    "hoffen": ("hoffe", "hofft", "hoffen"), "fragen": ("frage", "fragt", "fragen"), "liegen": ("liege", "liegt", "liegen"),
    "stehen": ("stehe", "steht", "stehen"),
}  # fmt: skip
_MODALS = {"future": "werden", "want": "wollen", "can": "können", "must": "müssen"}
_OPINIONS = {"know": "wissen", "believe": "glauben", "say": "sagen", "hope": "hoffen", "ask": "fragen"}
_ATTEMPTS = {"forget": "vergessen", "try": "versucht", "promise": "versprochen"}
_WEATHER = {"rain": ("geregnet", "regnet"), "snow": ("geschneit", "schneit")}
_CONTRACTIONS = {
    "in dem": "im",
    "in das": "ins",
    "an dem": "am",
    "an das": "ans",
    "von dem": "vom",
    "zu dem": "zum",
    "zu der": "zur",
}


def say(tree: Tree) -> str:
    """The sentence, with its capital letter and its full stop or question mark."""
    match tree:
        case Statement(body):
            text = _body(body, "second")
        case YesNo(body):
            text = _body(body, "first")
        case Asking(clause, asked, person):
            text = _asking(clause, asked, person)
        case Reported(subject, opinion, clause):
            conjunction = "ob" if opinion == "ask" else "dass"
            text = f"{_phrase(subject)} {_agree(_OPINIONS[opinion], subject)}, {conjunction} {_body(clause, 'last')}"
        case Because(main, reason):
            text = f"{_body(main, 'second')}, weil {_body(reason, 'last')}"
        case If(condition, main):
            text = f"wenn {_body(condition, 'last')}, {_body(main, 'first')}"
        case Attempt(subject, what, clause):
            text = f"{_phrase(subject)} {_agree('haben', subject)} {_ATTEMPTS[what]}, {_infinitive_clause(clause)}"
    return text[0].upper() + text[1:] + ("?" if isinstance(tree, YesNo | Asking) else ".")


# ---- phrases


def _column(noun: Noun, plural: bool) -> int:
    return 3 if plural else "mfn".index(noun.gender)


def _noun(noun: Noun, case: Case, plural: bool) -> str:
    if plural:
        adds_n = case == "dative" and not noun.german_plural.endswith(("n", "s"))
        return noun.german_plural + ("n" if adds_n else "")
    return noun.german_plural if "weak" in noun.tags and case != "nominative" else noun.german


def _phrase(phrase: Phrase, case: Case = "nominative", *, none: bool = False) -> str:
    """The noun phrase in its case. none: kein instead of ein."""
    if isinstance(phrase, Fixed):
        return {"nominative": phrase.german, "accusative": phrase.german_accusative, "dative": phrase.german_dative}[case]
    if isinstance(phrase, Relative):
        return f"{_phrase(phrase.head, case)}, {_relative(phrase)},"
    column = _column(phrase.noun, phrase.plural)
    if phrase.determiner == "the":
        article, endings = _THE[case][column], _WEAK
    elif phrase.determiner == "a" or none:
        article, endings = ("kein" if none else "ein") + _EIN[case][column], _MIXED
    elif phrase.determiner in OWNERS:
        article, endings = OWNERS[phrase.determiner][0] + _EIN[case][column], _MIXED
    else:
        article, endings = "", _STRONG
    number = NUMBERS[phrase.count][1] if phrase.count > 1 else ""
    adjective = phrase.adjective.german + endings[case][column] if phrase.adjective else ""
    return _join(article, number, adjective, _noun(phrase.noun, case, phrase.plural))


def described(noun: Noun, stems: Sequence[str], case: Case, *, definite: bool) -> str:
    """One of a noun, with its article and any number of adjectives, whose stems are given: dem kleinen roten Kreis."""
    column = _column(noun, False)
    article, endings = (_THE[case][column], _WEAK) if definite else ("ein" + _EIN[case][column], _MIXED)
    return _join(article, *(stem + endings[case][column] for stem in stems), noun.german)


def _relative(phrase: Relative) -> str:
    clause, column = phrase.clause, _column(phrase.head.noun, phrase.plural)
    if phrase.role == "subject":
        return _join(_THE["nominative"][column], _body(replace(clause, subject=phrase.head), "last", without_subject=True))
    case = _object_case(clause.verb)
    pronoun = _RELATIVE_DATIVE_PLURAL if case == "dative" and phrase.plural else _THE[case][column]
    return _join(pronoun, _body(clause, "last"))


def _spot(spot: Spot, preposition: str, case: Case) -> str:
    if preposition == "zu":
        case = "dative"
    phrase = _phrase(NounPhrase(spot.place.noun, "the", 1, spot.adjective), case)
    return contracted(f"{preposition} {phrase}")


def contracted(text: str) -> str:
    """ "vom roten Stern" of "von dem roten Stern"."""
    first, second, *rest = text.split(" ")
    return " ".join([_CONTRACTIONS.get(f"{first} {second}", f"{first} {second}"), *rest])


def _join(*words: str) -> str:
    return " ".join(word for word in words if word)


# ---- verbs


def _agree(verb: str, subject: Phrase | None, third: str = "") -> str:
    """The present (or simple past) form for the subject; None, the subject that is asked for, is third person."""
    plural = subject is not None and subject.plural
    first = isinstance(subject, Fixed) and subject.person == 1
    if verb in _IRREGULAR:
        return _IRREGULAR[verb][2 if plural else 0 if first else 1]
    if plural:
        return verb
    return (verb[:-1] if verb.endswith("ern") else verb[:-2]) + "e" if first else third


def _bracket(clause: Clause) -> tuple[str, str]:
    """(finite verb, what closes the bracket at the end: a participle, an infinitive or the prefix)."""
    verb = clause.verb
    if clause.tense == "past":
        return _agree(verb.auxiliary, clause.subject), verb.german_participle
    if clause.tense in _MODALS:
        return _agree(_MODALS[clause.tense], clause.subject), verb.prefix + verb.german
    return _agree(verb.german, clause.subject, verb.german_third), verb.prefix


def _object_case(verb: Verb) -> Case:
    return "dative" if verb.frame == "dative" else "accusative"


def _middle(clause: Clause) -> str:
    verb, target = clause.verb, clause.object
    what = ""
    early = late = at_end = pronoun = ""
    none = False
    if target:
        none = clause.negated and not verb.german_preposition and not isinstance(target, Fixed) and not target.definite
        what = _phrase(target, _object_case(verb), none=none)
        if verb.german_preposition:
            at_end = f"{verb.german_preposition} {what}"
        elif isinstance(target, Fixed) and not target.name:
            pronoun = what
        elif isinstance(target, Fixed) or target.definite:
            early = what
        else:
            late = what
    receiver = _phrase(clause.indirect, "dative") if clause.indirect else ""
    if isinstance(clause.indirect, Fixed) and not clause.indirect.name:
        pronoun, receiver = receiver, ""
    time = clause.time.german if clause.time and not clause.front else "gerade" if clause.tense == "progressive" else ""
    vehicle = clause.vehicle.german if clause.vehicle else ""
    place = _spot(clause.place, clause.place.place.german, "dative") if clause.place else ""
    negation = "nicht" if clause.negated and not none else ""
    goal = _spot(clause.goal, clause.goal.place.german_goal, "accusative") if clause.goal else ""
    return _join(pronoun, time, receiver, early, vehicle, place, late, negation, at_end, goal)


def _close(middle: str, closing: str, finite: str) -> str:
    """The end of a subordinate clause: "… aufgemacht hat", and with a prefix in one word, "… aufmacht"."""
    is_prefix = closing in _PREFIXES
    return _join(middle, closing + finite) if is_prefix else _join(middle, closing, finite)


_PREFIXES = frozenset({"auf", "zu", "ein", "an", "ab", "mit", "zurück"})


def _infinitive_clause(clause: Clause) -> str:
    verb = clause.verb
    return _join(_middle(clause), f"{verb.prefix}zu{verb.german}" if verb.prefix else f"zu {verb.german}")


# ---- clauses


def _body(body: Body, order: Order, *, without_subject: bool = False) -> str:
    first = ""
    match body:
        case Clause():
            finite, closing = _bracket(body)
            middle = _middle(body)
            subject = _phrase(body.subject) if body.subject and not without_subject else ""
            first = body.time.german if body.time and body.front else ""
        case Description():
            subject, finite = _phrase(body.subject), _agree("war" if body.time else "sein", body.subject)
            middle, closing = _quality(body), ""
        case Passive(patient, verb, agent, time):
            subject, finite, closing = _phrase(patient), _agree("wurde", patient), verb.german_participle
            by = contracted(f"von {_phrase(agent, 'dative')}") if agent else ""
            middle = _join(time.german if time else "", by)
        case Located(thing, spot, there):
            finite, closing = _agree(_posture(thing), thing), ""
            subject, middle = _phrase(thing), _spot(spot, spot.place.german, "dative")
            if there:
                subject, middle = middle, subject
        case Weather(verb_name, time, tense):
            participle, present = _WEATHER[verb_name]
            subject, middle = "es", time.german
            finite, closing = ("hat", participle) if tense == "past" else (present, "")
    if order == "last":
        return _join(subject, _close(middle, closing, finite))
    if order == "first":
        return _join(finite, subject, middle, closing)
    return _join(first, finite, subject, middle, closing) if first else _join(subject, finite, middle, closing)


def _quality(told: Description) -> str:
    if told.than:
        return f"{told.adjective.german_comparative} als {_phrase(told.than)}"
    time = told.time.german if told.time else ""
    return _join(time, "nicht" if told.negated else "", "sehr" if told.very else "", told.adjective.german_predicate)


def _posture(thing: NounPhrase) -> str:
    return "liegen" if "lie" in thing.noun.tags else "stehen" if "stand" in thing.noun.tags else "sein"


def _asking(clause: Clause, asked: str, person: bool) -> str:
    match asked:
        case "subject":
            word = "wer"
        case "object" if person:
            word = "wem" if _object_case(clause.verb) == "dative" else "wen"
        case "object":
            word = "was"
        case "place":
            word = "wo"
        case _:
            word = "wohin"
    return _join(word, _body(clause, "first"))
