"""How a run learned: its losses, the score it was judged by, the learning rate, the gradients and the speed, as charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headway.pages.charts import Series, line_chart
from headway.report.material import Material

# what a line of metrics.jsonl may hold of a validation beside its score
LOSSES = {"validation_loss", "validation_perplexity", "validation_bits_per_byte"}
X_LABEL = "update"


def learning_part(material: Material) -> str:
    """All charts, or the reason why there is none."""
    metrics = material.metrics
    if not metrics:
        return '<p class="soft">There is no metrics.jsonl: this is a model without the history of its training.</p>'
    losses = [_series("training", metrics, "loss"), _series("validation", metrics, "validation_loss")]
    charts = [line_chart("Loss", losses, X_LABEL, "nats a token", note=_best(material))]
    bits = _series("validation", metrics, "validation_bits_per_byte")
    if bits.x:
        charts.append(line_chart("Bits per byte of the validation set", [bits], X_LABEL, "bits", points=True))
    if names := _score_names(metrics):
        scores = [_series(_shown(name, names[0]), metrics, name) for name in names]
        title = f"{_label(names[0])} of the validation set"
        charts.append(line_chart(title, scores, X_LABEL, _label(names[0]), points=True))
    charts += [
        line_chart("Learning rate", [_series("learning rate", metrics, "learning_rate")], X_LABEL, "rate"),
        line_chart("Gradient norm", [_series("norm", metrics, "gradient_norm")], X_LABEL, "before clipping", log_y=True),
        line_chart("Throughput", [_series("speed", metrics, "tokens_per_second")], X_LABEL, "target tokens a second"),
    ]
    return "\n".join(charts)


def _series(name: str, metrics: Sequence[Mapping[str, Any]], key: str) -> Series:
    found = [(one["update"], one[key]) for one in metrics if isinstance(one.get(key), int | float)]
    return Series(name, [update for update, _ in found], [float(value) for _, value in found])


def _score_names(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys of the score, that over all directions first."""
    names = {key: None for one in metrics for key in one if key.startswith("validation_") and key not in LOSSES}
    return sorted(names, key=len)


def _label(name: str) -> str:
    """validation_bleu → BLEU"""
    plain = name.removeprefix("validation_")
    named = {"f1": "F1", "bleu": "BLEU", "rouge-l": "ROUGE-L", "cider": "CIDEr", "word_accuracy": "word accuracy"}
    return named.get(plain, plain)


def _shown(name: str, first: str) -> str:
    """Of a direction its languages."""
    return "all" if name == first else name.removeprefix(f"{first}_").replace("-", "→")


def _best(material: Material) -> str:
    """Which update the model is of that was kept."""
    names = _score_names(material.metrics)
    key = "validation_loss" if material.config.training.best_by == "loss" or not names else names[0]
    values = _series("", material.metrics, key)
    if not len(values.x):
        return "not validated yet"
    ways = values.y if key != "validation_loss" else [-value for value in values.y]
    return f"the model that was kept is that of update {values.x[ways.index(max(ways))]:,}"
