"""Made translations whose true alignment is known: by the lexicon that they are made from.

A word is aligned where it is a noun, an adjective, a name or a number that comes once on either side.
"""

from __future__ import annotations

from collections.abc import Sequence

from headway.samples.lexicon import ADJECTIVES, NAMES, NOUNS, NUMBERS

ENDINGS = ("", "e", "en", "er", "em", "es")


def _meanings() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    english: dict[str, set[str]] = {}
    german: dict[str, set[str]] = {}

    def add(meaning: str, first: set[str], second: set[str]) -> None:
        for word in first:
            english.setdefault(word.lower(), set()).add(meaning)
        for word in second:
            german.setdefault(word.lower(), set()).add(meaning)

    for noun in NOUNS:
        add(noun.english, {noun.english, noun.english_plural}, {noun.german, noun.german_plural, f"{noun.german_plural}n"})
    for adjective in ADJECTIVES:
        forms = {adjective.german + ending for ending in ENDINGS} | {adjective.german_predicate}
        add(adjective.english, {adjective.english}, forms)
    for english_number, german_number, *_ in NUMBERS.values():
        add(english_number, {english_number}, {german_number})
    for name in NAMES:
        add(name.english, {name.english}, {name.german})
    return english, german


ENGLISH, GERMAN = _meanings()


def gold_links(source: Sequence[str], target: Sequence[str]) -> dict[int, int]:
    """Places of target words → places of the English words that they render, where that is certain."""
    found = {}
    for place, word in enumerate(target):
        meaning = GERMAN.get(word.lower(), set())
        there = [other for other, text in enumerate(source) if ENGLISH.get(text.lower(), set()) & meaning]
        again = sum(bool(GERMAN.get(text.lower(), set()) & meaning) for text in target)
        if len(there) == 1 and again == 1:
            found[place] = there[0]
    return found
