"""Everything that changes while training, and how it goes into a checkpoint and comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from headway.config import Config
from headway.data.batches import Batch, Place
from headway.model.transformer import Transformer
from headway.tasks import TASKS
from headway.training.losses import TokenLoss
from headway.training.optimizer import WeightAverage, load_optimizer_tensors, optimizer_tensors
from headway.training.parallel import World


class LossOf(nn.Module):
    """Batch → loss, so that DDP sees one forward with every parameter in it."""

    def __init__(self, model: Transformer, config: Config) -> None:
        super().__init__()
        self.model, self.config, self.task = model, config, TASKS[config.task]

    def forward(self, batch: Batch) -> TokenLoss:
        return self.task.loss(self.model, batch, self.config)


@dataclass
class TrainState:
    """Everything that changes while training."""

    config: Config
    world: World
    model: Transformer
    loss_of: nn.Module  # LossOf, perhaps wrapped for several ranks
    optimizer: torch.optim.Optimizer
    average: WeightAverage
    update: int = 0  # updates done
    place: Place = field(default_factory=lambda: Place(0, 0))  # what comes next
    target_tokens: int = 0  # learned from so far
    validation_is_due: bool = False  # after the last update done
    best_score: list[float] | None = None  # what is compared first stands first
    validations_without_gain: int = 0
    bad_updates: int = 0  # non-finite ones in a row
    unlogged_tokens: int = 0  # learned from since the last line of metrics.jsonl
    unlogged_loss: float = 0.0  # their sum, in nats
    precision: str = "fp32"
    tokenizers: str = ""  # their digest
    corpus: str = ""  # fingerprint of the training data
    validation: str = ""  # and of the validation data
    inherited: dict[str, Any] | None = None  # of model.start_from: `Inherited.as_json`

    NUMBERS = (
        "update", "target_tokens", "validation_is_due", "best_score", "validations_without_gain", "bad_updates",
        "unlogged_tokens", "unlogged_loss", "precision", "tokenizers", "corpus", "validation",
    )  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        return {**optimizer_tensors(self.model, self.optimizer), **self.average.tensors()}

    def as_json(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in self.NUMBERS},
            "place": [self.place.epoch, self.place.index],
            "average": self.average.state(),
            "inherited": self.inherited,
            "world_size": self.world.size,
        }

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        load_optimizer_tensors(self.model, self.optimizer, tensors)
        self.average.load(tensors, state["average"])
        self.place = Place(*state["place"])
        for name in self.NUMBERS:
            setattr(self, name, state.get(name, getattr(self, name)))  # checkpoints of older versions have fewer
