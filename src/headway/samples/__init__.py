"""Sample data made by a grammar, so that everything runs without a network: `write_sample("translation", Path("data/tiny"))`."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from headway.errors import ResourceError, UsageError
from headway.samples.kind import PARTS, SIZE
from headway.samples.kinds import SAMPLES

_RECORD = "sample.json"  # what was written here, with digests: only files that are still so are ever replaced


def write_sample(kind: str, directory: Path, *, seed: int = 1, size: int | None = None) -> dict[str, Any]:
    """Writes sample data of a kind, and the configuration that learns it, into a directory of its own.

    Args:
        kind: a key of SAMPLES.
        directory: new, empty, or holding an unchanged sample, which is replaced.
        seed: the same seed and size give the same data.
        size: training examples, by default 20,000; validation and test have a twentieth of it each.

    Returns: kind, directory, seed, size and lines (file name → number of lines).
    Raises: UsageError for an unknown kind or an impossible seed or size or a directory that holds other files;
        ResourceError where it cannot be written.
    """
    if kind not in SAMPLES:
        nearest = difflib.get_close_matches(kind, SAMPLES, n=1, cutoff=0.0)[0]
        remedy = f"did you mean {nearest!r}? There are {', '.join(SAMPLES)}"
        raise UsageError(f"unknown kind of sample {kind!r}", where="sample", remedy=remedy)
    if seed < 0:
        raise UsageError(f"seed={seed} is negative", where="seed", remedy="give a number from 0")
    directory, made = Path(directory), SAMPLES[kind]
    size = SIZE if size is None else size
    files = made.files(kind, seed, size) | {"config.yaml": made.configuration(kind, directory)}
    try:
        old = _replaceable(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for name in old:
            (directory / name).unlink(missing_ok=True)
        # The record goes first: after a crash, whatever stands here is still known to be ours.
        record = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
        _write(directory / _RECORD, json.dumps({"kind": kind, "seed": seed, "size": size, "sha256": record}, indent=2) + "\n")
        for name, text in files.items():
            _write(directory / name, text)
    except OSError as error:
        remedy = "choose another directory, or make room"
        raise ResourceError(f"cannot write the sample: {error.strerror or error}", where=str(directory), remedy=remedy) from error
    lines = {name: text.count("\n") for name, text in files.items() if name.startswith(PARTS)}
    return {"kind": kind, "directory": str(directory), "seed": seed, "size": size, "lines": lines}


def is_made(path: str | os.PathLike[str]) -> bool:
    """Whether `headway sample` wrote a file: the record beside it names it."""
    return Path(path).name in _recorded(Path(path).parent / _RECORD)


def _replaceable(directory: Path) -> list[str]:
    """The files of an earlier, unchanged sample here. Raises UsageError where anything else is in the way."""
    if not directory.exists():
        return []
    if not directory.is_dir():
        raise UsageError("is not a directory", where=str(directory), remedy="give the sample a new directory")
    names = sorted(os.listdir(directory))
    digests = _recorded(directory / _RECORD)
    for name in names:
        if name == _RECORD and digests:
            continue
        if name.endswith(".partial") and name.removesuffix(".partial") in {*digests, _RECORD}:
            continue
        path = directory / name
        if name not in digests or not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digests[name]:
            what = f"holds {name!r}, which is not an unchanged sample file"
            raise UsageError(what, where=str(directory), remedy="nothing was written; give the sample a new directory")
    return [name for name in names if name != _RECORD]


def _recorded(path: Path) -> dict[str, str]:
    """File name → digest of an earlier sample; empty where there is none."""
    try:
        found = json.loads(path.read_text("utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    aside = path.with_name(path.name + ".partial")
    aside.write_text(text, encoding="utf-8", newline="\n")
    os.replace(aside, path)
