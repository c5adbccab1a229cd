"""Decoding again, written another way: plain Python over `forward` without a cache, one hypothesis at a time, in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from headway.config import DecodingConfig
from headway.model.transformer import Transformer

BOS, EOS = 0, 1


@dataclass(frozen=True)
class Found:
    ids: tuple[int, ...]
    score: float


class Scorer:
    """log p(next token | source, tokens so far) of one sentence in float64, remembered."""

    def __init__(self, model: Transformer, source: list[int] | None) -> None:
        self.model = copy.deepcopy(model).double().eval()
        self.model.compute_dtype = torch.float64
        self.source = source
        self.known: dict[tuple[int, ...], list[float]] = {}

    @torch.no_grad()
    def __call__(self, ids: tuple[int, ...]) -> list[float]:
        if ids not in self.known:
            target = torch.tensor([[BOS, *ids]])
            memory: Tensor | None = None
            mask: Tensor | None = None
            if self.source is not None:
                source = torch.tensor([self.source])
                mask = torch.ones_like(source, dtype=torch.bool)
                memory = self.model.encode(source, mask)
            hidden = self.model.decode(target, memory, mask)
            self.known[ids] = self.model.logits(hidden)[0, -1].log_softmax(-1).tolist()
        return self.known[ids]


def allowed(ids: tuple[int, ...], prefix: tuple[int, ...], limit: int, options: DecodingConfig, vocabulary: int) -> list[int]:
    """Tokens that may follow, by the rules of the documentation."""
    if len(ids) < len(prefix):
        return [prefix[len(ids)]]
    length = len(ids) - len(prefix)
    if length >= limit:
        return [EOS]
    n = options.no_repeat_ngram
    seen = {ids[i : i + n] for i in range(len(ids) - n + 1)} if n else set()
    words = [v for v in range(vocabulary) if v not in (BOS, EOS) and not (n and (*ids[len(ids) - n + 1 :], v)[-n:] in seen)]
    if length < options.minimum_length and words:
        return words
    return [*words, EOS]


def all_hypotheses(
    scorer: Callable[[tuple[int, ...]], list[float]],
    prefix: tuple[int, ...],
    limit: int,
    options: DecodingConfig,
    vocabulary: int,
) -> list[Found]:
    """Every sentence there is, best first."""
    found: list[Found] = []

    def walk(ids: tuple[int, ...], total: float) -> None:
        for token in allowed(ids, prefix, limit, options, vocabulary):
            after = total + (0.0 if len(ids) < len(prefix) else scorer(ids)[token])
            if token == EOS and len(ids) >= len(prefix):
                found.append(Found(ids, after / (len(ids) - len(prefix) + 1) ** options.length_penalty))
            else:
                walk((*ids, token), after)

    walk((), 0.0)
    return sorted(found, key=lambda hypothesis: -hypothesis.score)


def slow_beam(
    scorer: Callable[[tuple[int, ...]], list[float]],
    prefix: tuple[int, ...],
    limit: int,
    options: DecodingConfig,
    vocabulary: int,
) -> list[Found]:
    """Beam search as the documentation tells it."""
    alive: list[tuple[float, tuple[int, ...]]] = [(0.0, prefix)]
    finished: list[Found] = []
    while alive:
        ranked = []
        for total, ids in alive:
            for token in allowed(ids, prefix, limit, options, vocabulary):
                ranked.append((total + scorer(ids)[token], ids, token))
        ranked.sort(key=lambda candidate: -candidate[0])
        for total, ids, token in ranked[: options.beam_size]:
            if token == EOS and not (options.early_stopping and len(finished) == options.beam_size):
                finished.append(Found(ids, total / (len(ids) - len(prefix) + 1) ** options.length_penalty))
        alive = [(total, (*ids, token)) for total, ids, token in ranked if token != EOS][: options.beam_size]
        finished.sort(key=lambda hypothesis: -hypothesis.score)
        if options.early_stopping and len(finished) == options.beam_size:
            break
        if alive and len(finished) >= options.n_best:
            bound = alive[0][0] / (limit + 1) ** options.length_penalty
            if bound <= finished[options.n_best - 1].score:
                break
    return finished[: options.n_best]
