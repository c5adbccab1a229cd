"""Tags and entities: every scheme round trip, agreement with seqeval, and tags that break their scheme."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.data.tags import Entity, Scheme, detect_scheme, entities, may_follow, write_tags


@st.composite
def sentences(draw: st.DrawFn) -> tuple[int, list[Entity]]:
    place, found = 0, []
    for _ in range(draw(st.integers(0, 5))):
        first = place + draw(st.integers(0, 2))
        place = first + draw(st.integers(1, 4))
        found.append(Entity(draw(st.sampled_from(["LOC", "PER-X", "人"])), first, place))
    return place + draw(st.integers(0, 2)), found


@given(sentences(), st.sampled_from(["iob1", "iob2", "bioes", "bmes"]))
def test_entities_come_back_from_their_tags(sentence: tuple[int, list[Entity]], scheme: Scheme) -> None:
    words, found = sentence
    tags = write_tags(found, words, scheme)
    assert len(tags) == words
    assert entities(tags, scheme) == found


@given(sentences())
def test_bioes_tags_may_follow_each_other(sentence: tuple[int, list[Entity]]) -> None:
    words, found = sentence
    tags: list[str | None] = [None, *write_tags(found, words, "bioes"), None]
    assert all(may_follow(before, tag) for before, tag in pairwise(tags))


@pytest.mark.parametrize(
    ("before", "tag", "may"),
    [("O", "I-A", False), ("B-A", "O", False), ("B-A", "I-B", False), ("B-A", None, False), (None, "E-A", False),
     ("E-A", "B-A", True), ("S-A", None, True), (None, "S-A", True), ("B-A", "E-A", True)],
)  # fmt: skip
def test_what_may_follow(before: str | None, tag: str | None, may: bool) -> None:
    assert may_follow(before, tag) is may


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["B-A", "I-A", "O", "B-B"], "iob2"),
        (["I-A", "I-A", "B-A", "O"], "iob1"),
        (["B-A", "E-A", "S-B"], "bioes"),
        (["B-A", "M-A", "E-A"], "bmes"),
        ([*["B-A", "I-A", "I-A", "O"] * 9, "S-A"], "bioes"),  # as CLUENER: no tag tells the end
        (["NOUN", "VERB", "O"], "plain"),
        (["O", "O"], "plain"),
        (["X-ray", "O"], "plain"),
        (["B", "M", "E", "S"], "plain"),
        ([*["B-A", "I-A", "O"] * 6, "X-A"], "iob2"),
        ([*["B-A", "I-A", "O"] * 6, "I-A"], "iob2"),
        ([*["I-A", "I-A", "O"] * 6, "B-A"], "iob1"),
        ([*["B-A", "I-A", "O"] * 6, "E-A", "O", "M-A", "S-A"], "iob2"),
        ([*["B-A", "M-A", "E-A"] * 6, "I-A"], "bmes"),
        ([*["B-A", "I-A", "E-A"] * 6, "O", "E-A"], "bioes"),
    ],
)
def test_schemes_are_told_apart(tags: list[str], scheme: str) -> None:
    assert detect_scheme([tags]) == scheme


def test_broken_tags_lose_no_entity() -> None:
    assert entities(["O", "I-A", "I-B", "O"], "iob2") == [Entity("A", 1, 2), Entity("B", 2, 3)]
    assert entities(["B-A", "O", "E-A"], "bioes") == [Entity("A", 0, 1), Entity("A", 2, 3)]


@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), max_size=8))
def test_iob2_agrees_with_seqeval(tags: list[str]) -> None:
    get_entities = pytest.importorskip("seqeval.metrics.sequence_labeling").get_entities
    assert [(kind, first, end - 1) for kind, first, end in entities(tags, "iob2")] == get_entities(tags)
