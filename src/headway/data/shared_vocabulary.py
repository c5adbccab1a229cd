"""Two SentencePiece models whose pieces have the numbers of one vocabulary, as those of Marian (OPUS-MT) do.

Each side cuts text by its own model, and every piece has the number of its text in the vocabulary. One that stands there no
more is unknown; characters that are strange to a model but stand there are known, as in Marian's own tokenizer.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from headway.data.subwords import Tokenizer
from headway.data.tokenizer_import import content_of_sentencepiece, read_bytes, read_vocabulary
from headway.data.tokenizer_layout import SPECIAL_TOKENS, Json
from headway.special_ids import UNK_ID

VOCABULARY, MODEL = "tokenizer.vocabulary.json", "tokenizer.{side}.spm"


class SideTokenizer(Tokenizer):
    """The tokenizer of one side.

    Args:
        model: the bytes of a .model or .spm of SentencePiece.
        vocabulary: all pieces of both sides by number; the first four are the special ones.
        dropout, name: as of `Tokenizer`.

    Raises:
        ModelError: the model is damaged or of a kind that is not known.
    """

    def __init__(self, model: bytes, vocabulary: Sequence[str], *, dropout: float = 0.0, name: str | None = None) -> None:
        super().__init__(content_of_sentencepiece(model, name or "SentencePiece"), dropout=dropout, name=name)
        self.model = model
        self._pieces = list(vocabulary)
        first = len(SPECIAL_TOKENS)
        self._number_of = {piece: first + number for number, piece in enumerate(self._pieces[first:])}

    @property
    def vocabulary(self) -> list[str]:
        return self._pieces

    @cached_property
    def _number_there(self) -> list[int]:
        """Of each piece of the model."""
        return [self._number_of.get(piece, UNK_ID) for piece in self.own_pieces]

    def _encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        rows = super()._encode_many(texts)
        return [
            self._with_strange(text) if UNK_ID in row else [self._number_there[number] for number in row]
            for text, row in zip(texts, rows, strict=True)
        ]

    def _with_strange(self, text: str) -> list[int]:
        """The numbers of a text of which a part is unknown to the model: that part is looked up as it stands there."""
        found = self._backend.encode(text, add_special_tokens=False)
        if min(found.ids) < UNK_ID or self.own_pieces[UNK_ID] in found.tokens:  # so it stands in the text
            return [self._number_there[number] for number in self._spelled_out(text)]
        return [self._number_of.get(piece, UNK_ID) for piece in found.tokens]

    def encode_with_spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        found = self._backend.encode(text, add_special_tokens=False)
        return [self._number_of.get(piece, UNK_ID) for piece in found.tokens], list(found.offsets)

    def decode(self, ids: Iterable[int]) -> str:
        pieces = [self._pieces[int(number)] for number in ids if int(number) >= len(SPECIAL_TOKENS)]
        return str(self._backend.decoder.decode(pieces))

    def _sampled(self, texts: Sequence[str], seed: int) -> list[list[int]]:
        return [[self._number_there[number] for number in row] for row in super()._sampled(texts, seed)]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model and the vocabulary."""
        return hashlib.sha256(self.model + _as_json(self._pieces)).hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as it came; the vocabulary is written once for both sides."""
        Path(path).write_bytes(self.model)


def save_sides(folder: Path, source: SideTokenizer, target: SideTokenizer) -> None:
    """Write both models and their vocabulary."""
    source.save(folder / MODEL.format(side="source"))
    target.save(folder / MODEL.format(side="target"))
    (folder / VOCABULARY).write_bytes(_as_json(source.vocabulary))


def load_sides(folder: Path, dropout: float) -> tuple[SideTokenizer, SideTokenizer]:
    """Read what `save_sides` wrote. Raises ModelError."""
    pieces = read_vocabulary(folder / VOCABULARY)
    files = [folder / MODEL.format(side=side) for side in ("source", "target")]
    source, target = (SideTokenizer(read_bytes(file), pieces, dropout=dropout, name=str(file)) for file in files)
    return source, target


def _as_json(pieces: Sequence[str]) -> bytes:
    content: Json = {"pieces": list(pieces)}
    return json.dumps(content, ensure_ascii=False, indent=0).encode() + b"\n"
