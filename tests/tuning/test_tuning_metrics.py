"""What is read of a trial while it trains."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from headway.tuning.metrics import Metrics, read_metrics

LINES = [
    {"update": 5, "loss": 3.0, "tokens": 100, "tokens_per_second": 50.0},
    {"update": 10, "loss": 2.0, "tokens": 100, "tokens_per_second": 25.0},
    {"update": 10, "validation_loss": 2.5, "validation_perplexity": 12.0, "validation_bleu": 7.0, "validation_bleu_en-de": 5.0},
    {"update": 20, "validation_loss": math.nan, "validation_perplexity": 9.0, "validation_bleu": 9.0},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES) + '{"update": 30, "validation_lo', encoding="utf-8")
    return path


def test_the_score_is_that_of_the_task_and_half_a_line_is_left_for_later(path: Path) -> None:
    assert read_metrics(path, "score") == Metrics(20, (7.0, 9.0), 6.0)
    assert read_metrics(path.with_name("none"), "score") == Metrics()


def test_what_is_not_finite_is_never_the_best(path: Path) -> None:
    loss = read_metrics(path, "loss")
    assert loss.best(higher_is_better=False) == 2.5
    assert math.isnan(Metrics(values=(math.nan,)).best(higher_is_better=True))


def test_the_best_is_the_best_so_far() -> None:
    metrics = Metrics(values=(3.0, 5.0, 4.0))
    assert [metrics.best(True, validations) for validations in (1, 2, 3)] == [3.0, 5.0, 5.0]
    assert [metrics.best(False, validations) for validations in (1, 2, 3)] == [3.0, 3.0, 3.0]
