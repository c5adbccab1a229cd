"""Named text steps before the tokenizer, and their undoing after it: str → str.

The steps are those of the experiments that published scores are compared with. The published Multi30k text is
``lowercase, moses_punctuation, moses_tokenize``: Moses' default tokenizer, hyphenated words left whole. One thing differs: Moses
writes ``&quot;`` for a quotation mark to protect its own file formats, here it stays a quotation mark.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from headway.config import PreprocessingStep
from headway.errors import UsageError

# Every rule of the punctuation normaliser needs one of these, so that a line without them stays as it is.
_PUNCTUATION = re.compile("[\r()%:;`'\"\u00a0«»´‘’‚„“”–—…]|  ")
# Words, hyphens, commas after letters and a last full stop: most lines. The tokenizer's 15 expressions come to two rules here.
_LETTERS = "[A-Za-zÀ-ÖØ-öø-ÿ]+"
_PLAIN_LINE = re.compile(rf"(?:{_LETTERS}(?:-{_LETTERS})*,? )*{_LETTERS}\.?")


class Preprocessor:
    """The steps of `DataConfig.preprocessing` for one language.

    Raises:
        UsageError: a Moses step is asked for and sacremoses is not installed.
    """

    def __init__(self, steps: Sequence[PreprocessingStep], language: str) -> None:
        self.steps = tuple(steps)
        self.language = language
        makers: dict[PreprocessingStep, Callable[[], Callable[[str], str]]] = {
            "nfc": lambda: partial(unicodedata.normalize, "NFC"),
            "nfkc": lambda: partial(unicodedata.normalize, "NFKC"),
            "lowercase": lambda: str.lower,
            "moses_punctuation": lambda: _punctuation_normalizer(language),
            "moses_tokenize": lambda: _word_splitter(language),
        }
        self._forward = [makers[step]() for step in self.steps]
        self._back = [_word_joiner(language) for step in self.steps if step == "moses_tokenize"]

    def apply(self, text: str) -> str:
        """The text after all steps, in order."""
        for step in self._forward:
            text = step(text)
        return text

    def undo(self, text: str) -> str:
        """Words put together again where they were taken apart; case and normalised characters do not come back."""
        for step in self._back:
            text = step(text)
        return text


def _moses() -> Any:
    try:
        import sacremoses
    except ImportError:
        raise UsageError("the Moses steps need the package sacremoses", remedy='pip install "headway[moses]"') from None
    return sacremoses


def _punctuation_normalizer(language: str) -> Callable[[str], str]:
    # `penn` has the opposite sense to the Perl script: true is the script's default.
    rules = [(re.compile(old), new) for old, new in _moses().MosesPunctNormalizer(language, penn=True).substitutions]

    def normalize(text: str) -> str:
        if _PUNCTUATION.search(text):
            for pattern, replacement in rules:
                text = pattern.sub(replacement, text)
        return text.strip()

    return normalize


def _word_splitter(language: str) -> Callable[[str], str]:
    moses = _moses().MosesTokenizer(language)
    # The library makes a set of all letters of Unicode at every call.
    lower, alphabetic = frozenset(moses.IsLower), frozenset(moses.IsAlpha)
    moses.islower = lambda text: all(letter in lower for letter in text)
    moses.isanyalpha = lambda text: any(letter in alphabetic for letter in text)
    moses.NONBREAKING_PREFIXES = frozenset(moses.NONBREAKING_PREFIXES)
    moses.NUMERIC_ONLY_PREFIXES = frozenset(moses.NUMERIC_ONLY_PREFIXES)
    abbreviations = moses.NONBREAKING_PREFIXES - moses.NUMERIC_ONLY_PREFIXES

    def split(text: str) -> str:
        if not _PLAIN_LINE.fullmatch(text):
            return str(moses.tokenize(text, return_str=True, escape=False))
        text = text.replace(",", " ,")
        if text[-1] != "." or text[text.rfind(" ") + 1 : -1] in abbreviations:
            return text
        return text[:-1] + " ."

    return split


def _word_joiner(language: str) -> Callable[[str], str]:
    moses = _moses().MosesDetokenizer(language)
    return lambda text: str(moses.detokenize(text.split(), unescape=False))


def is_blank(text: str) -> bool:
    """Whether nothing of the text can be seen: blanks, controls, zero-width and direction marks."""
    return all(unicodedata.category(character) in ("Zs", "Zl", "Zp", "Cc", "Cf") for character in text)
