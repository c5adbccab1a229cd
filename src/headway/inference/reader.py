"""How a reader of passages answers: a question and a passage in, a span of the passage out, in order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Any

from headway.data.questions import Question, QuestionPreparation
from headway.errors import UsageError
from headway.inference.inputs import list_of_texts, whole_characters
from headway.inference.predictor import PIECE_LINES, CutTexts, ready_to_compute
from headway.inference.reading import Found, answer_questions
from headway.model_dir import LoadedModel, load_model


class Reader:
    """Answers questions on passages with a trained model.

    Args:
        path: a run directory, a model directory, or a model that is loaded.
        decoding: of its settings only ``precision`` concerns a reader.

    Raises:
        ModelError: there is no whole model. UsageError: a setting is not valid.
    """

    scoreless = ""
    many_lines = False  # an answer is one line

    def __init__(self, path: str | PathLike[str] | LoadedModel, **decoding: Any) -> None:
        loaded = path if isinstance(path, LoadedModel) else load_model(path)
        config = loaded.config
        self._may_be_none = config.data.unanswerable
        self._max_length = config.data.max_length
        self._preparation = QuestionPreparation(loaded.tokenizers, config)
        self._model = ready_to_compute(loaded, decoding)

    def predict(self, questions: Sequence[str]) -> list[str]:
        """The answer to each ``question TAB passage``, empty where there is none. Raises UsageError for one without a tab."""
        texts = list_of_texts(questions, '"question\\tpassage"')
        return [answers[0].text for answers in self.answer_pieces([texts])]

    def answer(self, question: str, passage: str) -> Found:
        """The answer to one question, with its place in the passage."""
        return self._answer([Question(question, passage, (), 1)])[0]

    def details(self, answer: Found) -> dict[str, Any]:
        """An answer for programs: its place is counted in characters, and its score is its log-probability ahead of none."""
        return {"answer": answer.text, "start": answer.start, "score": answer.score if math.isfinite(answer.score) else None}

    def answer_pieces(self, pieces: Iterable[list[str]]) -> Iterator[list[Found]]:
        """One answer to each line of lists: the answers to a list do not wait for the next one."""
        with CutTexts(self._max_length) as cut:
            for lines in pieces:
                for start in range(0, len(lines), PIECE_LINES):
                    some = enumerate(lines[start : start + PIECE_LINES], cut.texts + 1)
                    questions = [_question(text, line) for line, text in some]
                    cut.add(self._preparation.cut(questions), len(questions))
                    for found in self._answer(questions):
                        yield [Found(" ".join(found.text.split()), found.start, found.score)]

    def _answer(self, questions: Sequence[Question]) -> list[Found]:
        return answer_questions(self._model, questions, self._preparation, may_be_none=self._may_be_none)


def _question(text: str, line: int) -> Question:
    question, tab, passage = whole_characters(text).partition("\t")
    if not tab and text.strip():
        raise UsageError("has no tab between question and passage", where=f"line {line}", remedy="question TAB passage")
    return Question(question, passage, (), line)
