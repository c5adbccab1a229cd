"""What a tokenizer.json of Headway looks like: special tokens, text normalisation, words. All as the JSON of Hugging Face.

Text becomes words in two steps. Normalising: a Unicode form, then every run of blanks (spaces, tabs, line breaks and U+2581)
becomes one space and the ends are trimmed. Cutting: at spaces, each word beginning with U+2581 (Kudo and Richardson 2018), and
around runs of punctuation, but not at a hyphen or apostrophe within a word. With ``bytes=level`` nothing but the Unicode form
touches the text, and with ``blanks=all`` every blank and line break is a character of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, Literal

from headway.special_ids import BOS_ID, PAD_ID, UNK_ID

FORBIDDEN_IDS = (PAD_ID, BOS_ID, UNK_ID)  # what no answer may hold
SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>")
BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))
SPACE = "▁"

Form = Literal["none", "nfc", "nfd", "nfkc", "nfkd"]
FORMS: tuple[Form, ...] = ("none", "nfc", "nfd", "nfkc", "nfkd")
Json = dict[str, Any]

_BLANKS = "[\t\n\x0b\x0c\r \x85\u2028\u2029▁]+"
BLANKS = re.compile(_BLANKS)
# Punctuation stands alone, so that text such as `</s>` or `<0x41>` is never one word and cannot become a token of that name. Each
# `#` stands alone, or words such as `##a` would be taken for the continuation pieces of WordPiece.
CUTS = r"#|[^▁\p{L}\p{M}\p{N}'’-]+|(?<![\p{L}\p{M}\p{N}])['’-]+|['’-]+(?![\p{L}\p{M}\p{N}])"

_METASPACE = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_LINES = {"type": "Split", "pattern": {"Regex": r"\n+|[^\n]+"}, "behavior": "Isolated", "invert": False}
WORDS: Json = {
    "type": "Sequence",
    "pretokenizers": [_METASPACE, {"type": "Split", "pattern": {"Regex": CUTS}, "behavior": "Isolated", "invert": False}],
}


def normalize(text: str, form: Form) -> str:
    """The text as a tokenizer of ours sees it, but for ``bytes=level``."""
    return BLANKS.sub(" ", normalize_form(text, form)).strip(" ")


def normalize_form(text: str, form: Form) -> str:
    return text if form == "none" else unicodedata.normalize(form.upper(), text)  # type: ignore[arg-type]


def layout(
    model: Json, form: Form, *, byte_level: bool = False, all_blanks: bool = False, continuation: str | None = None
) -> Json:
    """A whole tokenizer.json around a model whose first four pieces are the special ones."""
    replace = {"type": "Replace", "content": ""}
    blanks = [
        replace | {"pattern": {"Regex": _BLANKS}, "content": " "},
        replace | {"pattern": {"Regex": r"\A | \z"}},
    ]
    steps = ([] if form == "none" else [{"type": form.upper()}]) + ([] if byte_level or all_blanks else blanks)
    decoders: list[Json] = [_METASPACE]
    if model.get("byte_fallback"):
        decoders = [{"type": "ByteFallback"}, *decoders]
    if continuation:
        decoders = [replace | {"pattern": {"Regex": rf"\A{continuation}"}}, *decoders]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special(token, number) for number, token in enumerate(SPECIAL_TOKENS)],
        "normalizer": {"type": "Sequence", "normalizers": steps} if steps else None,
        "pre_tokenizer": _BYTE_LEVEL if byte_level else _LINES if all_blanks else WORDS,
        "post_processor": None,
        "decoder": _BYTE_LEVEL if byte_level else {"type": "Fuse"} if all_blanks else {"type": "Sequence", "decoders": decoders},
        "model": model,
    }


def special(content: str, number: int, *, is_special: bool = True) -> Json:
    """One entry of `added_tokens`."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": is_special}
    return {"id": number, "content": content, **flags}


def chunker(tokenizer: Json) -> Callable[[str], list[str]] | None:
    """What cuts text into chunks that can be tokenised one by one, or None for a tokenizer of another layout.

    The words of a text are those of its chunks in turn, so that each chunk needs to be looked at only once.
    """
    if any(_same_start(tokenizer, layout({}, form)) for form in FORMS):
        return _CHUNK.findall
    if any(_same_start(tokenizer, layout({}, form, byte_level=True)) for form in FORMS[:3]):
        return _byte_chunks
    return None


def _same_start(one: Json, other: Json) -> bool:
    return all(one.get(key) == other[key] for key in ("normalizer", "pre_tokenizer"))


_CHUNK = re.compile(_BLANKS.replace("[", "[^", 1))
_BYTE_CHUNK = re.compile(r" ?\S+")
_OTHER_BLANKS = re.compile(r"\s\s|[^\S ]|\s\Z")


def _byte_chunks(text: str) -> list[str]:
    """A blank is part of the word that follows it. Other blanks than single spaces make the text one chunk."""
    if _OTHER_BLANKS.search(text):
        return [text]
    return _BYTE_CHUNK.findall(text)
