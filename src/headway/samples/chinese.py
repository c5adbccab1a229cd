"""Trees of the tiny world → Chinese sentences in traditional characters (繁體).

The order is subject · time · 不/沒有 · vehicle · place · verb · object; what describes a noun stands before it.
"""

from __future__ import annotations

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
from headway.samples.lexicon import NUMBERS, OWNERS, Adjective, Fixed, Noun

_COLOURS = frozenset({"red", "blue", "green", "black", "white"})
_MODALS = {"future": ("會", "不會"), "want": ("想", "不想"), "can": ("能", "不能"), "must": ("必須", "不必")}
_OPINIONS = {"know": "知道", "believe": "相信", "say": "說", "hope": "希望", "ask": "問"}
_ATTEMPTS = {"forget": "忘了", "try": "試著", "promise": "答應"}
_WEATHER = {"rain": ("下了雨", "下雨"), "snow": ("下了雪", "下雪")}


def say(tree: Tree) -> str:
    """The sentence, with its full stop or question mark."""
    match tree:
        case Statement(body):
            return _body(body) + "。"
        case YesNo(Description() as told):
            return _described(told, asked=True) + "嗎？"
        case YesNo(body):
            return _body(body) + "嗎？"
        case Asking(clause, asked, person):
            return _asking(clause, asked, person) + "？"
        case Reported(subject, "ask", clause):
            return f"{_phrase(subject)}問{_whether(clause)}。"
        case Reported(subject, opinion, clause):
            return f"{_phrase(subject)}{_OPINIONS[opinion]}{_body(clause)}。"
        case Because(main, reason):
            return f"因為{_body(reason)}，所以{_body(main)}。"
        case If(condition, main):
            return f"如果{_body(condition)}，{_clause(main, then='就')}。"
        case Attempt(subject, what, clause):
            return f"{_phrase(subject)}{_ATTEMPTS[what]}{_action(clause, clause.verb.chinese)}。"


# ---- phrases


def _phrase(phrase: Phrase, *, subject: bool = False, none: bool = False) -> str:
    """subject: an indefinite subject is brought in with 有. none: after a negation the number goes."""
    if isinstance(phrase, Fixed):
        return phrase.chinese
    if isinstance(phrase, Relative):
        return f"{_relative(phrase)}{_phrase(phrase.head)}"
    noun, adjective = phrase.noun, _adjective(phrase.adjective, phrase.noun) if phrase.adjective else ""
    if none or noun.tags & {"mass", "unique"}:
        return adjective + noun.chinese
    number = NUMBERS[phrase.count][2] if phrase.count > 1 else ""
    if phrase.determiner == "the":
        measure = "那些" if phrase.count == 0 else f"那{number}{noun.classifier}"
    elif phrase.determiner in OWNERS:
        return _owned(phrase, OWNERS[phrase.determiner][1], number, adjective)
    else:
        measure = ("有" if subject else "") + (number or "一") + noun.classifier
    return measure + adjective + noun.chinese


def _owned(phrase: NounPhrase, owner: str, number: str, adjective: str) -> str:
    """我的狗, 我的兩隻黑色的狗, 我的黑色帽子, 我年輕的鄰居: one 的 is enough."""
    owner = "我們" if phrase.determiner == "our" else owner
    if number:
        return f"{owner}的{number}{phrase.noun.classifier}{adjective}{phrase.noun.chinese}"
    if adjective.endswith("的"):
        colour = phrase.adjective is not None and phrase.adjective.english in _COLOURS and len(phrase.noun.chinese) > 1
        return f"{owner}的{adjective[:-1]}{phrase.noun.chinese}" if colour else f"{owner}{adjective}{phrase.noun.chinese}"
    return f"{owner}的{adjective}{phrase.noun.chinese}"


def _adjective(adjective: Adjective, noun: Noun) -> str:
    if adjective.english == "old":
        return "年老的" if "person" in noun.tags else "老" if "animal" in noun.tags else "舊"
    return adjective.chinese


def _relative(phrase: Relative) -> str:
    clause = phrase.clause
    if phrase.role == "subject":
        return _clause(clause) + "的"
    assert clause.subject is not None
    time = clause.time.chinese if clause.time else ""
    return f"{_phrase(clause.subject)}{time}{_action(clause, clause.verb.chinese)}的"


def _spot(spot: Spot) -> str:
    if spot.adjective is None:
        return spot.place.chinese
    noun = spot.place.noun
    return f"那{noun.classifier}{_adjective(spot.adjective, noun)}{noun.chinese}{spot.place.chinese_suffix}"


def _goal(spot: Spot, *, put: bool) -> str:
    if spot.adjective is None:
        return spot.place.chinese_goal
    return _spot(spot) if put else _spot(Spot(spot.place, spot.adjective)).removesuffix(spot.place.chinese_suffix)


# ---- clauses


def _action(clause: Clause, template: str) -> str:
    """Vehicle, place and the verb with all that belongs to it."""
    target = clause.object
    none = clause.negated and isinstance(target, NounPhrase) and not target.definite and not target.plural
    what = _phrase(target, none=none) if target else ""
    if "ba" in clause.verb.flags and (isinstance(target, Fixed | Relative) or (target is not None and target.definite)):
        template = "把{o}" + template.replace("了{o}給", "{o}給了").replace("{o}", "")
    if target is None:
        template = template.replace("把{o}", "")
    receiver = _phrase(clause.indirect) if clause.indirect else ""
    goal = _goal(clause.goal, put=clause.verb.frame == "put") if clause.goal else ""
    place = "在" + _spot(clause.place) if clause.place else ""
    vehicle = clause.vehicle.chinese if clause.vehicle else ""
    return vehicle + place + template.format(o=what, i=receiver, p=goal)


def _clause(clause: Clause, *, then: str = "") -> str:
    """then: 就, which opens what follows from a condition."""
    verb = clause.verb
    subject = _phrase(clause.subject, subject=True) if clause.subject else ""
    time = clause.time.chinese if clause.time else ""
    start = time + subject if clause.front else subject + time
    match clause.tense:
        case "past":
            action = "沒有" + _action(clause, verb.chinese) if clause.negated else _action(clause, verb.chinese_past)
        case "progressive":
            action = _action(clause, verb.chinese)
            action = "正" + action if action.startswith("在") else "正在" + action
        case "future" | "want" | "can" | "must":
            action = then + _MODALS[clause.tense][clause.negated] + _action(clause, verb.chinese)
        case _:
            negation = ("沒" if verb.english == "have" else "不") if clause.negated else ""
            action = negation + _action(clause, verb.chinese)
    return start + action


def _body(body: Body) -> str:
    match body:
        case Clause():
            return _clause(body)
        case Description():
            return _described(body)
        case Passive(subject, verb, agent, time):
            return f"{_phrase(subject)}{time.chinese if time else ''}被{_phrase(agent) if agent else ''}{verb.chinese_passive}"
        case Located(subject, spot, there):
            return f"{_spot(spot)}有{_phrase(subject)}" if there else f"{_phrase(subject)}在{_spot(spot)}"
        case Weather(verb_name, time, tense):
            return time.chinese + _WEATHER[verb_name][0 if tense == "past" else 1]


def _described(told: Description, *, asked: bool = False) -> str:
    subject, quality = _phrase(told.subject), told.adjective.chinese_predicate
    thing = isinstance(told.subject, NounPhrase) and "thing" in told.subject.noun.tags
    thing = thing or (isinstance(told.subject, Relative) and "thing" in told.subject.head.noun.tags)
    if told.adjective.english == "old" and thing:
        quality = "舊"
    if told.than:
        return f"{subject}比{_phrase(told.than)}{quality}"
    if told.adjective.english in _COLOURS:
        quality = "是" + told.adjective.chinese
    degree = "不" if told.negated else "" if asked or quality[0] == "是" else "非常" if told.very else "很"
    return f"{subject}{told.time.chinese if told.time else ''}{degree}{quality}"


def _whether(clause: Clause) -> str:
    assert clause.subject is not None
    time = clause.time.chinese if clause.time else ""
    open_question = "有沒有" if clause.tense == "past" else "會不會"
    return _phrase(clause.subject) + time + open_question + _action(clause, clause.verb.chinese)


def _asking(clause: Clause, asked: str, person: bool) -> str:
    verb = clause.verb
    time = clause.time.chinese if clause.time else ""
    if asked == "subject":
        return "誰" + time + _action(clause, verb.chinese_past)
    assert clause.subject is not None
    start = _phrase(clause.subject) + time
    if asked == "object":
        return start + _action(clause, verb.chinese_past.replace("{o}", "誰" if person else "什麼"))
    if asked == "goal":
        return start + _action(clause, verb.chinese_past.replace("{p}", "哪裡"))
    return f"{start}是在哪裡{_action(clause, verb.chinese)}的"
