"""Starts a training command, watches its own log and says how fast it trains once it is warm."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from peers import Reading, Run

POLL_SECONDS = 0.05
USAGE_SECONDS = 1.0  # looking through all processes costs some milliseconds, which the command would miss
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_MIB = resource.getpagesize() / (1 << 20)


@dataclass(frozen=True)
class Measured:
    """Speed over the window that was measured, and what else was seen."""

    tokens_per_second: float
    updates: int  # in the window
    seconds: float  # of the window
    start_seconds: float  # from the start of the command to its first reading
    peak_mib: float  # resident memory of all its processes together
    others: float  # share of the CPUs that other programs used in the window


@dataclass(frozen=True)
class Patience:
    """Skip `warm_up` seconds and 3 readings, then measure `seconds` and at least 3 readings; give up after `limit`."""

    warm_up: float
    seconds: float
    limit: float = 1800.0


class Session:
    """A command in a session of its own, so that its workers are found and ended with it."""

    def __init__(self, run: Run, environment: dict[str, str]) -> None:
        self.output = run.directory / "output.log"
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                run.argv,
                cwd=run.directory,
                env={**environment, **run.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def usage(self) -> tuple[float, float]:
        """(CPU seconds, resident MiB) of all processes of the session that live."""
        seconds = mib = 0.0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text("utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid:
                seconds += sum(map(int, fields[11:15])) / TICKS
                mib += int(fields[21]) * PAGE_MIB
        return seconds, mib

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def busy_seconds() -> float:
    """CPU seconds that the machine has spent on anything so far."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def measure(run: Run, read: Callable[[str], list[Reading]], environment: dict[str, str], patience: Patience) -> Measured:
    """Raises RuntimeError with the end of its output if the command stops or says nothing within the limit."""
    session = Session(run, environment)
    start = time.perf_counter()
    arrivals: list[tuple[float, Reading]] = []
    warm_from: int | None = None  # the last reading that is not counted
    peak = busy = ours = looked = 0.0
    size = 0
    try:
        while True:
            time.sleep(POLL_SECONDS)
            now, grown = time.perf_counter(), False
            if run.log.exists() and run.log.stat().st_size != size:
                size = run.log.stat().st_size
                readings = read(run.log.read_text("utf-8", errors="replace"))
                grown = len(readings) > len(arrivals)
                arrivals += [(now, reading) for reading in readings[len(arrivals) :]]
            if now - looked >= USAGE_SECONDS:
                peak, looked = max(peak, session.usage()[1]), now
            if warm_from is None and len(arrivals) >= 3 and now - arrivals[0][0] >= patience.warm_up and grown:
                warm_from, busy, ours = len(arrivals) - 1, busy_seconds(), session.usage()[0]
            window = 0.0 if warm_from is None else arrivals[-1][0] - arrivals[warm_from][0]
            if warm_from is not None and len(arrivals) - warm_from > 3 and window >= patience.seconds:
                elapsed = now - arrivals[warm_from][0]
                used = busy_seconds() - busy - (session.usage()[0] - ours)
                others = max(0.0, used / elapsed / (os.cpu_count() or 1))
                return _summary(arrivals[warm_from:], arrivals[0][0] - start, peak, others)
            if session.process.poll() is not None or now - start > patience.limit:
                tail = session.output.read_text("utf-8", errors="replace")[-2000:]
                why = "stopped" if session.process.poll() is not None else f"was not done after {patience.limit:.0f} s"
                raise RuntimeError(f"{' '.join(run.argv)} {why}; its output ends with\n{tail}")
    finally:
        session.end()


def _summary(window: list[tuple[float, Reading]], start_seconds: float, peak: float, others: float) -> Measured:
    """Tokens over wall-clock time; where a log gives no tokens, its own rate stands for the time up to its line."""
    spans = [after - before for (before, _), (after, _) in pairwise(window)]
    tokens = sum(
        span * reading.tokens_per_second if reading.tokens is None else reading.tokens
        for span, (_, reading) in zip(spans, window[1:], strict=True)
    )
    return Measured(
        tokens_per_second=tokens / sum(spans),
        updates=window[-1][1].update - window[0][1].update,
        seconds=sum(spans),
        start_seconds=start_seconds,
        peak_mib=peak,
        others=others,
    )


def end_on_sigterm() -> None:
    """SIGTERM ends the benchmark like an exception, so that what it started is ended too."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def spread(values: list[float]) -> str:
    """Median and range, such as `4,310 (4,200–4,580)`."""
    digits = 0 if statistics.median(values) >= 100 else (1 if statistics.median(values) >= 10 else 2)
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low}–{high})"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])
