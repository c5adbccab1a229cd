"""Scores of labels against scikit-learn, and the properties that the bootstrap needs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headway.data.labelled import LARGEST_NUMBER, Labelled
from headway.data.labels import Labels
from headway.evaluation.label_scores import number_scores, one_label_scores, per_label, several_label_scores
from headway.evaluation.labels import _tables
from headway.inference.labelling import label_answers, label_scores

sklearn_metrics = pytest.importorskip("sklearn.metrics")
RANDOM = np.random.default_rng(1)


def test_one_label_agrees_with_scikit_learn() -> None:
    gold, chosen = RANDOM.integers(0, 4, 200), RANDOM.integers(0, 4, 200)
    chosen[:80] = gold[:80]
    found = one_label_scores(chosen, gold, np.full(200, 0.7), 4)
    expected = sklearn_metrics.precision_recall_fscore_support(gold, chosen, average="macro", zero_division=0)[:3]
    assert [found[f"macro_{name}"].score for name in ("precision", "recall", "f1")] == pytest.approx([100 * x for x in expected])
    assert found["accuracy"].score == pytest.approx(100 * sklearn_metrics.accuracy_score(gold, chosen))
    rows = per_label(chosen[:, None] == np.arange(4), gold[:, None] == np.arange(4), "abcd")
    each = sklearn_metrics.precision_recall_fscore_support(gold, chosen, zero_division=0)
    for number, row in enumerate(rows):
        wanted = [100 * each[0][number], 100 * each[1][number], 100 * each[2][number], each[3][number]]
        assert [row["precision"], row["recall"], row["f1"], row["texts"]] == pytest.approx(wanted)


def test_labels_that_nobody_has_do_not_count() -> None:
    found = one_label_scores(np.array([0, 1, 1]), np.array([0, 1, 0]), np.ones(3), 9)
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
    found = one_label_scores(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]), np.full(4, 0.95), 2)
    assert found["calibration"].score == pytest.approx(100 * abs(0.75 - 0.95))
    perfect = one_label_scores(np.zeros(4, dtype=int), np.zeros(4, dtype=int), np.ones(4), 2)
    assert perfect["calibration"].score == 0


def test_a_choice_of_texts_scores_as_if_it_stood_alone() -> None:
    gold, chosen = RANDOM.integers(0, 3, 60), RANDOM.integers(0, 3, 60)
    probability = RANDOM.random(60)
    some = RANDOM.integers(0, 60, 40)
    whole, part = one_label_scores(chosen, gold, probability, 3), one_label_scores(chosen[some], gold[some], probability[some], 3)
    for name, measurement in whole.items():
        assert measurement.over(some) == pytest.approx(part[name].score), name


def test_a_gold_label_that_the_model_does_not_know_is_a_class_that_is_always_missed() -> None:
    labels = Labels("one", ("a", "b"))
    examples = [Labelled("x", ("a",), 1), Labelled("y", ("zzz",), 2)]
    found = label_scores(torch.tensor([[9.0, 0.0], [9.0, 0.0]]), examples, labels)
    assert found["accuracy"].score == 50
    assert found["macro_f1"].score == pytest.approx(100 * sklearn_metrics.f1_score(["a", "zzz"], ["a", "a"], average="macro"))
    answers = label_answers(torch.tensor([[9.0, 0.0], [9.0, 0.0]]), labels)
    each, confusions = _tables(examples, answers, labels)
    assert each.rows[2] == ["zzz", "0.0", "0.0", "0.0", "1"]
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
