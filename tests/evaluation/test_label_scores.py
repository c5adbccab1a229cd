"""Scores of labels against scikit-learn, and the properties that the bootstrap needs."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from headway.data.labelled import LARGEST_NUMBER, Labelled
from headway.data.labels import Labels
from headway.evaluation import formulas
from headway.evaluation.formulas import DrawFunction, label_sums
from headway.evaluation.intervals import bootstrap_interval, paired_bootstrap
from headway.evaluation.label_scores import kind_scores, number_scores, one_label_scores, rows_of_kinds, several_label_scores
from headway.evaluation.labels import _surest_wrong, _tables
from headway.inference.labelling import label_answers, label_scores

sklearn_metrics = pytest.importorskip("sklearn.metrics")
RANDOM = np.random.default_rng(1)
BOOTSTRAP = (300, 0.95, 12345)


def test_one_label_agrees_with_scikit_learn() -> None:
    gold, chosen = RANDOM.integers(0, 4, 200), RANDOM.integers(0, 4, 200)
    chosen[:80] = gold[:80]
    found = one_label_scores(chosen, gold, np.full(200, 0.7))
    expected = sklearn_metrics.precision_recall_fscore_support(gold, chosen, average="macro", zero_division=0)[:3]
    assert [found[f"macro_{name}"].score for name in ("precision", "recall", "f1")] == pytest.approx([100 * x for x in expected])
    assert found["accuracy"].score == pytest.approx(100 * sklearn_metrics.accuracy_score(gold, chosen))
    by_label = DrawFunction(partial(label_sums, labels=4))
    rows = rows_of_kinds(kind_scores(found["macro_f1"].statistics, by_label, "abcd", BOOTSTRAP))
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
    each, confusions = _tables(found, examples, labels, BOOTSTRAP)
    assert each.rows[2] == ["zzz", *["0.0 (0.0–0.0)"] * 3, "1"]
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


def test_each_label_has_the_interval_of_its_own_score(monkeypatch: pytest.MonkeyPatch) -> None:
    gold, chosen = RANDOM.integers(0, 3, (2, 90))
    statistics, by_label = one_label_scores(chosen, gold, np.ones(90))["macro_f1"].statistics, partial(label_sums, labels=4)
    rows = rows_of_kinds(kind_scores(statistics, DrawFunction(by_label), "abcd", BOOTSTRAP))
    for number in range(3):
        sums = wide(chosen[:, None] == number, gold[:, None] == number)
        for column, function in enumerate((formulas.precision, formulas.recall, formulas.f1), 1):
            expected = bootstrap_interval(sums, function, *BOOTSTRAP)
            assert rows[number][column] == f"{expected.score:.1f} ({expected.low:.1f}–{expected.high:.1f})"
    assert rows[3] == ["d", "0.0", "0.0", "0.0", "0"]  # nowhere
    monkeypatch.setattr("headway.evaluation.label_scores.MOST_DRAWN", 3)
    assert [row[3] for row in rows_of_kinds(kind_scores(statistics, DrawFunction(by_label), "abcd", BOOTSTRAP))] == [
        row[3].split(" ")[0] for row in rows
    ]


def test_several_labels_in_another_order_are_right() -> None:
    labels = Labels("several", ("person", "time", "place"))
    logits = torch.tensor([[9.0, 9.0, -9.0], [1.0, -9.0, -9.0], [-2.0, -2.0, -2.0]])
    examples = [Labelled(str(line), gold, line) for line, gold in enumerate([("time", "person"), ("place",), ("time",)], 1)]
    wrong = _surest_wrong(examples, label_answers(logits, labels))
    assert [(one.line, one.problem) for one in wrong] == [
        (3, "wanted time, got no label, 88% sure"), (2, "wanted place, got person, 73% sure"),
    ]  # fmt: skip
