"""What training is judged by: loss, perplexity and greedy BLEU on the validation set, with some translations to read.

The loss is the one of training without smoothing and dropout; the text goes the way of `predict`, so training and use agree.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from headway.config import Config
from headway.data.batches import EpochPlan, collate
from headway.data.preprocessing import Preprocessor
from headway.data.readers import corpus_files, fingerprint, read_pairs
from headway.data.token_cache import is_blank
from headway.data.tokenizer import BOS_ID, EOS_ID, FORBIDDEN_IDS, Tokenizers
from headway.errors import DataError
from headway.evaluation.metrics import bleu, tokenised_lowercased_bleu
from headway.inference.decoding import generate
from headway.model.transformer import Transformer
from headway.tasks import TASKS
from headway.training.parallel import World, all_reduce_sum

SHOWN = 3  # translations that progress shows
BATCH_TOKENS = 4096
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    source: str
    reference: str
    translation: str


@dataclass(frozen=True)
class ValidationScores:
    loss: float  # nats of a target token
    perplexity: float
    bleu: float | None
    examples: list[Example]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Validation:
    """The validation set in memory, as ids and as the text that BLEU is computed on."""

    source_ids: list[NDArray[np.int64]]
    target_ids: list[NDArray[np.int64]]
    sources: list[str]
    references: list[str]
    tokenised: bool  # references are Moses-tokenised, so BLEU must not tokenise again
    fingerprint: str = ""  # of the files

    @classmethod
    def open(cls, config: Config, tokenizers: Tokenizers) -> Self:
        """Raises DataError where the validation set is missing, damaged or empty."""
        data = config.data
        pairs = list(read_pairs(data.validation))
        if not pairs:
            raise DataError("holds no pairs", where=str(data.validation.path or data.validation.source))
        steps = data.preprocessing
        tokenised = "moses_tokenize" in steps
        source, target = Preprocessor(steps, data.source_language), Preprocessor(steps, data.target_language)
        target_texts = [target.apply(pair.target) for pair in pairs]
        source_rows = tokenizers.source.encode_many([source.apply(pair.source) for pair in pairs])
        target_rows = tokenizers.target.encode_many(target_texts)
        longest = data.max_length
        if cut := sum(max(map(len, rows)) > longest for rows in zip(source_rows, target_rows, strict=True)):
            _log.warning("%d of %d validation pairs are longer than data.max_length=%d; cut to it", cut, len(pairs), longest)
        return cls(
            source_ids=_ids(source_rows, longest),
            target_ids=_ids(target_rows, longest),
            sources=[pair.source for pair in pairs],
            references=target_texts if tokenised else [pair.target for pair in pairs],
            tokenised=tokenised,
            fingerprint=fingerprint(corpus_files(data.validation)),
        )

    def source(self, index: int) -> NDArray[np.int64]:
        return self.source_ids[index]

    def target(self, index: int) -> NDArray[np.int64]:
        return self.target_ids[index]

    def plan(self) -> EpochPlan:
        lengths = ([len(ids) for ids in side] for side in (self.source_ids, self.target_ids))
        source_lengths, target_lengths = (np.array(side, dtype=np.int32) for side in lengths)
        return EpochPlan(source_lengths, target_lengths, BATCH_TOKENS, seed=0, epoch=0)


def _ids(rows: Sequence[Sequence[int]], longest: int) -> list[NDArray[np.int64]]:
    return [np.asarray(row[:longest], dtype=np.int64) for row in rows]


def validate(
    model: Transformer, validation: Validation, config: Config, tokenizers: Tokenizers, world: World
) -> ValidationScores:
    """Loss and BLEU of the model as it is. The first rank computes, all ranks return the same figures."""
    loss, score = 0.0, 0.0
    examples: list[Example] = []
    training = model.training
    model.eval()
    try:
        if world.first:
            loss = validation_loss(model, validation, config)
            if config.training.validate_bleu:
                score, examples = _greedy_bleu(model, validation, config, tokenizers)
    finally:
        model.train(training)
    loss, score = all_reduce_sum(loss, world), all_reduce_sum(score, world)
    perplexity = math.exp(min(loss, 700.0))
    return ValidationScores(loss, perplexity, score if config.training.validate_bleu else None, examples)


@torch.no_grad()
def validation_loss(model: Transformer, validation: Validation, config: Config) -> float:
    """Mean negative log-likelihood of a target token, in nats."""
    plan, device = validation.plan(), next(model.parameters()).device
    total, tokens = 0.0, 0
    for index in range(len(plan)):
        batch = collate(validation, plan[index]).to(device)
        found = TASKS[config.task].loss(model, batch, config.training)
        total, tokens = total + float(found.negative_log_likelihood), tokens + found.tokens
    return total / max(tokens, 1)


@torch.no_grad()
def _greedy_bleu(
    model: Transformer, validation: Validation, config: Config, tokenizers: Tokenizers
) -> tuple[float, list[Example]]:
    plan, device = validation.plan(), next(model.parameters()).device
    greedy = config.decoding.model_copy(update={"method": "greedy", "n_best": 1})
    target = Preprocessor(config.data.preprocessing, config.data.target_language)
    texts: dict[int, str] = {}
    for index in range(len(plan)):
        batch = collate(validation, plan[index]).to(device)
        found = generate(
            model, batch.source_ids, batch.source_mask, greedy, bos_id=BOS_ID, eos_id=EOS_ID, forbidden_ids=FORBIDDEN_IDS
        )
        for row, answers in zip(batch.indices.tolist(), found, strict=True):
            text = "" if is_blank(validation.sources[row]) else tokenizers.target.decode(answers[0].ids)
            texts[row] = text if validation.tokenised else target.undo(text)
    hypotheses = [texts[row] for row in range(len(texts))]
    if validation.tokenised:
        measure = tokenised_lowercased_bleu(hypotheses, validation.references)
    else:
        language, tokenize = config.data.target_language, config.evaluation.bleu_tokenize
        measure = bleu(hypotheses, validation.references, language=language, tokenize=tokenize)
    picked = range(0, len(hypotheses), max(1, len(hypotheses) // SHOWN))
    examples = [Example(validation.sources[i], validation.references[i], hypotheses[i]) for i in picked][:SHOWN]
    return measure.score, examples
