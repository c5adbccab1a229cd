"""Figures → pixels. A drawing is a line of text, so that examples stay texts until their pictures are written.

`fbfaf4; circle d62c28 96 128 44; star 2c5cd6 180 120 30`: the paper, then each figure, the hindmost first, with its tone, the
place of its middle and its radius. Places and radii are in quarters of a pixel, which is what makes the edges smooth.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headway.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

SIDE = 64  # pixels of a picture, in width and height
FINE = 4  # parts of a pixel that a place is told in
HOLLOW = 0.8  # how far into a hollow figure the paper reaches, as a share of its radius
REACH = 1.25  # no figure reaches farther from its middle than so many radii


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure on paper. x, y and radius are in quarters of a pixel; y runs downwards. A hollow one is only a frame."""

    shape: str
    tone: str  # six hexadecimal digits
    x: int
    y: int
    radius: int
    hollow: bool = False

    def __str__(self) -> str:
        return f"{self.shape} {self.tone} {self.x} {self.y} {self.radius}{' hollow' if self.hollow else ''}"


def as_text(paper: str, figures: Sequence[Drawn]) -> str:
    return "; ".join((paper, *map(str, figures)))


def from_text(drawing: str) -> tuple[str, list[Drawn]]:
    """(the paper, the figures) of what `as_text` wrote."""
    paper, *figures = drawing.split("; ")
    words = (figure.split(" ") for figure in figures)
    return paper, [Drawn(shape, tone, int(x), int(y), int(radius), bool(more)) for shape, tone, x, y, radius, *more in words]


def picture(paper: str, figures: Sequence[Drawn]) -> Image:
    """A picture of SIDE × SIDE pixels in RGB.

    Raises UsageError where Pillow is missing.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise UsageError("drawing pictures needs the package Pillow", remedy='pip install "headway[media]"') from None
    fine = Image.new("RGB", (SIDE * FINE, SIDE * FINE), f"#{paper}")
    pen = ImageDraw.Draw(fine)
    for figure in figures:
        _fill(pen, figure, figure.radius, figure.tone)
        if figure.hollow:
            _fill(pen, figure, round(HOLLOW * figure.radius), paper)
    return fine.reduce(FINE)


def _fill(pen: ImageDraw, figure: Drawn, radius: int, tone: str) -> None:
    x, y = figure.x, figure.y
    if figure.shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius - 1, y + radius - 1), fill=f"#{tone}")
    else:
        corners = [(x + across * radius, y + down * radius) for across, down in _CORNERS[figure.shape]]
        pen.polygon(corners, fill=f"#{tone}")


def png(drawing: str) -> bytes:
    """The file of a drawing. The same drawing gives the same bytes, by the same version of Pillow."""
    file = io.BytesIO()
    picture(*from_text(drawing)).save(file, "PNG")
    return file.getvalue()


def _around(*reaches: float) -> list[tuple[float, float]]:
    """Corners at even angles around the middle, the first of them on top, each as far away as is said."""
    turn = 2 * math.pi / len(reaches)
    return [(reach * math.sin(turn * place), -reach * math.cos(turn * place)) for place, reach in enumerate(reaches)]


# In radii, so that all shapes look about as large as a circle of radius 1.
_CORNERS = {
    "square": [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
    "triangle": _around(1.25, 1.25, 1.25),
    "star": _around(*(1.25, 0.52) * 5),
    "diamond": [(0, -1.25), (0.8, 0), (0, 1.25), (-0.8, 0)],
}
