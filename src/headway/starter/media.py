"""What a person's pictures, clips or recordings are like, and the settings that fit them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from statistics import median

from headway.config import OF_MEDIA, MediaConfig
from headway.config_media import MediaKind
from headway.data.checks.media import Looked, look_at
from headway.data.media_files import media_kind_of
from headway.errors import DataError, UsageError
from headway.starter.advice import Advice

LOOKED_AT = 64  # files, spread over the data
FEW, MANY = 5_000, 100_000  # examples
FILES_OF_A_BATCH = 32
MOST_BATCH_TOKENS = 16_384
HIGHEST_RATE = 16_000  # samples a second: speech has little above half of it
USUAL_SECONDS, MOST_SECONDS = 30, 60


@dataclass(frozen=True)
class Found:
    """What the files of a person's data are like.

    Attributes:
        height, width: of the median picture or clip.
        rate: samples a second of the median recording; seconds: of the longest of those that were looked at, and the median.
    """

    kind: MediaKind
    examples: int
    height: int = 0
    width: int = 0
    rate: int = 0
    seconds: float = 0.0
    longest: float = 0.0

    @property
    def settings(self) -> MediaConfig:
        """The section `media`, as it is written."""
        return MediaConfig.model_validate({"kind": self.kind, **{key: value for key, value, _ in self.choices()}})

    @property
    def positions(self) -> float:
        """Of a usual file."""
        if self.kind == "audio":
            return max(1.0, self.settings.positions * min(1.0, self.seconds / self.settings.longest_seconds))
        return float(self.settings.positions)

    def choices(self) -> Iterator[tuple[str, int | float, str]]:
        """Key, value and reason of each setting."""
        yield from self._heard() if self.kind == "audio" else self._seen()

    def _heard(self) -> Iterator[tuple[str, int | float, str]]:
        rate = min(self.rate, HIGHEST_RATE)
        yield "sample_rate", rate, f"samples a second; the median recording has {self.rate}"
        yield "mels", 40 if rate <= 8000 else 80, "bands of the spectrum"
        short = self.longest < 3
        yield "subsampling", 2 if short else 4, "frames of 10 ms that become one position" + (": they are short" if short else "")
        longest = min(MOST_SECONDS, max(USUAL_SECONDS, math.ceil(self.longest)))
        yield "longest_seconds", float(longest), f"longer ones are not learned from; the longest seen has {self.longest:.1f}"
        if self.examples < MANY:
            yield "speed", 0.1, "few recordings: each is heard a little faster or slower …"
            yield "time_masks", 1, "… and with a stretch of time hidden …"
            yield "band_masks", 1, "… and some bands"

    def _seen(self) -> Iterator[tuple[str, int | float, str]]:
        side = max(self.height, self.width)
        patch = 4 if side <= 32 else 8 if side <= 96 else 16
        most = 64 if self.examples < FEW or self.kind == "video" else 100 if self.examples < MANY else 196
        needed = math.ceil(self.height / patch) * math.ceil(self.width / patch)
        noun = "picture" if self.kind == "image" else "clip"
        yield "patch", patch, f"pixels a side; the median {noun} has {self.width} × {self.height}"
        fits = "all of it is seen" if needed <= most else "it is scaled down; more see finer, and take longer"
        yield "patches", min(most, needed), f"of a {noun} at most; {fits}"
        if self.kind == "video":
            yield "frames", 8, "that are seen, spread evenly over the time of a clip"
            yield "frames_per_patch", 2, "that a patch reaches through"
        if self.examples < MANY:
            yield "crop", 0.2, f"few {noun}s: each is seen a little larger, at another place …"
            yield "colour", 0.1, "… and in another light; flip: true mirrors too, where left and right are alike"


def look_through(task: str, files: Sequence[str], examples: int) -> Found:
    """What the files of a task are, and what some of them, spread over all, are like.

    Raises:
        UsageError: the task does not read such files. DataError: none of those that were looked at can be read.
    """
    kind = _kind_of(task, files)
    some = [files[place * len(files) // LOOKED_AT] for place in range(LOOKED_AT)] if len(files) > LOOKED_AT else list(files)
    with ThreadPoolExecutor(4) as pool:
        looked = list(pool.map(look_at, some, [MediaConfig(kind=kind)] * len(some)))
    read = [one for one in looked if one.reason is None]
    if not read:
        problem = f"{looked[0].reason}, and none of {len(some):,} files that were looked at can be read"
        remedy = "give files that can be read; relative paths count from the folder of the table"
        raise DataError(problem, where=some[0], remedy=remedy)
    return _found(kind, read, examples)


def _found(kind: MediaKind, read: Sequence[Looked], examples: int) -> Found:
    if kind == "audio":
        seconds = [one.seconds for one in read]
        rate = round(median(one.rate for one in read))
        return Found(kind, examples, rate=rate, seconds=median(seconds), longest=max(seconds))
    height, width = (round(median(one.size[side] for one in read)) for side in (0, 1))
    return Found(kind, examples, height=height, width=width)


def _kind_of(task: str, files: Sequence[str]) -> MediaKind:
    """What most files are, as their endings say."""
    kinds = Counter(kind for file in files if (kind := media_kind_of(file)) is not None)
    usual: MediaKind = "audio" if task == "speech_recognition" else "image"
    kind = kinds.most_common(1)[0][0] if kinds else usual
    if kind not in OF_MEDIA[task]:
        what = {"image": "pictures", "video": "clips", "audio": "recordings"}
        first = next(file for file in files if media_kind_of(file) == kind)
        problem = f"most files are {what[kind]}, such as {first}, and {task} reads {' or '.join(what[k] for k in OF_MEDIA[task])}"
        raise UsageError(problem, remedy="name another --task, or the column of the files: --columns")
    return kind


def advise_on_files(advice: Advice, found: Found, passes: float = 40.0) -> Advice:
    """`advice` with batches of so many files, and updates that see all of them so often."""
    batch_tokens = FILES_OF_A_BATCH * found.positions
    batch_tokens = min(MOST_BATCH_TOKENS, max(2048, 2 ** math.ceil(math.log2(max(1.0, batch_tokens)))))
    passes *= min(1.0, 20_000 / found.examples)
    updates = min(max(int(passes * found.examples * found.positions / batch_tokens), 500), 200_000)
    return replace(advice, batch_tokens=int(batch_tokens), updates=round(updates, 2 - len(str(updates))))


def media_section(found: Found) -> str:
    """The section of the configuration, with the reason for each setting."""
    lines = ["media:", f"  kind: {found.kind}"]
    for key, value, reason in found.choices():
        setting = f"  {key}: {value:g}"
        lines.append(f"{setting:<23} # {reason}")
    return "\n".join(lines) + "\n"
