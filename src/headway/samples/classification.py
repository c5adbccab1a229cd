"""Sentences with the kind of each, with all that is in it, or with the number that it names."""

from __future__ import annotations

import re

from headway.samples import english
from headway.samples.grammar import Asking, Attempt, Because, If, Reported, Statement, Tree, YesNo
from headway.samples.kind import Said
from headway.samples.lexicon import NUMBERS
from headway.samples.speaker import Speaker
from headway.samples.tagging import marked_words

KINDS: dict[type[Tree], str] = {
    Statement: "statement",
    YesNo: "yes-no question",
    Asking: "question",
    Reported: "report",
    Because: "reason",
    If: "condition",
    Attempt: "attempt",
}
_NUMBERS = {words[0]: number for number, words in NUMBERS.items()}


def sentence_and_kind(speaker: Speaker) -> Said:
    tree = speaker.speak()
    return english.say(tree), KINDS[type(tree)]


def sentence_and_marks(speaker: Speaker) -> Said:
    """The sentence, and of person, place, time, question and negation those that are in it."""
    sentence = english.say(speaker.speak())
    marks = {tag.partition("-")[2].lower() for _, tag in marked_words(sentence) if tag != "O"}
    if sentence.endswith("?"):
        marks.add("question")
    if re.search(r"\b(not|cannot|never)\b", sentence):
        marks.add("negation")
    return sentence, ",".join(sorted(marks))


def sentence_and_number(speaker: Speaker) -> Said | None:
    """The sentence, and the number that it names; None where it names none, or several."""
    sentence = english.say(speaker.speak())
    numbers = [_NUMBERS[word] for word in re.findall("[a-z]+", sentence.lower()) if word in _NUMBERS]
    return (sentence, str(numbers[0])) if len(numbers) == 1 else None
