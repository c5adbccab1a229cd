"""JSON as requests must have it: what other readers would take in two ways is refused."""

from __future__ import annotations

import json
from typing import Any, NoReturn

DEEPEST = 32


class BadJson(ValueError):
    """Says what is wrong, and nothing of what stood there."""


def parse(content: bytes) -> Any:
    """The value of a document in UTF-8. Raises BadJson."""
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
    except UnicodeDecodeError as error:
        raise BadJson(f"is not UTF-8: byte {error.start}") from None
    except BadJson:
        raise
    except json.JSONDecodeError as error:
        raise BadJson(f"is no JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError):  # digits beyond Python's limit, brackets beyond its stack
        raise BadJson("has a number or a nesting beyond all bounds") from None
    _look_through(found, 0)
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson("has the same key twice in an object")
    return found


def _constant(name: str) -> NoReturn:
    raise BadJson(f"has {name}, which is no number of JSON")


def _number(text: str) -> float:
    found = float(text)
    if found in (float("inf"), float("-inf")):
        raise BadJson("has a number beyond all bounds")
    return found


def _look_through(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise BadJson(f"is nested deeper than {DEEPEST}")
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_half_characters(key)
            _look_through(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _look_through(inner, depth + 1)
    elif isinstance(value, str):
        _refuse_half_characters(value)


def _refuse_half_characters(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadJson(f"has half a surrogate pair at character {error.start} of a text") from None
