"""A server in a process of its own, and clients that are as polite, or as rude, as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

Found = TypeVar("Found")
PROGRAM = (sys.executable, "-m", "headway")


def in_a_loop(work: Coroutine[Any, Any, Found]) -> Found:
    """What it returns; in a thread of its own, since the browser of other tests keeps a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


class Running:
    """`headway serve` with these arguments, on a port that is free. To be used in a `with` statement.

    Args:
        program: what runs it.
        loaded: whether to wait until the models are loaded; else only until it listens.
    """

    def __init__(self, *arguments: str | Path, program: Sequence[str] = PROGRAM, loaded: bool = True) -> None:
        command = [*program, "serve", *map(str, arguments), "--port", "0"]
        self._place = re.compile(r"at http://\S+:(\d+)" if loaded else r"http://\S+:(\d+)")
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.log: list[str] = []
        self.port = 0
        threading.Thread(target=self._read, daemon=True).start()
        until = time.monotonic() + 120
        while not self.port and time.monotonic() < until and self.process.poll() is None:
            time.sleep(0.02)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := self._place.search(line):
                self.port = int(found[1])

    def __enter__(self) -> Self:
        assert self.port, "".join(self.log)
        return self

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(40)
        self.process.kill()

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> Answer:
        """JSON of `body`, or its bytes, to a path; a GET where there is none."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        told = {"content-type": "application/json"} if body is not None else {}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection("localhost", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method or ("GET" if body is None else "POST"), path, content, told)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def say(self, *parts: bytes, pause: float = 0.0, patience: float = 30.0) -> bytes:
        """Bytes as they are; returns all that comes back until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
            found = b""
            with contextlib.suppress(ConnectionError, BrokenPipeError):
                for part in parts:
                    connection.sendall(part)
                    time.sleep(pause)
                while part := connection.recv(65536):
                    found += part
            return found

    def workers(self) -> list[int]:
        """Processes that compute."""
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
        children = [pid for pid, parent in parents.items() if parent == self.process.pid]
        return sorted(pid for pid, parent in parents.items() if parent in children)


def until(page: Any, expression: str, argument: Any = None) -> None:
    """Waits until it is true in the browser; `wait_for_function` would need `eval`, which the policy of the page forbids."""
    end = time.monotonic() + 20
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, expression
        time.sleep(0.01)
