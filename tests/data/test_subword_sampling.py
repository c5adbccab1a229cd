"""Subword sampling: nothing sampled at rate 0, the published distributions at other rates, and purity."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models

from headway.config import TokenizerConfig
from headway.data.subword_sampling import BpeDropout, MaxMatchDropout, SubwordSampler, UnigramSampling, WholeWords, segmenter
from headway.data.tokenizer import SPECIAL_TOKENS, Tokenizer, train_tokenizer

LINES = [
    "Two young, white males are outside near many bushes.",
    "Several men in hard hats are operating a giant pulley system.",
    "A little girl climbing into a wooden playhouse.",
    "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche.",
    "Mehrere Männer mit Schutzhelmen bedienen ein Antriebsradsystem.",
    "Ein kleines Mädchen klettert in ein Spielhaus aus Holz.",
    "两个年轻的白人男子在户外靠近许多灌木丛。",
] * 4
KINDS: dict[str, dict[str, Any]] = {
    "bpe": {"kind": "bpe"},
    "bpe-fallback": {"kind": "bpe", "bytes": "fallback", "vocabulary_size": 420},
    "bpe-level": {"kind": "bpe", "bytes": "level", "vocabulary_size": 400},
    "unigram": {"kind": "unigram"},
    "unigram-fallback": {"kind": "unigram", "bytes": "fallback", "vocabulary_size": 420},
    "wordpiece": {"kind": "wordpiece"},
}
SOME = ["Two", "young", "men,", "Männer", "near", "bushes.", "年轻的", "hats", "xyz", "ωψ", "'a-b'", "</s>"]
WORDS = st.lists(st.sampled_from(SOME) | st.text(max_size=6), max_size=8)


@pytest.fixture(scope="module", params=KINDS)
def learned(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(LINES, TokenizerConfig(**{"vocabulary_size": 200, "dropout": 0.2, **KINDS[request.param]}))


@pytest.fixture(scope="module")
def at_rate_zero(learned: Tokenizer) -> SubwordSampler:
    cut = segmenter(learned._content["model"], 0.0)
    assert learned._chunks is not None
    return SubwordSampler(cut, learned._chunks, learned._words)


@settings(max_examples=300, deadline=None)
@given(words=WORDS)
def test_at_rate_zero_the_sampled_path_is_encode(learned: Tokenizer, at_rate_zero: SubwordSampler, words: list[str]) -> None:
    text = " ".join(words)
    assert at_rate_zero.sample_many([text, text], 7) == [learned.encode(text)] * 2


@settings(max_examples=200, deadline=None)
@given(words=WORDS, seed=st.integers(0, 2**32 - 1))
def test_samples_are_other_cuts_of_the_same_text(learned: Tokenizer, words: list[str], seed: int) -> None:
    text = " ".join(words)
    for ids in learned.sample_many([text] * 3, seed):
        assert learned.decode(ids) == learned.decode(learned.encode(text))
        assert not {0, 1, 2} & set(ids)


def test_samples_differ_between_seeds_and_places(learned: Tokenizer) -> None:
    rows = learned.sample_many(LINES[:6] * 10, 1)
    assert len(set(map(tuple, rows[::6]))) > 3
    assert rows != learned.sample_many(LINES[:6] * 10, 2)
    assert rows == learned.sample_many(LINES[:6] * 10, 1)


def test_a_sample_depends_on_nothing_but_text_seed_and_place(learned: Tokenizer) -> None:
    cold = Tokenizer(learned._content, dropout=0.2)
    texts = [*LINES, "a" * 40 + " longer than the memo keeps", ""]
    want = cold.sample_many(texts, 5)
    warm = Tokenizer(learned._content, dropout=0.2)
    for seed in range(20):
        warm.sample_many(texts[::-1], seed)
    assert warm.sample_many(texts, 5) == want
    assert warm.sample_many([*texts[:3], "another text with other words", *texts[4:]], 5)[4:] == want[4:]
    assert warm.sample_many(texts[:9], 5) == want[:9]


def test_a_full_memo_changes_nothing(learned: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    want = Tokenizer(learned._content, dropout=0.2).sample_many(LINES, 5)
    monkeypatch.setattr("headway.data.subword_sampling.MEMO_CHUNKS", 3)
    other = Tokenizer(learned._content, dropout=0.2)
    assert other.sample_many(LINES, 5) == want
    assert len(other._sampler._memo) == 3


def frequencies(cut: Callable[..., list[int]], word: str, names: list[str], draws: int = 20_000) -> dict[str, float]:
    chance = random.Random(3).random
    counts = Counter(" ".join(names[number] for number in cut(word, chance)) for _ in range(draws))
    return {split: count / draws for split, count in counts.items()}


def check(found: dict[str, float], expected: dict[str, float], draws: int = 20_000) -> None:
    assert set(found) <= set(expected)
    for split, probability in expected.items():
        assert abs(found.get(split, 0.0) - probability) < 5 * math.sqrt(probability * (1 - probability) / draws) + 1e-9, split


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5])
def test_bpe_dropout_has_the_distribution_of_the_paper(p: float) -> None:
    names = [*SPECIAL_TOKENS, "a", "b", "c", "ab", "bc", "abc"]
    model = {"vocab": {name: number for number, name in enumerate(names)}, "merges": [["a", "b"], ["b", "c"], ["ab", "c"]]}
    q = 1 - p
    expected = {"abc": q * q, "ab c": q * p, "a bc": p * q, "a b c": p * p}
    check(frequencies(BpeDropout(model, p), "abc", names), expected)


@pytest.mark.parametrize("rate", [0.025, 0.1, 0.5])
def test_unigram_sampling_has_the_distribution_of_the_paper(rate: float) -> None:
    scores = {**dict.fromkeys(SPECIAL_TOKENS, 0.0), "a": -2.0, "b": -3.0, "c": -2.5, "ab": -3.5, "bc": -3.0, "abc": -6.0}
    model = {"vocab": [[piece, score] for piece, score in scores.items()], "unk_id": None}
    splits = ("a b c", "ab c", "a bc", "abc")
    weights = {split: math.exp(0.025 / rate * sum(scores[piece] for piece in split.split())) for split in splits}
    expected = {split: weight / sum(weights.values()) for split, weight in weights.items()}
    check(frequencies(UnigramSampling(model, rate), "abc", list(scores)), expected)
    best = UnigramSampling(model, 0.0)("abc", random.random)
    assert [list(scores)[number] for number in best] == ["a", "bc"]


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5])
def test_maxmatch_dropout_has_the_distribution_of_the_paper(p: float) -> None:
    names = [*SPECIAL_TOKENS, "a", "##b", "##c", "ab", "##bc", "abc"]
    model = {
        "vocab": {name: number for number, name in enumerate(names)}, "continuing_subword_prefix": "##", "unk_token": "<unk>",
        "max_input_chars_per_word": 5,
    }  # fmt: skip
    q = 1 - p
    expected = {"abc": q, "ab ##c": p * q, "a ##bc": p * p * q, "a ##b ##c": p * p * p}
    check(frequencies(MaxMatchDropout(model, p), "abc", names), expected)
    cut = MaxMatchDropout(model, p)
    assert cut("abx", random.random) == cut("abcabc", random.random) == [3]


def test_the_rates_come_through_the_memo(learned: Tokenizer) -> None:
    lengths = []
    for rate in (0.0, 0.05, 0.2, 0.6):
        tokenizer = Tokenizer(learned._content, dropout=rate)
        lengths.append(sum(len(row) for seed in range(20) for row in tokenizer.sample_many(LINES, seed)))
    assert lengths == sorted(lengths)
    assert lengths[0] == 20 * sum(map(len, learned.encode_many(LINES)))
    assert lengths[3] > 1.15 * lengths[0]


@settings(max_examples=200, deadline=None)
@given(word=st.text("abcxyz漢", max_size=12))
@pytest.mark.parametrize("options", [{}, {"fuse_unk": True}, {"end_of_word_suffix": "</w>"}, {"continuing_subword_prefix": "##"}])
def test_other_bpe_layouts_are_cut_as_by_the_library(options: dict[str, Any], word: str) -> None:
    prefix, suffix = options.get("continuing_subword_prefix", ""), options.get("end_of_word_suffix", "")
    letters = {form for letter in "abc" for form in (letter, prefix + letter, letter + suffix, prefix + letter + suffix)}
    pairs = [("a", f"{prefix}b"), ("b", f"{prefix}c"), (f"a{prefix and ''}b", f"{prefix}c{suffix}"), (f"{prefix}a", f"{prefix}b")]
    joined = [left + right[len(prefix) :] for left, right in pairs]
    vocabulary = {piece: number for number, piece in enumerate([*SPECIAL_TOKENS, *sorted(letters | set(joined))])}
    model = models.BPE(vocab=vocabulary, merges=pairs, unk_token="<unk>", **options)
    content = {
        "vocab": vocabulary, "merges": [list(pair) for pair in pairs], "unk_token": "<unk>", **options,
    }  # fmt: skip
    expected = [token.id for token in model.tokenize(word)] if word else []
    assert BpeDropout(content, 0.0)(word, random.random) == expected


def test_long_words_take_time_in_proportion(learned: Tokenizer) -> None:
    start = time.process_time()
    for word in ("a" * 20_000, "^" * 20_000, "漢字" * 10_000, "e\u0301" * 10_000):
        learned.sample_many([word], 1)
    assert time.process_time() - start < 10


def test_words_and_characters_have_nothing_to_sample() -> None:
    word = train_tokenizer(LINES, TokenizerConfig(kind="word", vocabulary_size=50))
    assert isinstance(segmenter(word._content["model"], 0.5), WholeWords)
    assert word.sample_many(LINES, 3) == word.encode_many(LINES)
