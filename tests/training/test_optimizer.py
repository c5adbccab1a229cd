from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from headway.config import TrainingConfig
from headway.errors import ModelError
from headway.training.optimizer import (
    WeightAverage,
    build_optimizer,
    learning_rate,
    load_optimizer_tensors,
    optimizer_tensors,
    set_learning_rate,
)


class Tied(nn.Module):
    """An embedding tied to the output, a matrix, a norm and a raw parameter named as an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.middle = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.position_embedding = nn.Parameter(torch.randn(4, 6))
        self.output = nn.Linear(6, 11, bias=False)
        self.output.weight = self.table.weight

    def forward(self, ids: Tensor) -> Tensor:
        hidden: Tensor = self.norm(self.middle(self.table(ids) + self.position_embedding[: ids.shape[1]]))
        return self.output(hidden)


def settings(**changes: object) -> TrainingConfig:
    return TrainingConfig.model_validate({"updates": 100, "warmup_updates": 10, "learning_rate": 0.01, **changes})


def make(seed: int = 0) -> Tied:
    torch.manual_seed(seed)
    return Tied()


def take_step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    ids = torch.randint(0, 11, (3, 4), generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
    optimizer.step()


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


# --- groups ---


def test_only_matrices_that_are_no_embeddings_decay() -> None:
    model = make()
    optimizer = build_optimizer(model, settings(weight_decay=0.1))
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(model.middle.weight)}
    assert sorted(id(p) for group in optimizer.param_groups for p in group["params"]) == sorted(id(p) for p in model.parameters())


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)])
def test_the_optimizer_is_fused_and_as_configured(name: str, kind: type) -> None:
    optimizer = build_optimizer(make(), settings(optimizer=name, betas=(0.8, 0.9), epsilon=1e-7))
    group = optimizer.param_groups[0]
    assert type(optimizer) is kind
    assert (group["fused"], tuple(group["betas"]), group["eps"], group["lr"]) == (True, (0.8, 0.9), 1e-7, 0.001)


def test_frozen_weights_are_left_out() -> None:
    model = make()
    model.middle.weight.requires_grad_(False)
    optimizer = build_optimizer(model, settings())
    assert all(p is not model.middle.weight for group in optimizer.param_groups for p in group["params"])


def test_one_adamw_step_is_the_papers() -> None:
    """Against Algorithm 2 of Loshchilov & Hutter in float64."""
    model, wanted = make(), settings(weight_decay=0.3)
    optimizer = build_optimizer(model, wanted)
    set_learning_rate(optimizer, 0.02)
    before = model.middle.weight.detach().double()
    take_step(model, optimizer, 1)
    gradient = model.middle.weight.grad
    assert gradient is not None
    direction = gradient.double() / (gradient.double().abs() + wanted.epsilon)  # m̂ = g and √v̂ = |g| at the first step
    assert torch.allclose(model.middle.weight.double(), before * (1 - 0.02 * 0.3) - 0.02 * direction, atol=1e-6)


# --- schedules ---


@pytest.mark.parametrize("schedule", ["inverse_sqrt", "cosine", "wsd", "constant"])
def test_warm_up_is_linear_and_ends_at_the_peak(schedule: str) -> None:
    wanted = settings(schedule=schedule)
    assert [learning_rate(step, wanted) for step in range(1, 11)] == pytest.approx([0.001 * step for step in range(1, 11)])
    rates = [learning_rate(step, wanted) for step in range(10, 201)]
    assert all(a >= b for a, b in itertools.pairwise(rates))
    assert all(math.isfinite(rate) and rate >= 0 for rate in rates)


def test_inverse_square_root() -> None:
    wanted = settings(schedule="inverse_sqrt")
    assert learning_rate(40, wanted) == pytest.approx(0.01 * math.sqrt(10 / 40))
    assert learning_rate(9, settings(schedule="inverse_sqrt", warmup_updates=0)) == pytest.approx(0.01 / 3)


def test_cosine_falls_to_the_final_rate_at_the_last_update() -> None:
    wanted = settings(schedule="cosine", final_rate_fraction=0.1)
    assert learning_rate(55, wanted) == pytest.approx(0.01 * 0.55)
    assert learning_rate(100, wanted) == pytest.approx(0.001)
    assert learning_rate(500, wanted) == pytest.approx(0.001)


def test_wsd_is_flat_and_then_falls_in_a_line() -> None:
    wanted = settings(schedule="wsd", decay_fraction=0.2)
    assert {learning_rate(step, wanted) for step in range(10, 81)} == {0.01}
    assert [learning_rate(step, wanted) for step in (85, 90, 100)] == pytest.approx([0.0075, 0.005, 0.0])
    whole = settings(schedule="wsd", decay_fraction=1.0)
    assert learning_rate(10, whole) == 0.01
    assert learning_rate(55, whole) == pytest.approx(0.005)


def test_constant_without_warm_up_is_the_peak_from_the_first_update() -> None:
    wanted = settings(schedule="constant", warmup_updates=0)
    assert learning_rate(1, wanted) == learning_rate(99, wanted) == 0.01


def test_updates_count_from_one() -> None:
    with pytest.raises(ValueError, match="count from 1"):
        learning_rate(0, settings())


# --- the optimiser in a checkpoint ---


@pytest.mark.parametrize("name", ["adamw", "adam"])
def test_a_restored_optimizer_goes_on_bit_for_bit(name: str) -> None:
    model, wanted = make(), settings(optimizer=name, weight_decay=0.1)
    optimizer = build_optimizer(model, wanted)
    for seed in range(3):
        take_step(model, optimizer, seed)
    weights, kept = copied(model), {k: v.clone() for k, v in optimizer_tensors(model, optimizer).items()}
    for seed in range(3, 6):
        take_step(model, optimizer, seed)
    other = make(seed=9)
    assert not equal(copied(other), weights)
    other.load_state_dict({**weights, "output.weight": weights["table.weight"]})
    restored = build_optimizer(other, wanted)
    load_optimizer_tensors(other, restored, {**kept, "average.0.x": torch.zeros(1)})
    for seed in range(3, 6):
        take_step(other, restored, seed)
    assert equal(copied(other), copied(model))
    assert equal(optimizer_tensors(other, restored), optimizer_tensors(model, optimizer))
    assert not equal(optimizer_tensors(model, optimizer), kept)


def test_a_state_before_the_first_update_is_empty_and_loads() -> None:
    model = make()
    optimizer = build_optimizer(model, settings())
    assert optimizer_tensors(model, optimizer) == {}
    load_optimizer_tensors(model, optimizer, {})
    take_step(model, optimizer, 0)


@pytest.mark.parametrize("damage", ["missing", "extra", "shape", "slot"])
def test_a_state_of_another_model_is_refused(damage: str) -> None:
    model = make()
    optimizer = build_optimizer(model, settings())
    take_step(model, optimizer, 0)
    kept = optimizer_tensors(model, optimizer)
    if damage == "missing":
        kept = {k: v for k, v in kept.items() if "norm.bias" not in k}
    elif damage == "extra":
        kept["optimizer.exp_avg.other.weight"] = torch.zeros(2)
    elif damage == "shape":
        kept["optimizer.exp_avg.norm.bias"] = torch.zeros(7)
    else:
        del kept["optimizer.exp_avg_sq.norm.bias"]
    with pytest.raises(ModelError, match=r"norm\.bias|other\.weight"):
        load_optimizer_tensors(model, optimizer, kept)


# --- averages ---


def test_ema_is_the_normalised_mean_of_all_weights_visited() -> None:
    model, decay = make(), 0.9
    average = WeightAverage(model, settings(averaging="ema", ema_decay=decay))
    optimizer = build_optimizer(model, settings())
    visited = []
    for seed in range(7):
        take_step(model, optimizer, seed)
        average.update()
        visited.append(model.middle.weight.detach().double().clone())
    shares = [decay ** (len(visited) - 1 - i) for i in range(len(visited))]
    wanted = sum(share * weight for share, weight in zip(shares, visited, strict=True)) / sum(shares)
    with average.average(model):
        assert torch.allclose(model.middle.weight.double(), torch.as_tensor(wanted), atol=1e-6)
        assert not torch.equal(model.middle.weight, visited[-1].float())


def test_ema_forgets_the_random_start_at_once() -> None:
    model = make()
    average = WeightAverage(model, settings(averaging="ema", ema_decay=0.9999))
    with torch.no_grad():
        model.middle.weight.fill_(3.0)
    average.update()
    with average.average():
        assert torch.equal(model.middle.weight, torch.full((6, 6), 3.0))


def test_last_is_the_mean_of_the_last_validations() -> None:
    model = make()
    average = WeightAverage(model, settings(averaging="last", average_last=3))
    for value in (1.0, 2.0, 4.0, 6.0):
        with torch.no_grad():
            model.middle.weight.fill_(value)
        average.update()
        average.snapshot()
    with torch.no_grad():
        model.middle.weight.fill_(100.0)
    average.update()
    with average.average(model):
        assert torch.equal(model.middle.weight, torch.full((6, 6), 4.0))
    assert torch.equal(model.middle.weight, torch.full((6, 6), 100.0))


def _look_and_stop(model: Tied, own: dict[str, Tensor], differs: bool) -> None:
    assert equal(copied(model), own) != differs
    assert model.output.weight is model.table.weight
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["none", "ema", "last"])
def test_the_swap_gives_the_own_weights_back_bit_for_bit_also_after_an_error(kind: str) -> None:
    model = make()
    average = WeightAverage(model, settings(averaging=kind, average_last=2))
    optimizer = build_optimizer(model, settings())
    for seed in range(3):
        take_step(model, optimizer, seed)
        average.update()
        average.snapshot()
    own, places = copied(model), [p.data_ptr() for p in model.parameters()]
    carried = {k: v.clone() for k, v in average.tensors().items()}
    with pytest.raises(KeyboardInterrupt), average.average(model):
        _look_and_stop(model, own, differs=kind != "none")
    assert equal(copied(model), own)
    assert places == [p.data_ptr() for p in model.parameters()]
    assert equal(average.tensors(), carried)


@pytest.mark.parametrize("kind", ["none", "ema", "last"])
def test_a_restored_average_goes_on_bit_for_bit(kind: str) -> None:
    wanted = settings(averaging=kind, average_last=2, ema_decay=0.99)
    model = make()
    average, optimizer = WeightAverage(model, wanted), build_optimizer(model, wanted)

    def go_on(one: WeightAverage, seeds: range) -> None:
        for seed in seeds:
            take_step(model, optimizer, seed)
            one.update()
            one.snapshot()

    go_on(average, range(3))
    restored = WeightAverage(model, wanted)
    restored.load({**average.tensors(), "optimizer.step.x": torch.zeros(())}, average.state())
    assert equal(restored.tensors(), average.tensors())
    assert all(a.data_ptr() != b.data_ptr() for a, b in zip(restored.tensors().values(), average.tensors().values(), strict=True))
    before = {k: v.clone() for k, v in average.tensors().items()}
    for seed in range(3, 6):
        take_step(model, optimizer, seed)
        for one in (average, restored):
            one.update()
            one.snapshot()
    assert equal(restored.tensors(), average.tensors())
    assert kind == "none" or not equal(before, average.tensors())


def test_an_average_of_another_kind_or_shape_is_refused() -> None:
    model = make()
    average = WeightAverage(model, settings(averaging="ema"))
    average.update()
    with pytest.raises(ModelError, match="averaging"):
        WeightAverage(model, settings(averaging="last")).load(average.tensors(), average.state())
    tensors = average.tensors()
    del tensors["average.0.norm.bias"]
    with pytest.raises(ModelError, match=r"norm\.bias is missing"):
        WeightAverage(model, settings(averaging="ema")).load(tensors, average.state())
    with pytest.raises(ModelError, match=r"shape \[2\]"):
        WeightAverage(model, settings(averaging="ema")).load({**tensors, "average.0.norm.bias": torch.zeros(2)}, average.state())


def test_nothing_is_averaged_before_the_first_update() -> None:
    model = make()
    own = copied(model)
    for kind in ("ema", "last"):
        average = WeightAverage(model, settings(averaging=kind))
        with average.average(model):
            assert equal(copied(model), own)
        assert average.tensors() == {}
