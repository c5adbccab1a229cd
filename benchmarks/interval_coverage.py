"""How often do the intervals hold the truth? Test sets are drawn from made populations whose scores are known.

    python benchmarks/interval_coverage.py --out docs/intervals.md     # about 20 minutes on one core

Each population is 100,000 examples with the figures that a score is computed from, made to look like those of real models:
sentences of unequal length and difficulty, labels of unequal frequency, errors that come together. A trial draws a test set of
N examples, takes its 95 % interval by the function that `headway evaluate` or `headway compare` uses, and looks whether the
score of the population is inside.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headway.evaluation.distributions import wilson
from headway.evaluation.formulas import FORMULAS, SHARES, score_of
from headway.evaluation.intervals import effective_size, score_interval
from headway.evaluation.label_scores import one_label_scores
from headway.evaluation.paired import paired_bootstrap

EXAMPLES = 100_000
MARK = re.compile(r"(?<=<!-- coverage -->\n).*?(?=\n<!-- /coverage -->)", re.DOTALL)


@dataclass(frozen=True)
class Population:
    """What a score is measured on; with `other` it is the difference from a second system on the same examples."""

    name: str
    formula: str
    statistics: np.ndarray
    other: np.ndarray | None = None

    def truth(self) -> float:
        function = FORMULAS[self.formula]
        truth = score_of(function, self.statistics)
        return truth if self.other is None else truth - score_of(function, self.other)

    def interval(self, drawn: np.ndarray, seed: int) -> tuple[float, float]:
        some = self.statistics[drawn]
        if self.other is None:
            found = score_interval(some, self.formula, seed=seed)
            return found.low, found.high
        difference = paired_bootstrap(some, self.other[drawn], FORMULAS[self.formula], seed=seed)
        return difference.low, difference.high


@dataclass(frozen=True)
class PartOfLabels(Population):
    """One label of a classifier or kind of entity, whose row in the table has an interval of its own."""

    def interval(self, drawn: np.ndarray, seed: int) -> tuple[float, float]:
        share = SHARES[self.formula]
        parts = share.parts(self.statistics[drawn])
        right, of = parts.sum(0)
        size = effective_size(parts) if parts[:, 1].max() > 1 else of
        if not size:
            return 0.0, 100.0  # nothing is said
        low, high = wilson(right / of, size, 0.95)
        return 100 * share.value(low), 100 * share.value(high)


@dataclass(frozen=True)
class Coverage:
    population: Population
    examples: int
    truth: float
    held: float  # share of trials
    width: float  # mean


def measure(population: Population, examples: int, trials: int) -> Coverage:
    """The share of trials whose interval holds the truth; the same for the same arguments."""
    chance = np.random.default_rng([examples, trials])
    truth, held, width = population.truth(), 0, 0.0
    for trial in range(trials):
        low, high = population.interval(chance.integers(0, len(population.statistics), examples), trial)
        held += low - 1e-9 <= truth <= high + 1e-9
        width += high - low
    return Coverage(population, examples, truth, held / trials, width / trials)


# ---- populations ---------------------------------------------------------------------------------------------------


def with_ones(values: np.ndarray) -> np.ndarray:
    return np.stack((values, np.ones(len(values))), 1).astype(np.float64)


def shares(chance: np.random.Generator) -> Iterator[Population]:
    """Of right answers: accuracy, exact match; of words in sentences of unequal difficulty; of partly right answers."""
    for share in (0.5, 0.9, 0.97):
        yield Population(f"accuracy {100 * share:g} %", "share", with_ones(chance.random(EXAMPLES) < share))
    words = chance.integers(3, 30, EXAMPLES)
    right = chance.binomial(words, chance.beta(9, 1, EXAMPLES))
    yield Population("tag accuracy, words of a sentence alike", "share", np.stack((right, words), 1))
    partly = np.where(chance.random(EXAMPLES) < 0.5, chance.beta(2, 2, EXAMPLES), chance.random(EXAMPLES) < 0.6)
    yield Population("F1 of answers (SQuAD), ROUGE", "share", with_ones(partly))


def entities(chance: np.random.Generator, ability: np.ndarray, gold: np.ndarray) -> np.ndarray:
    right = chance.binomial(gold, ability)
    return np.stack((right, chance.poisson(0.35 * gold), gold - right), 1).astype(np.float64)


def means(chance: np.random.Generator) -> Iterator[Population]:
    tokens = chance.integers(5, 40, EXAMPLES)
    losses = np.stack((chance.lognormal(1, 0.5, EXAMPLES) * tokens, tokens), 1)
    yield Population("loss of a token", "mean", losses)
    yield Population("perplexity", "exponential_mean", losses)
    yield Population("mean of a skewed figure (log-normal)", "mean", with_ones(chance.lognormal(0, 1, EXAMPLES)))
    found, gold = chance.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], EXAMPLES).T
    yield Population("root of the mean squared error", "root_mean", with_ones((found - gold) ** 2))
    moments = np.stack((np.ones(EXAMPLES), found, gold, found**2, gold**2, found * gold), 1)
    yield Population("Pearson's r", "pearson", moments)
    yield Population("Spearman's ρ", "spearman", np.stack((found, gold), 1)[: EXAMPLES // 5])


def translations(chance: np.random.Generator, ability: np.ndarray, words: np.ndarray) -> dict[str, np.ndarray]:
    """The sums of BLEU, chrF and TER of hypotheses whose n-grams are right with a chance that falls with their order."""
    references = np.maximum(3, words + chance.integers(-3, 4, len(words)))
    totals = [np.maximum(words - order, 0) for order in range(4)]
    right = [chance.binomial(total, ability ** (1 + 0.6 * order)) for order, total in enumerate(totals)]
    characters = []
    for order in range(6):
        ours, theirs = np.maximum(5 * words - order, 0), np.maximum(5 * references - order, 0)
        characters += [ours, theirs, chance.binomial(np.minimum(ours, theirs), ability ** (0.5 + 0.3 * order))]
    edits = chance.binomial(references, 1 - ability)
    return {
        "bleu": np.stack((words, references, *right, *totals), 1).astype(np.float64),
        "chrf": np.stack(characters, 1).astype(np.float64),
        "ter": np.stack((edits, references), 1).astype(np.float64),
    }


def classified(chance: np.random.Generator, luck: np.ndarray, gold: np.ndarray, worse: float = 0.0) -> np.ndarray:
    """Labels chosen by a classifier that knows the commoner ones better."""
    knows = luck < np.array([0.9, 0.85, 0.8, 0.7, 0.7, 0.6])[gold] - worse
    return np.where(knows, gold, chance.integers(0, 6, len(gold)))


def calibration(chance: np.random.Generator, sharp: tuple[float, float], overconfident: float) -> np.ndarray:
    sure = chance.beta(*sharp, EXAMPLES)
    right = chance.random(EXAMPLES) < np.clip(sure - overconfident, 0, 1)
    return one_label_scores(np.zeros(EXAMPLES, dtype=np.int64), (~right).astype(np.int64), sure)["calibration"].statistics


def populations(seed: int = 1) -> Iterator[Population]:
    """Every kind of interval that an evaluation or a comparison shows."""
    chance = np.random.default_rng(seed)
    yield from shares(chance)
    gold_entities, ability = chance.poisson(1.2, EXAMPLES), chance.beta(3, 1.5, EXAMPLES)
    tagged = entities(chance, ability, gold_entities)
    yield from (Population(f"entity {name}", name, tagged) for name in ("precision", "recall", "f1"))
    yield from means(chance)
    words, quality = chance.integers(5, 30, EXAMPLES), chance.beta(4, 3, EXAMPLES)
    translated = translations(chance, quality, words)
    for name, label in (("bleu", "BLEU"), ("chrf", "chrF"), ("ter", "TER")):
        yield Population(label, name, translated[name])
    gold, luck = chance.choice(6, EXAMPLES, p=[0.4, 0.25, 0.15, 0.1, 0.07, 0.03]), chance.random(EXAMPLES)
    chosen = classified(chance, luck, gold)
    macro = one_label_scores(chosen, gold, np.full(EXAMPLES, 0.9))["macro_f1"].statistics
    yield Population("macro F1 of 6 labels, the rarest 3 %", "label_macro_f1", macro)
    for label, share in ((0, 40), (3, 10), (5, 3)):
        sums = np.stack(((chosen == label) & (gold == label), (chosen == label) & (gold != label)), 1)
        sums = np.concatenate((sums, ((chosen != label) & (gold == label))[:, None]), 1).astype(np.float64)
        for name in ("precision", "recall", "f1"):
            yield PartOfLabels(f"{name if name != 'f1' else 'F1'} of a label of {share} %", name, sums)
    yield PartOfLabels("F1 of a kind of entity", "f1", entities(chance, ability, chance.poisson(0.3, EXAMPLES)))
    for overconfident in (0.0, 0.05, 0.1):
        name = f"calibration error, {100 * overconfident:g} points too sure"
        yield Population(name, "calibration_error", calibration(chance, (5, 1.5), overconfident))
    yield from differences(chance)


def differences(chance: np.random.Generator) -> Iterator[Population]:
    """Of two systems that agree on most examples."""
    for only_a, only_b in ((0.10, 0.06), (0.03, 0.03), (0.04, 0.01)):
        fate = chance.choice(4, EXAMPLES, p=[0.8, only_a, only_b, 0.2 - only_a - only_b])
        name = f"difference of accuracies, {100 * (only_a + only_b):g} % differ by {100 * (only_a - only_b):g}"
        yield Population(name, "share", with_ones((fate == 0) | (fate == 1)), with_ones((fate == 0) | (fate == 2)))
    gold, ability = chance.poisson(1.2, EXAMPLES), chance.beta(3, 1.5, EXAMPLES)
    ours, theirs = (entities(chance, ability * worse, gold) for worse in (1.0, 0.95))
    yield Population("difference of entity F1", "f1", ours, theirs)
    words, quality = chance.integers(5, 30, EXAMPLES), chance.beta(4, 3, EXAMPLES)
    first, second = translations(chance, quality, words), translations(chance, quality**1.1, words)
    for name, label in (("bleu", "BLEU"), ("chrf", "chrF")):
        yield Population(f"difference of {label}", name, first[name], second[name])
    labels, luck = chance.choice(6, EXAMPLES, p=[0.4, 0.25, 0.15, 0.1, 0.07, 0.03]), chance.random(EXAMPLES)
    macro = [
        one_label_scores(classified(chance, luck, labels, worse), labels, np.full(EXAMPLES, 0.9))["macro_f1"].statistics
        for worse in (0.0, 0.05)
    ]
    yield Population("difference of macro F1", "label_macro_f1", *macro)
    tokens, base = chance.integers(5, 40, EXAMPLES), chance.lognormal(1, 0.5, EXAMPLES)
    losses = [np.stack((base * chance.lognormal(shift, 0.2, EXAMPLES) * tokens, tokens), 1) for shift in (0.0, 0.02)]
    yield Population("difference of losses", "mean", *losses)


# ---- the table -----------------------------------------------------------------------------------------------------


def row(name: str, of: Callable[[int], Coverage], sizes: list[int]) -> str:
    """One population at every size; what is outside 93–97 % stands out."""
    found = [of(size) for size in sizes]
    cells = [f"{100 * one.held:.1f}" if 0.93 <= one.held <= 0.97 else f"**{100 * one.held:.1f}**" for one in found]
    return f"| {name} | {found[0].truth:.4g} | {' | '.join(cells)} | {found[-1].width:.3g} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[30, 100, 300])
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--out", type=Path, help="a page whose table is replaced")
    arguments = parser.parse_args()
    sizes, trials = arguments.sizes, arguments.trials
    head = " | ".join(f"N = {size:,}" for size in sizes)
    lines = [f"| score | true value | {head} | mean width at N = {sizes[-1]:,} |", "|---|---:|" + "---:|" * (len(sizes) + 1)]
    print("\n".join(lines), flush=True)
    for one in populations():
        if arguments.only in one.name:
            lines.append(row(one.name, lambda size, one=one: measure(one, size, trials), sizes))
            print(lines[-1], flush=True)
    if arguments.out:
        page = arguments.out.read_text(encoding="utf-8")
        arguments.out.write_text(MARK.sub(lambda _: "\n".join(lines), page), encoding="utf-8")


if __name__ == "__main__":
    main()
