"""A made language pair for the tests of checks: a dictionary of made words, sentences of them, word for word translations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headway.config import Config, CorpusConfig

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


class MadeLanguages:
    """Sentences in a made language and their translations. A tenth of the words are alike in both, as names are."""

    def __init__(self, seed: int = 1, words: int = 4000) -> None:
        self._chance = np.random.default_rng(seed)
        self._sources = [self._word("") for _ in range(words)]
        self._targets = [word if self._chance.random() < 0.1 else self._word("ö") for word in self._sources]
        weights = 1 / np.arange(5, words + 5)
        self._weights = weights / weights.sum()

    def pairs(self, count: int, shortest: int = 6, longest: int = 18) -> list[tuple[str, str]]:
        lengths = self._chance.integers(shortest, longest + 1, size=count)
        words = self._chance.choice(len(self._sources), size=int(lengths.sum()), p=self._weights)
        rows = np.split(words, np.cumsum(lengths)[:-1])
        return [(self._sentence(self._sources, row), self._sentence(self._targets, row)) for row in rows]

    def _word(self, ending: str) -> str:
        syllables = self._chance.integers(1, 4)
        return (
            "".join(CONSONANTS[self._chance.integers(14)] + VOWELS[self._chance.integers(5)] for _ in range(syllables)) + ending
        )

    @staticmethod
    def _sentence(words: list[str], row: np.ndarray) -> str:
        return f"{words[row[0]].capitalize()} {' '.join(words[word] for word in row[1:])}{'?' if row[-1] % 7 == 0 else '.'}"


class Corpora:
    """Train, validation and test files of made pairs, to be broken by a test, and their configuration."""

    def __init__(self, folder: Path, train: int = 3000, held_out: int = 300, seed: int = 1) -> None:
        self.folder = folder
        made = MadeLanguages(seed)
        self.pairs = {name: made.pairs(count) for name, count in (("train", train), ("validation", held_out), ("test", held_out))}
        self.settings: dict[str, Any] = {}

    def write(self) -> Config:
        """Write the files and give the configuration that names them."""
        corpora = {}
        for name, pairs in self.pairs.items():
            paths = {side: self.folder / f"{name}.{side}" for side in ("source", "target")}
            for number, side in enumerate(("source", "target")):
                paths[side].write_text("".join(f"{pair[number]}\n" for pair in pairs), encoding="utf-8", newline="\n")
            corpora[name] = CorpusConfig(path=None, source=str(paths["source"]), target=str(paths["target"]))
        data = {
            "source_language": "xa",
            "target_language": "xb",
            "accept_dropped": 0.5,
            **corpora,
            **self.settings.get("data", {}),
        }
        other = {key: value for key, value in self.settings.items() if key != "data"}
        return Config.model_validate({"run_directory": str(self.folder / "run"), "data": data, **other})
