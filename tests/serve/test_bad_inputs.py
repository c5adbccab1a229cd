"""What else comes in from outside (bad inputs 88 to 124 that no other file of this directory looks at)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import request
from running import Running

TEXT = "two men"
HEAD = b"POST /predict/mt HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/predict/mt", b'{"texts":["a"],}', "no JSON"),
        ("/predict/mt", b'{"texts":["a"]}{"texts":["b"]}', "no JSON"),
        ("/predict/mt", b'{"texts":["a"],"seed":1e999}', "bounds"),
        ("/predict/mt", b'{"texts":["a"],"seed":' + b"9" * 5000 + b"}", "digits"),
        ("/predict/mt", b'{"texts":' + b"[" * 9000 + b"]" * 9000 + b"}", "nested"),
        ("/predict/mt", b'{"texts":["\xff"]}', "UTF-8"),
        ("/predict/mt", b'"x"', "the body"),
        ("/predict/mt", {"texts": [TEXT], "decoding": {"maximum_length": True}}, "maximum_length"),
        ("/predict/mt", {"texts": [TEXT], "decoding": {"maximum_length": 2**63}}, "maximum_length"),
        ("/predict/mt", {"texts": [TEXT], "decoding": {"beam_size": 10**6}}, "beam_size"),
        ("/predict/mt", {"texts": [TEXT, None]}, "texts.1"),
        ("/v1/completions", {"model": "mt", "prompt": TEXT, "stop": [str(n) for n in range(2000)]}, "stop"),
        ("/v1/completions", {"model": "mt", "prompt": TEXT, "stop": [""]}, "stop"),
        ("/v1/completions", {"model": "mt", "prompt": TEXT, "max_tokens": 1.5}, "max_tokens"),
        ("/v1/completions", {"model": "mt", "prompt": TEXT, "n": 10**6}, "n"),
    ],
    ids=range(15),
)
def test_bodies(served: Running, path: str, body: Any, told: str) -> None:
    answer = served.ask(path, body)
    assert answer.status == 422, answer
    assert told in answer.json()["error"]["message"]
    assert len(answer.content) < 400


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HEAD + b"content-length: -5\r\n\r\n{}", 400),
        (HEAD + b"content-length: 9" + b"9" * 30 + b"\r\n\r\n{}", 400),
        (HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"".join(b"x%d: a\r\n" % n for n in range(10_000)) + b"\r\n", 431),
        (
            HEAD.replace(b"application/json", b"multipart/form-data; boundary=x")
            + b"content-length: 5000\r\n\r\n"
            + b"--x\r\n" * 1000,
            415,
        ),
    ],
    ids=range(6),
)
def test_heads(served: Running, sent: bytes, status: int) -> None:
    answer = served.say(sent, patience=8)
    assert answer.startswith(b"HTTP/1.1 %d " % status) or (status in (414, 431) and answer == b""), answer[:80]
    assert served.ask("/healthz").status == 200


@pytest.mark.parametrize(
    "path", ["//models", "/%2e%2e/models", "/./models", "/models%00", "/models;x", "/models/", "/MODELS", "/%6dodels%2f"]
)
def test_paths_are_taken_as_they_are(served: Running, path: str) -> None:
    assert served.ask(path).status == 404


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "a%00b", "x" * 5000, "%ff", "con", "mt%20", "mt%0d%0aset-cookie:a=b"])
def test_no_name_of_a_model_leads_elsewhere(served: Running, name: str) -> None:
    answer = served.ask(f"/predict/{name}", {"texts": [TEXT]})
    assert answer.status in (404, 422)
    assert "set-cookie" not in answer.headers
    assert len(answer.content) < 400


def test_a_hundred_requests_at_once_on_one_connection(served: Running) -> None:
    last = request("/healthz", headers=b"connection: close\r\n")
    bodies = [{"texts": [f"the house number {number}"], "decoding": {"maximum_length": 3}} for number in range(20)]
    found = served.say(b"".join(request("/predict/mt", body) for body in bodies) + request("/healthz") * 79 + last)
    assert re.findall(rb"HTTP/1\.1 (\d+)", found) == [b"200"] * 100
    assert found.count(b'"answers"') == 20


@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b", "<img src=x onerror=alert(1)>", "\x1b[31m", "\r\nset-cookie: a=b", "\u202e", "   ", "..."]
)
def test_texts_of_every_kind_are_answered(served: Running, text: str) -> None:
    for name in ("mt", "mood"):
        answer = served.ask(f"/predict/{name}", {"texts": [text]})
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert len(json.loads(answer.content)["answers"]) == 1
