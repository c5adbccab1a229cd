"""A model that is served: the crew that answers now, the newer one that takes over, and those that finish what they have.

A newer model is loaded beside the one that answers, and takes over when all its workers are ready; one that cannot be loaded
changes nothing. What a crew has been asked it answers, so no request is lost, and no text is answered by two models; of a
document, which is asked sentence by sentence, the later sentences may be answered by the newer one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from headway.errors import ModelError
from headway.serve.limits import Limits
from headway.serve.model_source import ModelSource
from headway.serve.workers import Busy, Crew, NotReady, Task

LOOK_SECONDS = 0.1  # between two looks at whether the workers live
MOST_DEATHS = 3  # of a newer model's workers, before it is given up
MANIFEST, EXPORT = "manifest.json", "export.json"  # a directory that has one holds a model; of a run's model only the first
_log = logging.getLogger(__name__)


class Pool:
    """All workers of one model.

    Args:
        workers: processes.
        context: what they are started by; it has imported all they need.
        reload_seconds: between two looks at whether there is a newer model; 0 for none.
    """

    def __init__(
        self, source: ModelSource, workers: int, limits: Limits, context: ForkServerContext, reload_seconds: float = 0
    ) -> None:
        self.source, self.limits = source, limits
        self._count, self._context, self._reload_seconds = workers, context, reload_seconds
        self._crew = Crew(source, limits, context)
        self._newer: Crew | None = None
        self._leaving: list[Crew] = []
        self._stops: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._stopping = self._once_more = False
        self._past_deaths = 0
        self._watchers: list[asyncio.Task[None]] = []
        self.trouble: str | None = None  # why a newer model does not answer

    @property
    def facts(self) -> dict[str, Any] | None:
        """Of the model, once a worker has loaded it."""
        return self._crew.facts

    @property
    def broken(self) -> ModelError | None:
        """Why the model cannot be loaded."""
        return self._crew.broken

    @property
    def ready(self) -> bool:
        return any(worker.answering for worker in self._crew.workers)

    @property
    def open(self) -> int:
        """Jobs that are accepted and not answered."""
        return sum(len(crew.tasks) for crew in self._crews())

    @property
    def deaths(self) -> int:
        return self._past_deaths + sum(crew.deaths for crew in self._crews())

    def _crews(self) -> list[Crew]:
        return [self._crew, *self._leaving, *([self._newer] if self._newer is not None else [])]

    async def start(self) -> None:
        """Returns when a worker is ready, or the model turns out to be none."""
        self._crew.start(self._count)
        self._watchers.append(asyncio.create_task(self._watch()))
        if self._reload_seconds > 0:
            self._watchers.append(asyncio.create_task(self._watch_files()))
        while self.facts is None and self.broken is None:
            await asyncio.sleep(0.02)

    async def ask(self, job: dict[str, Any], partly: Callable[[str], None] | None = None) -> list[dict[str, Any]]:
        """The answers to a job, best first. When the caller is cancelled the job is given up.

        Args:
            partly: is called with what has been written so far.

        Raises:
            Busy: too many wait. NotReady: its worker died, or there is none. Refused: it cannot be answered.
        """
        if self._stopping or self.facts is None or (self.broken is not None and not self.ready):
            raise NotReady
        if self.open >= self.limits.waiting:
            raise Busy
        job = job if partly is None else {**job, "stream": True}
        task = Task(next(self._numbers), job, asyncio.get_running_loop().create_future(), partly)
        crew = self._crew
        crew.take(task)
        try:
            return await task.answers
        finally:
            crew.forget(task)

    # ---- a newer model ---------------------------------------------------------------------------------------------

    def renew(self) -> None:
        """Loads what is in the directory now, beside the model that answers."""
        if self._stopping:
            return
        if self._newer is not None or self.facts is None:
            self._once_more = True  # what is loaded just now may be the one before
            return
        _log.info("loading %s again", self.source.path)
        self._newer = Crew(self.source, self.limits, self._context)
        self._newer.start(self._count)

    def _look_at_newer(self) -> None:
        newer = self._newer
        if newer is not None and (newer.broken is not None or newer.deaths >= MOST_DEATHS):
            told = newer.broken.in_a_line() if newer.broken is not None else "its workers die"
            _log.warning("the newer model of %s is not served, the one before answers on: %s", self.source.path, told)
            self.trouble, self._newer = "it cannot be loaded; the log of the server tells why", None
            self._stop_later(newer)
        elif newer is not None and all(worker.ready for worker in newer.workers):
            self._leaving.append(self._crew)
            self._crew, self._newer, self.trouble = newer, None, None
            _log.info("serving the model that is now in %s (%s)", self.source.path, (newer.facts or {}).get("fingerprint"))
        for crew in [crew for crew in self._leaving if not crew.tasks]:
            self._leaving.remove(crew)
            self._stop_later(crew)
        if self._newer is None and self.facts is not None and (self._once_more or self._crew.mixed):
            self._once_more = self._crew.mixed = False
            self.renew()

    def _stop_later(self, crew: Crew) -> None:
        self._past_deaths += crew.deaths
        stopping = asyncio.create_task(crew.stop())
        self._stops.add(stopping)
        stopping.add_done_callback(self._stops.discard)

    async def _watch_files(self) -> None:
        """Renews when the files are others than before, and have come to rest."""
        serving = before = await asyncio.to_thread(files_of, self.source.path)
        while True:
            await asyncio.sleep(self._reload_seconds)
            now = await asyncio.to_thread(files_of, self.source.path)
            if now is not None and now != serving and now == before:
                serving = now
                self.renew()
            before = now

    # ---- from here to the end --------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            late, last = time.monotonic() - last - LOOK_SECONDS, time.monotonic()
            workers = [worker for crew in self._crews() for worker in crew.workers]
            for worker in workers:
                if late > 1:  # the machine slept, or all of us were stopped: first hear what has been said meanwhile
                    worker.was_not_watched(late)
                else:
                    worker.look()
            self._look_at_newer()

    async def stop(self) -> None:
        """Nothing more is answered."""
        self._stopping = True
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*(crew.stop() for crew in self._crews()), *self._stops)


def files_of(path: Path) -> list[tuple[str, int, int, int]] | None:
    """What tells the files of a model, or of a run's model, from those that may take their place; None while there are none."""
    for directory, proofs in ((path, (MANIFEST, EXPORT)), (path / "model", (MANIFEST,))):
        try:
            with os.scandir(directory) as entries:
                found = sorted((entry.name, *_version(entry)) for entry in entries if entry.is_file())
        except OSError:
            continue
        if any(name in proofs for name, *_ in found):
            return found
    return None


def _version(entry: os.DirEntry[str]) -> tuple[int, int, int]:
    status = entry.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
