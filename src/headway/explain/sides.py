"""What the encoder or the decoder reads, in numbers and as a person wants to see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.data.tokenizer import BOS_ID, EOS_ID

if TYPE_CHECKING:
    from headway.data.tokenizer import Tokenizer

END, START, HIDDEN = "∎", "◦", "▢"  # of the sentence; and what a mask hides
INSIDE, BLANK, BREAK = "·", "␣", "⏎"
WORD_STARTS, WORDPIECE = ("▁", "Ġ"), "##"  # how a piece begins that begins a word, and one that goes on with it


@dataclass(frozen=True)
class Side:
    """A row of tokens, or of positions of media.

    Attributes:
        ids: numbers, with start or end as the model reads them; of media those of the positions, from 0.
        pieces: each as it is shown.
        marks: which of them are no words: start, end, tags. They are never taken away.
        words: the number of the word that each belongs to.
        positions: of media, [S, F]: patches or stretches of sound, and pieces of a text that is read beside them.
    """

    ids: list[int]
    pieces: list[str]
    marks: list[bool]
    words: list[int]
    positions: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def as_read(self, device: torch.device) -> Tensor:
        """What the model reads: ids [1, S], or positions [1, S, F]."""
        whole = torch.tensor(self.ids) if self.positions is None else torch.from_numpy(self.positions)
        return whole[None].to(device)

    def as_json(self) -> dict[str, list[int] | list[str] | list[bool]]:
        """As a person reads it; without the pixels."""
        return {"ids": self.ids, "pieces": self.pieces, "marks": self.marks, "words": self.words}


def read_side(tokenizer: Tokenizer, ids: Sequence[int], others: Sequence[str] = (), *, start: bool = False) -> Side:
    """The side that has these ids.

    Args:
        others: what the ids beyond the vocabulary are called, in order.
        start: whether the start of the sentence stands before them; else its end stands behind.
    """
    size = tokenizer.vocabulary_size
    plain = [number for number in ids if EOS_ID < number < size]
    shown = iter(shown_pieces(tokenizer.pieces(plain), [tokenizer.decode([number]) for number in plain]))
    names = [
        others[number - size] if number >= size else END if number == EOS_ID else START if number == BOS_ID else next(shown)
        for number in ids
    ]
    if start:
        ids, names = [BOS_ID, *ids], [START, *names]
    else:
        ids, names = [*ids, EOS_ID], [*names, END]
    marks = [number >= size or number <= EOS_ID for number in ids]
    return Side(ids, names, marks, word_numbers(names, marks))


def word_numbers(pieces: Sequence[str], marks: Sequence[bool]) -> list[int]:
    """The number of the word that each shown piece belongs to: a dot goes on with a word, a blank begins the next."""
    numbers: list[int] = []
    begins = True
    for place, (piece, mark) in enumerate(zip(pieces, marks, strict=True)):
        goes_on = place > 0 and not mark and not marks[place - 1] and (piece.startswith(INSIDE) or not begins)
        numbers.append(numbers[-1] + (not goes_on) if numbers else 0)
        begins = piece != BLANK
    return numbers


def shown_pieces(pieces: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Pieces as a reader wants them: one that goes on with a word begins with a dot; marks of the start of a word are left out.

    Args:
        pieces: as they are written in the vocabulary.
        texts: what each of them stands for; empty for one that stands for nothing, such as ``<unk>``.
    """
    marked = any(piece.startswith(WORD_STARTS) for piece in pieces)
    if not marked and any(piece.startswith(WORDPIECE) for piece in pieces):  # of BERT: what goes on is marked, and no beginning
        named = [(piece, text.strip().removeprefix(WORDPIECE) or piece) for piece, text in zip(pieces, texts, strict=True)]
        return [f"{INSIDE}{name}" if piece.startswith(WORDPIECE) else name for piece, name in named]
    starts = [number == 0 or piece.startswith(WORD_STARTS) for number, piece in enumerate(pieces)]
    spaced = sum(starts) > 1  # else the script has no spaces, or it is all one word
    shown = []
    for piece, text, start in zip(pieces, texts, starts, strict=True):
        plain = text.strip() or (BREAK if "\n" in text else BLANK if text or piece in WORD_STARTS else piece)
        inside = spaced and not start and any(map(str.isalnum, plain))
        shown.append(f"{INSIDE}{plain}" if inside else plain)
    return shown
