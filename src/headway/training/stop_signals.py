"""SIGINT, SIGTERM and SIGHUP while training: the step is finished and saved first."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class Stopped(BaseException):
    """Raised inside `StopSignal.at_once`."""


class StopSignal:
    """The signal that asked to stop, if one has come."""

    number: int | None = None
    raises = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside the block, which must leave nothing half done, a signal raises `Stopped` instead of being waited for."""
        self.raises = True
        try:
            yield
        finally:
            self.raises = False


@contextmanager
def stop_signals() -> Iterator[StopSignal]:
    """SIGINT, SIGTERM and, but under `nohup`, SIGHUP let the step finish; a second SIGINT ends at once."""
    stop = StopSignal()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.number is not None and number == signal.SIGINT:
            os.write(2, b"\x1b[?25h" if os.isatty(2) else b"")  # the progress bar hid the cursor
            os._exit(130)
        stop.number = number
        with suppress(OSError):  # the terminal may be gone
            os.write(2, b"\nfinishing the step and saving; Ctrl-C again ends at once\n")
        if stop.raises:
            stop.raises = False
            raise Stopped

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

    try:
        before = {number: signal.signal(number, handle) for number in numbers}
    except ValueError:  # not in the main thread: somebody else handles signals
        before = {}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
