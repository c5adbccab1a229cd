"""What may be read in two ways is refused, whoever reads it: for `json.loads` and `json.JSONDecoder`."""

from __future__ import annotations

from typing import Any, NoReturn


def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """`object_pairs_hook`: a key that stands twice is an error, not a choice. Raises ValueError."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:40]!r} stands twice")
    return found


def refuse_constants(name: str) -> NoReturn:
    """`parse_constant`: NaN and the infinities. Raises ValueError."""
    raise ValueError(f"{name} is no JSON value")
