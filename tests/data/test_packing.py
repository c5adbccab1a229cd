"""Documents in full rows: every token once, no padding within, and the document of a position can be told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.data.batches import IGNORED
from headway.data.packing import PackedEpoch
from headway.data.preparation import MemoryRows
from headway.data.tokenizer import BOS_ID, EOS_ID, PAD_ID


def documents(lengths: list[int]) -> MemoryRows:
    """Documents of these many tokens, all tokens different, each with its end."""
    first, rows = 10, []
    for length in lengths:
        rows.append([*range(first, first + length), EOS_ID])
        first += length
    return MemoryRows([[] for _ in rows], rows)


LENGTHS = st.lists(st.integers(1, 20), min_size=1, max_size=20)


@settings(max_examples=100, deadline=None)
@given(LENGTHS, st.integers(1, 12), st.integers(1, 40), st.integers(0, 5), st.one_of(st.none(), st.integers(0, 9)))
def test_every_token_is_a_target_once_and_follows_its_neighbour(
    lengths: list[int], length: int, batch_tokens: int, seed: int, epoch: int | None
) -> None:
    rows = documents(lengths)
    updates = PackedEpoch(rows, length, batch_tokens, seed, epoch)
    targets: list[int] = []
    for index in range(len(updates)):
        batch = updates.batch(index)
        valid = batch.target_out != IGNORED
        targets += batch.target_out[valid].tolist()
        assert batch.tokens == int(valid.sum())
        for row_in, row_out in zip(batch.target_in.tolist(), batch.target_out.tolist(), strict=True):
            for place in range(length):
                if row_out[place] == IGNORED:
                    assert row_in[place] == PAD_ID
                elif place and row_in[place] != BOS_ID:
                    assert row_in[place] == row_out[place - 1]
    assert sorted(targets) == sorted(token for row in rows.target_rows for token in row)


def test_only_the_ends_of_an_epoch_are_padded() -> None:
    rows = documents([13, 40, 7, 25])
    for epoch in range(5):
        updates = PackedEpoch(rows, 8, 64, 1, epoch)
        padded = sum(bool((row == IGNORED).any()) for i in range(len(updates)) for row in updates.batch(i).target_out)
        assert padded <= 2


def test_a_document_begins_with_bos_and_has_a_segment_of_its_own() -> None:
    batch = PackedEpoch(documents([3, 2, 4]), 12, 12, 1, None).batch(0)
    assert batch.target_in.tolist() == [[BOS_ID, 10, 11, 12, BOS_ID, 13, 14, BOS_ID, 15, 16, 17, 18]]
    assert batch.target_out.tolist() == [[10, 11, 12, EOS_ID, 13, 14, EOS_ID, 15, 16, 17, 18, EOS_ID]]
    assert batch.segments is not None
    assert batch.segments.tolist() == [[1] * 4 + [2] * 3 + [3] * 5]


def test_rows_of_one_document_need_no_segments() -> None:
    updates = PackedEpoch(documents([31]), 8, 8, 1, None)
    assert [updates.batch(index).segments for index in range(len(updates))] == [None] * 4
    assert updates.batch(1).target_in[0, 0] == 17  # goes on from the token before it
    assert updates.batch(0).target_in[0, 0] == BOS_ID


def test_the_parts_of_an_update_are_its_rows() -> None:
    updates = PackedEpoch(documents([50, 30, 60]), 10, 70, 3, 2)
    whole = updates.batch(0).target_out.tolist()
    parts = [updates.batch(0, part, 3).target_out.tolist() for part in range(3)]
    assert sorted(row for part in parts for row in part) == sorted(whole)


def test_epochs_are_cut_and_ordered_anew_and_alike_every_time() -> None:
    rows = documents([50, 30, 60])

    def targets(seed: int, epoch: int | None) -> list[list[int]]:
        updates = PackedEpoch(rows, 10, 10, seed, epoch)
        return [updates.batch(index).target_out[0].tolist() for index in range(len(updates))]

    assert targets(1, 0) == targets(1, 0)
    assert targets(1, 0) != targets(1, 1)
    assert targets(1, 0) != targets(2, 0)
    assert targets(1, None) == targets(2, None)


def test_indices_name_the_document_that_a_row_begins_in() -> None:
    rows = documents([3, 2, 4])
    updates = PackedEpoch(rows, 4, 4, 1, None)
    assert [updates.batch(index).indices.tolist() for index in range(len(updates))] == [[0], [1], [2]]
    assert np.array_equal(rows.rows_at(np.array([0, 3, 4, 11])), [0, 0, 1, 2])


def test_no_such_update() -> None:
    updates = PackedEpoch(documents([3]), 4, 4, 1, None)
    with pytest.raises(IndexError):
        updates.batch(len(updates))
