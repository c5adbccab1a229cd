"""The models of a server by their names, and what is asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from headway.serve.journal import Journal, note, under_way
from headway.serve.limits import Limits
from headway.serve.metrics import Metrics
from headway.serve.pool import Pool
from headway.serve.problems import SEE_FIELDS, TRY_AGAIN, Problem
from headway.serve.workers import Busy, NotReady, Refused


@dataclass
class Service:
    """
    Attributes:
        files: that are being read or answered.
        draining: the server stops: it answers what it has accepted, and takes nothing new.
    """

    pools: dict[str, Pool]
    limits: Limits
    metrics: Metrics = field(default_factory=Metrics)
    journal: Journal = field(default_factory=Journal)
    files: int = 0
    draining: bool = False

    def pool(self, name: str) -> Pool:
        """Raises Problem where there is no such model, or it is still being loaded."""
        if name not in self.pools:
            raise Problem(404, "no_such_model", "there is no model of this name", "GET /models tells their names")
        if self.pools[name].facts is None:
            raise Problem(503, "loading", "the model is loaded just now", TRY_AGAIN, retry_after=1)
        return self.pools[name]

    def _taking(self, name: str) -> Pool:
        """One that takes new jobs. Raises Problem; what was accepted, such as a document, is answered to its end."""
        if self.draining and not under_way():
            raise Problem(503, "stopping", "the server stops", TRY_AGAIN, retry_after=5)
        return self.pool(name)

    @contextmanager
    def file(self) -> Iterator[None]:
        """Room for one more file, whose bytes are held. Raises Problem."""
        if self.files >= self.limits.files:
            raise Problem(429, "too_busy", "too many files wait", "try again later", retry_after=1)
        self.files += 1
        try:
            yield
        finally:
            self.files -= 1

    async def ask(self, name: str, jobs: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """The answers to each job, best first; when one fails the others are given up. Raises Problem."""
        pool = self._taking(name)
        if pool.open + len(jobs) > self.limits.waiting:
            raise _busy()
        note(name, jobs)
        try:
            async with asyncio.timeout(self.limits.seconds), asyncio.TaskGroup() as group:
                asked = [group.create_task(pool.ask(job)) for job in jobs]
        except TimeoutError:
            raise self.too_long() from None
        except BaseExceptionGroup as several:
            raise _told(several.exceptions[0]) from None
        self.metrics.texts(name, len(jobs))
        return [task.result() for task in asked]

    async def stream(self, name: str, job: dict[str, Any]) -> AsyncIterator[str | list[dict[str, Any]]]:
        """What has been written of one answer, again and again, and at last the answers, best first. Raises Problem."""
        pool, news = self._taking(name), _News()
        note(name, [job])
        asked = asyncio.create_task(pool.ask(job, news.tell))
        asked.add_done_callback(lambda _: news.tell(None))
        until = asyncio.get_running_loop().time() + self.limits.seconds
        try:
            while (text := await news.next(until)) is not None:
                yield text
            answers = asked.result()
        except TimeoutError:
            raise self.too_long() from None
        except (Busy, NotReady, Refused) as error:
            raise _told(error) from None
        finally:
            asked.cancel()
        self.metrics.texts(name, 1)
        yield answers

    def too_long(self) -> Problem:
        """What a request ends with whose time is over."""
        problem = f"there was no answer within {self.limits.seconds:g} seconds"
        return Problem(504, "too_long", problem, "send shorter texts, or fewer")


class _News:
    """The last that was told; what nobody has read by then is replaced."""

    def __init__(self) -> None:
        self._last: str | None = None
        self._told = asyncio.Event()

    def tell(self, text: str | None) -> None:
        self._last = text
        self._told.set()

    async def next(self, until: float) -> str | None:
        """Waits for it. Raises TimeoutError when the clock of the loop is past `until`."""
        async with asyncio.timeout_at(until):
            await self._told.wait()
        self._told.clear()
        return self._last


def _busy() -> Problem:
    return Problem(429, "too_busy", "too many texts wait", "try again later", retry_after=1)


def _told(error: BaseException) -> BaseException:
    if isinstance(error, Busy):
        return _busy()
    if isinstance(error, NotReady):
        return Problem(503, "not_ready", "no worker can answer just now", TRY_AGAIN, retry_after=1)
    if isinstance(error, Refused):
        if error.of_request:
            return Problem(422, "not_valid", error.problem, error.remedy or SEE_FIELDS)
        return Problem(500, "model_failed", error.problem, error.remedy or "send another text, and tell who runs the server")
    return error
