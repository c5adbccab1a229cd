"""Intervals: exact resampling, sacreBLEU's own draws, coverage, paired tests that find what is there and nothing else."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from headway.errors import DataError
from headway.evaluation import formulas, intervals, metrics
from headway.evaluation.distributions import wilson
from headway.evaluation.formulas import FORMULAS
from headway.evaluation.intervals import bootstrap_interval, effective_size, score_interval
from headway.evaluation.label_scores import calibration, one_label_scores
from headway.evaluation.paired import paired_bootstrap

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from interval_coverage import measure, populations

LESS_SURE = {"mean of a skewed figure (log-normal)", "accuracy 97 %"} | {
    f"calibration error, {points:g} points too sure" for points in (0, 5, 10)
}
WORDS = ["der", "die", "das", "ein", "eine", "Mann", "Frau", "Hund", "läuft", "spielt", "über", "im", "Park", "rot", "weit"]


def mean_of(statistics: np.ndarray) -> np.ndarray:
    """A score that is the mean of K = 1 figures; the second column counts the sentences."""
    return np.asarray(statistics[..., 0] / statistics[..., 1])


def column(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones(len(values), dtype=np.int64)], axis=1)


def translations(seed: int, share: float, lines: int = 200) -> tuple[list[str], list[str]]:
    """References, and hypotheses in which the given share of the words is replaced."""
    source = random.Random(seed)
    references = [source.choices(WORDS[:14], k=source.randint(4, 15)) for _ in range(lines)]
    hypotheses = [[source.choice(WORDS) if source.random() < share else word for word in line] for line in references]
    return [" ".join(line) for line in hypotheses], [" ".join(line) for line in references]


def test_each_resample_is_the_score_of_the_sentences_drawn() -> None:
    hypotheses, references = translations(1, 0.3, lines=30)
    drawn = np.random.default_rng(5).choice(30, size=(20, 30), replace=True)
    for measured in metrics.corpus_scores(hypotheses, references).values():
        resampled = intervals.resampled_scores(measured.statistics, measured.score_function, 20, seed=5)
        for row, score in zip(drawn, resampled, strict=True):
            again = metrics.corpus_scores([hypotheses[i] for i in row], [references[i] for i in row], names=[measured.name])
            assert score == pytest.approx(again[measured.name].score, abs=1e-9)


def test_the_draws_are_those_of_sacrebleu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SACREBLEU_SEED", "12345")
    hypotheses, references = translations(2, 0.3)
    theirs = BLEU().corpus_score(hypotheses, [references], n_bootstrap=1000)
    measured = metrics.bleu(hypotheses, references)
    resampled = np.sort(intervals.resampled_scores(measured.statistics, measured.score_function, 1000, seed=12345))
    assert resampled.mean() == pytest.approx(theirs._mean, abs=1e-6)
    assert (resampled[1000 - 25 - 1] - resampled[25]) / 2 == pytest.approx(theirs._ci, abs=1e-6)


def test_the_memory_bound_does_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = column(np.random.default_rng(0).integers(0, 100, size=37))
    whole = intervals.resampled_scores(statistics, mean_of, 101, seed=3)
    monkeypatch.setattr(intervals, "CHUNK_ELEMENTS", 100)
    np.testing.assert_array_equal(intervals.resampled_scores(statistics, mean_of, 101, seed=3), whole)
    assert not np.array_equal(intervals.resampled_scores(statistics, mean_of, 101, seed=4), whole)


def test_a_perfect_score_is_no_surer_than_a_share_of_so_many_examples() -> None:
    measured = metrics.bleu(["ein Mann läuft im Park"] * 200, ["ein Mann läuft im Park"] * 200)
    found = score_interval(measured.statistics, measured.formula)
    assert found.score == pytest.approx(100)
    assert found.high == found.score
    assert found.low == pytest.approx(100 * wilson(1.0, 200, 0.95)[0])
    worst = score_interval(metrics.bleu(["a b c d"] * 50, ["e f g h"] * 50).statistics, "bleu")
    assert (worst.score, worst.low) == (0, 0)
    assert 5 < worst.high < 10
    rare = one_label_scores(np.array([0] * 198 + [1, 2]), np.array([0] * 198 + [1, 2]), np.full(200, 0.9))["macro_f1"]
    unsure = score_interval(rare.statistics, rare.formula)
    assert unsure.score == 100
    assert unsure.low < 40  # two of the three labels stand on one text each
    long = score_interval(metrics.ter(["a b c d e f"] * 50, ["g"] * 50).statistics, "ter")
    assert long.low == long.high == long.score > 100


def test_what_is_left_out_is_left_out_whatever_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, gold = np.random.default_rng(2).integers(0, 4, (2, 300))
    measured = one_label_scores(chosen, gold, np.full(300, 0.5))["macro_f1"]
    once = formulas.scores_without(measured.score_function, measured.statistics)
    each = [measured.over(np.flatnonzero(np.arange(300) != left)) for left in range(300)]
    np.testing.assert_allclose(once, each)
    monkeypatch.setattr(formulas, "CHUNK_CELLS", 1000)
    np.testing.assert_allclose(formulas.scores_without(measured.score_function, measured.statistics)[0], np.mean(each), atol=1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random_state = np.random.default_rng(1)
    covered = 0
    for seed in range(300):
        found = bootstrap_interval(column(random_state.poisson(10, size=200)), mean_of, samples=300, seed=seed)
        assert found.low <= found.score <= found.high
        covered += found.low <= 10 <= found.high
    assert 0.90 <= covered / 300 <= 0.985


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    statistics = column(np.random.default_rng(0).integers(0, 100, size=500))
    narrow, wide = (bootstrap_interval(statistics, mean_of, confidence=share) for share in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert narrow.score == wide.score == statistics[:, 0].mean()


def test_one_sentence_has_an_interval_of_no_width() -> None:
    found = bootstrap_interval(column(np.array([7])), mean_of)
    assert (found.low, found.score, found.high) == (7.0, 7.0, 7.0)


def test_figures_too_small_to_be_cubed_have_an_interval() -> None:
    found = bootstrap_interval(column(np.array([0.0, 0.0, 1e-120, 3e-120])), mean_of, samples=50)
    assert 0 <= found.low <= found.score <= found.high


def test_the_paired_test_finds_a_real_difference() -> None:
    better, references = translations(3, 0.2)
    worse, _ = translations(3, 0.35)
    a, b = metrics.bleu(better, references), metrics.bleu(worse, references)
    found = paired_bootstrap(a.statistics, b.statistics, a.score_function)
    assert found.difference == pytest.approx(a.score - b.score)
    assert found.difference > 3
    assert found.p_value < 0.01
    assert found.low > 0
    assert found.wins > 0.99
    assert not found.is_noise
    mirrored = paired_bootstrap(b.statistics, a.statistics, a.score_function)
    assert mirrored.p_value == found.p_value
    assert mirrored.high == pytest.approx(-found.low)


def test_a_system_against_itself_is_noise() -> None:
    measured = metrics.chrf(*translations(4, 0.3))
    found = paired_bootstrap(measured.statistics, measured.statistics, measured.score_function)
    assert (found.difference, found.low, found.high, found.p_value, found.is_noise) == (0.0, 0.0, 0.0, 1.0, True)


def test_two_equally_good_systems_are_called_different_about_one_time_in_twenty() -> None:
    random_state = np.random.default_rng(2)
    alarms = 0
    for seed in range(200):
        a, b = (column(random_state.poisson(10, size=150)) for _ in range(2))
        alarms += not paired_bootstrap(a, b, mean_of, samples=200, seed=seed).is_noise
    assert 1 <= alarms <= 22


def test_unequal_or_empty_statistics_are_refused() -> None:
    with pytest.raises(DataError, match="3 and 4 sentences"):
        paired_bootstrap(column(np.arange(3)), column(np.arange(4)), mean_of)
    with pytest.raises(DataError, match="no sentences"):
        bootstrap_interval(np.zeros((0, 2), dtype=np.int64), mean_of)
    with pytest.raises(DataError, match="confidence"):
        bootstrap_interval(column(np.arange(3)), mean_of, confidence=1.0)


def test_a_share_without_an_error_has_an_interval_that_allows_some() -> None:
    found = score_interval(column(np.ones(50, dtype=np.int64)), "share")
    assert (found.score, found.high) == (100, pytest.approx(100))
    assert found.low == pytest.approx(100 * 50 / (50 + 1.959964**2), abs=0.01)


def test_words_of_a_sentence_that_are_alike_count_less() -> None:
    alike = np.array([[10, 10], [0, 10]] * 20)
    mixed = np.array([[5, 10]] * 40)
    mixed[::2, 0], mixed[1::2, 0] = 6, 4
    wide, narrow = (score_interval(statistics, "share") for statistics in (alike, mixed))
    assert wide.score == narrow.score == 50
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert effective_size(alike.astype(float)) == pytest.approx(39)


def test_the_interval_of_f1_is_that_of_its_share() -> None:
    sums = np.array([[1, 0, 0]] * 30 + [[0, 1, 0]] * 10 + [[0, 0, 1]] * 20, dtype=np.int64)
    f1, shares = score_interval(sums, "f1"), score_interval(np.stack((sums[:, 0], sums.sum(1)), 1), "share")
    assert f1.score == pytest.approx(200 * 30 / 90)
    assert f1.low == pytest.approx(100 * 2 * shares.low / (100 + shares.low))


def test_the_bootstrap_leans_to_where_the_skewed_tail_is() -> None:
    values = np.random.default_rng(3).lognormal(0, 1, 200)
    statistics = np.stack((values, np.ones(200)), 1)
    found = bootstrap_interval(statistics, FORMULAS["mean"])
    resampled = intervals.resampled_scores(statistics, FORMULAS["mean"], 1000, 12345)
    low, high = np.quantile(resampled, [0.025, 0.975])
    assert found.high > high
    assert found.low > low


def test_a_calibrated_model_may_have_no_calibration_error() -> None:
    random_state = np.random.default_rng(0)
    sure = random_state.beta(5, 1.5, 300)
    right = random_state.random(300) < sure
    fair = score_interval(calibration(right, sure, np.arange(300), 300).statistics, "calibration_error")
    assert fair.low == 0 < fair.score  # the plain score of a small set is never 0
    worse = score_interval(calibration(right, sure**0.3, np.arange(300), 300).statistics, "calibration_error")
    assert worse.low > 3
    assert worse.low < worse.score <= worse.high


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_interval_covers_the_truth_as_docs_say() -> None:
    """93 to 97 % of the time at 300 examples; what does not keep to it is said in docs/intervals.md. 5 minutes."""
    outside = {}
    for population in populations():
        found = measure(population, 300, trials=600)
        low, high = (0.90, 1.0) if population.name in LESS_SURE else (0.93, 0.97)
        spare = 2 * (0.95 * 0.05 / 600) ** 0.5  # of so many trials
        if not low - spare <= found.held <= high + spare:
            outside[population.name] = found.held
    assert outside == {}
