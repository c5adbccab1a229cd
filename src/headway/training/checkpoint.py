"""Checkpoints that survive a kill, a full disk and a power failure at any instant.

    checkpoints/step-00000500/{model.safetensors, training.safetensors, state.json, manifest.json}

A checkpoint is written into a `.tmp-…` directory beside, every file is brought to the medium, the directory is renamed and
its parent brought to the medium; it is read back, and only then are older ones removed. A name `step-…` therefore means a
whole checkpoint, and `newest` still believes the digests in the manifest and not the name. The order of operations follows
Pillai et al. 2014 ("All File Systems Are Not Created Equal").
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from headway.errors import ModelError, ResourceError
from headway.model_files import lives, this_host
from headway.training import _fs
from headway.training.manifest import (
    MANIFEST,
    MAX_JSON_BYTES,
    MODEL,
    STATE,
    STEP_NAME,
    TRAINING,
    load,
    manifest_of,
    to_json,
    verify,
    write_file,
)
from headway.training.run_lock import RunLock
from headway.training.tensor_file import refuse_non_finite, tensor_bytes, tensor_chunks

__all__ = ["Checkpoint", "Checkpoints", "RunLock", "Skipped", "load", "verify"]

SPARE_BYTES = 1 << 20  # directories, manifest, rounding to blocks

_ASIDE = re.compile(r"\.tmp-.+-(\d+)-([0-9a-f]{8})-[0-9a-f]{8}")
log = logging.getLogger("headway")


@dataclass(frozen=True)
class Skipped:
    path: Path
    reason: str


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint, and the newer ones that were passed over, with the reasons."""

    path: Path
    step: int
    skipped: tuple[Skipped, ...] = ()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return load(self.path)


class Checkpoints:
    """The checkpoints of one run. One process may write; hold a `RunLock`.

    Args:
        directory: made at the first save.
        keep: verified checkpoints that always stay; at least 2.
    """

    def __init__(self, directory: Path | str, keep: int = 2) -> None:
        if keep < 2:
            raise ValueError(f"keep={keep}: one checkpoint alone cannot survive its own replacement")
        self.directory, self.keep = Path(directory), keep

    # --- writing ---

    def save(
        self, step: int, model_tensors: Mapping[str, Tensor], training_tensors: Mapping[str, Tensor], state: Mapping[str, Any]
    ) -> Path:
        """Write a checkpoint, verify it, remove those no longer needed, and return its directory.

        Args:
            step: updates made so far.
            model_tensors: the weights. training_tensors: optimiser, averages, random states.
            state: what JSON can hold; floats come back bit for bit.
        Raises:
            ResourceError: a value is not finite (nothing is written), or the disk refuses; what was there is intact.
        """
        assert not model_tensors.keys() & training_tensors.keys(), "loading puts them together again"
        refuse_non_finite({**model_tensors, **training_tensors})
        text = to_json(state)
        assert len(text) <= MAX_JSON_BYTES, "large things belong in tensors"
        needed = tensor_bytes(model_tensors) + tensor_bytes(training_tensors) + len(text) + SPARE_BYTES
        try:
            self._prepare()
            self.require_space(needed)
            tensors = {MODEL: tensor_chunks(model_tensors), TRAINING: tensor_chunks(training_tensors)}
            path = self._write(step, {**tensors, STATE: [text]})
        except OSError as error:
            raise self._refused(step, error, needed) from error
        try:
            verify(path)
        except ModelError as error:
            problem = f"step {step} was written, but {error.problem}"
            raise ResourceError(problem, where=error.where, remedy="check the disk; older checkpoints are intact") from error
        self._prune(path)
        return path

    def require_space(self, needed: int) -> None:
        """Raise ResourceError unless `needed` bytes are free where the checkpoints go; call it before the first update too."""
        place = self.directory
        try:
            while _fs.status(place) is None and place != place.parent:
                place = place.parent
            free = _fs.free_bytes(place)
        except OSError as error:
            raise _unreadable(place, error) from error
        if free < needed:
            raise ResourceError(
                f"a checkpoint needs {needed:,} bytes, but only {free:,} bytes are free",
                where=str(self.directory),
                remedy="free some space, or set run_directory to another disk; checkpoints already there are intact",
            )

    def _prepare(self) -> None:
        """Make the directory durably, and remove what dead writers left in it."""
        missing = []
        place = self.directory
        while _fs.status(place) is None:
            missing.append(place)
            place = place.parent
        for path in reversed(missing):
            _fs.make_directory(path)
            _fs.fsync_directory(path.parent)
        for name in _fs.list_directory(self.directory):
            if (match := _ASIDE.fullmatch(name)) and not (match[2] == this_host() and lives(int(match[1]))):
                _remove(self.directory / name)

    def _write(self, step: int, files: Mapping[str, Iterable[memoryview | bytes]]) -> Path:
        aside, final = self._aside(f"step-{step:08d}"), self._free_name(step)
        _fs.make_directory(aside)
        try:
            records = {name: write_file(aside / name, chunks) for name, chunks in files.items()}
            write_file(aside / MANIFEST, [manifest_of(step, records)])
            _fs.fsync_directory(aside)
            _fs.rename(aside, final)
        except OSError:
            _remove(aside, quietly=True)
            raise
        _fs.fsync_directory(self.directory)
        return final

    def _aside(self, what: str) -> Path:
        return self.directory / f".tmp-{what}-{os.getpid()}-{this_host()}-{secrets.token_hex(4)}"

    def _free_name(self, step: int) -> Path:
        """`step-…`, or `step-….1` and so on where that step was saved before: what is whole is never replaced."""
        taken = [_key(name)[1] for name in self._names() if _key(name)[0] == step]
        return self.directory / (f"step-{step:08d}" + (f".{max(taken) + 1}" if taken else ""))

    def _refused(self, step: int, error: OSError, needed: int) -> ResourceError:
        free = "unknown"
        with contextlib.suppress(OSError):
            free = f"{_fs.free_bytes(self.directory):,}"
        return ResourceError(
            f"could not save step {step}: {error.strerror or error} (needed {needed:,} bytes, free {free})",
            where=str(error.filename or self.directory),
            remedy="free space or mend the rights, then resume; checkpoints already there are intact",
        )

    def _prune(self, saved: Path) -> None:
        """Remove what is older than the `keep` newest verified checkpoints. Trouble is told and leaves more than needed."""
        try:
            whole, names = 0, self._names()
            while names and whole < self.keep:
                name = names.pop(0)
                whole += name == saved.name or self._problem(name) is None
            for name in names:
                if name != saved.name:
                    aside = self._aside("old-" + name)  # renamed first: half a removal must not look like a checkpoint
                    _fs.rename(self.directory / name, aside)
                    _remove(aside)
        except (OSError, ModelError, ResourceError) as error:
            log.warning("older checkpoints were not removed: %s", error)

    # --- reading ---

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint whose every byte is as it was written; None where none was ever finished.

        Raises:
            ModelError: there are checkpoints and all are damaged; lists each with its reason. Nothing is deleted.
            ResourceError: the directory cannot be read.
        """
        halves = [name for name in self._entries(_ASIDE) if name.startswith(".tmp-step-")]
        skipped = [Skipped(self.directory / name, "was interrupted while being written") for name in halves]
        names = self._names()
        for name in names:
            problem = self._problem(name)
            if problem is None:
                return Checkpoint(self.directory / name, _key(name)[0], tuple(skipped))
            skipped.append(Skipped(self.directory / name, problem))
        if not names:
            return None
        listed = "".join(f"\n  {one.path.name}: {one.reason}" for one in skipped)
        raise ModelError(
            f"none of the {len(names)} checkpoints can be used:{listed}",
            where=str(self.directory),
            remedy="restore one from a copy, or start again in a new run_directory; nothing was deleted",
        )

    def _entries(self, pattern: re.Pattern[str]) -> list[str]:
        try:
            if _fs.status(self.directory) is None:
                return []
            return [name for name in _fs.list_directory(self.directory) if pattern.fullmatch(name)]
        except OSError as error:
            raise _unreadable(self.directory, error) from error

    def _names(self) -> list[str]:
        """Names of checkpoints, newest first."""
        return sorted(self._entries(STEP_NAME), key=_key, reverse=True)

    def _problem(self, name: str) -> str | None:
        try:
            verify(self.directory / name)
        except ModelError as error:
            return f"{Path(error.where or '').name} {error.problem}"
        return None


def _key(name: str) -> tuple[int, int]:
    match = STEP_NAME.fullmatch(name)
    assert match
    return int(match[1]), int(match[2] or 0)


def _remove(path: Path, quietly: bool = False) -> None:
    try:
        found = _fs.status(path)
        if found and found.kind == "directory":
            for name in _fs.list_directory(path):
                _fs.remove_file(path / name)
            _fs.remove_directory(path)
        elif found:
            _fs.remove_file(path)
    except OSError as error:
        if not quietly:
            log.warning("could not remove %s: %s", path, error.strerror)


def _unreadable(path: Path, error: OSError) -> ResourceError:
    return ResourceError(
        f"cannot be read: {error.strerror or error}", where=str(path), remedy="mend the rights, or check the disk"
    )
