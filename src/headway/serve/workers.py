"""The workers of a model as the server sees them: started, given jobs, watched, and replaced when they die.

A job goes to the worker with the fewest; how many one may have is bounded, so most of what waits is here and survives a
worker. A job whose worker dies is not tried again: it may be what killed it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import multiprocessing
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from headway.serve.limits import Limits

LOOK_SECONDS = 0.1  # between two looks at whether the workers live
SILENT_SECONDS = 15.0  # without a beat: it is stuck
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


@dataclass(frozen=True)
class ModelSource:
    """What a worker loads, and how it computes."""

    path: Path
    engine: str | None = None
    overrides: tuple[str, ...] = ()  # such as decoding.beam_size=1
    threads: int = 1


class Pool:
    """All workers of one model.

    Args:
        workers: processes.
        context: what they are started by; it has imported all they need.
    """

    def __init__(self, source: ModelSource, workers: int, limits: Limits, context: ForkServerContext) -> None:
        self.source, self.limits, self._context = source, limits, context
        self._workers = [_Worker(self) for _ in range(workers)]
        self._numbers = itertools.count(1)
        self._waiting: deque[_Task] = deque()
        self._tasks: dict[int, _Task] = {}
        self._stopping = False
        self.facts: dict[str, Any] | None = None  # of the model, once one worker has loaded it
        self.broken: tuple[str, str | None] | None = None  # why it cannot be loaded
        self.deaths = 0

    @property
    def ready(self) -> bool:
        return any(worker.ready for worker in self._workers)

    @property
    def open(self) -> int:
        """Jobs that are accepted and not answered."""
        return len(self._tasks)

    async def start(self) -> None:
        """Returns when a worker is ready, or the model turns out to be none."""
        for worker in self._workers:
            worker.start()
        self._watcher = asyncio.create_task(self._watch())
        while not self.ready and self.broken is None:
            await asyncio.sleep(0.02)

    async def ask(self, job: dict[str, Any], partly: Callable[[str], None] | None = None) -> list[dict[str, Any]]:
        """The answers to a job, best first. When the caller is cancelled the job is given up.

        Args:
            partly: is called with what has been written so far.

        Raises:
            Busy: too many wait. NotReady: its worker died, or there is none. Refused: it cannot be answered.
        """
        if self._stopping or (not self.ready and self.broken is not None):
            raise NotReady
        if len(self._tasks) >= self.limits.waiting:
            raise Busy
        job = job if partly is None else {**job, "stream": True}
        task = _Task(next(self._numbers), job, asyncio.get_running_loop().create_future(), partly)
        self._tasks[task.number] = task
        self._waiting.append(task)
        self._hand_out()
        try:
            return await task.answers
        finally:
            self._forget(task)

    def _forget(self, task: _Task) -> None:
        self._tasks.pop(task.number, None)
        if task.worker is not None:
            task.worker.give_up(task)
        elif task in self._waiting:
            self._waiting.remove(task)
        self._hand_out()

    @property
    def _room(self) -> int:
        """Jobs of a worker. A file may be one that kills it, and no other should be lost with it."""
        return self.limits.at_a_time if (self.facts or {}).get("reads", "text") == "text" else 1

    def _hand_out(self) -> None:
        """Waiting jobs to workers that have room, the one with the fewest first."""
        while self._waiting:
            free = [worker for worker in self._workers if worker.ready and len(worker.tasks) < self._room]
            if not free:
                return
            task = self._waiting.popleft()
            min(free, key=lambda worker: len(worker.tasks)).give(task)

    def loaded(self, facts: dict[str, Any]) -> None:
        self.facts, self.broken = facts, None
        self._hand_out()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for worker in self._workers:
                worker.look()

    async def stop(self, seconds: float) -> None:
        """No new jobs; those that are accepted are answered, if it takes no longer than this."""
        self._stopping = True
        until = time.monotonic() + seconds
        while self._tasks and time.monotonic() < until:
            await asyncio.sleep(0.02)
        self._watcher.cancel()
        for worker in self._workers:
            worker.stop()


@dataclass(eq=False)
class _Task:
    number: int
    job: dict[str, Any]
    answers: asyncio.Future[list[dict[str, Any]]]
    partly: Callable[[str], None] | None = None
    worker: _Worker | None = None


class _Worker:
    """One process, from its start to its end, and then the next in its place."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.tasks: dict[int, _Task] = {}
        self.ready = False
        self._process: Any = None
        self._listener: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._heard = 0.0
        self._failures = 0  # in a row, before it was ready
        self._again_at: float | None = None

    def start(self) -> None:
        ours, theirs = socket.socketpair()
        source = self.pool.source
        pipe = Connection(theirs.detach())
        self._process = self.pool._context.Process(
            target=run_worker,
            args=(
                pipe, str(source.path), source.engine, list(source.overrides), source.threads, self.pool.limits.at_a_time,
                self.pool.limits.seconds,
            ),
            daemon=True,
        )  # fmt: skip
        self._process.start()
        pipe.close()
        self._heard = time.monotonic()
        self._again_at, self.ready = None, False
        self._listener = asyncio.create_task(self._listen(ours))

    async def _listen(self, ours: socket.socket) -> None:
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=MOST_BYTES)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                (size,) = struct.unpack("!i", await reader.readexactly(4))
                self._hear(json.loads(await reader.readexactly(size)))
        self._writer.close()
        self._bury()  # nobody is at the other end

    def _hear(self, message: list[Any]) -> None:
        kind, *rest = message
        self._heard = time.monotonic()
        if kind == "ready":
            self.ready, self._failures = True, 0
            self.pool.loaded(rest[0])
        elif kind == "broken":
            self.pool.broken = (rest[0], rest[1])
        elif kind == "replies":
            for reply in rest[0]:
                self._reply(reply)
            self.pool._hand_out()

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
            for content in (json.dumps(message).encode(), *(() if file is None else (file,))):
                self._writer.write(struct.pack("!i", len(content)) + content)

    def give(self, task: _Task) -> None:
        task.worker = self
        self.tasks[task.number] = task
        job = {key: value for key, value in task.job.items() if key != "content"}
        file = task.job.get("content")
        self._send(["job", {"number": task.number, **job} | ({} if file is None else {"file": True})], file)

    def give_up(self, task: _Task) -> None:
        if self.tasks.pop(task.number, None) is not None:
            self._send(["cancel", task.number])
        task.worker = None

    def look(self) -> None:
        """Whether it lives, computes and speaks; if not, another takes its place."""
        now = time.monotonic()
        if self._again_at is not None:
            if now >= self._again_at:
                self.start()
            return
        silent = now - self._heard > (SILENT_SECONDS if self.ready else SECONDS_TO_LOAD)
        if self._process.is_alive() and not silent and not is_stopped(self._process.pid):
            return
        self._bury()

    def _bury(self) -> None:
        if self._again_at is not None:
            return
        self._failures += not self.ready
        self.ready = False
        self.pool.deaths += 1
        self._process.kill()
        lost, self.tasks = list(self.tasks.values()), {}
        for task in lost:
            task.worker = None
            if not task.answers.done():
                task.answers.set_exception(NotReady())
        if self.pool.broken is None:
            _log.warning("a worker of %s died with %d texts; another takes its place", self.pool.source.path, len(lost))
        self._again_at = time.monotonic() + (0 if not self._failures else min(LONGEST_PAUSE, 0.5 * 2**self._failures))

    def stop(self) -> None:
        self.ready = False
        self._send(["stop"])
        self._again_at = None
        if self._listener is not None:
            self._listener.cancel()
        self._process.join(1)
        self._process.kill()


def run_worker(*arguments: Any) -> None:
    """Runs in the new process, which has imported all of it (`worker_context`); the server imports nothing that computes."""
    from headway.serve.worker import run

    run(*arguments)


def worker_context() -> ForkServerContext:
    """What starts workers: a process that has imported what they need, and has done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["headway.serve.worker"])
    return context


def is_stopped(pid: int) -> bool:
    """Whether a process is held by a signal or a debugger, or is dead and not buried. Only Linux tells."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in ("T", "t", "Z", "X")
