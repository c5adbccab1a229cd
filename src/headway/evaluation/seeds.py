"""Runs evaluated, and where a directory holds one for each of several seeds, what they have in common: mean ± deviation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from rich import box
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from headway.config import Split
from headway.evaluation import records
from headway.evaluation.confidence import calibrate_run
from headway.evaluation.distributions import t_quantile
from headway.evaluation.evaluate import DirectionsResult, EvaluationResult, evaluate_run
from headway.evaluation.formulas import bounds
from headway.evaluation.outcome import OutcomeResult
from headway.evaluation.records import FORMAT_VERSION, Record, ScoreRecord
from headway.training.run_directory import seed_runs
from headway.visible import visible

Result = EvaluationResult | DirectionsResult | OutcomeResult
CONFIDENCE = 0.95


class SeedScore(Record):
    """A score of every seed, in their order; the interval is that of its mean over seeds, by Student's t distribution."""

    label: str
    values: list[float]
    mean: float
    deviation: float  # of the sample
    low: float
    high: float
    formula: str | None
    higher_is_better: bool

    @classmethod
    def of(cls, scores: Sequence[ScoreRecord], label: str) -> SeedScore:
        values = [score.score for score in scores]
        middle, deviation = fmean(values), stdev(values)
        half = t_quantile((1 + CONFIDENCE) / 2, len(values) - 1) * deviation / math.sqrt(len(values))
        first = scores[0]
        least, most = bounds(first.formula) if first.formula else (-math.inf, math.inf)
        return cls(
            label=label,
            values=values,
            mean=middle,
            deviation=deviation,
            low=max(least, middle - half),
            high=min(most, middle + half),
            formula=first.formula,
            higher_is_better=first.higher_is_better,
        )


class SeedsRecord(Record):
    """What the seeds of one configuration have reached on one data set."""

    format_version: int = FORMAT_VERSION
    split: str
    seeds: list[int]
    confidence: float
    scores: dict[str, SeedScore]


def evaluate_all(run: Path, overrides: Sequence[str], console: Console, *, split: Split, calibrate: bool = False) -> list[Path]:
    """Evaluates a run, or each of the runs of several seeds and then sums them up; returns the runs.

    Args:
        calibrate: first fit the confidence of each on its validation set.

    Raises as `evaluate_run` and `calibrate_run` do.
    """
    seeds, results = seed_runs(run), []
    for one in seeds.values() or [run]:
        if calibrate:
            calibrate_run(one, overrides, console)
        result = evaluate_run(one, overrides, console, split=split)
        results.append(result)
    if len(seeds) > 1:
        record = summed_up(list(seeds), results, split)
        records.prepare(run)
        path = records.record_path(run, split)
        records.write_record(path, record)
        _print(record, run, console)
        console.print(f"Written: {path}", soft_wrap=True, markup=False, highlight=False)
    return list(seeds.values()) or [run]


def summed_up(seeds: Sequence[int], results: Sequence[Result], split: str) -> SeedsRecord:
    """The scores that all seeds have."""
    each = [_scores(result) for result in results]
    names = [name for name in each[0] if all(name in scores for scores in each)]
    scores = {name: SeedScore.of([some[name][1] for some in each], each[0][name][0]) for name in names}
    return SeedsRecord(split=split, seeds=list(seeds), confidence=CONFIDENCE, scores=scores)


def _scores(result: Result) -> dict[str, tuple[str, ScoreRecord]]:
    """Name → label and score; where there are several directions, of each."""
    if not isinstance(result, DirectionsResult):
        return {name: (score.label, score) for name, score in result.record.scores.items()}
    found: dict[str, tuple[str, ScoreRecord]] = {}
    for one in result.results:
        direction = f"{one.record.source_language}-{one.record.target_language}"
        found |= {f"{name}.{direction}": (f"{score.label} {direction}", score) for name, score in one.record.scores.items()}
    return found


def _print(record: SeedsRecord, run: Path, console: Console) -> None:
    console.print(Rule(Text(visible(f"{len(record.seeds)} seeds of {run}"), style="bold")))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("score", "mean ± deviation", f"{100 * record.confidence:g} % interval of the mean", "each"):
        table.add_column(heading, justify="left" if heading == "score" else "right")
    for score in record.scores.values():
        places = records.decimals(score.formula)
        middle = f"{score.mean:.{places}f} ± {score.deviation:.{places}f}"
        interval = f"{score.low:.{places}f} – {score.high:.{places}f}"
        each = ", ".join(f"{value:.{places}f}" for value in score.values)
        table.add_row(Text(score.label), Text(middle, style="bold"), Text(interval, style="cyan"), Text(each, style="dim"))
    console.print(table)
    told = (
        f"Seeds {', '.join(map(str, record.seeds))} on the {record.split} set. ± is the standard deviation over seeds. The "
        "interval is of the mean over all seeds that might have been taken, on these examples, by Student's t: unlike the "
        "intervals of each run it does not weigh the choice of examples."
    )
    console.print(Text(told, style="dim"))
