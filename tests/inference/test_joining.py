"""Sentences that join others under way, and leave, are answered as if they were alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from slow_decoding import BOS, EOS
from test_decoding import padded, random_sources, tiny_model
from torch import Tensor

from headway.config import DecodingConfig
from headway.errors import ModelError
from headway.inference.constraints import Constraints, Sentence
from headway.inference.decoding import Decoding, answers_of, generate
from headway.inference.hypothesis import Hypothesis
from headway.model.transformer import Transformer

KINDS: list[dict[str, Any]] = [
    {},
    {"positions": "rotary", "key_value_heads": 1},
    {"positions": "relative", "relative_buckets": 8, "relative_distance": 16},
    {"positions": "learned", "max_positions": 24},
    {"positions": "none", "encoder_layers": 0},
    {"positions": "rotary", "encoder_layers": 0},
    {"positions": "sinusoidal", "encoder_layers": 0},
]
OPTIONS: list[dict[str, Any]] = [
    {"method": "greedy"},
    {"method": "beam", "beam_size": 3, "n_best": 2},
    {"method": "beam", "beam_size": 4, "no_repeat_ngram": 2, "minimum_length": 2, "early_stopping": True},
    {"method": "sample", "n_best": 2, "top_k": 8},
]


class Everything:
    """Sources and prefixes of a model, asked alone."""

    def __init__(self, model: Transformer, options: DecodingConfig, count: int, context: int | None, seed: int) -> None:
        rng = random.Random(seed)
        self.model, self.options, self.context = model, options, context
        self.sources = random_sources(rng, count, 40) if model.encoder else None
        longest = 3 if model.encoder else 7
        self.prefixes = [
            [rng.randrange(2, 40) for _ in range(rng.randint(0 if model.encoder else 1, longest))] for _ in range(count)
        ]

    def given(self, numbers: list[int]) -> tuple[Tensor | None, Tensor | None]:
        return padded([self.sources[number] for number in numbers]) if self.sources is not None else (None, None)

    def alone(self, number: int) -> list[Hypothesis]:
        return generate(
            self.model, *self.given([number]), self.options, bos_id=BOS, eos_id=EOS, prefixes=[self.prefixes[number]],
            forbidden_ids=(BOS,), sentence_numbers=[number], context_length=self.context,
        )[0]  # fmt: skip

    def decoding(self) -> Decoding:
        constraints = Constraints(self.options, EOS, ((BOS,), ()))
        return Decoding(self.model, constraints, bos_id=BOS, context_length=self.context)

    def join(self, decoding: Decoding, numbers: list[int]) -> dict[int, Sentence]:
        joined = decoding.join(*self.given(numbers), [self.prefixes[number] for number in numbers], numbers)
        return dict(zip(numbers, joined, strict=True))


def assert_alike(found: list[Hypothesis], alone: list[Hypothesis]) -> None:
    assert [one.ids for one in found] == [one.ids for one in alone]
    for one, other in zip(found, alone, strict=True):
        assert one.token_scores == pytest.approx(other.token_scores, abs=1e-5)
        assert one.score == pytest.approx(other.score, abs=1e-5)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_who_joins_is_answered_as_alone(kind: dict[str, Any], options: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    model = tiny_model(40, 5, sharpness=1.5, **kind)
    context = 9 if kind.get("positions") == "rotary" and not model.encoder else None
    all_of_it = Everything(model, DecodingConfig(**options, maximum_length=12), 24, context, seed=3)
    rng, decoding, waiting = random.Random(4), all_of_it.decoding(), list(range(24))
    under_way: dict[int, Sentence] = {}
    left: set[int] = set()
    together = 0
    while waiting or decoding.open:
        if waiting and rng.random() < 0.5:
            now, waiting = waiting[:2], waiting[2:]
            under_way |= all_of_it.join(decoding, now)
        if rng.random() < 0.1 and under_way:
            number = rng.choice([*under_way])
            if not under_way[number].found:
                decoding.leave([under_way.pop(number)])
                left.add(number)
        together = max(together, decoding.open)
        done = decoding.step()
        for number in [number for number, sentence in under_way.items() if sentence in done]:
            assert_alike(answers_of(under_way.pop(number), all_of_it.options), all_of_it.alone(number))
    assert together > 3
    assert not under_way
    assert 0 < len(left) < 12


def test_what_nobody_sees_any_more_is_cleared_away() -> None:
    model = tiny_model(40, 5, sharpness=1.5)
    all_of_it = Everything(model, DecodingConfig(beam_size=4, maximum_length=10), 60, None, seed=3)
    decoding, most = all_of_it.decoding(), 0
    for number in range(60):
        all_of_it.join(decoding, [number])
        decoding.step()
        assert decoding._running is not None
        most = max(most, decoding._running.steps.visible_BKN.shape[2])
        assert decoding._running.search.ids_BKT.shape[2] < 20
    assert most < 200  # of about 4 × 60 × 2 that there were


@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_who_cannot_begin_harms_nobody_under_way(method: str) -> None:
    model = tiny_model(40, 5, sharpness=1.5)
    all_of_it = Everything(model, DecodingConfig(method=method, maximum_length=8, minimum_length=4), 4, None, seed=2)
    decoding = all_of_it.decoding()
    under_way = all_of_it.join(decoding, [0, 1])
    decoding.step()
    scores = model.logits
    model.logits = lambda hidden: scores(hidden) * torch.nan
    with pytest.raises(ModelError, match="not numbers"):
        all_of_it.join(decoding, [2])
    model.logits = scores
    assert decoding.open == 2
    while decoding.open:
        decoding.step()
    for number, sentence in under_way.items():
        assert_alike(answers_of(sentence, all_of_it.options), all_of_it.alone(number))


def test_one_that_leaves_is_never_told_of() -> None:
    all_of_it = Everything(
        tiny_model(40, 5), DecodingConfig(method="greedy", maximum_length=5, minimum_length=3), 3, None, seed=1
    )
    decoding = all_of_it.decoding()
    sentences = all_of_it.join(decoding, [0, 1, 2])
    decoding.leave(list(sentences.values()))
    assert decoding.open == 0
    assert decoding.step() == []
    assert_alike(_finished(decoding, all_of_it.join(decoding, [1])[1], all_of_it.options), all_of_it.alone(1))


def _finished(decoding: Decoding, sentence: Sentence, options: DecodingConfig) -> list[Hypothesis]:
    while decoding.open:
        decoding.step()
    return answers_of(sentence, options)
