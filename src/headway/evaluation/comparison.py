"""Two evaluations of the same examples compared: is the difference noise?

It reads what `evaluate_run` saved; nothing is answered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from headway.errors import DataError
from headway.evaluation import records
from headway.evaluation.evaluated import Evaluated, load_evaluated
from headway.evaluation.formulas import DECIMALS, DrawFunction
from headway.evaluation.intervals import PairedDifference, paired_bootstrap
from headway.evaluation.outcome_record import AnswerRecord
from headway.evaluation.summary import shown_text
from headway.visible import visible

SHOWN_CHANGES = 3
OF_TOKENS = ("loss", "perplexity", "bits_per_byte")  # each of their rows is so many tokens


@dataclass(frozen=True)
class MetricComparison:
    """One metric of both runs; the difference is B − A."""

    label: str
    signature: str
    higher_is_better: bool
    decimals: int
    test: PairedDifference

    @property
    def better(self) -> str | None:
        """``A``, ``B``, or None for equal scores."""
        if self.test.difference == 0:
            return None
        return "B" if (self.test.difference > 0) == self.higher_is_better else "A"

    def verdict(self) -> str:
        """Whether the difference is noise, in plain words."""
        if self.better is None:
            return f"{self.label}: A and B score the same."
        floor = 2 / (self.test.samples + 1)
        chance = f"p ≤ {floor:.3f}" if self.test.p_value <= floor else f"p = {self.test.p_value:.3f}"
        lead = f"{self.label}: {self.better} is better by {abs(self.test.difference):.{self.decimals}f}; "
        if self.test.is_noise:
            return lead + f"this may well be noise ({chance}): other test sentences could turn it round."
        return lead + f"this is hardly noise ({chance})."


@dataclass(frozen=True)
class Comparison:
    """Run B against run A on the same examples; `left_out` tells why some scores cannot be set against each other."""

    run_a: Path
    run_b: Path
    data: str  # split, and direction of a translator
    examples: int
    same_answers: int | None
    metrics: dict[str, MetricComparison]
    left_out: dict[str, str]


def compare_runs(
    a: Path, b: Path, *, split: str = "test", samples: int = 1000, confidence: float = 0.95, seed: int = 12345,
    console: Console | None = None,
) -> list[Comparison]:  # fmt: skip
    """Paired bootstrap over the saved answers of two runs; prints scores, differences and whether they are noise.

    Where the runs translate in several directions, each that both have is compared.

    Raises DataError where a run has not been evaluated or the runs were scored on different examples.
    """
    found = []
    for first, second in _pairs_of(a, b, split):
        comparison = _compare((a, b), first, second, (samples, confidence, seed))
        print_comparison(comparison, first, second, console or Console())
        found.append(comparison)
    return found


def _pairs_of(a: Path, b: Path, split: str) -> list[tuple[Evaluated, Evaluated]]:
    """What is to be set against each other. Raises DataError where nothing is."""
    first, second = load_evaluated(a, split), load_evaluated(b, split)
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    theirs = {one.name: one for one in second}
    both = [(one, theirs[one.name]) for one in first if one.name in theirs]
    if not both:
        ours, others = (", ".join(one.name for one in several) for several in (first, second))
        problem = f"{a} was evaluated on {ours} and {b} on {others}"
        raise DataError(problem, remedy="compare runs with a common direction")
    return both


def _compare(runs: tuple[Path, Path], first: Evaluated, second: Evaluated, bootstrap: tuple[int, float, int]) -> Comparison:
    a, b = runs
    _check_same_examples(a, b, first, second)
    compared, left_out = {}, {}
    for name, one in first.measurements.items():
        if why := _why_not(name, first, second):
            left_out[one.label] = why
            continue
        other = second.measurements[name]
        test = paired_bootstrap(other.statistics, one.statistics, one.score_function, *bootstrap)
        compared[name] = MetricComparison(one.label, one.signature, one.higher_is_better, DECIMALS.get(one.formula, 2), test)
    if not compared:
        again = any(why.endswith(records.AGAIN) for why in left_out.values())
        raise DataError(
            f"{a} and {b} have no score that can be compared example by example: {'; '.join(dict.fromkeys(left_out.values()))}",
            remedy=None if again else "texts that were cut up in other ways are compared by the intervals of their bits per byte",
        )
    pairs = list(zip(first.answers, second.answers, strict=True))
    same_answers = sum(one.answer == other.answer for one, other in pairs) if pairs else None
    examples = len(next(iter(first.measurements.values())).statistics)
    return Comparison(a, b, first.name, examples, same_answers, compared, left_out)


def _why_not(name: str, first: Evaluated, second: Evaluated) -> str:
    """Why a score of the first run cannot be set against that of the second; empty where it can."""
    one, other = first.measurements[name], second.measurements.get(name)
    if other is None:
        return "one run lacks it"
    if name in OF_TOKENS:
        if not (first.tokenizer and second.tokenizer):
            return f"an evaluation does not tell its tokenizer: {records.AGAIN}"
        if first.tokenizer != second.tokenizer:
            return "the tokenizers differ, and so do the tokens"
        if first.noise != second.noise:
            return "other tokens were hidden: noise differs"
        if not np.array_equal(one.statistics[:, 1], other.statistics[:, 1]):
            return "the texts were cut into other tokens"
    if one.formula != other.formula:
        return f"they were computed in different ways: {records.AGAIN}"
    # Other references (of other preprocessing) make another score of it. Decisions are as many as a text has.
    same = name != "paper_bleu" or first.paper_references == second.paper_references
    width = isinstance(one.score_function, DrawFunction) or one.statistics.shape[1] == other.statistics.shape[1]
    return "" if same and width and len(one.statistics) == len(other.statistics) else "it was measured in another way"


def _check_same_examples(a: Path, b: Path, first: Evaluated, second: Evaluated) -> None:
    remedy = "evaluate both runs on the same set"
    if first.task != second.task:
        raise DataError(f"{a} is a run of {first.task} and {b} of {second.task}", remedy="compare runs of one task")
    if not first.answers and first.data != second.data:
        raise DataError(f"{a} and {b} were scored on different files", remedy=remedy)
    if len(first.answers) != len(second.answers):
        raise DataError(f"{a} was scored on {len(first.answers)} examples and {b} on {len(second.answers)}", remedy=remedy)
    for number, (one, other) in enumerate(zip(first.answers, second.answers, strict=True), start=1):
        for what in ("reference", "source"):
            if getattr(one, what) != getattr(other, what):
                raise DataError(f"{a} and {b} have different {what}s, first at example {number}", remedy=remedy)


def print_comparison(comparison: Comparison, first: Evaluated, second: Evaluated, console: Console) -> None:
    """The comparison as people read it."""
    console.print(Rule(Text("A against B", style="bold")))
    for name, run in (("A", comparison.run_a), ("B", comparison.run_b)):
        console.print(Text(f"{name} = {visible(str(run))}"), soft_wrap=True)
    agreement = f"{comparison.examples:,} rows of text"
    if comparison.same_answers is not None:
        agreement = f"{comparison.same_answers:,} of {comparison.examples:,} answers are the same"
    console.print(Text(f"{comparison.data}; {agreement}"))
    console.print(_table(comparison))
    for metric in comparison.metrics.values():
        console.print(Text(metric.verdict(), style="bold"), soft_wrap=True)
    for why in dict.fromkeys(comparison.left_out.values()):
        labels = ", ".join(label for label, reason in comparison.left_out.items() if reason == why)
        console.print(Text(f"Not compared: {labels} ({why})", style="yellow"), soft_wrap=True)
    test = next(iter(comparison.metrics.values())).test
    console.print(
        Text(
            f"Paired bootstrap (Koehn 2004), {test.samples:,} samples, seed {test.seed}, {100 * test.confidence:g} % intervals."
            " It weighs the choice of test examples, not the luck of a training seed: for a claim about a method, train several"
            " seeds.",
            style="dim",
        )
    )
    _print_changes(first, second, console)


def _table(comparison: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("score", "A", "B", "B − A", "interval", "p"):
        table.add_column(heading, justify="left" if heading == "score" else "right")
    for metric in comparison.metrics.values():
        test = metric.test
        places = metric.decimals
        score_a, score_b = f"{test.score_b:.{places}f}", f"{test.score_a:.{places}f}"  # the test is B − A: its first side is B
        style = "dim" if test.is_noise else "green" if metric.better == "B" else "red"
        interval = f"{test.low:+.{places}f} … {test.high:+.{places}f}"
        change = Text(f"{test.difference:+.{places}f}", style=style)
        table.add_row(Text(metric.label), score_a, score_b, change, interval, f"{test.p_value:.3f}")
    return table


def _print_changes(first: Evaluated, second: Evaluated, console: Console) -> None:
    """The examples in which the runs differ most, each way."""
    one, other = first.of_one_example(), second.of_one_example()
    if not first.answers or one is None or other is None or one.name != other.name:
        return
    scores = np.stack((one.sentence_scores(), other.sentence_scores()))
    gains = (scores[1] - scores[0]) * (1 if one.higher_is_better else -1)
    order = sorted(range(len(gains)), key=lambda index: (-gains[index], index))
    better_b = [index for index in order if gains[index] > 0][:SHOWN_CHANGES]
    better_a = [index for index in reversed(order) if gains[index] < 0][:SHOWN_CHANGES]
    for heading, places in (("B better than A", better_b), ("A better than B", better_a)):
        if places:
            console.print(Rule(Text(f"{heading}, by {one.label}")))
        for place in places:
            console.print(_change(first.answers[place], second.answers[place], one.label, scores[:, place]))
            console.print()


def _change(first: AnswerRecord, second: AnswerRecord, label: str, scores: Sequence[float] | np.ndarray) -> Table:
    """Source, reference and both answers to one example, below each other."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", justify="right", width=6)
    grid.add_column(overflow="fold")
    parts = {"source": first.source, "wanted": first.reference, "A": first.answer, "B": second.answer}
    for name, text in parts.items():
        grid.add_row(Text(name), shown_text(text))
    grid.add_row(Text(""), Text(f"{visible(first.place)}: {label} {scores[0]:.1f} → {scores[1]:.1f}", style="dim"))
    return grid
