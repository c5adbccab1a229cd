"""Which sources are decoded together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

from headway.config import DecodingConfig

MOST_QUERIES = 320  # sentences × beams decoded at a time: of more, logits and caches outgrow the processor's own memory
SMALLEST_SHARE = 8  # sentences: fewer are translated as fast by one worker


class _WithIds(Protocol):
    @property
    def ids(self) -> Any: ...


S = TypeVar("S", bound=_WithIds)


def in_batches(sources: list[S], options: DecodingConfig, workers: int) -> Iterator[list[S]]:
    """Sources of like length together, the longest first, at most `batch_tokens` padded tokens and `MOST_QUERIES` a batch.

    What fits in one batch is shared among the workers, if each gets enough to be worth it.
    """
    queries = {"beam": options.beam_size, "sample": options.n_best}.get(options.method, 1)
    most_rows = max(1, min(MOST_QUERIES // queries, max(SMALLEST_SHARE, -(-len(sources) // workers))))
    batch: list[S] = []
    for source in sorted(sources, key=lambda source: -len(source.ids)):
        if batch and (len(batch) == most_rows or (len(batch) + 1) * (len(batch[0].ids) + 1) > options.batch_tokens):
            yield batch
            batch = []
        batch.append(source)
    if batch:
        yield batch
