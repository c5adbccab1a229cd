"""JSON of requests: what may be meant in two ways is refused, all else is what `json` says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.serve.strict_json import BadJson, parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_whole_documents_are_read(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    refused = object()
    try:
        found = parse(content)
    except BadJson:
        found = refused
    assert found is refused or found == json.loads(content)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no JSON"),
        (b'{"a":1,}', "no JSON"),
        (b'{"a":1} {"b":2}', "no JSON"),
        (b'{"a":1,"a":1}', "stands twice"),
        (b'[{"b":{"a":1,"a":2}}]', "stands twice"),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e999", "beyond all bounds"),
        (b"1" * 5000, "is refused: "),
        (b"[" * 20_000 + b"]" * 20_000, "beyond all bounds"),
        (b"[" * 40 + b"]" * 40, "deeper than 32"),
        (b'"\\ud800"', "half a surrogate"),
        (b'{"\\udc00":1}', "half a surrogate"),
        (b'"\xff"', "not UTF-8: byte 1"),
    ],
    ids=range(14),
)
def test_what_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(BadJson, match=told) as caught:
        parse(content)
    assert len(str(caught.value)) < 120
