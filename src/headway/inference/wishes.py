"""What people ask of an answer beside its text: a glossary, forbidden texts, a beginning. Here it becomes pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from headway.config_reader import short
from headway.data.lines import read_lines
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.surfaces import Surfaces
from headway.data.tokenizer import UNK_ID, Tokenizers
from headway.data.words import folded, joined, minds_case, squeezed
from headway.errors import DataError, UsageError
from headway.inference.conditions import Conditions
from headway.inference.demands import Phrase
from headway.inference.forbidden import Forbidden

KEPT = 4  # glossaries, and lists of forbidden texts, that are kept ready
_APART = ("。", "(", ",", "\n")  # behind one of these a phrase is cut into pieces as it is without a blank before it


@dataclass(frozen=True)
class Wish:
    """What is asked of one answer.

    Attributes:
        glossary: terms of the source with their translations. forbidden: texts that it must not have. prefix: its beginning.
    """

    glossary: tuple[tuple[str, str], ...] = ()
    forbidden: tuple[str, ...] = ()
    prefix: str = ""

    def __bool__(self) -> bool:
        return bool(self.glossary or self.forbidden or self.prefix.strip())


def wish(glossary: Mapping[str, str] | None = None, forbidden: Sequence[str] | None = None, prefix: str = "") -> Wish:
    """A wish that is well formed. Raises UsageError for what is none."""
    terms = {} if glossary is None else glossary
    if not isinstance(terms, Mapping) or not all(isinstance(one, str) for pair in terms.items() for one in pair):
        raise UsageError(f"is {short(glossary)}, not terms with their translations", where="glossary", remedy='{"dog": "Hund"}')
    if isinstance(forbidden, str) or not all(isinstance(one, str) for one in forbidden or ()):
        raise UsageError(f"is {short(forbidden)}, not a list of texts", where="forbidden", remedy='forbidden=["Hund"]')
    if not isinstance(prefix, str):
        raise UsageError(f"is {short(prefix)}, not a text", where="prefixes", remedy="give one text for each text")
    return Wish(tuple(terms.items()), tuple(forbidden or ()), prefix)


def refusal(asked: Wish, whom: str, remedy: str = "leave it out") -> UsageError:
    """The mistake of asking this of a model that cannot be asked."""
    where = "glossary" if asked.glossary else "forbidden" if asked.forbidden else "prefixes"
    return UsageError(f"{whom} cannot be asked this", where=where, remedy=remedy)


def wishes(
    count: int,
    glossary: Mapping[str, str] | None = None,
    forbidden: Sequence[str] | None = None,
    prefixes: Sequence[str] | None = None,
) -> list[Wish]:
    """Those of so many texts, which differ in their prefixes. Raises UsageError for what is none, and for another number."""
    if prefixes is None:
        return [wish(glossary, forbidden)] * count
    if isinstance(prefixes, str) or len(prefixes) != count:
        problem = "is one text" if isinstance(prefixes, str) else f"{len(prefixes)} of them for {count} texts"
        raise UsageError(problem, where="prefixes", remedy="give one for each text; an empty one asks nothing")
    return [wish(glossary, forbidden, prefix) for prefix in prefixes]


def read_glossary(path: str) -> dict[str, str]:
    """The terms of a file, `term TAB translation` a line; blank lines are passed over.

    Raises DataError with file and line for one that is no such pair, and for a term that has two translations.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        if is_blank(line):
            continue
        where, remedy = f"{path}:{number}", "write: term TAB translation"
        parts = [part.strip() for part in line.split("\t")]
        if len(parts) != 2:
            raise DataError(f"has {len(parts) - 1} tabs, not one", where=where, remedy=remedy)
        if not all(parts):
            raise DataError(f"the {'translation' if parts[0] else 'term'} is missing", where=where, remedy=remedy)
        if found.setdefault(*parts) != parts[1]:
            raise DataError(f"{short(parts[0])} stands above with another translation", where=where, remedy="keep one of them")
    if not found:
        raise DataError("has no term", where=path, remedy="write a term a line: term TAB translation")
    return found


class WishReader:
    """Makes conditions of wishes, for one direction of a model.

    Args:
        longest: pieces that a prefix may have.
    """

    def __init__(self, tokenizers: Tokenizers, source: Preprocessor, target: Preprocessor, longest: int) -> None:
        self._source, self._target = tokenizers.source, tokenizers.target
        self._source_steps, self._target_steps = source, target
        self._longest = longest
        self._terms = lru_cache(KEPT)(self._read_terms)
        self._bar = lru_cache(KEPT)(self._read_forbidden)

    def conditions(self, asked: Wish, source: str) -> Conditions | None:
        """What is asked of the answer to a source, which is preprocessed. Raises UsageError for what cannot be written."""
        if not asked:
            return None
        bar = self._bar(asked.forbidden) if asked.forbidden else None
        phrases = self._terms(asked.glossary).demanded(self._source.normalize(source)) if asked.glossary else ()
        if bar is not None and any(bar.found_in(one.text) for one in phrases):
            problem = "a translation of the glossary has a text that is forbidden"
            raise UsageError(problem, where="glossary", remedy="forbid it no more, or choose another translation")
        return Conditions(Surfaces.of(self._target), self._prefix(asked.prefix, bar), phrases, bar)

    def _prefix(self, prefix: str, bar: Forbidden | None) -> tuple[int, ...]:
        text = self._target_steps.apply(prefix)
        if is_blank(text):
            return ()
        ids = tuple(self._target.encode(text))
        if UNK_ID in ids:
            raise UsageError("a prefix has characters that the model cannot write", where="prefixes", remedy="leave them out")
        if len(ids) > self._longest:
            problem = f"a prefix has {len(ids)} pieces, more than the {self._longest} that an answer may begin with"
            raise UsageError(problem, where="prefixes", remedy="shorten it")
        if bar is not None and bar.found_in(text):
            raise UsageError(
                "a prefix has a text that is forbidden", where="prefixes", remedy="forbid it no more, or begin otherwise"
            )
        return ids

    def _read_forbidden(self, texts: tuple[str, ...]) -> Forbidden:
        written = [self._target.normalize(self._target_steps.apply(text)) for text in texts]
        for number, text in enumerate(written, 1):
            if is_blank(text):
                raise UsageError(f"forbidden text {number} is blank", where="forbidden", remedy="leave it out")
        return Forbidden(Surfaces.of(self._target), written)

    def _read_terms(self, glossary: tuple[tuple[str, str], ...]) -> _Terms:
        terms = _Terms()
        for number, (term, translation) in enumerate(glossary, 1):
            wanted = squeezed(self._source.normalize(self._source_steps.apply(term)).strip())
            if is_blank(wanted):
                raise UsageError(f"term {number} of the glossary is blank", where="glossary", remedy="leave it out")
            if not terms.add(wanted, self._phrase(translation, number)):
                problem = f"term {number} of the glossary is to the model the same as one before it, and has another translation"
                raise UsageError(problem, where="glossary", remedy="keep one of them")
        return terms

    def _phrase(self, translation: str, number: int) -> Phrase:
        text, encode = self._target.normalize(self._target_steps.apply(translation)).strip(), self._target.encode
        if is_blank(text):
            raise UsageError(f"the translation of term {number} is blank", where="glossary", remedy="write one")
        ways = [encode(text), encode(f" {text}")]
        for mark in _APART:
            before, whole = encode(mark), encode(mark + text)
            if UNK_ID not in before and whole[: len(before)] == before:
                ways.append(whole[len(before) :])
                break
        if UNK_ID in ways[0]:
            problem = f"the translation of term {number} has characters that the model cannot write"
            raise UsageError(problem, where="glossary", remedy="write it otherwise, or leave the term out")
        return Phrase(text, tuple(dict.fromkeys(tuple(way) for way in ways if way and UNK_ID not in way)))


class _Terms:
    """A glossary, to be looked up in texts: a trie of the characters of its terms."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def add(self, term: str, phrase: Phrase) -> bool:
        """False: the term is there with another translation."""
        node = self._root
        for letter in folded(term):
            node = node.setdefault(letter, {})
        ends = node.setdefault("", {})  # by the term where its case matters, else by nothing
        return bool(ends.setdefault(term if minds_case(term) else None, phrase) == phrase)

    def demanded(self, source: str) -> tuple[Phrase, ...]:
        """The translations of the terms that stand in a text as whole words, the longest where several begin at a place."""
        text = squeezed(source.strip())
        return tuple(self._found(text, folded(text)))

    def _found(self, text: str, small: str) -> Iterator[Phrase]:
        place = 0
        while place < len(text):
            end, phrase = place + 1, None
            if not joined(text[place - 1 : place] if place else "", text[place]):
                end, phrase = self._longest(text, small, place)
            if phrase is not None:
                yield phrase
            place = end

    def _longest(self, text: str, small: str, start: int) -> tuple[int, Phrase | None]:
        node, found = self._root, (start + 1, None)
        for place in range(start, len(text)):
            if small[place] not in node:
                break
            node = node[small[place]]
            if "" in node and not joined(text[place], text[place + 1 : place + 2]):
                phrase = node[""].get(text[start : place + 1]) or node[""].get(None)
                found = (place + 1, phrase) if phrase is not None else found
        return found
