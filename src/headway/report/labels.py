"""Of a classifier and of a tagger: each label or kind, what is taken for what, and how far the confidence may be believed."""

from __future__ import annotations

import numpy as np

from headway.evaluation.evaluated import OF_KINDS, Evaluated
from headway.evaluation.formulas import by_label, label_sums
from headway.evaluation.label_scores import KindScores, kind_scores
from headway.evaluation.outcome_record import OutcomeRecord, TableRecord
from headway.evaluation.reliability import reliability
from headway.pages.charts import MOST_POINTS, Series, bar_chart, heat_map, line_chart, scatter_chart
from headway.pages.document import table, text
from headway.report.training_text import TrainingText

MOST_BARS = 40


def labels_part(evaluated: Evaluated, training: TrainingText | None) -> str:
    """Charts and tables of labels; nothing where there are none."""
    if not isinstance(evaluated.record, OutcomeRecord) or not evaluated.answers:
        return ""
    parts = [_numbers(evaluated)]
    for one in evaluated.record.tables:
        if one.head[1:4] == OF_KINDS and "macro_f1" in evaluated.measurements:
            parts.append(_each(evaluated, one, training))
        elif not one.head[0]:  # labels against labels
            parts.append(_confusion(one))
        else:
            parts.append(f"<h3>{text(one.title)}</h3>{table(one.head, one.rows)}")
    return "\n".join([*parts, _calibration(evaluated)])


def _numbers(evaluated: Evaluated) -> str:
    """Where numbers are answered, or cosines beside ratings: each against what was wanted."""
    if not {"mae", "spearman"} & evaluated.measurements.keys():
        return ""
    answers = evaluated.answers[:: -(-len(evaluated.answers) // MOST_POINTS)]
    wanted, got = ([float(getattr(one, side)) for one in answers] for side in ("reference", "answer"))
    tips = [[f"{one.place}: wanted {one.reference}, got {one.answer}" for one in answers]]
    return scatter_chart("Answers against what was wanted", [Series("answers", wanted, got)], "wanted", "got", tips=tips)


def _each(evaluated: Evaluated, figures: TableRecord, training: TrainingText | None) -> str:
    names = [row[0] for row in figures.rows]
    found = _kinds(evaluated, names)
    order = sorted(found, key=lambda one: -(training.labels[one.name] if training else one.total))
    some = order[:MOST_BARS]
    bars = Series("", [], [one.f1.score for one in some], [one.f1.low for one in some], [one.f1.high for one in some])
    by = "the most frequent in training first" if training else "the most frequent first"
    more = f"; {MOST_BARS} of {len(order)}" if len(order) > MOST_BARS else ""
    chart = bar_chart(f"F1 of each {figures.head[0]}", [one.name for one in some], bars, "F1", note=by + more)
    head = [*figures.head, *(["in training"] if training else [])]
    rows = [
        [one.name, str(one.precision), str(one.recall), str(one.f1), f"{one.total:,}"]
        + ([f"{training.labels[one.name]:,}"] if training else [])
        for one in order
    ]
    return chart + table(head, rows)


def _kinds(evaluated: Evaluated, names: list[str]) -> list[KindScores]:
    """The figures that the table of the evaluation tells as text."""
    measured = evaluated.measurements["macro_f1"]
    confidence, statistics = evaluated.bootstrap[1], measured.statistics
    if measured.formula == "macro_f1":  # a text may have several entities of a kind
        parts_NK3 = by_label(statistics)
        return kind_scores(parts_NK3.sum(0), names, confidence, parts_NK3)
    return kind_scores(label_sums(statistics, np.ones((1, len(statistics))), len(names))[0], names, confidence)


def _confusion(figures: TableRecord) -> str:
    rows = [row[0] for row in figures.rows]
    counts = [[float(cell) for cell in row[1:]] for row in figures.rows]
    return heat_map("Confusion matrix", rows, figures.head[1:], counts, row_label="label", column_label="answer")


def _calibration(evaluated: Evaluated) -> str:
    """How often answers of each confidence are right; of several labels an answer is right when all of them are."""
    answers = [one for one in evaluated.answers if one.probability is not None]
    if not answers or "classification" not in evaluated.task:
        return ""
    probability_N = np.array([one.probability for one in answers])
    right_N = np.array([set(one.answer.split(", ")) == set(one.reference.split(", ")) for one in answers])
    confidence = evaluated.bootstrap[1]
    bins = reliability(probability_N, right_N, confidence)
    curve = Series(
        "answers of like confidence", [one.confidence for one in bins], [one.share for one in bins],
        [one.low for one in bins], [one.high for one in bins],
    )  # fmt: skip
    note = f"on the dashed line confidence is what it should be; {100 * confidence:g} % intervals of Wilson"
    chart = line_chart(
        "Calibration", [curve], "confidence", "share that is right", points=True, diagonal=True, within=(0, 1), note=note
    )
    counts = Series("", [], [float(one.answers) for one in bins])
    return chart + bar_chart(
        "Confidence",
        [f"{one.confidence:.2f}" for one in bins],
        counts,
        "answers",
        note="the mean of each bin, and how many answers are in it",
    )
