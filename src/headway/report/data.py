"""The data as the pre-flight saw it: sizes, lengths, and what it found."""

from __future__ import annotations

from collections import Counter

from headway.data.checks.report import LEVELS, CheckReport
from headway.pages.charts import Series, line_chart
from headway.pages.document import table, text
from headway.report.material import Material
from headway.report.training_text import TrainingText

DRAWN = 0.99  # share of the examples whose lengths are drawn
MEANINGS = {"stop": "training may not start", "warn": "warning", "note": "note"}


def data_part(material: Material) -> str:
    """Sizes and findings, and how long the texts of the training set are."""
    parts = [f"<p class=soft>{text(material.check_note)}</p>"]
    if material.check is not None:
        parts += [_sizes(material.check), _findings(material.check)]
    if material.training is not None:
        parts.append(_lengths(material.training))
    return "\n".join(parts)


def _sizes(report: CheckReport) -> str:
    measures, unknown = report.measures(), report.counts_unknown
    means = [f"{side}: {unit}, mean" for side, unit, _ in measures]
    head = ["set", "examples", "looked at", "dropped", "duplicates", *means]
    rows = []
    for place, one in enumerate(report.corpora):
        row = [one.name, f"{one.pairs:,}", f"{one.checked:,}", f"{sum(one.dropped.values()):,}", f"{one.duplicates:,}"]
        row += ["–" if (mean := some[place]) is None else f"{mean:,.1f}" for _, _, some in measures]
        if unknown:
            row += ["–" if one.longest is None else f"{one.longest:,}"]
            row += ["–" if one.unknown_share is None else f"{one.unknown_share:.2%}"]
        rows.append(row)
    return table([*head, *(["longest", "unknown tokens"] if unknown else [])], rows)


def _findings(report: CheckReport) -> str:
    rows = [
        [MEANINGS[one.level], one.corpus, one.problem, "   ".join(one.places), one.remedy or ""]
        for one in sorted(report.findings, key=lambda one: LEVELS.index(one.level))
    ]
    passed = f"<p class=soft>No fault: {text(', '.join(report.passed))}.</p>" if report.passed else ""
    return (table(["", "set", "finding", "where", "remedy"], rows, texts=5) if rows else "") + passed


def _lengths(training: TrainingText) -> str:
    names = ("what is read", "what is to be written")
    series = [_shares(name, counts) for name, counts in zip(names, training.lengths, strict=True) if counts]
    return line_chart("Lengths of the training set", series, "words", "% of the examples", note="without the longest 1 %")


def _shares(name: str, counts: Counter[int]) -> Series:
    """In steps that are wide enough for a smooth line, without the longest, which would leave no room for the others."""
    total = sum(counts.values())
    longest = max(1, sorted(counts.elements())[int(DRAWN * (total - 1))])
    width = max(1, -(-longest // 60))
    steps: Counter[int] = Counter()
    for length, count in counts.items():
        steps[length // width] += count
    places = range(longest // width + 1)
    return Series(name, [place * width for place in places], [100 * steps[place] / total for place in places])
