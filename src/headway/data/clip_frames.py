"""The frames of a clip at chosen times, by PyAV: first where its frames lie in time, without decoding, then only what must be."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, BinaryIO

import numpy as np

from headway.data.media_limits import MOST_DECODED_PIXELS, MOST_FRAMES, MOST_PIXELS, UnreadableMedia, check_clip, check_pixels
from headway.errors import UsageError

_FORMATS = {"mp4": "mp4", "matroska": "matroska", "avi": "avi"}


class _OutOfPlace(Exception):
    """A jump to a key frame ended behind it, because the index of the file is wrong."""


@dataclass(frozen=True)
class _Timeline:
    """When the frames of a clip are shown, in ticks of its stream, or in frames where the file tells no times."""

    times: list[int]  # ascending
    end: int
    keys: list[tuple[int, int]]  # of each key frame, ascending: when it is shown, and when it is decoded
    told: bool

    def middles(self, parts: int) -> list[float]:
        """The middle of each of so many equal parts."""
        start = self.times[0]
        return [start + (self.end - start) * (part + 0.5) / parts for part in range(parts)]

    def key_before(self, time: float) -> tuple[int, int]:
        return self.keys[max(0, bisect_right(self.keys, (time, float("inf"))) - 1)]

    def frames_until(self, time: float) -> int:
        return bisect_right(self.times, time)

    def runs(self, times: list[float]) -> list[tuple[tuple[int, int], list[float]]]:
        """The times in groups behind the key frame from which each must be decoded."""
        return [(key, list(group)) for key, group in groupby(times, key=self.key_before)]


def chosen_frames(stream: BinaryIO, container: str, frames: int, *, color: bool) -> np.ndarray:
    """uint8 [T, H, W, C]: what is seen in the middle of each of T = ``frames`` equal parts of the clip's time.

    Raises:
        UnreadableMedia: there are no frames, or too many, or too large ones.
        UsageError: PyAV is missing.
        Exception: whatever PyAV raises for a damaged file.
    """
    try:
        import av
    except ImportError:
        raise UsageError("reading clips needs the package av", remedy='pip install "headway[media]"') from None
    # The format is given, because FFmpeg may take what looks like a clip for a playlist, and open what is named in it.
    with av.open(stream, "r", format=_FORMATS[container]) as file:
        video = next((video for video in file.streams.video if not video.disposition & video.disposition.attached_pic), None)
        if video is None:
            raise UnreadableMedia("holds no moving picture")
        decoder = video.codec_context
        width, height = decoder.width, decoder.height
        check_pixels(width, height)
        decoder.thread_count = 1  # clips are read side by side
        decoder.options = {"max_pixels": str(MOST_PIXELS)}  # frames may grow on the way
        timeline = _timeline(file, video)
        times = timeline.middles(frames)
        runs = timeline.runs(times)
        whole = timeline.frames_until(times[-1])
        jumping = sum(timeline.frames_until(group[-1]) - bisect_left(timeline.times, key[0]) + 1 for key, group in runs)
        if timeline.told and 2 * jumping < whole:
            check_clip(frames, jumping, MOST_DECODED_PIXELS, width, height)
            try:
                return _as_array(_jumping(file, video, runs), color)
            except _OutOfPlace:
                pass
        check_clip(frames, whole, MOST_DECODED_PIXELS, width, height)
        file.seek(timeline.keys[0][1] if timeline.told else 0, stream=video)
        return _as_array(_shown_at(_decoded(file, video, timeline.told), times), color)


def _timeline(file: Any, video: Any) -> _Timeline:
    times: list[int] = []
    keys: list[tuple[int, int]] = []
    longest, told = 1, True
    for packet in file.demux(video):
        if not packet.size:
            continue
        if packet.is_corrupt:
            raise UnreadableMedia("is cut off or damaged")
        if len(times) == MOST_FRAMES:
            raise UnreadableMedia(f"has more than {MOST_FRAMES:,} frames")
        shown = packet.pts if packet.pts is not None else packet.dts
        told = told and shown is not None
        times.append(shown if told else len(times))
        if packet.is_keyframe and told:
            keys.append((shown, packet.dts if packet.dts is not None else shown))
        longest = packet.duration or longest
    if not times:
        raise UnreadableMedia("holds no frames")
    if not told or not keys:
        times = list(range(len(times)))
        return _Timeline(times, len(times), [(0, 0)], told=False)
    times.sort()
    return _Timeline(times, times[-1] + longest, sorted(keys), told=True)


def _decoded(file: Any, video: Any, told: bool) -> Iterator[tuple[int, Any]]:
    """Each frame from here on, with the time at which it is shown."""
    for index, frame in enumerate(file.decode(video)):
        shown = frame.pts if frame.pts is not None else frame.dts
        yield (shown if told and shown is not None else index), frame


def _jumping(file: Any, video: Any, runs: list[tuple[tuple[int, int], list[float]]]) -> Iterator[Any]:
    for (shown, decoded), times in runs:
        file.seek(decoded, stream=video)
        frames = _decoded(file, video, told=True)
        first = next(frames, None)
        if first is None or first[0] > shown:
            raise _OutOfPlace
        yield from _shown_at(_put_back(first, frames), times)


def _put_back(first: tuple[int, Any], others: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    yield first
    yield from others


def _shown_at(frames: Iterable[tuple[int, Any]], times: list[float]) -> Iterator[Any]:
    """For each time, ascending, the frame that is shown then: the last that began before it."""
    waiting = iter(times)
    time = next(waiting)
    before = None
    for shown, frame in frames:
        while shown > time:
            yield before or frame
            following = next(waiting, None)
            if following is None:
                return
            time = following
        before = frame
    if before is None:
        raise UnreadableMedia("holds no frame that can be decoded")
    yield before
    for _ in waiting:
        yield before


def _as_array(chosen: Iterator[Any], color: bool) -> np.ndarray:
    """uint8 [T, H, W, C], all of the size of the first, turned as the file says."""
    pixels: list[np.ndarray] = []
    size: tuple[int, int] | None = None
    last = None
    for frame in chosen:
        size = size or (frame.width, frame.height)
        if frame is not last:
            shown = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
            shown = np.rot90(shown, round(getattr(frame, "rotation", 0) / 90) % 4)
            pixels.append(shown if color else _grey(shown))
        else:
            pixels.append(pixels[-1])
        last = frame
    return np.stack(pixels)


def _grey(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] → uint8 [H, W, 1], as bright as Pillow makes pictures (ITU-R BT.601)."""
    return np.rint(pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)).astype(np.uint8)[..., None]
