"""The plan of an epoch and the padded batch."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headway.config import TokenizerConfig
from headway.data.batches import IGNORED, Batch, EpochPlan, Place, collate_pairs, collate_two_texts, padding_share, split_rows
from headway.data.preparation import MemoryRows
from headway.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, train_tokenizer
from headway.errors import UsageError

Lengths = tuple[NDArray[np.int32], NDArray[np.int32]]


def caption_lengths(pairs: int, seed: int = 7) -> Lengths:
    """Made lengths with the spread and the correlation of short captions: mean 13.3 and 13.7, longest about 45."""
    chance = np.random.default_rng(seed)
    shared = chance.normal(size=pairs)
    source = np.exp(2.52 + 0.30 * shared + 0.14 * chance.normal(size=pairs))
    target = np.exp(2.54 + 0.30 * shared + 0.17 * chance.normal(size=pairs))
    return tuple(np.clip(np.rint(side), 1, 50).astype(np.int32) for side in (source, target))  # type: ignore[return-value]


lengths_of_pairs = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=300).map(
    lambda rows: tuple(np.array(rows, dtype=np.int32).reshape(-1, 2).T)
)


def batches_of(plan: EpochPlan) -> list[list[int]]:
    return [plan[i].tolist() for i in range(len(plan))]


@settings(max_examples=200, deadline=None)
@given(lengths_of_pairs, st.integers(1, 400), st.integers(0, 3), st.integers(0, 3))
def test_every_row_comes_once_and_every_batch_keeps_the_budget(lengths: Lengths, budget: int, seed: int, epoch: int) -> None:
    source, target = lengths
    batches = batches_of(EpochPlan(source, target, budget, seed, epoch))
    assert sorted(row for batch in batches for row in batch) == list(range(len(source)))
    for batch in batches:
        longest = 1 + max(source[batch].max(), target[batch].max())
        assert len(batch) == 1 or len(batch) * longest <= budget


@settings(max_examples=100, deadline=None)
@given(lengths_of_pairs, st.integers(1, 400))
def test_batches_are_as_full_as_a_greedy_cut_makes_them(lengths: Lengths, budget: int) -> None:
    source, target = lengths
    plan = EpochPlan(source, target, budget, 1, 0)
    rows, starts, widest = plan._rows, [], 0
    for row, length in enumerate(np.maximum(source, target)[rows] + 1):
        widest = max(widest, int(length))
        if not starts or (row + 1 - starts[-1]) * widest > budget:
            starts.append(row)
            widest = int(length)
    assert plan._starts[:-1].tolist() == starts


def test_the_plan_is_a_pure_function() -> None:
    lengths = caption_lengths(3000)
    assert batches_of(EpochPlan(*lengths, 512, 5, 3)) == batches_of(EpochPlan(*lengths, 512, 5, 3))
    wider = tuple(side.astype(np.int64) for side in lengths)
    assert batches_of(EpochPlan(*wider, 512, 5, 3)) == batches_of(EpochPlan(*lengths, 512, 5, 3))


def test_the_plan_is_the_same_on_every_machine() -> None:
    rows = np.arange(400)
    batches = batches_of(EpochPlan(rows * 7 % 11 + 1, rows * 5 % 9 + 1, 256, 1, 0))
    found = int(sum(sum(batch) * (place + 1) for place, batch in enumerate(batches)))
    assert (len(batches), found) == GOLDEN_PLAN, "a change of the plan's order breaks resuming of runs begun before it"


def test_epochs_and_seeds_differ() -> None:
    lengths = caption_lengths(3000)
    plans = [batches_of(EpochPlan(*lengths, 512, seed, epoch)) for seed, epoch in ((1, 0), (1, 1), (2, 0))]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert plans[one] != plans[other]
        # Not only the order of batches changes: ties are broken anew, so that rows meet other rows.
        assert {frozenset(batch) for batch in plans[one]} != {frozenset(batch) for batch in plans[other]}


def test_batches_come_in_a_random_order() -> None:
    lengths = caption_lengths(5000)
    plan = EpochPlan(*lengths, 512, 1, 0)
    widths = [int(lengths[1][plan[i]].max()) for i in range(len(plan))]
    assert widths != sorted(widths)
    assert abs(np.corrcoef(widths, np.arange(len(widths)))[0, 1]) < 0.3
    assert np.corrcoef(plan._rows, np.arange(5000))[0, 1] < 0.1


@pytest.mark.parametrize(("ranks", "accumulation"), [(1, 1), (2, 1), (3, 4), (4, 2), (8, 16)])
def test_pieces_cover_the_batch_whatever_the_ranks(ranks: int, accumulation: int) -> None:
    plan = EpochPlan(*caption_lengths(2000), 512, 1, 0)
    pieces = ranks * accumulation
    for index in range(len(plan)):
        parts = [split_rows(plan[index], piece, pieces) for piece in range(pieces)]
        assert sorted(np.concatenate(parts)) == sorted(plan[index])
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_piece_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="piece=2 is not one of 2"):
        split_rows(np.arange(4), 2, 2)


def test_padding_is_under_five_percent_on_captions() -> None:
    lengths = caption_lengths(29_000)
    share = padding_share(EpochPlan(*lengths, 4096, 1, 0))
    plain = padding_share(EpochPlan(np.zeros_like(lengths[0]), lengths[1], 4096, 1, 0))
    assert 0 <= share < 0.05
    assert plain < 0.05  # one empty side does not upset it


def test_padding_share_is_what_collate_pads() -> None:
    source, target = caption_lengths(500)
    plan = EpochPlan(source, target, 256, 1, 0)
    pairs = MadePairs(source, target)
    batches = [collate_pairs(pairs, plan[i]) for i in range(len(plan))]
    cells = sum(batch.source_ids.numel() + batch.target_out.numel() for batch in batches)
    tokens = sum(int(batch.source_mask.sum()) + batch.tokens for batch in batches)
    assert padding_share(plan) == pytest.approx(1 - tokens / cells, abs=1e-12)


def test_a_row_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    source = np.array([3, 900, 4, 5], dtype=np.int32)
    plan = EpochPlan(source, source, 64, 1, 0)
    assert sorted(map(sorted, batches_of(plan))) == [[0, 2, 3], [1]]


def test_rows_beyond_the_range_of_the_sort_key_are_kept() -> None:
    source = np.array([3_000_000, 2_000_000, 5, 2_500_000], dtype=np.int32)
    batches = batches_of(EpochPlan(source, source, 6_000_002, 1, 0))
    assert sorted(row for batch in batches for row in batch) == [0, 1, 2, 3]
    assert all(len(batch) * (int(source[batch].max()) + 1) <= 6_000_002 for batch in batches)


def test_no_budget_and_places_beyond_the_epoch_are_refused() -> None:
    lengths = caption_lengths(50)
    with pytest.raises(UsageError, match="batch_tokens=0"):
        EpochPlan(*lengths, 0, 1, 0)
    plan = EpochPlan(*lengths, 128, 1, 0)
    for index in (-1, len(plan)):
        with pytest.raises(IndexError):
            plan[index]
    assert len(EpochPlan(lengths[0][:0], lengths[1][:0], 128, 1, 0)) == 0
    assert padding_share(EpochPlan(lengths[0][:0], lengths[1][:0], 128, 1, 0)) == 0


def test_a_place_goes_on_into_the_next_epoch() -> None:
    plan = EpochPlan(*caption_lengths(50), 512, 1, 4)
    place = Place(4, 0)
    for index in range(len(plan)):
        assert place == Place(4, index)
        place = place.next(plan)
    assert place == Place(5, 0)


class MadePairs:
    """Pairs of given lengths; the tokens of each row are told apart by its number."""

    def __init__(self, source_lengths: NDArray[np.int32], target_lengths: NDArray[np.int32]) -> None:
        self.lengths = source_lengths, target_lengths

    def source(self, index: int) -> NDArray[np.uint16]:
        return np.arange(4, 4 + self.lengths[0][index], dtype=np.uint16) + index

    def target(self, index: int) -> NDArray[np.uint16]:
        return np.arange(9, 9 + self.lengths[1][index], dtype=np.uint16) + index


def test_collate_places_special_tokens_and_padding() -> None:
    batch = collate_pairs(MadePairs(np.array([2, 3, 0]), np.array([1, 0, 2])), np.array([2, 0, 1]))
    assert batch.source_ids.tolist() == [[EOS_ID, PAD_ID, PAD_ID, PAD_ID], [4, 5, EOS_ID, PAD_ID], [5, 6, 7, EOS_ID]]
    assert batch.source_mask.tolist() == [[True, False, False, False], [True, True, True, False], [True] * 4]
    assert batch.target_in.tolist() == [[BOS_ID, 11, 12], [BOS_ID, 9, PAD_ID], [BOS_ID, PAD_ID, PAD_ID]]
    assert batch.target_out.tolist() == [[11, 12, EOS_ID], [9, EOS_ID, IGNORED], [EOS_ID, IGNORED, IGNORED]]
    assert batch.indices.tolist() == [2, 0, 1]
    assert batch.tokens == 3 + 2 + 1
    assert {tensor.dtype for tensor in (batch.source_ids, batch.target_in, batch.target_out, batch.indices)} == {torch.int64}
    assert batch.source_mask.dtype == torch.bool


def test_collate_of_no_rows_gives_an_empty_batch() -> None:
    batch = collate_pairs(MadePairs(np.array([2]), np.array([1])), np.array([], dtype=np.int32))
    assert batch.source_ids.shape == (0, 1)
    assert batch.target_out.shape == (0, 1)
    assert batch.tokens == 0


def test_a_batch_moves_as_a_whole() -> None:
    moved = collate_pairs(MadePairs(np.array([2]), np.array([1])), np.array([0])).to("meta")
    assert isinstance(moved, Batch)
    assert {value.device.type for value in vars(moved).values() if value is not None} == {"meta"}


MEASURE = """
import numpy as np, resource
from headway.data.batches import EpochPlan
chance = np.random.default_rng(0)
source, target = (chance.integers(1, 100, size=2_000_000, dtype=np.int32) for _ in range(2))
EpochPlan(source[:1000], target[:1000], 4096, 1, 0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
plan = EpochPlan(source, target, 4096, 1, 0)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_of_a_large_plan_is_bounded() -> None:
    result = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    assert float(result.stdout) < 120, "MiB for 2 million pairs; 600 for 10 million"


MULTI30K = Path(__file__).parents[3] / "shared" / "data" / "multi30k"


@pytest.mark.realdata
@pytest.mark.skipif(not MULTI30K.is_dir(), reason="the shared data sets are not beside the project")
def test_padding_on_multi30k(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [(MULTI30K / f"train.{side}").read_text(encoding="utf-8").split("\n")[:-1] for side in ("en", "de")]
    tokenizer = train_tokenizer(itertools.chain(*lines), TokenizerConfig(vocabulary_size=10_000))
    lengths = [np.array([len(row) for row in tokenizer.encode_many(side)], dtype=np.int32) for side in lines]
    share = padding_share(EpochPlan(lengths[0], lengths[1], 4096, 1, 0))
    with capsys.disabled():
        print(f"\npadding on Multi30k at 4,096 tokens, source and target: {share:.2%}")
    assert share < 0.042


GOLDEN_PLAN = (14, 666_873)


# ---- two texts that are read ---------------------------------------------------------------------------------------


def test_both_sides_are_read_and_the_same_text_has_the_same_number_however_it_is_cut() -> None:
    texts = {5: "a", 6: "b", 7: "ab", 8: "c"}

    def text_of(row: NDArray[np.integer]) -> str:
        return "".join(texts[int(number)] for number in row)

    rows = MemoryRows([[7], [8], [5, 6]], [[8], [5, 8, 5], [6]])
    batch = collate_two_texts(rows, np.array([2, 0, 1]), text_of=text_of)
    assert batch.source_ids.tolist() == [[5, 6, EOS_ID], [7, EOS_ID, PAD_ID], [8, EOS_ID, PAD_ID]]
    assert batch.target_in.tolist() == [[6, EOS_ID, PAD_ID, PAD_ID], [8, EOS_ID, PAD_ID, PAD_ID], [5, 8, 5, EOS_ID]]
    assert batch.source_mask.tolist() == [[True] * 3, [True, True, False], [True, True, False]]
    assert batch.target_out.tolist() == [[0, 2], [0, 1], [1, 3]]
    assert batch.indices.tolist() == [2, 0, 1]
    assert batch.tokens == 6
    nothing = collate_two_texts(rows, np.array([], dtype=np.int64), text_of=text_of)
    assert (nothing.target_in.shape, nothing.target_out.shape, nothing.tokens) == ((0, 1), (0, 2), 0)
