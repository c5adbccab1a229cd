"""What people would rather have had, in files that a model can be trained on: a JSON object a line, as the task reads it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import math
import os
import queue
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from headway.data.lines import MAX_LINE_BYTES
from headway.data.sentences import BREAKS, gaps_between, sentence_spans
from headway.serve.problems import TRY_AGAIN, Problem

_log = logging.getLogger(__name__)
PATIENCE = 5.0  # seconds, for those who write to the same file
MOST_WAITING = 256  # corrections, for the thread that writes
_BREAK = re.compile(f"[{BREAKS}]")
_TAG = re.compile("</?[A-Za-z]")
REMEDY = "ask who runs the server to look at its --corrections directory"


@dataclass(frozen=True)
class Corrected:
    """An answer that somebody mended.

    Attributes:
        text: what was asked; of a conversation an utterance a line, of two texts with a tab between them.
        answer: what the model said. correction: what it should have said.
        direction: from and to, of a translation.
    """

    text: str
    answer: str
    correction: str
    direction: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labels:
    """What a model answers with, where it labels.

    Attributes:
        names: none where it answers with a number, or does not label. kind: "one", "several" or "number".
        separator: that training looks for between several.
    """

    names: tuple[str, ...] = ()
    kind: str = "one"
    separator: str = ","

    def written(self, correction: str) -> str:
        """As training reads it: of several, clients may have commas between them. Raises Problem."""
        if self.kind == "number":
            return _number(correction)
        if not self.names:
            return correction
        for between in (self.separator, ",") if self.kind == "several" else ():
            parts = [part.strip() for part in correction.split(between) if part.strip()]
            if all(part in self.names for part in parts):
                return self.separator.join(parts)
        if correction.strip() not in self.names:
            raise Problem(422, "not_valid", "correction: is no label of this model", "GET /models tells them")
        return correction.strip()


def _number(correction: str) -> str:
    try:
        if math.isfinite(float(correction)):
            return correction.strip()
    except ValueError:
        pass
    raise Problem(422, "not_valid", "correction: is no number, and the model answers with one", "give one, such as 3.5")


def examples(task: str, labels: Labels, mended: Corrected, most: int) -> list[dict[str, Any]]:
    """As the reader of this task wants them, each with the answer that the model gave, as far as that is known.

    Args:
        most: sentences of a document that are examples of their own; of a longer one all is one.

    Raises Problem.
    """
    if task not in FORMS:
        problem = "model: the answers of its task cannot be mended here"
        raise Problem(422, "other_task", problem, f"the tasks are {', '.join(FORMS)}")
    if not mended.text.strip():
        raise Problem(422, "not_valid", "text: is blank", "send what was asked")
    if not mended.correction.strip() and task != "question_answering":
        raise Problem(422, "not_valid", "correction: is blank", "send what the answer should have been")
    if "\0" in mended.text + mended.answer + mended.correction:
        raise Problem(422, "not_valid", "a text holds a NUL character", "remove it")
    if "classification" in task:
        mended = replace(mended, correction=labels.written(mended.correction))
    parts = sentence_pairs(mended) if task == "translation" else [mended]
    parts = parts if len(parts) <= most else [mended]
    return [{**FORMS[task](part), "answer": part.answer} for part in parts]


def sentence_pairs(mended: Corrected) -> list[Corrected]:
    """A document sentence by sentence, since models learn from such.

    As a whole, where its lines have other numbers of them than those of its correction, or tags may stand around several.
    """
    source, target = mended.direction if len(mended.direction) == 2 else ("", "")
    texts, corrections = _by_line(mended.text, source), _by_line(mended.correction, target)
    if not _alike(texts, corrections) or sum(map(len, texts)) < 2 or _TAG.search(mended.text + mended.correction):
        return [mended]
    answers = _by_line(mended.answer, target)
    if not _alike(texts, answers):
        answers = [[""] * len(line) for line in texts]
    parts = zip(chain(*texts), chain(*answers), chain(*corrections), strict=True)
    return [Corrected(*part, mended.direction) for part in parts]


def _by_line(text: str, language: str) -> list[list[str]]:
    """The sentences of each line that has some."""
    spans = sentence_spans(text, language)
    lines: list[list[str]] = []
    for gap, (begin, end) in zip(gaps_between(text, spans), spans, strict=False):
        if not lines or _BREAK.search(gap):
            lines.append([])
        lines[-1].append(" ".join(text[begin:end].split()))
    return lines


def _alike(some: list[list[str]], others: list[list[str]]) -> bool:
    return list(map(len, some)) == list(map(len, others))


def _pair(mended: Corrected) -> dict[str, Any]:
    return {"source": mended.text, "target": mended.correction, **dict(zip(("from", "to"), mended.direction, strict=False))}


def _turns(mended: Corrected) -> dict[str, Any]:
    said = [line for line in mended.text.splitlines() if line.strip()]
    return {"turns": [*said, mended.correction]}


def _labelled_pair(mended: Corrected) -> dict[str, Any]:
    first, second = _parted(mended.text)
    return {"first": first, "second": second, "label": mended.correction}


def _question(mended: Corrected) -> dict[str, Any]:
    question, passage = _parted(mended.text)
    if not mended.correction.strip():  # it says that there is no answer
        return {"context": passage, "qas": [{"question": question, "answers": []}]}
    if (start := passage.find(mended.correction)) < 0:
        raise Problem(422, "not_valid", "correction: does not stand in the passage", "give words of it as they stand there")
    answers = [{"text": mended.correction, "answer_start": start}]
    return {"context": passage, "qas": [{"question": question, "answers": answers}]}


def _parted(text: str) -> tuple[str, str]:
    first, tab, second = text.partition("\t")
    if not tab:
        raise Problem(422, "not_valid", "text: has no tab between two texts", "FIRST TAB SECOND")
    return first, second


FORMS: dict[str, Callable[[Corrected], dict[str, Any]]] = {
    "translation": _pair,
    "summarisation": _pair,
    "dialogue": _turns,
    "language_model": lambda mended: {"text": mended.correction},
    "classification": lambda mended: {"text": mended.text, "label": mended.correction},
    "pair_classification": _labelled_pair,
    "question_answering": _question,
}


class Corrections:
    """A directory of files NAME.jsonl, made when the first is written. May be used by several threads and processes.

    A thread of its own writes for the loop of a server: a disk that hangs holds nothing else, nor the process at its end.

    Args:
        most_bytes: of a file.
    """

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._directory, self._most_bytes = directory.absolute(), most_bytes
        self._lines: dict[str, tuple[int, int]] = {}  # of a file of so many bytes
        self._asked: queue.Queue[tuple[Future[int], str, list[dict[str, Any]]]] = queue.Queue(MOST_WAITING)
        self._writing = threading.Thread(target=self._write, daemon=True)

    def warn(self) -> None:
        """Where it is already plain that nothing can be written there: a server answers, but what people mend would be lost."""
        there = next(path for path in (self._directory, *self._directory.parents) if os.path.lexists(path))
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            problem = "%s: corrections cannot be saved: %s is no directory that may be written to (--corrections names it)"
            _log.warning(problem, self._directory, there)

    async def saved(self, name: str, examples: list[dict[str, Any]]) -> int:
        """As `save`, one after another. Raises Problem too where it has to wait for long; then it is not begun any more."""
        if not self._writing.ident:
            self._writing.start()
        done: Future[int] = Future()
        try:
            self._asked.put_nowait((done, name, examples))
        except queue.Full:
            raise _busy() from None
        waiting = asyncio.wrap_future(done)
        if not (await asyncio.wait([waiting], timeout=PATIENCE))[0] and done.cancel():
            raise _busy()
        if not (await asyncio.wait([waiting], timeout=2 * PATIENCE))[0]:
            raise Problem(507, "not_saved", "the disk has not answered: the correction may be written later", REMEDY)
        return await waiting

    def _write(self) -> None:
        while True:
            done, name, examples = self._asked.get()
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(self.save(name, examples))
                except Exception as error:
                    done.set_exception(error)

    def save(self, name: str, examples: list[dict[str, Any]]) -> int:
        """How many the file holds now that these are on the disk. Raises Problem; then nothing of them is there."""
        lines = [json.dumps(example, ensure_ascii=False).encode() + b"\n" for example in examples]
        if len(max(lines, key=len)) > MAX_LINE_BYTES:
            raise Problem(422, "too_long_text", "the texts are too long for a line of training data", "cut them")
        try:
            with self._opened(f"{name}.jsonl") as file:
                return self._append(name, file, lines)
        except OSError as error:
            _log.warning("a correction could not be written to %s: %s", self._directory, error.strerror or error)
            problem = f"the correction could not be written: {error.strerror or 'the disk fails'}"
            raise Problem(507, "not_saved", problem, REMEDY) from None

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / name
        new = not path.exists()
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise Problem(507, "not_saved", "the correction could not be written: there is no plain file", REMEDY)
            _lock(file)
            yield file
            if new:
                _sync_directory(self._directory)
        finally:
            os.close(file)

    def _append(self, name: str, file: int, lines: list[bytes]) -> int:
        size, content = os.fstat(file).st_size, b"".join(lines)
        if size and os.pread(file, 1, size - 1) != b"\n":
            content = b"\n" + content  # somebody has edited the file
        if size + len(content) > self._most_bytes:
            problem = f"the file of corrections has {size:,} bytes, and may not have {len(content):,} more"
            raise Problem(507, "corrections_full", problem, REMEDY)
        try:
            written = os.write(file, content)
            if written < len(content):
                raise OSError(0, "the disk is full")
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise
        known_size, count = self._lines.get(name, (-1, 0))
        count = count + len(lines) if known_size == size else _count_lines(file)
        self._lines[name] = size + len(content), count
        return count


def _lock(file: int) -> None:
    """Against a second server with the same directory. Raises Problem where another keeps it."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise _busy() from None
            time.sleep(0.01)


def _busy() -> Problem:
    return Problem(503, "too_busy", "others write to the file of corrections", TRY_AGAIN, retry_after=1)


def _count_lines(file: int) -> int:
    lines, place = 0, 0
    while part := os.pread(file, 1 << 20, place):
        lines += part.count(b"\n")
        place += len(part)
    return lines


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
