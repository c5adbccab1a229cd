"""Several corpora as one: every row where it should be, as often as it should come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.data.batches import BucketedEpoch, drawn_for
from headway.data.mixture import Mixture
from headway.data.packing import PackedEpoch
from headway.data.preparation import MemoryRows
from headway.data.tokenizer import EOS_ID

ROWS = st.lists(st.lists(st.integers(5, 50), min_size=1, max_size=6), min_size=1, max_size=5)


def rows_of(targets: list[list[int]]) -> MemoryRows:
    return MemoryRows([[number] for number in range(len(targets))], targets)


@settings(max_examples=60)
@given(parts=st.lists(st.tuples(ROWS, st.sampled_from([1, 2, 3, 0.5, 1.25])), min_size=1, max_size=4))
def test_a_mixture_is_its_parts_one_after_another(parts: list[tuple[list[list[int]], float]]) -> None:
    mixture = Mixture([rows_of(targets) for targets, _ in parts], [repeat for _, repeat in parts])
    whole = [  # part, row, target, the share of the epochs in which it comes
        (number, row, target, min(1.0, repeat - copy))
        for number, (targets, repeat) in enumerate(parts)
        for copy in range(int(np.ceil(repeat)))
        for row, target in enumerate(targets)
    ]
    assert len(mixture) == len(whole)
    assert [mixture.at(index) for index in range(len(mixture))] == [(number, row) for number, row, _, _ in whole]
    assert [mixture.target(index).tolist() for index in range(len(mixture))] == [target for _, _, target, _ in whole]
    assert [mixture.source(index).tolist() for index in range(len(mixture))] == [[row] for _, row, _, _ in whole]
    assert mixture.target_lengths.tolist() == [len(target) for _, _, target, _ in whole]
    stream = [token for _, _, target, _ in whole for token in target]
    assert mixture.stream_length == len(stream)
    places = np.arange(len(stream))[::-1].reshape(1, -1)
    assert mixture.stream_at(places).tolist() == [stream[::-1]]
    owners = [index for index, (_, _, target, _) in enumerate(whole) for _ in target]
    assert mixture.rows_at(places).tolist() == [owners[::-1]]
    shares = [share for _, _, _, share in whole]
    assert (mixture.shares is None) == (min(shares) == 1)
    assert mixture.shares is None or mixture.shares.tolist() == shares
    with pytest.raises(IndexError):
        mixture.at(len(whole))


def epoch_rows(mixture: Mixture, epoch: int) -> list[int]:
    updates = BucketedEpoch(mixture, 40, 1, epoch)
    return sorted(int(row) for index in range(len(updates)) for row in updates.batch(index).indices)


def test_whole_parts_come_every_time_and_of_a_fraction_others_each_epoch() -> None:
    new, old = rows_of([[7] * 3] * 30), rows_of([[8] * 4] * 400)
    mixture = Mixture([new, old], [2, 0.25])
    drawn = [epoch_rows(mixture, epoch) for epoch in range(40)]
    for rows in drawn:
        assert rows[:60] == list(range(60))
        assert len(rows) == len(set(rows))
    olds = [[row for row in rows if row >= 60] for rows in drawn]
    assert np.mean([len(rows) for rows in olds]) == pytest.approx(100, abs=5)
    assert olds[0] != olds[1]
    assert set().union(*map(set, olds)) == set(range(60, 460))  # all of it is seen again in time
    assert epoch_rows(mixture, 7) == drawn[7]
    assert epoch_rows(Mixture([new, old], [2, 1]), 3) == list(range(460))


def test_a_batch_of_a_mixture_holds_the_rows_it_names() -> None:
    mixture = Mixture([rows_of([[7] * length for length in range(1, 9)]), rows_of([[8] * 5] * 20)], [1, 0.5])
    updates = BucketedEpoch(mixture, 30, 3, 2)
    for index in range(len(updates)):
        batch = updates.batch(index)
        for row, source, target in zip(batch.indices.tolist(), batch.source_ids, batch.target_out, strict=True):
            assert source[0] == mixture.source(row)[0]
            assert [token for token in target.tolist() if token >= 0] == [*mixture.target(row).tolist(), EOS_ID]


def test_a_fraction_of_packed_rows_is_drawn_even_where_a_part_is_one_document() -> None:
    new, old = rows_of([[7] * 399 + [EOS_ID]]), rows_of([[8] * 3999 + [EOS_ID]])
    mixture = Mixture([new, old], [1, 0.2])
    counts = []
    for epoch in range(20):
        updates = PackedEpoch(mixture, 10, 50, 1, epoch)
        tokens = np.concatenate([updates.batch(index).target_out.flatten() for index in range(len(updates))])
        assert (tokens == 7).sum() == 399
        counts.append(int((tokens == 8).sum()))
    assert np.mean(counts) == pytest.approx(800, abs=60)
    assert len(set(counts)) > 1


def test_what_is_drawn_depends_on_seed_and_epoch_alone() -> None:
    shares = np.full(5000, 0.3)
    assert drawn_for(1, 2, shares).tolist() == drawn_for(1, 2, shares).tolist()
    assert drawn_for(1, 2, shares).tolist() != drawn_for(1, 3, shares).tolist()
    assert drawn_for(1, 2, shares).tolist() != drawn_for(2, 2, shares).tolist()
    assert len(drawn_for(1, 2, shares)) == pytest.approx(1500, abs=150)
    assert drawn_for(1, 2, np.ones(10)).tolist() == list(range(10))
