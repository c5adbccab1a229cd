"""A page runs nothing but its own script, asks for nothing, and shows text from data letter by letter."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.pages import document
from made_pages import HOSTILE, Page


@pytest.mark.parametrize("kind", ["style", "script"])
def test_the_policy_allows_the_page_its_own_style_and_script_only(kind: str) -> None:
    text = document.page("title", "heading", [document.table(["a"], [["b"]])])
    content = re.findall(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
    assert len(content) == 1
    digest = base64.b64encode(hashlib.sha256(content[0].encode()).digest()).decode()
    assert f"{kind}-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text
    assert "unsafe" not in text


@pytest.mark.parametrize("hostile", HOSTILE[:6])
def test_every_place_for_text_shows_it_as_it_is_written(hostile: str) -> None:
    text = document.page(
        hostile, hostile, [document.table([hostile], [[hostile]]), document.facts({hostile: hostile})], warnings=[hostile]
    )
    page = Page(text)
    assert page.text.count(hostile) >= 7
    assert set(page.tags) <= {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "p", "div", "table", "tr", "th", "td", "code", "script",
    }  # fmt: skip


@given(
    st.recursive(st.text() | st.integers() | st.booleans(), lambda values: st.lists(values) | st.dictionaries(st.text(), values))
)
def test_a_block_of_data_comes_back_as_it_was_and_cannot_be_left(values: object) -> None:
    block = document.data_block("figures", values)
    block.encode("utf-8")
    head, _, rest = block.partition(">")
    assert head == '<script type="application/json" id="figures"'
    encoded = rest.removesuffix("</script>")
    assert not set("<>&\u2028\u2029") & set(encoded)
    assert json.loads(encoded) == values


def test_a_block_of_data_takes_no_number_that_json_has_not() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        document.data_block("figures", [float("nan")])
