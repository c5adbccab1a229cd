"""How an embedder answers: texts in, vectors out, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from headway.data.pairs import SentencePreparation
from headway.data.preparation import SIDES
from headway.inference.embedding import row_vectors
from headway.inference.inputs import list_of_texts, whole_characters
from headway.inference.predictor import PIECE_LINES, CutTexts, ready_to_compute
from headway.model_dir import LoadedModel, load_model


@dataclass(frozen=True)
class Vector:
    """What stands for a text: numbers whose squares add up to 1, or zeros for a blank one."""

    values: NDArray[np.float32]
    pieces: int = 0  # that were read

    @property
    def text(self) -> str:
        """The numbers with blanks between, in so many digits that reading them gives the same float32."""
        return " ".join(f"{value:.9g}" for value in self.values.tolist())


class Embedder:
    """Turns texts into vectors with a trained model: the nearer their meaning, the larger their product.

    Args:
        path: a run directory, a model directory, or a model that is loaded.
        decoding: of its settings only ``precision`` concerns an embedder.

    Raises:
        ModelError: there is no whole model. UsageError: a setting is not valid.
    """

    scoreless = "vector"  # what it answers with, where that has no score
    many_lines = False  # a vector is one line

    def __init__(self, path: str | PathLike[str] | LoadedModel, **decoding: Any) -> None:
        loaded = path if isinstance(path, LoadedModel) else load_model(path)
        self._max_length = loaded.config.data.max_length
        self._preparation = SentencePreparation(loaded.tokenizers, loaded.config)
        self._model = ready_to_compute(loaded, decoding)

    def embed(self, texts: Sequence[str], side: Literal["source", "target"] = "source") -> NDArray[np.float32]:
        """A vector of unit length for each text, float32 [N, D]; zeros for a blank text.

        Args:
            side: whose preprocessing is applied; it matters only where the steps depend on the language.

        Raises UsageError for what is no list of texts.
        """
        with CutTexts(self._max_length) as cut:
            return row_vectors(self._model, self._rows(list_of_texts(texts), side, cut))

    def _rows(self, texts: Sequence[str], side: str, cut: CutTexts) -> list[list[int]]:
        rows, too_long = self._preparation.rows_of_side([whole_characters(text) for text in texts], SIDES.index(side))
        cut.add(too_long, len(rows))
        return rows

    def similarity(self, sources: Sequence[str], targets: Sequence[str]) -> NDArray[np.float32]:
        """The cosine of every source and every target, from -1 to 1, float32 [N, M]; 0 where one is blank."""
        return np.asarray(self.embed(sources) @ self.embed(targets, "target").T)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The vector of each text as a line of numbers. Raises UsageError for what is no list of texts."""
        return [answers[0].text for answers in self.answer_pieces([list_of_texts(texts)])]

    def details(self, answer: Vector) -> dict[str, Any]:
        """An answer for programs."""
        return {"vector": answer.values.tolist()}

    def answer_pieces(self, pieces: Iterable[list[str]]) -> Iterator[list[Vector]]:
        """One vector for each text of lists: the answers to a list do not wait for the next one."""
        with CutTexts(self._max_length) as cut:
            for texts in pieces:
                for start in range(0, len(texts), PIECE_LINES):
                    rows = self._rows(texts[start : start + PIECE_LINES], "source", cut)
                    for values, row in zip(row_vectors(self._model, rows), rows, strict=True):
                        yield [Vector(values, len(row))]
