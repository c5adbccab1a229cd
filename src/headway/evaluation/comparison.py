"""Evaluated runs on the same examples, each against the first: is the difference noise, and where does it lie?

It reads what `evaluate_run` saved; nothing is answered again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np

from headway.errors import DataError, UsageError
from headway.evaluation import records
from headway.evaluation.evaluated import OF_ONE_EXAMPLE, Evaluated, kinds_of, load_evaluated, on_common_kinds
from headway.evaluation.formulas import DECIMALS, DrawFunction
from headway.evaluation.outcome_record import AnswerRecord
from headway.evaluation.paired import PairedDifference, approximate_randomisation, holm, paired_bootstrap
from headway.evaluation.run_differences import RunDifferences, run_differences

KEPT_CHANGES = 20
OF_TOKENS = ("loss", "perplexity", "bits_per_byte")  # each of their rows is so many tokens


@dataclass(frozen=True)
class MetricComparison:
    """One metric of both runs; the difference is B − A.

    Attributes:
        test: the paired bootstrap.
        p_randomised: of approximate randomisation.
        p_value: the larger of the two, corrected where several runs are compared with the first.
    """

    label: str
    signature: str
    higher_is_better: bool
    decimals: int
    test: PairedDifference
    p_randomised: float
    p_value: float
    letter: str = "B"  # what the second run is called

    @property
    def better(self) -> str | None:
        """``A``, ``B``, or None for equal scores."""
        if self.test.difference == 0:
            return None
        return self.letter if (self.test.difference > 0) == self.higher_is_better else "A"

    @property
    def is_noise(self) -> bool:
        """Whether so large a difference is to be expected from the choice of the test sentences alone, by either test."""
        return self.p_value >= 1 - self.test.confidence

    def verdict(self) -> str:
        """Whether the difference is noise, in plain words."""
        if self.better is None:
            return f"{self.label}: A and {self.letter} score the same."
        smallest = max(self.test.p_value, self.p_randomised) <= 2 / (self.test.samples + 1)
        chance = f"p {'≤' if smallest else '='} {self.p_value:.3f}"
        lead = f"{self.label}: {self.better} is better by {abs(self.test.difference):.{self.decimals}f}; "
        if self.is_noise:
            return lead + f"this may well be noise ({chance}): other test sentences could turn it round."
        return lead + f"this is hardly noise ({chance})."


@dataclass(frozen=True)
class Change:
    """One example that the runs answer differently well; a language model has rows of text, and no answers."""

    place: str
    source: str
    reference: str
    answer_a: str
    answer_b: str
    score_a: float
    score_b: float


@dataclass(frozen=True)
class ByExample:
    """On how many examples each run is better by one score, and the examples that changed most, the largest change first."""

    label: str
    better_a: int
    better_b: int
    same: int
    for_a: list[Change]
    for_b: list[Change]


@dataclass(frozen=True)
class Comparison:
    """Run B against run A on the same examples; `left_out` tells why some scores cannot be set against each other."""

    run_a: Path
    run_b: Path
    letter: str  # what run B is called: B, or C and so on where there are several
    data: str  # split, and direction of a translator
    examples: int
    same_answers: int | None
    metrics: dict[str, MetricComparison]
    left_out: dict[str, str]
    by_example: ByExample | None
    differences: RunDifferences
    runs: int = 2  # that are compared, the first with each of the others

    def as_json(self) -> dict[str, Any]:
        found = asdict(self) | {"run_a": str(self.run_a), "run_b": str(self.run_b)}
        for name, metric in self.metrics.items():
            told = found["metrics"][name]
            told |= {"better": metric.better, "is_noise": metric.is_noise}
            test = told["test"]  # of B against A: what it calls A is our run B
            test["score_a"], test["score_b"], test["wins_b"] = test["score_b"], test["score_a"], test.pop("wins")
        return found


def compare_runs(
    runs: Sequence[Path], *, split: str = "test", samples: int = 1000, confidence: float = 0.95, seed: int = 12345
) -> list[Comparison]:
    """The first run against each of the others: paired bootstrap and approximate randomisation over their saved answers.

    Where the runs translate in several directions, each that both have is compared. Where there are several others, the
    p-values of each score are corrected by Holm's method.

    Raises:
        UsageError: there are fewer than two runs, or more than there are letters.
        DataError: a run has not been evaluated, or the runs were scored on different examples.
    """
    if not 2 <= len(runs) <= len(ascii_uppercase):
        several = "runs" if len(runs) > 1 else "run"
        remedy = "name two or more: headway compare RUN_A RUN_B"
        raise UsageError(f"{len(runs)} {several} cannot be compared", remedy=remedy)
    first = load_evaluated(runs[0], split)
    found = []
    for letter, run in zip(ascii_uppercase[1:], runs[1:], strict=False):
        second = load_evaluated(run, split)
        ours, theirs = ({split: some[0].data} if len(some) == 1 else {} for some in (first, second))
        differences = run_differences(runs[0], run, (ours, theirs))
        for one, other in _pairs_of((runs[0], first), (run, second)):
            compared = _compare((runs[0], run), one, other, letter, (samples, confidence, seed), differences)
            found.append(replace(compared, runs=len(runs)))
    return _corrected(found)


def _corrected(comparisons: list[Comparison]) -> list[Comparison]:
    """With the p-values of each score and data set corrected for the number of runs that are held against the first."""
    families = defaultdict(list)
    for place, comparison in enumerate(comparisons):
        for name in comparison.metrics:
            families[comparison.data, name].append(place)
    metrics = [dict(comparison.metrics) for comparison in comparisons]
    for (_, name), places in families.items():
        for place, p_value in zip(places, holm([metrics[place][name].p_value for place in places]), strict=True):
            metrics[place][name] = replace(metrics[place][name], p_value=p_value)
    return [replace(comparison, metrics=some) for comparison, some in zip(comparisons, metrics, strict=True)]


def _pairs_of(a: tuple[Path, list[Evaluated]], b: tuple[Path, list[Evaluated]]) -> list[tuple[Evaluated, Evaluated]]:
    """What is to be set against each other. Raises DataError where nothing is."""
    (run_a, first), (run_b, second) = a, b
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    theirs = {one.name: one for one in second}
    both = [(one, theirs[one.name]) for one in first if one.name in theirs]
    if not both:
        ours, others = (", ".join(one.name for one in several) for several in (first, second))
        problem = f"{run_a} was evaluated on {ours} and {run_b} on {others}"
        raise DataError(problem, remedy="compare runs with a common direction")
    return both


def _compare(
    runs: tuple[Path, Path],
    first: Evaluated,
    second: Evaluated,
    letter: str,
    bootstrap: tuple[int, float, int],
    differences: RunDifferences,
) -> Comparison:
    (a, b), (samples, _, seed) = runs, bootstrap
    _check_same_examples(a, b, first, second)
    compared, left_out = {}, {}
    for name, one in first.measurements.items():
        if why := _why_not(name, first, second):
            left_out[one.label] = why
            continue
        other = second.measurements[name]
        if name.startswith("macro_") and kinds_of(first.record) != kinds_of(second.record):
            one, other = on_common_kinds(first, second, name)
        both = other.statistics, one.statistics, one.score_function
        test, p_randomised = paired_bootstrap(*both, *bootstrap), approximate_randomisation(*both, samples, seed)
        p_value, places = max(test.p_value, p_randomised), DECIMALS.get(one.formula, 2)
        compared[name] = MetricComparison(
            one.label, one.signature, one.higher_is_better, places, test, p_randomised, p_value, letter
        )
    if not compared:
        again = any(why.endswith(records.AGAIN) for why in left_out.values())
        raise DataError(
            f"{a} and {b} have no score that can be compared example by example: {'; '.join(dict.fromkeys(left_out.values()))}",
            remedy=None if again else "texts that were cut up in other ways are compared by the intervals of their bits per byte",
        )
    pairs = list(zip(first.answers, second.answers, strict=True))
    same_answers = sum(one.answer == other.answer for one, other in pairs) if pairs else None
    examples = len(next(iter(first.measurements.values())).statistics)
    changes = _by_example(first, second, compared)
    return Comparison(a, b, letter, first.name, examples, same_answers, compared, left_out, changes, differences)


def _by_example(first: Evaluated, second: Evaluated, compared: Collection[str]) -> ByExample | None:
    """Wins, losses and ties by the score that tells most of one example, where there is such a score."""
    name = next((name for name in (*OF_ONE_EXAMPLE, "loss") if name in compared), None)
    if name is None:
        return None
    one, other = first.measurements[name], second.measurements[name]
    scores = np.stack((one.sentence_scores(), other.sentence_scores()))
    gains = (scores[1] - scores[0]) * (1 if one.higher_is_better else -1)
    better_a, better_b = int((gains < 0).sum()), int((gains > 0).sum())

    def largest(losses: np.ndarray, count: int) -> list[Change]:
        places = np.argsort(losses, kind="stable")[: min(KEPT_CHANGES, count)].tolist() if first.answers else []
        return [_change(first.answers[place], second.answers[place], scores[:, place]) for place in places]

    same = len(gains) - better_a - better_b
    return ByExample(one.label, better_a, better_b, same, largest(gains, better_a), largest(-gains, better_b))


def _change(first: AnswerRecord, second: AnswerRecord, scores: np.ndarray) -> Change:
    return Change(first.place, first.source, first.reference, first.answer, second.answer, *map(float, scores))


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
    any_width = name.startswith("macro_") or isinstance(one.score_function, DrawFunction)
    width = any_width or one.statistics.shape[1] == other.statistics.shape[1]
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
        for what in ("reference", "references", "source"):
            if getattr(one, what) != getattr(other, what):
                problem = f"{a} and {b} have different {what.removesuffix('s')}s, first at example {number}"
                raise DataError(problem, remedy=remedy)
