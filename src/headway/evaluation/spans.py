"""A reader of passages and questions it has not seen → exact match and F1, and what saying nothing or anything would reach."""

from __future__ import annotations

import math

from headway.config import TrainingConfig
from headway.data.questions import Question, QuestionPreparation
from headway.evaluation.generated import first_sentence
from headway.evaluation.outcome_record import AnswerRecord, Outcome, Wrong
from headway.evaluation.request import Request
from headway.evaluation.span_scores import span_scores
from headway.inference.reading import answer_questions
from headway.training.parallel import choose_device


def span_outcome(request: Request) -> Outcome:
    """What the model answers to the questions of a set, and how good that is."""
    loaded, config = request.loaded, request.config
    questions: list[Question] = request.examples
    preparation = QuestionPreparation(loaded.tokenizers, config)
    model = loaded.model.to(choose_device(TrainingConfig()))  # that of this machine, whatever it was trained on
    found = answer_questions(model, questions, preparation, may_be_none=config.data.unanswerable)
    texts, language = [one.text for one in found], config.data.source_language
    wanted = [[answer.text for answer in question.answers] for question in questions]
    scores = span_scores(texts, wanted, language)
    answers = [
        AnswerRecord(
            line=question.line,
            source=question.question,
            reference=" | ".join(references),
            answer=one.text,
            probability=_sureness(one.score),
            passage=question.passage,
        )
        for question, references, one in zip(questions, wanted, found, strict=True)
    ]
    wrong = [
        Wrong(line=one.line, source=one.source, problem=f"wanted {one.reference or 'no answer'}, got {one.answer or 'no answer'}")
        for one, points in zip(answers, scores["f1"].statistics[:, 0], strict=True)
        if points == 0
    ]
    baselines = {"first sentence of the passage": span_scores([first_sentence(q.passage) for q in questions], wanted, language)}
    if config.data.unanswerable:
        baselines["never an answer"] = span_scores([""] * len(questions), wanted, language)
    return Outcome(measurements=scores, answers=answers, wrong=wrong, baselines=baselines)


def _sureness(score: float) -> float | None:
    """The probability of what was decided, be it an answer or none, against the other."""
    return 1 / (1 + math.exp(-min(abs(score), 700.0))) if math.isfinite(score) else None
