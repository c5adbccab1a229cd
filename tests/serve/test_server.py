"""A real server: what it answers, what it refuses and how, and what it survives."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from running import Running

import headway

TEXT = "the red cat sees a dog ."
HEAD = b"POST /predict/mt HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def server(runs: dict[str, Path]) -> Iterator[Running]:
    named = [f"{name}={path}" for name, path in runs.items()]
    limits = ["limits.texts=8", "limits.characters=500", "limits.body_bytes=20000", "limits.read_seconds=1"]
    with Running(*named, *limits, "--workers", "1", "--threads", "1", "decoding.precision=fp32") as running:
        yield running


def test_answers_are_those_of_predict(server: Running, runs: dict[str, Path]) -> None:
    texts = [TEXT, "", "a small bird sings . " * 3]
    for name in ("mt", "mood"):
        predictor = headway.load(str(runs[name]), precision="fp32")
        answer = server.ask(f"/predict/{name}", {"texts": texts})
        assert answer.status == 200
        assert answer.json()["model"] == name
        found = [best[0].get("text", ", ".join(best[0].get("labels", ()))) for best in answer.json()["answers"]]
        assert found == predictor.predict(texts)


def test_details_tell_how_sure_each_piece_is(server: Running) -> None:
    asked = {"texts": [TEXT], "details": True, "decoding": {"method": "beam", "beam_size": 3, "n_best": 2}}
    best = server.ask("/predict/mt", asked).json()["answers"][0]
    assert len(best) == 2
    assert all(0 < token["probability"] <= 1 for token in best[0]["tokens"])
    assert best[0]["score"] >= best[1]["score"]


@pytest.mark.parametrize("path", ["/predict/{model}", "/v1/completions", "/v1/chat/completions"])
def test_the_schema_tells_which_answers_may_be_streams(server: Running, path: str) -> None:
    answers = server.ask("/openapi.json").json()["paths"][path]["post"]["responses"]
    assert set(answers["200"]["content"]) == {"application/json", "text/event-stream"}
    assert set(answers["422"]["content"]) == {"application/json"}


def test_models_are_told(server: Running) -> None:
    found = {model["name"]: model for model in server.ask("/models").json()["models"]}
    assert found["mt"]["directions"] == [["en", "de"]]
    assert found["mood"]["task"] == "classification"
    assert len(found["mood"]["labels"]) > 1
    assert all(model["ready"] for model in found.values())


def mistaken(**changes: Any) -> bytes:
    return json.dumps({"texts": [TEXT], **changes}).encode()


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 422, "no JSON"),
        (b"{}", 422, "texts"),
        (b"[]", 422, "the body"),
        (b"null", 422, "the body"),
        (b'{"texts":["a"],"texts":["b"]}', 422, "stands twice"),
        (b'{"texts":["a"],"seed":NaN}', 422, "NaN"),
        (b'{"texts":["\\ud800"]}', 422, "half a surrogate"),
        (mistaken(texts=[]), 422, "texts"),
        (mistaken(texts="a"), 422, "texts"),
        (mistaken(texts=[1]), 422, "texts.0"),
        (mistaken(texts=["a"] * 9), 422, "more than 8"),
        (mistaken(texts=["a" * 501]), 422, "501 characters, more than 500"),
        (mistaken(text="a"), 422, "text: "),
        (mistaken(seed=-1), 422, "seed"),
        (mistaken(seed=1.5), 422, "seed"),
        (mistaken(seed=True), 422, "seed"),
        (mistaken(seed=2**63), 422, "seed"),
        (mistaken(to="x" * 36), 422, "to"),
        (mistaken(to="xx"), 422, "xx"),
        (mistaken(decoding={"beam_size": 10**6}), 422, "decoding.beam_size"),
        (mistaken(decoding={"beam_size": 0}), 422, "decoding.beam_size"),
        (mistaken(decoding={"maximum_length": -1}), 422, "decoding.maximum_length"),
        (mistaken(decoding={"method": "best"}), 422, "decoding.method"),
        (mistaken(decoding={"n_best": 4, "beam_size": 3}), 422, "n_best"),
        (b"x" * 20_001, 413, "more than 20,000 bytes"),
    ],
    ids=range(25),
)
def test_what_is_refused_and_why(server: Running, body: bytes, status: int, told: str) -> None:
    answer = server.ask("/predict/mt", body)
    assert answer.status == status, answer
    error = answer.json()["error"]
    assert told in error["message"], error
    assert len(answer.content) < 400
    assert TEXT not in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/predict/none", "POST", {}, 404),
        ("/predict/..%2f..%2fetc%2fpasswd", "POST", {}, 404),
        ("/predict/a%00", "POST", {}, 404),
        ("/nothing", "GET", {}, 404),
        ("//models", "GET", {}, 404),
        ("/models", "DELETE", {}, 405),
        ("/predict/mt", "GET", {}, 405),
        ("/models", "TRACE", {}, 405),
        ("/predict/mt", "POST", {"content-type": "text/plain"}, 415),
        ("/predict/mt", "POST", {"content-encoding": "gzip"}, 415),
        ("/models", "GET", {"host": "attacker.example"}, 400),
        ("/models", "GET", {"host": "localhost.attacker.example:80"}, 400),
        ("/models", "GET", {"range": "bytes=0-,0-,0-"}, 200),
        ("/openapi.json", "HEAD", {}, 200),
    ],
    ids=range(14),
)
def test_other_paths_methods_and_headers(server: Running, path: str, method: str, headers: dict[str, str], status: int) -> None:
    body = {"texts": [TEXT]} if method == "POST" else None
    answer = server.ask(path, body, method, **headers)
    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\n{}", 400),
        (HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: localhost\r\nhost: other\r\n\r\n", 400),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 100_000, 431),
        (b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"".join(b"x%d: a\r\n" % n for n in range(200)) + b"\r\n", 431),
        (HEAD + b"content-length: 900000\r\n\r\n{", 413),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n" + (b"2000\r\n" + b"a" * 0x2000 + b"\r\n") * 3, 413),
        (HEAD + b"content-length: 20\r\n\r\n{", 408),
        (b"GET /models HTTP/1.1\r\nhost: loc", 408),
    ],
    ids=range(11),
)
def test_rude_clients_are_answered_and_closed(server: Running, sent: bytes, status: int) -> None:
    begun = time.monotonic()
    answer = server.say(sent, patience=8)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:80]
    assert time.monotonic() - begun < 6
    assert server.ask("/models").status == 200


def test_who_says_nothing_is_closed(server: Running) -> None:
    assert server.say(b"", patience=8) == b""


def test_the_same_is_answered_the_same_beside_others(server: Running) -> None:
    texts = [f"{TEXT} the house number {n} is old ." for n in range(12)]
    alone = [server.ask("/predict/mt", {"texts": [text]}).content for text in texts]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda text: server.ask("/predict/mt", {"texts": [text]}).content, texts * 3))
    assert [json.loads(content)["answers"][0][0]["text"] for content in together] == [
        json.loads(content)["answers"][0][0]["text"] for content in alone * 3
    ]


def test_nobodys_text_is_in_logs_or_metrics_and_all_requests_are_counted(server: Running) -> None:
    secret = "zeitgeist4711"
    for body in ({"texts": [secret]}, {"texts": [secret], "seed": secret}, {"texts": [secret], "to": secret}):
        answer = server.ask("/predict/mt", body)
        assert answer.status in (200, 422)
    server.ask("/predict/mt", f'{{"texts":["{secret}"'.encode())
    told = server.ask("/metrics").content.decode()
    assert secret not in told + "".join(server.log)
    figures = dict(re.findall(r"^(headway_\S+) ([0-9.e+]+)$", told, re.M))
    ended = sum(float(value) for name, value in figures.items() if name.startswith("headway_requests_ended_total"))
    assert float(figures["headway_requests_total"]) == ended + float(figures["headway_requests_in_flight"])
    assert float(figures["headway_requests_in_flight"]) == 1  # this one


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
def test_a_dead_worker_is_replaced_and_nobody_waits_for_it(server: Running, number: int) -> None:
    before = server.workers()
    long = {"texts": [f"{TEXT} {n} " * 4 for n in range(8)], "decoding": {"minimum_length": 60, "maximum_length": 80}}
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(server.ask, "/predict/mt", long) for _ in range(4)]
        time.sleep(0.3)
        for worker in before:
            os.kill(worker, number)
        answers = [one.result() for one in asked]
    assert {answer.status for answer in answers} <= {200, 503}
    assert all(answer.headers["retry-after"] for answer in answers if answer.status == 503)
    until = time.monotonic() + 30
    while set(before) & set(server.workers()) or server.ask("/readyz").status != 200:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert server.ask("/predict/mt", {"texts": [TEXT]}).status == 200
    assert server.ask("/predict/mood", {"texts": [TEXT]}).status == 200


def test_keys_are_asked_for_everywhere_but_at_the_health(runs: dict[str, Path], tmp_path: Path) -> None:
    key = "kkkkkkkkkkkkkkkkkkkkkkkk"
    (tmp_path / "keys").write_text(f"another-key-of-somebody\n{key}\n")
    with Running(runs["mt"], "--key-file", tmp_path / "keys", "--workers", "1", "--threads", "1") as server:
        for path in ("/models", "/metrics", "/openapi.json", "/nothing", "/predict/run"):
            assert server.ask(path).status == 401
            for wrong in (
                "",
                "Bearer",
                f"Bearer {key[:-1]}",
                f"Bearer {key}x",
                f"Basic {key}",
                "Bearer " + "x" * 5000,
                "Bearer é",
            ):
                answer = server.ask(path, authorization=wrong.encode("latin-1").decode("latin-1"))
                assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert server.ask(path, authorization=f"Bearer {key}").status != 401
        assert server.ask("/healthz").status == server.ask("/readyz").status == 200
        assert key not in "".join(server.log)


def test_what_is_accepted_is_answered_before_it_stops(runs: dict[str, Path]) -> None:
    asked = {"texts": [TEXT] * 4, "decoding": {"minimum_length": 40, "maximum_length": 60}}
    document = {**asked, "texts": [f"{TEXT}\n\n" * 100], "format": "text"}  # not all of whose sentences are asked for at once
    with Running(f"mt={runs['mt']}", "--workers", "1", "--threads", "1") as server:
        with ThreadPoolExecutor(6) as pool:
            waiting = [pool.submit(server.ask, "/predict/mt", question) for question in [asked] * 5 + [document]]
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            answers = [one.result() for one in waiting]
        assert [answer.status for answer in answers] == [200] * 6
        assert server.process.wait(30) == 143
        with pytest.raises(ConnectionRefusedError):
            server.ask("/healthz")


def test_a_client_that_leaves_frees_its_place(server: Running) -> None:
    asked = {"texts": [TEXT] * 8, "decoding": {"minimum_length": 300, "maximum_length": 400}}
    body = json.dumps(asked).encode()
    server.ask("/predict/mt", {"texts": [TEXT]})  # the worker lives

    def leave() -> None:
        with pytest.raises(TimeoutError):
            server.say(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body, patience=0.3)

    threads = [threading.Thread(target=leave) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until = time.monotonic() + 10
    while 'headway_texts_open{model="mt"} 0.0' not in server.ask("/metrics").content.decode():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_lies_in_the_directory_is_not_run(runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("multiprocessing", "random", "json"):
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\nraise SystemExit(1)\n")
    monkeypatch.chdir(tmp_path)
    program = Path(sys.executable).with_name("headway")  # `python -m` looks into the directory itself
    with Running(f"mt={runs['mt']}", "--workers", "1", "--threads", "1", program=[str(program)]) as server:
        assert server.ask("/predict/mt", {"texts": [TEXT]}).status == 200
    assert not (tmp_path / "run").exists()
