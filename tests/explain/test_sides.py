"""What was read, as a person wants to see it."""

from __future__ import annotations

import pytest

from headway.explain.sides import shown_pieces


@pytest.mark.parametrize(
    ("pieces", "texts", "shown"),
    [
        (["▁A", "▁do", "g", "."], ["A", "do", "g", "."], ["A", "do", "·g", "."]),
        (["▁A", "▁do", "##g", "<unk>"], ["A", "do", "g", ""], ["A", "do", "·g", "·<unk>"]),
        (["▁", "那", "隻", "狗", "。"], ["", "那", "隻", "狗", "。"], ["␣", "那", "隻", "狗", "。"]),
        (["A", "Ġdog", "Ġ", "s", "Ã"], ["A", " dog", " ", "s", "�"], ["A", "dog", "␣", "·s", "�"]),
        (["æĪĳ", "çļĦåŃ¸çĶŁ"], ["我", "的學生"], ["我", "的學生"]),
        (["the", "dog", "##gy", "[UNK]", "."], ["the", "dog", "##gy", "", "."], ["the", "dog", "·gy", "[UNK]", "."]),
        (["the", "dog"], ["the", "dog"], ["the", "dog"]),
        ([], [], []),
    ],
)
def test_pieces_are_shown_as_words_and_their_parts(pieces, texts, shown):
    assert shown_pieces(pieces, texts) == shown
