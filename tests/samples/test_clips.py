"""Made clips: real files, in which what is said to move moves."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from headway.errors import UsageError
from headway.samples import SAMPLES, write_sample
from headway.samples.clips import FRAMES, RATE, clip_and_captions, frames, mp4
from headway.samples.drawing import SIDE
from headway.samples.figures import COLOURS, SHAPES
from headway.samples.kind import PARTS, draw
from headway.samples.speaker import Speaker

av = pytest.importorskip("av")
pytest.importorskip("PIL.Image")

TOLD = re.compile(rf"[Tt]he ({'|'.join(COLOURS)}) ({'|'.join(SHAPES)}) (stood still|moved from \w+ to \w+)")
GERMAN = {
    "stood still": "blieb stehen",
    "moved from left to right": "bewegte sich von links nach rechts",
    "moved from right to left": "bewegte sich von rechts nach links",
    "moved from top to bottom": "bewegte sich von oben nach unten",
    "moved from bottom to top": "bewegte sich von unten nach oben",
}
CHINESE = {
    "stood still": "停在原地",
    "moved from left to right": "從左邊移到右邊",
    "moved from right to left": "從右邊移到左邊",
    "moved from top to bottom": "從上面移到下面",
    "moved from bottom to top": "從下面移到上面",
}


def clips(number: int) -> list[tuple[str, ...]]:
    speaker = Speaker(2)
    return [clip_and_captions(speaker) for _ in range(number)]


def decoded(data: bytes) -> np.ndarray:
    """[T, H, W, 3]."""
    with av.open(io.BytesIO(data)) as container:
        return np.array([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(int)


def middle(image: np.ndarray, colour: str) -> tuple[float, float]:
    """Where a colour is in a picture: (x, y) in pixels. What is coded in a film is not exact."""
    away = np.abs(image - np.array(COLOURS[colour].rgb)).max(-1)
    y, x = np.nonzero(away < 40)
    assert len(x) > 30, colour
    return x.mean(), y.mean()


def test_a_clip_is_a_film_of_two_seconds() -> None:
    with av.open(io.BytesIO(mp4(clips(1)[0][0]))) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate, stream.frames) == (SIDE, SIDE, RATE, FRAMES)
        assert container.duration == FRAMES / RATE * 1_000_000


def test_captions_are_true_of_the_pixels() -> None:
    seen = set()
    for clip, english, _, _ in clips(60):
        told = TOLD.findall(english)
        assert len(told) == 2
        if told[0][0] == told[1][0]:
            continue
        film = decoded(mp4(clip))
        ways = []
        for colour, _, does in told:
            (x, y), (later_x, later_y) = (middle(film[moment], colour) for moment in (0, -1))
            seen.add(does)
            ways.append((x, y))
            across, down = later_x - x, later_y - y
            match does.split(" ")[-1]:
                case "still":
                    assert abs(across) + abs(down) < 2
                case "right":
                    assert across > 20 > abs(down)
                case "left":
                    assert across < -20
                case "bottom":
                    assert down > 20 > abs(across)
                case "top":
                    assert down < -20
        axis = 0 if re.search("top", english) else 1  # they move upright: the left one is told first; else the upper one
        assert ways[0][axis] < ways[1][axis]
    assert seen == set(GERMAN)


def test_the_film_shows_the_pictures() -> None:
    for clip, *_ in clips(5):
        drawn = np.array([np.asarray(image) for image in frames(clip)]).astype(int)
        assert drawn.shape == (FRAMES, SIDE, SIDE, 3)
        assert np.abs(decoded(mp4(clip)) - drawn).mean() < 4


def test_the_three_languages_say_the_same() -> None:
    for _, english, german, chinese in clips(200):
        one, other = TOLD.findall(english)
        parts = german.removesuffix(".").split(", und "), chinese.removesuffix("。").split("，")
        for (colour, shape, does), said, written in zip((one, other), *parts, strict=True):
            article = {"m": "der", "f": "die", "n": "das"}[SHAPES[shape].gender]
            assert said.lower() == f"{article} {COLOURS[colour].german}e {SHAPES[shape].german} {GERMAN[does]}".lower()
            assert written == f"{COLOURS[colour].chinese}的{SHAPES[shape].chinese}{CHINESE[does]}"


def test_the_same_bytes_each_time_and_no_two_alike() -> None:
    files = [mp4(clip) for clip, *_ in clips(20)]
    for _ in range(3):  # with x264's tree of macroblocks about every tenth clip is another one
        assert files == [mp4(clip) for clip, *_ in clips(20)]
    assert len({b"".join(image.tobytes() for image in frames(clip)) for clip, *_ in clips(20)}) == 20


def test_without_x264_it_is_mpeg_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("av.codecs_available", {"mpeg4"})
    clip = clips(1)[0][0]
    data = mp4(clip)
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.video[0].codec.name == "mpeg4"
    drawn = np.array([np.asarray(image) for image in frames(clip)]).astype(int)
    assert np.abs(decoded(data) - drawn).mean() < 5
    assert data == mp4(clip)


def test_training_never_shows_what_is_held_out() -> None:
    kind = SAMPLES["video_captioning"]
    split = draw(1, 1000, kind.tell, kind.distinct, kind.held_out_share)
    hidden = {(one, other) for _, one, other in split.held_out}
    assert {role for role, *_ in split.held_out} == {"colour", "together"}

    def met(caption: str) -> set[tuple[str, str]]:
        one, other = TOLD.findall(caption)
        return {one[:2], other[:2], (" ".join(one[1:]), " ".join(other[1:]))}

    assert not hidden & set().union(*(met(said[1]) for said in split.train))
    assert all(met(said[1]) & hidden for said in (*split.validation, *split.test))


def test_what_is_written(tmp_path: Path) -> None:
    found = write_sample("video_captioning", tmp_path, size=20)
    assert found["lines"] == {f"{part}.jsonl": 20 if part == "train" else 1 for part in PARTS}
    assert found["files"] == {"clips": 22}
    assert decoded((tmp_path / "clips" / "000022.mp4").read_bytes()).shape == (FRAMES, SIDE, SIDE, 3)


def test_without_the_package_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match="the package av") as caught:
        write_sample("video_captioning", tmp_path / "made", size=20)
    assert 'pip install "headway[media]"' in str(caught.value)
    assert not (tmp_path / "made").exists()
