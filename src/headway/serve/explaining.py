"""Answers that are explained before they are given: one at a time, a little at each step, so that nobody else waits for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from headway.explain.words import Steps, explained_words
from headway.model_dir import LoadedModel

if TYPE_CHECKING:
    from headway.serve.engine import Job, Reply


class Explaining:
    """Replies that wait for their explanations.

    Args:
        plain: gives the plain model; asked when an answer is to be explained.
    """

    def __init__(self, plain: Callable[[], LoadedModel]) -> None:
        self._plain = plain
        self._expected: dict[int, Job] = {}
        self._waiting: deque[tuple[Job, Reply]] = deque()
        self._steps: Steps | None = None  # of the first of them

    @property
    def open(self) -> int:
        return len(self._waiting)

    def expect(self, job: Job) -> None:
        """The best answer to this job is to be explained."""
        self._expected[job.number] = job

    def keep(self, replies: Iterable[Reply]) -> list[Reply]:
        """The replies that may be given; answers that are to be explained wait here."""
        given = []
        for reply in replies:
            job = self._expected.pop(reply.number, None) if reply.partly is None else None
            if job is None or reply.answers is None:
                given.append(reply)
            else:
                self._waiting.append((job, reply))
        return given

    def cancel(self, number: int) -> None:
        self._expected.pop(number, None)
        if self._waiting and self._waiting[0][0].number == number:
            self._steps = None
        self._waiting = deque(pair for pair in self._waiting if pair[0].number != number)

    def step(self, failed: Callable[[Job, Exception], Reply]) -> list[Reply]:
        """A little more of the first explanation, or the reply that has it."""
        if not self._waiting:
            return []
        job, reply = self._waiting[0]
        try:
            if self._steps is None:
                self._steps = explained_words(self._plain(), job.text, job.found, (job.to, job.from_))
            next(self._steps)
            return []
        except StopIteration as end:
            assert reply.answers
            reply.answers[0]["explanation"] = end.value
        except Exception as error:
            reply = failed(job, error)
        self._waiting.popleft()
        self._steps = None
        return [reply]
