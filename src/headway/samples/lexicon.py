"""The words of the tiny world in English, German and Chinese (traditional characters).

The rows of `words.py` are read once into the frozen records below.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from headway.samples import words

Case = Literal["nominative", "accusative", "dative"]
Frame = Literal["none", "accusative", "dative", "double", "goal", "put"]
Tags = frozenset[str]


@dataclass(frozen=True, slots=True)
class Noun:
    english: str
    english_plural: str
    gender: Literal["m", "f", "n"]
    german: str
    german_plural: str
    chinese: str
    classifier: str  # the measure word between number and noun
    tags: Tags  # what may be done with it; "weak" = the German n-declension, "unique" = there is only one


@dataclass(frozen=True, slots=True)
class Adjective:
    english: str
    english_comparative: str
    german: str  # the stem that endings are added to: teuer → teur-
    german_predicate: str
    german_comparative: str
    chinese: str  # before a noun, with 的 where it has one
    chinese_predicate: str
    tags: Tags  # the nouns that it goes with


@dataclass(frozen=True, slots=True)
class Verb:
    english: str
    english_past: str
    english_participle: str
    english_ing: str
    particle: str  # wake … up: stands after a pronoun
    preposition: str  # wait for …
    prefix: str  # auf- of aufmachen, parted from the verb in a main clause
    german: str  # the infinitive without the prefix
    german_third: str
    german_participle: str
    auxiliary: Literal["haben", "sein"]
    german_preposition: str  # auf of "warten auf", which takes the accusative
    chinese: str  # a template: {o} object, {i} indirect object, {p} goal
    chinese_past: str
    chinese_passive: str  # "" where a passive would sound wrong
    frame: Frame
    subjects: Tags
    objects: Tags
    flags: Tags


@dataclass(frozen=True, slots=True)
class Place:
    noun: Noun
    english: str  # preposition
    german: str  # preposition of the place, with the dative
    german_goal: str  # preposition of the goal, with the accusative (zu: the dative)
    chinese: str  # the place word with 裡, 上 or 邊
    chinese_suffix: str
    chinese_goal: str
    tags: Tags


@dataclass(frozen=True, slots=True)
class Adverbial:
    english: str
    german: str
    chinese: str
    before_verb: bool = False  # often, always, never


@dataclass(frozen=True, slots=True)
class Fixed:
    """A pronoun or a name: forms that are looked up, not built."""

    english: str
    english_object: str
    german: str
    german_accusative: str
    german_dative: str
    chinese: str
    person: Literal[1, 3] = 3
    plural: bool = False
    name: bool = False


TIMES: dict[str, tuple[Adverbial, ...]] = {
    "past": (
        Adverbial("yesterday", "gestern", "昨天"),
        Adverbial("yesterday evening", "gestern Abend", "昨天晚上"),
        Adverbial("this morning", "heute Morgen", "今天早上"),
        Adverbial("last week", "letzte Woche", "上個星期"),
        Adverbial("last Sunday", "letzten Sonntag", "上個星期天"),
        Adverbial("two days ago", "vor zwei Tagen", "兩天前"),
    ),
    "future": (
        Adverbial("tomorrow", "morgen", "明天"),
        Adverbial("tomorrow evening", "morgen Abend", "明天晚上"),
        Adverbial("this evening", "heute Abend", "今天晚上"),
        Adverbial("next week", "nächste Woche", "下個星期"),
        Adverbial("next Sunday", "nächsten Sonntag", "下個星期天"),
        Adverbial("in two days", "in zwei Tagen", "兩天後"),
    ),
    "habit": (
        Adverbial("every day", "jeden Tag", "每天"),
        Adverbial("every morning", "jeden Morgen", "每天早上"),
        Adverbial("every Sunday", "jeden Sonntag", "每個星期天"),
        Adverbial("often", "oft", "常常", before_verb=True),
        Adverbial("always", "immer", "總是", before_verb=True),
        Adverbial("never", "nie", "從來不", before_verb=True),
    ),
}

PRONOUNS = (
    Fixed("I", "me", "ich", "mich", "mir", "我", person=1),
    Fixed("we", "us", "wir", "uns", "uns", "我們", person=1, plural=True),
    Fixed("he", "him", "er", "ihn", "ihm", "他"),
    Fixed("she", "her", "sie", "sie", "ihr", "她"),
    Fixed("they", "them", "sie", "sie", "ihnen", "他們", plural=True),
)
NAMES = tuple(
    Fixed(name, name, name, name, name, chinese, name=True)
    for name, chinese in (
        ("Anna", "安娜"),
        ("Laura", "蘿拉"),
        ("Maria", "瑪麗亞"),
        ("Paul", "保羅"),
        ("Peter", "彼得"),
        ("Thomas", "湯瑪斯"),
    )
)
NUMBERS: dict[int, tuple[str, str, str]] = {
    2: ("two", "zwei", "兩"),
    3: ("three", "drei", "三"),
    4: ("four", "vier", "四"),
    5: ("five", "fünf", "五"),
    10: ("ten", "zehn", "十"),
}
OWNERS: dict[str, tuple[str, str]] = {"my": ("mein", "我"), "our": ("unser", "我們"), "his": ("sein", "他"), "her": ("ihr", "她")}
VEHICLES = (
    Adverbial("by train", "mit dem Zug", "坐火車"),
    Adverbial("by bus", "mit dem Bus", "坐公車"),
    Adverbial("by bicycle", "mit dem Fahrrad", "騎腳踏車"),
    Adverbial("by car", "mit dem Auto", "開車"),
)


def _cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def _noun(row: list[str]) -> Noun:
    english, plural, german, german_plural, chinese, classifier, tags = row
    article, word = german.split()
    gender: Literal["m", "f", "n"] = "m" if article == "der" else "f" if article == "die" else "n"
    return Noun(english, plural, gender, word, german_plural, chinese, classifier, frozenset(tags.split()))


_FRAMES: dict[str, Frame] = {
    "none": "none", "acc": "accusative", "dat": "dative", "double": "double", "goal": "goal", "put": "put",
}  # fmt: skip


def _adjective(row: list[str]) -> Adjective:
    english, english_comparative, stem, german, german_comparative, chinese, predicate, tags = row
    return Adjective(english, english_comparative, stem, german, german_comparative, chinese, predicate, frozenset(tags.split()))


def _marked(found: list[str], mark: str) -> str:
    return next((word[1:] for word in found if word.startswith(mark)), "")


def _verb(row: list[str]) -> Verb:
    english, german, chinese, passive, frame, subjects, objects, flags = row
    base, en_past, en_participle, ing, *extra = english.split()
    infinitive, third, participle, *rest = german.split()
    prefix, _, bare = infinitive.rpartition("-")
    template, *past = chinese.split()
    if frame in ("acc", "dat") and "{o}" not in template:
        template += "{o}"
    slot = next((slot for slot in ("{o}", "{p}") if slot in template), "")
    plain_past = template.replace(slot, "了" + slot) if slot else template + "了"
    return Verb(
        base, en_past, en_participle, ing, _marked(extra, "~"), _marked(extra, "+"),
        prefix, bare, third, participle, "sein" if "sein" in rest else "haben", _marked(rest, "+"),
        template, past[0] if past else plain_past, "" if passive == "-" else passive,
        _FRAMES[frame], frozenset(subjects.split()), frozenset(objects.split()) - {"-"}, frozenset(flags.split()),
    )  # fmt: skip


def _place(row: list[str]) -> Place:
    noun, english, german, chinese, suffix, goal, tags = row
    place, towards = german.split()
    return Place(_BY_NAME[noun], english, place, towards, chinese, suffix, goal, frozenset(tags.split()))


NOUNS = tuple(_noun(row) for row in _cells(words.NOUNS))
_BY_NAME = {noun.english: noun for noun in NOUNS}
ADJECTIVES = tuple(_adjective(row) for row in _cells(words.ADJECTIVES))
VERBS = tuple(_verb(row) for row in _cells(words.VERBS))
PLACES = tuple(_place(row) for row in _cells(words.PLACES))


@cache
def nouns_with(tags: Tags) -> tuple[Noun, ...]:
    """The nouns that carry at least one of the tags."""
    return tuple(noun for noun in NOUNS if noun.tags & tags)


@cache
def adjectives_for(noun: Noun) -> tuple[Adjective, ...]:
    return tuple(adjective for adjective in ADJECTIVES if adjective.tags & noun.tags)


@cache
def places_with(tag: str) -> tuple[Place, ...]:
    return tuple(place for place in PLACES if tag in place.tags)
