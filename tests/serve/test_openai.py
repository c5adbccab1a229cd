"""What the official client of OpenAI's API gets from a server of Headway."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import Running

import headway
from headway.inference.chat import Chat
from headway.model_dir import load_model

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")
openai = pytest.importorskip("openai", reason="the client of these tests")

RunOf = Callable[[str], Path]
PROMPT = "the red cat"
SYSTEM = {"role": "system", "content": "be brief ."}


@pytest.fixture(scope="module")
def runs(run_of: RunOf) -> dict[str, Path]:
    return {"lm": run_of("language_model"), "talk": run_of("dialogue"), "vectors": run_of("sentence_embedding")}


@pytest.fixture(scope="module")
def client(runs: dict[str, Path]) -> Iterator[Any]:
    named = [f"{name}={path}" for name, path in runs.items()]
    with Running(*named, "--workers", "1", "--threads", "1", "decoding.precision=fp32") as server:
        yield openai.OpenAI(base_url=f"http://localhost:{server.port}/v1", api_key="none", max_retries=0)


def test_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["lm", "talk", "vectors"]


def test_completions_go_on_from_the_prompt(client: Any, runs: dict[str, Path]) -> None:
    writer = headway.load(str(runs["lm"]), precision="fp32", method="greedy", n_best=1, maximum_length=12)
    whole = writer.predict([PROMPT])[0]
    asked = {"model": "lm", "prompt": PROMPT, "max_tokens": 12, "temperature": 0}
    own = client.completions.create(**asked).choices[0].text
    assert PROMPT + own == whole
    assert client.completions.create(**asked, echo=True).choices[0].text == whole
    parts = [event.choices[0].text for event in client.completions.create(**asked, stream=True)]
    assert "".join(parts) == own
    assert len(parts) > 2 or len(own) < 3
    if len(own) > 2:
        cut = client.completions.create(**asked, stop=[own[2]]).choices[0].text
        assert cut == own[: own.index(own[2])]


def pieces(run: Path, text: str) -> int:
    return len(load_model(run).tokenizers.target.encode(text))


def test_what_was_read_and_written_is_counted(client: Any, runs: dict[str, Path]) -> None:
    asked = {"model": "lm", "prompt": [PROMPT, "a dog"], "max_tokens": 7, "temperature": 1.5, "seed": 1, "n": 2}
    found = client.completions.create(**asked, logprobs=0)
    lengths = [len(one.logprobs.tokens) - one.logprobs.tokens.count("</s>") for one in found.choices]
    assert found.usage.prompt_tokens == pieces(runs["lm"], PROMPT) + pieces(runs["lm"], "a dog")
    assert found.usage.completion_tokens == sum(lengths)
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
    for one, length in zip(found.choices, lengths, strict=True):
        assert one.finish_reason == ("length" if length == 7 else "stop")
        assert all(logprob <= 0 for logprob in one.logprobs.token_logprobs)
    assert "length" in {one.finish_reason for one in found.choices}
    embedded = client.embeddings.create(model="vectors", input=[PROMPT, "a dog"])
    texts = load_model(runs["vectors"]).tokenizers.source.encode_many([PROMPT, "a dog"])
    assert embedded.usage.prompt_tokens == embedded.usage.total_tokens == sum(map(len, texts))


def test_a_stream_tells_how_it_ends_and_what_was_counted(client: Any) -> None:
    asked = {"model": "lm", "prompt": PROMPT, "max_tokens": 5, "temperature": 0}
    whole = client.completions.create(**asked)
    *events, last, counted = client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    assert {event.id for event in (*events, last)} == {counted.id}
    assert whole.id != counted.id
    assert last.choices[0].finish_reason == whole.choices[0].finish_reason == "length"
    assert (counted.choices, counted.usage) == ([], whole.usage)
    assert all(event.usage is None and event.choices[0].finish_reason is None for event in events)
    stop = whole.choices[0].text[1:3]
    assert client.completions.create(**asked, stop=stop).choices[0].finish_reason == "stop"
    assert list(client.completions.create(**asked, stop=stop, stream=True))[-1].choices[0].finish_reason == "stop"


def test_a_system_is_no_part_of_the_conversation(client: Any) -> None:
    user = {"role": "user", "content": "hello ."}
    parts = {"role": "user", "content": [{"type": "text", "text": "hello ."}]}
    asked = {"model": "talk", "temperature": 0, "logprobs": True}
    plain = client.chat.completions.create(**asked, messages=[user])
    for messages in (
        [{"role": "system", "content": "be brief ."}, user],
        [{"role": "developer", "content": "be brief ."}, parts],
        [user, {"role": "system", "content": "be brief ."}],
    ):
        assert client.chat.completions.create(**asked, messages=messages).choices == plain.choices
    told = plain.choices[0].logprobs.content
    assert len(told) - (told[-1].token == "</s>") == plain.usage.completion_tokens


def test_samples_are_those_of_the_seed(client: Any) -> None:
    asked = {"model": "lm", "prompt": [PROMPT, "a dog"], "max_tokens": 6, "temperature": 1.5, "n": 2}
    first, again = ([one.text for one in client.completions.create(**asked, seed=3).choices] for _ in range(2))
    assert len(first) == 4
    assert first == again
    assert first != [one.text for one in client.completions.create(**asked, seed=4).choices]


def test_chat_is_given_the_conversation(client: Any, runs: dict[str, Path]) -> None:
    said = ["hello .", "how are you ?"]
    partner = Chat(runs["talk"], precision="fp32", method="greedy", n_best=1)
    answers = list(partner.answers([said[0]]))
    expected = [*answers, *partner.answers([said[1]])][-1]
    messages = [
        {"role": "user", "content": said[0]},
        *([{"role": "assistant", "content": answers[0]}] if answers[0] else []),
        {"role": "user", "content": said[1]},
    ]
    asked = {"model": "talk", "messages": messages, "temperature": 0}
    assert client.chat.completions.create(**asked).choices[0].message.content == expected
    events = list(client.chat.completions.create(**asked, stream=True))
    assert "".join(event.choices[0].delta.content or "" for event in events) == expected
    assert events[-1].choices[0].finish_reason == "stop"


def test_embeddings(client: Any, runs: dict[str, Path]) -> None:
    texts = [PROMPT, "a small bird sings ."]
    expected = headway.load(str(runs["vectors"]), precision="fp32").embed(texts)  # type: ignore[union-attr]
    for form in ("float", "base64"):
        found = client.embeddings.create(model="vectors", input=texts, encoding_format=form).data
        vectors = [np.frombuffer(b64decode(one.embedding), "<f4") if form == "base64" else one.embedding for one in found]
        assert np.allclose(np.array(vectors), expected, atol=1e-6)
    assert np.allclose(client.embeddings.create(model="vectors", input=texts[0]).data[0].embedding, expected[0], atol=1e-6)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda client: client.completions.create(model="none", prompt="a"), "no model of this name"),
        (lambda client: client.completions.create(model="vectors", prompt="a"), "writes no text"),
        (lambda client: client.embeddings.create(model="lm", input="a"), "makes no vectors"),
        (lambda client: client.completions.create(model="lm", prompt="a", frequency_penalty=1), "frequency_penalty"),
        (lambda client: client.completions.create(model="lm", prompt="a", max_tokens=0), "max_tokens"),
        (lambda client: client.completions.create(model="lm", prompt="a", n=2, stream=True), "only one answer"),
        (lambda client: client.chat.completions.create(model="talk", messages=[]), "messages"),
        (lambda client: client.chat.completions.create(model="talk", messages=[SYSTEM]), "nothing is said"),
        (lambda client: client.completions.create(model="lm", prompt="a", logprobs=0, stream=True), "no logprobs"),
    ],
    ids=range(9),
)
def test_what_is_refused_is_told(client: Any, ask: Callable[[Any], Any], told: str) -> None:
    with pytest.raises(openai.APIStatusError, match=told):
        ask(client)
