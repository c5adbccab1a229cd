"""A conversation with a model of dialogue: what a person says comes in, what the model says to it goes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Any

from headway.data.dialogues import history
from headway.errors import UsageError
from headway.inference.predictor import Predictor
from headway.model_dir import LoadedModel, load_model


class Chat:
    """Remembers the last `data.history_turns` utterances, its own among them, as the model learned to.

    Args:
        path: a run directory, a model directory, or a model that is loaded.
        decoding: settings that differ from those of the configuration, such as ``method="sample"``.

    Raises:
        ModelError: there is no whole model. UsageError: its task is not dialogue, or a setting is not valid.
    """

    def __init__(self, path: str | PathLike[str] | LoadedModel, **decoding: Any) -> None:
        loaded = path if isinstance(path, LoadedModel) else load_model(path)
        if loaded.config.task != "dialogue":
            problem = f"is a model of {loaded.config.task} and has not learned to talk"
            raise UsageError(problem, where=str(loaded.directory), remedy="give a run of task: dialogue, or use headway predict")
        self._predictor = Predictor(loaded, **decoding)
        self._turns = loaded.config.data.history_turns
        self._said: list[str] = []

    def answers(self, utterances: Iterable[str]) -> Iterator[str]:
        """An answer to each utterance that is not blank; the next one is not asked for before."""
        for found in self._predictor.answer_pieces(self._histories(utterances)):
            self._remember(found[0].text)
            yield found[0].text

    def reset(self) -> None:
        """Forgets what was said."""
        self._said.clear()

    def _histories(self, utterances: Iterable[str]) -> Iterator[list[str]]:
        for utterance in utterances:
            if utterance.strip():
                self._remember(utterance)
                yield [history(self._said, self._turns)]

    def _remember(self, utterance: str) -> None:
        if utterance.strip():  # training knows no empty utterances
            self._said = [*self._said, utterance][-self._turns :]
