"""How a classifier answers: texts in, labels out, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Any

from headway.data.labelled import Labelled
from headway.data.preprocessing import is_blank
from headway.inference.labelling import LabelAnswer, label_answers, label_logits
from headway.inference.predictor import PIECE_LINES, CutTexts, list_of_texts, ready_to_compute, whole_characters
from headway.model_dir import LoadedModel, load_model
from headway.tasks import TASKS

NO_ANSWER = LabelAnswer((), (), 0.0)  # to a blank text


class Labeller:
    """Labels texts with a trained classifier.

    Args:
        path: a run directory, a model directory, or a model that is loaded.
        decoding: of its settings only ``precision`` concerns a classifier.

    Raises:
        ModelError: there is no whole model. UsageError: a setting is not valid.
    """

    many_lines = False  # whether an answer may have line breaks

    def __init__(self, path: str | PathLike[str] | LoadedModel, **decoding: Any) -> None:
        loaded = path if isinstance(path, LoadedModel) else load_model(path)
        config = loaded.config
        assert loaded.tokenizers.labels is not None
        self.labels = loaded.tokenizers.labels
        self._max_length = config.data.max_length
        self._preparation = TASKS[config.task].preparation(loaded.tokenizers, config)
        self._model = ready_to_compute(loaded, decoding)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The label of each text; several are separated by commas, and a blank text has none. Raises UsageError as `answer`."""
        return [answer.text for answer in self.answer(texts)]

    def answer(self, texts: Sequence[str]) -> list[LabelAnswer]:
        """The labels of each text, with the probabilities of all. Raises UsageError for what is no list of texts."""
        return [answers[0] for answers in self.answer_pieces([list_of_texts(texts)])]

    def answer_pieces(self, pieces: Iterable[list[str]]) -> Iterator[list[LabelAnswer]]:
        """One answer to each text of lists: the answers to a list do not wait for the next one."""
        with CutTexts(self._max_length) as cut:
            for texts in pieces:
                for start in range(0, len(texts), PIECE_LINES):
                    some = enumerate(texts[start : start + PIECE_LINES], cut.texts + 1)
                    examples = [Labelled(whole_characters(text), ("0",), line) for line, text in some]
                    rows = self._preparation.rows_of_all(examples)
                    cut.add(rows.cut, len(examples))
                    answers = label_answers(label_logits(self._model, rows, self._preparation), self.labels)
                    for example, answer in zip(examples, answers, strict=True):
                        yield [NO_ANSWER if is_blank(example.source) else answer]
