"""The card of a run: what it takes to do it again, what it was made on, how long it took, and about what energy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from headway.config import dump_config
from headway.pages.document import facts, text
from headway.report.material import Material
from headway.training.starts import Start

# What a busy core and a busy GPU draw, in watts, and between which bounds: the thermal design power of the processors that
# Green Algorithms lists (Lannelongue, Grealey, Inouye 2021). Memory, disks and cooling are not counted.
CORE_WATTS, GPU_WATTS = (12, 4, 24), (300, 70, 700)


def card_part(material: Material) -> str:
    """Facts in groups, and the whole configuration."""
    groups = {
        "Model": _model(material),
        "Data": _data(material),
        "Made on": _machine(material),
        "Time and energy": _time(material),
    }
    shown = [f"<h3>{name}</h3>\n{facts(values)}" for name, values in groups.items() if values]
    settings = f"<details><summary>the whole configuration</summary><pre>{_lines(dump_config(material.config))}</pre></details>"
    return "\n".join([*shown, settings])


def _lines(raw: str) -> str:
    return "\n".join(map(text, raw.splitlines()))


def _model(material: Material) -> dict[str, str]:
    model, training = material.config.model, material.config.training
    layers = f"{model.encoder_layers}+{model.decoder_layers} layers, width {model.width}, {model.heads} heads"
    tensors = material.model.get("tensors", {})
    weights = sum(math.prod(shape) for _, *shape in tensors.values())
    return {
        "task": material.config.task.replace("_", " "),
        "shape": layers + (f", {weights:,} weights" if weights else ""),
        "model, SHA-256": str(material.model.get("fingerprint", "none yet")),
        "training": f"{training.updates:,} updates of {training.batch_tokens:,} tokens, {training.optimizer}, "
        f"learning rate {training.learning_rate:g}",
        "seed": str(training.seed),
    }


def _data(material: Material) -> dict[str, str]:
    data, found = material.config.data, {}
    for name, part in (*data.written_parts("train").items(), *data.written_parts("validation").items()):
        found[name] = ", ".join(str(path) for path in (part.path, part.source, part.target) if path is not None)
    if material.starts:
        found |= {f"{name} set, SHA-256": digest for name, digest in material.starts[-1].data.items()}
    for one in material.evaluated:
        found |= {
            f"{name} of the evaluation ({one.name}), SHA-256": digest
            for name, digest in one.record.fingerprints.items()
            if digest
        }
    return found


def _machine(material: Material) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in material.starts[-1:]:
        ranks = f", {start.processes} processes" if start.processes > 1 else ""
        found["processor"] = f"{start.processor}, {start.cores} cores"
        found["device"] = f"{start.device}, {start.threads} threads{ranks}, {start.precision}"
        found |= {f"{name}, version": version for name, version in start.versions.items()}
    if not material.starts:
        found["training"] = "this run was made before Headway recorded the hardware of a training"
    for one in material.evaluated[:1]:
        found |= {f"{name}, version at evaluation": version for name, version in one.record.versions.items()}
    return found


def _time(material: Material) -> dict[str, str]:
    learning = learning_seconds(material.metrics)
    found = {"learning, validation and saving not counted": duration(learning)} if learning else {}
    spans = wall_seconds(material.starts, material.metrics)
    if spans:
        again = f", in {len(spans)} starts; what was lost when it was stopped is not counted" if len(spans) > 1 else ""
        found["training, from start to end"] = duration(sum(seconds for _, seconds in spans)) + again
        found["energy, an estimate"] = energy(spans)
    for one in material.evaluated:
        found[f"evaluation ({one.name})"] = duration(sum(one.record.seconds.values()))
    return found


def learning_seconds(metrics: Sequence[Mapping[str, Any]]) -> float:
    """Of the updates that are recorded."""
    known = [one for one in metrics if one.get("tokens_per_second")]
    return float(sum(one["tokens"] / one["tokens_per_second"] for one in known))


def wall_seconds(starts: Sequence[Start], metrics: Sequence[Mapping[str, Any]]) -> list[tuple[Start, float]]:
    """From each start to the last line that was written before the next one."""
    found = []
    for start, following in itertools.zip_longest(starts, starts[1:]):
        end = following.time if following else math.inf
        times = [one["time"] for one in metrics if start.time <= one.get("time", -1.0) < end]
        if times:
            found.append((start, max(times) - start.time))
    return found


def energy(spans: Sequence[tuple[Start, float]]) -> str:
    """Watts × seconds, with the formula and what is assumed."""
    cores = sum(start.threads * start.processes * seconds for start, seconds in spans) / 3600
    gpus = sum(start.processes * seconds for start, seconds in spans if start.device != "cpu") / 3600
    middle, low, high = ((cores * core + gpus * gpu) / 1000 for core, gpu in zip(CORE_WATTS, GPU_WATTS, strict=True))
    core, core_low, core_high = CORE_WATTS
    formula = f"{cores:.3g} core hours × {core} W (between {core_low} and {core_high} W)"
    if gpus:
        gpu, gpu_low, gpu_high = GPU_WATTS
        formula += f" + {gpus:.3g} GPU hours × {gpu} W (between {gpu_low} and {gpu_high} W)"
    return (
        f"about {middle:.2g} kWh (between {low:.2g} and {high:.2g}) = {formula}; assumed, not measured, every thread busy, "
        "without memory, disks and cooling"
    )


def duration(seconds: float) -> str:
    """As people read it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
