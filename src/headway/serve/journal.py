"""What a server tells of each request, and of itself: a line each, with nobody's text, key or file name in it."""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import secrets
import select
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.types import Scope

from headway.visible import note_line

FORMS = ("text", "json", "none")
STANDARD_ERROR = 2
MOST_LINES = 10_000  # that wait to be written
WAIT_SECONDS = 0.5  # for room, before it is tried again
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")  # that a client may give


@dataclass
class Entry:
    """A request on its way.

    Attributes:
        id: that its client has given, or a new one. route: as the routes have it, never what was asked for.
        status: of its answer; 499 until there is one. texts, characters: that the model was asked for.
    """

    id: str
    method: str
    route: str = "-"
    status: int = 499
    seconds: float = 0.0
    model: str | None = None
    texts: int = 0
    characters: int = 0


_current: ContextVar[Entry | None] = ContextVar("request", default=None)


def note(model: str, jobs: Sequence[dict[str, Any]]) -> None:
    """Tells the request that is answered just now what a model is asked for it."""
    if (entry := _current.get()) is not None:
        entry.model, entry.texts = model, entry.texts + len(jobs)
        entry.characters += sum(len(text) for job in jobs for text in job.get("said") or (job.get("text", ""),))


def under_way() -> bool:
    """Whether a model has been asked for the request that is answered just now."""
    entry = _current.get()
    return entry is not None and entry.texts > 0


class Journal(logging.Handler):
    """Writes to standard error, from a thread of its own: where nobody reads, no request waits, but lines are lost.

    Args:
        form: "text", "json" (an object a line), or "none" for nothing of requests.
    """

    def __init__(self, form: str = "none") -> None:
        super().__init__()
        self.form = form
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_LINES)
        self._lost = 0
        self._writing = threading.Thread(target=self._write, daemon=True)
        self._writing.start()

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Entry]:
        """Writes one when it is at its end; `status` must be told before."""
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        entry = Entry(given.decode() if REQUEST_ID.fullmatch(given) else secrets.token_hex(8), scope["method"])
        token, begun = _current.set(entry), time.perf_counter()
        try:
            yield entry
        finally:
            _current.reset(token)
            entry.seconds = round(time.perf_counter() - begun, 4)
            entry.route = getattr(scope.get("route"), "path", "-")
            self._add(entry)

    def emit(self, record: logging.LogRecord) -> None:
        """What Headway notes of itself goes the same way: the loop of a server must not wait for who reads its log."""
        if self.form == "json":
            self._put(json.dumps({"time": _now(), "level": record.levelname.lower(), "message": record.getMessage()}))
        else:
            self._put(note_line(record))

    def _add(self, entry: Entry) -> None:
        told = {name: value for name, value in asdict(entry).items() if value is not None}
        if entry.model is None:
            del told["texts"], told["characters"]
        if self.form == "json":
            self._put(json.dumps({"time": _now(), "level": "info", "message": "request", **told}))
        elif self.form == "text":
            first = " ".join(str(told.pop(name)) for name in ("method", "route", "status"))
            self._put(f"{_now()} {first} " + " ".join(f"{name}={value}" for name, value in told.items()))

    def _put(self, line: str) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._lost:
                told, self._lost = f"{self._lost} lines are lost: nobody read them in time", 0
                line += "\n" + (json.dumps({"level": "warning", "message": told}) if self.form == "json" else told)
            try:
                _write_all(STANDARD_ERROR, (line + "\n").encode("utf-8", "backslashreplace"))  # a path may be no UTF-8
            except OSError:  # nobody will read any more
                return

    def close(self) -> None:
        """Writes what is left, if somebody reads it; else nothing more is written at all, so that the process can end."""
        self._put_last()
        self._writing.join(1)
        if self._writing.is_alive():
            os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_ERROR)
        super().close()

    def _put_last(self) -> None:
        try:
            self._lines.put(None, timeout=0.1)
        except queue.Full:
            self._lost += 1


def _write_all(descriptor: int, content: bytes) -> None:
    while content:  # not by way of sys.stderr: a thread that waits within it would hold its lock
        try:
            content = content[os.write(descriptor, content) :]
        except BlockingIOError:  # whom we share it with wants nobody to wait: there is no room just now
            select.select([], [descriptor], [], WAIT_SECONDS)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def journal(form: str) -> Iterator[Journal]:
    """One for the time of a server; what Headway notes of itself goes there too."""
    own, logger = Journal(form), logging.getLogger("headway")
    before, logger.handlers = logger.handlers, [own]
    try:
        yield own
    finally:
        logger.handlers = before
        own.close()
