"""What each piece of a tokenizer adds to a text, and which pieces begin with, or hold, certain characters."""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from headway.data.subwords import Tokenizer
from headway.data.tokenizer_layout import BYTE_TOKENS, SPECIAL_TOKENS
from headway.data.words import folded, in_word, squeezed

_LAST = "\U0010ffff"  # sorts behind every character
_REPLACED = "\ufffd"
_OPENINGS = "([{«„“‚‘¿¡"


class Surfaces:
    """What the pieces of a tokenizer write, as bytes: a text is what its pieces write, one after another.

    Attributes:
        begins, ends: pieces whose first, or last, character is part of a word; half a character may be.
        openings: pieces behind which a word follows without a blank.
    """

    def __init__(self, bytes_of_piece: list[bytes]) -> None:
        self.bytes_of_piece = bytes_of_piece
        texts = [content.decode("utf-8", "replace") for content in self.bytes_of_piece]
        self._texts = texts
        first, last = [text[:1] for text in texts], [text[-1:] for text in texts]
        self.begins = frozenset(number for number, one in enumerate(first) if one == _REPLACED or (one and in_word(one)))
        self.ends = frozenset(number for number, one in enumerate(last) if one == _REPLACED or (one and in_word(one)))
        self.openings = frozenset(number for number, one in enumerate(last) if one and (one.isspace() or one in _OPENINGS))

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Surfaces:
        """Those of a tokenizer, made once as long as it is there: a large vocabulary takes tenths of a second."""
        if tokenizer not in _KNOWN:
            _KNOWN[tokenizer] = cls(_bytes_of_pieces(tokenizer))
        return _KNOWN[tokenizer]

    @cached_property
    def spoiling(self) -> Tensor:
        """The pieces [n] that go on with a word."""
        return torch.tensor(sorted(self.begins), dtype=torch.long)

    def content(self, ids: Iterable[int]) -> bytes:
        return b"".join([self.bytes_of_piece[number] for number in ids if number < len(self.bytes_of_piece)])

    @cached_property
    def going_on(self) -> list[int]:
        """Pieces that begin within a character."""
        return [number for number, content in enumerate(self.bytes_of_piece) if content and 0x80 <= content[0] < 0xC0]

    @cached_property
    def exact(self) -> PieceTable:
        return PieceTable(self._texts)

    @cached_property
    def folded(self) -> PieceTable:
        return PieceTable([folded(text) for text in self._texts])


_KNOWN: WeakKeyDictionary[Tokenizer, Surfaces] = WeakKeyDictionary()


class PieceTable:
    """The texts of pieces, squeezed, to be searched."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = [(" " if text[:1].isspace() else "") + squeezed(text.strip()) for text in texts]
        self._whole = sorted((text, number) for number, text in enumerate(self.texts))
        self._stripped = sorted((text.lstrip(" "), number) for number, text in enumerate(self.texts))
        self._joined = "\n".join(self.texts)
        self._starts = [0]
        for text in self.texts[:-1]:
            self._starts.append(self._starts[-1] + len(text) + 1)

    def beginning(self, start: str, *, after_blank: bool) -> Iterator[tuple[int, str]]:
        """Numbers of the pieces that begin so, with what follows it; `after_blank`: or so after a blank."""
        table = self._stripped if after_blank else self._whole
        first, last = bisect_left(table, (start, -1)), bisect_left(table, (start + _LAST, -1))
        return ((number, text[len(start) :]) for text, number in table[first:last])

    def holding(self, part: str) -> Iterator[tuple[int, int]]:
        """Numbers of the pieces that hold a text, and where in it."""
        place = self._joined.find(part)
        while place >= 0:
            number = bisect_right(self._starts, place) - 1
            yield number, place - self._starts[number]
            place = self._joined.find(part, place + 1)


def _bytes_of_pieces(tokenizer: Tokenizer) -> list[bytes]:
    vocabulary, decoder = tokenizer.vocabulary, tokenizer.content.get("decoder") or {}
    if decoder.get("type") == "ByteLevel":
        return [b"" if number < len(SPECIAL_TOKENS) else _of_byte_level(piece) for number, piece in enumerate(vocabulary)]
    falls_back = "ByteFallback" in json.dumps(decoder)
    bytes_of = {piece: bytes([value]) for value, piece in enumerate(BYTE_TOKENS)} if falls_back else {}
    # Behind another piece it is seen whether a piece begins with a blank.
    anchor = next((number for number, piece in enumerate(vocabulary) if re.search("[a-zA-Z]$", piece) and number > 3), None)
    before = [anchor] if anchor is not None else []
    cut = len(tokenizer.decode(before))
    return [
        b"" if number < len(SPECIAL_TOKENS) else bytes_of.get(piece) or tokenizer.decode([*before, number])[cut:].encode()
        for number, piece in enumerate(vocabulary)
    ]


def _of_byte_level(piece: str) -> bytes:
    return b"".join(_BYTE_OF[letter] if letter in _BYTE_OF else letter.encode() for letter in piece)


def _byte_alphabet() -> dict[str, bytes]:
    """The characters that stand for bytes in GPT-2's pieces: what can be seen for itself, the others from U+0100."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [value for value in range(256) if value not in seen]
    shown = {chr(value): bytes([value]) for value in seen}
    return shown | {chr(0x100 + place): bytes([value]) for place, value in enumerate(hidden)}


_BYTE_OF = _byte_alphabet()
