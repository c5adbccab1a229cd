"""The systems that are measured beside Headway: for each its configuration file, its command and how to read its log.

A peer is a module with `prepare(size, corpus, places) -> Run` and, for training, `read(text) -> list[Reading]`.
"""

from __future__ import annotations

import os
import shutil
import string
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
THREADS = 2


@dataclass(frozen=True)
class Size:
    name: str
    layers: int  # of the encoder and of the decoder
    width: int
    feed_forward: int
    heads: int


SIZES = {
    "tiny": Size("tiny", 4, 128, 256, 4),
    "base3": Size("base3", 3, 512, 2048, 8),
    "base": Size("base", 6, 512, 2048, 8),
}


@dataclass(frozen=True)
class Reading:
    """One line of a system's own log: the update it speaks of, and target tokens (per second) since the line before."""

    update: int
    tokens_per_second: float
    tokens: int | None = None  # where the log says them


@dataclass(frozen=True)
class Run:
    """A training command to start; `log` is the file its readings appear in."""

    argv: list[str]
    directory: Path
    log: Path
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Places:
    """Where things stand: the peers' environments and a directory for what the runs write."""

    peers: Path
    work: Path

    def program(self, environment: str, name: str) -> str:
        path = self.peers / environment / "bin" / name
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing; make the peers' environments with `bash benchmarks/setup_peers.sh`")
        return str(path)

    def directory(self, name: str, *, fresh: bool = True) -> Path:
        """A directory for one run; `fresh`: what an earlier benchmark left there is removed."""
        path = self.work / "runs" / name
        if fresh:
            shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True, exist_ok=True)
        return path


def fill(template: str, destination: Path, **values: object) -> Path:
    """Writes `benchmarks/peers/<template>` with its $names filled in; an unknown $name raises KeyError."""
    text = (HERE / template).read_text("utf-8")
    destination.write_text(string.Template(text).substitute({key: str(value) for key, value in values.items()}), "utf-8")
    return destination


def dimensions(size: Size) -> dict[str, object]:
    return {
        "layers": size.layers,
        "width": size.width,
        "feed_forward": size.feed_forward,
        "heads": size.heads,
    }


def environment(allocator: str) -> dict[str, str]:
    """The environment every system gets. `kept`: glibc keeps freed memory; `own`: as the system comes."""
    kept = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8589934592", "MALLOC_TOP_PAD_": "268435456"}
    ours = {
        "OMP_NUM_THREADS": str(THREADS),
        "MKL_NUM_THREADS": str(THREADS),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    ignored = ("OPENBLAS_", "MALLOC_", "LD_PRELOAD", "PYTHONPATH", "VIRTUAL_ENV")
    base = {key: value for key, value in os.environ.items() if not key.startswith(ignored)}
    return {**base, **ours, **(kept if allocator == "kept" else {})}
