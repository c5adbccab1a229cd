"""A model that was written for another engine, with all that it takes to ask it as Headway's own: export.json tells of both.

Beside the engine's files stand the configuration, the tokenizer and the labels; all are verified when they are read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from headway.config import Config, dump_config, parse_config
from headway.data.tokenizer import Tokenizers
from headway.errors import ModelError, UsageError
from headway.evaluation.calibration import Calibration
from headway.json_rules import refuse_duplicates
from headway.model_dir import CALIBRATION, CONFIG, MAX_BYTES, TOKENIZERS, LoadedModel
from headway.model_files import EXPORT, bring_to_medium, damaged, read_file, refuse_existing, verify_file, write_directory
from headway.training import _fs
from headway.training.manifest import write_file
from headway.training.tensor_file import tensor_bytes

FORMAT_VERSION = 1
OURS = (EXPORT, CONFIG, CALIBRATION, *TOKENIZERS)


@dataclass(frozen=True)
class ExportedModel:
    """What export.json and the files beside it say; the engine's own files have been verified."""

    directory: Path
    engine: str
    quantization: str | None
    config: Config
    tokenizers: Tokenizers
    fingerprint: str  # of the model that it was made from
    calibration: Calibration | None


def write_exported(
    loaded: LoadedModel,
    out: Path,
    engine: str,
    quantization: str | None,
    write_engine: Callable[[Path], None],
    names: Collection[str],
) -> Path:
    """Writes a directory for another engine in one step.

    Args:
        write_engine: writes the engine's files, `names` at most, into a directory.

    Raises:
        UsageError: the directory is there. ResourceError: the disk refuses.
    """
    refuse_existing(out)

    def write(aside: Path) -> None:
        write_engine(aside)
        loaded.tokenizers.save(aside)
        records = {name: bring_to_medium(aside / name) for name in _fs.list_directory(aside)}
        records[CONFIG] = write_file(aside / CONFIG, [dump_config(loaded.config).encode()])
        if loaded.calibration is not None:
            records[CALIBRATION] = write_file(aside / CALIBRATION, [loaded.calibration.as_json().encode()])
        told = {
            "format_version": FORMAT_VERSION,
            "headway": metadata.version("headway"),
            "engine": engine,
            "quantization": quantization,
            "fingerprint": loaded.fingerprint,
            "files": records,
        }
        write_file(aside / EXPORT, [json.dumps(told, indent=1, sort_keys=True).encode() + b"\n"])

    needed = tensor_bytes(loaded.model.state_dict())
    return write_directory(out, write, names=(*OURS, *names), proof=EXPORT, what="exported model", needed=needed)


def read_exported(directory: Path) -> ExportedModel:
    """Raises ModelError where a file is missing, damaged or foreign."""
    told = _read_export(directory / EXPORT)
    records = told["files"]
    for name in sorted(os.listdir(directory)):  # whatever an engine might open must be known
        if name not in (*records, EXPORT, "parity.json") and name.endswith((".bin", ".onnx", ".gguf", ".json")):
            raise damaged(directory / name, "is not told of in export.json")
    for name, record in records.items():
        if name in MAX_BYTES:
            read_file(directory / name, MAX_BYTES[name], record)
        else:
            verify_file(directory / name, record)
    text = read_file(directory / CONFIG, MAX_BYTES[CONFIG], records[CONFIG]).numpy().tobytes()
    try:
        config = parse_config(text.decode(), str(directory / CONFIG))
    except (UsageError, UnicodeDecodeError) as error:
        raise damaged(directory / CONFIG, f"is not valid: {error}") from None
    calibration = None
    if CALIBRATION in records:
        calibration = Calibration.from_json(
            read_file(directory / CALIBRATION, MAX_BYTES[CALIBRATION], records[CALIBRATION]).numpy().tobytes().decode()
        )
    tokenizers = Tokenizers.load(directory)
    return ExportedModel(
        directory, told["engine"], told["quantization"], config, tokenizers, str(told["fingerprint"]), calibration
    )


def _read_export(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(read_file(path, 1 << 20).numpy().tobytes().decode(), object_pairs_hook=refuse_duplicates)
    except (ValueError, RecursionError):
        raise damaged(path, "is no JSON") from None
    version = told.get("format_version") if isinstance(told, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        problem = f"has format version {version}, and this Headway knows {FORMAT_VERSION}"
        raise ModelError(problem, where=str(path), remedy="upgrade Headway: pip install --upgrade headway")
    records = told.get("files") if version == FORMAT_VERSION and isinstance(told.get("engine"), str) else None
    if not isinstance(records, dict) or CONFIG not in records or not records.keys() & set(TOKENIZERS):
        raise damaged(path, "does not tell of an exported model")
    for name, record in records.items():
        whole = isinstance(record, dict) and type(record.get("bytes")) is int and isinstance(record.get("sha256"), str)
        if not whole or os.path.basename(name) != name:
            raise damaged(path, f"has no size and digest for {name[:80]!r}")
    return {"quantization": None, "fingerprint": "", **told}
