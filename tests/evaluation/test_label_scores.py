"""Scores of labels against scikit-learn, and the properties that the bootstrap needs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headway.data.labelled import LARGEST_NUMBER, Labelled
from headway.data.labels import Labels
from headway.evaluation import formulas
from headway.evaluation.distributions import wilson
from headway.evaluation.formulas import label_sums
from headway.evaluation.intervals import bootstrap_interval
from headway.evaluation.label_scores import kind_scores, number_scores, one_label_scores, rows_of_kinds, several_label_scores
from headway.evaluation.labels import _surest_wrong, _tables
from headway.evaluation.paired import paired_bootstrap
from headway.inference.labelling import label_answers, label_scores

sklearn_metrics = pytest.importorskip("sklearn.metrics")
RANDOM = np.random.default_rng(1)


def test_one_label_agrees_with_scikit_learn() -> None:
    gold, chosen = RANDOM.integers(0, 4, 200), RANDOM.integers(0, 4, 200)
    chosen[:80] = gold[:80]
    found = one_label_scores(chosen, gold, np.full(200, 0.7))
    expected = sklearn_metrics.precision_recall_fscore_support(gold, chosen, average="macro", zero_division=0)[:3]
    assert [found[f"macro_{name}"].score for name in ("precision", "recall", "f1")] == pytest.approx([100 * x for x in expected])
    assert found["accuracy"].score == pytest.approx(100 * sklearn_metrics.accuracy_score(gold, chosen))
    rows = rows_of_kinds(kind_scores(label_sums(found["macro_f1"].statistics, np.ones((1, 200)), 4)[0], "abcd", 0.95))
    each = sklearn_metrics.precision_recall_fscore_support(gold, chosen, zero_division=0)
    for number, (name, *figures, texts) in enumerate(rows):
        assert (name, texts) == ("abcd"[number], str(each[3][number]))
        assert [figure.split(" ")[0] for figure in figures] == [f"{100 * each[column][number]:.1f}" for column in range(3)]


def test_labels_that_nobody_has_do_not_count() -> None:
    found = one_label_scores(np.array([0, 1, 1]), np.array([0, 1, 0]), np.ones(3))
    expected = sklearn_metrics.f1_score([0, 1, 0], [0, 1, 1], average="macro")
    assert found["macro_f1"].score == pytest.approx(100 * expected)


def test_several_labels_agree_with_scikit_learn() -> None:
    gold, chosen = RANDOM.random((150, 5)) < 0.3, RANDOM.random((150, 5)) < 0.3
    found = several_label_scores(chosen, gold)
    for kind in ("micro", "macro"):
        expected = sklearn_metrics.precision_recall_fscore_support(gold, chosen, average=kind, zero_division=0)[:3]
        assert [found[f"{kind}_{name}"].score for name in ("precision", "recall", "f1")] == pytest.approx(
            [100 * x for x in expected]
        )
    assert found["exact"].score == pytest.approx(100 * sklearn_metrics.accuracy_score(gold, chosen))


def test_numbers() -> None:
    gold = RANDOM.normal(size=80)
    guessed = gold + RANDOM.normal(size=80)
    found = number_scores(guessed, gold)
    assert found["pearson"].score == pytest.approx(np.corrcoef(guessed, gold)[0, 1])
    assert found["mae"].score == pytest.approx(sklearn_metrics.mean_absolute_error(gold, guessed))
    assert found["rmse"].score == pytest.approx(sklearn_metrics.mean_squared_error(gold, guessed) ** 0.5)
    large = number_scores(guessed * LARGEST_NUMBER, gold * LARGEST_NUMBER)
    assert large["pearson"].score == pytest.approx(found["pearson"].score)


def test_calibration_of_one_bin_is_the_gap() -> None:
    found = one_label_scores(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]), np.full(4, 0.95))
    assert found["calibration"].score == pytest.approx(100 * abs(0.75 - 0.95))
    perfect = one_label_scores(np.zeros(4, dtype=int), np.zeros(4, dtype=int), np.ones(4))
    assert perfect["calibration"].score == 0


def test_a_choice_of_texts_scores_as_if_it_stood_alone() -> None:
    gold, chosen = RANDOM.integers(0, 3, 60), RANDOM.integers(0, 3, 60)
    probability = RANDOM.random(60)
    some = RANDOM.integers(0, 60, 40)
    whole, part = one_label_scores(chosen, gold, probability), one_label_scores(chosen[some], gold[some], probability[some])
    for name, measurement in whole.items():
        assert measurement.over(some) == pytest.approx(part[name].score), name


def test_a_gold_label_that_the_model_does_not_know_is_a_class_that_is_always_missed() -> None:
    labels = Labels("one", ("a", "b"))
    examples = [Labelled("x", ("a",), 1), Labelled("y", ("zzz",), 2)]
    found = label_scores(torch.tensor([[9.0, 0.0], [9.0, 0.0]]), examples, labels)
    assert found["accuracy"].score == 50
    assert found["macro_f1"].score == pytest.approx(100 * sklearn_metrics.f1_score(["a", "zzz"], ["a", "a"], average="macro"))
    each, confusions = _tables(found, examples, labels, 0.95)
    assert each.rows[2] == ["zzz", "0.0", *["0.0 (0.0–79.3)"], f"0.0 (0.0–{200 * 0.7935 / 1.7935:.1f})", "1"]
    assert confusions.head == ["", "a", "b"]
    assert confusions.rows == [["a", "1", "0"], ["b", "0", "0"], ["zzz", "1", "0"]]


def test_one_of_several_gold_labels_that_the_model_does_not_know_is_missed() -> None:
    labels = Labels("several", ("a", "b"))
    examples = [Labelled("x", ("a", "zzz"), 1), Labelled("y", ("yyy",), 2), Labelled("z", ("b",), 3)]
    found = label_scores(torch.tensor([[9.0, -9.0], [-9.0, -9.0], [-9.0, 9.0]]), examples, labels)
    gold, chosen = [[1, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]], [[1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
    for kind in ("micro", "macro"):
        expected = 100 * sklearn_metrics.f1_score(gold, chosen, average=kind, zero_division=0)
        assert found[f"{kind}_f1"].score == pytest.approx(expected)
    assert found["exact"].score == pytest.approx(100 / 3)


def wide(chosen_NL: np.ndarray, gold_NL: np.ndarray) -> np.ndarray:
    """Whether each label of each text is right, wrong and missed, [N, 3 L]: what the bootstrap can do without."""
    return np.concatenate((chosen_NL & gold_NL, chosen_NL & ~gold_NL, ~chosen_NL & gold_NL), axis=1).astype(float)


@pytest.mark.parametrize("several", [False, True])
def test_decisions_score_as_a_table_of_all_labels_does(several: bool) -> None:
    if several:
        gold_NL, chosen_NL = RANDOM.random((120, 40)) < 0.05, RANDOM.random((120, 40)) < 0.05
        found = several_label_scores(chosen_NL, gold_NL)
    else:
        gold, chosen = RANDOM.integers(0, 40, (2, 120))
        chosen[:70] = gold[:70]
        found = one_label_scores(chosen, gold, np.ones(120))
        gold_NL, chosen_NL = gold[:, None] == np.arange(40), chosen[:, None] == np.arange(40)
    for name in ("precision", "recall", "f1"):
        measured = found[f"macro_{name}"]
        assert measured.statistics.shape[1] < 15
        expected = bootstrap_interval(wide(chosen_NL, gold_NL), formulas.FORMULAS[f"macro_{name}"])
        ours = bootstrap_interval(measured.statistics, measured.score_function)
        assert [ours.score, ours.low, ours.high] == pytest.approx([expected.score, expected.low, expected.high], rel=1e-13)


def test_decisions_of_other_widths_are_paired() -> None:
    gold = RANDOM.random((80, 6)) < 0.3
    few, many = several_label_scores(np.zeros_like(gold), gold)["macro_f1"], several_label_scores(~gold, gold)["macro_f1"]
    assert few.statistics.shape[1] < many.statistics.shape[1] == 6
    assert paired_bootstrap(few.statistics, many.statistics, few.score_function).difference == 0
    nothing = several_label_scores(np.zeros_like(gold), np.zeros_like(gold))["macro_f1"]
    assert bootstrap_interval(nothing.statistics, nothing.score_function).high == 0


def test_each_label_has_the_interval_of_its_own_share() -> None:
    """Precision, recall and the share of F1 are shares of texts, each of which counts once."""
    sums = np.array([[30.0, 10.0, 20.0], [5.0, 0.0, 0.0], [0.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    rows = rows_of_kinds(kind_scores(sums, "abcd", 0.95))
    low, high = wilson(30 / 60, 60, 0.95)
    shown = [f"{100 * 2 * end / (1 + end):.1f}" for end in (low, high)]
    assert rows[0][1:] == ["75.0 (59.8–85.8)", "60.0 (46.2–72.4)", f"66.7 ({shown[0]}–{shown[1]})", "50"]
    assert rows[1][1] == "100.0 (56.6–100.0)"
    assert rows[2][1:3] == ["0.0", "0.0 (0.0–49.0)"]  # it was never chosen, so that nothing is known of its precision
    assert rows[3] == ["d", "0.0", "0.0", "0.0", "0"]  # nowhere


def test_entities_of_one_sentence_are_worth_less_than_as_many_of_several() -> None:
    alone = np.repeat(np.array([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]]), 50, axis=0)
    together = np.repeat(np.array([[[5.0, 0.0, 0.0]], [[0.0, 5.0, 0.0]]]), 10, axis=0)
    of_alone, of_together = (rows_of_kinds(kind_scores(parts.sum(0), "a", 0.95, parts))[0][1] for parts in (alone, together))
    assert of_alone == "50.0 (40.3–59.7)"
    assert of_together == "50.0 (29.5–70.5)"  # as of 19 entities


def test_several_labels_in_another_order_are_right() -> None:
    labels = Labels("several", ("person", "time", "place"))
    logits = torch.tensor([[9.0, 9.0, -9.0], [1.0, -9.0, -9.0], [-2.0, -2.0, -2.0]])
    examples = [Labelled(str(line), gold, line) for line, gold in enumerate([("time", "person"), ("place",), ("time",)], 1)]
    wrong = _surest_wrong(examples, label_answers(logits, labels))
    assert [(one.line, one.problem) for one in wrong] == [
        (3, "wanted time, got no label, 88% sure"), (2, "wanted place, got person, 73% sure"),
    ]  # fmt: skip
