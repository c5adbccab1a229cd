"""JSON as requests must have it: what other readers would take in two ways is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from headway.json_rules import refuse_constants, refuse_duplicates

DEEPEST = 32
MOST_VALUES = 50_000


class BadJson(ValueError):
    """Says what is wrong, in few words."""


def parse(content: bytes) -> Any:
    """The value of a document in UTF-8. Raises BadJson."""
    try:
        found = json.loads(
            content.decode("utf-8"), object_pairs_hook=refuse_duplicates, parse_constant=refuse_constants, parse_float=_number
        )
    except UnicodeDecodeError as error:
        raise BadJson(f"is not UTF-8: byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise BadJson(f"is no JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise BadJson("is nested beyond all bounds") from None
    except ValueError as error:  # a rule, or more digits than Python reads
        raise BadJson(f"is refused: {str(error)[:80]}") from None
    _look_through(found, 0, count(1))
    return found


def _number(text: str) -> float:
    found = float(text)
    if found in (float("inf"), float("-inf")):
        raise ValueError("a number is beyond all bounds")
    return found


def _look_through(value: Any, depth: int, numbers: Iterator[int]) -> None:
    if next(numbers) > MOST_VALUES:
        raise BadJson(f"has more than {MOST_VALUES:,} values")
    if depth > DEEPEST:
        raise BadJson(f"is nested deeper than {DEEPEST}")
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_half_characters(key)
            _look_through(inner, depth + 1, numbers)
    elif isinstance(value, list):
        for inner in value:
            _look_through(inner, depth + 1, numbers)
    elif isinstance(value, str):
        _refuse_half_characters(value)


def _refuse_half_characters(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadJson(f"has half a surrogate pair at character {error.start} of a text") from None
