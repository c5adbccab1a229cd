"""The pre-flight of files: pictures, clips and recordings with what is answered of them → figures and findings.

Every file is opened once, by as many threads as there are cores; the quick look opens some of each corpus, and asks of the
others whether they are there.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import eq
from typing import NamedTuple

import numpy as np

from headway.config import Config, CorpusConfig, MediaConfig
from headway.data import media
from headway.data.checks.report import CorpusFigures, split_of
from headway.data.checks.scan import FAULTS, Places
from headway.data.checks.texts import READERS
from headway.data.files import resolve
from headway.data.media_examples import MediaExample
from headway.data.media_files import UnreadableMedia, read_clip, read_picture, read_sound, sample_rate_of
from headway.data.media_preparation import EMPTY_TARGET, TOO_LONG, UNREADABLE
from headway.data.media_rows import places_of
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.progress import PairsProgress
from headway.data.readers import corpus_name, corpus_paths
from headway.data.tokenizer import UNK_ID, Tokenizers
from headway.visible import visible

QUICK_FILES = 48  # of each corpus that are opened, spread over it
PIECE_FILES = 256  # between two looks at whether somebody wants to stop
NOT_THERE = "is not there"
TOO_LONG_SOUND = "longer than media.longest_seconds"


class Looked(NamedTuple):
    """What is known of one file.

    Attributes:
        reason: why it cannot be read, as a predicate; None where it can.
        size: height and width of a picture or clip as it stands, 0 of a recording.
        flat: whether all of it has one colour.
        rate: samples a second of a recording as it stands.
    """

    reason: str | None
    digest: bytes = b""
    size: tuple[int, int] = (0, 0)
    positions: int = 0
    shrunk: bool = False
    flat: bool = False
    seconds: float = 0.0
    rate: int = 0


def look_at(path: str, settings: MediaConfig) -> Looked:
    """Open a file as training will. Raises UsageError where the package that reads it is missing."""
    try:
        if settings.hears:
            wave = read_sound(path, sample_rate=settings.sample_rate)
            seconds, rate = len(wave) / settings.sample_rate, sample_rate_of(path)
            return Looked(None, _digest(path), positions=places_of(wave.shape, settings), seconds=seconds, rate=rate)
        if settings.kind == "video":
            pixels = read_clip(path, frames=settings.frames, color=settings.color)
        else:
            pixels = read_picture(path, color=settings.color)
    except UnreadableMedia as reason:
        return Looked(str(reason))
    frames, height, width, channels = pixels.shape
    size = settings.size or media.fit(height, width, patch=settings.patch, patches=settings.patches)
    flat = bool((np.ptp(pixels.reshape(-1, channels), axis=0) == 0).all())
    shrunk = height * width > settings.most_patches * settings.patch**2
    return Looked(None, _digest(path), (height, width), places_of((frames, *size), settings), shrunk, flat)


def _digest(path: str) -> bytes:
    with open(resolve(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


class MediaScan:
    """What is known of one corpus.

    Attributes:
        files: of each file that was opened, or is not there, what is known of it.
        places: of each file where it is named first.
        dropped: by reason the examples that training cannot use.
        cramped: examples whose answers have more tokens than CTC can spell along their files.
        copies: of files that stand earlier with other names; `conflicts`: those of them that have other labels.
        labels, first_of_label: how often each comes, and where first.
    """

    whole = True  # every row of the manifest was read

    def __init__(self, name: str, corpus: CorpusConfig, config: Config) -> None:
        self.name, self.path, self.config = name, str(corpus_paths(corpus)[0]), config
        self._is_folder = os.path.isdir(self.path)
        self.examples: list[MediaExample] = list(READERS[config.task](corpus, config.data))  # type: ignore[arg-type]
        self.files: dict[str, Looked] = {}
        self.places = {str(one.file): self.place(one) for one in reversed(self.examples)}
        self.opened_all = False
        self.dropped: dict[str, Places] = defaultdict(Places)
        self.faults = {fault: Places() for fault in FAULTS}
        self.copies, self.conflicts, self.cramped = Places(), Places(), Places()
        self.labels: Counter[str] = Counter()
        self.first_of_label: dict[str, int] = {}
        self.words, self.tokens, self.unknown, self.longest, self.answers = 0, 0, 0, 0, 0
        self.question_tokens = 0
        self._counted = False

    @property
    def classifies(self) -> bool:
        return self.config.task == "media_classification"

    @property
    def checked(self) -> list[MediaExample]:
        """The examples whose files are in `files`."""
        return [one for one in self.examples if one.file in self.files]

    @property
    def read(self) -> list[Looked]:
        """Files that can be read."""
        return [looked for looked in self.files.values() if looked.reason is None]

    @property
    def missing(self) -> int:
        return sum(looked.reason == NOT_THERE for looked in self.files.values())

    def place(self, example: MediaExample) -> str:
        name = visible(example.name)
        return os.path.join(self.path, name) if self._is_folder else f"{self.path}:{example.line} ({name})"

    def look(self, files: Sequence[str], what: str) -> None:
        """Open files, with a bar that says `what`."""
        with PairsProgress(what, len(files), "files") as progress, ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
            for start in range(0, len(files), PIECE_FILES):
                piece = files[start : start + PIECE_FILES]
                for path, looked in zip(piece, pool.map(look_at, piece, [self.config.media] * len(piece)), strict=True):
                    self.files[path] = looked
                    progress.advance(1)
        self.opened_all = len(files) == len(self.places)
        self.files |= {path: Looked(NOT_THERE) for path in self.places.keys() - self.files.keys() if not os.path.exists(path)}

    def count(self, tokenizers: Tokenizers | None) -> None:
        """Count what the examples say, once the files were looked at."""
        self._counted = tokenizers is not None and not self.classifies
        for start in range(0, len(self.examples), 10_000):
            piece = self.examples[start : start + 10_000]
            self._count_texts(piece)
            self._count_drops(piece, self._too_long(piece, tokenizers) if tokenizers and not self.classifies else set())
        self._count_copies()

    def _count_texts(self, piece: Iterable[MediaExample]) -> None:
        for one in piece:
            if self.classifies and self.config.data.labels != "number":
                for label in one.answers:
                    self.labels[label] += 1
                    self.first_of_label.setdefault(label, one.line)
            self.answers += len(one.answers)
            self.words += sum(len(answer.split()) for answer in one.answers)
            for text in (one.question, *one.answers):
                for fault, pattern in FAULTS.items():
                    if pattern.search(text) is not None:
                        self.faults[fault].add(self.place(one))

    def _too_long(self, piece: Sequence[MediaExample], tokenizers: Tokenizers) -> set[int]:
        """The lines of examples none of whose answers is short enough; tokens are counted on the way."""
        data = self.config.data
        read, say = (Preprocessor(data.preprocessing, one).apply for one in (data.source_language, data.target_language))
        rows = iter(tokenizers.target.encode_many([say(answer) for one in piece for answer in one.answers]))
        found = set()
        for one in piece:
            mine = [next(rows) for _ in one.answers]
            self.tokens += sum(map(len, mine))
            self.unknown += sum(row.count(UNK_ID) for row in mine)
            self.longest = max(self.longest, *map(len, mine), 0)
            if mine and all(len(row) > data.max_length for row in mine):
                found.add(one.line)
            elif mine and self._is_cramped(one, mine):
                self.cramped.add(self.place(one))
        if self.config.reads_text:
            questions = tokenizers.source.encode_many([read(one.question) for one in piece])
            self.question_tokens += sum(min(len(row), data.max_length) + 1 for row in questions)
        return found

    def _is_cramped(self, example: MediaExample, answers: Sequence[Sequence[int]]) -> bool:
        """Whether there are fewer positions than tokens, and blanks between equal ones (Graves et al. 2006, section 3.1)."""
        looked = self.files.get(str(example.file))
        if not self.config.training.ctc_weight or looked is None or looked.reason is not None:
            return False
        return min(len(row) + sum(map(eq, row, row[1:])) for row in answers) > looked.positions

    def _count_drops(self, piece: Iterable[MediaExample], too_long: set[int]) -> None:
        """By the first reason, as training does."""
        settings = self.config.media
        for one in piece:
            looked = self.files.get(str(one.file))
            if looked is not None and looked.reason is not None:
                self.dropped[UNREADABLE].add(self.place(one))
            elif looked is not None and settings.hears and looked.positions > settings.positions:
                self.dropped[TOO_LONG_SOUND].add(self.place(one))
            elif one.line in too_long:
                self.dropped[TOO_LONG].add(self.place(one))
            elif not self.classifies and all(map(is_blank, one.answers)):
                self.dropped[EMPTY_TARGET].add(self.place(one))

    def _count_copies(self) -> None:
        first: dict[tuple[bytes, str], MediaExample] = {}
        for one in self.examples:
            looked = self.files.get(str(one.file))
            if looked is None or not looked.digest:
                continue
            other = first.setdefault((looked.digest, one.question), one)
            if other is not one:
                self.copies.add(f"{self.place(one)} = {self.place(other)}")
                if self.classifies and set(one.answers) != set(other.answers):
                    shown = " and ".join(",".join(each.answers)[:40] for each in (one, other))
                    self.conflicts.add(f"{self.place(one)} = {self.place(other)}: {visible(shown)}")

    def figures(self) -> CorpusFigures:
        read, answers, counted = self.read, max(1, self.answers), self._counted
        positions = sum(looked.positions for looked in read) / max(1, len(read)) + self.question_tokens / len(self.examples)
        return CorpusFigures(
            name=self.name,
            files=(self.path,),
            pairs=len(self.examples),
            checked=len(self.checked),
            dropped={reason: places.count for reason, places in self.dropped.items()},
            duplicates=self.copies.count,
            target_words=self.words / answers,
            source_tokens=positions if read else None,
            target_tokens=self.tokens / answers if counted else None,
            longest=self.longest if counted else None,
            unknown_share=self.unknown / max(1, self.tokens) if counted else None,
        )


def scan_media(name: str, corpus: CorpusConfig, config: Config, tokenizers: Tokenizers | None, *, quick: bool) -> MediaScan:
    """Read a corpus and open its files, or some of them. Raises DataError where the manifest cannot be read."""
    scan = MediaScan(name, corpus, config)
    files = list(dict.fromkeys(str(one.file) for one in scan.examples))
    if quick and len(files) > QUICK_FILES:
        files = [files[place] for place in np.linspace(0, len(files) - 1, QUICK_FILES).round().astype(int).tolist()]
    scan.look(files, f"looking at {corpus_name(corpus)}")
    scan.count(tokenizers)
    return scan


def by_reason(scan: MediaScan) -> Iterator[tuple[str, list[str]]]:
    """Why files cannot be read, as a predicate of each of them, with their places; numbers in it count for nothing."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path, looked in scan.files.items():
        if looked.reason is not None:
            found[re.sub("[0-9.,]+", "#", looked.reason)].append((looked.reason, scan.places[path]))
    for some in found.values():
        reasons = {reason for reason, _ in some}
        told = some[0][0] if len(reasons) == 1 else f"{some[0][0]} (the first)"
        yield told, [place for _, place in some]


def is_learned(scan: MediaScan) -> bool:
    return split_of(scan.name) == "train"
