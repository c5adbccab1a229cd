"""Which installed fonts can show a text, so that a picture has Chinese in it and not empty boxes."""

from __future__ import annotations

import contextlib
import os

DEFAULT_FAMILY = "DejaVu Sans"  # comes with matplotlib

# Fonts with many scripts in them are looked at first; a bold or a serif one only where no other will do.
_PROMISING = ("cjk", "noto", "droid", "sourcehan", "wqy", "uming", "ukai", "pingfang", "heiti", "jhenghei", "yahei", "simhei")
_LESS = ("bold", "black", "light", "thin", "italic", "oblique", "serif", "mono")
_FACES = {"ja": ("JP",), "ko": ("KR",), "zh": ("TC", "TW", "HK", "SC", "CN"), "zh-simplified": ("SC", "CN")}


def families_for(text: str, language: str = "") -> tuple[list[str], str]:
    """Font families that between them show the text, the default first, and the characters that no installed font has.

    Args:
        language: of the text, such as zh; chooses between the faces of a font that draws a character several ways.
    """
    from matplotlib import font_manager

    families = [DEFAULT_FAMILY]
    missing = {character for character in text if character.isprintable() and not character.isspace()}
    missing -= _characters(font_manager.findfont(DEFAULT_FAMILY))
    for path in sorted(font_manager.findSystemFonts(), key=_rank) if missing else ():
        found = missing & _characters(path)
        if found:
            families.append(_register(path, _face(text, language)))
            missing -= found
        if not missing:
            break
    return families, "".join(sorted(missing))


def _rank(path: str) -> tuple[bool, int, str]:
    name = os.path.basename(path).lower().replace("-", "").replace(" ", "")
    return not any(word in name for word in _PROMISING), sum(word in name.replace("sansserif", "") for word in _LESS), name


def _characters(path: str) -> set[str]:
    """What a font file can show; nothing where it cannot be read, or shows a box for every character there is."""
    from matplotlib import ft2font

    if "lastresort" in os.path.basename(path).lower():
        return set()
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        return {chr(code) for code in ft2font.FT2Font(path).get_charmap()}
    return set()


def _face(text: str, language: str) -> tuple[str, ...]:
    if language.startswith("zh"):
        try:
            text.encode("big5", errors="strict") if text.isascii() else _chinese(text).encode("big5")
        except UnicodeEncodeError:
            return _FACES["zh-simplified"]
    return _FACES.get(language[:2], ("TC", "SC", "JP"))


def _chinese(text: str) -> str:
    return "".join(character for character in text if "\u4e00" <= character <= "\u9fff")


def _register(path: str, faces: tuple[str, ...]) -> str:
    """Makes a font file known to matplotlib and returns the family name of the face that fits best."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    if not any(entry.fname == path for entry in manager.ttflist):
        manager.addfont(path)
    names = [entry.name for entry in manager.ttflist if entry.fname == path]
    fitting = [name for face in faces for name in names if name.endswith(face) and "Mono" not in name]
    return (fitting or names)[0]
