"""Clips: the frames in the middle of equal parts of the time, however the clip was made, and no more work than that takes."""

from __future__ import annotations

import io
import struct
import tracemalloc
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_media import animation_file, clip_file, grey_frames, level_of, picture_file, smooth_picture

from headway.data import clip_frames, media_files, media_limits
from headway.data.media_files import UnreadableMedia, read_clip, read_picture

CONTAINERS = [
    ("mp4", "libx264"), ("mov", "libx264"), ("matroska", "libx264"), ("webm", "libvpx-vp9"), ("webm", "libvpx"), ("avi", "mpeg4"),
    ("mp4", "mpeg4"),
]  # fmt: skip


def numbers(pixels: np.ndarray, count: int) -> list[int]:
    """Which of the grey frames were seen, by how bright they are."""
    levels = np.array([level_of(number, count) for number in range(count)])
    return [int(np.abs(levels - frame.mean()).argmin()) for frame in pixels]


def middles(parts: int, count: int) -> list[int]:
    return [int((part + 0.5) / parts * count) for part in range(parts)]


@pytest.mark.parametrize(("container", "codec"), CONTAINERS)
@pytest.mark.parametrize("parts", [1, 2, 7, 20])
def test_frames_stand_in_the_middle_of_equal_parts(container: str, codec: str, parts: int) -> None:
    seen = read_clip(clip_file(grey_frames(40), container, codec), frames=parts, color=True)
    assert (seen.shape, seen.dtype) == ((parts, 48, 64, 3), np.uint8)
    assert np.abs(np.subtract(numbers(seen, 40), middles(parts, 40))).max() <= 1


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animations_are_clips(kind: str) -> None:
    content = animation_file(grey_frames(40), kind, duration=40, **({"lossless": True} if kind == "WEBP" else {}))
    seen = read_clip(content, frames=8, color=False)
    assert seen.shape == (8, 48, 64, 1)
    assert numbers(seen, 40) == middles(8, 40)


def test_frames_of_an_animation_last_as_long_as_they_say() -> None:
    content = animation_file(grey_frames(3), "GIF", duration=[700, 100, 200])
    assert numbers(read_clip(content, frames=10, color=True), 3) == [0] * 7 + [1] + [2] * 2
    even = animation_file(grey_frames(2), "GIF", duration=100)
    assert numbers(read_clip(even, frames=1, color=True), 2) == [1]  # which begins in the very middle


def test_a_still_picture_is_the_same_all_the_time() -> None:
    for kind in ("PNG", "GIF", "JPEG"):
        content = picture_file(smooth_picture(20, 30), kind)
        seen = read_clip(content, frames=3, color=True)
        np.testing.assert_array_equal(seen, np.repeat(read_picture(content, color=True), 3, axis=0))


def test_pages_are_no_animation() -> None:
    content = animation_file([smooth_picture(20, 30), smooth_picture(9, 9)], "TIFF")
    assert read_clip(content, frames=2, color=True).shape == (2, 20, 30, 3)


@pytest.mark.parametrize(("container", "codec"), CONTAINERS)
def test_a_clip_of_one_frame(container: str, codec: str) -> None:
    assert read_clip(clip_file(grey_frames(1), container, codec), frames=4, color=True).shape == (4, 48, 64, 3)


def test_frames_that_come_when_they_like() -> None:
    times = [0, 20, 40, 60, 800, 820, 1000]  # the fourth is seen most of the time
    for container, codec in (("matroska", "libx264"), ("mp4", "libx264"), ("webm", "libvpx-vp9")):
        seen = read_clip(clip_file(grey_frames(7), container, codec, times=times), frames=10, color=True)
        assert numbers(seen, 7)[1:7] == [3] * 6
        assert numbers(seen, 7)[-2:] == [5, 5] or numbers(seen, 7)[-1] == 6


def test_a_length_that_is_not_told() -> None:
    """A browser that records writes neither length nor index."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.content = bytearray()

        def write(self, block: Any) -> int:
            self.content += bytes(block)
            return len(block)

        def writable(self) -> bool:
            return True

    pipe = Pipe()
    with av.open(pipe, "w", format="webm", options={"live": "1"}) as file:  # type: ignore[call-overload]
        video: Any = file.add_stream("libvpx-vp9", rate=30)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        for picture in grey_frames(40):
            file.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(video.encode())
    content = bytes(pipe.content)
    with av.open(io.BytesIO(content)) as told:
        assert told.duration is None
    assert np.abs(np.subtract(numbers(read_clip(content, frames=8, color=True), 40), middles(8, 40))).max() <= 1


def test_colours_and_their_grey() -> None:
    picture = np.full((48, 64, 3), (200, 60, 30), dtype=np.uint8)
    content = clip_file([picture] * 4)
    assert np.abs(read_clip(content, frames=1, color=True).astype(int) - picture).max() <= 6
    grey = read_clip(content, frames=1, color=False)
    assert grey.shape == (1, 48, 64, 1)
    assert np.abs(grey.astype(int) - round(0.299 * 200 + 0.587 * 60 + 0.114 * 30)).max() <= 4


@pytest.mark.parametrize(("matrix", "turns"), [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)])
def test_a_clip_stands_as_the_telephone_was_held(matrix: tuple[int, int, int, int], turns: int) -> None:
    stored = np.full((48, 64, 3), 30, dtype=np.uint8)
    stored[:24, :32] = 220
    content = bytearray(clip_file([stored] * 3))
    a, b, c, d = matrix
    start = content.index(b"tkhd") + 4 + 40  # version 0: the matrix comes 40 bytes after its flags
    content[start : start + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    seen = read_clip(bytes(content), frames=1, color=True)[0]
    expected = np.rot90(stored, turns)
    assert seen.shape == expected.shape
    assert np.abs(seen.astype(int) - expected).mean() < 5


@settings(max_examples=12)
@given(st.integers(30, 90), st.integers(1, 12), st.integers(0, 3), st.integers(1, 4), st.sampled_from(CONTAINERS))
def test_jumping_to_key_frames_changes_nothing(count: int, apart: int, between: int, parts: int, how: tuple[str, str]) -> None:
    coding = {"g": str(apart)} | ({"bf": str(between)} if how[1] in ("libx264", "mpeg4") else {})
    content = clip_file(grey_frames(count, 32, 32), *how, coding=coding)
    jumped = []

    def watched(*arguments: Any) -> Any:
        jumped.append(True)
        yield from original(*arguments)

    def refused(*arguments: Any) -> Any:
        raise clip_frames._OutOfPlace
        yield

    original = clip_frames._jumping
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_frames, "_jumping", watched)
        seen = read_clip(content, frames=parts, color=True)
        patch.setattr(clip_frames, "_jumping", refused)
        np.testing.assert_array_equal(read_clip(content, frames=parts, color=True), seen)
    if how[1] == "libx264" and apart * parts * 4 < count:
        assert jumped


def test_a_wrong_index_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    content = clip_file(grey_frames(200, 32, 32), coding={"g": "10"})
    seen = read_clip(content, frames=4, color=True)
    original = clip_frames._Timeline.runs
    late: list[int] = []

    def twisted(self: Any, times: list[float]) -> Any:
        later = self.keys[8][1] - self.keys[0][1]
        late.append(later)
        return [((shown, decoded + later), group) for (shown, decoded), group in original(self, times)]

    monkeypatch.setattr(clip_frames._Timeline, "runs", twisted)
    np.testing.assert_array_equal(read_clip(content, frames=4, color=True), seen)
    assert min(late) > 0


def test_a_long_clip_costs_what_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    content = clip_file(grey_frames(1200, 32, 32), coding={"g": "10"})
    decoded = 0
    original = clip_frames._decoded

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal decoded
        for frame in original(*arguments, **options):
            decoded += 1
            yield frame

    monkeypatch.setattr(clip_frames, "_decoded", counted)
    assert np.abs(np.subtract(numbers(read_clip(content, frames=4, color=True), 200), [25, 75, 125, 175])).max() <= 1
    assert decoded <= 4 * 20
    monkeypatch.setattr(clip_frames, "MOST_DECODED_PIXELS", 4 * 20 * 32 * 32)
    assert read_clip(content, frames=4, color=True).shape == (4, 32, 32, 3)
    with pytest.raises(UnreadableMedia, match=r"is too long: 1\d\d\d frames of 32 x 32 pixels would have to be decoded"):
        read_clip(content, frames=1000, color=True)


def test_memory_does_not_grow_with_the_clip() -> None:
    def peak(content: bytes) -> int:
        tracemalloc.start()
        read_clip(content, frames=2, color=True)
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    short, long = (clip_file(grey_frames(count, 240, 320)) for count in (10, 300))
    assert peak(long) < peak(short) + 240 * 320 * 3


def test_too_large_too_many_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableMedia, match=r"needs 8\.6 GB for 1000000 frames, more than 2 GB"):
        read_clip(clip_file(grey_frames(3)), frames=1_000_000, color=True)
    with pytest.raises(UnreadableMedia, match=r"needs 8\.6 GB"):
        read_clip(animation_file(grey_frames(3), "GIF"), frames=1_000_000, color=True)
    monkeypatch.setattr(clip_frames, "MOST_FRAMES", 5)
    with pytest.raises(UnreadableMedia, match="has more than 5 frames"):
        read_clip(clip_file(grey_frames(6)), frames=1, color=True)
    monkeypatch.setattr(media_files, "MOST_ANIMATED_PIXELS", 50_000)  # five frames that count as 10,000 pixels each
    with pytest.raises(UnreadableMedia, match="is too long"):
        read_clip(animation_file(grey_frames(7), "GIF"), frames=1, color=True)
    monkeypatch.setattr(media_limits, "MOST_PIXELS", 3000)
    with pytest.raises(UnreadableMedia, match="has 3,072 pixels, more than 3,000"):
        read_clip(clip_file(grey_frames(3)), frames=1, color=True)


def test_a_playlist_opens_nothing(tmp_path: Any) -> None:
    clip = tmp_path / "secret.mp4"
    clip.write_bytes(clip_file(grey_frames(3)))
    playlist = tmp_path / "clip.mp4"
    for text in (f"#EXTM3U\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n", f"ffconcat version 1.0\nfile {clip}\n"):
        playlist.write_text(text)
        with pytest.raises(UnreadableMedia, match="is no clip of a known format"):
            read_clip(playlist, frames=1, color=True)


def test_a_size_that_changes_midway(monkeypatch: pytest.MonkeyPatch) -> None:
    """All frames get the size of the first, and none may be larger than pictures are."""
    first, second = clip_file(grey_frames(5, 48, 64), "webm", "libvpx"), clip_file(grey_frames(5, 96, 128), "webm", "libvpx")
    stream = io.BytesIO()
    with av.open(stream, "w", format="webm") as file:
        out: Any = file.add_stream("libvpx", rate=30)
        out.height, out.width, out.pix_fmt = 48, 64, "yuv420p"
        shown = 0
        for content in (first, second):
            with av.open(io.BytesIO(content)) as part:
                for packet in part.demux(part.streams.video[0]):
                    if packet.size:
                        packet.stream, packet.pts, packet.dts = out, shown, shown
                        packet.time_base = part.streams.video[0].time_base
                        shown += 33
                        file.mux(packet)
    seen = read_clip(stream.getvalue(), frames=10, color=True)
    assert seen.shape == (10, 48, 64, 3)
    monkeypatch.setattr(clip_frames, "MOST_PIXELS", 48 * 64)
    with pytest.raises(UnreadableMedia, match="is cut off or damaged"):
        read_clip(stream.getvalue(), frames=10, color=True)
