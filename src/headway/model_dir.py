"""A model on disk: config.yaml · model.safetensors · tokenizer*.json · card.md · manifest.json, perhaps calibration.json.

`save_model` writes it aside, brings it to the medium and puts it in place in one step, so a reader finds the old model or
the new one and never a part. `load_model` believes nothing: names, sizes, digests, shapes and finiteness are checked first,
and nothing in the directory is ever run. The card is for people to edit, so it alone has no digest.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.config import OF_MEDIA, Config, dump_config, parse_config
from headway.config_reader import parse_yaml
from headway.data.tokenizer import Tokenizers
from headway.errors import ModelError, ResourceError, UsageError
from headway.evaluation.calibration import Calibration
from headway.json_rules import refuse_duplicates
from headway.model.transformer import Transformer
from headway.model_card import model_card
from headway.model_files import (
    EXPORT,
    RESTORE,
    SEED_RUN,
    bring_to_medium,
    damaged,
    read_file,
    read_head,
    restore,
    shown,
    write_directory,
)
from headway.tasks import TASKS, extra_pieces
from headway.training import _fs
from headway.training.manifest import write_file
from headway.training.tensor_file import (
    describe_stranger,
    parse_tensors,
    refuse_non_finite,
    tensor_bytes,
    tensor_chunks,
)

FORMAT_VERSION = 1
CONFIG, WEIGHTS, CARD, MANIFEST = "config.yaml", "model.safetensors", "card.md", "manifest.json"
ADAPTER_MANIFEST = "adapter.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.source.json", "tokenizer.target.json", "labels.json",
              "tokenizer.source.spm", "tokenizer.target.spm", "tokenizer.vocabulary.json")  # fmt: skip
CALIBRATION = "calibration.json"  # of a classifier whose confidence was fitted
NAMES = (CONFIG, WEIGHTS, CARD, MANIFEST, CALIBRATION, *TOKENIZERS)
MAX_BYTES = {MANIFEST: 1 << 20, CONFIG: 1 << 20, CALIBRATION: 1 << 20, **dict.fromkeys(TOKENIZERS, 256 << 20)}
MAX_HEADER_BYTES = MAX_CARD_BYTES = 1 << 20


@dataclass(frozen=True)
class LoadedModel:
    """A verified model, ready to answer (evaluation mode)."""

    directory: Path
    config: Config
    model: Transformer
    tokenizers: Tokenizers
    fingerprint: str
    calibration: Calibration | None = None


# ---- writing -------------------------------------------------------------------------------------------------------


def save_model(
    directory: str | os.PathLike[str],
    config: Config,
    tensors: Mapping[str, Tensor],
    tokenizers: Tokenizers,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a model directory, or replaces one, in one step; returns it.

    Args:
        directory: made with its parents; what stands there already must be a model directory or empty.
        tensors: the model's `state_dict()`; tied ones are stored once.
        facts: what the card tells of the training, such as updates and scores.

    Raises:
        ModelError: something else stands there. ResourceError: a weight is not finite, or the disk refuses.
    """
    stored = _without_ties(tensors)
    refuse_non_finite(stored)

    def write(aside: Path) -> None:
        _write_files(aside, config, stored, tokenizers, facts or {})

    return write_directory(Path(directory), write, names=NAMES, proof=MANIFEST, what="model", needed=tensor_bytes(stored))


def _without_ties(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with their own memory; of those that share one, the first."""
    seen: set[tuple[Any, ...]] = set()
    stored = {}
    for name, tensor in tensors.items():
        memory = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() == 0 or memory not in seen:
            stored[name] = tensor
        seen.add(memory)
    return stored


def _write_files(
    aside: Path, config: Config, tensors: dict[str, Tensor], tokenizers: Tokenizers, facts: Mapping[str, Any]
) -> None:
    tokenizers.save(aside)
    records = {name: bring_to_medium(aside / name) for name in _fs.list_directory(aside)}
    text = dump_config(config)
    records[CONFIG] = write_file(aside / CONFIG, [text.encode()])
    records[WEIGHTS] = write_file(aside / WEIGHTS, tensor_chunks(tensors))
    write_file(aside / CARD, [model_card(config, facts).encode()])
    manifest = {
        "format_version": FORMAT_VERSION,
        "headway": metadata.version("headway"),
        "files": records,
        "tokenizers": _digests(tokenizers),
        "tensors": {name: [str(tensor.dtype).removeprefix("torch."), *tensor.shape] for name, tensor in tensors.items()},
    }
    manifest["fingerprint"] = bundle_fingerprint(text, manifest)
    write_file(aside / MANIFEST, [json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"])


def add_calibration(directory: Path, calibration: Calibration) -> Path:
    """Puts a calibration, or another one, into a model directory in one step; all other files stay as they are.

    Raises:
        ModelError: it holds no whole model. ResourceError: the disk refuses.
    """
    manifest = _read_manifest(directory)
    records = {name: record for name, record in manifest["files"].items() if name != CALIBRATION}

    def write(aside: Path) -> None:
        for name, record in records.items():
            write_file(aside / name, [read_file(directory / name, record["bytes"], record).numpy().data])
        if _fs.status(directory / CARD) is not None:
            write_file(aside / CARD, [read_file(directory / CARD, MAX_CARD_BYTES).numpy().data])
        files = {**records, CALIBRATION: write_file(aside / CALIBRATION, [calibration.as_json().encode()])}
        text = json.dumps({**manifest, "files": files}, indent=1, sort_keys=True)
        write_file(aside / MANIFEST, [text.encode() + b"\n"])

    needed = sum(record["bytes"] for record in records.values())
    return write_directory(directory, write, names=NAMES, proof=MANIFEST, what="model", needed=needed)


def _digests(tokenizers: Tokenizers) -> dict[str, str]:
    digests = {"source": tokenizers.source.digest, "target": tokenizers.target.digest}
    return digests | ({"labels": tokenizers.labels.digest} if tokenizers.labels else {})


def head_outputs(config: Config, tokenizers: Tokenizers) -> int:
    """Figures that the model's head computes; 0 for no head."""
    return tokenizers.labels.outputs if tokenizers.labels else TASKS[config.task].outputs


def build_model(config: Config, tokenizers: Tokenizers) -> Transformer:
    """A model of this configuration for these vocabularies, with its first weights."""
    extra = len(extra_pieces(config))
    sizes = tokenizers.source.vocabulary_size + extra, tokenizers.target.vocabulary_size + extra
    return new_model(config, *sizes, outputs=head_outputs(config, tokenizers))


def new_model(config: Config, source_vocabulary: int, target_vocabulary: int, *, outputs: int) -> Transformer:
    """A model of this configuration, with its first weights.

    Args:
        source_vocabulary, target_vocabulary: all ids that are read and written, extra pieces among them.
        outputs: figures that the head computes; 0 for no head.
    """
    return Transformer(
        config.model,
        source_vocabulary if config.reads_text else 0,
        target_vocabulary,
        outputs=outputs,
        seed=config.training.seed,
        media=config.media,
        ctc=config.training.ctc_weight > 0,
    )


def bundle_fingerprint(config: str, manifest: Mapping[str, Any]) -> str:
    """SHA-256 over everything that must stay together: what the model is, its tokenizers, and the weights by name and content.

    It is taken of the configuration as it is written, so that a key which a later version adds changes no old model.
    """
    written = parse_yaml(config, CONFIG).values
    content = {
        "format_version": FORMAT_VERSION,
        "task": written.get("task"),
        "model": written.get("model"),
        **({"media": written["media"]} if "media" in written else {}),
        "data": {key: written["data"].get(key) for key in ("source_language", "target_language", "preprocessing")},
        "tokenizers": manifest["tokenizers"],
        "tensors": manifest["tensors"],
        "weights": manifest["files"][WEIGHTS]["sha256"],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# ---- reading -------------------------------------------------------------------------------------------------------


def find_model(path: str | os.PathLike[str]) -> Path:
    """The model directory that `path` means: itself, or the `model` inside a run directory. Raises ModelError."""
    given = Path(path)
    try:
        if given.is_file():
            remedy = "name the directory it stands in" if (given.parent / MANIFEST).is_file() else _USE
            raise ModelError("is a file, not a model directory", where=str(path), remedy=remedy)
        for directory in (given, given / "model"):
            restore(Path(os.path.abspath(directory)), MANIFEST)
            if (directory / MANIFEST).is_file():
                return directory
        if given.is_dir():
            names = sorted(os.listdir(given))
        else:
            raise ModelError("no such directory", where=shown(path), remedy=_nearest(given))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=shown(path)) from None
    if any(SEED_RUN.fullmatch(name) for name in names):
        problem = "holds a run for each of several seeds"
        raise ModelError(problem, where=str(path), remedy=f"name one of them: {Path(path) / 'seed1'}")
    if "checkpoints" in names:
        raise ModelError("this run has no model yet", where=str(path), remedy="train on: one is kept at the first validation")
    if EXPORT in names:
        remedy = "headway predict reads it; for all else name the run that it was made from"
        raise ModelError("was written for another engine (export.json tells for which)", where=str(path), remedy=remedy)
    if "config.json" in names and {"model.safetensors", "model.safetensors.index.json"} & set(names):
        raise ModelError("is a directory of Hugging Face", where=str(path), remedy=f"headway import {shown(path)} OUT reads it")
    foreign = [name for name in names if name.endswith((".pt", ".pth", ".bin", ".pkl", ".ckpt"))]
    if foreign:
        raise ModelError(f"holds {foreign[0]}, which may run code when opened, and no {MANIFEST}", where=str(path), remedy=_USE)
    if ADAPTER_MANIFEST in names:
        remedy = "name the run it stands in, or make a model of it: headway merge BASE ADAPTER OUT"
        raise ModelError("is an adapter, a part of a model", where=str(path), remedy=remedy)
    raise ModelError(f"is no model directory: it has no {MANIFEST}", where=str(path), remedy=_USE)


_USE = "give a run directory or model directory that `headway train` wrote"


def near_paths(given: Path) -> list[Path]:
    """What stands beside a path that is not there and has nearly its name."""
    names = [entry.name for entry in given.parent.iterdir()][:10_000] if given.parent.is_dir() else []
    return [given.parent / name for name in difflib.get_close_matches(given.name, names, 3, 0.5)]


def _nearest(given: Path) -> str:
    near = near_paths(given)
    return f"did you mean {' or '.join(map(str, near))}?" if near else _USE


def load_model(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> LoadedModel:
    """Reads a run's model or a model directory, checking all of it.

    Raises:
        ModelError: a file is missing, damaged, foreign, or does not belong to the others.
    """
    directory = find_model(path)
    manifest = _read_manifest(directory)
    records = manifest["files"]
    text = read_file(directory / CONFIG, MAX_BYTES[CONFIG], records[CONFIG]).numpy().tobytes()
    try:
        config = parse_config(text.decode(), str(directory / CONFIG))
    except (UsageError, UnicodeDecodeError) as error:
        raise ModelError(f"its configuration is not valid: {error}", where=str(directory), remedy=RESTORE) from None
    for name in records.keys() & set(TOKENIZERS):
        read_file(directory / name, MAX_BYTES[name], records[name])
    tokenizers = Tokenizers.load(directory)
    digests = _digests(tokenizers)
    if digests != manifest["tokenizers"]:
        raise _mismatch(directory, "tokenizer", manifest["tokenizers"]["source"], digests["source"])
    found = bundle_fingerprint(text.decode(), manifest)
    if found != manifest["fingerprint"]:
        raise _mismatch(directory, "configuration", manifest["fingerprint"], found)
    tensors = _read_weights(directory / WEIGHTS, records[WEIGHTS], config, tokenizers)
    model = build_model(config, tokenizers)
    _fill(model, tensors, directory / WEIGHTS)
    calibration = _read_calibration(directory / CALIBRATION, records.get(CALIBRATION))
    return LoadedModel(directory, config, model.to(device).eval(), tokenizers, found, calibration)


def _read_calibration(path: Path, record: Mapping[str, Any] | None) -> Calibration | None:
    if record is None:
        return None
    try:
        return Calibration.from_json(read_file(path, MAX_BYTES[CALIBRATION], record).numpy().tobytes().decode())
    except ValueError as error:
        raise damaged(path, str(error)) from None


def _mismatch(directory: Path, what: str, expected: str, found: str) -> ModelError:
    problem = f"the {what} does not belong to these weights (fingerprint {found[:16]}, the manifest says {expected[:16]})"
    return ModelError(problem, where=str(directory), remedy=RESTORE)


def _read_manifest(directory: Path) -> dict[str, Any]:
    where = directory / MANIFEST
    try:
        text = read_file(where, MAX_BYTES[MANIFEST]).numpy().tobytes().decode()
        manifest = json.loads(text, object_pairs_hook=refuse_duplicates)
    except (ValueError, RecursionError):
        raise damaged(where, "is no JSON") from None
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        problem = f"has format version {version}, and this Headway knows {FORMAT_VERSION}"
        raise ModelError(problem, where=str(where), remedy="upgrade Headway: pip install --upgrade headway")
    records = manifest.get("files") if version == FORMAT_VERSION and version is not True else None
    tokenizers = manifest.get("tokenizers") if records else None
    if not isinstance(records, dict) or not isinstance(tokenizers, dict) or not isinstance(manifest.get("tensors"), dict):
        raise damaged(where, "is not a manifest of a Headway model")
    for name, record in records.items():
        if name not in NAMES:
            raise damaged(where, f"names {shown(name)}, which is no file of a model")
        whole = isinstance(record, dict) and type(record.get("bytes")) is int and isinstance(record.get("sha256"), str)
        if not whole:
            raise damaged(where, f"has no size and digest for {name}")
    if not {CONFIG, WEIGHTS} <= records.keys() or not records.keys() & set(TOKENIZERS):
        raise damaged(where, "does not name a configuration, weights and a tokenizer")
    if not all(isinstance(tokenizers.get(side), str) for side in ("source", "target")):
        raise damaged(where, "does not name the digests of the tokenizers")
    return {**manifest, "fingerprint": str(manifest.get("fingerprint"))}


def _read_weights(path: Path, record: Mapping[str, Any], config: Config, tokenizers: Tokenizers) -> dict[str, Tensor]:
    """The tensors, read once size and header have shown that they cannot take more memory than the model they belong to."""
    head = read_head(path)
    header = int.from_bytes(head[:8], "little")
    if len(head) < 8 or header > MAX_HEADER_BYTES:
        raise damaged(path, f"is {describe_stranger(head) or f'no weights file of ours: its header claims {header:,} bytes'}")
    model = config.model
    layers = model.encoder_layers + model.decoder_layers
    pieces = max(tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size) + len(extra_pieces(config))
    rows = 0 if config.task in OF_MEDIA and not model.decoder_layers else pieces  # of a picture no piece is read
    if model.has_position_table and (model.decoder_layers or config.reads_text or config.media.hears):  # patches have none
        rows += model.max_positions
    outputs = head_outputs(config, tokenizers)
    # Every model has so many weights: a big one is never built for a small file, nor a big file read for a small model.
    least = model.width * (layers * max(model.width, model.feed_forward_width) + rows)
    attended = max(model.width, model.heads * model.width_of_head)
    most = (
        model.width * (layers * (8 * attended + 4 * model.feed_forward_width + 64) + 3 * rows + outputs + model.token_types)
        + outputs
        + pieces
    )
    if config.task in OF_MEDIA:  # the stem, and what spells
        media, halved = config.media, config.media.patch // 4
        made = (16 + model.width // 2) * halved**2 if media.stem == "convolution" else 0  # of a patch, by convolutions
        most += model.width * (media.values + made + 16 * model.width + 2 * pieces)
    if least > record["bytes"]:
        raise damaged(path, f"has {record['bytes']:,} bytes, too few for the {least:,} or more weights that {CONFIG} describes")
    if record["bytes"] > 4 * most + MAX_HEADER_BYTES:  # of float32
        raise damaged(path, f"has {record['bytes']:,} bytes, too many for the {most:,} or fewer weights that {CONFIG} describes")
    tensors = parse_tensors(read_file(path, record["bytes"], record), str(path))
    try:
        refuse_non_finite(tensors)
    except ResourceError as error:
        raise damaged(path, f"holds {error.problem.removeprefix('not saved: ')}") from None
    return tensors


def _fill(model: Transformer, tensors: dict[str, Tensor], path: Path) -> None:
    """Copies the tensors into the model; every one of its weights, and nothing else, must be there."""
    expected: dict[str, Tensor] = {}
    names_of: dict[int, str] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if names_of.setdefault(id(tensor), name) == name:  # of tied ones only the first is stored
            expected[name] = tensor
    missing, extra = [n for n in expected if n not in tensors], [n for n in tensors if n not in expected]
    if missing or extra:
        lacks = f"lacks the tensors {_some(missing)}" if missing else ""
        has = f"has the unknown tensors {_some(extra)}" if extra else ""
        raise damaged(path, " and ".join(filter(None, (lacks, has))))
    for name, tensor in expected.items():
        given = tensors[name]
        if given.shape != tensor.shape or given.dtype != tensor.dtype:
            wanted = f"{tensor.dtype} {list(tensor.shape)}".removeprefix("torch.")
            got = f"{given.dtype} {list(given.shape)}".removeprefix("torch.")
            raise damaged(path, f"has {name} as {got}, but {CONFIG} makes it {wanted}")
        with torch.no_grad():
            tensor.copy_(given)


def _some(names: list[str]) -> str:
    told = ", ".join(shown(name) for name in names[:3])
    return told + (f" and {len(names) - 3} more" if len(names) > 3 else "")
