"""What the clients of LibreTranslate get from a server of Headway."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")
pytest.importorskip("libretranslatepy", reason="the client of these tests")

import libretranslatepy
from running import Answer, Running, in_a_loop

import headway
from headway.inference.documents import translate
from headway.serve.detection import Detector
from headway.serve.guards import Guards, Keys
from headway.serve.journal import Journal
from headway.serve.libretranslate_routes import Detected, Translate, _model, _sources
from headway.serve.limits import Limits
from headway.serve.metrics import Metrics
from headway.serve.problems import Problem

TEXT = "the red cat sees a dog . a bird sings ."
KEY = "a-key-of-thirty-characters-or-so"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def server(runs: dict[str, Path]) -> Iterator[Running]:
    named = [f"{name}={path}" for name, path in runs.items()]
    limits = ["limits.texts=8", "limits.characters=2000", "limits.body_bytes=20000"]
    with Running(*named, *limits, "--workers", "1", "--threads", "1", "decoding.precision=fp32") as running:
        yield running


@pytest.fixture(scope="module")
def locked(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"another-key-of-thirty-characters\n{KEY}\n")
    with Running(f"mt={runs['mt']}", "--key-file", keys, "--workers", "1", "--threads", "1") as running:
        yield running


def client(server: Running, key: str | None = None) -> Any:
    return libretranslatepy.LibreTranslateAPI(f"http://localhost:{server.port}", key)


def test_its_python_client(server: Running, runs: dict[str, Path]) -> None:
    translator: Any = headway.load(str(runs["mt"]), precision="fp32")
    text = f"  {TEXT}\r\n\r\n- a dog & a cat ä\n"
    assert client(server).translate(text, "en", "de") == translate(translator, [text])[0]
    assert client(server).translate(text, "auto", "de") == translate(translator, [text])[0]
    assert client(server).languages() == [
        {"code": "de", "name": "German", "targets": []}, {"code": "en", "name": "English", "targets": ["de"]},
    ]  # fmt: skip


def test_json_lists_html_and_alternatives(server: Running, runs: dict[str, Path]) -> None:
    translator: Any = headway.load(str(runs["mt"]), precision="fp32")
    page = "<p>the <b>red</b> cat &amp; a dog .</p>"
    asked = {"q": [page, "a dog ."], "source": "auto", "target": "de", "format": "html", "alternatives": 2, "api_key": ""}
    found = server.ask("/translate", asked).json()
    assert "error" not in found, found
    translator = translator.with_options(method="beam", beam_size=5, n_best=3)
    assert found["translatedText"] == translate(translator, [page, "a dog ."], "html")
    assert found["detectedLanguage"] == [{"confidence": 100.0, "language": "en"}] * 2
    assert [len(others) for others in found["alternatives"]] == [2, 2]
    beams = next(iter(translator.translate_stream(["a dog ."])))
    assert found["alternatives"][1] == [beam.text.strip() for beam in beams[1:]]


def test_a_language_is_detected(server: Running) -> None:
    pytest.importorskip("py3langid", reason="detection is an extra: headway[detect]")
    best, other = client(server).detect("Ein Mann reitet auf einem Pferd.")
    assert (best["language"], other["language"]) == ("de", "en")
    assert best["confidence"] > 90
    assert best["confidence"] + other["confidence"] == pytest.approx(100)
    assert client(server).detect("A man is riding a horse.")[0]["language"] == "en"
    assert {one["confidence"] for one in client(server).detect("123")} == {0}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "q"),
        ({"q": ""}, "source"),
        ({"q": "a", "source": "en"}, "target"),
        ({"q": "a", "source": "en", "target": "fr"}, "no model translates"),
        ({"q": "a", "source": "auto", "target": "fr"}, "no model translates"),
        ({"q": "a", "source": "en", "target": "x" * 36}, "target"),
        ({"q": "a", "source": "en", "target": "de", "format": "pdf"}, "format"),
        ({"q": "a", "source": "en", "target": "de", "alternatives": 99}, "alternatives"),
        ({"q": "a", "source": "en", "target": "de", "more": "x"}, "more"),
        ({"q": ["a"] * 9, "source": "en", "target": "de"}, "q: 9, more than 8"),
        ({"q": "a" * 2001, "source": "en", "target": "de"}, "2,001 characters, more than 2,000"),
        ({"q": {"a": 1}, "source": "en", "target": "de"}, "q"),
    ],
    ids=range(12),
)
def test_what_is_refused_is_told(server: Running, fields: dict[str, Any], told: str) -> None:
    as_form = urlencode(fields, doseq=isinstance(fields.get("q"), list)).encode()
    for answer in (server.ask("/translate", fields), server.ask("/translate", as_form, content_type=FORM)):
        if isinstance(fields.get("q"), dict) and answer.status == 200:
            continue  # of a form it is a text
        assert answer.status == 400
        assert list(answer.json()) == ["error"]
        assert told in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"q=a&source=en&source=de&target=de", FORM, 400),
        (b"q=%ff&source=en&target=de", FORM, 400),
        (b"q=%ED%A0%80&source=en&target=de", FORM, 400),
        ("q=ä&source=en&target=de".encode(), FORM, 400),
        (b"q&&=&", FORM, 400),
        (b"&".join([b"q=a"] * 3000), FORM, 400),
        (b"q=" + b"a" * 20000, FORM, 413),
        (b"", FORM, 400),
        (b"--x\r\n", "multipart/form-data; boundary=x", 415),
        (b'{"q":"a","q":"b","source":"en","target":"de"}', "application/json", 400),
        (b'["q"]', "application/json", 400),
        (b'{"q":"\\ud800","source":"en","target":"de"}', "application/json", 400),
        (b"q=+&source=en&target=de", FORM, 200),
    ],
    ids=range(13),
)
def test_bodies(server: Running, body: bytes, kind: str, status: int) -> None:
    for route in ("/translate", "/detect") if status != 200 else ("/translate",):
        answer = server.ask(route, body, content_type=kind)
        assert answer.status == status, answer.content
        assert status == 200 or isinstance(answer.json()["error"], str)


def asked(server: Running, key: str | None = None, **headers: str) -> Answer:
    return server.ask(
        "/translate", {"q": "a dog .", "source": "en", "target": "de"} | ({"api_key": key} if key else {}), **headers
    )


def test_a_key_in_the_body_opens(locked: Running) -> None:
    assert asked(locked, KEY).status == 200
    assert asked(locked, authorization=f"Bearer {KEY}").status == 200
    assert isinstance(client(locked, KEY).translate("a dog .", "en", "de"), str)
    assert [language["code"] for language in client(locked, KEY).languages()] == ["de", "en"]


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "x", KEY.upper(), "é" * 16, "x" * 10_000])
def test_no_other_does(locked: Running, key: str) -> None:
    for answer in (
        asked(locked, key),
        locked.ask("/translate", b"{", content_type=FORM),
    ):
        assert answer.status in (400, 403)
        assert KEY.encode() not in answer.content
    assert asked(locked, key).status == 403
    for route in ("translate", "detect", "languages"):
        with pytest.raises(HTTPError) as error:
            getattr(client(locked, key or None), route)(*(() if route == "languages" else ("a dog .",)))
        assert error.value.code == 403
    assert locked.ask("/languages").status == 401
    assert asked(locked, KEY, authorization="Bearer no").status == 401
    assert locked.ask("/predict/mt", {"texts": ["a"], "api_key": KEY}).status == 401
    assert locked.ask("/translate", method="OPTIONS").status >= 400


def test_its_schema_tells_of_it(server: Running) -> None:
    paths = json.loads(server.ask("/openapi.json").content)["paths"]
    assert set(paths["/translate"]["post"]["requestBody"]["content"]) == {"application/json", FORM}
    assert "/detect" in paths
    assert "/languages" in paths


def test_no_answer_leaves_without_a_key_though_a_route_forgot_to_ask() -> None:
    async def forgetful(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    guards = Guards(forgetful, hosts=["localhost"], keys=Keys([KEY]), limits=Limits(), metrics=Metrics(), journal=Journal())
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/translate",
        "headers": [(b"host", b"localhost"), (b"content-type", b"x")],
    }
    with pytest.raises(RuntimeError, match="without a key"):
        in_a_loop(guards(scope, receive, send))  # type: ignore[arg-type]
    assert sent == []


class Several:
    """Models of several directions, and a request to them."""

    def __init__(self, **directions: list[list[str]]) -> None:
        def facts(known: list[list[str]]) -> Any:
            return SimpleNamespace(facts={"task": "translation", "decodes": True, "directions": known})

        self.pools = {name: facts(known) for name, known in directions.items()}
        state = SimpleNamespace(service=self, detector=Detector(), keys=Keys([]))
        self.request: Any = SimpleNamespace(app=SimpleNamespace(state=state))

    def pool(self, name: str) -> Any:
        return self.pools[name]


def test_the_model_is_that_of_the_direction() -> None:
    service: Any = Several(one=[["en", "de"], ["de", "en"]], two=[["en", "zh-Hant"], ["fr", "de"]], three=[["en", "zh"]])
    assert _model(service, "de", "en") == ("one", "de", "en")
    assert _model(service, "fr", "de") == ("two", "fr", "de")
    assert _model(service, "en", "zh") == ("three", "en", "zh")
    assert _model(service, "en", "zh_TW") == ("two", "en", "zh-Hant")
    with pytest.raises(Problem, match="no model translates"):
        _model(service, "zh", "en")


def test_each_text_has_its_own_language() -> None:
    pytest.importorskip("py3langid", reason="detection is an extra: headway[detect]")
    service = Several(one=[["en", "de"], ["fr", "de"], ["en", "fr"], ["es", "en"]])
    asked = Translate(q=["A man rides a horse.", "Un homme monte à cheval."], source="auto", target="de")
    found = in_a_loop(_sources(service.request, asked.q, asked))  # type: ignore[arg-type]
    assert [one.language for one in found] == ["en", "fr"]
    only = Translate(q="Un homme", source="auto", target="fr")
    assert in_a_loop(_sources(service.request, ["Un homme"], only)) == [Detected(confidence=100, language="en")]


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(Problem) as problem:
        Detector().rank("a", ["en"])
    assert problem.value.status == 501
    assert "headway[detect]" in str(problem.value.remedy)
