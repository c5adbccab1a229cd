"""What a trial's `metrics.jsonl` tells of it while it trains and afterwards."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from headway.config_tuning import Metric

# Beside these, the first figure of a validation is the score of the task.
OTHER_FIGURES = ("validation_loss", "validation_perplexity", "validation_bits_per_byte")


@dataclass(frozen=True)
class Metrics:
    update: int = 0  # the last one that was logged
    values: tuple[float, ...] = ()  # of the metric, one of each validation
    seconds: float = 0.0  # spent with learning; validations and loading are not in it

    def best(self, higher_is_better: bool, validations: int | None = None) -> float:
        """The best value of the first so many validations, as training keeps the best model; NaN where none is finite."""
        known = [value for value in self.values[:validations] if math.isfinite(value)]
        return (max if higher_is_better else min)(known) if known else math.nan


def read_metrics(path: Path, metric: Metric) -> Metrics:
    """Metrics so far. A last line that is half written is left for later."""
    if not path.exists():
        return Metrics()
    update, values, seconds = 0, [], 0.0
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        try:
            figures = json.loads(line)
        except ValueError:
            continue
        update = max(update, int(figures["update"]))
        if "validation_loss" in figures:
            values.append(_value(figures, metric))
        elif figures.get("tokens_per_second"):
            seconds += figures["tokens"] / figures["tokens_per_second"]
    return Metrics(update, tuple(values), seconds)


def _value(figures: dict[str, float], metric: Metric) -> float:
    if metric != "score":
        return figures[f"validation_{metric}"]
    return figures[next(name for name in figures if name.startswith("validation_") and name not in OTHER_FIGURES)]
