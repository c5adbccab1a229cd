"""Jobs that come and go: each has the answer that it has alone, and one that fails takes no other with it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import headway
from headway.data.media_preparation import LabelledMediaPreparation
from headway.errors import UsageError
from headway.inference.lanes import Lane, Ticket
from headway.serve import engine as engines
from headway.serve.engine import Engine, Job, Reply

RunOf = Callable[[str], Path]
TEXTS = ["the red cat sees a dog .", "a small bird sings .", "", "two men", "the green house is old and the cat is young ."]


def all_replies(engine: Engine) -> dict[int, Reply]:
    found: dict[int, Reply] = {}
    while engine.busy:
        for reply in engine.step():
            assert reply.number not in found
            found[reply.number] = reply
    return found


def texts_of(reply: Reply) -> list[str]:
    assert reply.answers is not None, reply
    return [answer["text"] for answer in reply.answers]


def shown(answer: dict[str, Any]) -> Any:
    """What of an answer is no figure."""
    words = [[word["word"], word["tag"]] for word in answer.get("words", ())]
    return [answer.get(key) for key in ("text", "label", "labels", "answer")], words


@pytest.fixture(scope="module")
def translator(run_of: RunOf) -> Any:
    return headway.load(str(run_of("translation")), precision="fp32", method="beam", beam_size=3, maximum_length=12)


def test_each_job_has_the_answer_that_it_has_alone(translator: Any) -> None:
    engine, rng, number = Engine(translator, at_a_time=4), random.Random(1), 0
    asked: dict[int, str] = {}
    found: dict[int, Reply] = {}
    while number < 40 or engine.busy:
        for _ in range(rng.randint(0, 3) if number < 40 else 0):
            number += 1
            asked[number] = f"{rng.choice(TEXTS)} {rng.choice(TEXTS)}" if rng.random() < 0.9 else " "
            engine.add(Job(number, asked[number]))
        found |= {reply.number: reply for reply in engine.step()}
    assert {number: texts_of(reply) for number, reply in found.items()} == {
        number: translator.predict([text]) for number, text in asked.items()
    }


def test_options_are_those_of_the_job(translator: Any) -> None:
    engine = Engine(translator)
    engine.add(Job(1, TEXTS[0], decoding={"n_best": 3}))
    engine.add(Job(2, TEXTS[0]))
    engine.add(Job(3, TEXTS[0], decoding={"method": "greedy", "maximum_length": 2}))
    engine.add(Job(4, TEXTS[0], decoding={"n_best": 4}))  # of 3 beams
    engine.add(Job(5, TEXTS[0], to="xx"))
    found = all_replies(engine)
    assert len(texts_of(found[1])) == 3
    assert texts_of(found[1])[0] == texts_of(found[2])[0] == translator.predict(TEXTS[:1])[0]
    assert len(texts_of(found[3])[0].split()) <= 2
    assert [found[number].fault_of for number in (4, 5)] == ["request", "request"]
    assert "xx" in found[5].problem
    assert not engine.busy


def test_one_that_is_cancelled_is_never_answered(translator: Any) -> None:
    engine = Engine(translator, at_a_time=2)
    for number in range(1, 6):
        engine.add(Job(number, TEXTS[0]))
    engine.step()
    for number in (1, 4, 99):  # under way, waiting, unknown
        engine.cancel(number)
    assert sorted(all_replies(engine)) == [2, 3, 5]


def test_a_text_on_which_the_model_fails_takes_no_other_with_it(run_of: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    translator: Any = headway.load(str(run_of("translation")), precision="fp32", maximum_length=8)
    good = translator.predict(TEXTS[:2])
    model, encode = translator._translator.model, translator._translator.model.encode
    bad = len(translator.read([TEXTS[4]])[0].ids)

    def encode_badly(ids_BS: torch.Tensor, mask_BS: torch.Tensor) -> torch.Tensor:
        return encode(ids_BS, mask_BS).masked_fill((mask_BS.sum(1) == bad + 1)[:, None, None], torch.nan)  # type: ignore[no-any-return]

    monkeypatch.setattr(model, "encode", encode_badly)
    engine = Engine(translator)
    for number, text in enumerate([TEXTS[0], TEXTS[4], TEXTS[1]]):
        engine.add(Job(number, text))
    found = all_replies(engine)
    assert [texts_of(found[0]), texts_of(found[2])] == [[good[0]], [good[1]]]
    assert found[1].fault_of == "model"
    assert "not numbers" in found[1].problem


def test_no_step_is_long_where_one_of_many_fails(run_of: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else no cancel is heard, and the server takes the worker for one that hangs."""
    translator: Any = headway.load(str(run_of("translation")), precision="fp32", minimum_length=30, maximum_length=40)
    alone, tokens = translator.predict(TEXTS[:2]), 0
    model, encode, lane_step = translator._translator.model, translator._translator.model.encode, Lane.step
    bad = len(translator.read([TEXTS[4]])[0].ids)

    def encode_badly(ids_BS: torch.Tensor, mask_BS: torch.Tensor) -> torch.Tensor:
        return encode(ids_BS, mask_BS).masked_fill((mask_BS.sum(1) == bad + 1)[:, None, None], torch.nan)  # type: ignore[no-any-return]

    def counted(lane: Lane) -> list[Ticket]:
        nonlocal tokens
        tokens += 1
        return lane_step(lane)

    monkeypatch.setattr(model, "encode", encode_badly)
    monkeypatch.setattr(Lane, "step", counted)
    engine, found, longest = Engine(translator), {}, 0
    for number in range(16):
        engine.add(Job(number, TEXTS[4] if number == 5 else TEXTS[number % 2]))
    while engine.busy:
        tokens = 0
        for reply in engine.step():
            found[reply.number] = reply
        longest = max(longest, tokens)
        engine.cancel(15)
    assert longest <= 2 + math.log2(16)
    assert sorted(found) == list(range(15))
    assert found.pop(5).fault_of == "model"
    assert {number: texts_of(reply) for number, reply in found.items()} == {n: [alone[n % 2]] for n in found}


@pytest.mark.parametrize("kind", ["classification", "tagging", "question_answering", "language_model"])
def test_other_tasks_are_answered_too(kind: str, run_of: RunOf) -> None:
    predictor: Any = headway.load(str(run_of(kind)), precision="fp32")
    texts = [f"{text}\t{TEXTS[4]}" if kind == "question_answering" else text for text in TEXTS]
    engine = Engine(predictor)
    for number, text in enumerate(texts):
        engine.add(Job(number, text))
    found = all_replies(engine)
    expected = [[predictor.details(answer) for answer in answers] for answers in predictor.answer_pieces([texts])]
    assert len(found) == 5
    for number, answers in enumerate(expected):
        assert [shown(one) for one in found[number].answers or ()] == [shown(one) for one in answers]


def test_no_text_of_a_client_is_taken_for_a_path(run_of: RunOf) -> None:
    reader: Any = headway.load(str(run_of("classification")))
    reader._preparation.__class__ = type("Files", (LabelledMediaPreparation,), {})
    engine = Engine(reader)
    engine.add(Job(1, __file__))
    (reply,) = engine.step()
    assert (reply.answers, reply.fault_of) == (None, "request")
    assert "reads files, and this is a text" in reply.problem


def test_a_file_is_no_text(run_of: RunOf) -> None:
    engine = Engine(headway.load(str(run_of("classification"))))
    engine.add(Job(1, content=b"a"))
    (reply,) = engine.step()
    assert (reply.answers, reply.fault_of) == (None, "request")


def test_a_question_without_a_passage_is_refused_alone(run_of: RunOf) -> None:
    engine = Engine(headway.load(str(run_of("question_answering"))))
    engine.add(Job(1, "what?"))
    engine.add(Job(2, "what?\tthe cat sees a dog ."))
    found = all_replies(engine)
    assert (found[1].fault_of, found[2].fault_of) == ("request", "")


def test_an_answer_that_cannot_be_told_takes_no_other_with_it(translator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    details = translator.details

    def fail_on_blank(answer: Any) -> Any:
        if not answer.text:
            raise ValueError("it has no text")
        return details(answer)

    monkeypatch.setattr(translator, "details", fail_on_blank)
    engine = Engine(translator)
    for number, text in enumerate(["", TEXTS[0], TEXTS[1]]):
        engine.add(Job(number, text, decoding={"minimum_length": 3}, stream=True))
    found: dict[int, Reply] = {}
    while engine.busy:
        found |= {reply.number: reply for reply in engine.step() if reply.partly is None}
    assert {number: reply.fault_of for number, reply in found.items()} == {0: "model", 1: "", 2: ""}


def test_where_words_cannot_be_aligned_the_answers_are_given_all_the_same(
    translator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise UsageError("the directory holds a newer model")

    monkeypatch.setattr(engines, "word_links", fail)
    engine = Engine(translator)
    engine.add(Job(1, TEXTS[0], align=True))
    engine.add(Job(2, TEXTS[1]))
    found = all_replies(engine)
    assert [texts_of(found[1]), texts_of(found[2])] == [[text] for text in translator.predict(TEXTS[:2])]
    assert (found[1].answers or [{}])[0]["links"] == ()
