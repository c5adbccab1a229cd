"""Scenes of two or three figures, and what can be said of them: captions in three languages, which follow from what is seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headway.samples.drawing import FINE, REACH, SIDE, Drawn, as_text
from headway.samples.figures import COLOURS, SHAPES, Figure
from headway.samples.kind import Said
from headway.samples.speaker import Combination, Speaker

# How often each relation is drawn. Which figure is mentioned first follows from it: the left, upper, inner, middle one.
_RELATIONS = {"left of": 3, "above": 3, "inside": 2, "between": 2}
OPPOSITE = {"left of": "right of", "above": "below", "inside": "around"}
GERMAN_RELATIONS = {"left of": "links von", "above": "über", "inside": "in", "between": "zwischen"}
_CHINESE = {"left of": "的左邊", "above": "的上面", "inside": "的裡面", "between": "的中間"}

# From … to …, in quarters of a pixel
_SMALL, _BIG, _MEDIUM = (28, 33), (44, 49), (28, 33)
_OUTER, _INNER = (95, 101), (27, 29)
_LEAST, _LARGEST = (24, 28), (39, 42)
_GAP = 4
_TONE = 14  # how far a colour goes from its middle tone, in each channel
_ACROSS = 24  # how far figures of a row stand from its line


@dataclass(frozen=True, slots=True)
class Scene:
    """`figures` in the order of mention: the first is in the relation to the others."""

    relation: str
    figures: tuple[Figure, ...]
    drawing: str

    @property
    def combinations(self) -> list[Combination]:
        first, *others = self.figures
        whole = ("relation", f"{first.shape} {self.relation}", " and ".join(other.shape for other in others))
        return [*(figure.combination for figure in self.figures), whole]


def scene(speaker: Speaker) -> Scene:
    """A new scene. Nothing is noted in `speaker.combinations`."""
    relation = speaker.weighted(_RELATIONS)
    figures = different_figures(speaker, 3 if relation == "between" else 2, same_colour=relation != "inside")
    if relation == "inside":
        return Scene(relation, tuple(figures), as_text(paper(speaker), _nested(speaker, figures)))
    if relation == "between":
        upright = speaker.chance(0.5)
        drawn = row(speaker, figures, [speaker.whole(*_MEDIUM) for _ in figures], upright=upright)
        left, middle, right = figures
        return Scene(relation, (middle, left, right), as_text(paper(speaker), drawn))
    sized = [Figure(figure.shape, figure.colour, speaker.pick(("small", "big"))) for figure in figures]
    radii = [speaker.whole(*(_BIG if figure.size == "big" else _SMALL)) for figure in sized]
    return Scene(relation, tuple(sized), as_text(paper(speaker), row(speaker, figures, radii, upright=relation == "above")))


def different_figures(speaker: Speaker, number: int, *, same_colour: bool = True) -> list[Figure]:
    """So many figures, no two of which are alike."""
    figures: list[Figure] = []
    while len(figures) < number:
        new = Figure(speaker.pick(tuple(SHAPES)), speaker.pick(tuple(COLOURS)))
        if new not in figures and (same_colour or all(new.colour != one.colour for one in figures)):
            figures.append(new)
    return figures


def paper(speaker: Speaker) -> str:
    """Some nearly white tone."""
    return "".join(f"{speaker.whole(236, 255):02x}" for _ in range(3))


def toned(speaker: Speaker, figure: Figure, x: int, y: int, radius: int) -> Drawn:
    """The figure at a place, in a tone of its colour."""
    tone = (min(255, max(0, value + speaker.whole(-_TONE, _TONE))) for value in COLOURS[figure.colour].rgb)
    return Drawn(figure.shape, "".join(f"{value:02x}" for value in tone), x, y, radius)


def row(speaker: Speaker, figures: list[Figure], radii: list[int], *, upright: bool) -> list[Drawn]:
    """The figures from left to right, or from top to bottom, none touching another, with chance between them."""
    reaches = [int(radius * REACH) for radius in radii]
    whole = SIDE * FINE
    free = whole - 2 * sum(reaches) - _GAP * (len(figures) - 1)
    assert free >= 0, (radii, free)
    cuts = sorted(speaker.whole(0, free) for _ in figures)
    line = speaker.whole(max(reaches), whole - max(reaches))
    drawn, end = [], 0
    for figure, radius, reach, cut in zip(figures, radii, reaches, cuts, strict=True):
        along = cut + end + reach
        end += 2 * reach + _GAP
        across = min(whole - reach, max(reach, line + speaker.whole(-_ACROSS, _ACROSS)))
        drawn.append(toned(speaker, figure, *((across, along) if upright else (along, across)), radius))
    return drawn


def _nested(speaker: Speaker, figures: list[Figure]) -> list[Drawn]:
    """The second figure, hollow, with the first inside it: whatever stands in a picture stands on paper."""
    inner, outer = figures
    radius = speaker.whole(*_OUTER)
    reach = int(radius * REACH)
    x, y = (speaker.whole(reach, SIDE * FINE - reach) for _ in range(2))
    around = replace(toned(speaker, outer, x, y, radius), hollow=True)
    return [around, toned(speaker, inner, x + speaker.whole(-4, 4), y + speaker.whole(-4, 4), speaker.whole(*_INNER))]


# ---- what is said


def captions(scene: Scene) -> tuple[str, str, str]:
    """The one caption of a scene in English, German and Chinese."""
    first, *others = scene.figures
    landmarks = " and ".join(other.english() for other in others)
    place = " und ".join(other.german("dative") for other in others)
    chinese = "和".join(other.chinese() for other in others)
    return (
        f"{capital(first.english())} is {scene.relation} {landmarks}.",
        f"{capital(first.german('nominative'))} ist {GERMAN_RELATIONS[scene.relation]} {place}.",
        f"{first.chinese()}在{chinese}{_CHINESE[scene.relation]}。",
    )


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def picture_and_captions(speaker: Speaker) -> Said:
    """(drawing, English, German, Chinese)."""
    seen = scene(speaker)
    speaker.combinations = seen.combinations
    return seen.drawing, *captions(seen)


def picture_and_largest(speaker: Speaker) -> Said:
    """(drawing, the shape of its largest figure), of three figures in a row or a column."""
    figures = different_figures(speaker, 3)
    radii = [speaker.whole(*_LEAST) for _ in figures]
    largest = speaker.whole(0, 2)
    radii[largest] = speaker.whole(*_LARGEST)
    drawing = as_text(paper(speaker), row(speaker, figures, radii, upright=speaker.chance(0.5)))
    others = [figure.shape for place, figure in enumerate(figures) if place != largest]
    speaker.combinations = [("larger", figures[largest].shape, " and ".join(sorted(others))), figures[largest].combination]
    return drawing, figures[largest].shape
