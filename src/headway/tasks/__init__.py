"""What is asked of a model, grouped by the shape of the answer. `TASKS` is the whole list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headway.config import Config, DataConfig
from headway.data.batches import Batch
from headway.data.corrupted import DenoisingPreparation, MaskedPreparation, SpanPreparation
from headway.data.dialogues import DialoguePreparation
from headway.data.labelled import JoinedPreparation, LabelledPreparation, learn_labels
from headway.data.labels import Labels
from headway.data.media_preparation import LabelledMediaPreparation, MediaPreparation, learn_media_labels
from headway.data.noise import SENTINELS
from headway.data.pairs import PairPreparation, SentencePreparation
from headway.data.preparation import Preparation
from headway.data.questions import QuestionPreparation
from headway.data.tagged import TaggedPreparation, learn_tags
from headway.data.texts import TextPreparation
from headway.tasks import embedding, label, pretraining, sequence, span
from headway.training.losses import TokenLoss


@dataclass(frozen=True)
class Task:
    """One kind of training.

    Attributes:
        preparation: how a corpus is read, becomes rows and updates.
        loss: the loss of a batch in the model.
        writes: whether the answer to a source is a text that is written.
        extra_pieces: ids beyond the vocabulary that the model reads or writes: masks and sentinels.
        outputs: of the model's head, where the labels do not tell.
        labels: of the training corpus, where the answers are such; the model's head has an output for each.
    """

    preparation: type[Preparation]
    loss: Callable[[Any, Batch, Config], TokenLoss]
    writes: bool = False
    extra_pieces: int = 0
    outputs: int = 0
    labels: Callable[[DataConfig], Labels] | None = None


TASKS: dict[str, Task] = {
    "translation": Task(PairPreparation, sequence.loss, writes=True),
    "summarisation": Task(PairPreparation, sequence.loss, writes=True),
    "dialogue": Task(DialoguePreparation, sequence.loss, writes=True),
    "language_model": Task(TextPreparation, pretraining.next_token_loss),
    "masked_language_model": Task(MaskedPreparation, pretraining.masked_token_loss, extra_pieces=1),
    "span_corruption": Task(SpanPreparation, sequence.loss, extra_pieces=1 + SENTINELS),
    "denoising": Task(DenoisingPreparation, sequence.loss, extra_pieces=1),
    "classification": Task(LabelledPreparation, label.loss, labels=learn_labels),
    "pair_classification": Task(JoinedPreparation, label.loss, labels=learn_labels),
    "question_answering": Task(QuestionPreparation, span.loss, outputs=2),
    "tagging": Task(TaggedPreparation, label.tag_loss, labels=learn_tags),
    "sentence_embedding": Task(SentencePreparation, embedding.loss),
    "captioning": Task(MediaPreparation, sequence.loss, writes=True),
    "visual_question_answering": Task(MediaPreparation, sequence.loss, writes=True),
    "multimodal_translation": Task(MediaPreparation, sequence.loss, writes=True),
    "speech_recognition": Task(MediaPreparation, sequence.speech_loss, writes=True),
    "media_classification": Task(LabelledMediaPreparation, label.loss, labels=learn_media_labels),
}


def extra_pieces(config: Config) -> list[str]:
    """Names of the ids beyond the vocabulary, in order: what the task needs, and a tag for each language that is asked for."""
    own = [f"extra.{number}" for number in range(TASKS[config.task].extra_pieces)]
    return [*own, *(f"tag.{language}" for language in config.language_tags)]
