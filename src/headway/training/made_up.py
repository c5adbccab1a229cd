"""Batches of nothing in particular, of the sizes that a configuration asks for: to see what training will cost."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from headway.config import OF_MEDIA, Config
from headway.config_media import MEDIA, PLACES, TEXT
from headway.data.batches import Batch
from headway.tasks import TASKS, embedding, label, span
from headway.training.losses import IGNORED, TokenLoss
from headway.training.state import TrainState

MOST_TEXT = 32  # tokens of it beside a file


def least_outputs(config: Config) -> int:
    """Outputs of the head, where the labels are not known yet."""
    task = TASKS[config.task]
    return task.outputs or (2 if task.labels else 0)


def made_up(state: TrainState, pairs: int, source_length: float, target_length: float) -> Batch:
    """Random sentences of one length, end-of-sentence included; or noise in place of files, of so many positions."""
    generator = torch.Generator().manual_seed(0)
    if state.config.media.one_length:
        source_length = state.config.media.positions - 1
    shapes = [(pairs, max(1, round(length)) + 1) for length in (source_length, target_length)]
    sizes = [_vocabulary(embedding) for embedding in (state.model.source_embedding, state.model.target_embedding)]
    source, target = (torch.randint(4, max(5, V), shape, generator=generator) for shape, V in zip(shapes, sizes, strict=True))
    nothing, wanted = source[:, :0], target
    loss = TASKS[state.config.task].loss
    if loss is embedding.loss:
        wanted = torch.arange(pairs)[:, None].repeat(1, 2)  # no text comes twice
    elif not state.model.decoder:
        hidden = torch.rand(source.shape, generator=generator) < state.config.noise.rate
        numbers = torch.zeros_like(source)
        labels = least_outputs(state.config) if state.config.data.labels == "several" else 1
        by_loss: dict[Callable[..., TokenLoss], Tensor] = {
            label.loss: numbers.new_zeros(pairs, labels),
            span.loss: numbers[:, :2],
            label.tag_loss: numbers,
        }
        wanted = by_loss.get(loss, torch.where(hidden, source, torch.full_like(source, IGNORED)))
        target = nothing
    source = source if state.model.encoder else nothing
    mask = torch.ones_like(source, dtype=torch.bool)
    if state.config.task in OF_MEDIA:
        source = _made_up_media(source, state.config, generator)
    return Batch(source, mask, target, wanted, torch.arange(pairs))


def _vocabulary(embedding: torch.nn.Module | None) -> int:
    """Pieces that it knows; the fewest where it reads none."""
    tokens = getattr(embedding, "tokens", None)
    return tokens.num_embeddings if isinstance(tokens, torch.nn.Embedding) else 5


def _made_up_media(ids_BS: Tensor, config: Config, generator: torch.Generator) -> Tensor:
    """Positions [B, S, F] of noise, on a square grid of one time; the ids at the end where a text is read beside a file."""
    B, S = ids_BS.shape
    side = max(1, round(S**0.5))
    source_BSF = torch.rand(B, S, config.media.features, generator=generator) * 2 - 1
    order_S = torch.arange(S)
    steps_S = order_S if config.media.hears else torch.zeros(S)
    source_BSF[..., :PLACES] = torch.stack((torch.full((S,), MEDIA), steps_S, order_S // side, order_S % side), -1)
    if config.reads_text:
        text = min(S // 2, MOST_TEXT)
        source_BSF[:, -text:, 0] = TEXT
        source_BSF[:, -text:, 1], source_BSF[:, -text:, 2] = ids_BS[:, -text:].float(), order_S[:text].float()
    return source_BSF
