"""Two little models that have learned something, so that their sentences end where they should."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F

from headway.config import ModelConfig
from headway.model.transformer import Transformer

VOCABULARY, BOS, EOS, TURN = 40, 0, 1, 2


def example(rng: random.Random) -> tuple[list[int], list[int]]:
    """A sentence, and the same backwards with now and then another word."""
    source = [rng.randrange(3, VOCABULARY) for _ in range(rng.randint(1, 10))]
    return source, [token if rng.random() < 0.8 else 3 + token * 7 % 37 for token in reversed(source)]


def learn(encoder_layers: int, updates: int) -> Transformer:
    torch.set_num_threads(1)
    config = ModelConfig(
        preset=None, encoder_layers=encoder_layers, decoder_layers=2, width=32, feed_forward_width=64, heads=4, dropout=0.0
    )
    model, rng = Transformer(config, VOCABULARY, VOCABULARY), random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(updates):
        pairs = [example(rng) for _ in range(64)]
        if not encoder_layers:
            pairs = [([], [*source, TURN, *target]) for source, target in pairs]
        sources = torch.tensor([source + [BOS] * (10 - len(source)) for source, _ in pairs])
        ids = torch.tensor([[BOS, *target, EOS] + [-100] * (24 - len(target)) for _, target in pairs])
        mask = sources != BOS
        memory = model.encode(sources, mask) if encoder_layers else None
        hidden = model.decode(ids[:, :-1].clamp(min=0), memory, mask if encoder_layers else None)
        loss = F.cross_entropy(model.logits(hidden).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()
