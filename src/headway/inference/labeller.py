"""How a classifier answers: texts in, labels out, in order."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

from headway.data.media_preparation import LabelledMediaPreparation
from headway.data.preparation import MemoryRows
from headway.errors import UsageError
from headway.evaluation.calibration import Threshold
from headway.inference.inputs import list_of_files, list_of_texts, whole_characters
from headway.inference.labelling import LabelAnswer, label_answers, label_logits
from headway.inference.predictor import PIECE_LINES, CutTexts, ready_to_compute
from headway.model_dir import LoadedModel, load_model
from headway.tasks import TASKS

NO_ANSWER = LabelAnswer((), (), 0.0)  # to a blank text, and to a file that cannot be read
FILES_TOGETHER = 128  # whose pixels are held
_log = logging.getLogger(__name__)


class Labeller:
    """Labels texts with a trained classifier. Where it was calibrated (`headway evaluate RUN --calibrate`), so are its scores.

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
        if loaded.tokenizers.labels is None:
            remedy = f"learn one: model.start_from={loaded.directory}"
            raise UsageError("has no head to answer with", where=str(loaded.directory), remedy=remedy)
        self.labels = loaded.tokenizers.labels
        self._max_length = config.data.max_length
        self._preparation: Any = TASKS[config.task].preparation(loaded.tokenizers, config)  # of texts, or of files
        self._model = ready_to_compute(loaded, decoding)
        self._where, self._calibration = str(loaded.directory), loaded.calibration
        self._threshold: Threshold | None = None

    @property
    def reads_files(self) -> bool:
        """Whether a line is the path of a picture, a clip or a recording."""
        return isinstance(self._preparation, LabelledMediaPreparation)

    @property
    def scoreless(self) -> str:
        """What it answers with, where that has no score."""
        return "number" if self.labels.kind == "number" else ""

    def refusing(self) -> Labeller:
        """The same, which raises DataError for a file that cannot be read, where it reads files."""
        other = copy.copy(self)
        other._preparation = copy.copy(self._preparation)
        other._preparation.refuses = True
        return other

    def promise(self, precision: float) -> Threshold:
        """From now on answers only where at least this share of the answers is right, as its validation texts have proven.

        Raises UsageError where it was not calibrated, or so much cannot be promised.
        """
        calibration = self._calibration
        if not 0 < precision < 1:
            raise UsageError(
                f"{precision:g} is no share", where="--precision", remedy="give a number between 0 and 1, such as 0.95"
            )
        if calibration is None:
            remedy = "fit its confidence on the validation set: headway evaluate RUN --calibrate"
            raise UsageError("is not calibrated, and can promise nothing", where=self._where, remedy=remedy)
        self._threshold = calibration.promise(precision)
        if self._threshold is None:
            best = int(1000 * max(map(calibration.proven, calibration.thresholds))) / 1000
            problem = f"a precision of {precision:g} is not proven by its {calibration.examples:,} validation texts"
            remedy = f"{f'ask for {best:g} or less, or ' if best else ''}calibrate with more texts"
            raise UsageError(problem, where="--precision", remedy=remedy)
        return self._threshold

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The label of each text; several are separated by commas, and a blank text has none. Raises UsageError as `answer`.

        Of pictures, clips and recordings: paths, or the bytes of files.
        """
        return [answer.text for answer in self.answer(texts)]

    def answer(self, texts: Sequence[str]) -> list[LabelAnswer]:
        """The labels of each text, with the probabilities of all. Raises UsageError for what is no list of texts."""
        given = list_of_files(texts) if self.reads_files else list_of_texts(texts)
        return [answers[0] for answers in self.answer_pieces([given])]

    def answer_pieces(self, pieces: Iterable[list[str]]) -> Iterator[list[LabelAnswer]]:
        """One answer to each text of lists: the answers to a list do not wait for the next one."""
        answered = 0
        with CutTexts(self._max_length) as cut:
            for texts in pieces:
                step = FILES_TOGETHER if self.reads_files else PIECE_LINES
                for start in range(0, len(texts), step):
                    some = enumerate(texts[start : start + step], cut.texts + 1)
                    examples = [
                        self._preparation.example_of(text if self.reads_files else whole_characters(text), line)
                        for line, text in some
                    ]
                    rows, places = self._preparation.rows_to_answer(examples)
                    cut.add(rows.cut, len(examples))
                    found = dict(zip(places, self._answers(rows), strict=True)) if places else {}
                    for place in range(len(examples)):
                        shown = found.get(place, NO_ANSWER)
                        answered += not (shown.abstains or shown is NO_ANSWER)
                        yield [shown]
            if self._threshold is not None:
                message = "%d of %d texts were answered (%.1f %%), each with a confidence of %.4f or more"
                _log.info(message, answered, cut.texts, 100 * answered / max(cut.texts, 1), self._threshold.confidence)

    def details(self, answer: LabelAnswer) -> dict[str, Any]:
        """An answer for programs: the labels, how sure they are, and the probability of every label."""
        probabilities = dict(zip(self.labels.names, answer.probabilities, strict=False))
        return {"labels": list(answer.labels), "confidence": answer.score, "abstains": answer.abstains} | (
            {"probabilities": probabilities} if self.labels.names else {}
        )

    def _answers(self, rows: MemoryRows) -> list[LabelAnswer]:
        logits_NL = label_logits(self._model, rows, self._preparation)
        answers = label_answers(logits_NL / self._calibration.temperature if self._calibration else logits_NL, self.labels)
        if self._threshold is None:
            return answers
        least = self._threshold.confidence
        return [replace(one, abstains=True) if (one.score or 0.0) < least else one for one in answers]
