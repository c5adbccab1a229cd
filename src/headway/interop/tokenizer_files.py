"""The tokenizer files of a directory of Hugging Face as the JSON of one tokenizer.json, whichever they are.

Besides tokenizer.json that is a SentencePiece model, of which a family says the name (T5: spiece.model), and Marian's three
files: a model for each side, and the vocabulary that both share. Others are refused by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from headway.data.sentencepiece_model import parse, to_json
from headway.data.tokenizer_import import MAX_BYTES, read_bytes
from headway.data.tokenizer_layout import Json, special
from headway.errors import ModelError
from headway.interop.family import Family
from headway.interop.json_file import read_if_there, read_json

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
SIDES, VOCABULARY = ("source.spm", "target.spm"), "vocab.json"
OTHERS = (VOCABULARY, "vocab.txt", "merges.txt", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model", "spm.model")
WRITE_ONE = "write one elsewhere: transformers' AutoTokenizer.from_pretrained(…).save_pretrained(…) makes a tokenizer.json"


class TokenizerFiles(NamedTuple):
    """
    Attributes:
        content: what stands in tokenizer.json, or would.
        sides: the SentencePiece models of source and target, where each has its own; `content` then says numbers alone.
    """

    content: Json
    sides: tuple[bytes, bytes] | None = None


def tokenizer_path(source: Path, family: Family) -> Path:
    """The file that says what the pieces are. Raises ModelError where there is none that is known."""
    if family.sentencepiece and (source / family.sentencepiece).is_file():
        if family.sentencepiece in SIDES:
            return source / VOCABULARY
        if not (source / TOKENIZER).is_file():
            return source / family.sentencepiece
    others = [name for name in OTHERS if (source / name).is_file()]
    if others and not (source / TOKENIZER).is_file():
        raise ModelError(f"has a tokenizer as {others[0]}, and no {TOKENIZER}", where=str(source), remedy=WRITE_ONE)
    return source / TOKENIZER


def read_tokenizer_files(source: Path, family: Family) -> TokenizerFiles:
    """Raises ModelError where there are none that are known, or one is damaged."""
    path = tokenizer_path(source, family)
    if path.name == VOCABULARY:
        one, other = (read_bytes(source / side) for side in SIDES)
        return TokenizerFiles(_shared(source), (one, other))
    if path.name == TOKENIZER:
        return TokenizerFiles(read_json(path, MAX_BYTES))
    return TokenizerFiles(_of_sentencepiece(source, path, family))


def _shared(source: Path) -> Json:
    """The numbers of Marian's pieces. It has no begin: answers start with padding."""
    vocabulary = read_json(source / VOCABULARY, MAX_BYTES)
    told = read_if_there(source / TOKENIZER_CONFIG)
    unknown, end, padding = (
        _text(told.get(f"{role}_token"), usual) for role, usual in (("unk", "<unk>"), ("eos", "</s>"), ("pad", "<pad>"))
    )
    marked = [special(piece, vocabulary[piece]) for piece in (unknown, end, padding)]
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": unknown}
    return {"model": model, "added_tokens": marked, "post_processor": _template(end)}


def _text(told: Any, usual: str) -> str:
    """A special token, which may stand there with its properties."""
    found = told.get("content") if isinstance(told, dict) else told
    return found if isinstance(found, str) else usual


def _of_sentencepiece(source: Path, path: Path, family: Family) -> Json:
    content = to_json(parse(read_bytes(path)))
    model, added = content["model"], content["added_tokens"]
    told = read_if_there(source / TOKENIZER_CONFIG)
    pieces = set(model["vocab"]) if isinstance(model["vocab"], dict) else {piece for piece, _ in model["vocab"]}
    more = {f"<extra_id_{left}>": None for left in reversed(range(int(told.get("extra_ids", family.extra_ids))))}
    later = {int(number): token for number, token in (told.get("added_tokens_decoder") or {}).items()}
    numbers = {token["content"]: number for number, token in later.items()}
    numbers |= read_if_there(source / "added_tokens.json")
    for number, piece in enumerate((piece for piece in more if piece not in pieces), start=len(pieces)):
        numbers.setdefault(piece, number)
    shown = {token["content"] for token in later.values() if not token.get("special", True)}
    added += [
        special(piece, number, is_special=piece not in shown)
        for piece, number in sorted(numbers.items(), key=lambda one: int(one[1]))
        if piece not in pieces
    ]
    if family.task == "translation":
        content["post_processor"] = _template("</s>")
    return content


def _template(end: str) -> Json:
    return {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": end}}]}
