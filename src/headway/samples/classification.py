"""Sample data for classification: English sentences with the kind of each; the test asks for unseen combinations of words."""

from __future__ import annotations

import json

from headway.errors import UsageError
from headway.samples import english
from headway.samples.grammar import Asking, Attempt, Because, If, Reported, Statement, Tree, YesNo
from headway.samples.translation import MOST, Said, draw

KINDS: dict[type[Tree], str] = {
    Statement: "statement",
    YesNo: "yes-no question",
    Asking: "question",
    Reported: "report",
    Because: "reason",
    If: "condition",
    Attempt: "attempt",
}


def sentence_and_kind(tree: Tree) -> Said:
    return english.say(tree), KINDS[type(tree)]


def classification_files(seed: int, size: int) -> dict[str, str]:
    """File name → content of a classification sample with `size` training sentences. A pure function of its arguments.

    Raises UsageError for a size that cannot be made.
    """
    if not 1 <= size <= MOST:
        raise UsageError(f"cannot make {size} training sentences", where="size", remedy=f"give a number from 1 to {MOST:,}")
    split = draw(seed, size, sentence_and_kind, distinct=1)
    files = {"README.md": _readme(split.test[:5], seed)}
    for name in ("train", "validation", "test"):
        examples: list[Said] = getattr(split, name)
        lines = (json.dumps({"text": text, "label": label}) + "\n" for text, label in examples)
        files[f"{name}.jsonl"] = "".join(lines)
    return files


def _readme(examples: list[Said], seed: int) -> str:
    rows = "\n".join(f"| {text} | {label} |" for text, label in examples)
    return f"""# Made-up sentences with the kind of each

**These sentences are synthetic.** Headway's hand-written grammar of a tiny world made them (`headway sample classification`,
seed {seed}). A score on them says nothing about real text. `train.jsonl`, `validation.jsonl` and `test.jsonl` hold a
JSON object a line, with `text` and `label`: {", ".join(KINDS.values())}.
Validation and test sentences have combinations of words that
never occur in training.

| text | label |
|---|---|
{rows}

Licence: that of Headway (Apache-2.0).
"""
