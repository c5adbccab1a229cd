"""Refusals of what has more parts, or longer texts, than a server accepts."""

from __future__ import annotations

from collections.abc import Sequence

from headway.serve.problems import Problem


def refuse_many(where: str, count: int, most: int, remedy: str = "send fewer at a time") -> None:
    """Raises Problem for more than so many of them."""
    if count > most:
        raise Problem(422, "too_many", f"{where}: {count:,}, more than {most:,}", remedy)


def refuse_long(where: str, texts: Sequence[str], most: int, what_for: str = "") -> None:
    """Raises Problem for the first text of more than so many characters, by its place where there are several."""
    for place, text in enumerate(texts):
        if len(text) > most:
            named = f"{where}.{place}" if len(texts) > 1 else where
            problem = f"{named}: {len(text):,} characters, more than {most:,}{what_for}"
            raise Problem(422, "too_long_text", problem, "cut it, or send it in parts")
