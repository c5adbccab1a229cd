"""What training is judged by: loss and perplexity, and where there are answers their score, with some of them to read.

The loss is the one of training without smoothing and dropout; the text goes the way of `predict`, so training and use agree.
"""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import torch

from headway.config import Config
from headway.data.preparation import SIDES, MemoryRows, Preparation
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.questions import QuestionPreparation
from headway.data.readers import corpus_files, corpus_name, fingerprint
from headway.data.tokenizer import BOS_ID, EOS_ID, FORBIDDEN_IDS, Tokenizers
from headway.errors import DataError
from headway.evaluation.embedding_scores import retrieval_scores, retrieve_both
from headway.evaluation.metrics import bleu, tokenised_lowercased_bleu
from headway.evaluation.rouge import rouge
from headway.evaluation.span_scores import span_scores
from headway.evaluation.tag_scores import tag_scores
from headway.inference.decoding import generate
from headway.inference.embedding import row_vectors
from headway.inference.labelling import MAIN_SCORE, label_answers, label_logits, label_scores
from headway.inference.reading import answer_questions
from headway.inference.tagging import tag_sentences
from headway.model.transformer import Transformer
from headway.tasks import TASKS
from headway.training.parallel import World, all_reduce_sum

SHOWN = 3  # answers that progress shows
MAIN_LABELS = {"one": "accuracy", "several": "F1", "number": "r"}
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
    score: float | None  # what the task is judged by
    metric: str | None  # its name
    bits_per_byte: float | None  # of plain text
    examples: list[Example]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Validation:
    """The validation set in memory: as examples, and as rows in the same order."""

    examples: list[Any]
    rows: MemoryRows
    preparation: Preparation
    fingerprint: str = ""  # of the files

    @classmethod
    def open(cls, config: Config, tokenizers: Tokenizers) -> Self:
        """Raises DataError where the validation set is missing, damaged or empty."""
        corpus = config.data.validation
        preparation = TASKS[config.task].preparation(tokenizers, config)
        examples = list(preparation.read(corpus, config.data))
        if not examples:
            raise DataError("holds no examples", where=corpus_name(corpus))
        rows = preparation.rows_of_all(examples)
        if rows.cut:
            longest = config.data.max_length
            _log.warning("%d of %d validation pairs are longer than data.max_length=%d; cut to it", rows.cut, len(rows), longest)
        return cls(examples, rows, preparation, fingerprint(corpus_files(corpus)))

    def text_bytes(self) -> int:
        """Bytes of the plain text, in UTF-8."""
        return sum(len(example.source.encode()) for example in self.examples)


def validate(
    model: Transformer, validation: Validation, config: Config, tokenizers: Tokenizers, world: World
) -> ValidationScores:
    """Loss and score of the model as it is. The first rank computes, all ranks return the same figures."""
    nats, score = NegativeLogLikelihood(0.0, 0), 0.0
    task = TASKS[config.task]
    answers = task.writes or task.labels is not None or task.outputs > 0 or config.task == "sentence_embedding"
    scored = config.training.validate_score and answers
    examples: list[Example] = []
    training = model.training
    model.eval()
    try:
        if world.first:
            nats = negative_log_likelihood(model, validation.rows, validation.preparation, config)
            if scored and task.writes:
                score, examples = _written_score(model, validation, config, tokenizers)
            elif scored and config.task == "question_answering":
                score, examples = _span_score(model, validation, config)
            elif scored and config.task == "sentence_embedding":
                score, examples = _retrieval_score(model, validation)
            elif scored and config.task == "tagging":
                score, examples = _tag_score(model, validation, tokenizers)
            elif scored:
                score, examples = _label_score(model, validation, tokenizers)
    finally:
        model.train(training)
    total, tokens, score = (all_reduce_sum(float(figure), world) for figure in (*nats, score))
    loss = total / max(tokens, 1)
    plain_text = config.task == "language_model"  # of the others only a part is guessed
    return ValidationScores(
        loss=loss,
        perplexity=math.exp(min(loss, 700.0)),
        score=score if scored else None,
        metric=_metric(config, tokenizers) if scored else None,
        bits_per_byte=total / math.log(2) / max(validation.text_bytes(), 1) if plain_text else None,
        examples=examples,
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


def _metric(config: Config, tokenizers: Tokenizers) -> str:
    """The name of the score."""
    labels = tokenizers.labels
    if config.task == "question_answering":
        return "F1"
    if config.task == "sentence_embedding":
        return "accuracy@1"
    if labels is None:
        return "ROUGE-L" if config.task == "summarisation" else "BLEU"
    if labels.kind == "tags":
        return "accuracy" if labels.scheme == "plain" else "F1"
    return MAIN_LABELS[labels.kind]


def _span_score(model: Transformer, validation: Validation, config: Config) -> tuple[float, list[Example]]:
    questions, preparation = validation.examples, validation.preparation
    assert isinstance(preparation, QuestionPreparation)
    found = answer_questions(model, questions, preparation, may_be_none=config.data.unanswerable)
    wanted = [[answer.text for answer in question.answers] for question in questions]
    score = span_scores([one.text for one in found], wanted, config.data.source_language)["f1"].score
    shown = [
        Example(question.question, " | ".join(references), one.text)
        for question, references, one in zip(questions, wanted, found, strict=True)
    ]
    return score, shown[:: max(1, len(shown) // SHOWN)][:SHOWN]


def _retrieval_score(model: Transformer, validation: Validation) -> tuple[float, list[Example]]:
    texts = [[getattr(pair, side) for pair in validation.examples] for side in SIDES]
    rows = validation.rows
    found = retrieve_both([row_vectors(model, side) for side in (rows.source_rows, rows.target_rows)], texts)
    nearest = [texts[1][row] for row in found[0].nearest.tolist()]
    shown = [Example(*three) for three in zip(*texts, nearest, strict=True)]
    return retrieval_scores(found)["accuracy@1"].score, shown[:: max(1, len(shown) // SHOWN)][:SHOWN]


def _tag_score(model: Transformer, validation: Validation, tokenizers: Tokenizers) -> tuple[float, list[Example]]:
    labels = tokenizers.labels
    assert labels is not None
    found = tag_sentences(model, validation.examples, validation.preparation, labels)
    scores = tag_scores(found, [example.tags for example in validation.examples], labels.scheme)
    pairs = list(zip(validation.examples, found, strict=True))
    shown = [Example(given.source, " ".join(given.tags), " ".join(tags)) for given, tags in pairs]
    return scores["accuracy" if labels.scheme == "plain" else "f1"].score, shown[:: max(1, len(shown) // SHOWN)][:SHOWN]


def _label_score(model: Transformer, validation: Validation, tokenizers: Tokenizers) -> tuple[float, list[Example]]:
    labels = tokenizers.labels
    assert labels is not None
    logits_NL = label_logits(model, validation.rows, validation.preparation)
    score = label_scores(logits_NL, validation.examples, labels)[MAIN_SCORE[labels.kind]].score
    texts = [answer.text for answer in label_answers(logits_NL, labels)]
    shown = [Example(given.source, ", ".join(given.labels), text) for given, text in zip(validation.examples, texts, strict=True)]
    return score, shown[:: max(1, len(shown) // SHOWN)][:SHOWN]


@torch.no_grad()
def _written_score(
    model: Transformer, validation: Validation, config: Config, tokenizers: Tokenizers
) -> tuple[float, list[Example]]:
    device, data = next(model.parameters()).device, config.data
    updates = validation.preparation.updates(validation.rows, BATCH_TOKENS, 0, None)
    greedy = config.decoding.model_copy(update={"method": "greedy", "n_best": 1})
    target = Preprocessor(data.preprocessing, data.target_language)
    sources, references = ([getattr(pair, side) for pair in validation.examples] for side in ("source", "target"))
    tokenised = "moses_tokenize" in data.preprocessing  # then BLEU must not tokenise again
    texts: dict[int, str] = {}
    for index in range(len(updates)):
        batch = updates.batch(index).to(device)
        found = generate(
            model, batch.source_ids, batch.source_mask, greedy, bos_id=BOS_ID, eos_id=EOS_ID, forbidden_ids=FORBIDDEN_IDS
        )
        for row, answers in zip(batch.indices.tolist(), found, strict=True):
            text = "" if is_blank(sources[row]) else tokenizers.target.decode(answers[0].ids)
            texts[row] = text if tokenised else target.undo(text)
    hypotheses = [texts[row] for row in range(len(texts))]
    if config.task == "summarisation":
        measure = rouge(hypotheses, references, language=data.target_language)["rougel"]
    elif tokenised:
        references = [target.apply(reference) for reference in references]
        measure = tokenised_lowercased_bleu(hypotheses, references)
    else:
        measure = bleu(hypotheses, references, language=data.target_language, tokenize=config.evaluation.bleu_tokenize)
    picked = range(0, len(hypotheses), max(1, len(hypotheses) // SHOWN))
    examples = [Example(sources[i], references[i], hypotheses[i]) for i in picked][:SHOWN]
    return measure.score, examples
