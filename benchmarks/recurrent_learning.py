"""Both models of recurrent.py and how they learn: everything but the model is Headway's own, and the same for both."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from headway.config import Config, load_config
from headway.data.batches import Batch
from headway.model.transformer import Transformer
from headway.training.loop import train_step
from headway.training.optimizer import WeightAverage, build_optimizer
from headway.training.parallel import World, choose_device
from headway.training.state import LossOf, TrainState
from lstm import of_equal_size

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "multi30k.yaml"
LSTM = "lstm"  # every other system is named by the Transformer's positions
LOOKS = 8  # at a training, evenly over its budget
# The example's short recipe (its fourth line); R-Drop would let every pair go through the model twice.
RECIPE = {"training__r_drop": 0, "model__dropout": 0.2, "training__warmup_updates": 300, "training__tensorboard": "false"}


def configuration(options: argparse.Namespace, **overrides: object) -> Config:
    """The example's, with its short recipe and in float32; `__` stands for the dot of a key."""
    common = {
        "run_directory": options.work / "unused",
        "model__preset": options.preset,
        "training__threads": options.threads,
        "training__device": options.device,
        "training__precision": "fp32",
    }
    values = {**common, **RECIPE, **overrides}
    return load_config(EXAMPLE, [f"{key.replace('__', '.')}={value}" for key, value in values.items()])


def build(system: str, config: Config, vocabulary_size: int) -> nn.Module:
    """The Transformer of these positions, or the recurrent model that is as large as the configuration's."""
    chosen = {} if system == LSTM else {"positions": system}
    model = Transformer(config.model.model_copy(update=chosen), vocabulary_size, vocabulary_size, seed=config.training.seed)
    return of_equal_size(model, vocabulary_size, seed=config.training.seed) if system == LSTM else model


def start(model: nn.Module, config: Config) -> TrainState:
    world = World(device=choose_device(config.training))
    model.to(world.device).train()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer = build_optimizer(model, config.training)
    return TrainState(config, world, model, LossOf(model, config), optimizer, WeightAverage(model, config.training))


@dataclass(frozen=True)
class Budget:
    """What a training may use: updates, or seconds of learning."""

    updates: int | None = None
    seconds: float | None = None

    def share(self, updates: int, seconds: float) -> float:
        return updates / self.updates if self.updates else seconds / (self.seconds or 1.0)


def learn(
    state: TrainState, batches: Iterator[Batch], budget: Budget, look: Callable[[float], None], *, looks: int = LOOKS
) -> float:
    """Trains until the budget is used up; returns the seconds of it, reading included, looking not.

    Under a budget of time the learning rate falls by the clock: before each update the schedule is told the number of
    updates that the pace so far will give. `look` is called with the seconds so far, `looks` times, last at the end.
    """
    seconds, looked = 0.0, 0
    while (share := budget.share(state.update, seconds)) < 1:
        begun = time.perf_counter()
        planned = max(state.update + 1, round(state.update / share)) if share else state.config.training.updates
        training = state.config.training.model_copy(update={"updates": planned})
        state.config = state.config.model_copy(update={"training": training})
        train_step(state, [next(batches)])
        state.update += 1
        seconds += time.perf_counter() - begun
        if (due := int(budget.share(state.update, seconds) * looks)) > looked:
            looked = due
            look(seconds)
    return seconds
