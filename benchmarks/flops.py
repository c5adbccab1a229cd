"""The arithmetic of one training step: 2·m·n·k of every matrix product of the forward pass, three times for a whole step.

Attention counts all T×T scores of the decoder although half of them are masked, as the products are done. Logits count only
where there is a target. Embedding look-ups, norms, softmax and the optimiser count nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from corpus import BATCH_TOKENS, Corpus
from peers import Size


@dataclass(frozen=True)
class Work:
    """FLOPs of one training epoch over its target tokens."""

    useful: float  # per target token, padding not counted
    executed: float  # per target token, with the padding of Headway's batches


def forward_flops(size: Size, vocabulary: int, source: int, target: int, predicted: int) -> int:
    """FLOPs of the forward pass of one sentence of `source` × `target` positions, `predicted` of them with a target."""
    width, inner = size.width, size.feed_forward
    feed_forward = 2 * width * inner
    encoder = source * (4 * width**2 + feed_forward) + 2 * source**2 * width
    decoder = target * (4 * width**2 + feed_forward) + 2 * target**2 * width  # self-attention and feed-forward
    decoder += target * 2 * width**2 + source * 2 * width**2 + 2 * target * source * width  # cross-attention
    return 2 * (size.layers * (encoder + decoder) + predicted * width * vocabulary)


def work(size: Size, corpus: Corpus) -> Work:
    """Both counts for the whole corpus in the batches of Headway's first epoch."""
    import numpy as np

    from headway.data.batches import EpochPlan

    lengths = np.array(corpus.lengths(), dtype=np.int64)
    plan = EpochPlan(lengths[:, 0] - 1, lengths[:, 1] - 1, BATCH_TOKENS, 1, 0)
    useful = sum(forward_flops(size, corpus.vocabulary_size, s, t, t) for s, t in lengths.tolist())
    executed = 0
    for update in range(len(plan)):
        rows = lengths[plan[update]]
        source, target = rows.max(axis=0).tolist()
        padded = forward_flops(size, corpus.vocabulary_size, source, target, 0) * len(rows)
        executed += padded + forward_flops(size, corpus.vocabulary_size, 0, 0, int(rows[:, 1].sum()))
    tokens = int(lengths[:, 1].sum())
    return Work(3 * useful / tokens, 3 * executed / tokens)


def padding(corpus: Corpus) -> float:
    """Share of the cells of Headway's first epoch, source and target together, that hold no token."""
    import numpy as np

    from headway.data.batches import EpochPlan, padding_share

    lengths = np.array(corpus.lengths(), dtype=np.int64)
    return padding_share(EpochPlan(lengths[:, 0] - 1, lengths[:, 1] - 1, BATCH_TOKENS, 1, 0))
