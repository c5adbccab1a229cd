"""The temperature that was drawn with is found again, and a promise on precision is kept as often as it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.data.labelled import Labelled
from headway.data.labels import Labels
from headway.evaluation.calibration import (
    RISK,
    STEPS,
    Calibration,
    Threshold,
    temperature_of_one,
    temperature_of_several,
    thresholds,
)
from headway.evaluation.confidence import calibration_of, promise_table
from headway.inference.labelling import label_answers, label_scores

RANDOM = np.random.default_rng(6)


@pytest.mark.parametrize("heat", [0.5, 1.0, 3.0])
def test_the_temperature_is_found(heat: float) -> None:
    honest = RANDOM.normal(0, 2, (4000, 5))
    gumbel = RANDOM.gumbel(size=honest.shape)
    found, before, after = temperature_of_one(heat * honest, (honest + gumbel).argmax(1))
    assert found == pytest.approx(heat, rel=0.06)
    assert after <= before
    several = RANDOM.normal(0, 2, (2000, 4))
    found, before, after = temperature_of_several(heat * several, RANDOM.random(several.shape) < 1 / (1 + np.exp(-several)))
    assert found == pytest.approx(heat, rel=0.08)
    assert after <= before


def test_a_set_without_errors_does_not_make_the_model_certain() -> None:
    logits = np.array([[2.0, 0.0, 0.0]] * 50)
    temperature, _, _ = temperature_of_one(logits, np.zeros(50, dtype=np.int64))
    sure = np.exp(2 / temperature) / (np.exp(2 / temperature) + 2)
    assert 0.96 < sure < 0.995  # as of 50 right and one more that might not be


def drawn(texts: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences of a calibrated model and whether it was right."""
    sure = RANDOM.beta(4, 1, texts)
    return sure, RANDOM.random(texts) < sure


@pytest.mark.parametrize(("precision", "texts"), [(0.85, 500), (0.95, 3000)])
def test_a_promise_is_kept(precision: float, texts: int) -> None:
    sure, right = drawn(200_000)
    broken = promised = 0
    for _ in range(300):
        found = Calibration(1.0, texts, 0.0, 0.0, thresholds(*drawn(texts))).promise(precision)
        if found is not None:
            promised += 1
            broken += right[sure >= found.confidence].mean() < precision
    assert promised > 250
    assert broken <= 0.06 * 300  # at the risk of 0.05, and that is shared out with care


def test_the_lowest_threshold_that_is_proven_is_chosen() -> None:
    some = tuple(Threshold(c, n, r) for c, n, r in ((0.99, 50, 50), (0.95, 400, 396), (0.8, 600, 590), (0.5, 1000, 800)))
    calibration = Calibration(1.0, 1000, 0.5, 0.4, some)
    assert calibration.promise(0.95) == some[2]
    assert calibration.promise(0.99) is None  # 396 of 400 may be luck, and 50 of 50 are too few
    assert calibration.proven(some[3]) < 0.8
    assert calibration.proven(some[0]) == pytest.approx((RISK / STEPS) ** (1 / 50), rel=1e-6)


def test_equal_confidences_are_answered_together() -> None:
    found = thresholds(np.array([0.9] * 10 + [0.5] * 10), np.array([True] * 15 + [False] * 5))
    assert found == (Threshold(0.9, 10, 10), Threshold(0.5, 20, 15))


@given(st.floats(0.02, 50), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), st.integers(0, 9)), max_size=5))
def test_json_comes_back(temperature: float, some: list[tuple[float, int, int]]) -> None:
    given = Calibration(temperature, 9, 0.3, 0.2, tuple(Threshold(c, max(n, r), min(n, r)) for c, n, r in some))
    assert Calibration.from_json(given.as_json()) == given


@pytest.mark.parametrize(
    "changed",
    [{"temperature": 0}, {"temperature": "1"}, {"examples": 1.5}, {"more": 1}, {"thresholds": [{"confidence": 1}]},
     {"thresholds": [{"confidence": 0.5, "answered": 3, "right": 4}]}, {"temperature": 1e999}],
)  # fmt: skip
def test_what_is_no_calibration_is_refused(changed: dict[str, object]) -> None:
    values = json.loads(Calibration(1.0, 9, 0.3, 0.2, ()).as_json()) | changed
    with pytest.raises(ValueError, match="calibration"):
        Calibration.from_json(json.dumps(values))
    for text in ("[]", "{}", "3", "{"):
        with pytest.raises(ValueError):  # noqa: PT011
            Calibration.from_json(text)


def test_logits_of_texts_become_a_calibration_and_a_table_of_promises() -> None:
    labels = Labels("one", ("a", "b"))
    honest = RANDOM.normal(0, 3, 3000)
    names = np.where(RANDOM.random(3000) < 1 / (1 + np.exp(-honest)), "a", "b")
    examples = [Labelled("x", (str(name),), line) for line, name in enumerate(names, 1)]
    examples[0] = Labelled("x", ("unknown",), 1)
    logits = torch.tensor(np.stack((2 * honest, np.zeros(3000)), 1), dtype=torch.float32)
    found = calibration_of(logits, examples, labels)
    assert found.temperature == pytest.approx(2, rel=0.1)
    assert found.examples == found.thresholds[-1].answered == 3000
    raw, better = (label_scores(logits / heat, examples, labels)["calibration"].score for heat in (1, found.temperature))
    assert better < raw / 2
    table = promise_table(found, label_answers(logits / found.temperature, labels), examples, 0.95)
    assert [row[0] for row in table.rows] == ["90", "95", "99"]
    assert float(table.rows[0][2]) > float(table.rows[1][2]) > 30
    assert {row[4] for row in table.rows} <= {"yes", "within chance", "cannot be promised"}


def test_several_labels_are_calibrated_decision_by_decision() -> None:
    labels = Labels("several", ("a", "b", "c"))
    honest = RANDOM.normal(0, 2, (1500, 3))
    gold = RANDOM.random(honest.shape) < 1 / (1 + np.exp(-honest))
    examples = [Labelled("x", tuple(np.array(["a", "b", "c"])[row]), line) for line, row in enumerate(gold, 1)]
    logits = torch.tensor(3 * honest, dtype=torch.float32)
    found = calibration_of(logits, examples, labels)
    assert found.temperature == pytest.approx(3, rel=0.1)
    raw, better = (label_scores(logits / heat, examples, labels)["calibration"] for heat in (1, found.temperature))
    assert better.score < raw.score / 2
    assert raw.statistics[:, -1].tolist() == [3.0] * 1500  # decisions of a text
