"""Requests that cost more than they seem to, or are taken for what they are not: each told of in few words, and refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from pydantic import ValidationError
from running import in_a_loop
from starlette.testclient import TestClient

from headway.serve import documents, file_routes, libretranslate_routes
from headway.serve.app import build_app
from headway.serve.limits import Limits
from headway.serve.openai_answers import Counted, Cut, as_told
from headway.serve.openai_routes import Completion
from headway.serve.predict_routes import Question
from headway.serve.problems import Problem
from headway.serve.service import Service
from headway.serve.strict_json import MOST_VALUES, BadJson, parse

KEY = "a-key-of-thirty-characters-or-so"
SHARED: dict[str, Any] = {"decoding": {"n_best": 2}}


class Translator:
    """A pool that repeats a text in capitals, or says that it is full; a text with a `#` is longer than it reads."""

    def __init__(self, *directions: tuple[str, str], full: int = 0, loaded: bool = True) -> None:
        known = {"task": "translation", "decodes": True, "directions": directions or (("en", "de"),)}
        self.facts = known if loaded else None
        self.open, self.ready, self.trouble, self.asked, self.full = 0, loaded, None, [], full

    async def ask(self, job: dict[str, Any], _: Any = None) -> list[dict[str, Any]]:
        self.asked.append(job["text"])
        return [{"text": job["text"].upper() + str(rank), "cut": "#" in job["text"] and " " in job["text"]} for rank in (0, 1)]


class Crowded(Service):
    """One that is full for others' sake: whenever it is asked for a sentence of `crowded` for the first time."""

    crowded: tuple[str, ...] = ()

    async def ask(self, name: str, jobs: Any) -> Any:
        if (text := jobs[0]["text"]) in self.crowded:
            self.crowded = tuple(other for other in self.crowded if other != text)
            raise Problem(429, "too_busy", "too many texts wait", "try again later")
        return await super().ask(name, jobs)


def service(*, kind: type[Service] = Service, limits: Limits | None = None, **pools: Translator) -> Any:
    return kind(pools, limits or Limits())  # type: ignore[arg-type]


def translated(of: Any, texts: list[str], form: Any = "text", asked: documents.Asked | None = None) -> list[list[str]]:
    return in_a_loop(documents.translate(of, "mt", texts, form, SHARED, "de", "en", asked or documents.Asked()))


def client(of: Any, tmp_path: Any, **more: Any) -> TestClient:
    return TestClient(build_app(of, hosts=["localhost"], corrections=tmp_path, **more), base_url="http://localhost:8000")


# ---- documents -----------------------------------------------------------------------------------------------------


def test_every_rank_is_put_together_in_the_end() -> None:
    found = translated(service(mt=Translator()), ["a dog #and a cat .", "42"])
    assert found[1] == ["42", "42"]
    assert {text.count("0") for text in found[0]} == {3, 0}
    assert found[0][1] == found[0][0].replace("0", "1")


def test_no_more_is_taken_apart_than_may_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = documents.Document
    monkeypatch.setattr(documents, "Document", lambda text, **how: made.append(text) or real(text, **how))
    with pytest.raises(Problem, match="sentences: 12, more than 10"):
        translated(service(mt=Translator(), limits=Limits(sentences=10)), ["<p>x" * 6] * 8, "html")
    assert len(made) == 2


@pytest.mark.parametrize("text", ["<p>1" * 100, "1\n" * 100, "1. " * 100, "7" * 6000])
def test_nor_what_asks_nothing_and_has_many_parts(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "Document", lambda *_, **__: pytest.fail("it is taken apart"))
    with pytest.raises(Problem, match="more than"):
        translated(service(mt=Translator(), limits=Limits(sentences=10)), [text], "html")


def test_what_is_accepted_is_not_refused_in_its_second_round() -> None:
    crowded = service(kind=Crowded, mt=Translator())
    crowded.crowded = ("a dog #and",)
    with pytest.raises(Problem) as problem:
        translated(crowded, ["a dog #and"])
    assert problem.value.status == 429
    half = next(text for text in _asked_by(["a dog #and a cat ."]) if text != "a dog #and a cat .")
    crowded.crowded = (half,)
    assert translated(crowded, ["a dog #and a cat ."])
    crowded.crowded = ("a bird .",)
    assert translated(crowded, ["a bird ."], asked=documents.Asked(1))


def _asked_by(texts: list[str]) -> list[str]:
    translator = Translator()
    translated(service(mt=translator), texts)
    return translator.asked


def test_sentences_of_all_languages_are_counted_together(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sources(_: Any, texts: Any, __: Any) -> Any:
        return [SimpleNamespace(language=text[:2], model_dump=dict) for text in texts]

    monkeypatch.setattr(libretranslate_routes, "_sources", sources)
    of = service(mt=Translator(("en", "de"), ("fr", "de")), limits=Limits(sentences=3))
    asked = {"q": ["en a\n\nb", "fr a\n\nb"], "source": "auto", "target": "de"}
    answer = client(of, tmp_path).post("/translate", json=asked)
    assert (answer.status_code, "sentences: 4, more than 3" in answer.text) == (400, True)


def test_a_translator_that_is_loaded_is_waited_for(tmp_path: Any) -> None:
    asks = client(service(mt=Translator(loaded=False)), tmp_path)
    for answer in (asks.post("/translate", json={"q": "a", "source": "en", "target": "de"}), asks.get("/languages")):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"


# ---- bodies --------------------------------------------------------------------------------------------------------


def test_a_list_is_wrong_once() -> None:
    with pytest.raises(ValidationError) as error:
        Question.model_validate({"texts": [1] * 1000})
    assert error.value.error_count() == 1
    with pytest.raises(ValidationError) as error:
        Question.model_validate({"texts": ["a"], "forbidden": [1] * 1000, "prefixes": [1] * 1000})
    assert error.value.error_count() == 2
    with pytest.raises(ValidationError) as error:
        Completion.model_validate({"model": "mt", "prompt": [1] * 1000})
    assert error.value.error_count() == 2  # no text, and no list of texts


def test_values_are_counted() -> None:
    assert len(parse(b"[" + b"1," * (MOST_VALUES - 2) + b"1]")) == MOST_VALUES - 1
    with pytest.raises(BadJson, match="more than 50,000 values"):
        parse(b"[" + b"1," * (MOST_VALUES - 1) + b"1]")


def test_a_name_that_a_client_made_up_comes_back_short(tmp_path: Any) -> None:
    answer = client(service(mt=Translator()), tmp_path).post("/predict/mt", json={"texts": ["a"], "x" * 200_000: 1})
    assert answer.status_code == 422
    assert len(answer.content) < 300


# ---- OpenAI --------------------------------------------------------------------------------------------------------


def test_a_stream_shows_no_part_of_a_stop() -> None:
    async def written() -> AsyncIterator[Any]:
        for text in ("foo ", "foo E", "foo EN", "foo ENt", "foo ENt E"):
            yield text
        yield [{"text": "foo ENt END bar", "ends": "stop", "read": 1, "written": 3}]

    async def parts() -> list[str]:
        told = as_told(written(), Cut("", ["END"]), lambda part, _: {"part": part})
        return [event["part"] async for event in told if not isinstance(event, Counted)]

    assert in_a_loop(parts()) == ["foo ", "ENt", " ", ""]


@pytest.mark.parametrize(
    ("asked", "decoding"),
    [
        ({"temperature": 0, "n": 2}, {"method": "sample", "n_best": 2, "temperature": 0.01}),
        ({"n": 2}, {"method": "sample", "n_best": 2, "temperature": 1}),
        ({"top_p": 0.5}, {"method": "sample", "n_best": 1, "temperature": 1, "top_p": 0.5}),
        ({"top_p": 0.5, "temperature": 0}, {"method": "greedy", "n_best": 1}),
        ({"top_p": 1}, {}),
        ({}, {}),
    ],
)
def test_settings_are_heeded(asked: dict[str, Any], decoding: dict[str, Any]) -> None:
    assert Completion(model="mt", prompt="a", **asked).job(None)["decoding"] == decoding


# ---- other sites ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 400),
        ({"origin": "https://elsewhere.example"}, 400),
        ({"origin": "null"}, 400),
        ({"origin": "http://localhost.elsewhere.example:8000"}, 400),
        ({"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://localhost"}, 200),
        ({}, 200),
    ],
)
def test_other_sites_make_no_server_compute(tmp_path: Any, headers: dict[str, str], status: int) -> None:
    asks = client(service(mt=Translator()), tmp_path)
    form = {"q": "a", "source": "en", "target": "de"}
    assert asks.post("/translate", data=form, headers=headers).status_code == status
    assert asks.get("/languages", headers=headers).status_code == 200
    locked = client(service(mt=Translator()), tmp_path, keys=[KEY])
    assert locked.post("/translate", data={**form, "api_key": KEY}, headers=headers).status_code == 200


# ---- files ---------------------------------------------------------------------------------------------------------


def test_a_recording_is_held_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[file_routes.StrictRequest] = []

    class Seen(file_routes.StrictRequest):
        def __init__(self, *told: Any) -> None:
            super().__init__(*told)
            asked.append(self)

    class Listener(Translator):
        async def ask(self, job: dict[str, Any], _: Any = None) -> list[dict[str, Any]]:
            assert job["content"] == b"said"
            assert not hasattr(asked[-1], "_body")
            return [{"text": "said"}]

    monkeypatch.setattr(file_routes, "StrictRequest", Seen)
    of = service(mt=Listener())
    of.pools["mt"].facts |= {"task": "speech_recognition", "reads": "audio", "language": "en"}
    asks = client(of, tmp_path)
    given = {"files": {"file": ("a.wav", b"said")}, "data": {"model": "mt", "response_format": "text"}}
    assert asks.post("/v1/audio/transcriptions", **given).text == "said\n"
    given["data"]["model"] = "none"
    answer = asks.post("/v1/audio/transcriptions", **given)
    assert (answer.status_code, answer.headers.get("connection")) == (404, None)  # all of it is read
