"""What a model loses without a head: against a model whose head has been cut out of its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from headway.errors import UsageError
from headway.explain.heads import important_heads, without_head
from headway.explain.write import write_heads
from headway.model.layers import Attention
from headway.model_dir import load_model

RunOf = Callable[[str], Path]


@pytest.mark.parametrize("kind", ["translation", "language_model", "classification", "tagging"])
def test_every_head_is_tried_and_ranked(run_of: RunOf, kind: str) -> None:
    loaded = load_model(run_of(kind))
    report = important_heads(loaded, examples=20)
    heads = sum(module.heads for module in loaded.model.modules() if isinstance(module, Attention))
    assert len(report.heads) == heads
    assert len({(one.attention, one.head) for one in report.heads}) == heads
    assert [one.rise for one in report.heads] == sorted((one.rise for one in report.heads), reverse=True)
    assert all(one.low <= one.rise <= one.high for one in report.heads)
    assert report.loss > 0
    again = important_heads(loaded, examples=20)
    assert again == report  # nothing is left behind, and nothing is drawn anew


def test_a_head_without_output_is_a_head_without_weights(run_of: RunOf) -> None:
    model = load_model(run_of("classification")).model.eval()
    attention, ids = model.encoder[0].self_attention, torch.tensor([[5, 6, 7, 2]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.no_grad():
        whole = model.encode(ids, mask)
        with without_head(attention, 1):
            bare = model.encode(ids, mask)
        attention.output.weight[:, attention.head_width :] = 0
        cut = model.encode(ids, mask)
    assert not torch.allclose(whole, bare)
    torch.testing.assert_close(bare, cut)


def test_a_head_that_does_nothing_does_not_matter(run_of: RunOf) -> None:
    loaded = load_model(run_of("classification"))
    attention = loaded.model.encoder[0].self_attention
    with torch.no_grad():
        attention.output.weight[:, : attention.head_width] = 0
    found = {(one.attention, one.head): one for one in important_heads(loaded, examples=20).heads}
    assert found["encoder.0.self_attention", 0].rise == pytest.approx(0, abs=1e-7)


def test_vectors_have_no_loss_of_single_examples(run_of: RunOf) -> None:
    with pytest.raises(UsageError, match="no single example"):
        important_heads(load_model(run_of("sentence_embedding")))


def test_the_page_of_heads(run_of: RunOf, tmp_path: Path, open_page: Callable[..., Any]) -> None:
    path = tmp_path / "heads.html"
    report = write_heads(str(run_of("classification")), path, "validation", name="run")
    page = open_page(path)
    assert page.locator("svg .bar").count() == len(report.heads)
    assert page.locator("h1").inner_text() == "Which heads of run matter"
    assert report.heads[0].name in page.locator("table").last.inner_text()
