"""How large a file of pictures, clips or sound may be, asked before anything is decoded, and what else is raised."""

from __future__ import annotations

MOST_PIXELS = 64_000_000  # of one picture: the largest cameras of telephones make 50 million without tricks
LONGEST_SIDE = 65_535  # of one picture: what a JPEG may have
MOST_CLIP_BYTES = 2 << 30  # of the frames that are chosen of a clip
MOST_DECODED_PIXELS = 1 << 35  # of a clip, to come to the frames that are chosen: some minutes of work
MOST_ANIMATED_PIXELS = 1 << 32  # the same of an animated picture, whose decoders are slower
MOST_FRAMES = 4_000_000  # of a clip: 18 hours at 60 frames a second
LONGEST_SECONDS = 3 * 3600.0  # of a recording, where the caller says nothing
SAMPLE_RATES = (1000, 768_000)  # that a recording may have


class UnreadableMedia(Exception):
    """A file that cannot be seen or heard. ``str(error)`` is the reason as a predicate, such as ``is cut off``."""


def too_many_pixels(pixels: int) -> UnreadableMedia:
    return UnreadableMedia(f"has {pixels:,} pixels, more than {MOST_PIXELS:,}")


def check_pixels(width: int, height: int) -> None:
    """Raises `UnreadableMedia` for more than `MOST_PIXELS` or a side longer than `LONGEST_SIDE`."""
    if width * height > MOST_PIXELS:
        raise too_many_pixels(width * height)
    if max(width, height) > LONGEST_SIDE:
        raise UnreadableMedia(f"has a side of {max(width, height):,} pixels, more than {LONGEST_SIDE:,}")


def check_clip(frames: int, decoded: int, most: int, width: int, height: int) -> None:
    """Raises `UnreadableMedia` where ``frames`` that are kept need too much memory, or ``decoded`` too much time.

    ``most`` counts the pixels that may be decoded.
    """
    if (needed := frames * width * height * 3) > MOST_CLIP_BYTES:
        raise UnreadableMedia(f"needs {needed / 2**30:.1f} GB for {frames} frames, more than {MOST_CLIP_BYTES >> 30} GB")
    if decoded * width * height > most:
        raise UnreadableMedia(f"is too long: {decoded} frames of {width} x {height} pixels would have to be decoded")
