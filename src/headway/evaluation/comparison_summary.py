"""A comparison of runs as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from headway.config_reader import short
from headway.evaluation.comparison import Change, Comparison
from headway.evaluation.run_differences import DataDifference, FilePair, RunDifferences
from headway.evaluation.summary import shown_text
from headway.visible import visible

SHOWN_CHANGES = 3
SAME = {True: "the same", False: "differs", None: "not known"}


def print_comparisons(comparisons: Sequence[Comparison], console: Console) -> None:
    """Every comparison, and after the last of a pair of runs in what the two differ."""
    for comparison, following in zip(comparisons, [*comparisons[1:], None], strict=True):
        _print_one(comparison, console)
        if following is None or following.letter != comparison.letter:
            _print_differences(comparison.differences, comparison.letter, console)
    console.print(Text(how(comparisons[0]), style="dim"))


def how(comparison: Comparison) -> str:
    """What the p-values and intervals are, in words."""
    test = next(iter(comparison.metrics.values())).test
    others = comparison.runs - 1
    correction = f" p is corrected for {others} comparisons with A (Holm 1979); the intervals are not." if others > 1 else ""
    return (
        "Paired bootstrap (Koehn 2004; interval, first p) and approximate randomisation (Riezler and Maxwell 2005; second p), "
        f"{test.samples:,} samples each, seed {test.seed}, {100 * test.confidence:g} % intervals. The larger p decides."
        f"{correction} They weigh the choice of test examples, not the luck of a training seed: for a claim about a method, "
        "train several seeds."
    )


def _print_one(comparison: Comparison, console: Console) -> None:
    letter = comparison.letter
    console.print(Rule(Text(f"A against {letter}", style="bold")))
    for name, run in (("A", comparison.run_a), (letter, comparison.run_b)):
        console.print(Text(f"{name} = {visible(str(run))}"), soft_wrap=True)
    console.print(Text(f"{comparison.data}; {agreement(comparison)}"))
    console.print(_table(comparison))
    for metric in comparison.metrics.values():
        console.print(Text(metric.verdict(), style="bold"), soft_wrap=True)
    for why in dict.fromkeys(comparison.left_out.values()):
        labels = ", ".join(label for label, reason in comparison.left_out.items() if reason == why)
        console.print(Text(f"Not compared: {labels} ({why})", style="yellow"), soft_wrap=True)
    if comparison.by_example is None:
        return
    console.print(Text(wins(comparison)), soft_wrap=True)
    for heading, some in (
        (f"{letter} better than A", comparison.by_example.for_b),
        (f"A better than {letter}", comparison.by_example.for_a),
    ):
        if some:
            console.print(Rule(Text(f"{heading}, by {comparison.by_example.label}")))
        for change in some[:SHOWN_CHANGES]:
            console.print(_change(change, comparison.by_example.label, letter))
            console.print()


def agreement(comparison: Comparison) -> str:
    if comparison.same_answers is None:
        return f"{comparison.examples:,} rows of text"
    return f"{comparison.same_answers:,} of {comparison.examples:,} answers are the same"


def wins(comparison: Comparison) -> str:
    """Wins, losses and ties in words; empty where no score tells of one example."""
    found = comparison.by_example
    if found is None:
        return ""
    letter = comparison.letter
    return f"By {found.label}: {letter} better on {found.better_b:,}, A on {found.better_a:,}, the same on {found.same:,}"


def _table(comparison: Comparison) -> Table:
    table, letter = Table(box=box.SIMPLE_HEAD, pad_edge=False), comparison.letter
    corrected = ["p corrected"] if comparison.runs > 2 else []
    for heading in ("score", "A", letter, f"{letter} − A", "interval", "p", "p", *corrected):
        table.add_column(heading, justify="left" if heading == "score" else "right")
    for metric in comparison.metrics.values():
        test = metric.test
        places = metric.decimals
        score_a, score_b = f"{test.score_b:.{places}f}", f"{test.score_a:.{places}f}"  # the test is B − A: its first side is B
        style = "dim" if metric.is_noise else "green" if metric.better == letter else "red"
        interval = f"{test.low:+.{places}f} … {test.high:+.{places}f}"
        change = Text(f"{test.difference:+.{places}f}", style=style)
        chances = [f"{p:.3f}" for p in (test.p_value, metric.p_randomised, *([metric.p_value] if corrected else []))]
        table.add_row(Text(metric.label), score_a, score_b, change, interval, *chances)
    return table


def _change(change: Change, label: str, letter: str) -> Table:
    """Source, reference and both answers to one example, below each other."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", justify="right", width=6)
    grid.add_column(overflow="fold")
    parts = {"source": change.source, "wanted": change.reference, "A": change.answer_a, letter: change.answer_b}
    for name, text in parts.items():
        grid.add_row(Text(name), shown_text(text))
    grid.add_row(Text(""), Text(f"{visible(change.place)}: {label} {change.score_a:.1f} → {change.score_b:.1f}", style="dim"))
    return grid


# ---- in what the runs differ ---------------------------------------------------------------------------------------


def _print_differences(differences: RunDifferences, letter: str, console: Console) -> None:
    console.print(Rule(Text(f"What changed from A to {letter}")))
    if differences.unknown:
        console.print(Text(f"The settings are not known: {visible(differences.unknown)}", style="yellow"), soft_wrap=True)
        return
    if not differences.settings:
        console.print(Text("No setting differs."))
    for key, (before, after) in differences.settings.items():
        console.print(Text(visible(f"{key}: {short(before)} → {short(after)}")), soft_wrap=True)
    for one in differences.data:
        console.print(Text(visible(data_line(one))), soft_wrap=True)
        for pair in one.files:
            if pair.same is not True:
                console.print(Text(visible(f"  {file_line(pair)}"), style="dim"), soft_wrap=True)


def data_line(difference: DataDifference) -> str:
    """Whether one data set is the same, and by which fingerprints."""
    marks = [mark[:12] if mark else "?" for mark in (difference.fingerprint_a, difference.fingerprint_b)]
    told = f" (fingerprint {' → '.join(dict.fromkeys(marks))})" if marks != ["?", "?"] else ""
    return f"data.{difference.split}: {SAME[difference.same]}{told}"


def file_line(pair: FilePair) -> str:
    return " → ".join(_file(pair)) + f": {SAME[pair.same]}"


def _file(pair: FilePair) -> Iterator[str]:
    for one in (pair.a, pair.b):
        if one is None:
            yield "no file"
        else:
            yield f"{one.path} ({'not there any more' if one.bytes is None else f'{one.bytes:,} bytes'})"
