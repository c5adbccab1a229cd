"""Muon against a slow, plain reference in float64, and in a run that stops and goes on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from headway.config import ModelConfig, TrainingConfig
from headway.model.transformer import Transformer
from headway.training.muon import MOMENTUM, QUINTIC, UPDATE_SIZE, Muon, orthogonalise
from headway.training.optimizer import build_optimizer, load_optimizer_tensors, optimizer_tensors, set_learning_rate


def slowly_orthogonalised(matrix: Tensor) -> Tensor:
    """The odd quintic five times on the singular values, by their definition."""
    a, b, c = QUINTIC
    u, s, v = torch.linalg.svd(matrix.double() / matrix.double().norm(), full_matrices=False)
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    return u @ torch.diag(s) @ v


@pytest.mark.parametrize("shape", [(8, 8), (16, 6), (6, 16)])
def test_orthogonalise_maps_the_singular_values_and_nothing_else(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    found = orthogonalise(matrices.double())
    for one, matrix in zip(found, matrices, strict=True):
        torch.testing.assert_close(one, slowly_orthogonalised(matrix), rtol=0, atol=1e-6)
    well_conditioned = orthogonalise(torch.linalg.qr(torch.randn(12, 12))[0][None] * 40)
    assert 0.6 < float(torch.linalg.svdvals(well_conditioned).min()) <= float(torch.linalg.svdvals(well_conditioned).max()) < 1.3


def model(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 6), nn.LayerNorm(6), nn.Linear(6, 10))


def settings(**changes: object) -> TrainingConfig:
    values = {"updates": 100, "warmup_updates": 10, "learning_rate": 0.01, "optimizer": "muon", **changes}
    return TrainingConfig.model_validate(values)


def take_step(net: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    ids = torch.randint(0, 11, (3, 4), generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(ids).flatten(0, 1), (ids.flatten() + 1) % 10).backward()
    optimizer.step()


def test_two_steps_are_those_of_the_reference() -> None:
    net = model()
    optimizer = build_optimizer(net, settings(weight_decay=0.1))
    set_learning_rate(optimizer, 0.02)
    inner = [net[1].weight, net[3].weight, net[5].weight]
    expected = [weight.detach().double() for weight in inner]
    momenta = [torch.zeros_like(weight) for weight in expected]
    for step in range(2):
        take_step(net, optimizer, step)
        for place, weight in enumerate(inner):
            assert weight.grad is not None
            gradient = weight.grad.double()
            momenta[place] = MOMENTUM * momenta[place] + (1 - MOMENTUM) * gradient
            direction = slowly_orthogonalised((1 - MOMENTUM) * gradient + MOMENTUM * momenta[place])
            size = UPDATE_SIZE * max(direction.shape) ** 0.5
            expected[place] = expected[place] * (1 - 0.02 * 0.1) - 0.02 * size * direction
            torch.testing.assert_close(weight.double(), expected[place], rtol=1e-4, atol=1e-5)


def test_embeddings_norms_and_biases_take_the_steps_of_adamw() -> None:
    one, other = model(), model()
    take_step(one, build_optimizer(one, settings()), 1)
    take_step(other, build_optimizer(other, settings(optimizer="adamw")), 1)
    for (name, mine), theirs in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs) == (mine.ndim == 1 or name.startswith("0.")), name


def test_an_output_matrix_of_its_own_is_left_to_adamw() -> None:
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "width": 8, "feed_forward_width": 8, "heads": 2, "preset": None}
    net = Transformer(ModelConfig(**sizes, tied_embeddings="none"), 20, 20)
    optimizer = build_optimizer(net, settings())
    assert isinstance(optimizer, Muon)
    stepped = {id(parameter) for parameter in optimizer.own[0]["params"]}
    assert id(net.output_weight) not in stepped
    assert id(net.decoder[0].feed_forward.inner.weight) in stepped
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(net.parameters()))


def test_going_on_from_its_tensors_is_exact() -> None:
    straight, resumed = model(), model()
    optimizer = build_optimizer(straight, settings())
    for step in range(3):
        take_step(straight, optimizer, step)
    saved = {name: tensor.clone() for name, tensor in optimizer_tensors(straight, optimizer).items()}
    resumed.load_state_dict(straight.state_dict())
    again = build_optimizer(resumed, settings())
    load_optimizer_tensors(resumed, again, saved)
    for step in range(3, 6):
        take_step(straight, optimizer, step)
        take_step(resumed, again, step)
    assert isinstance(again, Muon)
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))
