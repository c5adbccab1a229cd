"""The finders: a learning rate where the loss falls fastest, and the largest batch that fits."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_search import small_search

from headway.cli import main
from headway.config import Config
from headway.errors import ResourceError
from headway.tuning.batch_probe import heaviest_batches
from headway.tuning.batch_size import Tried, grow, predicted
from headway.tuning.finder_pages import write_largest_batch, write_range_test
from headway.tuning.range_test import RangeTest, fresh_learning, range_test, smooth, suggest
from headway.tuning.search_space import read_search


@pytest.fixture
def config(sample: Path, tmp_path: Path) -> Config:
    return read_search(small_search(sample, tmp_path), only_base=True).base


def test_the_rate_is_suggested_where_the_loss_falls_fastest() -> None:
    rates = [1e-6 * 10 ** (place / 20) for place in range(120)]
    losses = [3 - 2 / (1 + math.exp(-4 * math.log10(rate / 1e-3))) for rate in rates]  # steepest at 1e-3
    assert suggest(rates, losses) == pytest.approx(1e-3, rel=0.1)
    with pytest.raises(ResourceError, match="fell at no rate"):
        suggest(rates, sorted(losses))


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=50))
def test_smoothing_stays_between_the_losses(losses: list[float]) -> None:
    smoothed = smooth(losses)
    assert smoothed[0] == pytest.approx(losses[0])
    assert all(min(losses) - 1e-9 <= value <= max(losses) + 1e-9 for value in smoothed)


def test_a_range_test_trains_a_fresh_model_at_rising_rates(config: Config, tmp_path: Path) -> None:
    found = range_test(config, updates=100)
    assert found.rates == sorted(found.rates)
    assert found.rates[0] == 1e-6
    assert len(found.losses) == len(found.smoothed) == len(found.rates) <= 100
    assert min(found.smoothed) < 0.8 * found.smoothed[0]  # it learned
    assert 1e-4 < found.suggested < 0.5
    low, high = found.space
    assert low < found.suggested < high
    assert range_test(config, updates=100) == found
    assert not (tmp_path / "run").exists()


def test_the_batches_that_are_tried_are_the_heaviest(config: Config) -> None:
    learning = fresh_learning(config)
    batches, whole = heaviest_batches(learning)
    rows = learning.corpus.rows
    longest = int(rows.source_lengths.max()) + 1
    shapes = [pieces[0].source_ids.shape for pieces in batches]
    assert len(batches) == 2
    assert shapes[0].numel() * shapes[0][1] >= longest**2
    assert shapes[1].numel() >= shapes[0].numel()
    assert all(shape.numel() <= config.training.batch_tokens for shape in shapes)
    assert not whole
    everything = config.model_copy(update={"training": config.training.model_copy(update={"batch_tokens": 10**6})})
    batches, whole = heaviest_batches(fresh_learning(everything))
    assert whole
    assert batches[0][0].source_ids.shape == (len(rows.source_lengths), longest)


def machine(memory: int, *, seconds: float = 1e-5, tells: bool = True) -> Callable[[int], Tried]:
    """One on which a token takes 1,000 bytes, beside a million."""

    def attempt(batch_tokens: int) -> Tried:
        peak = 1_000_000 + 1000 * batch_tokens
        if peak > memory:
            return Tried(batch_tokens, False, peak if tells else 0)
        return Tried(batch_tokens, True, peak, seconds * batch_tokens, batch_tokens, batch_tokens >= 1 << 20)

    return attempt


@given(st.integers(2_000_000, 500_000_000))
def test_the_largest_batch_just_fits(memory: int) -> None:
    found = grow(256, None, machine(memory, tells=False))
    true = (memory - 1_000_000) // 1000
    assert found.best.batch_tokens <= true
    assert found.best.batch_tokens >= true - max(128, true // 7)
    assert [one.batch_tokens for one in found.tried] == sorted(one.batch_tokens for one in found.tried)


@given(st.integers(2_000_000, 500_000_000))
def test_where_memory_is_foretold_nothing_larger_is_ever_tried(memory: int) -> None:
    found = grow(256, memory, machine(memory))
    assert all(one.fits for one in found.tried)
    assert predicted(found.tried, found.best.batch_tokens) == found.best.peak


def test_growth_ends_with_the_corpus_or_with_patience() -> None:
    assert grow(256, None, machine(10**12)).reason == "it holds the whole corpus"
    slow = grow(256, None, machine(10**12, seconds=0.001))
    assert slow.best.batch_tokens == 32768
    assert slow.reason == "an update of it takes 33 seconds"
    with pytest.raises(ResourceError, match="not even 256 tokens fit"):
        grow(256, None, machine(10))


def test_both_finders_print_a_setting_and_write_a_page(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], open_page: Callable[..., Any]
) -> None:
    path = small_search(sample, tmp_path)
    assert main(["tune", str(path), "--find", "batch_tokens", "data.max_length=4096"]) == 0
    out, err = capsys.readouterr()
    found = re.fullmatch(r"training.batch_tokens=(\d+)\n", out)
    assert found is not None
    assert "none larger: it holds the whole corpus" in err
    assert "with training.learning_rate=0.01" in err
    opened = open_page(tmp_path / "run-tuning" / "batch_tokens.html")
    assert f"batch_tokens: {found[1]}" in opened.locator("p").nth(1).inner_text()
    rates = RangeTest([1e-3, 1e-2, 1e-1], [3.0, 2.0, 4.0], [3.0, 2.5, 2.8], 0.01)
    opened = open_page(write_range_test(rates, tmp_path / "x" / "rate.html", "<b>"))
    assert "learning_rate: 0.01" in opened.locator("p").nth(1).inner_text()
    assert opened.locator("svg .dot2").count() == 1
    write_largest_batch(grow(256, 3_000_000, machine(3_000_000)), tmp_path / "b.html", "<b>")


def test_pictures_are_weighed_by_their_patches(tmp_path: Path) -> None:
    """And not by their bytes: the row of a picture of 3 × 2 patches has 1172 of them."""
    sizes = [(8, 8), (24, 16), (16, 8), (24, 16), (8, 16), (24, 16)]
    for number, size in enumerate(sizes):
        Image.new("RGB", size, (0, 0, number)).save(tmp_path / f"{number}.png")
    rows = "".join(json.dumps({"image": f"{number}.png", "text": "a b c"}) + "\n" for number in range(len(sizes)))
    (tmp_path / "m.jsonl").write_text(rows)
    corpus = {"path": str(tmp_path / "m.jsonl"), "source": "image", "target": "text"}
    values: dict[str, Any] = {
        "run_directory": str(tmp_path / "run"),
        "task": "captioning",
        "data": {"train": corpus, "validation": corpus},
        "media": {"patch": 8},
        "model": {"encoder_layers": 1, "decoder_layers": 1, "width": 16, "feed_forward_width": 16, "heads": 2},
        "training": {"batch_tokens": 20, "updates": 4, "warmup_updates": 1, "threads": 1, "device": "cpu", "precision": "fp32"},
    }
    batches, whole = heaviest_batches(fresh_learning(Config.model_validate(values)))
    assert not whole
    assert [pieces[0].source_ids.shape[1] for pieces in batches] == [6, 6]
    assert all(len(pieces[0].source_ids) * 7 <= 21 for pieces in batches)
