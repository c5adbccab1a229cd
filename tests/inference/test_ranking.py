"""The cheap ranking against a full, stable sort."""

from __future__ import annotations

import random

import pytest
import torch

from headway.inference.ranking import BLOCK, best_continuations, best_tokens, log_normaliser


def test_best_continuations_are_the_head_of_a_stable_sort() -> None:
    rng = random.Random(1)
    for case in range(200):
        queries, count = rng.randint(1, 5), rng.randint(1, 12)
        vocabulary = rng.choice([3, 50, 30 * BLOCK, 30 * BLOCK + rng.randint(1, BLOCK - 1), 5000])
        generator = torch.Generator().manual_seed(case)
        logits = torch.randn(3, queries, vocabulary, generator=generator) * 3
        if case % 2:
            logits = logits.round()  # many ties
        logits[torch.rand(logits.shape, generator=generator) < 0.2] = float("-inf")
        offsets = torch.randn(3, queries, generator=generator).round()
        offsets[0, 0] = float("-inf")
        places, totals = best_continuations(logits, offsets, count), (logits + offsets[:, :, None]).flatten(1)
        values, expected = totals.gather(1, places), totals.sort(dim=1, descending=True, stable=True)
        torch.testing.assert_close(values, expected.values[:, :count], rtol=0, atol=0)
        possible = values > float("-inf")
        assert torch.equal(places[possible], expected.indices[:, :count][possible])
        values = logits[:, 0].gather(1, best_tokens(logits[:, 0], count))
        assert torch.equal(values, logits[:, 0].sort(dim=1, descending=True).values[:, :count])


def test_normaliser_is_logsumexp() -> None:
    logits = torch.randn(7, 3, 1000) * 8
    logits[0] = float("nan")
    torch.testing.assert_close(log_normaliser(logits), logits.logsumexp(-1), rtol=1e-6, atol=1e-6, equal_nan=True)
    assert log_normaliser(torch.tensor([[200.0, -200.0]])).tolist() == pytest.approx([200.0])
