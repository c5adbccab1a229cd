"""What a language code tells: which language it is, and whether its words are set apart by spaces."""

from __future__ import annotations

import re

WITHOUT_SPACES = frozenset({"ja", "jpn", "th", "tha", "lo", "lao", "km", "khm", "my", "mya", "bo", "bod", "dz", "dzo"})
CHINESE = frozenset({"zh", "zho", "chi", "cmn", "yue", "wuu", "lzh", "nan", "hak"})


def base_language(language: str) -> str:
    """``zh-Hant``, ``zh_TW`` → ``zh``."""
    return re.split(r"[-_]", language.strip().lower(), maxsplit=1)[0]


def writes_spaces(language: str) -> bool:
    """Whether words of the language are set apart by spaces."""
    return base_language(language) not in WITHOUT_SPACES | CHINESE
