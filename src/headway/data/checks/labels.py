"""Judgement of labels: how they are spread over the corpora → findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Protocol

from headway.config import Config
from headway.data.checks.report import Finding, Level, split_of
from headway.data.checks.scan import KEPT_PLACES

LABELS = "labels"
ONE_LABEL_WARN = 0.9
SHOWN_LABELS = 5


class Labelled(Protocol):
    """What was counted of the labels of one corpus: how often each comes, and in which line first."""

    path: str
    whole: bool
    labels: Counter[str]
    first_of_label: dict[str, int]


def label_findings(scans: Mapping[str, Labelled], config: Config, noun: str) -> Iterator[Finding]:
    """Labels that are never learned, and a corpus that holds no more than one, or hardly more; `noun`: what has them."""
    train = [scan for name, scan in scans.items() if split_of(name) == "train"]
    learned = sum((scan.labels for scan in train), Counter[str]())
    if not learned:
        return
    whole = all(scan.whole for scan in train)  # else there may be others further on
    for name, scan in scans.items() if whole else ():
        if unknown := [label for label in scan.labels if label not in learned]:
            shown = ", ".join(repr(label[:40]) for label in unknown[:SHOWN_LABELS]) + (
                " …" if len(unknown) > SHOWN_LABELS else ""
            )
            count = sum(scan.labels[label] for label in unknown)
            places = tuple(f"{scan.path}:{scan.first_of_label[label]}" for label in unknown[:KEPT_PLACES])
            problem = f"{count:,} labels are not in train and cannot be answered: {shown}"
            yield Finding("warn", LABELS, name, problem, places, f"look for misspelt labels, or add such {noun} to train", count)
    label, most = learned.most_common(1)[0]
    share, kinds = most / learned.total(), len(learned)
    if kinds == 1 and whole and config.task != "tagging" and config.data.labels == "one":
        cure = f"there is nothing to tell apart: add {noun} with other labels, or see whether `target` is their column"
        yield Finding("stop", LABELS, "train", f"all {noun} have the same label ({label[:40]!r})", remedy=cure)
        return
    level: Level = "warn" if whole and share > ONE_LABEL_WARN else "note"
    remedy = "accuracy will say little: read the F1 of each label" if level == "warn" else None
    of = "all" if whole else f"the first {learned.total():,}"
    yield Finding(
        level, LABELS, "train", f"{kinds:,} labels; the most frequent, {label[:40]!r}, is {share:.1%} of {of}", remedy=remedy
    )
