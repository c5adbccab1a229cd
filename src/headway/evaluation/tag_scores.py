"""Scores of tags as pure functions on lists: entities found whole and of the right kind, and tags word by word.

They agree with seqeval, and so with the script of CoNLL-2000, which the tests compare them with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from headway.data.tags import Scheme, entities
from headway.evaluation.label_scores import measurement_of
from headway.evaluation.metrics import Measurement


def tag_scores(found: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], scheme: Scheme) -> dict[str, Measurement]:
    """Precision, recall and F1 of entities (micro, and F1 macro-averaged over kinds), and accuracy of tags, in per cent."""
    right = np.array([[sum(map(str.__eq__, ours, theirs)), len(theirs)] for ours, theirs in zip(found, gold, strict=True)])
    accuracy = measurement_of("accuracy", "tag accuracy", "share of words", right, "share")
    if scheme == "plain":
        return {"accuracy": accuracy}
    by_kind = entity_sums(found, gold, scheme, entity_kinds(gold, scheme) | entity_kinds(found, scheme))
    unit = "entities whole and of the right kind"
    names = {"precision": "precision", "recall": "recall", "f1": "F1"}
    together = by_kind.reshape(len(gold), 3, -1).sum(-1)
    results = {name: measurement_of(name, f"entity {label}", unit, together, name) for name, label in names.items()}
    results["macro_f1"] = measurement_of("macro_f1", "entity macro F1", "mean over kinds", by_kind, "macro_f1")
    return results | {"accuracy": accuracy}


def entity_kinds(sentences: Sequence[Sequence[str]], scheme: Scheme) -> set[str]:
    return {entity.kind for tags in sentences for entity in entities(tags, scheme)}


def entity_sums(found: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], scheme: Scheme, kinds: set[str]) -> np.ndarray:
    """For each sentence how many entities of each kind are right, wrong and missed, [N, 3 kinds]; kinds in order."""
    names = {kind: number for number, kind in enumerate(sorted(kinds))}
    sums = np.zeros((len(gold), 3, max(1, len(names))))
    for row, (ours, theirs) in enumerate(zip(found, gold, strict=True)):
        chosen, wanted = Counter(entities(ours, scheme)), Counter(entities(theirs, scheme))
        for part, some in enumerate((chosen & wanted, chosen - wanted, wanted - chosen)):
            for entity in some.elements():
                sums[row, part, names[entity.kind]] += 1
    return sums.reshape(len(gold), -1)
