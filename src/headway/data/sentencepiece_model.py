"""Reads the .model file of SentencePiece, a protocol buffer, without the protobuf package: bytes → pieces and settings.

Field numbers are those of ``sentencepiece_model.proto``.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import NamedTuple

from headway.data.tokenizer_layout import SPACE, Json, special

UNIGRAM, BPE = 1, 2
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


class Piece(NamedTuple):
    text: str
    score: float
    kind: int


class SentencePieceModel(NamedTuple):
    pieces: list[Piece]
    model_type: int
    byte_fallback: bool
    charsmap: bytes
    dummy_prefix: bool
    squeeze_blanks: bool
    whitespace_suffix: bool


def parse(data: bytes) -> SentencePieceModel:
    """Read a model; ValueError where it is none."""
    pieces: list[Piece] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, value in _fields(data):
        if number == 1:
            pieces.append(_piece(value))
        elif number == 2:
            trainer = dict(_fields(_as_bytes(value)))
        elif number == 3:
            normalizer = dict(_fields(_as_bytes(value)))
    if not pieces:
        raise ValueError("it holds no pieces")
    return SentencePieceModel(
        pieces=pieces,
        model_type=int(trainer.get(3, UNIGRAM)),
        byte_fallback=bool(trainer.get(35, False)),
        charsmap=_as_bytes(normalizer.get(2, b"")),
        dummy_prefix=bool(normalizer.get(3, True)),
        squeeze_blanks=bool(normalizer.get(4, True)),
        whitespace_suffix=bool(trainer.get(24, False)),
    )


def _piece(value: int | bytes) -> Piece:
    fields = dict(_fields(_as_bytes(value)))
    score = struct.unpack("<f", _as_bytes(fields.get(2, b"\0\0\0\0")))[0]
    return Piece(_as_bytes(fields.get(1, b"")).decode("utf-8"), score, int(fields.get(3, NORMAL)))


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a field has the wrong type")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of the fields of a message: an int for a varint, the bytes for the other wire types."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if key & 7 == 2:
            length, at = _varint(data, at)
        else:
            length = {1: 8, 5: 4}.get(key & 7, len(data) + 1)
        if at + length > len(data):
            raise ValueError("it is cut short or damaged")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it is cut short or damaged")
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise ValueError("it is damaged")


def to_json(model: SentencePieceModel) -> Json:
    """The tokenizer.json that gives the same pieces; ValueError for what cannot be said there."""
    if model.model_type not in (UNIGRAM, BPE) or model.whitespace_suffix:
        raise ValueError("only unigram and BPE models with blanks before words can be read")
    unknown = [number for number, piece in enumerate(model.pieces) if piece.kind == UNKNOWN]
    if len(unknown) != 1:
        raise ValueError("it must have one unknown piece")
    added = [
        special(piece.text, number, is_special=piece.kind != USER_DEFINED)
        for number, piece in enumerate(model.pieces)
        if piece.kind in (UNKNOWN, CONTROL, USER_DEFINED)
    ]
    across = any(SPACE in piece.text[1:] for piece in model.pieces if piece.kind == NORMAL)  # pieces of several blanks (Llama)
    scheme = "always" if model.dummy_prefix else "never"
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": not across}
    steps: list[Json] = []
    if model.charsmap:
        steps.append({"type": "Precompiled", "precompiled_charsmap": base64.b64encode(model.charsmap).decode()})
    if model.squeeze_blanks:
        steps.append({"type": "Strip", "strip_left": True, "strip_right": True})
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    decoders = [{"type": "ByteFallback"}, metaspace] if model.byte_fallback else [metaspace]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": steps} if steps else None,
        "pre_tokenizer": metaspace,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": _unigram(model, unknown[0]) if model.model_type == UNIGRAM else _bpe(model, unknown[0]),
    }


def _unigram(model: SentencePieceModel, unknown: int) -> Json:
    vocabulary = [[piece.text, piece.score] for piece in model.pieces]
    return {"type": "Unigram", "unk_id": unknown, "byte_fallback": model.byte_fallback, "vocab": vocabulary}


def _bpe(model: SentencePieceModel, unknown: int) -> Json:
    """SentencePiece joins the neighbours whose piece has the best score: the merges are all cuts of all pieces, best first."""
    numbers = {piece.text: number for number, piece in enumerate(model.pieces)}
    merges = []
    for piece in model.pieces:
        if piece.kind == NORMAL:
            cuts = ((piece.text[:at], piece.text[at:]) for at in range(1, len(piece.text)))
            found = [(left, right) for left, right in cuts if left in numbers and right in numbers]
            found.sort(key=lambda cut: (numbers[cut[0]], numbers[cut[1]]))
            merges += [(-piece.score, list(cut)) for cut in found]
    merges.sort(key=lambda merge: merge[0])
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": model.pieces[unknown].text,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": model.byte_fallback,
        "ignore_merges": False,
        "vocab": numbers,
        "merges": [merge for _, merge in merges],
    }
