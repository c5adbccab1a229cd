"""Which characters of a text the words of a side are: from pieces back through tokenizer and preprocessing.

A word whose place is not known for certain has none: text[start:end] is always what it shows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from headway.data.opening import source_opening
from headway.data.preprocessing import Preprocessor
from headway.explain.alignment import words_of
from headway.explain.sides import Side
from headway.model_dir import LoadedModel

Span = tuple[int, int]
TAB = "\t"  # between two texts that are read together
IN_TWO = ("pair_classification", "question_answering")
AS_GIVEN = ("question_answering",)  # what is read without preprocessing
REACH = 40  # characters of a text that preprocessing may have left out before a word
LENGTHS = (0, 1, -1, 2, -2, 3, -3)  # by which it may have made a word shorter


@dataclass(frozen=True)
class Word:
    """Something that was read or written.

    Attributes:
        start, end: its characters, the end exclusive; None where they are not known.
        positions: of the side, in order.
    """

    text: str
    start: int | None
    end: int | None
    positions: list[int]


def tagged_words(text: str, words: Sequence[str], begins: Sequence[int], side: Side) -> list[Word]:
    """The words that a tagger has told apart, of those that were read.

    Args:
        begins: the position of the first piece of each.
    """
    found, place = [], 0
    ends = [*begins[1:], side.marks.index(True, begins[-1]) if begins else 0]
    for word, first, end in zip(words, begins, ends, strict=False):
        start = text.find(word, place)
        place = start + len(word)
        found.append(Word(word, start, place, list(range(first, end))))
    return found


def words_read(loaded: LoadedModel, text: str, side: Side, positions: Sequence[int]) -> list[Word]:
    """The words of a text that a model has read at these positions of a side, in order; marks are none of them."""
    config = loaded.config
    encodes = len(loaded.model.encoder) > 0
    tokenizer = loaded.tokenizers.source if encodes else loaded.tokenizers.target
    opening = len(source_opening(config, loaded.tokenizers)) if encodes else 0
    steps = Preprocessor([] if config.task in AS_GIVEN else config.data.preprocessing, config.data.source_language)
    found: list[Word] = []
    runs = iter(_runs([place for place in positions if not side.marks[place] and place >= opening]))
    begins = 0
    for part in text.split(TAB, 1) if config.task in IN_TWO else [text]:
        seen = steps.apply(part)
        ids, spans = tokenizer.encode_with_spans(seen)
        if ids and (run := next(runs, None)):
            known = _spans_of([side.ids[place] for place in run], ids, spans)
            found += _words(side, run, part, begins, seen, known)
        begins += len(part) + len(TAB)
    return found


def _runs(places: Sequence[int]) -> list[list[int]]:
    """Places that follow each other, by themselves."""
    runs: list[list[int]] = []
    for place in places:
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


def _spans_of(read: Sequence[int], ids: Sequence[int], spans: Sequence[Span]) -> Sequence[Span] | None:
    """The spans of what was read of a text: its beginning, its end or a window of it; None where it is nothing of these."""
    length, last = len(read), len(ids) - len(read)
    for start in (0, last, *range(1, last)):
        if start >= 0 and list(ids[start : start + length]) == list(read):
            return spans[start : start + length]
    return None


def _words(side: Side, run: Sequence[int], part: str, begins: int, seen: str, spans: Sequence[Span] | None) -> list[Word]:
    groups: dict[int, list[int]] = {}
    for place in run:
        groups.setdefault(side.words[place], []).append(place)
    if spans is None:
        names = words_of(side)
        return [Word(names[number], None, None, places) for number, places in groups.items()]
    slices = []
    for places in groups.values():
        own = [spans[place - run[0]] for place in places]
        slices.append(_trimmed(seen, min(start for start, _ in own), max(end for _, end in own)))
    found: Sequence[Span | None] = slices if seen == part else located([seen[start:end] for start, end in slices], part)
    return [
        Word(part[span[0] : span[1]], begins + span[0], begins + span[1], places)
        if span is not None
        else Word(seen[own[0] : own[1]], None, None, places)
        for span, own, places in zip(found, slices, groups.values(), strict=True)
    ]


def _trimmed(text: str, start: int, end: int) -> Span:
    """Without the blanks at both ends; nothing but blanks stays as it is."""
    own = text[start:end]
    if not own.strip():
        return start, end
    first = start + len(own) - len(own.lstrip())
    return first, max(first, start + len(own.rstrip()))


def words_written(loaded: LoadedModel, text: str, answer: str, side: Side, positions: Sequence[int]) -> list[Word]:
    """The words of the answer to a text that a model has written at these positions of a side; a mere blank is none."""
    tokenizer, begin = loaded.tokenizers.target, 0
    if not loaded.model.encoder:  # the answer begins with the text, as far as the tokenizer knows it
        config = loaded.config
        prompt = Preprocessor(config.data.preprocessing, config.data.source_language).apply(text)
        begin = len(tokenizer.decode(tokenizer.encode(prompt)))
    groups: dict[int, list[int]] = {}
    for place in positions:
        if not side.marks[place]:
            groups.setdefault(side.words[place], []).append(place)
    named = [(tokenizer.decode([side.ids[place] for place in places]).strip(), places) for places in groups.values()]
    named = [(name, places) for name, places in named if name]
    found = located([name for name, _ in named], answer, begin)
    return [
        Word(answer[span[0] : span[1]], *span, places) if span is not None else Word(name, None, None, places)
        for span, (name, places) in zip(found, named, strict=True)
    ]


def located(words: Sequence[str], text: str, place: int = 0) -> list[Span | None]:
    """Where words stand in a text that they were made from, or that was made from them, in their order, from a place on.

    Case, composed characters and blanks may differ. None for a word that is not found near the one before it.
    """
    found: list[Span | None] = []
    for word in words:
        span = _next(word, text, place)
        found.append(span)
        place = span[1] if span is not None else place
    return found


def _next(word: str, text: str, place: int) -> Span | None:
    wanted = _alike(word)
    if not wanted:
        return None
    while place < len(text) and text[place].isspace():
        place += 1
    reach = REACH if any(map(str.isalnum, word)) else 2  # a mark is found everywhere
    for start in range(place, min(len(text), place + reach)):
        if _alike(text[start])[:1] != wanted[:1]:
            continue
        for end in (start + len(word) + more for more in LENGTHS):
            if start < end <= len(text) and not text[end - 1].isspace() and _alike(text[start:end]) == wanted:
                return start, end
    return None


def _alike(text: str) -> str:
    return unicodedata.normalize("NFKD", text).casefold()
