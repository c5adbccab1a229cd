"""What is asked of a model, grouped by the shape of the answer. `TASKS` is the whole list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headway.config import Config, TrainingConfig
from headway.data.batches import Batch, Epoch, Rows
from headway.data.pairs import PairPreparation
from headway.data.preparation import Preparation
from headway.data.texts import TextPreparation
from headway.tasks import pretraining, sequence
from headway.training.losses import TokenLoss


@dataclass(frozen=True)
class Task:
    """One kind of training.

    Attributes:
        preparation: how a corpus is read and becomes rows.
        epoch: rows, configuration, tokens of an update, number of the epoch (None: in order, for validation) → its updates.
        loss: the loss of a batch in the model.
        translates: whether the answer to a source is a text that is generated.
    """

    preparation: type[Preparation]
    epoch: Callable[[Rows, Config, int, int | None], Epoch]
    loss: Callable[[Any, Batch, TrainingConfig], TokenLoss]
    translates: bool = False


TASKS: dict[str, Task] = {
    "translation": Task(PairPreparation, sequence.bucketed_epoch, sequence.loss, translates=True),
    "language_model": Task(TextPreparation, pretraining.packed_epoch, pretraining.next_token_loss),
}
