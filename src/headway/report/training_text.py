"""What a model has read while it learned: how often each word, label and entity came, and how long the texts were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from headway.config import Config, CorpusConfig
from headway.data.labelled import Labelled
from headway.data.labels import Labels
from headway.data.media_examples import MediaExample
from headway.data.progress import PairsProgress
from headway.data.readers import corpus_name
from headway.data.tagged import Tagged, in_scheme
from headway.data.tags import Entity, entities
from headway.evaluation.frequency import words
from headway.tasks import TASKS

MOST_EXAMPLES = 200_000
WRITTEN = tuple(task for task, kind in TASKS.items() if kind.writes)  # tasks whose answers are texts of their own


@dataclass
class TrainingText:
    """Counts of the training set.

    Attributes:
        words: by language, those of what is to be written, or where nothing is, of what is read.
        labels: labels, or kinds of entities.
        entities: the words of an entity in lower case.
        lengths: how many examples have so many words; of what is read and of what is to be written.
    """

    examples: int = 0
    whole: bool = True  # not only its beginning
    words: dict[str, Counter[str]] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)
    entities: Counter[str] = field(default_factory=Counter)
    lengths: tuple[Counter[int], Counter[int]] = field(default_factory=lambda: (Counter(), Counter()))

    def counts(self, language: str) -> Counter[str]:
        return self.words.get(language, Counter())


def read_training_text(config: Config, labels: Labels | None) -> TrainingText:
    """Counts the training set, of a large one its first `MOST_EXAMPLES`. Raises DataError, UsageError where it cannot be read."""
    found = TrainingText()
    data, read = in_scheme(config.data, labels), TASKS[config.task].preparation.read
    parts = config.data.parts("train")
    share = MOST_EXAMPLES // len(parts)
    for part in parts:
        examples = read(part, data)
        with PairsProgress(f"counting {corpus_name(part)}", None) as progress:
            for example in islice(examples, share):
                _count(found, example, part, config, labels)
                progress.advance(1)
        found.whole &= next(examples, None) is None
    return found


def _count(found: TrainingText, example: Any, part: CorpusConfig, config: Config, labels: Labels | None) -> None:
    source_language, target_language = part.direction
    read = words(example.question if isinstance(example, MediaExample) else example.source, source_language)
    counted, language = read, source_language
    if config.task in WRITTEN:
        answers = example.answers if isinstance(example, MediaExample) else (example.target,)
        counted, language = [word for answer in answers for word in words(answer, target_language)], target_language
        found.lengths[1][len(counted)] += 1
    found.words.setdefault(language, Counter()).update(counted)
    found.examples += 1
    found.lengths[0][len(read)] += 1
    if config.task == "media_classification" or isinstance(example, Labelled):
        found.labels.update(example.labels)
    if isinstance(example, Tagged) and labels is not None and labels.scheme != "plain":
        for entity in entities(example.tags, labels.scheme):
            found.labels[entity.kind] += 1
            found.entities[entity_text(example.words, entity)] += 1


def entity_text(words: Sequence[str], entity: Entity) -> str:
    """Its words in lower case."""
    return " ".join(words[entity.first : entity.end]).lower()
