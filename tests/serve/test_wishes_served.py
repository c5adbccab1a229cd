"""A glossary, forbidden texts and prefixes of clients: what they get, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from running import Running

import headway
from headway.data.words import folded, squeezed, whole_words
from headway.serve.engine import Engine, Job, Reply

RunOf = Callable[[str], Path]
TEXTS = ["the red cat sees a dog .", "a small bird sings .", "two men", "the green house is old and the cat is young ."]
BEAMS = {"method": "beam", "beam_size": 3, "maximum_length": 14, "minimum_length": 3}


@pytest.fixture(scope="module")
def translator(run_of: RunOf) -> Any:
    return headway.load(str(run_of("translation")), precision="fp32", **BEAMS)


@pytest.fixture(scope="module")
def words(run_of: RunOf) -> list[str]:
    """Words that it has learned to write."""
    text = (run_of("translation").parent / "train.de").read_text(encoding="utf-8")
    return sorted({word for word in text.split() if word.isalpha() and len(word) > 2 and word.islower()})


def test_jobs_that_differ_in_their_wishes_share_a_lane(translator: Any, words: list[str]) -> None:
    engine, every = Engine(translator), [
        {}, {"glossary": {"cat": words[0], "bird": words[1], "men": words[2]}}, {"forbidden": words[3:9]}, {"prefix": words[4]},
    ]  # fmt: skip
    jobs = [Job(4 * place + kind, text, **asked) for place, text in enumerate(TEXTS) for kind, asked in enumerate(every)]
    for job in jobs:
        engine.add(job)
    found: dict[int, Reply] = {}
    lanes = 0
    while engine.busy:
        found |= {reply.number: reply for reply in engine.step()}
        lanes = max(lanes, len(engine._lanes))
    assert lanes == 1
    for job in jobs:
        asked = {"glossary": job.glossary, "forbidden": job.forbidden, "prefixes": [job.prefix]}
        assert [one["text"] for one in found[job.number].answers or ()] == translator.predict([job.text], **asked)


def test_one_that_cannot_be_asked_takes_no_other_with_it(translator: Any, run_of: RunOf, words: list[str]) -> None:
    engine = Engine(translator)
    engine.add(Job(1, TEXTS[0], glossary={"cat": "☃"}))
    engine.add(Job(2, TEXTS[0], prefix=words[0]))
    engine.add(Job(3, TEXTS[0], glossary={"cat": words[0]}, decoding={"method": "greedy"}))
    found: dict[int, Reply] = {}
    while engine.busy:
        found |= {reply.number: reply for reply in engine.step()}
    assert [found[number].fault_of for number in (1, 2, 3)] == ["request", "", "request"]
    assert "☃" not in found[1].problem
    assert "only beam search" in found[3].problem
    labeller = Engine(headway.load(str(run_of("classification"))))
    labeller.add(Job(1, "good", forbidden=["a"]))
    (reply,) = labeller.step()
    assert reply.problem == "a model that writes no text cannot be asked this"


@pytest.fixture(scope="module")
def server(run_of: RunOf) -> Iterator[Running]:
    named = [f"mt={run_of('translation')}", f"mood={run_of('classification')}"]
    limits = ["limits.texts=8", "limits.terms=3", "limits.term_characters=30", "limits.wishes=100"]
    with Running(*named, *limits, "--workers", "1", "--threads", "1", "decoding.precision=fp32") as running:
        yield running


def test_clients_get_what_they_ask(server: Running, translator: Any, words: list[str]) -> None:
    wishes = {"glossary": {"cat": words[0]}, "forbidden": words[1:3], "prefixes": [words[3], "", words[4], ""]}
    answer = server.ask("/predict/mt", {"texts": TEXTS, "decoding": BEAMS, **wishes})
    assert answer.status == 200
    texts = [best[0]["text"] for best in answer.json()["answers"]]
    assert texts == translator.predict(TEXTS, **wishes)
    assert all([*whole_words(words[0], squeezed(texts[place]))] for place in (0, 3))
    assert not any([*whole_words(word, folded(squeezed(text)))] for word in words[1:3] for text in texts)
    assert texts[2].startswith(words[4])


def test_what_has_no_room_is_named(server: Running, words: list[str]) -> None:
    asked = {"texts": TEXTS[:1], "decoding": {"method": "beam", "maximum_length": 1}}
    glossary = {"red": words[0], "cat": words[1]}
    (best,) = server.ask("/predict/mt", {**asked, "glossary": glossary}).json()["answers"]
    assert words[1] in best[0]["missed"]
    (best,) = server.ask("/predict/mt", asked).json()["answers"]
    assert "missed" not in best[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"glossary": {"a": "b", "c": "d", "e": "f", "g": "h"}}, "glossary: 4, more than 3"),
        ({"forbidden": ["a", "b", "c", "d"]}, "forbidden: 4, more than 3"),
        ({"glossary": {"a": "x" * 31}}, "glossary: 31 characters, more than 30"),
        ({"glossary": {"x" * 31: "a"}}, "glossary: 31 characters, more than 30"),
        ({"prefixes": ["x" * 31]}, "prefixes: 31 characters, more than 30"),
        ({"texts": ["a"] * 4, "forbidden": ["x" * 26]}, "104, more than 100"),
        ({"texts": ["a"] * 4, "glossary": {"x": "x" * 25}}, "104, more than 100"),
        ({"texts": ["a\n" * 4], "format": "text", "forbidden": ["x" * 26]}, "104, more than 100"),
        ({"prefixes": ["a", "b"]}, "prefixes: 2 of them for 1 texts"),
        ({"prefixes": "a"}, "prefixes"),
        ({"glossary": ["a"]}, "glossary"),
        ({"glossary": {"secret": 1}}, "glossary: Input should be an object whose values are texts"),
        ({"forbidden": [" "]}, "text 1 is blank"),
        ({"glossary": {"a": "☃"}}, "cannot write"),
        ({"glossary": {"a": "b"}, "decoding": {"method": "greedy"}}, "only beam search"),
    ],
)
def test_mistakes_are_told(server: Running, changes: dict[str, Any], told: str) -> None:
    answer = server.ask("/predict/mt", {"texts": ["a"], "decoding": {"method": "beam"}, **changes})
    assert answer.status == 422
    assert told in answer.json()["error"]["message"]
    assert not any(said in answer.content for said in (b"x" * 31, b"secret", "☃".encode()))


def test_a_model_that_writes_nothing_refuses(server: Running) -> None:
    answer = server.ask("/predict/mood", {"texts": ["good"], "forbidden": ["a"]})
    assert answer.status == 422
    assert "writes no text" in answer.json()["error"]["message"]
