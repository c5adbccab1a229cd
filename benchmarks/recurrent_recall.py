"""Exact recall, a made task: keys with their values stand somewhere in a long text, and after it a key is asked for.

    other … key value key value … other … key → value

The key stands exactly `distance` tokens before the place where it is asked for. Which of the pairs is asked for, and with it
where they stand, is drawn by chance, as is every token, anew for each text: nothing can be learned by heart. The text is what
the encoder reads ("source": the decoder has to ask for it), or what the decoder itself has said so far ("target": the encoder
reads nothing, and a recurrent decoder has only its state). A text to learn from asks for all keys, one after the other, each
followed by its value: the first stands at the distance, the others near it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from headway.data.batches import IGNORED, Batch
from headway.data.tokenizer import BOS_ID, EOS_ID

PAIRS = 8
KINDS = 64  # of keys, of values and of other tokens
FIRST_KEY, FIRST_VALUE, FIRST_OTHER, VOCABULARY = (4 + KINDS * kind for kind in range(4))
SHORTEST = 2 * PAIRS
Place = Literal["source", "target"]


def length(distance: int) -> int:
    """Tokens of a text with one question."""
    return distance + 2 * PAIRS - 1


def questions(distance: int, count: int, place: Place, chance: np.random.Generator, asked: int = 1) -> Batch:
    """`count` texts with the answers to `asked` questions. Raises ValueError where the pairs do not fit before the question."""
    if distance < SHORTEST:
        raise ValueError(f"{PAIRS} pairs need a distance of {SHORTEST} or more, not {distance}")
    rows, pairs = np.arange(count)[:, None], np.arange(PAIRS)
    keys = chance.permuted(np.tile(np.arange(KINDS), (count, 1)), axis=1)[:, :PAIRS] + FIRST_KEY
    values = chance.integers(KINDS, size=(count, PAIRS)) + FIRST_VALUE
    order = chance.permuted(np.tile(pairs, (count, 1)), axis=1)[:, :asked]
    texts = chance.integers(KINDS, size=(count, length(distance) - 1)) + FIRST_OTHER
    places = 2 * (PAIRS - 1 - order[:, :1] + pairs)
    texts[rows, places], texts[rows, places + 1] = keys, values
    return _batch(texts, keys[rows, order], values[rows, order], place)


def _batch(texts_BL: np.ndarray, keys_BQ: np.ndarray, answers_BQ: np.ndarray, place: Place) -> Batch:
    texts, keys, answers = map(torch.from_numpy, (texts_BL, keys_BQ, answers_BQ))
    start, end = torch.full_like(keys[:, :1], BOS_ID), torch.full_like(keys[:, :1], EOS_ID)
    asking = torch.stack((keys, answers), 2).flatten(1)[:, :-1]  # after the last question nothing is read
    source, read = (texts, torch.cat((start, asking), 1)) if place == "source" else (end, torch.cat((start, texts, asking), 1))
    wanted = torch.full_like(read, IGNORED)
    wanted[:, -asking.shape[1] :: 2] = answers
    return Batch(source, torch.ones_like(source, dtype=torch.bool), read, wanted, torch.arange(len(texts)))


@torch.no_grad()
def right_answers(model: torch.nn.Module, batch: Batch) -> int:
    """How many of the questions the model answers exactly."""
    hidden_BTD = model(batch.source_ids, batch.source_mask, batch.target_in)
    return int((model.logits(hidden_BTD[:, -1]).argmax(-1) == batch.target_out[:, -1]).sum())
