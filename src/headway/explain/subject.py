"""What is explained: one input, the answer that the model gave, and a way to ask how sure it is of that answer.

    B rows   S source tokens   T target tokens   N outputs   C choices for each output   D width

Every explanation asks the model through `Subject.scores`, which calls the model's own `encode` and `decode`: of the ids, or
of their vectors, some of which may be taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from headway.explain.search import SearchTree
from headway.explain.seen import Seen
from headway.explain.sides import Side
from headway.model.embeddings import TextEmbedding
from headway.model.media_embeddings import MediaEmbedding
from headway.model.transformer import Transformer


@dataclass(frozen=True)
class Output:
    """One thing that the model said: a token, a label, a tag, an end of a span."""

    text: str
    choice: int  # its number among the choices
    place: int | None  # the token that it is said at, of what the decoder reads, or the encoder where there is no decoder
    score: float | None  # by the model as it answers; None where the answer has no such score
    given: bool = False  # it stood in the prompt


@dataclass(frozen=True)
class Subject:
    """An input with its answer, to be looked into.

    Attributes:
        answer: as `predict` gives it.
        source: what the encoder reads; None without one.
        target: what the decoder reads, its start included; None without one.
        read_out: final states [B, S or T, D] → scores of every choice, [B, N, C], before the softmax.
        name_of: what a choice is called.
        scale: whether a choice is scored by its log-probability or by the figure itself (a number, a similarity).
        search: searches by beams once more and gives the tree; None where the answer was not found so.
        seen: what stands behind the first positions of the source, for people; None of text.
    """

    task: str
    model: Transformer
    text: str
    answer: str
    source: Side | None
    target: Side | None
    outputs: list[Output]
    read_out: Callable[[Tensor], Tensor]
    name_of: Callable[[int], str]
    scale: Literal["log_probability", "value"] = "log_probability"
    search: Callable[[], SearchTree] | None = None
    seen: Seen | None = None

    @property
    def queries(self) -> Side:
        """What the outputs are said at."""
        side = self.target or self.source
        assert side is not None
        return side

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def ids(self) -> tuple[Tensor | None, Tensor | None]:
        """Source and target as the model reads them, [1, S] and [1, T]; of media the numbers of its positions."""
        sides = (self.source, self.target)
        source, target = (torch.tensor([side.ids], device=self.device) if side else None for side in sides)
        return source, target

    def vectors(self) -> tuple[Tensor | None, Tensor | None]:
        """The embeddings of source and target, [1, S, D] and [1, T, D], before positions are added; of media with places."""
        source, target = self.ids()
        embeddings = (self.model.source_embedding, self.model.target_embedding)
        found: list[Tensor | None] = []
        for ids, side, embedding in zip((source, target), (self.source, self.target), embeddings, strict=True):
            if ids is None or side is None or embedding is None:
                found.append(None)
            elif isinstance(embedding, MediaEmbedding):
                found.append(self.embedded(side.as_read(self.device)))
            else:
                found.append(embedding.tokens(ids).detach())
        return found[0], found[1]

    @torch.no_grad()
    def embedded(self, positions_BSF: Tensor) -> Tensor:
        """What the encoder makes of positions of media before its first layer, [B, S, D]."""
        assert self.model.source_embedding is not None
        order_S = torch.arange(positions_BSF.shape[1], device=positions_BSF.device)
        return self.model.source_embedding(positions_BSF, order_S, self.model.compute_dtype)  # type: ignore[no-any-return]

    def memory(self, source: Tensor) -> Tensor:
        """The encoder's states [B, S, D] of ids [B, S] or vectors [B, S, D]."""
        mask = torch.ones(source.shape[:2], dtype=torch.bool, device=source.device)
        embedding = self.model.source_embedding
        if not source.is_floating_point() and not isinstance(embedding, MediaEmbedding):
            return self.model.encode(source, mask)
        return self.model.encode_vectors(self._embedded_vectors(source), mask)

    def _embedded_vectors(self, source: Tensor) -> Tensor:
        """What enters the first layer of the encoder, [B, S, D], of vectors [B, S, D], or of numbers of media [B, S]."""
        embedding = self.model.source_embedding
        if not isinstance(embedding, TextEmbedding):
            return source if source.is_floating_point() else self._looked_up(source)
        assert self.source is not None
        order_S = torch.arange(source.shape[1], device=source.device)
        types_1S = embedding.types_of(self.source.as_read(source.device))  # vectors do not tell which text they are of
        return embedding(source, order_S, self.model.compute_dtype, types_1S)  # type: ignore[no-any-return]

    def _looked_up(self, numbers_BS: Tensor) -> Tensor:
        assert self.source is not None
        return self.embedded(self.source.as_read(self.device)[0][numbers_BS])

    def states(self, source: Tensor | None, target: Tensor | None) -> Tensor:
        """Final states [B, S or T, D] of ids [B, S] or vectors [B, S, D]."""
        memory = self.memory(source) if source is not None else None
        if target is not None:
            mask = torch.ones(memory.shape[:2], dtype=torch.bool, device=memory.device) if memory is not None else None
            return self.model.decode(target, memory, mask)
        assert memory is not None
        return memory

    def logits(self, source: Tensor | None, target: Tensor | None) -> Tensor:
        """Scores of every choice of every output, [B, N, C] float32."""
        return self.read_out(self.states(source, target)).float()

    def scores(self, source: Tensor | None, target: Tensor | None) -> Tensor:
        """How sure the model is of each output, [B, N]: its log-probability, or the figure itself."""
        logits_BNC = self.logits(source, target)
        scaled = logits_BNC.log_softmax(-1) if self.scale == "log_probability" else logits_BNC
        chosen_N1 = torch.tensor([output.choice for output in self.outputs], device=scaled.device)[:, None]
        return scaled.gather(2, chosen_N1.expand(len(scaled), -1, -1)).squeeze(2)

    @contextmanager
    def layer_states(self) -> Iterator[list[Tensor]]:
        """While open, what comes out of each layer of the stack that answers is kept, [B, S or T, D]."""
        found: list[Tensor] = []
        layers = self.model.decoder if self.target else self.model.encoder
        hooks = [layer.register_forward_hook(lambda _module, _inputs, states: found.append(states)) for layer in layers]
        try:
            yield found
        finally:
            for hook in hooks:
                hook.remove()
