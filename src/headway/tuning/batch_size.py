"""The largest batch that fits in memory, found before training begins with the longest batches that the data has.

On a CPU nothing says stop before the system kills somebody: so the memory of smaller batches tells what a larger one would take,
and none is tried that would take too much. On a GPU running out of memory is one more way of not fitting.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headway.config import Config, dump_config
from headway.errors import ResourceError
from headway.training.forecast import available_memory
from headway.training.parallel import choose_device
from headway.training.run_directory import cache_directory

SHARE = 0.85  # of the memory that is free which a batch may take
LONGEST_SECONDS = 60.0  # of an update: batches beyond are of no use
FINENESS = 8  # the result is within an eighth of what would just fit


@dataclass(frozen=True)
class Tried:
    batch_tokens: int
    fits: bool
    peak: int = 0  # bytes; 0 where it ran out of memory
    seconds: float = 0.0  # of an update
    tokens: int = 0  # targets of it
    whole: bool = False  # whether all rows of the corpus were in it


@dataclass(frozen=True)
class LargestBatch:
    tried: list[Tried]  # in the order of their size
    reason: str  # why none is larger

    @property
    def best(self) -> Tried:
        return max((one for one in self.tried if one.fits), key=lambda one: one.batch_tokens)


def largest_batch(config: Config, told: Callable[[Tried], None]) -> LargestBatch:
    """Tries batches of growing size, each in a process of its own; `told` hears of each.

    Raises:
        ResourceError: not even the smallest fits.
    """
    limit = available_memory(choose_device(config.training))
    allowed = None if limit is None else int(SHARE * limit)
    with tempfile.TemporaryDirectory() as name:

        def fits(batch_tokens: int) -> Tried:
            one = _try(config, batch_tokens, Path(name), allowed)
            told(one)
            return one

        return grow(max(256, config.data.max_length), allowed, fits)


def grow(smallest: int, allowed: int | None, attempt: Callable[[int], Tried]) -> LargestBatch:
    """Doubles until a batch does not fit, would not by the memory of those before, or is of no use; then halves the gap.

    Raises ResourceError where the smallest does not fit.
    """
    tried = [attempt(smallest)]
    if not tried[0].fits:
        remedy = "lower data.max_length or the size of the model, or raise training.accumulation"
        raise ResourceError(f"not even {smallest} tokens fit", where="training.batch_tokens", remedy=remedy)
    low, high, reason = smallest, 0, ""
    while not high:
        largest = tried[-1]
        if largest.whole:
            reason = "it holds the whole corpus"
        elif largest.seconds > LONGEST_SECONDS / 2:
            reason = f"an update of it takes {largest.seconds:.0f} seconds"
        if reason:
            return LargestBatch(tried, reason)
        wanted = 2 * low
        if allowed is not None and predicted(tried, wanted) > allowed:
            high = wanted
        else:
            tried.append(attempt(wanted))
            low, high = (wanted, 0) if tried[-1].fits else (low, wanted)
    while high - low > max(64, low // FINENESS):
        middle = (low + high) // 2 // 64 * 64
        if allowed is not None and predicted(tried, middle) > allowed:
            high = middle
            continue
        tried.append(attempt(middle))
        low, high = (middle, high) if tried[-1].fits else (low, middle)
    return LargestBatch(sorted(tried, key=lambda one: one.batch_tokens), "memory ends there")


def predicted(tried: list[Tried], batch_tokens: int) -> float:
    """Bytes, on the line through the two largest batches that fitted; 0 where fewer are known."""
    known = sorted((one for one in tried if one.fits and one.peak), key=lambda one: one.batch_tokens)[-2:]
    if len(known) < 2:
        return 0.0
    small, large = known
    slope = (large.peak - small.peak) / (large.batch_tokens - small.batch_tokens)
    return large.peak + max(0.0, slope) * (batch_tokens - large.batch_tokens)


def _try(config: Config, batch_tokens: int, directory: Path, allowed: int | None) -> Tried:
    training = config.training.model_copy(update={"batch_tokens": batch_tokens})
    data = config.data.model_copy(update={"cache_directory": str(cache_directory(config))})
    path = directory / f"{batch_tokens}.yaml"
    path.write_text(dump_config(config.model_copy(update={"training": training, "data": data})), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "headway.tuning.batch_probe", str(path)]
    ended = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, text=True)
    if ended.returncode < 0:  # the system took the memory back
        return Tried(batch_tokens, False)
    if ended.returncode:
        said = ended.stderr.strip().split("\n")[-1]
        raise ResourceError(f"a batch of {batch_tokens} tokens cannot be tried: {said}", where="training.batch_tokens")
    found = json.loads(ended.stdout.strip().split("\n")[-1])
    if not found["fits"]:
        return Tried(batch_tokens, False)
    fits = allowed is None or found["peak"] <= allowed
    return Tried(batch_tokens, fits, found["peak"], found["seconds"], found["tokens"], found["whole"])
