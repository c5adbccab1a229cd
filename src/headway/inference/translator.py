"""Ids in, hypotheses out: a model on its device, with what its search may and must say."""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from headway.config import DecodingConfig, ModelConfig, TrainingConfig
from headway.data.opening import target_opening
from headway.data.pairs import forbidden_first, forbidden_ids
from headway.data.tokenizer import BOS_ID, EOS_ID, PAD_ID
from headway.inference.conditions import Conditions
from headway.inference.constraints import Constraints, Sentence
from headway.inference.decoding import Decoding, answers_of, generate
from headway.inference.hypothesis import Hypothesis, OwnSearch
from headway.inference.precision import choose_inference_precision, prepare
from headway.model_dir import LoadedModel
from headway.training.parallel import choose_device

SOURCE_STEP = 16  # sources are padded to a multiple: then the kernels add up a sentence the same in every batch


class Translator:
    """Ids in, hypotheses out, in one process."""

    def __init__(self, loaded: LoadedModel, options: DecodingConfig) -> None:
        self.options, self.device = options, choose_device(TrainingConfig())
        config = loaded.config.model_copy(update={"decoding": options})
        self.forbidden_ids = forbidden_ids(config, loaded.tokenizers)
        self.forbidden_first = forbidden_first(config, loaded.tokenizers)
        self.opening = target_opening(loaded.config, loaded.tokenizers)
        self.precision = choose_inference_precision(options.precision, self.device, loaded.config.model)
        self.model = prepare(loaded.model.to(self.device), self.precision)

    def batch(self, rows: list[Any]) -> tuple[Tensor, Tensor]:
        """Rows as what the encoder reads, and its mask."""
        return _padded(rows, positions_of_model(self.model.config))

    def generate(self, rows: list[Any], numbers: list[int], conditions: Sequence[Conditions | None]) -> list[list[Hypothesis]]:
        """`numbers` are those of the lines: a sample belongs to its line, not to its place in a batch.

        Args:
            conditions: of each answer.
        """
        ids_BS, mask_BS = self.batch(rows)
        found = generate(
            self.model,
            ids_BS.to(self.device),
            mask_BS.to(self.device),
            self.options,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            prefixes=self._prefixes(conditions),
            forbidden_ids=self.forbidden_ids,
            forbidden_first=self.forbidden_first,
            sentence_numbers=numbers,
            conditions=conditions,
        )
        return [[one.without(len(self.opening)) for one in answers] for answers in found]

    def _prefixes(self, conditions: Sequence[Conditions | None]) -> list[list[int]]:
        return [[*self.opening, *(own.prefix if own is not None else ())] for own in conditions]

    def with_options(self, options: DecodingConfig) -> Translator:
        """The same model, its search told otherwise; precision and what it may say stay."""
        other = copy.copy(self)
        other.options = options
        return other

    def decoding(self) -> Decoding:
        """A batch that sources join and leave."""
        assert not isinstance(self.model, OwnSearch)
        constraints = Constraints(self.options, EOS_ID, (self.forbidden_ids, self.forbidden_first))
        return Decoding(self.model, constraints, bos_id=BOS_ID)

    def join(
        self, decoding: Decoding, rows: list[Any], numbers: Sequence[int], conditions: Sequence[Conditions | None]
    ) -> list[Sentence]:
        ids_BS, mask_BS = (tensor.to(self.device) for tensor in self.batch(rows))
        return decoding.join(ids_BS, mask_BS, self._prefixes(conditions), list(numbers), conditions)

    def answers(self, sentence: Sentence) -> list[Hypothesis]:
        return [one.without(len(self.opening)) for one in answers_of(sentence, self.options)]


def positions_of_model(model: ModelConfig) -> int:
    """The longest input of a model; only tables of positions have an end."""
    return model.max_positions if model.has_position_table else sys.maxsize


def _padded(rows: list[list[int]], most: int) -> tuple[Tensor, Tensor]:
    """Rows with their end of sentence as ids [B, S], S at most `most`, and where they are not padding."""
    longest = min(most, -(-(max(map(len, rows)) + 1) // SOURCE_STEP) * SOURCE_STEP)
    ids_BS = torch.tensor([[*row, EOS_ID, *[PAD_ID] * (longest - 1 - len(row))] for row in rows])
    lengths = torch.tensor([len(row) + 1 for row in rows])
    return ids_BS, torch.arange(longest)[None] < lengths[:, None]
