"""Scores of parts of the examples: by their length, and by how often training saw their words, labels or entities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headway.config import Config
from headway.data.labels import Labels
from headway.data.tags import Entity, Scheme, entities
from headway.evaluation.analysis import group_scores, length_groups
from headway.evaluation.evaluated import Evaluated
from headway.evaluation.frequency import NAMES, rarest, scores_by_frequency, words
from headway.evaluation.label_scores import KindScores
from headway.evaluation.metrics import Measurement
from headway.evaluation.outcome_record import OutcomeRecord
from headway.evaluation.records import EvaluationRecord
from headway.pages.charts import Series, bar_chart
from headway.pages.document import table, text
from headway.report.training_text import WRITTEN, TrainingText, entity_text


def languages_of(evaluated: Evaluated, config: Config) -> tuple[str, str]:
    """Of what is read and of what is written."""
    record = evaluated.record
    if isinstance(record, EvaluationRecord):
        return record.source_language, record.target_language
    return config.data.source_language, config.data.target_language


def lengths_part(evaluated: Evaluated, config: Config) -> str:
    """The score of the examples of each length; of what is wanted where that is a text, else of what is read."""
    measured = evaluated.of_one_example()
    if measured is None or not evaluated.answers or evaluated.task == "media_classification":  # which reads no text
        return ""
    source, target = languages_of(evaluated, config)
    if evaluated.task in WRITTEN:
        side, lengths = "reference", [len(words(one.reference, target)) for one in evaluated.answers]
    else:
        side, lengths = "source", [len(words(one.source, source)) for one in evaluated.answers]
    return _group_chart(f"{measured.label} by length of the {side}", "words", measured, length_groups(lengths), evaluated)


def frequency_part(evaluated: Evaluated, config: Config, labels: Labels | None, training: TrainingText | None) -> str:
    """How well what is rare in training is answered: words that are written, entities; else texts by their rarest word."""
    if evaluated.passages and isinstance(evaluated.record, OutcomeRecord):
        return "\n".join(f"<p>{text(one.title)}</p>{table(one.head, one.rows)}" for one in evaluated.record.tables)
    if training is None or not evaluated.answers or evaluated.task == "media_classification":
        return ""
    if evaluated.task in WRITTEN:
        return _words_chart(evaluated, languages_of(evaluated, config)[1], training)
    if evaluated.task == "tagging" and labels is not None and labels.scheme != "plain":
        return _entities_chart(evaluated, labels.scheme, training)
    return _rarest_chart(evaluated, languages_of(evaluated, config)[0], training)


def _words_chart(evaluated: Evaluated, language: str, training: TrainingText) -> str:
    counts = training.counts(language)
    written, wanted = ([words(raw, language) for raw in some] for some in _texts(evaluated))
    found = scores_by_frequency(written, wanted, lambda word: counts[word], evaluated.bootstrap[1])
    return _kinds_chart("F1 of the words of the references, by how often training wrote them", "times in training", found)


def _texts(evaluated: Evaluated) -> tuple[list[str], list[str]]:
    return [one.answer for one in evaluated.answers], [one.reference for one in evaluated.answers]


def _entities_chart(evaluated: Evaluated, scheme: Scheme, training: TrainingText) -> str:
    def of(tags: str, source: str) -> list[str]:
        """Entities as words: place, kind and text, so that only the very same one is right."""
        every: list[Entity] = entities(tags.split(" "), scheme)
        return [f"{one.first} {one.end} {one.kind}\t{entity_text(source.split(' '), one)}" for one in every]

    found, wanted = ([of(getattr(one, side), one.source) for one in evaluated.answers] for side in ("answer", "reference"))
    counts = training.entities
    scores = scores_by_frequency(found, wanted, lambda entity: counts[entity.partition("\t")[2]], evaluated.bootstrap[1])
    return _kinds_chart("F1 of entities, by how often training saw the same words as one", "times in training", scores)


def _kinds_chart(title: str, label: str, found: Sequence[KindScores]) -> str:
    names = [one.name for one in found]
    bars = Series("", [], [one.f1.score for one in found], [one.f1.low for one in found], [one.f1.high for one in found])
    rows = [[one.name, str(one.precision), str(one.recall), str(one.f1), f"{one.total:,}"] for one in found]
    figures = table([label, "precision", "recall", "F1", "in the references"], rows)
    return bar_chart(title, names, bars, f"F1 by {label}") + figures


def _rarest_chart(evaluated: Evaluated, language: str, training: TrainingText) -> str:
    measured = evaluated.of_one_example()
    if measured is None:
        return ""
    ranges = rarest((words(one.source, language) for one in evaluated.answers), training.counts(language))
    groups = [(name, np.array([i for i, one in enumerate(ranges) if one == number])) for number, name in enumerate(NAMES)]
    title = f"{measured.label} by how often training saw the rarest word of the text"
    return _group_chart(title, "times in training", measured, [group for group in groups if len(group[1])], evaluated)


def _group_chart(
    title: str, label: str, measured: Measurement, groups: Sequence[tuple[str, np.ndarray]], evaluated: Evaluated
) -> str:
    found = group_scores(measured, groups, evaluated.bootstrap)
    names = [f"{one.name} ({one.examples:,})" for one in found]
    bars = Series("", [], [one.score for one in found], [one.low for one in found], [one.high for one in found])
    return bar_chart(title, names, bars, measured.label, note=f"{label}, and in brackets the number of examples")
