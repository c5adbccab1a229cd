"""What may be said next: by forced prefix, length, repetition, forbidden ids and texts. Letters as in `decoding.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from headway.config import DecodingConfig
from headway.inference.demands import Demand
from headway.inference.forbidden import Forbidden
from headway.inference.hypothesis import Hypothesis

NEVER = float("-inf")


@dataclass(eq=False)
class Sentence:
    """One answer that is looked for: what it must begin with, how long it may get, and what was found so far.

    Attributes:
        limit: tokens that it may add to its prefix.
        draws: what its samples are drawn with.
        begun: tokens of the histories in its batch that stand before its first; they are padding.
        forbidden: texts that it must not have. demand: phrases that it must have.
    """

    prefix: list[int]
    limit: int
    draws: np.random.Generator | None = None
    begun: int = 0
    found: list[Hypothesis] = field(default_factory=list)
    forbidden: Forbidden | None = None
    demand: Demand | None = None


class Constraints:
    """What may be said next, by forced prefix, length, repetition, forbidden ids and texts."""

    def __init__(
        self,
        options: DecodingConfig,
        eos_id: int,
        forbidden: tuple[Sequence[int], Sequence[int]],
    ) -> None:
        """`forbidden`: ids that are never said, and those that are not said first."""
        self.options, self.eos_id = options, eos_id
        self.forbidden_ids, self.forbidden_first = (torch.tensor(ids, dtype=torch.long) for ids in forbidden)
        self.may_get_stuck = options.minimum_length > 0 or options.no_repeat_ngram > 0

    def apply(self, logits_BKV: Tensor, normaliser_BK: Tensor, ids_BKT: Tensor, sentences: list[Sentence]) -> None:
        """Sets what may not follow `ids_BKT` to -∞, in place. Row b belongs to sentence `sentences[b]`."""
        T, eos = ids_BKT.shape[2], self.eos_id
        lengths = [T - sentence.begun - len(sentence.prefix) for sentence in sentences]
        end_BK = logits_BKV[..., eos].clone()
        logits_BKV.index_fill_(2, self.forbidden_ids.to(logits_BKV.device), NEVER)
        if len(self.forbidden_first) and (begun := [row for row, length in enumerate(lengths) if length == 0]):
            logits_BKV[begun] = logits_BKV[begun].index_fill(2, self.forbidden_first.to(logits_BKV.device), NEVER)
        if barred := [row for row, sentence in enumerate(sentences) if sentence.forbidden is not None]:
            self._forbid_texts(logits_BKV, ids_BKT, sentences, barred)
        if self.options.no_repeat_ngram:
            self._forbid_repeats(logits_BKV, ids_BKT)
        if short := [row for row, length in enumerate(lengths) if length < self.options.minimum_length]:
            logits_BKV[short, :, eos] = NEVER
        if full := [row for row, length in enumerate(lengths) if length >= sentences[row].limit]:
            logits_BKV[full] = NEVER
            logits_BKV[full, :, eos] = end_BK[full]
        if self.may_get_stuck or barred:  # where nothing is left to say, the sentence ends
            stuck_BK = logits_BKV.amax(-1) == NEVER
            logits_BKV[..., eos] = torch.where(stuck_BK, end_BK, logits_BKV[..., eos])
        if forced := [row for row, length in enumerate(lengths) if length < 0]:
            tokens = [sentences[row].prefix[T - sentences[row].begun] for row in forced]
            logits_BKV[forced] = NEVER
            logits_BKV[forced, :, tokens] = normaliser_BK[forced]

    def _forbid_texts(self, logits_BKV: Tensor, ids_BKT: Tensor, sentences: list[Sentence], rows: list[int]) -> None:
        for row in rows:
            sentence = sentences[row]
            assert sentence.forbidden is not None
            for query, ids in enumerate(ids_BKT[row, : logits_BKV.shape[1], sentence.begun :].tolist()):
                logits_BKV[row, query, sentence.forbidden.after(ids).to(logits_BKV.device)] = NEVER

    def _forbid_repeats(self, logits_BKV: Tensor, ids_BKT: Tensor) -> None:
        n, T = self.options.no_repeat_ngram, ids_BKT.shape[2]
        if n > T:
            return
        windows_BKWn = ids_BKT.unfold(2, n, 1)
        repeated_BKW = (windows_BKWn[..., : n - 1] == ids_BKT[:, :, None, T - n + 1 :]).all(-1)
        repeated_BKW &= windows_BKWn[..., -1] >= 0  # what stands before a sentence that came later is none of its tokens
        row, query, window = repeated_BKW.nonzero(as_tuple=True)
        logits_BKV[row, query, windows_BKWn[row, query, window, n - 1]] = NEVER
