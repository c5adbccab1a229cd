"""Pictures, clips and recordings as rows: decoded once, scaled to what the encoder reads; changed by chance as batches are made.

Of an example with several captions a row has all of them, parted by ends of sentence; each epoch draws one.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headway.config import WITH_QUESTION, Config, CorpusConfig, DataConfig, MediaConfig
from headway.data import media
from headway.data.batches import IGNORED, Batch, BucketedEpoch, Epoch, Rows, label_targets, padded
from headway.data.labelled import label_numbers, learn_labels
from headway.data.labels import Labels
from headway.data.media_batches import collate_media
from headway.data.media_examples import (
    MediaExample,
    media_files,
    names_in_folder,
    read_label_names,
    read_labelled_media,
    read_media,
    read_media_texts,
)
from headway.data.media_files import UnreadableMedia, read_clip, read_picture, read_sound
from headway.data.media_rows import pack, positions
from headway.data.opening import target_opening
from headway.data.preparation import CutUpOnce, MemoryRows, Prepared, integer_type
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, Tokenizers
from headway.errors import DataError, UsageError

EMPTY_TARGET, TOO_LONG, UNREADABLE = "empty target", "too long", "unreadable"
Place: TypeAlias = tuple[int, int | None, int]  # seed, epoch and row: what chance in training comes from
NAMED = 10  # bad files of each corpus are named; the others are counted
_log = logging.getLogger(__name__)


def read_file(source: str | bytes, settings: MediaConfig) -> NDArray[np.uint8] | NDArray[np.float32]:
    """The pixels [T, H, W, C] of a picture or clip, scaled to what the model reads, or the wave [N] of a recording.

    Raises UnreadableMedia.
    """
    if settings.hears:
        return read_sound(source, sample_rate=settings.sample_rate)
    if settings.kind == "video":
        pixels = read_clip(source, frames=settings.frames, color=settings.color)
    else:
        pixels = read_picture(source, color=settings.color)
    return media.scaled_for(pixels, settings)


def row_of(source: str | bytes, ids: Sequence[int], settings: MediaConfig) -> NDArray[np.uint8]:
    """The row of a file and of a text beside it. Raises UnreadableMedia."""
    return pack(read_file(source, settings), ids)


@dataclass(frozen=True)
class MeasuredRows:
    """`Rows` of media whose lengths are positions of the encoder and of the longest answer."""

    rows: Rows
    settings: MediaConfig
    with_text: bool
    captions: bool  # whether a target is texts that are parted by ends of sentence

    @property
    def shares(self) -> NDArray[np.float64] | None:
        return self.rows.shares

    @cached_property
    def source_lengths(self) -> NDArray[np.int32]:
        count = len(self.rows.source_lengths)
        found = (positions(self.rows.source(row), self.settings) for row in range(count))
        exact = np.fromiter(found, dtype=np.int32, count=count) - (not self.with_text)  # which has no end of sentence
        return _mixed(exact) if self.with_text else exact

    @cached_property
    def target_lengths(self) -> NDArray[np.int32]:
        lengths = self.rows.target_lengths
        if not self.captions:
            return lengths
        exact = np.fromiter((_longest(self.rows.target(row)) for row in range(len(lengths))), dtype=np.int32, count=len(lengths))
        return _mixed(exact) if self.with_text else exact

    def source(self, index: int) -> NDArray[np.integer]:
        return self.rows.source(index)

    def target(self, index: int) -> NDArray[np.integer]:
        return self.rows.target(index)

    @property
    def stream_length(self) -> int:
        return self.rows.stream_length

    def stream_at(self, places: NDArray[np.integer]) -> NDArray[np.integer]:
        return self.rows.stream_at(places)

    def rows_at(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        return self.rows.rows_at(places)


def _mixed(lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    """In steps of 16: questions of a kind are of one length, and an update of one kind undoes what the last one taught."""
    return -(-lengths // 16) * 16


def _longest(captions: NDArray[np.integer]) -> int:
    ends = np.flatnonzero(captions == EOS_ID)
    return int(np.diff(ends, prepend=-1, append=len(captions)).max()) - 1


class MediaPreparation(CutUpOnce):
    """`Preparation` of files that are answered by a text; with `WITH_QUESTION` a text is read beside each."""

    piece_examples = 128  # whose pixels are held together
    refuses = False  # whether a file that is to be answered and cannot be read is an error
    _writes = True

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        data, self.settings = config.data, config.media
        self._tokenizers, self._max_length = tokenizers, data.max_length
        learned = config.model.has_position_table and self.settings.hears
        self._most_positions = ("model.max_positions", config.model.max_positions) if learned else None
        if self.settings.front_end == "whisper":  # more would be cut away
            self._most_positions = ("the table of media.longest_seconds", self.settings.positions)
        languages = (data.source_language, data.target_language)
        self._source_steps, self._target_steps = (Preprocessor(data.preprocessing, language) for language in languages)
        self._with_text = config.task in WITH_QUESTION
        self._opening = target_opening(config, tokenizers) if self._writes else []
        self.dtypes = ("uint8", integer_type(tokenizers.target.vocabulary_size))
        self.made_from: dict[str, Any] = {
            "tokenizers": [tokenizers.source.digest, tokenizers.target.digest],
            "preprocessing": [data.preprocessing, *languages],
            "max_length": data.max_length,
            "media": _decides_rows(self.settings),
            **({"target_tag": self._opening} if self._opening else {}),
        }
        self._measured: tuple[Rows | None, MeasuredRows | None] = (None, None)

    @staticmethod
    def read(corpus: CorpusConfig, data: DataConfig) -> Iterator[MediaExample]:
        return read_media(corpus, data)

    read_texts = staticmethod(read_media_texts)

    @staticmethod
    def count(corpus: CorpusConfig) -> int | None:
        return None

    @staticmethod
    def files(corpus: CorpusConfig) -> list[Path]:
        """All that the rows are made of: fingerprints are taken of it."""
        return media_files(corpus)

    @staticmethod
    def names(corpus: CorpusConfig) -> list[str]:
        """Those that belong to the fingerprint, because labels come from them."""
        return names_in_folder(corpus)

    def example_of(self, line: str | bytes | MediaExample, number: int) -> MediaExample:
        """A line of `predict`: a path, and after a tab the text that is read beside it; or the content of a file."""
        if isinstance(line, MediaExample):
            return line
        if isinstance(line, bytes):
            return MediaExample(line, "", (), number, f"file {number}")
        name, _, question = line.partition("\t")
        return MediaExample(name, question, (), number, name)

    def prepare(self, examples: Sequence[MediaExample], dropped: Counter[str]) -> Prepared:
        dropped.update(dict.fromkeys((EMPTY_TARGET, TOO_LONG, UNREADABLE), 0))
        answers = self.answers(examples)
        kept: list[int] = []
        sources: list[Any] = []  # arrays are read as lists are
        for number, (example, row) in enumerate(zip(examples, self._decoded(examples, self._too_long), strict=True)):
            if row is None:
                dropped[TOO_LONG] += 1
            elif isinstance(row, UnreadableMedia):
                self._skip(example, row, dropped)
            elif self._writes and not answers[number]:
                dropped[self._empty(example)] += 1
            else:
                kept.append(number)
                sources.append(row)
        return Prepared([examples[one].line for one in kept], (sources, [answers[one] for one in kept]))

    def _skip(self, example: MediaExample, reason: UnreadableMedia, dropped: Counter[str]) -> None:
        if self.settings.bad_files == "stop":
            raise unreadable(example, reason)
        dropped[UNREADABLE] += 1
        if dropped[UNREADABLE] <= NAMED:
            more = "; others are counted" if dropped[UNREADABLE] == NAMED else ""
            _log.warning("%s (line %d) %s, and is left out%s", example.name, example.line, reason, more)

    def _too_long(self, row: NDArray[np.uint8]) -> bool:
        return self.settings.hears and positions(row, self.settings) > self.settings.positions

    def _empty(self, example: MediaExample) -> str:
        return TOO_LONG if any(answer.strip() for answer in example.answers) else EMPTY_TARGET

    def _whole(self, examples: Sequence[MediaExample]) -> Iterator[NDArray[np.uint8] | UnreadableMedia]:
        """The row of each example, or why the model cannot read it."""
        for row in self._decoded(examples):
            if self._most_positions is not None and not isinstance(row, UnreadableMedia):
                (what, most), read = self._most_positions, positions(row, self.settings)
                if read > most:
                    row = UnreadableMedia(f"makes {read:,} positions, more than {what}={most}")
            yield row

    def _decoded(
        self, examples: Sequence[MediaExample], unwanted: Callable[[NDArray[np.uint8]], bool] = lambda row: False
    ) -> Iterator[Any]:
        """The row of each example, or why it has none, or None for one that is unwanted, which is never held beside others.

        Files are decoded by as many threads as there are cores.
        """
        questions = self.questions(examples)

        def decode(number: int) -> NDArray[np.uint8] | UnreadableMedia | None:
            try:
                row = row_of(examples[number].file, questions[number], self.settings)
            except UnreadableMedia as reason:
                return reason
            return None if unwanted(row) else row

        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
            yield from pool.map(decode, range(len(examples)))

    def questions(self, examples: Sequence[MediaExample]) -> list[list[int]]:
        """The ids that are read beside each file."""
        if not self._with_text:
            return [[]] * len(examples)
        texts = [self._source_steps.apply(example.question) for example in examples]
        return [row[: self._max_length] for row in self._tokenizers.source.encode_many(texts)]

    def answers(self, examples: Sequence[MediaExample]) -> list[list[int]]:
        """The ids of all captions of each example that can be learned, each with its opening, parted by ends of sentence."""
        texts = [[self._target_steps.apply(answer) for answer in example.answers] for example in examples]
        rows = iter(self._tokenizers.target.encode_many([text for some in texts for text in some]))
        found = []
        for some in texts:
            each = [row for text in some if (row := next(rows)) and not is_blank(text) and len(row) <= self._max_length]
            parted = ([EOS_ID] * (place > 0) + self._opening + row for place, row in enumerate(each))
            found.append([number for row in parted for number in row])
        return found

    def rows_of_all(self, examples: Sequence[MediaExample]) -> MemoryRows:
        """Raises DataError for a file that cannot be read: a set that is judged by is whole or not at all."""
        rows: list[Any] = []  # arrays are read as lists are
        for example, row in zip(examples, self._whole(examples), strict=True):
            if isinstance(row, UnreadableMedia):
                raise unreadable(example, row)
            rows.append(row)
        return MemoryRows(rows, self.answers(examples))

    def rows_to_answer(self, examples: Sequence[MediaExample]) -> tuple[MemoryRows, list[int]]:
        """Rows of the lines of `predict` whose files can be read, and the places of these; the others are named.

        Raises DataError for one of the others with `refuses`.
        """
        rows: list[Any] = []
        places = []
        for place, (example, row) in enumerate(zip(examples, self._whole(examples), strict=True)):
            if not isinstance(row, UnreadableMedia):
                rows.append(row)
                places.append(place)
            elif self.refuses:
                raise DataError(str(row), where=example.name)
            elif example.name.strip():
                _log.warning("%s %s: it has no answer", example.name, row)
        return MemoryRows(rows, [[] for _ in rows]), places

    def updates(self, rows: Rows, batch_tokens: int, seed: int, epoch: int | None) -> Epoch:
        collate = partial(self.collate, seed=seed, epoch=epoch)
        return BucketedEpoch(self.measure(rows), batch_tokens, seed, epoch, collate=collate)

    def collate(self, rows: Rows, indices: NDArray[np.integer], *, seed: int, epoch: int | None) -> Batch:
        targets = self._targets([(rows.target(int(row)), (seed, epoch, int(row))) for row in indices])
        return collate_media(rows, indices, targets, self.settings, self._with_text, seed=seed, epoch=epoch)

    def _targets(self, drawn: Sequence[tuple[NDArray[np.integer], Place]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """`target_in` and `target_out` of a batch, of the targets of its rows and what their chance comes from."""
        answers = [_one_of(captions, *place) for captions, place in drawn]
        return padded(answers, PAD_ID, before=BOS_ID)[0], padded(answers, IGNORED, after=EOS_ID)[0]

    def measure(self, rows: Rows) -> MeasuredRows:
        """The rows with their lengths, which are not counted anew for each epoch."""
        if self._measured[0] is not rows:
            self._measured = (rows, MeasuredRows(rows, self.settings, self._with_text, self._writes))
        assert self._measured[1] is not None
        return self._measured[1]


class LabelledMediaPreparation(MediaPreparation):
    """`Preparation` of files that are answered by labels, or by a number."""

    _writes = False

    def __init__(self, tokenizers: Tokenizers, config: Config) -> None:
        super().__init__(tokenizers, config)
        if tokenizers.labels is None:  # the body of an imported model
            raise UsageError("has no head to answer with", where="the model", remedy="learn one: model.start_from")
        self._labels = tokenizers.labels
        self.dtypes = ("uint8", "uint32" if self._labels.kind == "number" else integer_type(self._labels.outputs))
        self.made_from = {
            "labels": [self._labels.digest, config.data.label_separator],
            "media": self.made_from["media"],
        }

    @staticmethod
    def read(corpus: CorpusConfig, data: DataConfig) -> Iterator[MediaExample]:
        return read_labelled_media(corpus, data)

    read_texts = staticmethod(read_label_names)

    def answers(self, examples: Sequence[MediaExample]) -> list[list[int]]:
        return [label_numbers(self._labels, example.answers) if example.answers else [] for example in examples]

    def _targets(self, drawn: Sequence[tuple[NDArray[np.integer], Place]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        several = self._labels.outputs if self._labels.kind == "several" else None
        return label_targets([labels for labels, _ in drawn], several)


def learn_media_labels(data: DataConfig) -> Labels:
    """The labels of the training corpus."""
    return learn_labels(data, read_labelled_media)


def _one_of(captions: NDArray[np.integer], seed: int, epoch: int | None, row: int) -> NDArray[np.integer]:
    """One of the captions: the first where nothing is left to chance."""
    each = np.split(captions, np.flatnonzero(captions == EOS_ID))
    lot = 0 if epoch is None else int(np.random.PCG64(np.random.SeedSequence((seed, epoch, row, 1))).random_raw() % len(each))
    return each[lot][bool(lot) :]


def unreadable(example: MediaExample, reason: UnreadableMedia) -> DataError:
    remedy = "mend it, or take it out of the manifest; `headway check` names every such file"
    return DataError(str(reason), where=f"{example.name} (line {example.line})", remedy=remedy)


def _decides_rows(settings: MediaConfig) -> dict[str, Any]:
    """The settings that decide what is kept; what is done by chance is done later."""
    if settings.hears:
        return settings.model_dump(include={"kind", "sample_rate", "hop_ms", "subsampling", "longest_seconds"})
    fixed = {"size", "filter"} if settings.size else set()
    return settings.model_dump(mode="json", include={"kind", "color", "patch", "patches", "frames"} | fixed)
