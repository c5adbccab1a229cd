"""Held-out pairs in the training data: planted ones are found, others are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from made_corpus import MadeLanguages

from headway.data.checks.leaks import HeldOut
from headway.data.checks.lines import Lines

Pairs = Sequence[tuple[str, str]]


def found(held: Pairs, train: Pairs, *, near: bool = True, piece: int = 10_000) -> dict[str, list[tuple[int, int]]]:
    out = HeldOut(near=near)
    for start in range(0, len(held), piece):
        out.add(*sides(held[start : start + piece]), np.arange(start, min(start + piece, len(held))) + 1)
    for start in range(0, len(train), piece):
        out.look("train", *sides(train[start : start + piece]), np.arange(start, min(start + piece, len(train))) + 1)
    return dict(out.found("train"))


def sides(pairs: Pairs) -> tuple[Lines, Lines]:
    return Lines.of([pair[0] for pair in pairs]), Lines.of([pair[1] for pair in pairs])


PAIR = ("One two three four five six.", "Eins zwei drei vier fünf sechs.")


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (PAIR, "exact"),
        ((PAIR[0].upper(), PAIR[1]), "normalised"),
        ((PAIR[0], PAIR[1].replace(" ", "  ")), "normalised"),
        (("One two three four five six.", "Eins zwei drei vier fu\u0308nf sechs."), "normalised"),
        ((PAIR[0].replace("three", "nine"), PAIR[1]), "near"),
        ((PAIR[0].replace(" three", ""), PAIR[1].replace("drei", "neun")), "near"),
        ((PAIR[0], PAIR[1].replace("drei", "drei und")), "near"),
        (("One two three four five six", "Eins, zwei drei vier fünf sechs sieben!"), "near"),
        ((PAIR[0], "Etwas ganz anderes steht hier jetzt."), "one side"),
        (("Something else altogether stands here.", PAIR[1]), "one side"),
        ((PAIR[0].replace("three", "nine").replace("five", "ten"), PAIR[1]), "one side"),
        ((PAIR[0].replace("three", "nine"), "Etwas ganz anderes steht hier jetzt."), None),
        (("Something else altogether stands here.", "Etwas ganz anderes steht hier jetzt."), None),
    ],
)
def test_kinds_of_leaks(other: tuple[str, str], kind: str | None) -> None:
    filler = MadeLanguages(3).pairs(20)
    met = found([filler[0], PAIR], [*filler[5:], other])
    assert {name for name, rows in met.items() if rows} == ({kind} if kind else set())
    if kind:
        assert met[kind] == [(2, 16)]


def test_the_strongest_kind_counts_and_the_first_place_is_named() -> None:
    near = (PAIR[0].replace("three", "nine"), PAIR[1])
    upper = (PAIR[0].upper(), PAIR[1])
    assert found([PAIR], [near, upper, PAIR, PAIR], piece=1)["exact"] == [(1, 3)]
    assert found([PAIR], [near, upper, PAIR, PAIR])["exact"] == [(1, 3)]
    assert found([PAIR], [upper, near, upper])["normalised"] == [(1, 1)]


@pytest.mark.parametrize("pair", [("", ""), ("Yes.", "Ja."), ("Thank you.", "Danke.")])
def test_short_and_blank_texts_are_not_near(pair: tuple[str, str]) -> None:
    met = found([pair], [(pair[0], "Anders"), ("No.", pair[1]), ("", "")])
    assert not any(met.values())


def test_templates_do_not_blow_up() -> None:
    held = [(f"The man {i} rides a fine horse.", f"Der Mann {i} reitet ein Pferd.") for i in range(300)]
    train = [(f"The man {i} rides a fine horse.", f"Der Mann {i} reitet ein Pferd.") for i in range(1000, 4000)]
    assert len(found(held, train)["near"]) > 0


def plant(held: list[tuple[str, str]], train: list[tuple[str, str]]) -> dict[str, set[int]]:
    """Write 200 held-out pairs into the training data, each kind in 40 of them (one side: 20 and 20)."""
    chance = np.random.default_rng(5)
    places = chance.choice(len(train), size=200, replace=False)
    rows = chance.choice(len(held), size=200, replace=False)
    planted: dict[str, set[int]] = {kind: set() for kind in ("exact", "case", "space", "nfkc", "edit")}
    for number, (place, row) in enumerate(zip(places, rows, strict=True)):
        source, target = held[row]
        kind = list(planted)[number % 5]
        if kind == "case":
            source, target = source.upper(), target.title()
        elif kind == "space":
            source, target = f" {source.replace(' ', '  ', 2)}", f"{target}\u00a0"
        elif kind == "nfkc":
            source = "".join(chr(ord(letter) + 0xFEE0) if "a" <= letter <= "z" else letter for letter in source)
        elif kind == "edit":
            words = source.split()
            words[int(chance.integers(len(words)))] = "geändert"
            source = " ".join(words)
            words = target.split()
            del words[int(chance.integers(len(words)))]
            target = " ".join(words)
        train[place] = (source, target)
        planted[kind].add(int(row) + 1)
    return planted


def test_two_hundred_planted_leaks_are_found_and_nothing_else() -> None:
    made = MadeLanguages(2)
    train, held = made.pairs(20_000), made.pairs(1000)
    clean = found(held, train)
    assert not any(clean.values())
    planted = plant(held, train)
    for near in (True, False):
        met = {kind: {row for row, _ in rows} for kind, rows in found(held, train, near=near).items()}
        assert met["exact"] == planted["exact"]
        assert met["normalised"] == planted["case"] | planted["space"] | planted["nfkc"]
        assert met["near"] == (planted["edit"] if near else set())
        assert not met["one side"]


def test_one_side_only_is_found() -> None:
    made = MadeLanguages(2)
    train, held = made.pairs(5000), made.pairs(400)
    for row in range(0, 40, 2):
        train[100 + row] = (held[row][0], train[100 + row][1])
        train[101 + row] = (train[101 + row][0], held[row + 1][1])
    assert found(held, train)["one side"] == [(row + 1, row + 101) for row in range(40)]
