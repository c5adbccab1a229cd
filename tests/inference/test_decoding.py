"""Search against slower searches, and what every answer promises."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import torch
from little_models import TURN, example
from slow_decoding import BOS, EOS, Scorer, all_hypotheses, slow_beam
from torch import Tensor

from headway.config import DecodingConfig, ModelConfig
from headway.errors import ModelError, UsageError
from headway.inference.decoding import generate
from headway.inference.hypothesis import Hypothesis
from headway.model.transformer import Transformer

METHODS = ["greedy", "beam", "sample"]
PAD = 0  # the same as BOS: neither is ever chosen


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def tiny_model(vocabulary: int, seed: int, *, sharpness: float = 2.0, **switches: Any) -> Transformer:
    sizes = {"encoder_layers": 1, "decoder_layers": 2, "width": 16, "feed_forward_width": 24, "heads": 2, "preset": None}
    model = Transformer(ModelConfig(**(sizes | switches)), vocabulary, vocabulary, seed=seed).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name and parameter.dim() == 2:
                parameter.mul_(sharpness)
    return model


def padded(sources: list[list[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, sources))
    ids = torch.tensor([source + [PAD] * (longest - len(source)) for source in sources])
    mask = torch.tensor([[True] * len(source) + [False] * (longest - len(source)) for source in sources])
    return ids, mask


def run(model: Transformer, sources: list[list[int]] | None, *, prefixes: Any = None, numbers: Any = None, **options: Any) -> Any:
    ids, mask = padded(sources) if sources is not None else (None, None)
    decoding = DecodingConfig(**options)
    return generate(
        model, ids, mask, decoding, bos_id=BOS, eos_id=EOS, prefixes=prefixes, forbidden_ids=(BOS,), sentence_numbers=numbers
    )


def random_sources(rng: random.Random, count: int, vocabulary: int, longest: int = 7) -> list[list[int]]:
    return [[rng.randrange(2, vocabulary) for _ in range(rng.randint(1, longest))] for _ in range(count)]


def test_wide_beam_is_exhaustive_search() -> None:
    rng, compared = random.Random(1), 0
    for case in range(120):
        vocabulary, limit = rng.choice([(3, 5), (4, 3), (5, 3), (6, 2)])
        options = DecodingConfig(
            beam_size=(vocabulary - 2) ** limit + sum((vocabulary - 2) ** n for n in range(limit)),
            maximum_length=limit,
            minimum_length=rng.choice([0, 0, 1, 2]),
            length_penalty=rng.choice([0.0, 0.6, 1.0, 2.0]),
            no_repeat_ngram=rng.choice([0, 0, 1, 2]),
            n_best=rng.choice([1, 3]),
            early_stopping=rng.random() < 0.5,
        )
        model = tiny_model(vocabulary, case, encoder_layers=rng.choice([0, 1]), norm_place=rng.choice(["pre", "post"]))
        sources = random_sources(rng, 3, vocabulary)
        prefixes = [[rng.randrange(2, vocabulary) for _ in range(rng.choice([0, 0, 1, 2]))] for _ in sources]
        encoder = bool(model.encoder)
        found = run(model, sources if encoder else None, prefixes=prefixes, **options.model_dump())
        for source, prefix, hypotheses in zip(sources, prefixes, found, strict=True):
            scorer = Scorer(model, source if encoder else None)
            best = all_hypotheses(scorer, tuple(prefix), limit, options, vocabulary)[: options.n_best]
            assert [tuple(h.ids) for h in hypotheses] == [h.ids for h in best]
            assert [h.score for h in hypotheses] == pytest.approx([h.score for h in best], abs=1e-5)
            compared += 1
    assert compared == 360


@pytest.mark.parametrize("early", [True, False])
def test_beam_is_the_documented_search(early: bool) -> None:
    rng, sizes = random.Random(2), Counter[int]()
    for case in range(40):
        vocabulary, beams, limit = rng.choice([6, 9, 300]), rng.randint(1, 4), rng.randint(1, 6)
        options = DecodingConfig(
            beam_size=beams,
            maximum_length=limit,
            length_penalty=rng.choice([0.0, 0.6, 1.0]),
            n_best=rng.randint(1, beams),
            early_stopping=early,
        )
        model = tiny_model(vocabulary, case, sharpness=1.5)
        sources = random_sources(rng, 4, vocabulary)
        for source, hypotheses in zip(sources, run(model, sources, **options.model_dump()), strict=True):
            expected = slow_beam(Scorer(model, source), (), limit, options, vocabulary)
            assert [tuple(h.ids) for h in hypotheses] == [h.ids for h in expected]
            assert [h.score for h in hypotheses] == pytest.approx([h.score for h in expected], abs=1e-5)
            sizes[len(expected[0].ids)] += 1
    assert len(sizes) > 4  # it was not always the same kind of answer


@pytest.mark.parametrize("encoder_layers", [0, 1])
def test_beam_of_one_is_greedy(encoder_layers: int) -> None:
    rng = random.Random(3)
    for case in range(20):
        model = tiny_model(30, case, sharpness=1.5, encoder_layers=encoder_layers)
        sources = random_sources(rng, 6, 30)
        asked = {"sources": sources} if encoder_layers else {"sources": None, "prefixes": sources}
        greedy = run(model, **asked, method="greedy", maximum_length=8)
        assert greedy == run(model, **asked, method="beam", beam_size=1, maximum_length=8)
        assert all(len(hypotheses) == 1 for hypotheses in greedy)


SWITCHES: list[dict[str, Any]] = [
    {},
    {"norm_place": "post", "positions": "learned", "tied_embeddings": "none"},
    {"positions": "rotary", "norm": "rms", "gated": True, "activation": "silu", "bias": False, "key_value_heads": 1},
    {"positions": "relative", "query_key_norm": True},
    {"encoder_layers": 0, "positions": "rotary"},
    {"encoder_layers": 0, "positions": "relative", "key_value_heads": 1},
    {"encoder_layers": 0, "positions": "none"},
]


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("method", METHODS)
def test_token_scores_are_those_of_forward_without_cache(switches: dict[str, Any], method: str) -> None:
    model = tiny_model(50, 5, **switches)
    rng = random.Random(4)
    sources = random_sources(rng, 5, 50)
    asked: dict[str, Any] = {"sources": sources, "prefixes": [[3, 4], [], [5], [6, 7, 8], [9]]}
    if not model.encoder:
        asked["sources"] = None
    found = run(model, **asked, method=method, beam_size=4, n_best=1 if method == "greedy" else 3, maximum_length=9, top_k=9)
    for source, prefix, hypotheses in zip(sources, asked["prefixes"], found, strict=True):
        scorer = Scorer(model, source if model.encoder else None)
        for hypothesis in hypotheses:
            chosen = [*hypothesis.ids, EOS]
            assert hypothesis.ids[: len(prefix)] == prefix
            expected = [scorer(tuple(chosen[:i]))[token] if i >= len(prefix) else 0.0 for i, token in enumerate(chosen)]
            assert hypothesis.token_scores == pytest.approx(expected, abs=2e-5)
            assert hypothesis.score == pytest.approx(sum(expected) / (len(chosen) - len(prefix)), abs=2e-5)


def test_n_best_is_sorted_distinct_and_as_long_as_asked() -> None:
    model = tiny_model(40, 6, sharpness=1.2)
    for hypotheses in run(model, random_sources(random.Random(5), 12, 40), beam_size=6, n_best=6, maximum_length=6):
        assert len(hypotheses) == 6
        assert len({tuple(h.ids) for h in hypotheses}) == 6
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
        assert all(len(h.token_scores) == len(h.ids) + 1 for h in hypotheses)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_ngram_comes_twice(method: str, n: int) -> None:
    sources = random_sources(random.Random(6), 10, 12)
    model = tiny_model(12, 7)
    free = run(model, sources, method=method, minimum_length=15, maximum_length=15)
    bound = run(model, sources, method=method, minimum_length=15, maximum_length=15, no_repeat_ngram=n)

    def repeats(hypotheses: list[Hypothesis]) -> bool:
        ids = hypotheses[0].ids
        grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
        return len(set(grams)) < len(grams)

    assert any(map(repeats, free))
    assert not any(map(repeats, bound))
    if n == 1:  # ten words are all there are: then the sentence ends though it is shorter than asked
        assert {len(hypotheses[0].ids) for hypotheses in bound} == {10}


@pytest.mark.parametrize("method", METHODS)
def test_lengths_are_kept(method: str) -> None:
    sources = random_sources(random.Random(7), 20, 12)
    model = tiny_model(12, 8)
    for low, high in ((0, 1), (3, 5), (4, 4), (0, 256)):
        lengths = [len(h[0].ids) for h in run(model, sources, method=method, minimum_length=low, maximum_length=high)]
        limits = [min(high, 2 * len(source) + 20) for source in sources]
        assert all(low <= length <= limit for length, limit in zip(lengths, limits, strict=True))
    never_ends = tiny_model(12, 8)
    with torch.no_grad():
        never_ends.target_embedding.tokens.weight[EOS] = -50 * never_ends.target_embedding.tokens.weight.mean(0)
    found = run(never_ends, sources, method=method, minimum_length=200, maximum_length=256)
    assert [len(h[0].ids) for h in found] == [2 * len(source) + 20 for source in sources]


def questions(kind: str, count: int, seed: int) -> dict[str, Any]:
    """Sources for the model that reverses, prompts for the one that continues."""
    rng = random.Random(seed)
    sources = [example(rng)[0] for _ in range(count)]
    return {"sources": sources} if kind == "reverser" else {"sources": None, "prefixes": [[*s, TURN] for s in sources]}


def alone(asked: dict[str, Any], number: int) -> dict[str, Any]:
    return {key: value and value[number : number + 1] for key, value in asked.items()} | {"numbers": [number]}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["reverser", "continuer"])
def test_finished_sentences_leave_the_batch(
    kind: str, method: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Transformer = request.getfixturevalue(kind)
    rows: list[int] = []
    decode = model.decode

    def counting(target_ids: Tensor, *rest: Any) -> Tensor:
        rows.append(len(target_ids))
        return decode(target_ids, *rest)

    monkeypatch.setattr(model, "decode", counting)
    asked = questions(kind, 24, 8)
    if kind == "continuer":
        asked["prefixes"] = [prefix for prefix in questions(kind, 300, 8)["prefixes"] if len(prefix) == 7][:24]
    together = run(model, **asked, method=method, beam_size=3, maximum_length=30)
    steps, rows[:] = list(rows), []
    for number in range(24):
        (hypotheses,) = run(model, **alone(asked, number), method=method, beam_size=3, maximum_length=30)
        assert hypotheses[0].ids == together[number][0].ids
    assert sum(steps) == sum(rows)  # no sentence took part in a step that it did not need
    assert steps == sorted(steps, reverse=True)
    assert len(set(steps)) > (3 if kind == "reverser" else 1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["reverser", "continuer"])
def test_an_answer_does_not_depend_on_its_batch(kind: str, method: str, request: pytest.FixtureRequest) -> None:
    model: Transformer = request.getfixturevalue(kind)
    asked = questions(kind, 300, 9)
    settings = {"method": method, "beam_size": 4, "n_best": 1 if method == "greedy" else 3, "maximum_length": 24}
    together = run(model, **asked, **settings)
    for number in range(0, 300, 4):
        (hypotheses,) = run(model, **alone(asked, number), **settings)
        assert [h.ids for h in hypotheses] == [h.ids for h in together[number]]
        for one, other in zip(hypotheses, together[number], strict=True):
            assert one.token_scores == pytest.approx(other.token_scores, abs=5e-5)  # float32 adds up in another order


def test_padding_is_not_seen(reverser: Transformer) -> None:
    (source,) = questions("reverser", 1, 10)["sources"]
    ids, mask = padded([source, list(range(3, 40))])
    options = DecodingConfig(maximum_length=24)
    for filler in (0, 1, 17):
        ids[0, len(source) :] = filler
        found = generate(reverser, ids, mask, options, bos_id=BOS, eos_id=EOS, forbidden_ids=(BOS,))[0][0]
        assert found.token_scores == pytest.approx(run(reverser, [source], maximum_length=24)[0][0].token_scores, abs=1e-5)


def test_sampling_has_the_models_probabilities() -> None:
    model = tiny_model(8, 10, sharpness=1.0)
    draws = 4000
    scorer = Scorer(model, [2, 3])
    log_p = torch.tensor(scorer(()), dtype=torch.float64)
    log_p[BOS] = float("-inf")
    for settings in ({}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.6}, {"temperature": 1.5, "top_k": 5, "top_p": 0.8}):
        found = run(model, [[2, 3]], method="sample", n_best=draws, maximum_length=1, **settings)[0]
        counts = Counter(h.ids[0] if h.ids else EOS for h in found)
        p = (log_p / settings.get("temperature", 1.0)).softmax(0)
        ranked = p.argsort(descending=True, stable=True).tolist()
        kept = ranked[: settings.get("top_k") or None]
        p = p / p[kept].sum()
        nucleus = [token for i, token in enumerate(kept) if p[kept[:i]].sum() < settings.get("top_p", 1.0)]
        expected = {token: float(p[token] / p[nucleus].sum()) * draws for token in nucleus if p[token] > 0}
        assert set(counts) <= set(expected)
        chi_square = sum((counts[token] - mean) ** 2 / mean for token, mean in expected.items())
        assert chi_square < 25, settings  # the 99.9 % point of 7 degrees of freedom is 24.3


def test_sampling_belongs_to_seed_and_sentence() -> None:
    model = tiny_model(60, 11, sharpness=1.0)
    sources = random_sources(random.Random(9), 12, 60)
    settings = {"method": "sample", "n_best": 2, "maximum_length": 12}
    first = run(model, sources, **settings, seed=1)
    assert first == run(model, sources, **settings, seed=1)
    assert first != run(model, sources, **settings, seed=2)
    order = list(range(12))
    random.Random(10).shuffle(order)
    shuffled = run(model, [sources[i] for i in order], **settings, seed=1, numbers=order)
    assert [[h.ids for h in shuffled[order.index(i)]] for i in range(12)] == [[h.ids for h in first[i]] for i in range(12)]
    assert first[0][0].ids != run(model, sources[:1], **settings, seed=1, numbers=[77])[0][0].ids


def test_equal_scores_fall_to_the_lower_id() -> None:
    model = tiny_model(600, 12, tied_embeddings="none")
    with torch.no_grad():
        model.output.weight[2:] = model.output.weight[2]
    (found,) = run(model, [[5, 6]], beam_size=3, n_best=3, minimum_length=2, maximum_length=2)
    assert [h.ids for h in found] == [[2, 2], [2, 3], [2, 4]]
    (greedy,) = run(model, [[5, 6]], method="greedy", minimum_length=2, maximum_length=2)
    assert greedy[0].ids == [2, 2]


def test_mistakes_are_told() -> None:
    model = tiny_model(8, 13, positions="learned", max_positions=6)
    with pytest.raises(UsageError, match="leaves no room"):
        run(model, [[2]], prefixes=[[2, 3, 4, 5, 6]])
    with pytest.raises(UsageError, match="2 prefixes for 1 sources"):
        run(model, [[2]], prefixes=[[2], [3]])
    with pytest.raises(UsageError, match="neither a source nor a prefix"):
        run(model, None)
    assert len(run(model, [[2]], prefixes=[[2, 3]], minimum_length=9)[0][0].ids) == 5  # as far as the positions go
    with torch.no_grad():
        next(model.decoder.parameters())[0] = float("nan")
    with pytest.raises(ModelError, match="not numbers"):
        run(model, [[2]])


@pytest.mark.parametrize("positions", ["relative", "rotary", "none"])
def test_no_more_is_seen_than_the_context_holds(positions: str) -> None:
    config = ModelConfig(
        preset=None, encoder_layers=0, decoder_layers=1, width=16, feed_forward_width=24, heads=2, positions=positions
    )
    model = Transformer(config, 40, 40, seed=5).eval()
    length, prefix = 6, [5, 6, 7, 8, 9, 10, 11, 12]
    options = DecodingConfig(method="greedy", minimum_length=12, maximum_length=12)
    (found,) = generate(model, None, None, options, bos_id=BOS, eos_id=EOS, prefixes=[prefix], context_length=length)
    ids = [BOS, *prefix]
    with torch.no_grad():
        for _ in range(12):  # one layer, so what is computed anew from the last tokens is what the cache gives
            logits = model.logits(model.decode(torch.tensor([ids[-length:]]), None, None))[0, -1]
            logits[EOS] = -torch.inf
            ids.append(int(logits.argmax()))
    assert found[0].ids == ids[1:]
    (unbounded,) = generate(model, None, None, options, bos_id=BOS, eos_id=EOS, prefixes=[prefix])
    assert unbounded[0].token_scores != found[0].token_scores


def test_absolute_positions_end_with_the_context() -> None:
    config = ModelConfig(preset=None, encoder_layers=0, decoder_layers=1, width=16, feed_forward_width=24, heads=2)
    model = Transformer(config, 40, 40).eval()
    options = DecodingConfig(method="greedy", minimum_length=50, maximum_length=50)
    (found,) = generate(model, None, None, options, bos_id=BOS, eos_id=EOS, prefixes=[[5, 6]], context_length=9)
    assert len(found[0].ids) == 8
