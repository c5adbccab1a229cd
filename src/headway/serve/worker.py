"""A worker: a process with one model that answers jobs from a pipe, in the order in which they are done.

It is forked from a process that has imported all it needs, so that one that dies is replaced in a moment.
Messages are JSON, a list each. To the worker: ["job", {…}], ["cancel", number], ["stop"]; behind a job with "file": true come
the bytes of the file. From it: ["ready", {…}], ["broken", problem, where, remedy], ["note", level, text], ["replies", [{…}, …]],
["beat", seconds of the step that it is in, of the longest before].
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import torch

from headway.config import WITH_QUESTION, load_config
from headway.errors import HeadwayError
from headway.explain.plain_model import plain_model
from headway.inference.engines import load_for_answers
from headway.inference.loading import AnyPredictor, predictor_of
from headway.inference.predictor import Predictor
from headway.inference.writer import Writer
from headway.model_dir import LoadedModel
from headway.serve.engine import Engine, Job
from headway.serve.explaining import Explaining
from headway.serve.file_jobs import reads_files
from headway.serve.limits import Limits
from headway.serve.model_source import ModelSource

BEAT_SECONDS = 0.5


def run(pipe: Connection, source: ModelSource, limits: Limits) -> None:
    """What the process does until it is told to stop, or nobody holds the other end of the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # who started it decides
        signal.signal(number, signal.SIG_IGN)
    out = _Out(pipe)
    logging.getLogger("headway").addHandler(_Notes(out))
    torch.set_num_threads(source.threads)
    try:
        loaded = load_for_answers(str(source.path), source.engine)
        predictor = predictor_of(loaded, **_decoding(loaded, list(source.overrides)))
        explaining = Explaining(partial(plain_model, loaded))
        working = Engine(predictor, limits.at_a_time, loaded.config.data.history_turns, explaining, limits.seconds)
    except HeadwayError as error:
        out.send(["broken", error.problem, error.where, error.remedy])
        return
    except Exception as error:
        out.send(["broken", f"could not be loaded: {type(error).__name__}: {error}", None, None])
        return
    gc.freeze()  # what was loaded stays: nobody waits while it is looked through for garbage
    out.send(["ready", facts(loaded, predictor)])
    pace = _Pace()
    threading.Thread(target=out.beat, args=(pace,), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):  # the server is gone
        _work(working, pipe, out, pace)


def _decoding(loaded: LoadedModel, overrides: list[str]) -> dict[str, Any]:
    """The settings that differ. Raises UsageError for one that is not valid."""
    if not overrides:
        return {}
    return load_config(loaded.directory / "config.yaml", overrides, paths_as_written=True).decoding.model_dump()


def facts(loaded: LoadedModel, predictor: AnyPredictor) -> dict[str, Any]:
    """What clients may know of the model."""
    config, labels = loaded.config, loaded.tokenizers.labels
    directions = config.data.directions if config.task in ("translation", "multimodal_translation") else []
    return {
        "task": config.task,
        "fingerprint": loaded.fingerprint[:16],
        "labels": list(labels.names) if labels is not None else None,
        "label_kind": config.data.labels,
        "label_separator": config.data.label_separator,
        "directions": [[direction.source, direction.target] for direction in directions],
        "decodes": isinstance(predictor, Predictor | Writer) and not reads_files(predictor),
        "max_length": config.data.max_length,
        "reads": config.media.kind if reads_files(predictor) else "text",
        "text_beside": config.task in WITH_QUESTION,
        "language": config.data.target_language,
    }


def _work(engine: Engine, pipe: Connection, out: _Out, pace: _Pace) -> None:
    while all(_heed(message, engine) for message in _arrived(pipe, wait=not engine.busy)):
        with pace.step():
            replies = engine.step()
        if replies:
            out.send(["replies", [vars(reply) for reply in replies]])


def _arrived(pipe: Connection, *, wait: bool) -> Iterator[list[Any]]:
    """What is there; where there is nothing else to do, also what comes first. A thread that listens would slow the steps."""
    while wait or pipe.poll():
        message = json.loads(pipe.recv_bytes())
        if message[0] == "job" and message[1].pop("file", False):
            message[1]["content"] = pipe.recv_bytes()  # as it is, behind the job
        yield message
        wait = False


def _heed(message: list[Any], engine: Engine) -> bool:
    """False: it is told to stop."""
    kind, *rest = message
    if kind == "job":
        engine.add(Job(**rest[0]))
    elif kind == "cancel":
        engine.cancel(rest[0])
    return kind != "stop"


class _Pace:
    """How long steps take, told by the thread that computes and read by the one that beats."""

    def __init__(self) -> None:
        self._begun: float | None = None
        self.slowest = 0.0

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        self._begun = begun = time.monotonic()
        yield
        self._begun, self.slowest = None, max(self.slowest, time.monotonic() - begun)

    @property
    def seconds(self) -> float:
        """Of the step that is under way, 0 where there is none."""
        begun = self._begun
        return 0.0 if begun is None else time.monotonic() - begun


class _Notes(logging.Handler):
    """What the rooms log is told to the server, which writes it."""

    def __init__(self, out: _Out) -> None:
        super().__init__(logging.WARNING)
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        self._out.send(["note", record.levelno, record.getMessage()])


class _Out:
    """The end of the pipe that is written to, by two threads."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._lock = pipe, threading.Lock()

    def send(self, message: list[Any]) -> None:
        content = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")  # as json.loads has it
        try:
            with self._lock:
                self._pipe.send_bytes(content)
        except OSError:
            os._exit(0)

    def beat(self, pace: _Pace) -> None:
        pause = threading.Event()
        while not pause.wait(BEAT_SECONDS):
            self.send(["beat", pace.seconds, pace.slowest])
