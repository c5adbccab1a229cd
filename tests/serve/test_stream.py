"""Answers that are told while they are written, and clients that do not wait for them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from running import Answer, Running, in_a_loop

from headway.serve.limits import Limits
from headway.serve.problems import Problem
from headway.serve.service import Service

RunOf = Callable[[str], Path]
TEXT = "the red cat sees a dog ."
LONG = {"texts": [TEXT * 8], "decoding": {"method": "beam", "beam_size": 16, "minimum_length": 90, "maximum_length": 200}}


@pytest.fixture(scope="module")
def server(run_of: RunOf) -> Iterator[Running]:
    kinds = {"mt": "translation", "lm": "language_model", "mood": "classification"}
    named = [f"{name}={run_of(kind)}" for name, kind in kinds.items()]
    with Running(*named, "limits.seconds=20", "--workers", "1", "--threads", "1", "decoding.precision=fp32") as running:
        yield running


def events(answer: Answer) -> list[Any]:
    """What each event tells; the last must be the end."""
    assert answer.status == 200, answer
    assert answer.headers["content-type"].startswith("text/event-stream")
    *told, end, rest = answer.content.decode().split("\n\n")
    assert (end, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in told]


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
@pytest.mark.parametrize("name", ["mt", "lm"])
def test_a_stream_ends_with_the_answer_that_is_given_without_it(server: Running, name: str, method: str) -> None:
    asked = {"texts": [TEXT], "seed": 7, "decoding": {"method": method, "minimum_length": 5, "maximum_length": 14}}
    whole = server.ask(f"/predict/{name}", asked).json()
    *parts, last = events(server.ask(f"/predict/{name}", {**asked, "stream": True}))
    assert last == whole
    texts = [part["text"] for part in parts]
    assert len(set(texts)) == len(texts) >= 1  # what nobody read in time is replaced
    if method != "beam":  # nothing that was told is taken back
        assert all(last["answers"][0][0]["text"].replace(" ", "").startswith(text.replace(" ", "")) for text in texts)


def test_what_does_not_write_only_answers(server: Running) -> None:
    asked = {"texts": [TEXT], "details": True}
    assert events(server.ask("/predict/mood", {**asked, "stream": True})) == [server.ask("/predict/mood", asked).json()]


def test_what_is_wrong_before_the_first_event_is_no_stream(server: Running) -> None:
    for body, status in (
        ({"texts": [TEXT, TEXT]}, 422),
        ({"texts": [TEXT], "to": "xx"}, 422),
        ({"texts": [TEXT], "decoding": {"method": "beam", "beam_size": 2, "n_best": 5}}, 422),
    ):
        answer = server.ask("/predict/mt", {**body, "stream": True})
        assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert server.ask("/predict/none", {"texts": [TEXT], "stream": True}).status == 404


def test_what_goes_wrong_later_is_an_event(server: Running) -> None:
    connection = HTTPConnection("localhost", server.port, timeout=60)
    server.ask("/predict/mt", {"texts": [TEXT]})
    workers = server.workers()
    connection.request("POST", "/predict/mt", json.dumps({**LONG, "stream": True}), {"content-type": "application/json"})
    answer = connection.getresponse()
    first = answer.readline()
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    *_, last = events(Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, first + answer.read()))
    assert last["error"]["code"] == "not_ready"
    until = time.monotonic() + 30
    while server.ask("/readyz").status != 200:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_stream_has_an_end_in_time_whoever_reads_it() -> None:
    class Endless:
        facts: ClassVar[dict[str, Any]] = {}
        open = 0

        async def ask(self, _job: dict[str, Any], partly: Callable[[str], None]) -> list[dict[str, Any]]:
            partly("so far")
            await asyncio.Event().wait()
            raise AssertionError

    async def read() -> list[Any]:
        service = Service({"mt": cast(Any, Endless())}, Limits(seconds=0.2))
        parts = service.stream("mt", {})
        found = [await asyncio.create_task(anext(parts))]  # type: ignore[arg-type]
        with pytest.raises(Problem, match=r"within 0.2 seconds"):
            await asyncio.wait_for(asyncio.create_task(anext(parts)), 5)  # type: ignore[arg-type]
        return found

    assert in_a_loop(read()) == ["so far"]


@pytest.mark.parametrize("stream", [True, False])
def test_who_leaves_is_not_answered(server: Running, stream: bool) -> None:
    server.ask("/predict/mt", {"texts": [TEXT]})  # the worker lives
    before = figures(server)
    connection = HTTPConnection("localhost", server.port, timeout=60)
    many = LONG if stream else {**LONG, "texts": LONG["texts"] * 8}  # type: ignore[operator]
    connection.request("POST", "/predict/mt", json.dumps({**many, "stream": stream}), {"content-type": "application/json"})
    if stream:
        assert connection.getresponse().read(10)
    else:
        time.sleep(0.1)
    connection.close()
    until = time.monotonic() + 10
    while (after := figures(server))['open{model="mt"}'] > 0:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert after['total{model="mt"}'] == before['total{model="mt"}']


def figures(server: Running) -> dict[str, float]:
    """The counts of texts."""
    lines = server.ask("/metrics").content.decode().splitlines()
    return {
        name.removeprefix("headway_texts_"): float(value)
        for name, _, value in (line.partition(" ") for line in lines if line.startswith("headway_texts_"))
    }
