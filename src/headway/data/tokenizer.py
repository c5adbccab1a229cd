"""Subword tokenizers, learned here or read from a tokenizer.json or a SentencePiece model.

`Tokenizers` is the pair for source and target, one and the same where the vocabulary is joint.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from headway.config import Config, Direction, TokenizerConfig
from headway.data.labels import Labels
from headway.data.shared_vocabulary import VOCABULARY, SideTokenizer, load_sides, save_sides
from headway.data.subwords import Tokenizer
from headway.data.tokenizer_layout import FORBIDDEN_IDS, SPECIAL_TOKENS
from headway.errors import HeadwayError
from headway.special_ids import BOS_ID, EOS_ID, PAD_ID, UNK_ID

if TYPE_CHECKING:
    from headway.data.preparation import Example, Read

__all__ = [
    "BOS_ID", "EOS_ID", "FORBIDDEN_IDS", "PAD_ID", "SPECIAL_TOKENS", "UNK_ID",
    "Tokenizer", "Tokenizers", "train_tokenizer", "train_tokenizers",
]  # fmt: skip

SAMPLE_SEED = 1
LABELS = "labels.json"

_log = logging.getLogger(__name__)


class Tokenizers:
    """The tokenizers of source and target; the same object twice where the vocabulary is joint. And the labels, if any."""

    def __init__(self, source: Tokenizer, target: Tokenizer, labels: Labels | None = None) -> None:
        self.source, self.target, self.labels = source, target, labels

    @property
    def joint(self) -> bool:
        return self.source is self.target

    @property
    def digest(self) -> str:
        """SHA-256 over both."""
        parts = [self.source.digest, self.target.digest, *([self.labels.digest] if self.labels else [])]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write ``tokenizer.json``, or ``tokenizer.source.json`` and ``tokenizer.target.json``, and ``labels.json``.

        Two models of SentencePiece with one vocabulary are written as they came, with a ``tokenizer.vocabulary.json``.
        """
        folder = Path(directory)
        if self.labels is not None:
            self.labels.save(folder / LABELS)
        if isinstance(self.source, SideTokenizer) and isinstance(self.target, SideTokenizer):
            save_sides(folder, self.source, self.target)
        elif self.joint:
            self.source.save(folder / "tokenizer.json")
        else:
            self.source.save(folder / "tokenizer.source.json")
            self.target.save(folder / "tokenizer.target.json")

    @classmethod
    def load(cls, directory: str | os.PathLike[str], *, dropout: float = 0.0) -> Tokenizers:
        """Read what `save` wrote; `dropout` is the rate of `sample_many`.

        Raises:
            ModelError: a file is missing or damaged.
        """
        folder = Path(directory)
        labels = Labels.load(folder / LABELS) if (folder / LABELS).exists() else None
        if (folder / VOCABULARY).exists():
            return cls(*load_sides(folder, dropout), labels)
        if not (folder / "tokenizer.source.json").exists() and not (folder / "tokenizer.target.json").exists():
            joint = Tokenizer.load(folder / "tokenizer.json", dropout=dropout, ours=True)
            return cls(joint, joint, labels)
        source, target = (
            Tokenizer.load(folder / f"tokenizer.{side}.json", dropout=dropout, ours=True) for side in ("source", "target")
        )
        return cls(source, target, labels)


def train_tokenizer(lines: Iterable[str], settings: TokenizerConfig, *, seed: int = SAMPLE_SEED) -> Tokenizer:
    """Learn a tokenizer from at most `settings.sample_lines` of the lines, drawn evenly; the same input gives the same tokenizer.

    Raises:
        DataError: there is no text.
        UsageError: the vocabulary is smaller than its fixed part.
    """
    from headway.data.tokenizer_training import draw

    sample, read = draw(lines, settings.sample_lines, len, seed)
    return _learn(sample, read, settings)


def _learn(sample: list[str], read: int, settings: TokenizerConfig) -> Tokenizer:
    from headway.data.tokenizer_training import learn, thin

    sample = thin(sample, settings.kind)
    tokenizer = Tokenizer(learn(sample, settings), dropout=settings.dropout)
    size = tokenizer.vocabulary_size
    _log.info(f"{settings.kind} tokenizer: {size:,} pieces learned from {len(sample):,} of {read:,} lines")
    if size < settings.vocabulary_size:
        _log.warning(f"the text gives no more than {size:,} pieces of the {settings.vocabulary_size:,} asked")
    return tokenizer


def train_tokenizers(config: Config, read: Read, *, seed: int = SAMPLE_SEED) -> Tokenizers:
    """The tokenizers for the training examples of a configuration, preprocessed as it says; read from `tokenizer.path` if given.

    Where no example has a target, there is one tokenizer, learned from the sources. Every part of the corpus counts once,
    however often it is repeated; a joint vocabulary is learned from pairs in one direction only: it sees both sides anyway.

    Args:
        read: yields the examples of one part.

    Raises:
        DataError, ModelError, UsageError: from reading the examples or the file, and from learning.
    """
    settings = config.tokenizer
    if settings.path is not None:
        given = Tokenizer.load(settings.path, dropout=settings.dropout)
        return Tokenizers(given, given)
    sources, targets, count = drawn_texts(config, read, seed)
    try:
        if not any(targets):
            alone = _learn(sources, count, settings)
            return Tokenizers(alone, alone)
        if settings.joint:
            joint = _learn(list(itertools.chain(sources, targets)), 2 * count, settings)
            return Tokenizers(joint, joint)
        return Tokenizers(_learn(sources, count, settings), _learn(targets, count, settings))
    except HeadwayError as error:
        error.where = error.where or "tokenizer"
        raise


def idle_tokenizers() -> Tokenizers:
    """For a model that neither reads nor writes text, but is kept with a tokenizer as all are: it knows one letter."""
    from headway.data.tokenizer_training import learn

    alone = Tokenizer(learn(["a"], TokenizerConfig(kind="character", minimum_frequency=1)))
    return Tokenizers(alone, alone)


def drawn_texts(config: Config, read: Read, seed: int = SAMPLE_SEED) -> tuple[list[str], list[str], int]:
    """Sources and targets of an even draw of the training examples, preprocessed, and how many examples there were."""
    from headway.data.preprocessing import Preprocessor
    from headway.data.tokenizer_training import draw

    data, settings = config.data, config.tokenizer
    parts = data.written_parts("train").values() if settings.joint else data.parts("train")
    examples = ((part.direction, example) for part in parts for example in read(part, data))
    drawn, count = draw(examples, settings.sample_lines, _characters, seed)
    steps = {language: Preprocessor(data.preprocessing, language).apply for part in parts for language in part.direction}
    sources = [steps[direction.source](example.source) for direction, example in drawn]
    return sources, [steps[direction.target](example.target) for direction, example in drawn], count


def _characters(drawn: tuple[Direction, Example]) -> int:
    _, example = drawn
    return len(example.source) + len(example.target)
