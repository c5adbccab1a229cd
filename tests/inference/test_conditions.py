"""What an answer must and must not contain: against exhaustive search, and as a promise that holds every time."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from slow_decoding import BOS, EOS, Scorer, all_hypotheses
from test_decoding import padded, random_sources, tiny_model

from headway.config import DecodingConfig
from headway.data.surfaces import Surfaces
from headway.data.words import folded, squeezed, whole_words
from headway.errors import UsageError
from headway.inference.conditions import Conditions
from headway.inference.constraints import Constraints
from headway.inference.decoding import Decoding, answers_of, generate
from headway.inference.demands import Phrase
from headway.inference.forbidden import Forbidden
from headway.inference.hypothesis import Hypothesis, OwnSearch, Wanted
from headway.model.transformer import Transformer


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def surfaces_of(vocabulary: int, letters: str = "abc") -> Surfaces:
    """Two specials, then every other piece a word of a letter or two, or what goes on with a word; now and then a full stop."""
    rng = random.Random(vocabulary)
    pieces = [b"", b""]
    for number in range(2, vocabulary):
        text = "." if number % 7 == 6 else "".join(rng.choice(letters) for _ in range(rng.randint(1, 2)))
        pieces.append(((" " if number % 2 else "") + text).encode())
    return Surfaces(pieces)


def text_of(surfaces: Surfaces, ids: Any) -> str:
    return squeezed(surfaces.content(ids).decode("utf-8", "replace").strip())


def phrase(surfaces: Surfaces, *ids: int) -> Phrase:
    return Phrase(text_of(surfaces, ids), (ids,))


def has(surfaces: Surfaces, ids: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether the ids hold the others, from a word's beginning to a word's end."""
    for start in range(len(ids) - len(wanted) + 1):
        end = start + len(wanted)
        if ids[start:end] == wanted:
            before = start == 0 or ids[start - 1] not in surfaces.ends or ids[start] not in surfaces.begins
            if before and (end == len(ids) or ids[end - 1] not in surfaces.ends or ids[end] not in surfaces.begins):
                return True
    return False


def search(
    model: Transformer, sources: list[list[int]], conditions: list[Conditions | None], prefixes: Any = None, **options: Any
) -> list[list[Hypothesis]]:
    ids, mask = padded(sources)
    return generate(
        model, ids, mask, DecodingConfig(**options), bos_id=BOS, eos_id=EOS, prefixes=prefixes, forbidden_ids=(BOS,),
        conditions=conditions,
    )  # fmt: skip


def test_a_wide_beam_finds_the_best_answer_that_has_the_phrases() -> None:
    rng, compared = random.Random(1), 0
    for case in range(24):
        vocabulary, limit = rng.choice([(5, 4), (6, 3), (7, 3)])
        surfaces = surfaces_of(vocabulary)
        words = [number for number in range(2, vocabulary) if number not in surfaces.begins]
        first = rng.choice(words)
        wanted = {(first, *(rng.randrange(2, vocabulary) for _ in range(rng.randint(0, 1))))}
        if len(set(words) - {first}) and rng.random() < 0.5 and len(next(iter(wanted))) == 1:
            wanted.add((rng.choice([word for word in words if word != first]),))
        options = DecodingConfig(
            beam_size=128, maximum_length=limit, length_penalty=rng.choice([0.0, 1.0]), n_best=2, early_stopping=False
        )
        model, (source,) = tiny_model(vocabulary, case), random_sources(rng, 1, vocabulary)
        prefix = tuple(rng.randrange(2, vocabulary) for _ in range(rng.choice([0, 0, 1])))
        conditions = Conditions(surfaces, prefix, tuple(phrase(surfaces, *one) for one in sorted(wanted)))
        (found,) = search(model, [source], [conditions], [list(prefix)], **options.model_dump())
        everything = all_hypotheses(Scorer(model, source), prefix, limit, options, vocabulary)
        allowed = [one for one in everything if all(has(surfaces, one.ids, words) for words in wanted)][:2]
        assert [tuple(one.ids) for one in found] == [one.ids for one in allowed], (case, wanted)
        assert [one.score for one in found] == pytest.approx([one.score for one in allowed], abs=1e-5)
        compared += len(allowed)
    assert compared > 40


def demanded(surfaces: Surfaces, rng: random.Random, vocabulary: int, most: int) -> tuple[Phrase, ...]:
    words = [number for number in range(2, vocabulary) if number not in surfaces.begins]
    return tuple(
        phrase(surfaces, rng.choice(words), *(rng.randrange(2, vocabulary) for _ in range(rng.randint(0, 2))))
        for _ in range(rng.randint(1, most))
    )


@pytest.mark.parametrize("beams", [1, 2, 5])
def test_every_phrase_is_there_every_time(beams: int) -> None:
    rng, tight = random.Random(2), 0
    for case in range(60):
        vocabulary = rng.choice([12, 30])
        surfaces, model = surfaces_of(vocabulary), tiny_model(vocabulary, case, sharpness=rng.choice([1.0, 3.0]))
        sources = random_sources(rng, 3, vocabulary)
        conditions = [Conditions(surfaces, (), demanded(surfaces, rng, vocabulary, 4)) for _ in sources]
        needed = [sum(len(one.variants[0]) for one in own.phrases) for own in conditions]
        limit = max(max(needed) + rng.choice([0, 0, 1, 6]), 1)
        tight += limit == max(needed)
        options: dict[str, Any] = {"beam_size": beams, "maximum_length": limit, "no_repeat_ngram": rng.choice([0, 1, 2])}
        for own, hypotheses in zip(conditions, search(model, sources, conditions, **options), strict=True):  # type: ignore[arg-type]
            assert hypotheses
            assert list(own.missed(text_of(surfaces, hypotheses[0].ids))) == []
    assert tight > 10


def test_without_room_what_is_missed_is_known() -> None:
    surfaces, model = surfaces_of(12), tiny_model(12, 3)
    own = Conditions(surfaces, (), (phrase(surfaces, 3), phrase(surfaces, 5, 7), phrase(surfaces, 9)))
    ((found, *_),) = search(model, [[4, 5]], [own], beam_size=4, maximum_length=2)
    assert len(found.ids) == 2
    assert list(own.missed(text_of(surfaces, found.ids))) == [text_of(surfaces, (5, 7))]


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_what_is_forbidden_is_never_written_however_it_is_cut(method: str) -> None:
    rng, free_had_it = random.Random(3), 0
    for case in range(50):
        vocabulary = rng.choice([20, 40])
        surfaces, model = surfaces_of(vocabulary), tiny_model(vocabulary, case, sharpness=1.5)
        sources = random_sources(rng, 4, vocabulary)
        options: dict[str, Any] = {"method": method, "maximum_length": 12, "beam_size": 4}
        options["n_best"] = 1 if method == "greedy" else 3
        free = search(model, sources, [None] * 4, **options)
        written = [text_of(surfaces, one.ids) for some in free for one in some]
        words = [word for text in written for word in text.split() if word[-1] != "."] or ["a"]
        texts = [*rng.sample(words, min(2, len(words))), "ab", "b a"]
        bar = Forbidden(surfaces, texts)
        free_had_it += any(bar.found_in(text) for text in written)
        for some in search(model, sources, [Conditions(surfaces, forbidden=bar)] * 4, **options):
            assert some
            for one in some:
                text = folded(text_of(surfaces, one.ids))
                assert [word for word in texts if [*whole_words(squeezed(word), text)]] == []
    assert free_had_it > 25


def test_phrases_and_forbidden_texts_hold_together() -> None:
    rng = random.Random(4)
    for case in range(30):
        surfaces, model = surfaces_of(30), tiny_model(30, case, sharpness=1.5)
        (source,) = random_sources(rng, 1, 30)
        phrases, bar = demanded(surfaces, rng, 30, 2), Forbidden(surfaces, ["a", "ba c"])
        if any(bar.found_in(one.text) for one in phrases):
            continue
        own = Conditions(surfaces, (), phrases, bar)
        ((found, *_),) = search(model, [source], [own], beam_size=5, maximum_length=14)
        assert list(own.missed(text_of(surfaces, found.ids))) == []
        assert not bar.found_in(text_of(surfaces, found.ids))


def test_sentences_with_conditions_and_without_do_not_disturb_each_other() -> None:
    rng, vocabulary = random.Random(5), 40
    surfaces, model = surfaces_of(vocabulary), tiny_model(vocabulary, 5, sharpness=1.5)
    sources = random_sources(rng, 24, vocabulary)
    every: list[Conditions | None] = [
        [None, Conditions(surfaces, (), demanded(surfaces, rng, vocabulary, 3)),
         Conditions(surfaces, forbidden=Forbidden(surfaces, ["a", "b"]))][number % 3] for number in range(24)
    ]  # fmt: skip
    options: dict[str, Any] = {"beam_size": 4, "maximum_length": 12, "n_best": 2}
    alone = [search(model, [source], [own], **options)[0] for source, own in zip(sources, every, strict=True)]
    together = search(model, sources, every, **options)
    assert [[one.ids for one in some] for some in together] == [[one.ids for one in some] for some in alone]
    free = search(model, sources, [None] * 24, **options)
    assert [together[number] for number in range(0, 24, 3)] == [free[number] for number in range(0, 24, 3)]
    assert together[1::3] != free[1::3]


def test_who_joins_with_conditions_is_answered_as_alone() -> None:
    rng, vocabulary = random.Random(6), 40
    surfaces, model = surfaces_of(vocabulary), tiny_model(vocabulary, 5, sharpness=1.5)
    sources, options = random_sources(rng, 12, vocabulary), DecodingConfig(beam_size=3, maximum_length=12)
    every = [Conditions(surfaces, (), demanded(surfaces, rng, vocabulary, 3)) if number % 2 else None for number in range(12)]
    decoding = Decoding(model, Constraints(options, EOS, ((BOS,), ())), bos_id=BOS)
    sentences = []
    for number, own in enumerate(every):
        sentences += decoding.join(*padded([sources[number]]), [[]], [number], [own])
        decoding.step()
    while decoding.open:
        decoding.step()
    for number, sentence in enumerate(sentences):
        (alone,) = search(model, [sources[number]], [every[number]], **options.model_dump())
        assert [one.ids for one in answers_of(sentence, options)] == [one.ids for one in alone]


class Elsewhere(OwnSearch):
    """Another engine: it answers with what it was told to begin with."""

    config = tiny_model(12, 1).config

    def search(self, wanted: Wanted) -> list[list[Hypothesis]]:
        return [[Hypothesis(list(prefix), 0.0, [0.0] * (len(prefix) + 1))] for prefix in wanted.prefixes]


def test_other_engines_are_told_only_how_to_begin() -> None:
    surfaces, model = surfaces_of(12), Elsewhere()
    begun = search(model, [[4]], [Conditions(surfaces, (5,))], [[5]])  # type: ignore[arg-type]
    assert begun[0][0].ids == [5]
    for own in (Conditions(surfaces, (), (phrase(surfaces, 3),)), Conditions(surfaces, forbidden=Forbidden(surfaces, ["a"]))):
        with pytest.raises(UsageError, match="searches by itself") as told:
            search(model, [[4]], [own])  # type: ignore[arg-type]
        assert told.value.remedy


@pytest.mark.parametrize("method", ["greedy", "sample"])
def test_phrases_need_beam_search(method: str) -> None:
    surfaces = surfaces_of(12)
    with pytest.raises(UsageError, match="only beam search") as told:
        search(tiny_model(12, 1), [[4]], [Conditions(surfaces, (), (phrase(surfaces, 3),))], method=method)
    assert "decoding.method=beam" in str(told.value)
