"""The workers of a model as the server sees them: started, given jobs, watched, and replaced when they die.

A job goes to the worker with the fewest; how many one may have is bounded, so most of what waits is here and survives a
worker. A job whose worker dies is not tried again: it may be what killed it. `pool.py` puts a crew in the place of another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import multiprocessing
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from headway.errors import ModelError
from headway.serve.limits import Limits
from headway.serve.model_source import ModelSource

SILENT_SECONDS = 15.0  # without a beat: it is dead
SLOW_SECONDS = 1.2  # without a beat, or in a step that is SLOW_TIMES longer than any before: nothing new is given to it
SLOW_TIMES = 10
LONG_SECONDS = 10.0  # in a step of which no short end is to be expected, before it is called stuck
SECONDS_TO_LOAD = 600.0
LONGEST_PAUSE = 10.0  # before one is started again that dies at its beginning
MOST_BYTES = 1 << 28  # of a message
_log = logging.getLogger(__name__)


class Busy(Exception):
    """More wait than may."""


class NotReady(Exception):
    """No worker can answer, and this job is lost."""


class Refused(Exception):
    """A job that cannot be answered: a mistake of who sent it, or else of the model."""

    def __init__(self, problem: str, remedy: str | None, *, of_request: bool) -> None:
        self.problem, self.remedy, self.of_request = problem, remedy, of_request
        super().__init__(problem)


@dataclass(eq=False)
class Task:
    """A job that somebody waits for."""

    number: int
    job: dict[str, Any]
    answers: asyncio.Future[list[dict[str, Any]]]
    partly: Callable[[str], None] | None = None
    worker: Worker | None = None


@dataclass(eq=False)
class Crew:
    """Workers that have loaded the same model, and the jobs that they were asked.

    Attributes:
        context: what they are started by; it has imported all they need.
        facts: of the model, once a worker has loaded it. broken: why it cannot be loaded.
        mixed: one that was replaced has found another model than the others have.
    """

    source: ModelSource
    limits: Limits
    context: ForkServerContext
    facts: dict[str, Any] | None = None
    broken: ModelError | None = None
    deaths: int = 0
    mixed: bool = False
    workers: list[Worker] = field(default_factory=list)
    tasks: dict[int, Task] = field(default_factory=dict)
    waiting: deque[Task] = field(default_factory=deque)

    def start(self, workers: int) -> None:
        self.workers = [Worker(self) for _ in range(workers)]

    def take(self, task: Task) -> None:
        self.tasks[task.number] = task
        self.waiting.append(task)
        self.hand_out()

    def forget(self, task: Task) -> None:
        self.tasks.pop(task.number, None)
        if task.worker is not None:
            task.worker.give_up(task)
        elif task in self.waiting:
            self.waiting.remove(task)
        self.hand_out()

    @property
    def room(self) -> int:
        """Jobs of a worker. A file may be one that kills it, and no other should be lost with it."""
        return self.limits.at_a_time if (self.facts or {}).get("reads", "text") == "text" else 1

    def hand_out(self) -> None:
        """Waiting jobs to workers that have room, the one with the fewest first."""
        while self.waiting:
            free = [worker for worker in self.workers if worker.flowing and len(worker.tasks) < self.room]
            if not free:
                return
            task = self.waiting.popleft()
            min(free, key=lambda worker: len(worker.tasks)).give(task)

    def loaded(self, facts: dict[str, Any]) -> None:
        before, self.facts, self.broken = self.facts, facts, None
        self.mixed = self.mixed or (len(self.workers) > 1 and before is not None and before != facts)
        self.hand_out()

    async def stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self.workers))


class Worker:
    """One process, from its start to its end, and then the next in its place."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.tasks: dict[int, Task] = {}
        self.ready = False  # it has loaded its model
        self._process: Any = None
        self._starting: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None  # while there is a process
        self._writer: asyncio.StreamWriter | None = None
        self._heard = time.monotonic()
        self._step, self._slowest = 0.0, 0.0  # seconds: of the step that it was in at its last beat, of the longest before
        self._failures = 0  # in a row, before it was ready
        self._living = asyncio.create_task(self._live())

    @property
    def flowing(self) -> bool:
        """Whether new jobs are given to it."""
        return self._within(SLOW_SECONDS)

    @property
    def answering(self) -> bool:
        """Whether an answer is to be expected of it. Short steps are those of a model that writes, once the first are done."""
        short = self._slowest > 0 and bool((self.crew.facts or {}).get("decodes"))
        loading = any(task.job.get("explain") for task in self.tasks.values())  # the plain model, for the first of them
        return self._within(SLOW_SECONDS if short and not loading else LONG_SECONDS)

    def _within(self, seconds: float) -> bool:
        silent = time.monotonic() - self._heard
        return self.ready and silent < SLOW_SECONDS and self._step < max(seconds, SLOW_TIMES * self._slowest)

    async def _live(self) -> None:
        while True:
            try:
                reader, self._writer = await self._new_process()
                self._listening = asyncio.create_task(self._listen(reader))
                await asyncio.wait([self._listening])
            except (OSError, EOFError) as error:  # no process can be started just now
                _log.warning("a worker of %s cannot be started: %s", self.crew.source.path, type(error).__name__)
                self._failures += 1
            self.bury()
            await asyncio.sleep(0.05 if not self._failures else min(LONGEST_PAUSE, 0.25 * 2 ** (self._failures - 1)))

    async def _new_process(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        pipe = Connection(theirs.detach())
        arguments = (pipe, self.crew.source, self.crew.limits)
        self._process = self.crew.context.Process(target=run_worker, args=arguments, daemon=True)

        def start() -> None:
            with contextlib.closing(pipe):
                self._process.start()

        self._starting = asyncio.create_task(asyncio.to_thread(start))  # the first waits for all imports
        await asyncio.shield(self._starting)
        self._heard, self._step, self._slowest = time.monotonic(), 0.0, 0.0
        return await asyncio.open_connection(sock=ours, limit=MOST_BYTES)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Returns when nobody is at the other end."""
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                (size,) = struct.unpack("!i", await reader.readexactly(4))
                self._hear(json.loads(await reader.readexactly(size)))

    def _hear(self, message: list[Any]) -> None:
        kind, *rest = message
        self._heard = time.monotonic()
        if kind == "ready":
            self.ready, self._failures = True, 0
            self.crew.loaded(rest[0])
        elif kind == "broken":
            problem, where, remedy = rest
            self.crew.broken = ModelError(problem, where=where or str(self.crew.source.path), remedy=remedy)
        elif kind == "note":
            _log.log(rest[0], "a worker of %s: %s", self.crew.source.path, rest[1])
        elif kind == "beat":
            self._step, self._slowest = rest
            self.crew.hand_out()
        elif kind == "replies":
            self._step = 0.0
            for reply in rest[0]:
                self._reply(reply)
            self.crew.hand_out()

    def _reply(self, reply: dict[str, Any]) -> None:
        if reply["partly"] is not None:
            if (task := self.tasks.get(reply["number"])) is not None and task.partly is not None:
                task.partly(reply["partly"])
            return
        task = self.tasks.pop(reply["number"], None)
        if task is None or task.answers.done():
            return
        task.worker = None
        if reply["answers"] is not None:
            task.answers.set_result(reply["answers"])
        else:
            refused = Refused(reply["problem"], reply["remedy"], of_request=reply["fault_of"] == "request")
            task.answers.set_exception(refused)

    def _send(self, message: list[Any], file: bytes | None = None) -> None:
        if self._writer is not None and not self._writer.is_closing():
            written = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")  # as json.loads has it
            for content in (written, *(() if file is None else (file,))):
                self._writer.write(struct.pack("!i", len(content)) + content)

    def give(self, task: Task) -> None:
        task.worker = self
        self.tasks[task.number] = task
        job = {key: value for key, value in task.job.items() if key != "content"}
        file = task.job.get("content")
        self._send(["job", {"number": task.number, **job} | ({} if file is None else {"file": True})], file)

    def give_up(self, task: Task) -> None:
        if self.tasks.pop(task.number, None) is not None:
            self._send(["cancel", task.number])
        task.worker = None

    def look(self) -> None:
        """Whether it lives, computes and speaks; if not, another takes its place."""
        if self._listening is None:
            return
        silent = time.monotonic() - self._heard > (SILENT_SECONDS if self.ready else SECONDS_TO_LOAD)
        stuck = self._step > self.crew.limits.seconds  # whoever waited for this step has been told that it took too long
        if silent or stuck or not self._process.is_alive() or is_stopped(self._process.pid):
            self.bury()

    def was_not_watched(self, seconds: float) -> None:
        """The server itself stood still for so long, and could hear nothing."""
        self._heard += seconds

    def bury(self) -> None:
        if self._listening is None:
            return
        self._listening.cancel()
        self._listening = None
        self._failures += not self.ready
        self.ready = False
        self.crew.deaths += 1
        self._end()
        lost, self.tasks = list(self.tasks.values()), {}
        for task in lost:
            task.worker = None
            if not task.answers.done():
                task.answers.set_exception(NotReady())
        if self.crew.broken is None:
            _log.warning("a worker of %s died with %d texts; another takes its place", self.crew.source.path, len(lost))

    def _end(self) -> None:
        if self._process is not None and self._process.pid is not None:
            self._process.kill()
        if self._writer is not None:
            self._writer.close()

    async def stop(self) -> None:
        """Whatever it is doing is lost."""
        self.ready = False
        self._send(["stop"])
        self._living.cancel()
        await asyncio.wait([self._living, *([self._starting] if self._starting is not None else [])])
        until = time.monotonic() + 1
        while self._listening is not None and self._process.is_alive() and time.monotonic() < until:
            await asyncio.sleep(0.01)
        self._end()


def run_worker(*arguments: Any) -> None:
    """Runs in the new process, which has imported all of it (`worker_context`); the server imports nothing that computes."""
    from headway.serve.worker import run

    run(*arguments)


def worker_context() -> ForkServerContext:
    """What starts workers: a process that has imported what they need, and has done nothing else."""
    os.environ["PYTHONSAFEPATH"] = "1"  # what lies in this directory is not run
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["headway.serve.undisturbed", "headway.serve.worker"])
    return context


def is_stopped(pid: int) -> bool:
    """Whether a process is held by a signal or a debugger, or is dead and not buried. Only Linux tells."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in ("T", "t", "Z", "X")
