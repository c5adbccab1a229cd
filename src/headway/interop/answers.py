"""The labels of a classifier of Hugging Face, which stand in its config.json, as ours, and back."""

from __future__ import annotations

from headway.data.labels import Labels
from headway.errors import ModelError, UsageError
from headway.interop.family import Json, unsupported

KINDS = {"single_label_classification": "one", "multi_label_classification": "several"}


def read_labels(theirs: Json, outputs: int, where: str) -> Labels:
    """The names of so many outputs. Of two labels of one name the second is given its number too.

    Raises ModelError where they are of a kind that is not known, or not as many.
    """
    problem = theirs.get("problem_type") or "single_label_classification"
    if problem not in KINDS:
        raise unsupported("problem_type", problem, where, f"known are {', '.join(KINDS)}")
    told = theirs.get("id2label") or {str(number): f"LABEL_{number}" for number in range(outputs)}
    if sorted(told) != sorted(map(str, range(outputs))) or not all(isinstance(name, str) for name in told.values()):
        raise ModelError(f"has names of {len(told):,} labels (id2label), and the model answers with {outputs:,}", where=where)
    found: list[str] = []
    for number in range(outputs):
        name = told[str(number)]
        found.append(f"{name} ({number})" if name in found else name)
    return Labels("one" if KINDS[problem] == "one" else "several", tuple(found))


def write_labels(labels: Labels) -> Json:
    """Raises UsageError for answers that are numbers, whose mean and spread have no place there."""
    kinds = {ours: theirs for theirs, ours in KINDS.items()}
    if labels.kind not in kinds:
        raise UsageError("answers with a number, and no family of Hugging Face that Headway knows does", where="data.labels")
    names = dict(enumerate(labels.names))
    return {
        "id2label": {str(number): name for number, name in names.items()},
        "label2id": {name: number for number, name in names.items()},
        "problem_type": kinds[labels.kind],
    }
