"""What people hand in: a list of texts, or of files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from headway.config_reader import short
from headway.errors import UsageError

_HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # half of a surrogate pair, which is no character


def list_of_texts(texts: Iterable[str], example: str = '"…"') -> list[str]:
    """The texts, all of them such. Raises UsageError for anything else; the characters of one text would be taken for texts."""
    if isinstance(texts, str):
        raise UsageError("predict takes a list of texts, and this is one text", remedy=f"predict([{short(texts)}])")
    if not isinstance(texts, Iterable):
        raise UsageError(f"predict takes a list of texts, and this is {short(texts)}", remedy=f"predict([{example}])")
    found = list(texts)
    for place, text in enumerate(found):
        if not isinstance(text, str):
            raise UsageError(f"is {short(text)}, not a text", where=f"texts[{place}]", remedy=f"predict([{example}])")
    return found


def list_of_files(files: Iterable[str | bytes]) -> list[Any]:
    """Paths, or the bytes of files. Raises UsageError for anything else."""
    found = list(files) if isinstance(files, Iterable) and not isinstance(files, str | bytes) else [None]
    if not all(isinstance(file, str | bytes) for file in found):
        raise UsageError("predict takes a list of paths, or of the bytes of files", remedy='predict(["picture.png"])')
    return found


def whole_characters(text: str) -> str:
    """The text with a replacement character for each half of a surrogate pair."""
    return _HALF_CHARACTER.sub("\ufffd", text)
