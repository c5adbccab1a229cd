"""The models of a server by their names, and what is asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from headway.serve.limits import Limits
from headway.serve.metrics import Metrics
from headway.serve.problems import Problem
from headway.serve.workers import Busy, NotReady, Pool, Refused


@dataclass
class Service:
    """
    Attributes:
        draining: the server stops: it answers what it has accepted, and takes nothing new.
    """

    pools: dict[str, Pool]
    limits: Limits
    metrics: Metrics = field(default_factory=Metrics)
    draining: bool = False

    def pool(self, name: str) -> Pool:
        """Raises Problem where there is no such model."""
        if name not in self.pools:
            raise Problem(404, "no_such_model", "there is no model of this name", "GET /models tells their names")
        return self.pools[name]

    def _taking(self, name: str) -> Pool:
        """One that takes new jobs. Raises Problem."""
        if self.draining:
            raise Problem(503, "stopping", "the server stops", "try again in a moment", retry_after=5)
        return self.pool(name)

    async def ask(self, name: str, jobs: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """The answers to each job, best first; when one fails the others are given up. Raises Problem."""
        pool = self._taking(name)
        if pool.open + len(jobs) > self.limits.waiting:
            raise _busy()
        try:
            async with asyncio.timeout(self.limits.seconds), asyncio.TaskGroup() as group:
                asked = [group.create_task(pool.ask(job)) for job in jobs]
        except TimeoutError:
            raise self.too_long() from None
        except BaseExceptionGroup as several:
            raise _told(several.exceptions[0]) from None
        self.metrics.texts(name, len(jobs))
        return [task.result() for task in asked]

    async def stream(self, name: str, job: dict[str, Any]) -> AsyncIterator[str]:
        """What has been written of one answer, again and again, and at last all of it. Raises Problem."""
        told: asyncio.Queue[str | None] = asyncio.Queue()
        pool = self._taking(name)
        asked = asyncio.create_task(pool.ask(job, told.put_nowait))
        asked.add_done_callback(lambda _: told.put_nowait(None))
        try:
            async with asyncio.timeout(self.limits.seconds):
                while (text := await told.get()) is not None:
                    yield text
            yield asked.result()[0]["text"]
        except TimeoutError:
            raise self.too_long() from None
        except (Busy, NotReady, Refused) as error:
            raise _told(error) from None
        finally:
            asked.cancel()
        self.metrics.texts(name, 1)

    def too_long(self) -> Problem:
        """What a request ends with whose time is over."""
        problem = f"there was no answer within {self.limits.seconds:g} seconds"
        return Problem(504, "too_long", problem, "send shorter texts, or fewer")


def _busy() -> Problem:
    return Problem(429, "too_busy", "too many texts wait", "try again later", retry_after=1)


def _told(error: BaseException) -> BaseException:
    if isinstance(error, Busy):
        return _busy()
    if isinstance(error, NotReady):
        return Problem(503, "not_ready", "no worker can answer just now", "try again in a moment", retry_after=1)
    if isinstance(error, Refused):
        if error.of_request:
            return Problem(422, "not_valid", error.problem, error.remedy)
        return Problem(500, "model_failed", error.problem, error.remedy)
    return error
