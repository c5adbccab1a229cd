"""Tags out of the model: for each sentence the best sequence of tags in which every entity that begins also ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.data.batches import IGNORED
from headway.data.labels import Labels
from headway.data.preparation import MemoryRows, Preparation
from headway.data.tagged import Tagged
from headway.data.tags import OUTSIDE, Scheme, entities, may_follow, write_tags
from headway.inference.labelling import BATCH_TOKENS
from headway.model.transformer import Transformer
from headway.tasks import label

NEVER = -1e9


class FoundTags(NamedTuple):
    """The tags of the words of a sentence, in the scheme of the training data, and the probability of each by itself.

    Words that were cut off get no tag, ``O``, and have no probability.
    """

    tags: list[str]
    probabilities: list[float | None]


def tag_sentences(
    model: Transformer, sentences: Sequence[Tagged], preparation: Preparation, labels: Labels, temperature: float = 1.0
) -> list[FoundTags]:
    """The best tags of each sentence in which every entity that begins also ends."""
    # What the sentences are tagged with does not matter here, only where their words begin.
    known = OUTSIDE if OUTSIDE in labels.numbers else labels.names[0]
    rows = preparation.rows_of_all([one._replace(tags=(known,) * len(one.words)) for one in sentences])
    allowed = _allowed(labels)
    found: dict[int, FoundTags] = {}
    for row, logits_WL, _ in word_logits(model, rows, preparation):
        log_p_WL = (logits_WL / temperature).log_softmax(-1).double().numpy()
        path = best_path(log_p_WL, *allowed)
        cut_off = len(sentences[row].words) - len(path)
        tags = [labels.names[number] for number in path] + [known] * cut_off
        sure: list[float | None] = [*np.exp(log_p_WL[range(len(path)), path]).tolist(), *[None] * cut_off]
        found[row] = FoundTags(_in_scheme(tags, labels.scheme), sure)
    return [found[row] for row in range(len(sentences))]


@torch.inference_mode()
def word_logits(model: Transformer, rows: MemoryRows, preparation: Preparation) -> Iterator[tuple[int, Tensor, Tensor]]:
    """For each row its number, what the head makes of each word, [W, L] float32 on the CPU, and what the row says, [W]."""
    device = next(model.parameters()).device
    updates = preparation.updates(rows, BATCH_TOKENS, 0, None)
    for index in range(len(updates)):
        batch = updates.batch(index)
        logits_BSL = label.tag_logits(model, batch.source_ids.to(device), batch.source_mask.to(device)).cpu()
        begins_BS = batch.target_out != IGNORED
        for place, row in enumerate(batch.indices.tolist()):
            yield row, logits_BSL[place][begins_BS[place]], batch.target_out[place][begins_BS[place]]


def _in_scheme(tags: list[str], scheme: Scheme) -> list[str]:
    return tags if scheme == "plain" else write_tags(entities(tags, "bioes"), len(tags), scheme)


Allowed = tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]


def _allowed(labels: Labels) -> Allowed:
    """Which tags may follow each other [L, L], begin [L] and end [L]."""
    if labels.scheme == "plain":
        every = np.ones(labels.outputs, dtype=bool)
        return np.ones((labels.outputs, labels.outputs), dtype=bool), every, every
    names = labels.names
    follow = np.array([[may_follow(before, tag) for tag in names] for before in names])
    return follow, np.array([may_follow(None, tag) for tag in names]), np.array([may_follow(tag, None) for tag in names])


def best_path(
    scores_WL: NDArray[np.float64], follow_LL: NDArray[np.bool_], begin_L: NDArray[np.bool_], end_L: NDArray[np.bool_]
) -> list[int]:
    """The allowed sequence of W tags with the largest sum (Viterbi 1967)."""
    if not len(scores_WL):
        return []
    steps_LL = np.where(follow_LL, 0.0, NEVER)
    best_L = scores_WL[0] + np.where(begin_L, 0.0, NEVER)
    back = []
    for score_L in scores_WL[1:]:
        ways_LL = best_L[:, None] + steps_LL
        back.append(ways_LL.argmax(0))
        best_L = ways_LL.max(0) + score_L
    path = [int((best_L + np.where(end_L, 0.0, NEVER)).argmax())]
    for before_L in reversed(back):
        path.append(int(before_L[path[-1]]))
    return path[::-1]
