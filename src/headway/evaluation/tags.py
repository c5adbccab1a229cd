"""A tagger and sentences it has not seen → scores, figures of each kind of entity, and what the commonest tags reach."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from headway.config import TrainingConfig
from headway.data.preparation import read_all
from headway.data.tagged import Tagged, TaggedPreparation
from headway.data.tags import Scheme, entities
from headway.errors import HeadwayError
from headway.evaluation.formulas import by_label
from headway.evaluation.label_scores import calibration, kind_scores, rows_of_kinds
from headway.evaluation.labels import say_no_baseline, uncalibrated
from headway.evaluation.metrics import Measurement
from headway.evaluation.outcome_record import AnswerRecord, Outcome, TableRecord, Wrong
from headway.evaluation.request import Request
from headway.evaluation.tag_scores import entity_kinds, entity_sums, tag_scores
from headway.inference.tagging import FoundTags, tag_sentences
from headway.tasks import TASKS
from headway.training.parallel import choose_device


def tag_outcome(request: Request) -> Outcome:
    """What the model says of the sentences of a set, and how good that is."""
    loaded, config = request.loaded, request.config
    examples: list[Tagged] = request.examples
    labels = loaded.tokenizers.labels
    assert labels is not None
    preparation = TASKS[config.task].preparation(loaded.tokenizers, config)
    model = loaded.model.to(choose_device(TrainingConfig()))  # that of this machine, whatever it was trained on
    gold = [example.tags for example in examples]
    answered = tag_sentences(model, examples, preparation, labels)
    calibrations = {"calibration": _calibration(answered, gold)}
    if loaded.calibration is not None:
        calibrations |= uncalibrated(calibrations["calibration"])
        answered = tag_sentences(model, examples, preparation, labels, loaded.calibration.temperature)
        calibrations["calibration"] = _calibration(answered, gold)
    found = [one.tags for one in answered]
    return Outcome(
        measurements=tag_scores(found, gold, labels.scheme) | calibrations,
        answers=[
            AnswerRecord(
                line=one.line,
                source=one.source,
                reference=" ".join(one.tags),
                answer=" ".join(tags.tags),
                probability=min((sure for sure in tags.probabilities if sure is not None), default=None),
            )
            for one, tags in zip(examples, answered, strict=True)
        ],
        wrong=[wrong for one, tags in zip(examples, found, strict=True) if (wrong := _wrong(one, tags, labels.scheme))],
        tables=_tables(found, gold, labels.scheme, config.evaluation.confidence),
        baselines=_baselines(request, labels.scheme),
    )


def _calibration(answered: Sequence[FoundTags], gold: Sequence[Sequence[str]]) -> Measurement:
    """Of the words that were read, whose tags are right or wrong by themselves."""
    words = [
        (ours == theirs, sure, text)
        for text, (one, wanted) in enumerate(zip(answered, gold, strict=True))
        for ours, sure, theirs in zip(*one, wanted, strict=True)
        if sure is not None
    ]
    right, sure, text = (np.array(column) for column in zip(*words, strict=True))
    return calibration(right, sure, text, len(gold))


def _wrong(example: Tagged, tags: Sequence[str], scheme: Scheme) -> Wrong | None:
    """What was missed in a sentence and what was found where nothing is."""
    if scheme == "plain":
        pairs = zip(example.words, example.tags, tags, strict=True)
        parts = [f"{word}: wanted {gold}, got {found}" for word, gold, found in pairs if gold != found]
    else:
        gold, chosen = entities(example.tags, scheme), entities(tags, scheme)
        named = [("missed", [one for one in gold if one not in chosen]), ("wrongly", [one for one in chosen if one not in gold])]
        parts = [f"{name} {' '.join(example.words[one.first : one.end])}/{one.kind}" for name, some in named for one in some]
    return Wrong(line=example.line, source=example.source, problem="; ".join(parts)) if parts else None


def _tables(
    found: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], scheme: Scheme, confidence: float
) -> list[TableRecord]:
    if scheme == "plain":
        return []
    kinds = entity_kinds(gold, scheme) | entity_kinds(found, scheme)
    if not kinds:
        return []
    parts_NK3 = by_label(entity_sums(found, gold, scheme, kinds))
    rows = rows_of_kinds(kind_scores(parts_NK3.sum(0), sorted(kinds), confidence, parts_NK3))
    title, head = f"each kind of entity ({100 * confidence:g} % interval)", ["kind", "precision", "recall", "F1", "entities"]
    return [TableRecord(title=title, head=head, rows=rows)]


def _baselines(request: Request, scheme: Scheme) -> dict[str, dict[str, Measurement]]:
    """Every word gets the tag that it has most often in training; one that was not seen gets the commonest of all."""
    try:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for sentence in read_all(TaggedPreparation.read, request.config.data, "train"):
            for word, tag in zip(sentence.words, sentence.tags, strict=True):
                counts[word][tag] += 1
    except HeadwayError as error:
        say_no_baseline(error)
        return {}
    commonest = sum(counts.values(), Counter()).most_common(1)[0][0]
    best = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
    found = [[best.get(word, commonest) for word in one.words] for one in request.examples]
    return {"commonest tag of each word": tag_scores(found, [one.tags for one in request.examples], scheme)}
