"""Reads tokenizer files, our own and others': tokenizer.json, SentencePiece .model → the JSON of a tokenizer.json of ours.

Nothing in a file is run: templates are dropped, regular expressions must be known ones, and the four special tokens are moved to
the numbers 0 to 3. What is damaged or hostile raises `ModelError`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from headway.data.files import open_regular, resolve
from headway.data.sentencepiece_model import parse, to_json
from headway.data.tokenizer_layout import CUTS, FORMS, SPECIAL_TOKENS, Json, layout, special
from headway.errors import DataError, ModelError
from headway.json_rules import refuse_constants, refuse_duplicates

MAX_BYTES = 64 << 20
MAX_PIECES = 1 << 22

# The names that others give to <pad>, <s>, </s> and <unk>, most telling first.
ROLES = (
    ("<pad>", "[PAD]", "<|pad|>", "<|padding|>", "<|finetune_right_pad_id|>"),
    ("<s>", "[CLS]", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "<BOS>"),
    ("</s>", "[SEP]", "<eos>", "<|end_of_text|>", "<|endoftext|>", "<EOS>"),
    ("<unk>", "[UNK]", "<|unk|>", "<UNK>"),
)

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3_WORDS = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}{{1,3}}|{_REST}"
QWEN2_WORDS = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}|{_REST}"
KNOWN_REGEXES = frozenset(
    [
        " {2,}",
        r"\s+",
        r"\s",
        r"\d",
        r"\d+",
        r"\p{N}",
        r"\p{N}{1,3}",
        r"\p{Han}",
        "[\r\n]",
        GPT2_WORDS,
        LLAMA3_WORDS,
        QWEN2_WORDS,
        r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",  # CLIP
    ]
)


def read_tokenizer(path: str | os.PathLike[str], *, ours: bool = False) -> Json:
    """The checked JSON of a tokenizer file, its special tokens at 0 to 3: those of `ours`, whatever their names, are there.

    Raises:
        ModelError: the file is missing, damaged, too large or holds what is not known to be safe.
    """
    data = read_bytes(path)
    with _blamed_on(str(resolve(path))):
        found = _checked(_parsed(data))
        return found if ours else arrange(found)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a tokenizer file. Raises ModelError where it is missing or too large."""
    name = str(resolve(path))
    try:
        with open_regular(path) as raw:
            data = raw.read(MAX_BYTES + 1)
    except DataError as error:
        raise ModelError(error.problem, where=error.where, remedy=error.remedy) from None
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=name) from None
    if len(data) > MAX_BYTES:
        _refuse(name, f"is larger than {MAX_BYTES >> 20} MiB: this is no tokenizer")
    return data


def read_vocabulary(path: str | os.PathLike[str]) -> list[str]:
    """The pieces that two models of SentencePiece share, by number. Raises ModelError."""
    data = read_bytes(path)
    with _blamed_on(str(resolve(path))):
        pieces = json.loads(data.decode(), object_pairs_hook=refuse_duplicates)["pieces"]
        if not all(isinstance(piece, str) for piece in pieces) or not len(SPECIAL_TOKENS) < len(set(pieces)) == len(pieces):
            raise ValueError("its pieces are no texts, or one stands twice")
        return list(pieces)


def content_of_sentencepiece(data: bytes, name: str) -> Json:
    """The checked JSON of a .model or .spm of SentencePiece, its special tokens at 0 to 3. Raises ModelError."""
    with _blamed_on(name):
        return arrange(_checked(to_json(parse(data))))


def prepared(tokenizer: Json, name: str, special_pieces: Sequence[str] | None = None) -> Json:
    """The same of the JSON of a tokenizer.json. Raises ModelError.

    Args:
        special_pieces: those for padding, begin, end and unknown.
    """
    with _blamed_on(name):
        return arrange(_checked(tokenizer), special_pieces)


@contextmanager
def _blamed_on(name: str) -> Iterator[None]:
    try:
        yield
    except RecursionError:
        _refuse(name, "is nested too deeply")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        missing = "it lacks " if isinstance(error, KeyError) else ""
        _refuse(name, f"is damaged or no tokenizer: {missing}{error}")


def _refuse(name: str, problem: str) -> NoReturn:
    raise ModelError(problem, where=name, remedy="give a tokenizer.json of Hugging Face or a .model of SentencePiece")


def _parsed(data: bytes) -> Json:
    if data.startswith(b"version https://git-lfs"):
        raise ValueError("it is a git-LFS pointer; fetch the file itself with git lfs pull")
    if data.lstrip()[:1] == b"<":
        raise ValueError("it is a web page")
    if data.lstrip()[:1] != b"{":
        return to_json(parse(data))
    tokenizer = json.loads(data.decode("utf-8-sig"), object_pairs_hook=refuse_duplicates, parse_constant=refuse_constants)
    if not isinstance(tokenizer, dict) or not isinstance(tokenizer.get("model"), dict):
        raise ValueError("it has no `model`")
    return tokenizer


def _checked(tokenizer: Json) -> Json:
    """The parts that are used, after a look at each."""
    kept: Json = {"version": "1.0", "truncation": None, "padding": None, "post_processor": None}
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        kept[part] = tokenizer.get(part)
        for pattern in _regexes(kept[part]):
            if pattern not in KNOWN_REGEXES and pattern not in _our_regexes():
                raise ValueError(f"the regular expression {pattern[:60]!r} is not one that is known to be safe")
    model = tokenizer["model"]
    if "type" not in model:
        model["type"] = "Unigram" if isinstance(model["vocab"], list) else "BPE" if "merges" in model else "WordPiece"
    if model["type"] not in ("BPE", "Unigram", "WordPiece", "WordLevel"):
        raise ValueError(f"models of type {str(model['type'])[:40]!r} are not known")
    # Chance comes from our own sampling, never from the backend.
    model |= {key: None for key in ("dropout", "alpha", "nbest_size") if key in model}
    added = tokenizer.get("added_tokens") or []
    for token in added:
        if not isinstance(token["content"], str) or not token["content"]:
            raise ValueError("an added token is no text")
    if len(model["vocab"]) + len(added) > MAX_PIECES:
        raise ValueError(f"it has more than {MAX_PIECES} pieces")
    return kept | {"model": model, "added_tokens": added}


def _regexes(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "Regex":
                yield str(value)
            else:
                yield from _regexes(value)
    elif isinstance(part, list):
        for value in part:
            yield from _regexes(value)


def _our_regexes() -> set[str]:
    layouts = [layout({"byte_fallback": True}, FORMS[0], continuation="##"), layout({}, FORMS[0], all_blanks=True)]
    return {CUTS, *_regexes(layouts)}


def arrange(tokenizer: Json, special_pieces: Sequence[str] | None = None) -> Json:
    """Number the pieces anew: the four special ones 0 to 3, then all others in their old order. Changes nothing of ours."""
    model, added = tokenizer["model"], tokenizer["added_tokens"]
    pieces = _pieces(model)
    known = set(pieces)
    if len(known) != len(pieces):
        raise ValueError("a piece stands twice")
    numbers = {token["content"]: token["id"] for token in added if token["content"] not in known}
    outside = sorted(numbers, key=numbers.__getitem__)
    marked = {token["content"] for token in added if token.get("special")}
    special_pieces = special_pieces or special_pieces_of(model, [*pieces, *outside], marked)
    first = set(special_pieces)
    inside = [*special_pieces, *(piece for piece in pieces if piece not in first)]
    order = {piece: number for number, piece in enumerate([*inside, *(piece for piece in outside if piece not in first)])}
    if model["type"] == "Unigram":
        scores = dict(model["vocab"])
        model |= {"vocab": [[piece, scores.get(piece, 0.0)] for piece in inside], "unk_id": 3}
    else:
        model |= {"vocab": {piece: order[piece] for piece in inside}, "unk_token": special_pieces[3]}
    tokens = [special(piece, number) for number, piece in enumerate(special_pieces)]
    tokens += [token | {"id": order[token["content"]]} for token in added if token["content"] not in first]
    return tokenizer | {"model": model, "added_tokens": sorted(tokens, key=lambda token: int(token["id"]))}


def _pieces(model: Json) -> list[str]:
    if model["type"] == "Unigram":
        for piece, score in model["vocab"]:
            if not isinstance(piece, str) or isinstance(score, bool) or not isinstance(score, int | float):
                raise ValueError("a piece is no text, or its score no number")
        return [piece for piece, _ in model["vocab"]]
    if not all(type(number) is int and number >= 0 for number in model["vocab"].values()):
        raise ValueError("the number of a piece is no whole number")
    return sorted(model["vocab"], key=model["vocab"].__getitem__)


def special_pieces_of(model: Json, pieces: list[str], marked: set[str]) -> list[str]:
    """Which pieces stand for <pad>, <s>, </s> and <unk>: known names among the special tokens, or new ones of ours."""
    present = set(pieces)
    if model["type"] == "Unigram":
        unknown = None if model.get("unk_id") is None else model["vocab"][model["unk_id"]][0]
    else:
        unknown = model.get("unk_token") if model.get("unk_token") in present else None
    chosen: list[str] = []
    for number, names in enumerate(ROLES):
        found = (name for name in names if name in present and (name in marked or name == SPECIAL_TOKENS[number]))
        chosen.append(unknown if number == 3 and unknown else next(found, SPECIAL_TOKENS[number]))
    if len(set(chosen)) < len(chosen):
        raise ValueError("its unknown piece is another special one as well")
    return chosen
