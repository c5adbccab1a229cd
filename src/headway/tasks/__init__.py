"""What is asked of a model, grouped by the shape of the answer. `TASKS` is the whole list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from headway.config import TrainingConfig
from headway.data.batches import Batch
from headway.tasks import sequence
from headway.training.losses import TokenLoss


@dataclass(frozen=True)
class Task:
    """One kind of training: the loss of a batch in the model."""

    loss: Callable[[nn.Module, Batch, TrainingConfig], TokenLoss]


TASKS: dict[str, Task] = {"translation": Task(loss=sequence.loss)}
