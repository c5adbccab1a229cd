"""Jobs with a file: bytes of a client, which only a decoder of a known format ever reads. No text is taken for a path."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from headway.data.media_examples import MediaExample
from headway.errors import DataError, UsageError

if TYPE_CHECKING:
    from headway.serve.engine import Job

NAME = "the file"  # clients' own names for files are never used


def reads_files(predictor: Any) -> bool:
    return bool(getattr(predictor, "reads_files", False))


def text_of(job: Job) -> str:
    """What a predictor of texts is asked. Raises UsageError for a file."""
    if job.content is not None:
        raise UsageError("the model reads texts, and this is a file", remedy="GET /models tells what each reads")
    return job.text


def answers_to_file(predictor: Any, job: Job, seconds: float | None) -> list[Any]:
    """The answers of a predictor that refuses files that it cannot read.

    Args:
        seconds: after which this process ends: what a decoder does in C cannot be stopped otherwise. None: it may take its time.

    Raises UsageError for a file that cannot be read, and for a text without one.
    """
    if job.content is None:
        raise UsageError("the model reads files, and this is a text", remedy="POST /predict/NAME/file answers a file")
    try:
        with _at_most(seconds) if seconds is not None else nullcontext():
            return next(iter(predictor.answer_pieces([[MediaExample(job.content, job.text, (), 1, NAME)]])))  # type: ignore[no-any-return]
    except DataError as error:
        raise UsageError(f"{NAME} {error.problem}", remedy="send another") from None


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
