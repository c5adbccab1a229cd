"""The card of a run: what it takes to do it again, what it was made on, how long it took, and about what energy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from headway.config import Split, dump_config
from headway.data.readers import corpus_name
from headway.evaluation.evaluated import Evaluated
from headway.evaluation.records import EvaluationRecord
from headway.pages.document import facts, text
from headway.report.material import Material
from headway.training.starts import Start

LEARNED: tuple[Split, ...] = ("train", "validation")
# What a busy core and a busy GPU draw, in watts, and between which bounds: the thermal design power of the processors that
# Green Algorithms lists (Lannelongue, Grealey, Inouye 2021). Memory, disks and cooling are not counted.
CORE_WATTS, GPU_WATTS = (12, 4, 24), (300, 70, 700)


def card_part(material: Material) -> str:
    """Facts in groups, and the whole configuration."""
    groups = {"Model": _model(material), "Training data": _data(material), "Training": _training(material)}
    for one in material.evaluated:
        name = "Evaluation" + (f" ({one.name})" if len(material.evaluated) > 1 else "")
        groups[name] = _evaluation(one)
    shown = [f"<h3>{text(name)}</h3>\n{facts(values)}" for name, values in groups.items() if values]
    settings = f"<details><summary>the whole configuration</summary><pre>{_lines(dump_config(material.config))}</pre></details>"
    return f'<div class="card">{"".join(shown)}</div>\n{settings}'


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
        "SHA-256": str(material.model.get("fingerprint", "there is no model yet")),
        "updates": f"{training.updates:,} of {training.batch_tokens:,} tokens",
        "optimizer": f"{training.optimizer}, learning rate {training.learning_rate:g}",
        "seed": str(training.seed),
    }


def _data(material: Material) -> dict[str, str]:
    data = material.config.data
    found = {name: corpus_name(part) for split in LEARNED for name, part in data.written_parts(split).items()}
    digests = material.starts[-1].data if material.starts else {}
    return found | {f"{name}, SHA-256": digest for name, digest in digests.items()}


def _training(material: Material) -> dict[str, str]:
    """The hardware, how long it worked, and about what energy that took."""
    found: dict[str, str] = {}
    for start in material.starts[-1:]:
        ranks = f", {start.processes} processes" if start.processes > 1 else ""
        found["hardware"] = f"{start.processor}, {start.cores} cores"
        found["device"] = f"{start.device}, {start.threads} threads{ranks}, {start.precision}"
        found["versions"] = _versions(start.versions)
    if not material.starts:
        found["hardware"] = "not recorded: the run was made by an older Headway"
    if learning := learning_seconds(material.metrics):
        found["learning"] = f"{duration(learning)}; validating and saving are not counted"
    if spans := wall_seconds(material.starts, material.metrics):
        again = f", in {len(spans)} starts; what was lost when it was stopped is not counted" if len(spans) > 1 else ""
        found["wall clock"] = duration(sum(seconds for _, seconds in spans)) + again
        found["energy, estimated"] = energy(spans)
    return found


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _evaluation(one: Evaluated) -> dict[str, str]:
    found = {"set": one.name}
    if isinstance(one.record, EvaluationRecord):
        found["decoding"] = ", ".join(f"{name} {value}" for name, value in one.record.decoding.items() if value is not None)
    found["time"] = ", ".join(f"{name} {duration(seconds)}" for name, seconds in one.record.seconds.items())
    found["versions"] = _versions(one.record.versions)
    return found | {f"{name}, SHA-256": digest for name, digest in one.record.fingerprints.items() if digest}


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
