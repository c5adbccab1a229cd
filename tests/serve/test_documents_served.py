"""Whole documents over HTTP: the same as `headway predict --format`, within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from running import Running

import headway
from headway.inference.documents import translate

TEXT = "  the red cat sees a dog . A small bird sings .\r\n\r\n - a dog\n - 42\n\n" + "the cat sleeps and " * 60 + "\n"


@pytest.fixture(scope="module")
def server(runs: dict[str, Path]) -> Iterator[Running]:
    named = [f"{name}={path}" for name, path in runs.items()]
    limits = ["limits.sentences=80", "limits.waiting=40", "limits.characters=2000"]
    with Running(*named, *limits, "--workers", "1", "--threads", "1", "decoding.precision=fp32") as running:
        yield running


def asked(server: Running, *texts: str, model: str = "mt", **more: Any) -> Any:
    return server.ask(f"/predict/{model}", {"texts": texts, "format": "text", **more})


def test_documents_are_those_of_predict(server: Running, runs: dict[str, Path]) -> None:
    translator: Any = headway.load(str(runs["mt"]), precision="fp32")
    answer = asked(server, TEXT, "", "a dog .")
    assert answer.status == 200
    assert [best[0]["text"] for best in answer.json()["answers"]] == translate(translator, [TEXT, "", "a dog ."])


def test_tags_are_where_predict_puts_them(server: Running, runs: dict[str, Path]) -> None:
    translator: Any = headway.load(str(runs["mt"]), precision="fp32")
    page = "<h1>a dog</h1><p>the <b>red cat</b> sees <a href='x'>a dog</a> . a <i>bird</i> sings .</p>" + "<b>x" * 200
    answer = server.ask("/predict/mt", {"texts": [page], "format": "html"})
    assert answer.status == 200
    assert answer.json()["answers"][0][0]["text"] == translate(translator, [page], "html")[0]


def test_more_sentences_than_may_wait_are_answered_one_after_another(server: Running) -> None:
    with ThreadPoolExecutor(3) as clients:
        found = list(clients.map(lambda _: asked(server, "a dog sleeps .\n" * 70), range(2)))
    told = [answer.status for answer in found]
    assert 200 in told
    assert set(told) <= {200, 429}
    (lines,) = {answer.json()["answers"][0][0]["text"] for answer in found if answer.status == 200}
    assert lines.count("\n") == 70


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"texts": ["a dog .\n" * 81], "format": "text"}, "sentences: 81, more than 80"),
        ({"texts": ["a dog ."], "format": "text", "details": True}, "details: is of sentences"),
        ({"texts": ["a dog ."], "format": "text", "decoding": {"n_best": 2}}, "decoding.n_best: is of sentences"),
        ({"texts": ["a dog ."], "format": "pdf"}, "format"),
        ({"texts": ["a" * 2001], "format": "text"}, "more than 2,000"),
        ({"texts": ["a dog ."], "format": "text", "to": "xx"}, "does not translate into 'xx'"),
    ],
    ids=range(6),
)
def test_what_is_refused_is_told(server: Running, more: dict[str, Any], told: str) -> None:
    answer = server.ask("/predict/mt", more)
    assert answer.status == 422
    assert told in answer.json()["error"]["message"]


def test_only_a_translator_translates(server: Running) -> None:
    assert "only a translator" in asked(server, "a dog .", model="mood").json()["error"]["message"]
