"""The three grammars, against sentences and paradigms written down by hand."""

from __future__ import annotations

import pytest

from headway.samples import chinese, english, german
from headway.samples.grammar import (
    Asking,
    Attempt,
    Because,
    Clause,
    Description,
    If,
    Located,
    NounPhrase,
    Passive,
    Relative,
    Reported,
    Spot,
    Statement,
    Weather,
    YesNo,
)
from headway.samples.lexicon import ADJECTIVES, NAMES, NOUNS, PLACES, PRONOUNS, TIMES, VEHICLES, VERBS

N = {noun.english: noun for noun in NOUNS}
A = {adjective.english: adjective for adjective in ADJECTIVES}
V = {verb.prefix + verb.german: verb for verb in VERBS}
P = {place.noun.english: Spot(place) for place in PLACES}
I, WE, HE, SHE, THEY = PRONOUNS
ANNA, PAUL = NAMES[0], NAMES[3]
YESTERDAY, TOMORROW, OFTEN, NEVER = TIMES["past"][0], TIMES["future"][0], TIMES["habit"][3], TIMES["habit"][5]


def the(noun, adjective=None, count=1):
    return NounPhrase(N[noun], "the", count, A[adjective] if adjective else None)


def a(noun, adjective=None):
    return NounPhrase(N[noun], "a", 1, A[adjective] if adjective else None)


def some(noun, count=1, adjective=None, owner=""):
    return NounPhrase(N[noun], owner, count, A[adjective] if adjective else None)


CASES = ("nominative", "accusative", "dative")


@pytest.mark.parametrize(
    ("phrase", "forms"),
    [
        (the("hat", "red"), "der rote Hut, den roten Hut, dem roten Hut"),
        (the("lamp", "red"), "die rote Lampe, die rote Lampe, der roten Lampe"),
        (the("dress", "red"), "das rote Kleid, das rote Kleid, dem roten Kleid"),
        (the("dress", "red", 0), "die roten Kleider, die roten Kleider, den roten Kleidern"),
        (the("hat", "red", 3), "die drei roten Hüte, die drei roten Hüte, den drei roten Hüten"),
        (a("hat", "red"), "ein roter Hut, einen roten Hut, einem roten Hut"),
        (a("lamp", "red"), "eine rote Lampe, eine rote Lampe, einer roten Lampe"),
        (a("dress", "red"), "ein rotes Kleid, ein rotes Kleid, einem roten Kleid"),
        (some("hat", 2, "red"), "zwei rote Hüte, zwei rote Hüte, zwei roten Hüten"),
        (some("hat", 2, "red", "my"), "meine zwei roten Hüte, meine zwei roten Hüte, meinen zwei roten Hüten"),
        (some("car", 1, "expensive", "our"), "unser teures Auto, unser teures Auto, unserem teuren Auto"),
        (some("juice", 1, "fresh"), "frischer Saft, frischen Saft, frischem Saft"),
        (some("milk", 1, "cold"), "kalte Milch, kalte Milch, kalter Milch"),
        (some("bread", 1, "fresh"), "frisches Brot, frisches Brot, frischem Brot"),
        (the("boy"), "der Junge, den Jungen, dem Jungen"),
        (a("student", "clever"), "ein kluger Student, einen klugen Studenten, einem klugen Studenten"),
        (the("neighbour", None, 0), "die Nachbarn, die Nachbarn, den Nachbarn"),
        (the("café", None, 0), "die Cafés, die Cafés, den Cafés"),
        (HE, "er, ihn, ihm"),
        (I, "ich, mich, mir"),
    ],
)
def test_german_declension(phrase, forms):
    assert ", ".join(german._phrase(phrase, case) for case in CASES) == forms


@pytest.mark.parametrize(
    ("phrase", "forms"),
    [
        (a("hat", "red"), "kein roter Hut, keinen roten Hut, keinem roten Hut"),
        (some("coffee", 1, "hot"), "kein heißer Kaffee, keinen heißen Kaffee, keinem heißen Kaffee"),
    ],
)
def test_german_kein(phrase, forms):
    assert ", ".join(german._phrase(phrase, case, none=True) for case in CASES) == forms


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        (the("book"), "那本書"),
        (the("book", "new", 0), "那些新書"),
        (the("horse", None, 2), "那兩匹馬"),
        (a("window", "small"), "一扇小窗戶"),
        (some("flower", 3, "red"), "三朵紅色的花"),
        (some("dog", 1, None, "her"), "她的狗"),
        (some("hat", 1, "black", "my"), "我的黑色帽子"),
        (some("neighbour", 1, "young", "our"), "我們年輕的鄰居"),
        (the("king", "old"), "年老的國王"),
        (the("dog", "old"), "那隻老狗"),
        (the("coat", "old"), "那件舊外套"),
    ],
)
def test_chinese_noun_phrases(phrase, text):
    assert chinese._phrase(phrase) == text


OPEN = Clause(the("man"), V["aufmachen"], "past", the("window"), time=YESTERDAY)
BUY = Clause(the("woman"), V["kaufen"], "past", a("apple"), place=P["market"], time=YESTERDAY)


def changed(clause, **changes):
    fields = {name: getattr(clause, name) for name in Clause.__slots__}
    return Clause(**{**fields, **changes})


SENTENCES = [
    # verb second, the bracket, time before place
    (
        Statement(BUY),
        "The woman bought an apple at the market yesterday.",
        "Die Frau hat gestern auf dem Markt einen Apfel gekauft.",
        "那個女人昨天在市場上買了一顆蘋果。",
    ),
    (
        Statement(changed(BUY, front=True)),
        "Yesterday the woman bought an apple at the market.",
        "Gestern hat die Frau auf dem Markt einen Apfel gekauft.",
        "昨天那個女人在市場上買了一顆蘋果。",
    ),
    # negation: kein, nicht, 沒有, 不
    (
        Statement(changed(BUY, negated=True)),
        "The woman did not buy an apple at the market yesterday.",
        "Die Frau hat gestern auf dem Markt keinen Apfel gekauft.",
        "那個女人昨天沒有在市場上買蘋果。",
    ),
    (
        Statement(changed(OPEN, negated=True, tense="want", time=TOMORROW)),
        "The man does not want to open the window tomorrow.",
        "Der Mann will morgen das Fenster nicht aufmachen.",
        "那個男人明天不想打開那扇窗戶。",
    ),
    (
        Statement(Clause(PAUL, V["gehen"], "past", goal=P["park"], negated=True)),
        "Paul did not go to the park.",
        "Paul ist nicht in den Park gegangen.",
        "保羅沒有去公園。",
    ),
    # separable verbs: parted, joined, with zu
    (
        Statement(changed(OPEN, tense="habit", time=OFTEN)),
        "The man often opens the window.",
        "Der Mann macht oft das Fenster auf.",
        "那個男人常常打開那扇窗戶。",
    ),
    (
        Reported(ANNA, "know", changed(OPEN, tense="bare", time=None)),
        "Anna knows that the man opens the window.",
        "Anna weiß, dass der Mann das Fenster aufmacht.",
        "安娜知道那個男人打開那扇窗戶。",
    ),
    (
        Attempt(THEY, "forget", changed(OPEN, subject=None, tense="want", time=None)),
        "They forgot to open the window.",
        "Sie haben vergessen, das Fenster aufzumachen.",
        "他們忘了打開那扇窗戶。",
    ),
    (
        Statement(Clause(SHE, V["aufwecken"], "habit", HE, time=NEVER)),
        "She never wakes him up.",
        "Sie weckt ihn nie auf.",
        "她從來不叫醒他。",
    ),
    (
        Statement(Clause(WE, V["warten"], "progressive", HE)),
        "We are waiting for him.",
        "Wir warten gerade auf ihn.",
        "我們正在等他。",
    ),
    # the dative
    (
        Statement(Clause(the("boy"), V["geben"], "past", a("ball"), the("girl", None, 0), time=YESTERDAY)),
        "The boy gave the girls a ball yesterday.",
        "Der Junge hat gestern den Mädchen einen Ball gegeben.",
        "那個男孩昨天給了那些女孩一顆球。",
    ),
    (
        Asking(Clause(the("doctor"), V["helfen"], "past"), "object"),
        "Who did the doctor help?",
        "Wem hat der Arzt geholfen?",
        "那位醫生幫助了誰？",
    ),
    (
        Statement(Clause(I, V["schicken"], "past", the("letter"), ANNA)),
        "I sent Anna the letter.",
        "Ich habe Anna den Brief geschickt.",
        "我把那封信寄給了安娜。",
    ),
    # goal with the accusative, place with the dative
    (
        Statement(Clause(I, V["legen"], "future", the("book"), goal=P["table"])),
        "I will put the book on the table.",
        "Ich werde das Buch auf den Tisch legen.",
        "我會把那本書放在桌子上。",
    ),
    (
        Statement(Located(some("key", 2), P["table"], True)),
        "There are two keys on the table.",
        "Auf dem Tisch liegen zwei Schlüssel.",
        "桌子上有兩把鑰匙。",
    ),
    (
        Statement(Clause(THEY, V["fahren"], "past", goal=P["city"], vehicle=VEHICLES[0], time=YESTERDAY)),
        "They went to the city by train yesterday.",
        "Sie sind gestern mit dem Zug in die Stadt gefahren.",
        "他們昨天坐火車去了城裡。",
    ),
    # questions
    (
        YesNo(OPEN),
        "Did the man open the window yesterday?",
        "Hat der Mann gestern das Fenster aufgemacht?",
        "那個男人昨天打開了那扇窗戶嗎？",
    ),
    (
        Asking(changed(OPEN, subject=None), "subject"),
        "Who opened the window yesterday?",
        "Wer hat gestern das Fenster aufgemacht?",
        "誰昨天打開了那扇窗戶？",
    ),
    (
        Asking(changed(BUY, object=None, place=None), "object", person=False),
        "What did the woman buy yesterday?",
        "Was hat die Frau gestern gekauft?",
        "那個女人昨天買了什麼？",
    ),
    (
        Asking(changed(OPEN, time=None), "place"),
        "Where did the man open the window?",
        "Wo hat der Mann das Fenster aufgemacht?",
        "那個男人是在哪裡打開那扇窗戶的？",
    ),
    (
        Asking(Clause(the("horse", None, 0), V["laufen"], "past", time=YESTERDAY), "goal"),
        "Where did the horses run to yesterday?",
        "Wohin sind die Pferde gestern gelaufen?",
        "那些馬昨天跑去了哪裡？",
    ),
    # subordinate clauses
    (
        Reported(the("child"), "ask", changed(OPEN, tense="future", time=TOMORROW)),
        "The child asks whether the man will open the window tomorrow.",
        "Das Kind fragt, ob der Mann morgen das Fenster aufmachen wird.",
        "那個孩子問那個男人明天會不會打開那扇窗戶。",
    ),
    (
        Because(Clause(the("girl"), V["weinen"], "progressive"), Weather("rain", YESTERDAY, "past")),
        "The girl is crying because it rained yesterday.",
        "Das Mädchen weint gerade, weil es gestern geregnet hat.",
        "因為昨天下了雨，所以那個女孩正在哭。",
    ),
    (
        If(Weather("snow", TOMORROW, "bare"), Clause(the("farmer"), V["waschen"], "future", the("car"))),
        "If it snows tomorrow, the farmer will wash the car.",
        "Wenn es morgen schneit, wird der Bauer das Auto waschen.",
        "如果明天下雪，那個農夫就會洗那輛汽車。",
    ),
    (
        Statement(Description(Relative(the("woman"), changed(BUY, subject=None, place=None), "subject"), A["tired"], very=True)),
        "The woman who bought an apple yesterday is very tired.",
        "Die Frau, die gestern einen Apfel gekauft hat, ist sehr müde.",
        "昨天買了一顆蘋果的那個女人非常累。",
    ),
    (
        Statement(Description(Relative(the("man"), Clause(the("girl"), V["helfen"], "past"), "object"), A["old"], negated=True)),
        "The man whom the girl helped is not old.",
        "Der Mann, dem das Mädchen geholfen hat, ist nicht alt.",
        "那個女孩幫助的那個男人不老。",
    ),
    # passive, comparison, description
    (
        Statement(Passive(the("window"), V["aufmachen"], the("teacher"), YESTERDAY)),
        "The window was opened by the teacher yesterday.",
        "Das Fenster wurde gestern vom Lehrer aufgemacht.",
        "那扇窗戶昨天被那位老師打開了。",
    ),
    (
        Statement(Description(the("horse"), A["big"], the("dog"))),
        "The horse is bigger than the dog.",
        "Das Pferd ist größer als der Hund.",
        "那匹馬比那隻狗大。",
    ),
    (
        YesNo(Description(the("door"), A["green"])),
        "Is the door green?",
        "Ist die Tür grün?",
        "那扇門是綠色的嗎？",
    ),
]


@pytest.mark.parametrize(("tree", "in_english", "in_german", "in_chinese"), SENTENCES, ids=[row[1] for row in SENTENCES])
def test_sentences(tree, in_english, in_german, in_chinese):
    assert (english.say(tree), german.say(tree), chinese.say(tree)) == (in_english, in_german, in_chinese)
