"""The part of a worker that computes: jobs come at any time, and each step takes all of them a little further.

Texts that are written, word by word, share lanes (inference/lanes.py); all other answers are made of those that wait
together. One job that fails takes no other with it: those that failed together are asked again in two halves, which wait
like all others, until the one that fails is alone.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from headway.data.dialogues import history
from headway.errors import HeadwayError, UsageError
from headway.inference.embedder import Vector
from headway.inference.lanes import Lane, Ticket
from headway.inference.links import Link, word_links
from headway.inference.media_predictor import MediaPredictor
from headway.inference.predictor import Predictor, Translation
from headway.inference.wishes import Wish, refusal
from headway.inference.writer import Writer, Written
from headway.model_dir import LoadedModel
from headway.serve.explaining import Explaining
from headway.serve.file_jobs import answers_to_file, reads_files, text_of

TOGETHER = 64  # texts that are labelled, tagged, read or turned into vectors in one step
PATIENCE = 4  # steps that a text waits for others to begin with it
SHORT = (
    "text", "labels", "words", "entities", "answer", "start", "vector", "score", "confidence", "abstains", "missed", "cut",
)  # fmt: skip
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """One text that somebody waits for.

    Attributes:
        said: of a conversation, in place of a text: what is to be answered comes last.
        content: of a file, for a model that reads files; a text may be read beside it.
        stream: what has been written is told at every step.
        details: how sure each part of an answer is is told too.
        explain: the best answer is explained. found: that answer, once it is there.
        glossary, forbidden, prefix: what is asked of the answer; texts that differ in it share a lane.
        align: which words of the text and of the best answer belong together is told, of a translation.
        half: of those that failed together, by a number that no other half has; 0: it has not failed.
    """

    number: int
    text: str = ""
    said: list[str] | None = None
    content: bytes | None = field(default=None, repr=False)
    to: str | None = None
    from_: str | None = None
    decoding: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    stream: bool = False
    details: bool = False
    explain: bool = False
    found: Any = None
    glossary: dict[str, str] = field(default_factory=dict)
    forbidden: list[str] = field(default_factory=list)
    prefix: str = ""

    @property
    def wish(self) -> Wish:
        return Wish(tuple(self.glossary.items()), tuple(self.forbidden), self.prefix)

    align: bool = False
    half: int = 0

    @property
    def way(self) -> str:
        """What jobs of one lane have in common."""
        return json.dumps([self.half, self.to, self.from_, self.decoding], sort_keys=True)


@dataclass(frozen=True)
class Reply:
    """The answers to a job, best first, as JSON; or what has been written so far; or what is wrong."""

    number: int
    answers: list[dict[str, Any]] | None = None
    partly: str | None = None
    problem: str = ""
    remedy: str | None = None
    fault_of: str = ""  # "request" or "model"

    @classmethod
    def failed(cls, job: Job, error: Exception) -> Reply:
        if isinstance(error, HeadwayError):
            fault_of = "request" if error.exit_code in (2, 3) else "model"
            return cls(job.number, problem=error.problem, remedy=error.remedy, fault_of=fault_of)
        _log.error("a job failed: %s", type(error).__name__)  # its text may be somebody's secret
        return cls(job.number, problem="the model failed on this text", fault_of="model")


class Engine:
    """Jobs in, replies out.

    Args:
        predictor: of any kind that `headway.load` returns.
        at_a_time: texts in a lane. turns: of a conversation, that the model looks back on.
        explaining: what explains answers; None: nothing is explained.
        seconds: after which a file that is still being answered ends the process.
    """

    def __init__(
        self,
        predictor: Any,
        at_a_time: int = 64,
        turns: int = 1,
        explaining: Explaining | None = None,
        seconds: float | None = None,
    ) -> None:
        self._reads_files = reads_files(predictor)
        if self._reads_files:
            predictor = predictor.refusing()
        self._turns, self._seconds = turns, seconds
        self._predictor, self._at_a_time = predictor, at_a_time
        self._writes = isinstance(predictor, Predictor | Writer) and not isinstance(predictor, MediaPredictor)
        self._lanes: dict[str, _Passengers] = {}
        self._waiting: dict[str, list[Job]] = {}
        self._halves = itertools.count(1)
        self._explaining = explaining or Explaining(_nothing_to_explain)

    @property
    def busy(self) -> bool:
        return bool(self._waiting) or any(lane.open for lane in self._lanes.values()) or self._explaining.open > 0

    def add(self, job: Job) -> None:
        if job.said is not None:
            job.text = history(job.said, self._turns)
        if job.explain:
            self._explaining.expect(job)
        self._waiting.setdefault(job.way, []).append(job)

    def cancel(self, number: int) -> None:
        """Nobody waits for this one any more: its place is free at the next step."""
        for way, jobs in list(self._waiting.items()):
            self._keep_waiting(way, [job for job in jobs if job.number != number])
        for lane in self._lanes.values():
            lane.leave(number)
        self._explaining.cancel(number)

    def step(self) -> list[Reply]:
        """A token more for each text of each lane, or the answers to those that wait together."""
        replies: list[Reply] = []
        for way in list(self._waiting):
            lane = self._lane(way, replies)
            if lane is None:
                replies += self._together(way)
            else:
                replies += self._board(way, lane)
        for way, lane in list(self._lanes.items()):
            try:
                replies += lane.step()
            except Exception as error:
                del self._lanes[way]
                replies += self._failed_together(lane.jobs, error)
                continue
            if not lane.open and way not in self._waiting:
                del self._lanes[way]
        return [*self._explaining.keep(replies), *self._explaining.step(Reply.failed)]

    def _lane(self, way: str, replies: list[Reply]) -> _Passengers | None:
        """The lane that these go by; None where their answers are made otherwise."""
        if not self._writes or way in self._lanes:
            return self._lanes.get(way)
        try:
            speaker = self._asked(self._waiting[way][0])
            if not speaker.takes_steps:
                return None
            self._lanes[way] = _Passengers(speaker)
            return self._lanes[way]
        except HeadwayError as error:
            replies += [Reply.failed(job, error) for job in self._waiting.pop(way)]
            return None

    def _asked(self, job: Job) -> Any:
        """The predictor with the options and in the direction of a job. Raises UsageError for what it does not have."""
        predictor = self._predictor
        if job.decoding and self._writes:
            predictor = predictor.with_options(**job.decoding)
        return predictor.towards(job.to, job.from_) if isinstance(predictor, Predictor) else predictor

    def _wishes(self, jobs: Sequence[Job]) -> Iterator[list[Wish]]:
        """Of a model that writes, what is asked of its answers. Raises UsageError where another is asked so."""
        asked = [job.wish for job in jobs]
        if self._writes:
            yield asked
        elif any(asked):
            raise refusal(next(filter(None, asked)), "a model that writes no text")

    def _board(self, way: str, lane: _Passengers) -> list[Reply]:
        """Those that wait begin together: a few at a time, so that the first pass over them is worth its while."""
        jobs, room = self._waiting[way], self._at_a_time - lane.open
        lane.waited += 1
        if room <= 0 or (lane.open and lane.waited < PATIENCE and len(jobs) < max(1, lane.open // 4)):
            return []
        lane.waited = 0
        self._keep_waiting(way, jobs[room:])
        try:
            lane.join(jobs[:room])
        except Exception as error:
            return self._failed_together(jobs[:room], error)
        return []

    def _keep_waiting(self, way: str, jobs: list[Job]) -> None:
        if jobs:
            self._waiting[way] = jobs
        else:
            self._waiting.pop(way, None)

    def _together(self, way: str) -> list[Reply]:
        jobs = self._waiting.get(way, [])
        some = 1 if self._reads_files else TOGETHER  # a file may be one that kills
        self._keep_waiting(way, jobs[some:])
        return self._answered(jobs[:some])

    def _answered(self, jobs: Sequence[Job]) -> list[Reply]:
        if not jobs:
            return []
        try:
            predictor = self._asked(jobs[0])
            if self._reads_files:
                found = [answers_to_file(predictor, jobs[0], self._seconds)]
            else:
                found = list(predictor.answer_pieces([list(map(text_of, jobs))], *self._wishes(jobs)))
        except Exception as error:
            return self._failed_together(jobs, error)
        return [_replied(job, predictor, answers, _full(predictor, answers)) for job, answers in zip(jobs, found, strict=True)]

    def _failed_together(self, jobs: Sequence[Job], error: Exception) -> list[Reply]:
        """One of them cannot be answered. Each half waits again, so that no step has to find it out to the end."""
        if len(jobs) == 1:
            return [Reply.failed(jobs[0], error)]
        for some in (jobs[: len(jobs) // 2], jobs[len(jobs) // 2 :]):
            half = next(self._halves)
            for job in some:
                job.half = half
                self._waiting.setdefault(job.way, []).append(job)
        return []


def _nothing_to_explain() -> LoadedModel:
    raise UsageError("explain: the model is not at hand", remedy="leave it out")


def _replied(job: Job, predictor: Any, answers: Sequence[Any], full: Sequence[bool] = ()) -> Reply:
    """
    Args:
        full: whether each answer had to end where it does, because it may not be longer.
    """
    job.found = answers[0] if answers else None
    try:
        told = [{**predictor.details(answer), **_counts(answer)} for answer in answers]
    except Exception as error:
        return Reply.failed(job, error)
    for one, had_to in zip(told, full, strict=False):
        one["ends"] = "length" if had_to else "stop"
    if not job.details:
        told = [{key: one[key] for key in SHORT if key in one} for one in told]
    if job.align:
        told[0]["links"] = _links(predictor, job.text, answers[0])
    return Reply(job.number, told)


def _links(predictor: Any, text: str, answer: Translation) -> Sequence[Link]:
    """Nothing where they cannot be told, such as when a newer model lies in the directory: words then go by their order."""
    try:
        return word_links(predictor, text, answer)
    except Exception as error:
        _log.warning("the words of an answer are not aligned: %s", type(error).__name__)
        return ()


def _full(predictor: Any, answers: Sequence[Any]) -> list[bool]:
    """Of what is written, as far as it is known without its search."""
    longest = predictor.options.maximum_length if isinstance(predictor, Predictor | Writer) else 0
    return [_counts(answer)["written"] >= longest for answer in answers] if longest else []


def _counts(answer: Any) -> dict[str, int]:
    """Pieces that were read and written."""
    if isinstance(answer, Translation):
        return {"read": len(answer.source_ids), "written": len(answer.ids)}
    if isinstance(answer, Written):
        return {"read": answer.prompt_pieces, "written": len(answer.ids) - answer.prompt_pieces}
    return {"read": answer.pieces} if isinstance(answer, Vector) else {}


class _Passengers:
    """A lane, with the jobs that its tickets belong to."""

    def __init__(self, speaker: Any) -> None:
        self._speaker, self._lane = speaker, Lane(speaker)
        self._jobs: dict[Ticket, Job] = {}
        self.waited = 0  # steps since some began

    @property
    def open(self) -> int:
        return len(self._jobs)

    @property
    def jobs(self) -> list[Job]:
        return list(self._jobs.values())

    def join(self, jobs: Sequence[Job]) -> None:
        """All of them begin. What goes wrong with one of them is raised, and none has begun."""
        wishes = [job.wish for job in jobs]
        tickets = self._lane.join([job.text for job in jobs], [job.seed for job in jobs], wishes)
        self._jobs.update(zip(tickets, jobs, strict=True))

    def step(self) -> list[Reply]:
        """A token more for each. What goes wrong with one of them is raised, and the lane can go no further."""
        if not self._jobs:
            return []
        replies = [self._replied(ticket) for ticket in self._lane.step()]
        return replies + [self._so_far(ticket, job) for ticket, job in list(self._jobs.items()) if job.stream]

    def leave(self, number: int) -> None:
        gone = [ticket for ticket, job in self._jobs.items() if job.number == number]
        for ticket in gone:
            del self._jobs[ticket]
        if gone:
            self._lane.leave(gone)

    def _so_far(self, ticket: Ticket, job: Job) -> Reply:
        try:
            return Reply(job.number, partly=self._lane.so_far(ticket))
        except Exception as error:
            self.leave(job.number)
            return Reply.failed(job, error)

    def _replied(self, ticket: Ticket) -> Reply:
        return _replied(self._jobs.pop(ticket), self._speaker, ticket.answers or (), ticket.full)
