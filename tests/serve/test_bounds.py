"""Every field of a request at its bounds, just beyond them, and as something else (S1): what is refused is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import told
from running import Running

from headway.serve.limits import CHOICES

BESIDE: dict[str, dict[str, Any]] = {  # what else must be set so that all values within the bounds go together
    "n_best": {"method": "beam", "beam_size": 16},
    "minimum_length": {"maximum_length": 1024},
}
WHOLE = ("beam_size", "n_best", "maximum_length", "minimum_length", "no_repeat_ngram", "top_k", "seed")


def within(name: str, value: Any) -> bool:
    least, most = CHOICES[name]
    if isinstance(value, bool) or not isinstance(value, int if name in WHOLE else int | float):
        return value is None and name != "seed"
    return least <= value <= most


def numbers(name: str) -> list[Any]:
    least, most = CHOICES[name]
    step = 1 if name in WHOLE else 0.001
    return [least - step, least, most, most + step, -1, 2**31, 2**63, "1", True, [1], 1.5, None]


def cases() -> list[tuple[str, Any, bool, str]]:
    """The field, the body, whether it is right, and what must be told if not."""
    found: list[tuple[str, Any, bool, str]] = []
    for name in CHOICES:
        for value in numbers(name):
            if name == "seed":
                body: dict[str, Any] = {"seed": value}
            else:
                body = {"decoding": {"method": "greedy", "n_best": 1, "maximum_length": 8, **BESIDE.get(name, {}), name: value}}
                if name in ("beam_size", "length_penalty"):
                    body["decoding"]["method"] = "beam"
                if name in ("temperature", "top_k", "top_p"):
                    body["decoding"]["method"] = "sample"
            limit = next((str(bound) for bound, out in zip(CHOICES[name], order(name, value), strict=True) if out), "")
            found.append((name, {"texts": ["two men"], **body}, within(name, value), limit))
    for count, good in ((0, False), (1, True), (7, True), (8, True), (9, False)):
        found.append(("texts", {"texts": ["a"] * count}, good, "8" if count else "1"))
    for length, good in ((0, True), (1, True), (499, True), (500, True), (501, False)):
        found.append(("texts.0", {"texts": ["a" * length], "decoding": {"maximum_length": 4}}, good, "500"))
    for size, good in ((0, True), (35, True), (36, False)):
        found.append(("to", {"texts": ["a"], "to": "x" * size}, good, "35"))
    for field in ("texts", "to", "from", "decoding", "seed", "details"):
        found += [(field, {"texts": ["a"], field: value}, False, "") for value in (1.5, [[]], [{}])]
    return found


def order(name: str, value: Any) -> tuple[bool, bool]:
    """Whether it is a number below, or above."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and (name not in WHOLE or value == int(value))
    return number and value < CHOICES[name][0], number and value > CHOICES[name][1]


def test_each_field_at_its_bounds(served: Running) -> None:
    wrong, checked = [], 0
    for field, body, good, limit in cases():
        answer = served.ask("/predict/mt", body)
        message = "" if answer.status == 200 else answer.json()["error"]["message"]
        checked += 1
        if good and field == "to":  # within its bounds, but no language of this model
            right = answer.status == 422 and "into" in message if body["to"] else answer.status == 200
        elif good:
            right = answer.status == 200
        else:
            right = answer.status == 422 and field in message and limit.removesuffix(".0").replace("e+18", "") in message
        if not right:
            wrong.append((field, json.dumps(body)[:100], good, answer.status, message))
    told("S1", cases=checked, wrong=len(wrong))
    assert checked >= 120
    assert wrong == []


@pytest.mark.parametrize(("size", "status"), [(19_999, 200), (20_000, 200), (20_001, 413)])
def test_the_size_of_a_body(served: Running, size: int, status: int) -> None:
    body = b'{"texts": ["a"]}'
    answer = served.ask("/predict/mt", body + b" " * (size - len(body)))
    assert answer.status == status
    assert status == 200 or "20,000" in answer.json()["error"]["message"]
