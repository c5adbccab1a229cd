"""A comparison of runs as a web page that stands alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headway.config_reader import short
from headway.evaluation.comparison import Change, Comparison, MetricComparison
from headway.evaluation.comparison_summary import agreement, data_line, file_line, how, wins
from headway.evaluation.run_differences import RunDifferences
from headway.pages.charts import Series, bar_chart
from headway.pages.document import page, table, text

PER_CENT = 2  # decimals of scores that can stand on one axis


def comparison_page(comparisons: Sequence[Comparison]) -> str:
    """The whole page."""
    runs = {"A": comparisons[0].run_a} | {comparison.letter: comparison.run_b for comparison in comparisons}
    parts = [_runs_part({name: str(run) for name, run in runs.items()})]
    for comparison, following in zip(comparisons, [*comparisons[1:], None], strict=True):
        parts += _comparison_parts(comparison)
        if following is None or following.letter != comparison.letter:
            parts += _difference_parts(comparison.differences, comparison.letter)
    heading = f"{', '.join(dict.fromkeys(comparison.data for comparison in comparisons))}, each run against the first"
    return page("Comparison of runs", heading, [*parts, f'<p class="soft">{text(how(comparisons[0]))}</p>'])


def _runs_part(runs: dict[str, str]) -> str:
    return table(("", "run"), list(runs.items()), texts=2)


def _comparison_parts(comparison: Comparison) -> Iterator[str]:
    letter, metrics = comparison.letter, list(comparison.metrics.values())
    yield f"<h2>A against {letter}: {text(comparison.data)}</h2>\n<p>{text(agreement(comparison))}</p>"
    yield _scores_part(comparison)
    yield "<ul>" + "".join(f"<li>{text(metric.verdict())}" for metric in metrics) + "</ul>"
    for why in dict.fromkeys(comparison.left_out.values()):
        labels = ", ".join(label for label, reason in comparison.left_out.items() if reason == why)
        yield f'<p class="warning">{text(f"Not compared: {labels} ({why})")}</p>'
    if drawn := [metric for metric in metrics if metric.decimals == PER_CENT]:
        tests = [metric.test for metric in drawn]
        middle, low, high = ([getattr(test, end) for test in tests] for end in ("difference", "low", "high"))
        bars = Series("", [], middle, low, high)
        yield bar_chart(f"{letter} − A with intervals", [metric.label for metric in drawn], bars, "difference of the scores")
    if comparison.by_example is None:
        return
    yield f"<p>{text(wins(comparison))}</p>"
    label = comparison.by_example.label
    yield from _changes_part(f"where {letter} is better than A, by {label}", comparison.by_example.for_b, letter, label)
    yield from _changes_part(f"where A is better than {letter}, by {label}", comparison.by_example.for_a, letter, label)


def _scores_part(comparison: Comparison) -> str:
    corrected = ("p, corrected",) if comparison.runs > 2 else ()
    head = (
        "score",
        "A",
        comparison.letter,
        f"{comparison.letter} − A",
        "interval",
        "p, bootstrap",
        "p, randomisation",
        *corrected,
    )
    return table(head, [_score_cells(metric, bool(corrected)) for metric in comparison.metrics.values()])


def _score_cells(metric: MetricComparison, corrected: bool) -> list[str]:
    test, places = metric.test, metric.decimals
    chances = [test.p_value, metric.p_randomised, *([metric.p_value] if corrected else [])]
    return [
        metric.label,
        f"{test.score_b:.{places}f}",
        f"{test.score_a:.{places}f}",
        f"{test.difference:+.{places}f}",
        f"{test.low:+.{places}f} … {test.high:+.{places}f}",
        *(f"{p:.3f}" for p in chances),
    ]


def _changes_part(title: str, changes: Sequence[Change], letter: str, label: str) -> Iterator[str]:
    if not changes:
        return
    articles = [
        f'<article><p class="soft">{text(f"{one.place}: {label} {one.score_a:.1f} → {one.score_b:.1f}")}</p>'
        f'<dl><dt>source<dd dir="auto">{_or_empty(one.source)}<dt>wanted<dd dir="auto">{_or_empty(one.reference)}'
        f'<dt>A<dd dir="auto">{_or_empty(one.answer_a)}<dt>{letter}<dd dir="auto">{_or_empty(one.answer_b)}</dl></article>'
        for one in changes
    ]
    yield f"<details><summary>{text(title)}: {len(changes)} examples</summary>\n" + "\n".join(articles) + "</details>"


def _or_empty(raw: str) -> str:
    return text(raw) or "<i>(empty)</i>"


def _difference_parts(differences: RunDifferences, letter: str) -> Iterator[str]:
    yield f"<h2>What changed from A to {letter}</h2>"
    if differences.unknown:
        yield f'<p class="warning">{text(f"The settings are not known: {differences.unknown}")}</p>'
        return
    if differences.settings:
        rows = [(key, short(before), short(after)) for key, (before, after) in differences.settings.items()]
        yield table(("setting", "A", letter), rows, texts=3)
    else:
        yield "<p>No setting differs.</p>"
    lines = []
    for one in differences.data:
        files = "".join(f"<li>{text(file_line(pair))}" for pair in one.files)
        lines.append(f"<li>{text(data_line(one))}<ul>{files}</ul>")
    yield f"<ul>{''.join(lines)}</ul>"
