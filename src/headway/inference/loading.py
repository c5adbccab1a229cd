"""Which predictor answers with a model: told by its task."""

from __future__ import annotations

from typing import Any, TypeAlias

from headway.errors import UsageError
from headway.inference.embedder import Embedder
from headway.inference.labeller import Labeller
from headway.inference.media_predictor import MediaPredictor
from headway.inference.predictor import Predictor
from headway.inference.reader import Reader
from headway.inference.tagger import Tagger
from headway.inference.writer import Writer
from headway.model_dir import LoadedModel

AnyPredictor: TypeAlias = Predictor | Writer | Labeller | Tagger | Reader | Embedder

PREDICTORS: dict[str, type[AnyPredictor]] = {
    **dict.fromkeys(("translation", "summarisation", "dialogue"), Predictor),
    "language_model": Writer,
    **dict.fromkeys(("classification", "pair_classification", "media_classification"), Labeller),
    "tagging": Tagger,
    "question_answering": Reader,
    "sentence_embedding": Embedder,
    **dict.fromkeys(("captioning", "visual_question_answering", "multimodal_translation", "speech_recognition"), MediaPredictor),
}


def predictor_of(loaded: LoadedModel, **decoding: Any) -> AnyPredictor:
    """A model, ready to answer. Raises UsageError where its task has no answers."""
    if loaded.config.task not in PREDICTORS:
        problem, where = f"is pre-trained by {loaded.config.task} and has no answers of its own", str(loaded.directory)
        raise UsageError(problem, where=where, remedy=f"start a task from it: model.start_from={where}")
    return PREDICTORS[loaded.config.task](loaded, **decoding)
