"""Clips of two figures that move or stand still, and what can be said of them in three languages."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from headway.errors import UsageError
from headway.samples.drawing import FINE, REACH, SIDE, Drawn, as_text, from_text, picture
from headway.samples.figures import Figure
from headway.samples.kind import Said
from headway.samples.scenes import capital, different_figures, paper, toned
from headway.samples.speaker import Combination, Speaker

if TYPE_CHECKING:
    from PIL.Image import Image

FRAMES, RATE = 16, 8  # pictures of a clip, and in a second
_RADIUS = (36, 46)  # in quarters of a pixel
_END = 10  # how far from the end of its way a figure may set out or come to rest

# English, German, Chinese, and the ends of the lane from which and to which it goes; None: anywhere, and stays
_Motion = tuple[str, str, str, tuple[int, int] | None]
_STILL: _Motion = ("stood still", "blieb stehen", "停在原地", None)
_MOTIONS: dict[bool, tuple[_Motion, ...]] = {
    False: (
        ("moved from left to right", "bewegte sich von links nach rechts", "從左邊移到右邊", (0, 1)),
        ("moved from right to left", "bewegte sich von rechts nach links", "從右邊移到左邊", (1, 0)),
        _STILL,
    ),
    True: (
        ("moved from top to bottom", "bewegte sich von oben nach unten", "從上面移到下面", (0, 1)),
        ("moved from bottom to top", "bewegte sich von unten nach oben", "從下面移到上面", (1, 0)),
        _STILL,
    ),
}  # whether they move upright → what they do


def clip_and_captions(speaker: Speaker) -> Said:
    """(drawings of the first and of the last moment, English, German, Chinese). The upper figure is told first, or the left one.

    Each figure has its own half: where they move from side to side, the upper or the lower one; else the left or the right one.
    """
    upright = speaker.chance(0.5)
    figures = different_figures(speaker, 2)
    motions = [speaker.pick(_MOTIONS[upright]) for _ in figures]
    while motions == [_STILL, _STILL]:
        motions = [speaker.pick(_MOTIONS[upright]) for _ in figures]
    begin, end = [], []
    for half, (figure, motion) in enumerate(zip(figures, motions, strict=True)):
        radius = speaker.whole(*_RADIUS)
        reach = int(radius * REACH)
        across = speaker.whole(half * SIDE * FINE // 2 + reach, (half + 1) * SIDE * FINE // 2 - reach)
        first, last = ((across, along) if upright else (along, across) for along in _way(speaker, motion, reach))
        begin.append(toned(speaker, figure, *first, radius))
        end.append(replace(begin[-1], x=last[0], y=last[1]))
    speaker.combinations = _combinations(figures, motions)
    background = paper(speaker)
    return f"{as_text(background, begin)} > {as_text(background, end)}", *_captions(figures, motions)


def _way(speaker: Speaker, motion: _Motion, reach: int) -> tuple[int, int]:
    """Where a figure of some reach is on its lane at first and at last."""
    least, most = reach, SIDE * FINE - reach
    if motion[3] is None:
        place = speaker.whole(least, most)
        return place, place
    first, last = (speaker.whole(0, _END) for _ in range(2))
    return (least + first, most - last) if motion[3] == (0, 1) else (most - first, least + last)


def _captions(figures: list[Figure], motions: list[_Motion]) -> tuple[str, str, str]:
    (one, other), (does, too) = figures, motions
    return (
        f"{capital(one.english('the'))} {does[0]}, and {other.english('the')} {too[0]}.",
        f"{capital(one.german('nominative', definite=True))} {does[1]}, "
        f"und {other.german('nominative', definite=True)} {too[1]}.",
        f"{one.chinese(definite=True)}{does[2]}，{other.chinese(definite=True)}{too[2]}。",
    )


def _combinations(figures: list[Figure], motions: list[_Motion]) -> list[Combination]:
    """A colour with a shape, and what the one shape does with what the other does."""
    one, other = (f"{figure.shape} {motion[0]}" for figure, motion in zip(figures, motions, strict=True))
    return [*(figure.combination for figure in figures), ("together", one, other)]


def frames(clip: str) -> list[Image]:
    """The FRAMES pictures of a clip. Figures set out gently and come to rest gently."""
    first, last = (from_text(drawing) for drawing in clip.split(" > "))
    pictures = []
    for number in range(FRAMES):
        time = number / (FRAMES - 1)
        done = time * time * (3 - 2 * time)
        moved = [_between(begin, end, done) for begin, end in zip(first[1], last[1], strict=True)]
        pictures.append(picture(first[0], moved))
    return pictures


def _between(begin: Drawn, end: Drawn, done: float) -> Drawn:
    x, y = (round(one + (other - one) * done) for one, other in ((begin.x, end.x), (begin.y, end.y)))
    return replace(begin, x=x, y=y)


def mp4(clip: str) -> bytes:
    """The file of a clip, as H.264 where the encoder is there, else as MPEG-4: one thread, so that the bytes stay the same.

    Raises UsageError where PyAV or Pillow is missing.
    """
    try:
        import av
        from av.video.frame import VideoFrame
    except ImportError:
        raise UsageError("making clips needs the package av", remedy='pip install "headway[media]"') from None
    best = "libx264" in av.codecs_available
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        # One quality for all: where x264 weighs blocks by what later pictures take from them, the bytes are not always the same.
        options = {"qp": "16", "threads": "1"} if best else {"qscale": "2", "threads": "1"}
        stream = container.add_stream("libx264" if best else "mpeg4", rate=RATE, options=options)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for number, image in enumerate(frames(clip)):
            frame = VideoFrame.from_image(image).reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
