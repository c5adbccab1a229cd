"""What a search answers, and the models of other engines that search by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from headway.config import DecodingConfig, ModelConfig


@dataclass(frozen=True)
class Hypothesis:
    """One answer: `ids` without start and end; `token_scores` of each of them and, last, of the end of sentence."""

    ids: list[int]
    score: float
    token_scores: list[float]

    def without(self, prefix: int) -> Hypothesis:
        """The same without the first so many tokens, which were given."""
        return Hypothesis(self.ids[prefix:], self.score, self.token_scores[prefix:]) if prefix else self


@dataclass(frozen=True)
class Wanted:
    """What a model of another engine is asked; see `decoding.generate`.

    Attributes:
        rows: sources without padding and without their end; None where prefixes are gone on from.
        limits: tokens that each answer may add to its prefix.
    """

    rows: Sequence[Sequence[int]] | None
    options: DecodingConfig
    prefixes: Sequence[Sequence[int]]
    limits: Sequence[int]
    forbidden_ids: Sequence[int] = ()
    forbidden_first: Sequence[int] = ()


class OwnSearch(nn.Module):
    """A model that another engine runs, which chooses its words itself: it has no steps to take here."""

    config: ModelConfig

    def search(self, wanted: Wanted) -> list[list[Hypothesis]]:
        """The `n_best` answers to each source or prefix, best first."""
        raise NotImplementedError


def without_padding(ids_BS: Tensor | None, mask_BS: Tensor | None) -> list[list[int]] | None:
    """The sources without their end, which the engines of others add."""
    if ids_BS is None or mask_BS is None:
        return None
    return [ids[: length - 1] for ids, length in zip(ids_BS.tolist(), mask_BS.sum(1).tolist(), strict=True)]
