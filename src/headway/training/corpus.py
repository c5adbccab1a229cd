"""The training corpus of a run: its parts as rows from the cache, mixed, and the updates of each epoch."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from hashlib import sha256

from headway.config import Config
from headway.data.batches import Epoch, Rows
from headway.data.mixture import Mixture
from headway.data.preparation import Preparation
from headway.data.readers import corpus_paths
from headway.data.token_cache import TokenCache, open_cache
from headway.data.tokenizer import Tokenizers
from headway.tasks import TASKS
from headway.training.run_directory import cache_directory


class TrainingCorpus:
    """The parts of `data.train`, each in one direction, as one.

    Attributes:
        parts: the rows of each part, subwords cut plainly.
        rows: those of an epoch.
        fingerprint: SHA-256 over the files.

    Raises:
        DataError: a part is damaged, or too many of its examples would be dropped.
    """

    def __init__(self, config: Config, tokenizers: Tokenizers) -> None:
        self._config = config
        self._written = config.data.parts("train")
        task = TASKS[config.task]
        self._preparations: list[Preparation] = [
            task.preparation(tokenizers, config.in_direction(part.direction)) for part in self._written
        ]
        self.parts = self._open(None)
        self.fingerprint = joined_fingerprint([part.fingerprint for part in self.parts])

    @cached_property
    def rows(self) -> Rows:
        return self._mixed(self.parts)

    def updates(self, epoch: int) -> Epoch:
        """Those of an epoch; with `tokenizer.dropout` each view of the corpus is cut into subwords by chance in another way.

        Raises DataError where the files have changed meanwhile (BPE-dropout, Provilkov et al. 2020).
        """
        settings, rows = self._config.training, self.rows
        if self._config.tokenizer.dropout:
            rows = self._mixed(self._open(epoch % self._config.tokenizer.dropout_views))
        return self._preparations[0].updates(rows, settings.batch_tokens, settings.seed, epoch)

    def place(self, index: int) -> str:
        """``file:line`` of a row of an epoch."""
        part, row = self.rows.at(index) if isinstance(self.rows, Mixture) else (0, index)
        return f"{corpus_paths(self._written[part])[0]}:{self.parts[part].line(row)}"

    @property
    def read(self) -> int:
        """Examples of the files."""
        return sum(part.read for part in self.parts)

    @property
    def used(self) -> int:
        """Rows that were made of them."""
        return sum(map(len, self.parts))

    @property
    def dropped(self) -> Counter[str]:
        return sum((Counter(part.dropped) for part in self.parts), Counter())

    @property
    def cut(self) -> int:
        return sum(part.cut for part in self.parts)

    def _open(self, view: int | None) -> list[TokenCache]:
        expected = [None] * len(self._written) if view is None else [part.fingerprint for part in self.parts]
        return [
            open_cache(cache_directory(self._config), part, preparation, self._config.data, view=view, expected_fingerprint=one)
            for part, preparation, one in zip(self._written, self._preparations, expected, strict=True)
        ]

    def _mixed(self, parts: list[TokenCache]) -> Rows:
        repeats = [part.repeat for part in self._written]
        return parts[0] if repeats == [1] else Mixture(parts, repeats)


def joined_fingerprint(fingerprints: list[str]) -> str:
    """That of a corpus, of those of its parts."""
    return fingerprints[0] if len(fingerprints) == 1 else sha256(" ".join(fingerprints).encode()).hexdigest()
