"""Which heads matter: what a model loses on a sample of its data when the output of one head is zero (Michel et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.config import Config, Split
from headway.data.batches import Epoch
from headway.data.media_preparation import MediaPreparation
from headway.data.preparation import MemoryRows
from headway.data.tagged import in_scheme
from headway.errors import DataError, UsageError
from headway.evaluation.intervals import bootstrap_interval
from headway.model.layers import Attention
from headway.model.transformer import Transformer
from headway.model_dir import LoadedModel
from headway.tasks import TASKS

EXAMPLES = 256  # of the sample
GROUPS = 64  # at least, that the sample is cut into where it can be: what intervals are drawn from
LAYERS = {"encoder": "encoder", "decoder": "decoder", "self_attention": "self", "cross_attention": "cross"}


@dataclass(frozen=True)
class HeadImportance:
    """What the loss of a token or an answer rises by without this head; with its 95 % interval over the sample."""

    attention: str  # such as decoder.3.cross_attention
    head: int  # from 0
    rise: float
    low: float
    high: float

    @property
    def name(self) -> str:
        stack, layer, kind = self.attention.split(".")
        return f"{stack} {int(layer) + 1}, {LAYERS[kind]}, head {self.head + 1}"


@dataclass(frozen=True)
class HeadReport:
    """All heads, those that matter most first, and the loss with all of them."""

    heads: list[HeadImportance]
    loss: float
    unit: str
    examples: int
    split: str


def important_heads(
    loaded: LoadedModel,
    *,
    split: Split = "validation",
    examples: int = EXAMPLES,
    done: Callable[[int, int], None] = lambda _done, _of: None,
) -> HeadReport:
    """Tries the model without each of its heads on the first examples of a data set.

    Args:
        done: is told how many heads were tried, of how many.

    Raises:
        DataError: the data is gone or has no examples.
        UsageError: the task has no loss of single examples.
    """
    config, model = loaded.config, loaded.model.eval()
    if config.task == "sentence_embedding":
        problem = "tells vectors apart within a batch, so that its loss is of no single example"
        raise UsageError(problem, where=str(loaded.directory), remedy="explain a run of another task")
    updates, count = _sample(loaded, split, examples)
    whole_G2 = _losses(model, updates, config)
    attentions = {name: module for name, module in model.named_modules() if isinstance(module, Attention)}
    found, every = [], sum(module.heads for module in attentions.values())
    for name, module in attentions.items():
        for head in range(module.heads):
            with without_head(module, head):
                bare_G2 = _losses(model, updates, config)
            found.append(_importance(name, head, whole_G2, bare_G2))
            done(len(found), every)
    sums = whole_G2.sum(0)
    return HeadReport(sorted(found, key=lambda one: -one.rise), float(sums[0] / sums[1]), _unit(loaded), count, split)


def _unit(loaded: LoadedModel) -> str:
    labels = loaded.tokenizers.labels
    return "half the squared error" if labels is not None and labels.kind == "number" else "nats"


@contextmanager
def without_head(attention: Attention, head: int) -> Iterator[None]:
    """While open, the output of one head is zero."""
    width = attention.head_width

    def silence(_module: Any, inputs: tuple[Tensor]) -> tuple[Tensor]:
        heads_BTD = inputs[0].clone()
        heads_BTD[..., head * width : (head + 1) * width] = 0
        return (heads_BTD,)

    hook = attention.output.register_forward_pre_hook(silence)
    try:
        yield
    finally:
        hook.remove()


def _sample(loaded: LoadedModel, split: Split, examples: int) -> tuple[Epoch, int]:
    """The first examples of a set, each part in its own direction, as small updates; and how many there are."""
    config, tokenizers, found = loaded.config, loaded.tokenizers, []
    data, count = in_scheme(config.data, tokenizers.labels), 0
    for part in config.data.parts(split):
        preparation = TASKS[config.task].preparation(tokenizers, config.in_direction(part.direction))
        some = list(islice(preparation.read(part, data), examples - count))
        found.append(preparation.rows_of_all(some))
        count += len(some)
    if not count:
        raise DataError(f"the {split} set holds no example", where=f"data.{split}", remedy="choose another with --split")
    rows = found[0] if len(found) == 1 else MemoryRows.joined(found)
    measured = preparation.measure(rows) if isinstance(preparation, MediaPreparation) else rows
    tokens = int(measured.source_lengths.sum() + measured.target_lengths.sum())
    return preparation.updates(rows, max(32, tokens // GROUPS), 0, None), count


@torch.inference_mode()
def _losses(model: Transformer, updates: Epoch, config: Config) -> NDArray[np.float64]:
    """Of each group the negative log-likelihood and the number of tokens or answers, [G, 2]."""
    device, loss = next(model.parameters()).device, TASKS[config.task].loss
    found = []
    for index in range(len(updates)):
        batch = updates.batch(index).to(device)
        counted = loss(model, batch, config)
        found.append((float(counted.negative_log_likelihood), float(counted.tokens)))
    return np.array(found)


def _importance(name: str, head: int, whole_G2: NDArray[np.float64], bare_G2: NDArray[np.float64]) -> HeadImportance:
    rises_G2 = np.stack((bare_G2[:, 0] - whole_G2[:, 0], whole_G2[:, 1]), 1)
    interval = bootstrap_interval(rises_G2, lambda sums: sums[..., 0] / sums[..., 1])
    return HeadImportance(name, head, interval.score, interval.low, interval.high)
