"""What training is judged by: loss and perplexity, and where there are answers their score, with some of them to read.

The loss is the one of training without smoothing and dropout; the text goes the way of `predict`, so training and use agree.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import chain
from statistics import fmean
from typing import Any, NamedTuple, Self

import torch

from headway.config import Config, Direction
from headway.data.batches import IGNORED
from headway.data.labels import Labels
from headway.data.opening import target_opening
from headway.data.pairs import forbidden_first, forbidden_ids
from headway.data.preparation import SIDES, MemoryRows, Preparation, cut_warning, fingerprint_of
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.questions import QuestionPreparation
from headway.data.readers import corpus_name
from headway.data.tagged import in_scheme
from headway.data.texts import TextPreparation
from headway.data.tokenizer import BOS_ID, EOS_ID, Tokenizers
from headway.errors import DataError
from headway.evaluation.caption_scores import cider
from headway.evaluation.embedding_scores import retrieval_scores, retrieve_both
from headway.evaluation.metrics import bleu, tokenised_lowercased_bleu
from headway.evaluation.rouge import rouge
from headway.evaluation.span_scores import span_scores
from headway.evaluation.speech_scores import word_accuracy
from headway.evaluation.tag_scores import tag_scores
from headway.inference.ctc import spell
from headway.inference.decoding import generate
from headway.inference.embedding import row_vectors
from headway.inference.labelling import BATCH_TOKENS, MAIN_SCORE, label_answers, label_logits, label_scores
from headway.inference.reading import answer_questions
from headway.inference.tagging import tag_sentences
from headway.model.transformer import Transformer
from headway.tasks import TASKS
from headway.training.parallel import World, all_reduce_sum

SHOWN = 3  # answers that progress shows
MAIN_LABELS = {"one": "accuracy", "several": "F1", "number": "r"}
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
    score: float | None  # what the task is judged by
    metric: str | None  # its name
    bits_per_byte: float | None  # of plain text
    examples: list[Example]
    by_direction: dict[str, float] = field(default_factory=dict)  # the score of each, where there are several

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Validation:
    """The validation set in memory: as examples, and as rows in the same order."""

    examples: list[Any]
    rows: MemoryRows
    preparation: Preparation
    directions: list[Direction]  # of the examples
    fingerprint: str = ""  # of the files

    @classmethod
    def open(cls, config: Config, tokenizers: Tokenizers) -> Self:
        """Raises DataError where the validation set is missing, damaged or empty, or train has none of its labels."""
        parts = config.data.parts("validation")
        preparations = [TASKS[config.task].preparation(tokenizers, config.in_direction(part.direction)) for part in parts]
        data = in_scheme(config.data, tokenizers.labels)
        found = [list(preparation.read(part, data)) for preparation, part in zip(preparations, parts, strict=True)]
        examples = list(chain.from_iterable(found))
        if not examples:
            raise DataError("holds no examples", where=corpus_name(*parts))
        each = [preparation.rows_of_all(some) for preparation, some in zip(preparations, found, strict=True)]
        rows = each[0] if len(each) == 1 else MemoryRows.joined(each)
        if rows.cut:
            _log.warning("validation: %s", cut_warning(rows.cut, len(examples), config.data.max_length))
        if TASKS[config.task].labels is not None and not _any_target(preparations[0], rows):
            remedy = "look for misspelt labels, or for labels of another column; `headway check` names them"
            raise DataError("nothing in it can be judged: train has none of its labels", where=corpus_name(*parts), remedy=remedy)
        directions = [part.direction for part, some in zip(parts, found, strict=True) for _ in some]
        return cls(examples, rows, preparations[0], directions, fingerprint_of(preparations[0], *parts))

    @cached_property
    def spelled_bytes(self) -> int | None:
        """Bytes that the rows of a language model spell; None where only a part of the text is guessed."""
        preparation = self.preparation
        if isinstance(preparation, TextPreparation) and preparation.guesses_all:
            return preparation.spelled_bytes(self.rows)
        return None


def _any_target(preparation: Preparation, rows: MemoryRows) -> bool:
    updates = preparation.updates(rows, BATCH_TOKENS, 0, None)
    return any(bool((updates.batch(index).target_out != IGNORED).any()) for index in range(len(updates)))


def validate(
    model: Transformer, validation: Validation, config: Config, tokenizers: Tokenizers, world: World
) -> ValidationScores:
    """Loss and score of the model as it is. The first rank computes, all ranks return the same figures."""
    nats, score = NegativeLogLikelihood(0.0, 0), 0.0
    judge = SCORES.get(config.task) if config.training.validate_score else None
    examples: list[Example] = []
    by_direction: dict[str, float] = {}
    training = model.training
    model.eval()
    try:
        if world.first:
            nats = negative_log_likelihood(model, validation.rows, validation.preparation, config)
            if judge is not None:
                score, examples, by_direction = judge.score(model, validation, config, tokenizers)
    finally:
        model.train(training)
    total, tokens, score = (all_reduce_sum(float(figure), world) for figure in (*nats, score))
    loss = total / max(tokens, 1)
    spelled_bytes = validation.spelled_bytes
    return ValidationScores(
        loss=loss,
        perplexity=math.exp(min(loss, 700.0)),
        score=score if judge is not None else None,
        metric=judge.name(tokenizers.labels) if judge is not None else None,
        bits_per_byte=total / math.log(2) / max(spelled_bytes, 1) if spelled_bytes is not None else None,
        examples=examples,
        by_direction=by_direction if len(by_direction) > 1 else {},
    )


class NegativeLogLikelihood(NamedTuple):
    """The sum over valid targets, in nats, and their number."""

    nats: float
    tokens: int


@torch.no_grad()
def negative_log_likelihood(
    model: Transformer, rows: MemoryRows, preparation: Preparation, config: Config
) -> NegativeLogLikelihood:
    """That of all rows, without smoothing."""
    task, device = TASKS[config.task], next(model.parameters()).device
    updates = preparation.updates(rows, BATCH_TOKENS, 0, None)
    total, tokens = 0.0, 0
    for index in range(len(updates)):
        found = task.loss(model, updates.batch(index).to(device), config)
        total, tokens = total + float(found.negative_log_likelihood), tokens + found.tokens
    return NegativeLogLikelihood(total, tokens)


def best_metric(config: Config, tokenizers: Tokenizers) -> str:
    """The name of what the best model is chosen by."""
    return "loss" if config.training.best_by == "loss" else SCORES[config.task].name(tokenizers.labels)


class Scored(NamedTuple):
    score: float
    examples: list[Example]
    by_direction: dict[str, float]


def _span_score(model: Transformer, validation: Validation, config: Config, tokenizers: Tokenizers) -> Scored:
    questions, preparation = validation.examples, validation.preparation
    assert isinstance(preparation, QuestionPreparation)
    found = answer_questions(model, questions, preparation, may_be_none=config.data.unanswerable)
    wanted = [[answer.text for answer in question.answers] for question in questions]
    score = span_scores([one.text for one in found], wanted, config.data.source_language)["f1"].score
    shown = [
        Example(question.question, " | ".join(references), one.text)
        for question, references, one in zip(questions, wanted, found, strict=True)
    ]
    return Scored(score, _some(shown), {})


def _retrieval_score(model: Transformer, validation: Validation, config: Config, tokenizers: Tokenizers) -> Scored:
    texts = [[getattr(pair, side) for pair in validation.examples] for side in SIDES]
    rows = validation.rows
    found = retrieve_both([row_vectors(model, side) for side in (rows.source_rows, rows.target_rows)], texts)
    nearest = [texts[1][row] for row in found[0].nearest.tolist()]
    shown = [Example(*three) for three in zip(*texts, nearest, strict=True)]
    return Scored(retrieval_scores(found)["accuracy@1"].score, _some(shown), {})


def _tag_score(model: Transformer, validation: Validation, config: Config, tokenizers: Tokenizers) -> Scored:
    labels = tokenizers.labels
    assert labels is not None
    found = [one.tags for one in tag_sentences(model, validation.examples, validation.preparation, labels)]
    scores = tag_scores(found, [example.tags for example in validation.examples], labels.scheme)
    pairs = list(zip(validation.examples, found, strict=True))
    shown = [Example(given.source, " ".join(given.tags), " ".join(tags)) for given, tags in pairs]
    return Scored(scores["accuracy" if labels.scheme == "plain" else "f1"].score, _some(shown), {})


def _label_score(model: Transformer, validation: Validation, config: Config, tokenizers: Tokenizers) -> Scored:
    labels = tokenizers.labels
    assert labels is not None
    logits_NL = label_logits(model, validation.rows, validation.preparation)
    score = label_scores(logits_NL, validation.examples, labels)[MAIN_SCORE[labels.kind]].score
    texts = [answer.text for answer in label_answers(logits_NL, labels)]
    shown = [Example(given.source, ", ".join(given.labels), text) for given, text in zip(validation.examples, texts, strict=True)]
    return Scored(score, _some(shown), {})


def _written_score(model: Transformer, validation: Validation, config: Config, tokenizers: Tokenizers) -> Scored:
    """The mean of the scores of all directions, each of them, and some examples of all."""
    written = _written(model, validation, config, tokenizers)
    places: dict[Direction, list[int]] = {}
    for place, direction in enumerate(validation.directions):
        places.setdefault(direction, []).append(place)
    scores, examples = {}, []
    shown = max(1, SHOWN // len(places))
    for direction, some in places.items():
        pairs = [validation.examples[place] for place in some]
        scores[str(direction)], found = _score_of([written[place] for place in some], pairs, config.in_direction(direction))
        examples += _some(found, shown)
    return Scored(fmean(scores.values()), examples, scores)


def _some(examples: list[Example], shown: int = SHOWN) -> list[Example]:
    return examples[:: max(1, len(examples) // shown)][:shown]


@torch.no_grad()
def _written(model: Transformer, validation: Validation, config: Config, tokenizers: Tokenizers) -> list[str]:
    """What the model writes for each example, before preprocessing is undone."""
    device, opening = next(model.parameters()).device, target_opening(config, tokenizers)
    never, never_first = forbidden_ids(config, tokenizers), forbidden_first(config, tokenizers)
    updates = validation.preparation.updates(validation.rows, BATCH_TOKENS, 0, None)
    greedy = config.decoding.model_copy(update={"method": "greedy", "n_best": 1})
    texts: dict[int, str] = {}
    for index in range(len(updates)):
        batch = updates.batch(index).to(device)
        if config.decoding.method == "ctc":
            found = spell(model, batch.source_ids, batch.source_mask, greedy)
        else:
            found = generate(
                model,
                batch.source_ids,
                batch.source_mask,
                greedy,
                bos_id=BOS_ID,
                eos_id=EOS_ID,
                prefixes=[opening] * len(batch.source_ids),
                forbidden_ids=never,
                forbidden_first=never_first,
            )
        for row, answers in zip(batch.indices.tolist(), found, strict=True):
            ids = answers[0].without(len(opening)).ids
            texts[row] = "" if is_blank(validation.examples[row].source) else tokenizers.target.decode(ids)
    return [texts[row] for row in range(len(texts))]


# What written answers are judged by, given those that would be right; those of the other tasks by BLEU.
WRITTEN: dict[str, Callable[[Sequence[str], Sequence[Sequence[str]], str], float]] = {
    "summarisation": lambda texts, wanted, language: (
        rouge(texts, [some[0] for some in wanted], language=language)["rougel"].score
    ),
    "captioning": lambda texts, wanted, language: cider(texts, wanted, language=language).score,
    "visual_question_answering": lambda texts, wanted, language: span_scores(texts, wanted, language)["exact"].score,
    "speech_recognition": lambda texts, wanted, language: word_accuracy(texts, [some[0] for some in wanted], language=language),
}


def _score_of(written: list[str], pairs: Sequence[Any], config: Config) -> tuple[float, list[Example]]:
    """The score of the texts of one direction, and they beside their sources."""
    data, target = config.data, Preprocessor(config.data.preprocessing, config.data.target_language)
    tokenised = "moses_tokenize" in data.preprocessing  # then BLEU must not tokenise again
    texts, references = written if tokenised else [target.undo(text) for text in written], [pair.target for pair in pairs]
    language = data.target_language
    every = [list(pair.answers) or [""] for pair in pairs]
    if config.task in WRITTEN:
        score = WRITTEN[config.task](texts, every, language)
    elif tokenised:
        references = [target.apply(reference) for reference in references]
        score = tokenised_lowercased_bleu(texts, references).score
    else:
        score = bleu(texts, every, language=language, tokenize=config.evaluation.bleu_tokenize).score
    return score, [Example(pair.source, *two) for pair, *two in zip(pairs, references, texts, strict=True)]


class Judge(NamedTuple):
    """The name of a task's score, which may depend on the labels, and what computes it."""

    name: Callable[[Labels | None], str]
    score: Callable[[Transformer, Validation, Config, Tokenizers], Scored]


def _of_labels(labels: Labels | None) -> str:
    assert labels is not None
    if labels.kind == "tags":
        return "accuracy" if labels.scheme == "plain" else "F1"
    return MAIN_LABELS[labels.kind]


# The tasks that have a score; the others are judged by their loss.
SCORES: dict[str, Judge] = {
    "translation": Judge(lambda labels: "BLEU", _written_score),
    "summarisation": Judge(lambda labels: "ROUGE-L", _written_score),
    "dialogue": Judge(lambda labels: "BLEU", _written_score),
    "captioning": Judge(lambda labels: "CIDEr", _written_score),
    "visual_question_answering": Judge(lambda labels: "accuracy", _written_score),
    "multimodal_translation": Judge(lambda labels: "BLEU", _written_score),
    "speech_recognition": Judge(lambda labels: "word accuracy", _written_score),  # 100 - WER: more is better, as everywhere
    "classification": Judge(_of_labels, _label_score),
    "pair_classification": Judge(_of_labels, _label_score),
    "media_classification": Judge(_of_labels, _label_score),
    "tagging": Judge(_of_labels, _tag_score),
    "question_answering": Judge(lambda labels: "F1", _span_score),
    "sentence_embedding": Judge(lambda labels: "accuracy@1", _retrieval_score),
}
