"""What a run with `model.lora` has learned, apart from its base: config.yaml · adapter.safetensors · labels.json · adapter.json.

`adapter.json` names the base and its fingerprint. `merge` makes a whole model of a base and its adapters: it builds the model
of the adapter's configuration as training does, and adds what the adapters add. A directory is written and read with the care
that `model_dir.py` has for models.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor

from headway.config import Config, config_difference, dump_config, parse_config
from headway.data.labels import Labels
from headway.data.tokenizer import LABELS, Tokenizers
from headway.errors import ModelError, ResourceError, UsageError
from headway.model.lora import A, B, update_of
from headway.model.transformer import Transformer
from headway.model_dir import ADAPTER_MANIFEST as MANIFEST
from headway.model_dir import CONFIG, MAX_BYTES, build_model, load_model, save_model
from headway.model_files import bring_to_medium, damaged, read_file, refuse_existing, write_directory
from headway.training.manifest import read_json, write_file
from headway.training.start_from import inherit, inherited_tokenizers, refuse_misfits, sources
from headway.training.tensor_file import parse_tensors, refuse_non_finite, tensor_bytes, tensor_chunks

FORMAT_VERSION = 1
TENSORS = "adapter.safetensors"
NAMES = (CONFIG, TENSORS, LABELS, MANIFEST)
# What adapters that are added up have in common, but for what only training needs.
SAME = ("task:", "model.", "data.source_language:", "data.target_language:", "data.preprocessing:")
MAY_DIFFER = (
    "model.lora", "model.start_from", "model.preset", "model.dropout", "model.attention_dropout", "model.feed_forward_dropout",
    "model.word_dropout", "model.layer_dropout",
)  # fmt: skip
_USE = "give a run that was trained with model.lora, or the `adapter` directory in it"


@dataclass(frozen=True)
class Adapter:
    """A verified adapter: what was learned, by the names of the parameters, and the fingerprint of the base it belongs to."""

    directory: Path
    config: Config
    tensors: dict[str, Tensor]
    labels: Labels | None
    base: str

    @property
    def adapted(self) -> list[str]:
        """Names of the matrices that are adapted, without ``.weight``."""
        return [name.removesuffix(f".{A}") for name in self.tensors if name.endswith(f".{A}")]

    @property
    def whole(self) -> dict[str, Tensor]:
        """Parameters that the base has not, such as a head."""
        return {name: tensor for name, tensor in self.tensors.items() if not name.endswith((f".{A}", f".{B}"))}

    @property
    def scale(self) -> float:
        lora = self.config.model.lora
        assert lora is not None
        return lora.alpha / lora.rank


# ---- writing and reading -------------------------------------------------------------------------------------------


def save_adapter(directory: Path, config: Config, model: Transformer, tokenizers: Tokenizers, base: str) -> Path:
    """Writes, or replaces, the directory of an adapter: everything in `model` that learns.

    Args:
        base: fingerprint of the model that `model.start_from` names.

    Raises:
        ModelError: something else stands there. ResourceError: a weight is not finite, or the disk refuses.
    """
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}
    refuse_non_finite(tensors)

    def write(aside: Path) -> None:
        records = {}
        if tokenizers.labels is not None:
            tokenizers.labels.save(aside / LABELS)
            records[LABELS] = bring_to_medium(aside / LABELS)
        records[CONFIG] = write_file(aside / CONFIG, [dump_config(config).encode()])
        records[TENSORS] = write_file(aside / TENSORS, tensor_chunks(tensors))
        manifest = {
            "format_version": FORMAT_VERSION,
            "headway": metadata.version("headway"),
            "base": {"run": config.model.start_from, "fingerprint": base},
            "files": records,
        }
        write_file(aside / MANIFEST, [json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"])

    return write_directory(directory, write, names=NAMES, proof=MANIFEST, what="adapter", needed=tensor_bytes(tensors))


def load_adapter(path: str | os.PathLike[str]) -> Adapter:
    """Reads the adapter of a run, or an adapter directory, checking all of it.

    Raises:
        ModelError: a file is missing, damaged or foreign.
    """
    directory = next((place for place in (Path(path), Path(path) / "adapter") if (place / MANIFEST).is_file()), None)
    if directory is None:
        raise ModelError(f"is no adapter: it has no {MANIFEST}", where=str(path), remedy=_USE)
    manifest = read_json(directory / MANIFEST)
    version, records, base = manifest.get("format_version"), manifest.get("files"), manifest.get("base")
    if type(version) is int and version > FORMAT_VERSION:
        problem = f"has format version {version}, and this Headway knows {FORMAT_VERSION}"
        raise ModelError(problem, where=str(directory / MANIFEST), remedy="upgrade Headway: pip install --upgrade headway")
    if version != FORMAT_VERSION or not isinstance(records, dict) or not isinstance(base, dict):
        raise damaged(directory / MANIFEST, "is not a manifest of an adapter")
    if not {CONFIG, TENSORS} <= records.keys() <= {CONFIG, TENSORS, LABELS}:
        raise damaged(directory / MANIFEST, "names other files than those of an adapter")
    if not all(isinstance(one, dict) and {"bytes", "sha256"} == one.keys() for one in records.values()):
        raise damaged(directory / MANIFEST, "has a wrong record of a file")
    limits = {**MAX_BYTES, TENSORS: records[TENSORS]["bytes"]}
    files = {name: read_file(directory / name, limits[name], record) for name, record in records.items()}
    tensors = parse_tensors(files[TENSORS], str(directory / TENSORS))
    try:
        config = parse_config(files[CONFIG].numpy().tobytes().decode(), str(directory / CONFIG))
        refuse_non_finite(tensors)
    except (UsageError, UnicodeDecodeError, ResourceError) as error:
        raise damaged(directory, f"cannot be used: {error}") from None
    if config.model.lora is None:
        raise damaged(directory / CONFIG, "has no model.lora")
    labels = Labels.load(directory / LABELS) if LABELS in records else None
    return Adapter(directory, config, tensors, labels, str(base.get("fingerprint")))


# ---- merging -------------------------------------------------------------------------------------------------------


def merge(base: str, adapters: Sequence[str], out: Path, weights: Sequence[float] | None = None) -> Path:
    """Writes the whole model of a base and the weighted sum of what adapters add to its matrices; returns its directory.

    Args:
        base: the run or the model directory that the adapters were trained on.
        adapters: runs with `model.lora`, or adapter directories.
        out: a new directory.
        weights: one for each adapter; 1 each if left out.

    Raises:
        ModelError: an adapter belongs to another base, or is damaged. UsageError: they do not fit each other.
    """
    refuse_existing(out)
    weights = [1.0] * len(adapters) if weights is None else weights
    if not all(map(math.isfinite, weights)):
        raise UsageError(f"the weights {', '.join(map(str, weights))} are not all finite", remedy="give plain numbers")
    if len(weights) != len(adapters):
        raise UsageError(f"{len(weights)} weights for {len(adapters)} adapters", remedy="give one for each, in their order")
    loaded = [load_adapter(path) for path in adapters]
    fingerprint = load_model(base).fingerprint
    for one in loaded:
        _check(one, loaded[0], base, fingerprint, several=len(loaded) > 1)
    first = loaded[0]
    config = first.config.model_copy(update={"model": first.config.model.model_copy(update={"start_from": base})})
    tokenizers = inherited_tokenizers(config)
    assert tokenizers is not None
    tokenizers.labels = first.labels
    given = sources(config.model)  # both before anything of the size that an adapter claims is built
    refuse_misfits(given, config, tokenizers)
    _refuse_missing_layers(first, {"encoder", "decoder"} - given.keys())
    model = build_model(config, tokenizers)
    new = set(inherit(model, config, tokenizers).new)
    for one, weight in zip(loaded, weights, strict=True):
        _add(model, one, weight, new)
    summands = ", ".join(f"{weight:g} · {one.directory}" for one, weight in zip(loaded, weights, strict=True))
    return save_model(out, config, model.state_dict(), tokenizers, {"merged": f"{base} and {summands}"})


def _refuse_missing_layers(adapter: Adapter, parts: set[str]) -> None:
    """Raises ModelError where an adapter does not bring all layers of parts that its base has not."""
    for part in parts:
        brought = {name.split(".")[1] for name in adapter.whole if name.startswith(f"{part}.")}
        if len(brought) < getattr(adapter.config.model, f"{part}_layers"):
            raise damaged(adapter.directory, f"lacks layers of the {part} that its configuration tells of")


def _check(adapter: Adapter, first: Adapter, base: str, fingerprint: str, *, several: bool) -> None:
    where = str(adapter.directory)
    if adapter.base != fingerprint:
        problem = f"belongs to another base (fingerprint {adapter.base[:16]}; {base} has {fingerprint[:16]})"
        remedy = f"name the model that it was trained on: {adapter.config.model.start_from}, as it was then"
        raise ModelError(problem, where=where, remedy=remedy)
    if several and adapter.whole:
        problem = f"has parts of its own, which cannot be added up: {', '.join(list(adapter.whole)[:3])}"
        raise UsageError(problem, where=where, remedy="merge it alone")
    changes = [line for line in config_difference(first.config, adapter.config) if line.startswith(SAME)]
    if different := [line for line in changes if not line.startswith(MAY_DIFFER)]:
        raise UsageError(f"does not fit {first.directory}: {'; '.join(different)}", where=where, remedy="merge each by itself")


@torch.no_grad()
def _add(model: Transformer, adapter: Adapter, weight: float, new: set[str]) -> None:
    """Adds what an adapter adds, times `weight`, and copies the parameters that only it has."""
    own, tensors = dict(model.named_parameters()), adapter.tensors
    expected = {name: own[name].shape for name in own if name in new}
    for name in adapter.adapted:
        outputs, inputs = getattr(own.get(f"{name}.weight"), "shape", (0, 0))
        rank = len(tensors[f"{name}.{A}"])
        expected |= {f"{name}.{A}": torch.Size([rank, inputs]), f"{name}.{B}": torch.Size([outputs, rank])}
    if expected != {name: tensor.shape for name, tensor in tensors.items()}:
        raise damaged(adapter.directory / TENSORS, f"does not have the tensors that {CONFIG} describes")
    for name, tensor in adapter.whole.items():
        own[name].copy_(tensor)
    for name in adapter.adapted:
        own[f"{name}.weight"].add_(update_of(tensors[f"{name}.{A}"], tensors[f"{name}.{B}"], adapter.scale), alpha=weight)
