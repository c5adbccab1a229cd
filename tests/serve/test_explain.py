"""Explanations beside answers: the figures are those of `explain`, and others do not wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from running import Running

import headway
from headway.explain.attribution import finished
from headway.explain.words import explained_words
from headway.model_dir import load_model
from headway.serve.engine import Engine, Job, Reply
from headway.serve.explaining import Explaining

RunOf = Callable[[str], Path]
TEXT = "the red cat sees a dog ."
TEXTS = {
    "translation": TEXT,
    "language_model": "the red cat",
    "classification": TEXT,
    "pair_classification": f"{TEXT}\ta dog sees .",
    "tagging": TEXT,
    "question_answering": f"who sees a dog ?\t{TEXT}",
}
DECODING = {"minimum_length": 4, "maximum_length": 12}


@pytest.fixture(scope="module")
def server(run_of: RunOf) -> Iterator[Running]:
    named = [f"{kind}={run_of(kind)}" for kind in (*TEXTS, "sentence_embedding")]
    settings = ["limits.explained=200", "decoding.precision=fp32"]
    with Running(*named, *settings, "--workers", "1", "--threads", "1") as running:
        yield running


def near(first: Any, second: Any) -> bool:
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(near(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(near, first, second))
    return bool(first == pytest.approx(second, abs=1e-5) if isinstance(first, float) else first == second)


@pytest.mark.parametrize("kind", TEXTS)
def test_the_best_answer_has_the_explanation_that_explain_gives(server: Running, run_of: RunOf, kind: str) -> None:
    text, decoding = TEXTS[kind], DECODING if kind in ("translation", "language_model") else {}
    asked = {"texts": [text, f"{text} {TEXT}"], "explain": True, "decoding": decoding}
    answers = server.ask(f"/predict/{kind}", asked).json()["answers"]
    predictor: Any = headway.load(run_of(kind), precision="fp32", **decoding)
    for given, best in zip(asked["texts"], answers, strict=True):  # type: ignore[call-overload]
        found = next(iter(predictor.answer_pieces([[given]])))[0]
        expected = finished(explained_words(load_model(run_of(kind)), given, found))
        assert near(best[0]["explanation"], expected)
    plain = server.ask(f"/predict/{kind}", {**asked, "explain": False}).json()["answers"]
    assert near(plain, [[{key: one[key] for key in one if key != "explanation"} for one in best] for best in answers])


def test_it_goes_with_a_stream_and_several_answers(server: Running) -> None:
    decoding = {"method": "beam", "beam_size": 3, "n_best": 2, **DECODING}
    asked = {"texts": [TEXT], "explain": True, "decoding": decoding}
    best = server.ask("/predict/translation", asked).json()["answers"][0]
    assert ["explanation" in one for one in best] == [True, False]
    streamed = server.ask("/predict/translation", {**asked, "stream": True}).content.decode()
    assert '"explanation"' in streamed.split("\n\n")[-3]


def test_what_cannot_be_explained_is_refused(server: Running) -> None:
    for name, text, told in (
        ("translation", "a" * 201, "201 characters, more than 200 to explain"),
        ("sentence_embedding", TEXT, "no words"),
    ):
        answer = server.ask(f"/predict/{name}", {"texts": [text], "explain": True})
        assert answer.status == 422
        assert told in answer.json()["error"]["message"]
        assert server.ask(f"/predict/{name}", {"texts": [text]}).status == 200


def test_a_blank_text_has_nothing_to_explain(server: Running) -> None:
    (best,) = server.ask("/predict/translation", {"texts": [" "], "explain": True}).json()["answers"]
    assert best[0]["explanation"]["outputs"] == []


def test_others_are_answered_meanwhile(run_of: RunOf) -> None:
    path = run_of("classification")
    engine = Engine(headway.load(path, precision="fp32"), explaining=Explaining(partial(load_model, path)))
    engine.add(Job(1, f"{TEXT} " * 20, explain=True))
    engine.step()  # answered, and not explained yet
    engine.add(Job(2, TEXT))
    engine.add(Job(3, TEXT, explain=True))
    replies: list[Reply] = []
    while engine.busy:
        replies += engine.step()
    assert [reply.number for reply in replies] == [2, 1, 3]


def test_an_explanation_that_nobody_waits_for_is_given_up(run_of: RunOf) -> None:
    path = run_of("classification")
    engine = Engine(headway.load(path, precision="fp32"), explaining=Explaining(partial(load_model, path)))
    for number in (1, 2):
        engine.add(Job(number, f"{TEXT} " * 10, explain=True))
    assert engine.step() == []
    engine.cancel(1)
    replies: list[Reply] = []
    while engine.busy:
        replies += engine.step()
    assert [reply.number for reply in replies] == [2]
    assert replies[0].answers is not None
    assert len(replies[0].answers[0]["explanation"]["source"]) == 70


def test_many_at_a_time(server: Running) -> None:
    asked = {"texts": [TEXT], "explain": True, "decoding": DECODING}
    alone = server.ask("/predict/translation", asked).json()["answers"]
    begun = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: server.ask("/predict/translation", asked).json()["answers"], range(24)))
    assert all(near(one, alone) for one in found)
    assert time.monotonic() - begun < 30
