"""A worker: a process with one model that answers jobs from a pipe, in the order in which they are done.

It is forked from a process that has imported all it needs, so that one that dies is replaced in a moment.
Messages are JSON, a list each. To the worker: ["job", {…}], ["cancel", number], ["stop"]; behind a job with "file": true come
the bytes of the file. From it: ["ready", {…}], ["broken", problem, remedy], ["replies", [{…}, …]], ["beat"].
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import threading
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import torch

from headway.config import WITH_QUESTION, load_config
from headway.errors import HeadwayError
from headway.inference.engines import load_for_answers
from headway.inference.loading import AnyPredictor, predictor_of
from headway.inference.predictor import Predictor
from headway.inference.writer import Writer
from headway.model_dir import LoadedModel
from headway.serve.engine import Engine, Job
from headway.serve.explaining import Explaining, plain_model
from headway.serve.file_jobs import reads_files

BEAT_SECONDS = 0.5


def run(
    pipe: Connection, path: str, engine: str | None, overrides: list[str], threads: int, at_a_time: int, seconds: float
) -> None:
    """What the process does until it is told to stop, or nobody holds the other end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    out = _Out(pipe)
    torch.set_num_threads(threads)
    try:
        loaded = load_for_answers(path, engine)
        predictor = predictor_of(loaded, **_decoding(loaded, overrides))
        explaining = Explaining(partial(plain_model, loaded))
        working = Engine(predictor, at_a_time, loaded.config.data.history_turns, explaining, seconds)
    except HeadwayError as error:
        out.send(["broken", error.problem, error.remedy])
        return
    except Exception as error:
        out.send(["broken", f"could not be loaded: {type(error).__name__}: {error}", None])
        return
    out.send(["ready", facts(loaded, predictor)])
    inbox: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, inbox), daemon=True).start()
    threading.Thread(target=out.beat, daemon=True).start()
    _work(working, inbox, out)


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
        "directions": [[direction.source, direction.target] for direction in directions],
        "decodes": isinstance(predictor, Predictor | Writer) and not reads_files(predictor),
        "max_length": config.data.max_length,
        "reads": config.media.kind if reads_files(predictor) else "text",
        "text_beside": config.task in WITH_QUESTION,
        "language": config.data.target_language,
    }


def _listen(pipe: Connection, inbox: queue.SimpleQueue[list[Any]]) -> None:
    while True:
        try:
            message = json.loads(pipe.recv_bytes())
            if message[0] == "job" and message[1].pop("file", False):
                message[1]["content"] = pipe.recv_bytes()  # as it is, behind the job
            inbox.put(message)
        except (EOFError, OSError):
            os._exit(0)  # the server is gone


def _work(engine: Engine, inbox: queue.SimpleQueue[list[Any]], out: _Out) -> None:
    while all(_heed(message, engine) for message in _arrived(inbox, wait=not engine.busy)):
        if replies := engine.step():
            out.send(["replies", [asdict(reply) for reply in replies]])


def _arrived(inbox: queue.SimpleQueue[list[Any]], *, wait: bool) -> Iterator[list[Any]]:
    """What is there; where there is nothing else to do, also what comes first."""
    if wait:
        yield inbox.get()
    with contextlib.suppress(queue.Empty):
        while True:
            yield inbox.get_nowait()


def _heed(message: list[Any], engine: Engine) -> bool:
    """False: it is told to stop."""
    kind, *rest = message
    if kind == "job":
        engine.add(Job(**rest[0]))
    elif kind == "cancel":
        engine.cancel(rest[0])
    return kind != "stop"


class _Out:
    """The end of the pipe that is written to, by two threads."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._lock = pipe, threading.Lock()

    def send(self, message: list[Any]) -> None:
        content = json.dumps(message, ensure_ascii=False).encode()
        try:
            with self._lock:
                self._pipe.send_bytes(content)
        except OSError:
            os._exit(0)

    def beat(self) -> None:
        pause = threading.Event()
        while not pause.wait(BEAT_SECONDS):
            self.send(["beat"])
