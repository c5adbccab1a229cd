"""Where the tags of a text go in its translation: each around the words that render what it was around.

A stretch is a sentence and its translation; its words are links from places in the translation to places in the text. A node
gets one range of the translation: the run of words that holds most of its own and fewest others. Ranges of children lie within
that of their parent and apart from each other, so that what is well-formed stays so whatever the links say.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from headway.data.markup import Node, Passage, escape
from headway.data.sentences import Span

_Own = tuple[int, int, bool]  # the extent of a node in the text, and whether it replaces what renders it


@dataclass(frozen=True)
class Word:
    """A word of a translation.

    Attributes:
        source: the place in the text of what it renders; None of nothing in particular.
        also: places of what has no better rendering, such as both parts of a compound.
    """

    target: Span
    source: Span | None
    also: tuple[Span, ...] = ()

    def moved(self, target: int, source: int) -> Word:
        """The same word, its places so much further on."""
        places = [(begin + source, end + source) for begin, end in (self.source or (0, 0), *self.also)]
        return Word((self.target[0] + target, self.target[1] + target), places[0] if self.source else None, tuple(places[1:]))


@dataclass(frozen=True)
class Stretch:
    """A sentence in the text and in the translation of its passage."""

    source: Span
    target: Span
    words: list[Word]


@dataclass
class _Place:
    """The range of a node, and what its children have taken of it, by stretch: ranges, and the numbers of words."""

    range: Span
    taken: dict[int, list[Span]] = field(default_factory=dict)
    words: dict[int, set[int]] = field(default_factory=dict)


def project(passage: Passage, translation: str, stretches: Sequence[Stretch]) -> str:
    """The translation of a passage as HTML, with all of its nodes."""
    projection = _Projection(passage.text, translation, stretches)
    root = Node(0, len(passage.text), children=passage.nodes)
    places = {id(root): _Place((0, len(translation)))}
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for node in parent.children:
            places[id(node)] = projection.place(node, places[id(parent)])
            waiting.append(node)
    return "".join(_written(root, {number: place.range for number, place in places.items()}, translation))


def diagonal(source: str, target: str) -> list[Word]:
    """Words by their order alone, where nothing else is known: places count from the beginning of both."""
    read, said = _words(source), _words(target)
    return [Word(span, read[place * len(read) // len(said)] if read else None) for place, span in enumerate(said)]


def _words(text: str) -> list[Span]:
    """What blanks part, and each mark but an apostrophe within a word for itself."""
    found: list[Span] = []
    after_mark = True
    for place, letter in enumerate(text):
        if letter.isspace():
            continue
        within = letter in "'’" and text[place - 1 : place].isalnum() and text[place + 1 : place + 2].isalnum()
        mark = unicodedata.category(letter)[0] in "PS" and not within
        if mark or after_mark or found[-1][1] < place:
            found.append((place, place + 1))
        else:
            found[-1] = (found[-1][0], place + 1)
        after_mark = mark
    return found


class _Projection:
    def __init__(self, text: str, translation: str, stretches: Sequence[Stretch]) -> None:
        self._text, self._translation, self._stretches = text, translation, stretches
        self._begins = [stretch.source[0] for stretch in stretches]
        self._known_links: dict[int, _Links] = {}
        self._seen = [place for place, letter in enumerate(text) if not letter.isspace()]

    def place(self, node: Node, parent: _Place) -> _Place:
        """The range of a node; takes it from its parent."""
        first, behind = bisect_left(self._seen, node.begin), bisect_left(self._seen, node.end)
        begin, end = (self._seen[first], self._seen[behind - 1] + 1) if first < behind else (node.end, node.end)
        low, high = (self._stretch_at(begin), self._stretch_at(end - 1)) if begin < end else (-1, -1)
        found = self._range((begin, end, bool(node.whole)), low, high, parent) if low >= 0 else None
        if found is None or found[0] >= found[1]:
            at = self._point(node.begin, parent)
            return _Place((at, at))
        for number in {low, high}:
            insort(parent.taken.setdefault(number, []), found)
            words = self._stretches[number].words
            from_word = bisect_right(words, found[0], key=lambda word: word.target[1])
            to_word = bisect_left(words, found[1], key=lambda word: word.target[0])
            parent.words.setdefault(number, set()).update(range(from_word, to_word))
        return _Place(found)

    def _stretch_at(self, place: int) -> int:
        """The number of the stretch that has this place of the text, or the last before it; -1 before all."""
        return bisect_right(self._begins, place) - 1

    def _range(self, own: _Own, low: int, high: int, parent: _Place) -> Span | None:
        begin, end, _ = own
        first, last = self._stretches[low], self._stretches[high]
        whole_begin, whole_end = begin <= first.source[0], end >= last.source[1]
        if low == high and not (whole_begin and whole_end):
            return self._best_run(first, low, own, parent)
        start = first.target[0] if whole_begin else self._boundary(first, own, from_end=True)
        stop = last.target[1] if whole_end else self._boundary(last, own, from_end=False)
        if low < high and start == first.target[1]:  # nothing of the first sentence: it begins with the next one
            start = self._stretches[low + 1].target[0]
        if low < high and stop == last.target[0]:
            stop = self._stretches[high - 1].target[1]
        start, stop = max(start, parent.range[0]), min(stop, parent.range[1])
        for number in (low, high):
            for taken in parent.taken.get(number, ()):
                if taken[0] < stop and start < taken[1]:  # of a sibling: they stand apart
                    start, stop = (taken[1], stop) if number == low else (start, taken[0])
        return (start, stop) if start < stop else None

    def _best_run(self, stretch: Stretch, number: int, own: _Own, parent: _Place) -> Span | None:
        """The run of free words with most of its own and fewest others (Kadane); without any other for what is replaced."""
        taken, best, best_sum, second = parent.words.get(number, set()), None, 0, None
        run_begin, run_sum, whole = 0, 0, own[2]
        linked = self._links(number).of(own)
        for place in range(min(linked, default=0), max(linked, default=-1) + 1):
            word = stretch.words[place]
            barred = place in taken or word.target[0] < parent.range[0] or parent.range[1] < word.target[1]
            if barred or (whole and _vote(word, own) <= 0):  # what renders other text is never replaced
                run_sum = 0
                continue
            if run_sum <= 0:
                run_begin, run_sum = word.target[0], 0
            run_sum += _vote(word, own)
            if run_sum > best_sum:
                best, best_sum = (run_begin, word.target[1]), run_sum
            if second is None and not whole and any(_belongs(also, own) for also in word.also):
                second = word.target
        return best or second

    def _links(self, number: int) -> _Links:
        """Those of the words of a stretch."""
        if number not in self._known_links:
            self._known_links[number] = _Links(self._stretches[number].words)
        return self._known_links[number]

    def _boundary(self, stretch: Stretch, own: _Own, *, from_end: bool) -> int:
        """Where the words begin that render the end of a sentence, or where those end that render its beginning."""
        best, best_sum, total = stretch.target[1] if from_end else stretch.target[0], 0, 0
        for word in reversed(stretch.words) if from_end else stretch.words:
            if own[2] and _vote(word, own) <= 0:
                break
            total += _vote(word, own)
            if total > best_sum:
                best, best_sum = word.target[0 if from_end else 1], total
        return best

    def _point(self, place: int, parent: _Place) -> int:
        """Where something of no extent goes: behind what renders the word before it."""
        number = self._stretch_at(place)
        if number < 0:
            at = min(place, self._stretches[0].target[0]) if self._stretches else place
        elif place >= self._stretches[number].source[1]:
            following = self._stretches[number + 1].target[0] if number + 1 < len(self._stretches) else len(self._translation)
            at = min(self._stretches[number].target[1] + place - self._stretches[number].source[1], following)
        else:
            at = self._behind_word(number, place)
        taken = parent.taken.get(number, [])
        before = bisect_left(taken, (at, at)) - 1
        if before >= 0 and taken[before][0] < at:
            at = max(at, taken[before][1])
        return min(max(at, parent.range[0]), parent.range[1])

    def _behind_word(self, number: int, place: int) -> int:
        said = self._links(number).said_before(place)
        at = self._stretches[number].target[0] if said is None else said
        blank = self._text[place - 1 : place].isspace() and self._translation[at : at + 1].isspace()
        return at + blank


class _Links:
    """The places in the text that the words of a stretch are linked to, in order, so that a node need not ask every word."""

    def __init__(self, words: Sequence[Word]) -> None:
        linked = [(place, number) for number, word in enumerate(words) for place in (word.source, *word.also) if place]
        self._linked = sorted(linked)
        self._begins = [place[0] for place, _ in self._linked]
        self._ends = list(accumulate((place[1] for place, _ in self._linked), max))  # of all so far
        self._said = sorted((word.source[1], word.target[1]) for word in words if word.source)

    def of(self, own: _Own) -> list[int]:
        """The numbers of the words that are linked to a node."""
        first, last = bisect_right(self._ends, own[0]), bisect_left(self._begins, own[1])
        return [number for place, number in self._linked[first:last] if _belongs(place, own)]

    def said_before(self, place: int) -> int | None:
        """Where the word ends that renders the last one before a place of the text."""
        found = bisect_left(self._said, (place + 1,))
        return self._said[found - 1][1] if found else None


def _vote(word: Word, own: _Own) -> int:
    return 0 if word.source is None else 1 if _belongs(word.source, own) else -1


def _belongs(word: Span, own: _Own) -> bool:
    """Whether a word of the text is of a node; all of it must be where the node is put in its place."""
    begin, end, all_of_it = own
    return begin <= word[0] and word[1] <= end if all_of_it else word[0] < end and begin < word[1]


def _written(root: Node, ranges: dict[int, Span], translation: str) -> Iterator[str]:
    """The text with the tags at their places; no range is trusted to lie where it should."""
    done = 0
    open_nodes, waiting = [root], [_in_order(root, ranges)]
    while waiting:
        node = next(waiting[-1], None)
        leaves = open_nodes[-1] if node is None else None
        place = ranges[id(leaves)][1] if leaves is not None else ranges[id(node)][0]
        if place > done:
            yield escape(translation[done:place])
            done = place
        if node is None:
            waiting.pop()
            yield open_nodes.pop().closing
        elif node.whole:
            yield node.whole
            done = max(done, ranges[id(node)][1])
        else:
            yield node.opening
            open_nodes.append(node)
            waiting.append(_in_order(node, ranges))


def _in_order(node: Node, ranges: dict[int, Span]) -> Iterator[Node]:
    return iter(sorted(node.children, key=lambda child: ranges[id(child)]))
