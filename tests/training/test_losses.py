"""The losses against plain float64 references, with gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from headway.training import losses
from headway.training.losses import IGNORED, contrastive_loss, cross_entropy


def plain_loss(hidden: Tensor, weight: Tensor, targets: Tensor, smoothing: float, alpha: float) -> Tensor:
    log_p = (hidden @ weight.t()).log_softmax(-1)
    valid = targets != IGNORED
    smooth = F.cross_entropy(
        log_p.flatten(0, 1), targets.flatten(), label_smoothing=smoothing, ignore_index=IGNORED, reduction="sum"
    )
    if not alpha:
        return smooth
    first, second = log_p.chunk(2)
    both = ((first.exp() - second.exp()) * (first - second)).sum(-1)
    return smooth + alpha / 2 * both[valid.chunk(2)[0]].sum()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("alpha", [0.0, 5.0])
@pytest.mark.parametrize("chunk", [1, 40, 1 << 20])
def test_equals_the_plain_loss_and_its_gradient_in_float64(
    smoothing: float, alpha: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "CHUNK_ELEMENTS", chunk)
    torch.manual_seed(1)
    hidden = torch.randn(4, 6, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(11, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 11, (2, 6))
    targets[0, 4:] = IGNORED
    targets = targets.repeat(2, 1)
    expected = plain_loss(hidden, weight, targets, smoothing, alpha)
    expected_gradients = torch.autograd.grad(expected / 7, (hidden, weight))
    found = cross_entropy(hidden, weight, targets, smoothing=smoothing, consistency=alpha)
    gradients = torch.autograd.grad(found.loss / 7, (hidden, weight))
    torch.testing.assert_close(found.loss, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.negative_log_likelihood, plain_loss(hidden, weight, targets, 0.0, 0.0), rtol=1e-12, atol=0)
    assert found.tokens == 20
    for gradient, reference in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 5.0])
def test_a_frozen_output_takes_nothing_from_the_gradient_of_the_states(alpha: float) -> None:
    torch.manual_seed(1)
    hidden, weight = torch.randn(4, 6, 5, requires_grad=True), torch.randn(11, 5)
    targets = torch.randint(0, 11, (2, 6)).repeat(2, 1)
    gradients = []
    for learns in (True, False):
        found = cross_entropy(hidden, weight.requires_grad_(learns), targets, smoothing=0.1, consistency=alpha)
        gradients.append(torch.autograd.grad(found.loss, hidden)[0])
    assert torch.equal(*gradients)


def test_bfloat16_stays_near_float32() -> None:
    torch.manual_seed(2)
    hidden, weight, targets = torch.randn(3, 8, 32), torch.randn(500, 32) * 0.3, torch.randint(0, 500, (3, 8))
    weight.requires_grad_()
    exact = cross_entropy(hidden, weight, targets, smoothing=0.1)
    (exact_gradient,) = torch.autograd.grad(exact.loss, weight)
    rounded = cross_entropy(hidden.bfloat16(), weight, targets, smoothing=0.1)
    (gradient,) = torch.autograd.grad(rounded.loss, weight)
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(rounded.loss, exact.loss, rtol=5e-3, atol=0)
    assert F.cosine_similarity(gradient.flatten(), exact_gradient.flatten(), dim=0) > 0.999


def test_no_valid_token_is_no_loss() -> None:
    hidden = torch.randn(1, 3, 4, requires_grad=True)
    found = cross_entropy(hidden, torch.randn(7, 4), torch.full((1, 3), IGNORED))
    found.loss.backward()
    assert found.tokens == 0
    assert found.loss.item() == 0.0
    assert hidden.grad is not None
    assert not hidden.grad.any()


def test_extreme_logits_stay_finite() -> None:
    hidden = torch.full((1, 2, 4), 200.0, requires_grad=True)
    weight = torch.eye(4).repeat(3, 1) * torch.arange(12)[:, None]
    found = cross_entropy(hidden, weight, torch.zeros(1, 2, dtype=torch.long), smoothing=0.1)
    found.loss.backward()
    assert torch.isfinite(found.loss)
    assert hidden.grad is not None
    assert torch.isfinite(hidden.grad).all()


def test_token_losses_are_those_of_the_plain_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "CHUNK_ELEMENTS", 30)
    torch.manual_seed(3)
    hidden, weight, targets = torch.randn(3, 5, 4), torch.randn(11, 4), torch.randint(0, 11, (3, 5))
    targets[1, 2:] = IGNORED
    found = losses.token_losses(hidden, weight, targets)
    logits = hidden @ weight.t()
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none").view(3, 5)
    torch.testing.assert_close(found, expected.double(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["one", "several", "number"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_label_losses_are_the_plain_ones(kind: Any, smoothing: float) -> None:
    torch.manual_seed(4)
    first, second = torch.randn(6, 1 if kind == "number" else 3), torch.randn(6, 1 if kind == "number" else 3)
    if kind == "one":
        targets = torch.tensor([[0], [2], [1], [IGNORED], [1], [0]])
        kept = targets[:, 0] != IGNORED
        each = [F.cross_entropy(x[kept], targets[kept, 0], label_smoothing=smoothing, reduction="sum") for x in (first, second)]
        p, q = first.softmax(1), second.softmax(1)
        apart = (p * (p / q).log()).sum() + (q * (q / p).log()).sum()
        count = 5
    elif kind == "several":
        targets = torch.randint(0, 2, (6, 3))
        soft = targets * (1 - smoothing) + smoothing / 2
        each = [-(soft * F.logsigmoid(x) + (1 - soft) * F.logsigmoid(-x)).sum() for x in (first, second)]
        p, q = first.sigmoid(), second.sigmoid()
        both = [(a * (a / b).log() + (1 - a) * ((1 - a) / (1 - b)).log()).sum() for a, b in ((p, q), (q, p))]
        apart, count = both[0] + both[1], 18
    else:
        numbers = torch.randn(6, 1)
        targets = numbers.view(torch.int32).long() & 0xFFFFFFFF
        each = [0.5 * (x - numbers).square().sum() for x in (first, second)]
        apart, count = 0.5 * (first - second).square().sum(), 6
    alone = losses.label_loss(first, targets, kind, smoothing=smoothing)
    torch.testing.assert_close(alone.loss, each[0])
    assert alone.tokens == count
    twice = losses.label_loss(torch.cat((first, second)), targets.repeat(2, 1), kind, smoothing=smoothing, consistency=3.0)
    torch.testing.assert_close(twice.loss, each[0] + each[1] + 1.5 * apart)
    assert twice.tokens == 2 * count


def slow_contrastive_loss(sources: Tensor, targets: Tensor, texts: list[list[int]], temperature: float) -> Tensor:
    """A question at a time: −log of the share that the own row has among all rows with other texts."""
    total = torch.zeros((), dtype=torch.float64)
    for queries, candidates in ((sources, targets), (targets, sources)):
        for i in range(len(queries)):
            others = [j for j in range(len(queries)) if j == i or not set(texts[i]) & set(texts[j])]
            scores = {j: (queries[i] * candidates[j]).sum() / temperature for j in others}
            total = total - scores[i] + torch.stack([scores[j].exp() for j in others]).sum().log()
    return total


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_the_contrastive_loss_is_the_plain_one_and_spares_rows_that_share_a_text(temperature: float) -> None:
    torch.manual_seed(6)
    texts = [[0, 1], [2, 3], [2, 4], [5, 1], [6, 2], [7, 8], [9, 9]]  # 1 and 2 share a source, 0 and 3 a target, 4 and 1 across
    raw = torch.randn(2, len(texts), 5, dtype=torch.float64, requires_grad=True)
    sources, targets = F.normalize(raw, dim=-1)
    expected = slow_contrastive_loss(sources, targets, texts, temperature)
    (expected_gradient,) = torch.autograd.grad(expected, raw, retain_graph=True)
    found = contrastive_loss(sources, targets, torch.tensor(texts), temperature=temperature)
    (gradient,) = torch.autograd.grad(found.loss, raw, retain_graph=True)
    torch.testing.assert_close(found.loss, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.negative_log_likelihood, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12)
    assert found.tokens == 14
    harder = contrastive_loss(sources, targets, torch.arange(14).view(7, 2), temperature=temperature)
    assert float(harder.loss) > float(found.loss)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_row_alone_has_nothing_to_be_told_apart_from(rows: int) -> None:
    vectors = torch.ones(rows, 1, requires_grad=True)
    found = contrastive_loss(vectors, vectors, torch.zeros(rows, 2, dtype=torch.long), temperature=0.05)
    found.loss.backward()
    assert found.loss.item() == 0.0
    assert found.tokens == 2 * rows
    assert vectors.grad is not None
    assert not vectors.grad.any()
