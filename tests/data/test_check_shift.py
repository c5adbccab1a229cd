"""Lines that are shifted against each other."""

from __future__ import annotations

import numpy as np
import pytest
from made_corpus import MadeLanguages

from headway.data.checks import shift
from headway.data.checks.lines import Lines
from headway.data.checks.shift import MIN_TELLING, ShiftSearch, Stretch


def search(sources: list[str], targets: list[str], piece: int = 700) -> ShiftSearch:
    made = ShiftSearch()
    for start in range(0, len(sources), piece):
        made.add(Lines.of(sources[start : start + piece]), Lines.of(targets[start : start + piece]))
    return made


@pytest.fixture(scope="module")
def sides() -> tuple[list[str], list[str]]:
    pairs = MadeLanguages(4).pairs(2500)
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def near(found: list[Stretch], expected: list[Stretch]) -> bool:
    """The same stretches, their ends within three lines."""
    return [one.shift for one in found] == [one.shift for one in expected] and all(
        abs(one.first - other.first) <= 3 and abs(one.last - other.last) <= 3 for one, other in zip(found, expected, strict=True)
    )


def test_aligned_lines_show_nothing(sides: tuple[list[str], list[str]]) -> None:
    made = search(*sides)
    assert made.found() == []
    assert made.telling > 3 * MIN_TELLING


@pytest.mark.parametrize("at", [0, 1, 40, 1000, 2300])
@pytest.mark.parametrize("side", [0, 1])
def test_a_missing_line_is_found_to_the_line(sides: tuple[list[str], list[str]], at: int, side: int) -> None:
    broken = [list(sides[0]), list(sides[1])]
    broken[side] = [*broken[side][:at], *broken[side][at + 1 :], "made up."]
    expected = [Stretch(at, 2499, -1 if side else 1)]
    assert near(search(*broken).found(), expected)


def test_a_doubled_line_and_a_later_missing_one_bound_a_stretch(sides: tuple[list[str], list[str]]) -> None:
    sources, targets = sides
    broken = [*targets[:600], "extra line.", *targets[600:900], *targets[901:]]
    assert near(search(sources, broken).found(), [Stretch(600, 900, 1)])


def test_two_missing_lines_shift_by_two(sides: tuple[list[str], list[str]]) -> None:
    sources, targets = sides
    broken = [*targets[:600], *targets[601:1500], *targets[1501:], "a", "b"]
    assert near(search(sources, broken).found(), [Stretch(600, 1499, -1), Stretch(1499, 2499, -2)])


def test_lines_that_do_not_belong_together_are_told(sides: tuple[list[str], list[str]]) -> None:
    sources, targets = sides
    mixed = np.random.default_rng(1).permutation(300)
    broken = [*targets[:1000], *[targets[1000 + row] for row in mixed], *targets[1300:]]
    assert near(search(sources, broken).found(), [Stretch(1000, 1299, None)])


def test_lines_that_only_happen_to_be_as_long_are_not_called_shifted(sides: tuple[list[str], list[str]]) -> None:
    sources, targets = sides
    wanted = np.array([len(targets[row - 1]) for row in range(1000, 1300)])
    lengths = np.array([len(target) for target in targets[1500:]])
    junk = [targets[1500 + int(np.abs(lengths - length).argmin())] for length in wanted]
    assert near(search(sources, [*targets[:1000], *junk, *targets[1300:]]).found(), [Stretch(1000, 1299, None)])


def test_lines_paired_at_random_tell_nothing(sides: tuple[list[str], list[str]]) -> None:
    sources, targets = sides
    made = search(sources, [targets[row] for row in np.random.default_rng(1).permutation(2500)])
    assert made.found() == []
    assert made.telling < MIN_TELLING


def test_pieces_change_nothing(sides: tuple[list[str], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift, "CALIBRATION_LINES", 1000)
    sources, targets = sides
    broken = [*targets[:1200], *targets[1201:], "x"]
    searches = [search(sources, broken, piece) for piece in (1000, 200, 50, 1)]
    results = [made.found() for made in searches]
    assert all(result == results[0] for result in results)
    assert near(results[0], [Stretch(1200, 2499, -1)])
    scores = [np.concatenate(made._scores) for made in searches]
    assert len(scores[0]) == 2500
    assert all(np.array_equal(score, scores[0]) for score in scores)


@pytest.mark.parametrize("count", [0, 1, 5, 63, 64, 65])
def test_few_lines_are_no_reason_to_stumble(sides: tuple[list[str], list[str]], count: int) -> None:
    assert search(sides[0][:count], sides[1][:count]).found() == []


@pytest.mark.parametrize("text", ["", "x", "the same line every time."])
def test_lines_that_are_all_alike_show_nothing(text: str) -> None:
    assert search([text] * 500, [text] * 500).found() == []
