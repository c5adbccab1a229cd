"""Sample data made by a grammar, so that everything runs without a network: `write_sample("translation", Path("data/tiny"))`."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from headway.errors import ResourceError, UsageError
from headway.samples.kind import PARTS
from headway.samples.kinds import SAMPLES

_RECORD = "sample.json"  # what was written here, with digests: only files that are still so are ever replaced
_UNMADE = ""  # the digest of a file that was to be made when the record was written


def write_sample(
    kind: str,
    directory: Path,
    *,
    seed: int = 1,
    size: int | None = None,
    follow: Callable[[list[str]], Iterable[str]] = iter,
) -> dict[str, Any]:
    """Writes sample data of a kind, and the configuration that learns it, into a directory of its own.

    Args:
        kind: a key of SAMPLES.
        directory: new, empty, or holding an unchanged sample, which is replaced.
        seed: the same seed and size give the same data.
        size: training examples, by default as many as suit the kind; validation and test have a twentieth of it each.
        follow: gives the names of the files back as they come to be written, for who wants to watch.

    Returns: kind, directory, seed, size, lines (file name → number of lines) and files (folder → number of files).
    Raises: UsageError for an unknown kind, an impossible seed or size, a directory that holds other files, or where a package is
        missing that makes pictures or clips; ResourceError where it cannot be written.
    """
    if kind not in SAMPLES:
        nearest = difflib.get_close_matches(kind, SAMPLES, n=1, cutoff=0.0)[0]
        remedy = f"did you mean {nearest!r}? There are {', '.join(SAMPLES)}"
        raise UsageError(f"unknown kind of sample {kind!r}", where="sample", remedy=remedy)
    if seed < 0:
        raise UsageError(f"seed={seed} is negative", where="seed", remedy="give a number from 0")
    directory, made = Path(directory), SAMPLES[kind]
    size = made.size if size is None else size
    files = {**made.files(kind, seed, size), "config.yaml": made.configuration(kind, directory)}
    # The record goes first: after a crash, whatever stands here is still known to be ours, the files that have no digest yet too.
    record = {name: _digest(text.encode()) if isinstance(text, str) else _UNMADE for name, text in files.items()}
    about = {"kind": kind, "seed": seed, "size": size}
    try:
        old = _replaceable(directory)
        directory.mkdir(parents=True, exist_ok=True)
        _delete(directory, old)
        _write_record(directory, about, record)
        for folder in _folders(files):
            (directory / folder).mkdir()
        for name in follow(list(files)):
            content = files[name]
            data = content.encode() if isinstance(content, str) else content()
            _write(directory / name, data)
            record[name] = _digest(data)
        if _folders(files):
            _write_record(directory, about, record)
    except OSError as error:
        remedy = "choose another directory, or make room"
        raise ResourceError(f"cannot write the sample: {error.strerror or error}", where=str(directory), remedy=remedy) from error
    lines = {name: text.count("\n") for name, text in files.items() if name.startswith(PARTS) and isinstance(text, str)}
    folders = {folder: sum(name.startswith(f"{folder}/") for name in files) for folder in sorted(_folders(files))}
    return {**about, "directory": str(directory), "lines": lines, "files": folders}


def is_made(path: str | os.PathLike[str]) -> bool:
    """Whether `headway sample` wrote a file: the record beside it names it."""
    return Path(path).name in _recorded(Path(path).parent / _RECORD)


def _replaceable(directory: Path) -> list[str]:
    """The files of an earlier, unchanged sample here. Raises UsageError where anything else is in the way."""
    if not directory.exists():
        return []
    if not directory.is_dir():
        raise UsageError("is not a directory", where=str(directory), remedy="give the sample a new directory")
    digests = _recorded(directory / _RECORD)
    names = list(_names(directory, _folders(digests)))
    for name in names:
        if name == _RECORD and digests:
            continue
        if name.endswith(".partial") and name.removesuffix(".partial") in {*digests, _RECORD}:
            continue
        path, digest = directory / name, digests.get(name)
        if digest is None or not path.is_file() or digest not in (_UNMADE, _digest(path.read_bytes())):
            what = f"holds {name!r}, which is not an unchanged sample file"
            raise UsageError(what, where=str(directory), remedy="nothing was written; give the sample a new directory")
    return [name for name in names if name != _RECORD]


def _names(directory: Path, folders: set[str]) -> Iterator[str]:
    """The names of what is in a directory, and in those of its folders, with theirs before them."""
    for name in sorted(os.listdir(directory)):
        if name in folders and (directory / name).is_dir() and not (directory / name).is_symlink():
            yield from (f"{name}/{each}" for each in sorted(os.listdir(directory / name)))
        else:
            yield name


def _folders(names: Iterable[str]) -> set[str]:
    return {name.partition("/")[0] for name in names if "/" in name}


def _delete(directory: Path, names: list[str]) -> None:
    """Files of an earlier sample, and the folders that they were in."""
    for name in names:
        (directory / name).unlink(missing_ok=True)
    for folder in _folders(_recorded(directory / _RECORD)):
        if (directory / folder).exists():
            (directory / folder).rmdir()


def _recorded(path: Path) -> dict[str, str]:
    """File name → digest of an earlier sample; empty where there is none."""
    try:
        found = json.loads(path.read_text("utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_record(directory: Path, about: dict[str, Any], digests: dict[str, str]) -> None:
    _write(directory / _RECORD, (json.dumps({**about, "sha256": digests}, indent=2) + "\n").encode())


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    aside = path.with_name(path.name + ".partial")
    aside.write_bytes(data)
    os.replace(aside, path)
