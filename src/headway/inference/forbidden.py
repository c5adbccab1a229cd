"""Texts that no answer may have as whole words, however they are cut into pieces.

Before each step it is asked what has been written so far, and every piece that would complete one of the texts is left out. A
word that is complete stays forbidden although more letters might follow: of `man`, `manager` is written where it has a piece
that goes beyond `man`, and not from the pieces `man` and `ager`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from headway.data.surfaces import PieceTable, Surfaces
from headway.data.words import folded, joined, minds_case, squeezed, whole_words


class Forbidden:
    """The texts, and the pieces that may not follow.

    Args:
        texts: in the form that the model writes; with a capital as they are, others in capitals, too.
    """

    def __init__(self, surfaces: Surfaces, texts: Iterable[str]) -> None:
        wanted = sorted({text for one in texts if (text := squeezed(one.strip()))})
        self._surfaces = surfaces
        exact, others = [text for text in wanted if minds_case(text)], [folded(text) for text in wanted if not minds_case(text)]
        self._sides = [_Side(surfaces.exact, exact, fold=False)] if exact else []
        self._sides += [_Side(surfaces.folded, others, fold=True)] if others else []
        self._longest = max(map(len, wanted), default=0)

    def found_in(self, text: str) -> bool:
        """Whether a text has one of them."""
        return any(side.found_in(squeezed(text.strip())) for side in self._sides)

    def at_the_end_of(self, ids: Sequence[int]) -> bool:
        """Whether what has been written ends with one of them."""
        text = _shown(self._tail(ids))
        return any(side.at_the_end_of(text) for side in self._sides)

    def after(self, ids: Sequence[int]) -> Tensor:
        """The pieces [n] that may not follow these."""
        content = self._tail(ids)
        text, blank = _shown(content), content.decode("utf-8", "replace")[-1:].isspace()
        found = [side.ending(*begun) for side in self._sides for begun in side.begun(text, blank, self._longest)]
        if open_bytes := _within_character(content):
            before = _shown(content[:-open_bytes])
            more = [number for number in self._surfaces.going_on if self._completes(content, number, len(before))]
            found.append(torch.tensor(more, dtype=torch.long))
        return torch.cat(found) if found else torch.tensor([], dtype=torch.long)

    def _tail(self, ids: Sequence[int]) -> bytes:
        """So much of the end of what has been written that a text could have begun in it, however many blanks it has."""
        count = 4 * self._longest + 8
        while True:
            content = self._surfaces.content(ids[-count:])
            if count >= len(ids) or len(_shown(content)) > self._longest + 4:  # the first character may be cut, in up to 3 parts
                return content
            count *= 2

    def _completes(self, content: bytes, number: int, written: int) -> bool:
        """Whether a piece that goes on within a character completes a text, behind so many squeezed characters."""
        text = _shown(content + self._surfaces.bytes_of_piece[number])
        return any(side.found_in(text, behind=written) for side in self._sides)


class _Side:
    """Those of the texts whose case matters, or those whose case does not.

    What has been written of one is `(its beginning, whether a blank follows)`.
    """

    def __init__(self, table: PieceTable, texts: list[str], *, fold: bool) -> None:
        self._table, self._fold, self._texts = table, fold, texts
        self._going_on: dict[str, list[str]] = {}
        self._known: dict[tuple[str, bool], Tensor] = {}
        for text in texts:
            for end in range(1, len(text)):
                self._going_on.setdefault(text[:end], []).append(text)

    def found_in(self, text: str, behind: int = 0) -> bool:
        """Whether one of them ends behind so many characters of a text."""
        text = folded(text) if self._fold else text
        return any(next(whole_words(one, text, max(0, behind + 1 - len(one))), None) is not None for one in self._texts)

    def at_the_end_of(self, text: str) -> bool:
        text = folded(text) if self._fold else text
        return any(text.endswith(one) and not joined(text[: -len(one)][-1:], one[0]) for one in self._texts)

    def begun(self, text: str, blank: bool, longest: int) -> Iterable[tuple[str, bool]]:
        """Beginnings that a text ends with. One that is empty stands for texts that are yet to begin, with its last character."""
        text = folded(text) if self._fold else text
        within = joined(text[-1:], "a") and not blank
        yield "", within
        for start in range(max(0, len(text) - longest), len(text)):
            if text[start:] in self._going_on and not joined(text[start - 1 : start] if start else "", text[start]):
                yield text[start:], blank

    def ending(self, begun: str, blank: bool) -> Tensor:
        """The pieces [n] that complete a text which has begun so."""
        if (begun, blank) not in self._known:
            self._known[begun, blank] = torch.tensor(sorted(set(self._completing(begun, blank=blank))), dtype=torch.long)
        return self._known[begun, blank]

    def _completing(self, begun: str, *, blank: bool) -> Iterable[int]:
        if not begun:
            yield from self._whole(within=blank)
        for text in self._going_on.get(begun, ()) if begun else ():
            rest = text[len(begun) :]
            apart = rest[0] == " "
            if joined(begun[-1], rest[0]) and blank:
                continue
            if apart and blank:
                rest, apart = rest[1:], False
            after_blank = (not apart and not joined(begun[-1], rest[0])) or blank
            for number, left in self._table.beginning(rest, after_blank=after_blank):
                if not joined(text[-1], left[:1]):
                    yield number

    def _whole(self, *, within: bool) -> Iterable[int]:
        """Pieces that hold a whole text; `within`: what stands before them is a word that has not ended."""
        for text in self._texts:
            for number, place in self._table.holding(text):
                piece, end = self._table.texts[number], place + len(text)
                before = piece[place - 1] if place else "a" if within else ""
                if not joined(before, text[0]) and not joined(text[-1], piece[end : end + 1]):
                    yield number


def _shown(content: bytes) -> str:
    return squeezed(content.decode("utf-8", "replace").strip())


def _within_character(content: bytes) -> int:
    """How many bytes of UTF-8 its last character has that is not complete; 0: it is."""
    for back, value in enumerate(reversed(content[-3:]), 1):
        if value >= 0xC0:
            return back if back < (2 if value < 0xE0 else 3 if value < 0xF0 else 4) else 0
        if value < 0x80:
            return 0
    return 0
