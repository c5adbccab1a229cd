"""Text from data as a terminal or a page may show it."""

from __future__ import annotations

import re
import unicodedata

# what moves the cursor, turns the writing direction or breaks a line must not reach a terminal or a page from a data file
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text with control characters, line breaks, direction marks and lone surrogates written as ⟨U+001B⟩."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"⟨U+{ord(character):04X}⟩" if _unsafe(character) else character for character in text)


def _unsafe(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or _BIDI.match(character) is not None
