"""Sentences with their people, places and times."""

from __future__ import annotations

import itertools
import re
from functools import cache

from headway.samples import english
from headway.samples.kind import Said
from headway.samples.lexicon import NAMES, NOUNS, PLACES, TIMES
from headway.samples.speaker import Speaker

_WORDS = re.compile(r"[\w']+|[^\w\s]")


@cache
def _marked() -> list[tuple[tuple[str, ...], str]]:
    """Words in a row and the kind of entity that they are, the longest first."""
    found: dict[tuple[str, ...], str] = {}
    for time in itertools.chain.from_iterable(TIMES.values()):
        found[tuple(_WORDS.findall(time.english.lower()))] = "TIME"
    for place in PLACES:
        found[(place.noun.english,)] = "PLACE"
    for noun in NOUNS:
        if "person" in noun.tags:
            found[(noun.english,)] = found[(noun.english_plural,)] = "PERSON"
    for name in NAMES:
        found[(name.english.lower(),)] = "PERSON"
    return sorted(found.items(), key=lambda item: (-len(item[0]), item))


def marked_words(sentence: str) -> list[tuple[str, str]]:
    """The words of a sentence, each with its tag in IOB2."""
    words = _WORDS.findall(sentence)
    lower = [word.lower() for word in words]
    tags = ["O"] * len(words)
    for phrase, kind in _marked():
        for start in range(len(words) - len(phrase) + 1):
            span = slice(start, start + len(phrase))
            if tuple(lower[span]) == phrase and all(tag == "O" for tag in tags[span]):
                tags[span] = [f"B-{kind}", *[f"I-{kind}"] * (len(phrase) - 1)]
    return list(zip(words, tags, strict=True))


def sentence_and_tags(speaker: Speaker) -> Said:
    """The sentence, and its words with their tags, one a line."""
    sentence = english.say(speaker.speak())
    return sentence, "\n".join(f"{word}\t{tag}" for word, tag in marked_words(sentence))
