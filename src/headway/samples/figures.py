"""The figures of pictures and clips, and their names in three languages: a small red circle, ein kleiner roter Kreis."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headway.samples import german
from headway.samples.lexicon import Case, Noun

_FIGURE = frozenset({"figure"})
SHAPES = {
    noun.english: noun
    for noun in (
        Noun("circle", "circles", "m", "Kreis", "Kreise", "圓形", "個", _FIGURE),
        Noun("square", "squares", "n", "Quadrat", "Quadrate", "正方形", "個", _FIGURE),
        Noun("triangle", "triangles", "n", "Dreieck", "Dreiecke", "三角形", "個", _FIGURE),
        Noun("star", "stars", "m", "Stern", "Sterne", "星形", "個", _FIGURE),
        Noun("diamond", "diamonds", "f", "Raute", "Rauten", "菱形", "個", _FIGURE),
    )
}


@dataclass(frozen=True, slots=True)
class Colour:
    english: str
    german: str  # the stem that endings are added to
    chinese: str
    rgb: tuple[int, int, int]  # its middle tone


COLOURS = {
    colour.english: colour
    for colour in (
        Colour("red", "rot", "紅色", (214, 44, 40)),
        Colour("green", "grün", "綠色", (40, 152, 64)),
        Colour("blue", "blau", "藍色", (44, 92, 214)),
        Colour("yellow", "gelb", "黃色", (246, 196, 24)),
        Colour("purple", "violett", "紫色", (150, 60, 170)),
        Colour("black", "schwarz", "黑色", (36, 36, 40)),
    )
}
SIZES = {"small": ("klein", "小"), "big": ("groß", "大")}  # in German the stem


@dataclass(frozen=True, slots=True)
class Figure:
    """A key of SHAPES, one of COLOURS, and where its size is spoken of, one of SIZES."""

    shape: str
    colour: str
    size: str = ""

    @property
    def combination(self) -> tuple[str, str, str]:
        return ("colour", self.colour, self.shape)

    def without_size(self) -> Figure:
        return replace(self, size="")

    def english(self, article: str = "a") -> str:
        """With the article, which may be "", and where it is "a", no word of a figure makes "an" of it."""
        return " ".join(word for word in (article, self.size, self.colour, self.shape) if word)

    def german(self, case: Case, *, definite: bool = False) -> str:
        stems = [SIZES[self.size][0]] if self.size else []
        return german.described(SHAPES[self.shape], [*stems, COLOURS[self.colour].german], case, definite=definite)

    def chinese(self, *, definite: bool = False) -> str:
        """一個紅色的小圓形; what is known needs no 一個."""
        noun, size = SHAPES[self.shape], SIZES[self.size][1] if self.size else ""
        return ("" if definite else "一" + noun.classifier) + COLOURS[self.colour].chinese + "的" + size + noun.chinese
