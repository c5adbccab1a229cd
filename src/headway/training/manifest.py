"""The files of one checkpoint on the disk: written durably with their digests, and read back only as they were written.

    step-00000500/{model.safetensors, training.safetensors, state.json, manifest.json}

`manifest.json` holds the size and SHA-256 of the other three and a digest of itself.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import platform
import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.errors import ModelError, ResourceError
from headway.json_rules import refuse_constants, refuse_duplicates
from headway.training import _fs
from headway.training.tensor_file import describe_stranger, parse_tensors

FORMAT_VERSION = 1
MODEL, TRAINING, STATE, MANIFEST = "model.safetensors", "training.safetensors", "state.json", "manifest.json"
MAX_JSON_BYTES = 64 << 20
STEP_NAME = re.compile(r"step-(\d{8,18})(?:\.(\d{1,6}))?")


def to_json(value: Mapping[str, Any], indent: int | None = 1) -> bytes:
    """Canonical bytes of a JSON object. Raises ResourceError for NaN and infinity, TypeError for what JSON cannot hold."""
    try:
        return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except ValueError as error:
        raise ResourceError(f"not saved: the training state is not finite ({error})") from None


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(to_json(content, indent=None)).hexdigest()


def write_file(path: Path, chunks: Iterable[memoryview | bytes]) -> dict[str, Any]:
    """Write a new file, bring it to the medium and return its size and digest."""
    digest, size = hashlib.sha256(), 0
    descriptor = _fs.create(path)
    try:
        for chunk in chunks:
            rest = memoryview(chunk)
            digest.update(rest)
            size += len(rest)
            while rest:
                taken = _fs.write(descriptor, rest)
                if taken <= 0:
                    raise OSError(errno.EIO, "the disk takes no more bytes", str(path))
                rest = rest[taken:]
        _fs.fsync(descriptor)
    finally:
        _fs.close(descriptor)
    return {"bytes": size, "sha256": digest.hexdigest()}


def manifest_of(step: int, records: Mapping[str, Any]) -> bytes:
    content = {
        "format_version": FORMAT_VERSION,
        "step": step,
        "files": dict(records),
        "headway": _headway_version(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    return to_json({**content, "digest": _digest(content)})


@functools.cache
def _headway_version() -> str:
    return metadata.version("headway")


def verify(path: Path) -> None:
    """Read every byte of a checkpoint and compare it with its manifest.

    Raises:
        ModelError: where and how it differs.
    """
    for name, record in _read_manifest(path).items():
        _read_file(path / name, record, keep=False)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors and the state of a checkpoint, verified as they are read; the tensors of a file share one buffer.

    Raises:
        ModelError: it is missing or differs from its manifest.
    """
    records = _read_manifest(path)
    tensors: dict[str, Tensor] = {}
    for name in (MODEL, TRAINING):
        tensors |= parse_tensors(_read_file(path / name, records[name]), str(path / name))
    return tensors, read_json(path / STATE, records[STATE])


def _read_manifest(path: Path) -> dict[str, Any]:
    """The records of the files of a checkpoint, by name."""
    try:
        found = _fs.status(path)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    if found is None or found.kind != "directory":
        raise _damaged(path, "does not exist" if found is None else "is not a directory")
    where = path / MANIFEST
    manifest = read_json(where)
    version, files = manifest.get("format_version"), manifest.get("files")
    if isinstance(version, int) and version > FORMAT_VERSION:
        problem = f"has format version {version}; this Headway knows {FORMAT_VERSION}"
        raise ModelError(problem, where=str(where), remedy="upgrade headway")
    content = {key: value for key, value in manifest.items() if key != "digest"}
    if version != FORMAT_VERSION or not isinstance(files, dict) or manifest.get("digest") != _digest(content):
        raise _damaged(where, "does not have its own digest")
    step = STEP_NAME.fullmatch(path.name)
    if set(files) != {MODEL, TRAINING, STATE} or (step and int(step[1]) != manifest.get("step")):
        raise _damaged(where, f"is of another checkpoint (step {manifest.get('step')}, {len(files)} files)")
    if not all(isinstance(record, dict) and record.keys() == {"bytes", "sha256"} for record in files.values()):
        raise _damaged(where, "has a wrong record of a file")
    return files


def read_json(path: Path, record: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A JSON object of ours. Raises ModelError for anything else."""
    text = _read_file(path, record, limit=MAX_JSON_BYTES).numpy().tobytes()
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=refuse_duplicates, parse_constant=refuse_constants)
        to_json(value)  # refuses numbers and letters that JSON cannot carry
    except (ValueError, TypeError, AttributeError, RecursionError, ResourceError):
        strange = describe_stranger(text[:512])
        raise _damaged(path, f"is {strange}" if strange else "is no JSON") from None
    if not isinstance(value, dict):
        raise _damaged(path, "is no JSON object")
    return value


def _read_file(path: Path, record: Mapping[str, Any] | None, keep: bool = True, limit: int | None = None) -> Tensor:
    """The bytes of a file (or, without `keep`, nothing), compared with its size and digest if a record is given."""
    try:
        found = _fs.status(path)
        if found is None or found.kind != "file":
            raise _damaged(path, "is missing" if found is None else "is not a regular file")
        if limit is not None and found.size > limit:
            raise _damaged(path, f"has {found.size:,} bytes, more than the {limit:,} that are read")
        if record is not None and found.size != record["bytes"]:
            raise _unlike(path, found.size, f"has {found.size:,} bytes instead of {record['bytes']:,}")
        content, digest = _read_bytes(path, found.size, keep)
        if record is not None and digest != record["sha256"]:
            raise _unlike(path, found.size, "is damaged: its SHA-256 differs from the manifest")
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    return content


def _unlike(path: Path, size: int, problem: str) -> ModelError:
    """The error for a file that is not the one written, saying what it looks like instead if that can be seen."""
    strange = describe_stranger(_read_bytes(path, min(size, 512))[0].numpy().tobytes())
    return _damaged(path, f"is {strange}" if strange else problem)


def _read_bytes(path: Path, size: int, keep: bool = True) -> tuple[Tensor, str]:
    """The first `size` bytes and their SHA-256; fewer where the file ends, or only the last part of them without `keep`."""
    content = torch.empty(size if keep else min(size, 1 << 20), dtype=torch.uint8)
    view, digest, done = content.numpy().data.cast("B"), hashlib.sha256(), 0
    descriptor = _fs.open_read(path)
    try:
        while done < size:
            place = done if keep else 0
            got = _fs.read_into(descriptor, view[place : place + min(size - done, 1 << 20)])
            if got <= 0:
                break
            digest.update(view[place : place + got])
            done += got
    finally:
        _fs.close(descriptor)
    return content[: done if keep else 0], digest.hexdigest()


def _damaged(path: Path, problem: str) -> ModelError:
    return ModelError(problem, where=str(path), remedy="restore it from a copy, or use another checkpoint")
