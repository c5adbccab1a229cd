"""The section on what is seen and heard: how pictures, clips and recordings become what the encoder reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from headway.config_data import Section

# Tasks on files, and the kinds of media that each reads, the usual one first.
OF_MEDIA: dict[str, tuple[str, ...]] = {
    "captioning": ("image", "video"),
    "visual_question_answering": ("image", "video"),
    "multimodal_translation": ("image", "video"),
    "speech_recognition": ("audio",),
    "media_classification": ("image", "video", "audio"),
}
# Those that read a text beside the file: a question, or a sentence.
WITH_QUESTION = ("visual_question_answering", "multimodal_translation")

MediaKind = Literal["text", "image", "video", "audio"]

# What stands before the values of each position that the encoder reads of media: what it is, and where.
PLACES = 4  # numbers: the kind; then t, y, x of a patch, or the place of a frame, or the id and place of a piece of text
MEDIA, TEXT, CLASS = 1, 2, 3  # kinds; 0 is padding

# What is left out has these values for a kind.
KIND_DEFAULTS: dict[str, dict[str, Any]] = {
    "video": {"patches": 64, "frames_per_patch": 2},
}
WHISPER_DEFAULTS: dict[str, Any] = {"subsampling": 2}  # of its front end

_SEEN, _HEARD = ("image", "video"), ("audio",)
_READ_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("color", "patch", "patches", "stem", "mean", "deviation", "crop", "flip", "colour"), _SEEN),
    **dict.fromkeys(("size", "filter", "class_token"), ("image",)),
    **dict.fromkeys(("frames", "frames_per_patch"), ("video",)),
    **dict.fromkeys(("sample_rate", "mels", "window_ms", "hop_ms", "subsampling", "longest_seconds", "front_end"), _HEARD),
    **dict.fromkeys(("speed", "noise", "shift_ms", "time_masks", "time_mask_ms", "band_masks", "band_mask_share"), _HEARD),
}


Side = Annotated[int, Field(gt=0, le=16384)]
Shade = Annotated[float, Field(ge=-10, le=10)]
Spread = Annotated[float, Field(gt=0, le=10)]


# Settings by which one position of media is other numbers: a model that begins with another one must have the same.
_PICTURES = ("color", "patch", "stem", "frames_per_patch", "size", "filter", "mean", "deviation", "class_token")
DOORS: dict[str, tuple[str, ...]] = {
    "image": _PICTURES,
    "video": _PICTURES,
    "audio": ("sample_rate", "mels", "window_ms", "hop_ms", "subsampling", "front_end"),
}


def door_of(kind: str, front_end: str) -> tuple[str, ...]:
    """The same of one kind: where all recordings are filled up, their length belongs to it."""
    return (*DOORS[kind], *(("longest_seconds",) if front_end == "whisper" else ()))


class MediaConfig(Section):
    """Of pictures patches (Dosovitskiy et al. 2021), of clips blocks (Arnab et al. 2021), of sound log-mel frames."""

    kind: MediaKind = Field("text", description="what the encoder reads; text: no media")
    color: bool = Field(True, description="image, video: whether colours are seen, or shades of grey")
    patch: int = Field(16, gt=0, le=256, description="image, video: side of a patch in pixels")
    patches: int = Field(196, gt=0, le=65536, description="image, video: most patches of a picture; larger ones are scaled down")
    stem: Literal["linear", "convolution"] = Field("linear", description="image, video: what makes a vector of a patch")
    size: tuple[Side, Side] | None = Field(
        None, strict=False, description="image: height and width that every picture is scaled to (ViT); left out: its own shape"
    )
    filter: Literal["bicubic", "bilinear", "nearest", "lanczos"] = Field("bicubic", description="image: how, by Pillow's filters")
    mean: tuple[Shade, ...] = Field(
        (0.5,), strict=False, min_length=1, max_length=3, description="image, video: taken from the colours, which are 0 to 1 …"
    )
    deviation: tuple[Spread, ...] = Field(
        (0.5,), strict=False, min_length=1, max_length=3, description="… and what they are divided by; one for each, or for all"
    )
    class_token: bool = Field(False, description="image: a learned vector is read with the patches (ViT); see model.pooling")
    frames: int = Field(8, gt=0, le=1024, description="video: frames that are seen, spread evenly over the time of a clip")
    frames_per_patch: int = Field(1, gt=0, le=64, description="video: frames that a patch reaches through")
    crop: float = Field(0.0, ge=0, lt=1, description="image, video, in training: largest share of a picture that is cut away")
    flip: bool = Field(False, description="image, video, in training: mirror every other one")
    colour: float = Field(0.0, ge=0, lt=1, description="image, video, in training: largest change of light, contrast, colour")
    sample_rate: int = Field(16000, ge=1000, le=192_000, description="audio: samples a second that every recording is brought to")
    mels: int = Field(80, gt=0, le=512, description="audio: bands of the spectrum")
    window_ms: float = Field(25.0, gt=0, le=1000, description="audio: milliseconds that a frame sees")
    hop_ms: float = Field(10.0, gt=0, le=1000, description="audio: milliseconds from frame to frame")
    subsampling: Literal[1, 2, 4, 8] = Field(4, description="audio: frames that convolutions make one position of")
    longest_seconds: float = Field(
        30.0, gt=0, le=86_400, description="audio: longer recordings are not learned from, and answered in windows"
    )
    front_end: Literal["own", "whisper"] = Field(
        "own",
        description="audio: what makes positions of sound; whisper: its spectrum, filled up with silence to longest_seconds, two "
        "convolutions, and a table of places that does not learn (Radford et al. 2022, section 2.2)",
    )
    speed: float = Field(0.0, ge=0, le=0.9, description="audio, in training: largest change of speed (Ko et al. 2015)")
    noise: float = Field(0.0, ge=0, le=1, description="audio, in training: largest noise, as a share of the loudness")
    shift_ms: float = Field(0.0, ge=0, le=10_000, description="audio, in training: longest silence put before or cut away")
    time_masks: int = Field(0, ge=0, le=100, description="audio, in training: stretches of time hidden (SpecAugment)")
    time_mask_ms: float = Field(100.0, gt=0, le=10_000, description="audio: longest of them")
    band_masks: int = Field(0, ge=0, le=100, description="audio, in training: stretches of bands hidden (SpecAugment)")
    band_mask_share: float = Field(0.2, gt=0, le=1, description="audio: widest of them, as a share of all bands")
    bad_files: Literal["skip", "stop"] = Field(
        "skip",
        description="files that cannot be read: left out of training and counted (data.accept_dropped), or refused at once",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_kind(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        kind, more = values.get("kind"), WHISPER_DEFAULTS if values.get("front_end") == "whisper" else {}
        return {**(KIND_DEFAULTS.get(kind, {}) if isinstance(kind, str) else {}), **more, **values}

    @property
    def sees(self) -> bool:
        return self.kind in ("image", "video")

    @property
    def hears(self) -> bool:
        return self.kind == "audio"

    @property
    def channels(self) -> int:
        return 3 if self.color else 1

    @property
    def values(self) -> int:
        """Numbers of a position, without where it stands."""
        if self.hears:
            return self.subsampling * self.mels
        return self.frames_per_patch * self.patch**2 * self.channels

    @property
    def features(self) -> int:
        """Numbers of a position: F of what the encoder reads, [B, S, F]."""
        return PLACES + self.values

    @property
    def positions(self) -> int:
        """The most that the encoder reads of one file."""
        if self.hears:
            exact = self.longest_seconds * 1000 / self.hop_ms / self.subsampling
            return max(1, round(exact)) if self.one_length else math.ceil(exact) + 1
        return (
            self.most_patches * (math.ceil(self.frames / self.frames_per_patch) if self.kind == "video" else 1) + self.class_token
        )

    @property
    def most_patches(self) -> int:
        """Of one frame."""
        return self.patches if self.size is None else (self.size[0] // self.patch) * (self.size[1] // self.patch)

    @property
    def one_length(self) -> bool:
        """Whether every file makes the same number of positions."""
        return self.size is not None or self.front_end == "whisper"

    @property
    def in_order(self) -> bool:
        """Whether learned positions go by number: those of sound, and of patches that are as many in every picture."""
        return (self.hears and self.front_end == "own") or self.size is not None

    @property
    def positions_in_training(self) -> int:
        """The same where chance makes recordings longer."""
        if not self.hears or self.one_length or not (self.speed or self.shift_ms):
            return self.positions
        hop = self.sample_rate * self.hop_ms / 1000
        slowest = max(1, round(max(1, round(hop)) * (1 - self.speed))) / hop  # steps are whole samples
        return math.ceil(self.positions / slowest + self.shift_ms / self.hop_ms / self.subsampling) + 1

    def problems(self) -> Iterator[str]:
        for name, kinds in _READ_BY.items():
            value = getattr(self, name)
            if self.kind not in kinds and value != type(self).model_fields[name].default:
                yield f"{name}={value} is for kind={' or '.join(kinds)}, and kind={self.kind} does not read it — leave it out"
        for name, values in (("mean", self.mean), ("deviation", self.deviation)):
            if len(values) not in (1, self.channels):
                yield f"{name}={list(values)} does not fit {self.channels} colours — give one number for each, or one for all"
        if self.size is not None and any(side % self.patch for side in self.size):
            yield f"size={list(self.size)} is not whole patches of patch={self.patch}"
        if self.size is None and (self.filter != "bicubic" or self.class_token):
            given = f"filter={self.filter} and class_token={self.class_token}"
            yield f"{given} are for pictures of one size — give size, or leave them out"
        if self.kind == "video" and self.frames_per_patch > self.frames:
            yield f"frames_per_patch={self.frames_per_patch} is more than frames={self.frames}"
        if self.stem == "convolution" and self.patch % 4:
            yield f"stem=convolution halves a patch twice, and patch={self.patch} is no multiple of 4"
        if self.hears and self.front_end == "whisper":
            yield from self._whisper_problems()
        if self.hears and self.hop_ms > self.window_ms:
            yield f"hop_ms={self.hop_ms:g} is more than window_ms={self.window_ms:g}: sound between the frames would not be heard"
        if self.hears and self.sample_rate * self.window_ms / 1000 < 2:
            yield f"window_ms={self.window_ms:g} is less than two samples at sample_rate={self.sample_rate}"

    def _whisper_problems(self) -> Iterator[str]:
        if self.subsampling != WHISPER_DEFAULTS["subsampling"]:
            yield f"subsampling={self.subsampling} does not fit front_end=whisper, which makes one position of 2 frames"
        if self.speed:
            yield f"speed={self.speed} is for front_end=own, not front_end=whisper — leave it out"
        step = round(self.sample_rate * self.hop_ms / 1000) * self.subsampling
        if round(self.sample_rate * self.longest_seconds, 6) % step:
            yield f"longest_seconds={self.longest_seconds:g} is not whole positions of {step} samples at front_end=whisper"
