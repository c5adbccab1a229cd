"""Where words begin and end, for terms that stand in a text as whole words.

A word is a run of letters, marks and numbers. In scripts that set no blanks between words every character may begin or end one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

# Scripts without blanks between words: Thai to Myanmar, Khmer, Chinese characters with what stands beside them, Kana, Bopomofo.
_UNSPACED = re.compile(
    "[\u0e00-\u109f\u1780-\u17ff\u19e0-\u19ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\uff66-\uff9f\U00016fe0-\U0003ffff]"
)
_BLANKS = re.compile(r"\s+")


@lru_cache(maxsize=1 << 16)
def in_word(character: str) -> bool:
    """Whether it is held together with the same kind beside it: part of a word of a script that sets blanks between words."""
    return unicodedata.category(character)[0] in "LMN" and not _UNSPACED.match(character)


def joined(before: str, after: str) -> bool:
    """Whether no word ends between these two characters; either may be empty, at an end of the text."""
    return bool(before and after) and in_word(before) and in_word(after)


def squeezed(text: str) -> str:
    """The text with one blank wherever blanks part two words, and none elsewhere: `don 't` and `don't` are the same."""

    def between(blank: re.Match[str]) -> str:
        return " " if joined(text[blank.start() - 1 : blank.start()], text[blank.end() : blank.end() + 1]) else ""

    return _BLANKS.sub(between, text)


def folded(text: str) -> str:
    """In small letters, with as many characters as before; a sigma at the end of a word is as any other."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)
    return _one_sigma(lower)


def _one_sigma(text: str) -> str:
    return text.replace("\u03c2", "\u03c3")


def minds_case(term: str) -> bool:
    """Whether it is meant as it is written: it has a capital. Others are found in capitals, too."""
    return folded(term) != _one_sigma(term)


def whole_words(term: str, text: str, start: int = 0) -> Iterator[int]:
    """Where a term stands as whole words, without overlaps; both squeezed, and folded where case does not matter.

    Args:
        start: the first place where it may begin.
    """
    place = text.find(term, start)
    while place >= 0:
        end = place + len(term)
        whole = not joined(text[place - 1 : place] if place else "", term[0]) and not joined(term[-1], text[end : end + 1])
        if whole:
            yield place
        place = text.find(term, end if whole else place + 1)
