"""How it answers what it sees and hears: paths or the content of files in, texts out, in order.

A recording that is longer than the model reads is cut where it is quiet, and what is written of each window joined.
"""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.config import WITH_QUESTION
from headway.data.media_batches import padded_positions, positions_of
from headway.data.media_files import UnreadableMedia
from headway.data.media_preparation import MediaPreparation, row_of
from headway.data.media_rows import MediaRow, unpack
from headway.data.sound import split_at_quiet
from headway.errors import DataError, UsageError
from headway.inference.conditions import Conditions
from headway.inference.ctc import spell
from headway.inference.hypothesis import Hypothesis
from headway.inference.inputs import list_of_files
from headway.inference.predictor import NOTHING, Predictor, Source, Translation
from headway.inference.translator import SOURCE_STEP, Translator
from headway.inference.wishes import Wish, refusal, wishes
from headway.languages import writes_spaces

_HELD_BYTES = 1 << 28  # of windows that are answered together
_log = logging.getLogger(__name__)


class MediaPredictor(Predictor):
    """Tells in words what is in pictures and clips, answers questions about them, and writes down what is said.

    A line is a path, with a tab and a text behind it where the model reads one too; in Python also the bytes of a file.
    A file that cannot be read is named on standard error, and its answer is empty.
    """

    piece_lines = 64  # that are answered together
    reads_files = True
    refuses = False  # whether a file that cannot be read is an error

    def refusing(self) -> MediaPredictor:
        """The same, which raises DataError for a file that cannot be read, and UsageError for one without its text."""
        other = copy.copy(self)
        other.refuses = True
        return other

    def predict(
        self, lines: Sequence[str | bytes], *, to: str | None = None, from_: str | None = None, **asked: Any
    ) -> list[str]:
        """The best answer to each file. Raises UsageError for what is no list of files, and for a glossary or the like."""
        files = list_of_files(lines)
        return [found[0].text for found in self.answer_pieces([files], wishes(len(files), **asked))]

    @cached_property
    def _preparation(self) -> MediaPreparation:
        return MediaPreparation(self._loaded.tokenizers, self._loaded.config)

    @cached_property
    def _translator(self) -> Translator:
        return _MediaTranslator(self._loaded, self.options)

    def _translate(self, lines: list[str], first: int, asked: Sequence[Wish] | None) -> list[list[Translation]]:
        if asked is not None and any(asked):
            raise refusal(next(filter(None, asked)), "a model that reads files")
        parts: list[list[list[Translation]]] = [[] for _ in lines]
        lasting: list[list[float]] = [[] for _ in lines]
        for windows, owners in self._held_together(lines):
            found = {source.place: answers for source, answers in self._answered(windows, first)}
            for window, (owner, seconds) in zip(windows, owners, strict=True):
                parts[owner].append(found[window.place])
                lasting[owner].append(seconds)
        return [self._joined(*pair) for pair in zip(parts, lasting, strict=True)]

    def _held_together(self, lines: list[str]) -> Iterator[tuple[list[Source], list[tuple[int, float]]]]:
        """Windows as many as memory should hold; which line each belongs to, and how many seconds it lasts."""
        windows: list[Source] = []
        owners: list[tuple[int, float]] = []
        held = 0
        for place, (owner, positions) in enumerate(self._windows(lines)):
            if windows and held + positions.nbytes > _HELD_BYTES:
                yield windows, owners
                windows, owners, held = [], [], 0
            windows.append(Source(place, positions, cut=False))
            owners.append(owner)
            held += positions.nbytes
        if windows:
            yield windows, owners

    def _windows(self, lines: list[str]) -> Iterator[tuple[tuple[int, float], NDArray[np.float32]]]:
        """The place of each line, with seconds, and what the model reads of it: a long recording has several windows."""
        config, preparation = self._loaded.config, self._preparation
        with_text = config.task in WITH_QUESTION
        for place, line in enumerate(lines):
            if isinstance(line, str) and not line.strip():
                continue
            example = preparation.example_of(line, place + 1)
            if self.refuses and with_text != bool(example.question.strip()):
                problem = "stands without the text that is read beside it" if with_text else "has a text, and none is read"
                raise UsageError(problem, where=example.name)
            if with_text and not example.question.strip():
                _log.warning("%s stands without the text that is read beside it (after a tab): it has no answer", example.name)
                continue
            try:
                row = unpack(row_of(example.file, preparation.questions([example])[0], config.media))
            except UnreadableMedia as reason:
                if self.refuses:
                    raise DataError(str(reason), where=example.name) from None
                _log.warning("%s %s: it has no answer", example.name, reason)
                continue
            for part in self._parts(row.media):
                seconds = len(part) / config.media.sample_rate if config.media.hears else 0.0
                yield (place, seconds), positions_of([MediaRow(part, row.ids)], config.media, with_text)[0]

    def _parts(self, media: NDArray[Any]) -> list[NDArray[Any]]:
        settings = self._loaded.config.media
        if not settings.hears or len(media) <= settings.longest_seconds * settings.sample_rate:
            return [media]
        return split_at_quiet(media, settings.sample_rate, settings.longest_seconds)

    def details(self, answer: Translation) -> dict[str, Any]:
        """As of any answer; of a recording also how long it lasts, and what was said when: ``start`` and ``end`` in seconds."""
        told = super().details(answer)
        if answer.windows:
            ends = list(itertools.accumulate(seconds for seconds, _ in answer.windows))
            told["segments"] = [
                {"start": start, "end": end, "text": text}
                for start, end, (_, text) in zip([0.0, *ends], ends, answer.windows, strict=False)
            ]
        return told

    def _joined(self, answers: Sequence[list[Translation]], lasting: Sequence[float]) -> list[Translation]:
        """The answers to a line; of several windows, of which each lasts so long, what was written of all, as one text."""
        if not answers:
            return [NOTHING]
        if len(answers) == 1:
            hears = self._loaded.config.media.hears
            return [replace(one, windows=((lasting[0], one.text),)) if hears else one for one in answers[0]]
        parts = [found[0] for found in answers]
        blank = " " if writes_spaces(self._loaded.config.data.target_language) else ""
        said = [part for part in parts if part.text]
        scores = [score for part in parts for score in part.token_scores]
        whole = Translation(
            text=blank.join(part.text for part in said),
            preprocessed=blank.join(part.preprocessed for part in said),
            source_ids=[],
            ids=[number for part in parts for number in part.ids],
            pieces=[piece for part in parts for piece in part.pieces],
            score=sum(scores) / max(1, len(scores)) ** self.options.length_penalty,
            token_scores=scores,
            cut=False,
            windows=tuple((seconds, part.text) for seconds, part in zip(lasting, parts, strict=True)),
        )
        return [whole]


class _MediaTranslator(Translator):
    """Positions in, hypotheses out."""

    def batch(self, rows: list[Any]) -> tuple[Tensor, Tensor]:
        step = 1 if self.model.media.one_length else SOURCE_STEP
        source_BSF, mask_BS = map(torch.from_numpy, padded_positions(rows, self.model.media, step))
        return source_BSF, mask_BS

    def generate(self, rows: list[Any], numbers: list[int], conditions: Sequence[Conditions | None]) -> list[list[Hypothesis]]:
        if self.options.method != "ctc":
            return super().generate(rows, numbers, conditions)
        source_BSF, mask_BS = self.batch(rows)
        return spell(self.model, source_BSF.to(self.device), mask_BS.to(self.device), self.options)
