"""Swapped languages: the words of both sides → which side is written in which language, for the corpus and for single pairs.

The whole corpus is judged by the script, or by the commonest words, of the languages that the configuration names. Single
pairs are judged by the corpus itself: each word tells by how often it stands on either side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headway.data.checks.lines import Lines, hash_text

BUCKETS = 1 << 16
MIN_ODDS = 4.0  # nats by which both sides of a pair must look like the other side
SCRIPT_SAMPLE_LINES = 200  # of each piece

_SCRIPTS = {
    "Latin": "A-Za-z\u00aa-\u024f\u1e00-\u1eff",
    "Cyrillic": "\u0400-\u052f",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f",
    "Hebrew": "\u0590-\u05ff",
    "Devanagari": "\u0900-\u097f",
    "Bengali": "\u0980-\u09ff",
    "Tamil": "\u0b80-\u0bff",
    "Thai": "\u0e00-\u0e7f",
    "Georgian": "\u10a0-\u10ff",
    "Armenian": "\u0530-\u058f",
    "Hangul": "\u1100-\u11ff\uac00-\ud7af",
    "Kana": "\u3040-\u30ff",
    "Han": "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
}
_PATTERNS = {name: re.compile(f"[{ranges}]") for name, ranges in _SCRIPTS.items()}
_LANGUAGE_SCRIPTS: dict[str, tuple[str, ...]] = {
    language: scripts
    for languages, scripts in (
        ("ru uk be bg mk kk ky mn tg", ("Cyrillic",)),
        ("el", ("Greek",)),
        ("ar fa ur ps ckb", ("Arabic",)),
        ("he yi", ("Hebrew",)),
        ("hi mr ne sa", ("Devanagari",)),
        ("bn as", ("Bengali",)),
        ("ta", ("Tamil",)),
        ("th", ("Thai",)),
        ("ka", ("Georgian",)),
        ("hy", ("Armenian",)),
        ("ko", ("Hangul",)),
        ("ja", ("Kana", "Han")),
        ("zh yue lzh cmn", ("Han",)),
        (
            "en de fr es it pt nl sv da no nb nn fi et lv lt pl cs sk sl hr hu ro tr vi id ms tl sw yo ha ig zu xh af ca",
            ("Latin",),
        ),
    )
    for language in languages.split()
}
# Words that are common in one language and rare in the others of this table.
_COMMON_WORDS = {
    "en": "the and of is that with are was this from have it on for by",
    "de": "der die und ist das ein eine mit auf sich einen einem von dem nicht",
    "fr": "le la les et est des une dans pour que qui avec sur pas du",
    "es": "el los las y es una por que del con para se su al más",
    "it": "il di che è una per con della non sono gli nel alla si del",
    "pt": "o os as e é uma por que do com para não em da no",
    "nl": "de het een en van is op met voor zijn niet te dat die aan",
    "sv": "och en ett är på som med för det av att till inte den har",
    "da": "og er på med af til det ikke den har en et for som ved",
    "pl": "i w na z jest nie się do że to po przez jak od dla",
    "cs": "a je na se v s že z do pro jak ale nebo jsou po",
    "ro": "și în de la cu pe este un o pentru nu din care mai sunt",
    "hu": "a az és egy nem hogy van meg is de egyik vagy mint ezt volt",
    "fi": "ja on ei se että oli joka mutta kun ovat hän myös tai niin kuin",
    "tr": "ve bir bu için de da ile çok olarak daha gibi ne var ama olan",
    "id": "yang dan di ke dari untuk dengan ini itu pada adalah tidak dalam akan oleh",
    "yo": "ní àti ti tí sí pé àwọn wọ́n ń kò ó fún jẹ́ ṣe wà",
}


@dataclass
class SideWords:
    """How often the words and the scripts of one side of a corpus occur."""

    counts: NDArray[np.int64]  # words by bucket, [BUCKETS]
    scripts: dict[str, int]  # letters of each script in a sample

    @classmethod
    def empty(cls) -> SideWords:
        return cls(np.zeros(BUCKETS, dtype=np.int64), dict.fromkeys(_SCRIPTS, 0))

    def add(self, lines: Lines) -> None:
        self.counts += np.bincount(_bucket(lines), minlength=BUCKETS)
        sample = "\n".join(lines.texts[:SCRIPT_SAMPLE_LINES])[:100_000]
        if sample.isascii():
            self.scripts["Latin"] += sum(map(str.isalpha, sample))
        else:
            for name, pattern in _PATTERNS.items():
                self.scripts[name] += len(pattern.findall(sample))

    def share_of_scripts(self, names: tuple[str, ...]) -> float:
        return sum(self.scripts[name] for name in names) / max(1, sum(self.scripts.values()))

    def share_of_common_words(self, language: str) -> float:
        buckets = np.unique([hash_text(word) % BUCKETS for word in _COMMON_WORDS[language].split()])
        return float(self.counts[buckets].sum() / max(1, self.counts.sum()))


def corpus_swapped(source: SideWords, target: SideWords, source_language: str, target_language: str) -> bool:
    """Whether the sides fit the two languages better the other way round; False where nothing is known of a language."""
    one, other = (language.lower().replace("_", "-").split("-")[0] for language in (source_language, target_language))
    scripts = _LANGUAGE_SCRIPTS.get(one), _LANGUAGE_SCRIPTS.get(other)
    if scripts[0] is None or scripts[1] is None or one == other:
        return False
    if scripts[0] != scripts[1]:
        direct = source.share_of_scripts(scripts[0]) + target.share_of_scripts(scripts[1])
        swapped = target.share_of_scripts(scripts[0]) + source.share_of_scripts(scripts[1])
        return swapped > direct + 0.5
    if one not in _COMMON_WORDS or other not in _COMMON_WORDS:
        return False
    direct = source.share_of_common_words(one) + target.share_of_common_words(other)
    swapped = target.share_of_common_words(one) + source.share_of_common_words(other)
    return swapped > 0.1 and swapped > 2 * direct


def swapped_against(own: tuple[SideWords, SideWords], other: tuple[SideWords, SideWords]) -> bool:
    """Whether the sides of one corpus use the words of the opposite sides of another."""
    direct = _likeness(own[0], other[0]) + _likeness(own[1], other[1])
    return _likeness(own[0], other[1]) + _likeness(own[1], other[0]) > direct + 0.5


def _likeness(one: SideWords, other: SideWords) -> float:
    """Cosine of the square roots of the counts: 1 for the same words, 0 for none in common."""
    total = float(one.counts.sum()) * float(other.counts.sum())
    return float(np.sqrt(one.counts.astype(np.float64) * other.counts).sum() / np.sqrt(total)) if total else 0.0


def swapped_pairs(source: Lines, target: Lines, words: tuple[SideWords, SideWords]) -> NDArray[np.int64]:
    """Rows in which either side is written in the words of the other, as counted in `words`."""
    counts = [side.counts + 2.0 for side in words]
    odds = np.log(counts[0] / counts[0].sum()) - np.log(counts[1] / counts[1].sum())
    lean = [np.concatenate([[0.0], np.cumsum(odds[_bucket(side)])])[side.ends] for side in (source, target)]
    return np.flatnonzero((np.diff(lean[0]) < -MIN_ODDS) & (np.diff(lean[1]) > MIN_ODDS))


def _bucket(lines: Lines) -> NDArray[np.int64]:
    return (lines.words % np.uint64(BUCKETS)).astype(np.int64)
