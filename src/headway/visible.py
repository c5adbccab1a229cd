"""Text from data as a terminal or a page may show it, and as a shell may be given it."""

from __future__ import annotations

import logging
import re
import unicodedata

ESCAPES = {"\\": "\\\\", "'": "\\'", "\t": "\\t", "\n": "\\n"}  # in $'…'
# what moves the cursor, turns the writing direction or breaks a line must not reach a terminal or a page from a data file
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text with control characters, line breaks, direction marks and lone surrogates written as ⟨U+001B⟩."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"⟨U+{ord(character):04X}⟩" if _unsafe(character) else character for character in text)


def _unsafe(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or _BIDI.match(character) is not None


def in_a_shell(text: str) -> str:
    """The text as one word of a command of bash or zsh, with nothing in it that a terminal obeys when it is pasted."""
    if visible(text) == text:
        return "'" + text.replace("'", "'\"'\"'") + "'"
    return "$'" + "".join(_escaped(character) for character in text) + "'"


def _escaped(character: str) -> str:
    if character in ESCAPES:
        return ESCAPES[character]
    if unicodedata.category(character) == "Cs":
        return "\\uFFFD"  # half of a pair is no character
    return f"\\U{ord(character):08X}" if _unsafe(character) else character


def note_line(record: logging.LogRecord) -> str:
    """How a person is told what a room logs."""
    kind = "warning: " if record.levelno >= logging.WARNING else ""
    return f"headway: {kind}{record.getMessage()}"
