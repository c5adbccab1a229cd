"""Pieces that complete a forbidden text: against trying every piece, with every kind of tokenizer."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from headway.config import TokenizerConfig
from headway.data.surfaces import Surfaces
from headway.data.tokenizer import Tokenizer, train_tokenizer
from headway.data.words import folded, minds_case, squeezed, whole_words
from headway.inference.forbidden import Forbidden

LINES = [
    "The hound's man-made house, the hounds and a manager.", "Hunde, Hündin und Hund (der Hund).", "don't, won't; man 42 MAN Man",
    "我们喜欢猫和狗。我喜欢AI。", "naïve café — déjà vu", "他有三只猫。", "to be or not to be", "Ελλάς ελλάς",
] * 5  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "bpe": {"kind": "bpe"},
    "bpe-fallback": {"kind": "bpe", "bytes": "fallback", "vocabulary_size": 460},
    "bpe-level": {"kind": "bpe", "bytes": "level", "vocabulary_size": 420, "normalization": "none"},
    "unigram-fallback": {"kind": "unigram", "bytes": "fallback", "vocabulary_size": 460},
    "wordpiece": {"kind": "wordpiece"},
    "word": {"kind": "word"},
    "character": {"kind": "character"},
    "all-blanks": {"kind": "character", "blanks": "all"},
}
TEXTS = ["man", "hound", "Hund", "don't", "猫", "喜欢猫", "to be", "café", "MAN", "ελλάς", "u", "42", "house, the", "vu to"]


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(LINES, TokenizerConfig(**{"vocabulary_size": 200, "minimum_frequency": 1, **KINDS[request.param]}))


def shown(text: str) -> str:
    """Squeezed; bytes that are no character are decoded as one or as several."""
    return re.sub("\ufffd+", "\ufffd", squeezed(text.strip()))


def test_a_text_is_what_its_pieces_write(tokenizer: Tokenizer) -> None:
    rng, surfaces = random.Random(1), Surfaces.of(tokenizer)
    drawn = [[rng.randrange(4, tokenizer.vocabulary_size) for _ in range(rng.randint(1, 9))] for _ in range(300)]
    for ids in [*drawn, *tokenizer.encode_many(LINES)]:
        written = tokenizer.decode(ids)
        found = shown(surfaces.content(ids).decode("utf-8", "replace"))
        assert found == shown(written) or "\ufffd" in written + found


def bars(text: str, forbidden: list[str]) -> bool:
    """Whether a text has one of them, by the words of the documentation."""
    seen = squeezed(text)
    return any(
        [*(whole_words(one, seen) if minds_case(one) else whole_words(folded(one), folded(seen)))]
        for one in map(squeezed, forbidden)
    )


def test_barred_is_exactly_what_would_complete_a_text(tokenizer: Tokenizer) -> None:
    rng, surfaces, completed = random.Random(2), Surfaces.of(tokenizer), 0
    for _ in range(60):
        texts = [tokenizer.normalize(one) for one in rng.sample(TEXTS, rng.randint(1, 4))]
        bar = Forbidden(surfaces, texts)
        row = tokenizer.encode(rng.choice([*LINES, *TEXTS]))
        ids = row[: rng.randint(0, len(row))]
        before = surfaces.content(ids)
        if bars(before.decode("utf-8", "replace").strip(), texts):
            continue
        barred = set(bar.after(ids).tolist())
        for number in range(4, tokenizer.vocabulary_size):
            whole = (before + surfaces.bytes_of_piece[number]).decode("utf-8", "replace")
            assert (number in barred) == bars(whole.strip(), texts), (texts, whole, surfaces.bytes_of_piece[number])
            completed += number in barred
    assert completed > 10


def test_no_way_to_write_ends_in_a_forbidden_text(tokenizer: Tokenizer) -> None:
    rng, surfaces, barred_steps = random.Random(3), Surfaces.of(tokenizer), 0
    texts = [tokenizer.normalize(one) for one in TEXTS]
    bar = Forbidden(surfaces, texts)
    for _ in range(80):
        ids: list[int] = []
        wish = tokenizer.encode(rng.choice(LINES)) * 2  # it tries to write this, and strays now and then
        for place in range(25):
            barred = set(bar.after(ids).tolist())
            token = wish[min(place, len(wish) - 1)] if rng.random() < 0.8 else rng.randrange(4, tokenizer.vocabulary_size)
            barred_steps += token in barred
            if token not in barred and token > 3:
                ids.append(token)
        assert not bars(tokenizer.decode(ids).strip(), texts), tokenizer.decode(ids)
    assert barred_steps > 20


def bytes_alone() -> Surfaces:
    """Four specials, and a piece for each byte."""
    return Surfaces([b""] * 4 + [bytes([value]) for value in range(256)])


def ids_of(text: str) -> list[int]:
    return [4 + value for value in text.encode()]


@pytest.mark.parametrize(
    ("forbidden", "written"),
    [("a,b,c,é", "a , b , c , é"), ("ice cream", "ice" + "\n" * 60 + "cream"), ("ice cream", "ice" + "\u3000" * 60 + "cream"),
     ("λόγος", "ΛΌΓΟΣ"), ("λόγος", "λόγος")],
)  # fmt: skip
def test_no_text_gets_through(forbidden: str, written: str) -> None:
    ids = ids_of(written)
    assert ids[-1] in Forbidden(bytes_alone(), [forbidden]).after(ids[:-1])


def test_what_a_prompt_has_bars_nothing_behind_it() -> None:
    bar = Forbidden(bytes_alone(), ["man", "man é"])
    assert {ids_of("é")[1], ids_of("É")[1]} == set(bar.after([*ids_of("man "), ids_of("é")[0]]).tolist())
    assert not bar.after([*ids_of("man"), ids_of("\U0001f600")[0]]).tolist()


def test_the_vocabulary_is_searched_once_for_each_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    surfaces, searched = bytes_alone(), []
    bar = Forbidden(surfaces, ["a", "to be", "xyz"])
    holding = surfaces.folded.holding
    monkeypatch.setattr(surfaces.folded, "holding", lambda part: searched.append(part) or holding(part))
    for text in ("x ", "xy ", "t ", "to ", "to"):
        bar.after(ids_of(text))
    assert sorted(searched) == sorted(["a", "to be", "xyz"] * 2)  # within a word, and where one may begin
