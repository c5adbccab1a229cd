"""The line of log of each request: what is in it, what never is (S15), and that a reader who stands still stops nobody."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import told
from running import PROGRAM, Running

from headway.serve import journal
from headway.serve.journal import Journal

RunOf = Callable[[str], Path]
TEXT = "the red cat sees a dog ."
TOKEN = "zeitgeist4711"


def line_of(server: Running, request_id: str) -> dict[str, Any]:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for line in list(server.log):
            if f'"{request_id}"' in line:
                return json.loads(line)
        time.sleep(0.01)
    raise AssertionError(f"no line of {request_id}")


@pytest.mark.parametrize(
    ("path", "body", "route", "status", "model", "texts", "characters"),
    [
        ("/predict/mt", {"texts": [TEXT, "two men"]}, "/predict/{model}", 200, "mt", 2, len(TEXT) + 7),
        ("/predict/nobody", {"texts": [TEXT]}, "/predict/{model}", 404, None, 0, 0),
        ("/predict/mt", {"texts": []}, "/predict/{model}", 422, None, 0, 0),
        ("/some/body%0a%1b[31m", None, "-", 404, None, 0, 0),
        ("/models?secret=zeitgeist4711", None, "/models", 200, None, 0, 0),
        ("/openapi.json", None, None, 200, None, 0, 0),
        ("/v1/chat/completions", {"model": "mt", "messages": [{"role": "user", "content": TEXT}]}, None, 200, "mt", 1, len(TEXT)),
    ],
    ids=range(7),
)
def test_a_line_tells_of_a_request(
    served: Running, path: str, body: Any, route: str | None, status: int, model: str | None, texts: int, characters: int
) -> None:
    answer = served.ask(path, body)
    assert answer.status == status
    line = line_of(served, answer.headers["x-request-id"])
    always = {"time", "level", "message", "id", "method", "route", "status", "seconds"}
    assert set(line) == always | ({"model", "texts", "characters"} if model else set())
    assert line["route"] == (route or path)
    found = line["status"], line.get("model"), line.get("texts", 0), line.get("characters", 0)
    assert found == (status, model, texts, characters)
    assert 0 <= line["seconds"] < 60
    assert TEXT not in json.dumps(line)
    assert TOKEN not in json.dumps(line)


@pytest.mark.parametrize(("given", "kept"), [("trace-7.a_B", True), ("a b", False), ("x" * 65, False), ("", False)])
def test_the_id_of_a_request_is_its_clients_where_it_is_plain(served: Running, given: str, kept: bool) -> None:
    answer = served.ask("/healthz", x_request_id=given)
    assert (answer.headers["x-request-id"] == given) == kept
    assert line_of(served, answer.headers["x-request-id"])["route"] == "/healthz"


def test_all_that_is_told_is_json(served: Running) -> None:
    served.ask("/healthz")
    assert {json.loads(line)["message"] for line in list(served.log)} >= {"request"}


def test_text_has_a_line_too(run_of: RunOf) -> None:
    with Running(f"mt={run_of('translation')}", "--workers", "1", "--threads", "1") as server:
        answer = server.ask("/predict/mt", {"texts": [TEXT]}, x_request_id="mine")
        assert answer.status == 200
        until = time.monotonic() + 10
        while not any(" id=mine " in line for line in server.log):
            assert time.monotonic() < until
            time.sleep(0.01)
        (line,) = (line for line in server.log if " id=mine " in line)
        assert " POST /predict/{model} 200 id=mine seconds=" in line
        assert line.endswith(f"model=mt texts=1 characters={len(TEXT)}\n")


def is_name(body: Any) -> bool:
    """Whether the token is the name of a field or a language there: these are told back to who sent them."""
    return ("to" in body or TOKEN in body) if isinstance(body, dict) else str(body).count(TOKEN) == 2


@pytest.mark.parametrize("requests", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_nobodys_text_is_told_anywhere(served: Running, requests: int) -> None:
    """In requests that are answered, that are mistaken in every place, and in those that are for nobody."""
    bodies: list[tuple[str, Any, dict[str, str]]] = [
        ("/predict/mt", {"texts": [TOKEN]}, {}),
        ("/predict/mt", {"texts": [TOKEN], "details": True}, {}),
        ("/predict/mood", {"texts": [TOKEN]}, {}),
        ("/predict/mt", {"texts": [TOKEN], "to": TOKEN}, {}),
        ("/predict/mt", {"texts": [TOKEN], "seed": TOKEN}, {}),
        ("/predict/mt", {"texts": [TOKEN], TOKEN: 1}, {}),
        ("/predict/mt", {"texts": [TOKEN * 40]}, {}),
        ("/predict/mt", {"texts": [TOKEN, 5]}, {}),
        ("/predict/mt", f'{{"texts":["{TOKEN}"'.encode(), {}),
        ("/predict/mt", f'{{"texts":["{TOKEN}\\ud800"]}}'.encode(), {}),
        ("/predict/mt", f'{{"{TOKEN}":1,"{TOKEN}":2}}'.encode(), {}),
        (f"/predict/{TOKEN}", {"texts": ["a"]}, {}),
        (f"/{TOKEN}?{TOKEN}={TOKEN}", None, {"authorization": f"Bearer {TOKEN}", "cookie": TOKEN}),
        ("/models", None, {"host": TOKEN}),
        ("/predict/mt", {"texts": ["a"]}, {"content-type": TOKEN}),
        ("/v1/completions", {"model": TOKEN, "prompt": TOKEN}, {}),
        ("/v1/completions", {"model": "mt", "prompt": TOKEN, "user": TOKEN}, {}),
        ("/v1/completions", {"model": "mt", "prompt": TOKEN, "stream": True, "max_tokens": 5}, {}),
        ("/v1/chat/completions", {"model": "mt", "messages": [{"role": TOKEN, "content": TOKEN}]}, {}),
        ("/v1/embeddings", {"model": "mt", "input": TOKEN}, {}),
    ]
    failing = 0
    for number in range(requests):
        path, body, headers = bodies[number % len(bodies)]
        answer = served.ask(path, body, **headers)
        failing += answer.status >= 400
        if answer.status >= 400 and not is_name(body):
            assert TOKEN not in answer.content.decode(), (path, body)
    line_of(served, served.ask("/healthz").headers["x-request-id"])
    seen = "".join(served.log) + served.ask("/metrics").content.decode() + served.ask("/models").content.decode()
    told("S15", requests=requests, failing=failing, seen=seen.count(TOKEN))
    assert failing > requests // 3
    assert TOKEN not in seen


def test_where_nobody_reads_no_request_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(journal, "MOST_LINES", 100)
    monkeypatch.setattr(journal, "STANDARD_ERROR", writing)
    with os.fdopen(reading) as reader:
        own = Journal("json")
        begun = time.monotonic()
        for _ in range(20_000):
            with own.request({"headers": [], "method": "GET"}) as entry:
                entry.status = 200
        seconds = time.monotonic() - begun
        lines = [reader.readline() for _ in range(200)]  # there is room for one that tells of the loss
        own.emit(logging.makeLogRecord({"msg": "a\nb\x1b[31m"}))
        lines += [reader.readline() for _ in range(3)]
        own._lines.put(None)
        own._writing.join(5)
    os.close(writing)
    told("journal", microseconds=seconds / 20_000 * 1e6)
    assert seconds < 4
    assert all("\x1b" not in line and json.loads(line) for line in lines)


def test_a_log_that_takes_no_more_just_now_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where standard error is shared with a program that has made it non-blocking; and a path need not be UTF-8."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    monkeypatch.setattr(journal, "STANDARD_ERROR", writing)
    own = Journal("text")
    for number in range(3_000):  # more than a pipe holds
        own.emit(logging.makeLogRecord({"levelno": logging.INFO, "msg": f"{number} runs/\udce9 {'x' * 60}"}))
    time.sleep(0.1)
    with os.fdopen(reading) as reader:
        lines = [reader.readline() for _ in range(3_000)]
    own._lines.put(None)
    own._writing.join(5)
    os.close(writing)
    assert [int(line.split()[1]) for line in lines] == list(range(3_000))


def test_a_server_whose_log_nobody_reads_answers_and_ends(run_of: RunOf) -> None:
    command = [*PROGRAM, "serve", f"mt={run_of('translation')}", "--port", "0", "--workers", "1", "--threads", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    place = next(found[1] for line in process.stderr if (found := re.search(r"serving .* at http://127.0.0.1:(\d+)", line)))
    connection = HTTPConnection("127.0.0.1", int(place), timeout=30)
    for _ in range(2_000):  # more lines than a pipe holds
        connection.request("GET", "/healthz", headers={"x-request-id": "x" * 64})
        assert connection.getresponse().read()
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(20) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.stderr.close()
