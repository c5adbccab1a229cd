"""What is known of the form of a task's data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from headway.config import CorpusConfig
from headway.data.tables import TABLES


@dataclass(frozen=True)
class Unit:
    """One example of a person's own data.

    Attributes:
        key: examples with the same key are never parted.
        texts: of each side, as they are read and answered.
        written: what stands for it in each file of its part.
        mark: its label, or "unanswerable".
    """

    key: str
    texts: tuple[str, ...]
    written: tuple[str, ...]
    mark: str = ""


@dataclass(frozen=True)
class Form:
    """The form of a task's data.

    Attributes:
        noun: what its examples are called.
        looks: what a person is to give.
        read: a corpus, and what ends a document in it → its examples.
        takes: endings of files that can hold it.
        files: how many of them a person may name.
        columns: of a table: for each that is read the names that it may have.
        written: the columns of what `init` writes, which are numbers or names; none for a line file of each side.
        ending: of what it writes.
        whole: what is held out as a whole.
        folder: what a folder of files may tell in place of a table: of each the `text` beside it, or the `folder` it is in.
    """

    noun: str
    looks: str
    read: Callable[[CorpusConfig, str], Iterator[Unit]]
    takes: tuple[str, ...] = TABLES
    files: tuple[int, ...] = (1,)
    columns: tuple[tuple[str, ...], ...] = ()
    written: tuple[str | int, ...] = ()
    ending: str = ".jsonl"
    whole: str = "texts"
    folder: tuple[str, ...] = ()

    def paths(self, directory: Path, name: str, languages: tuple[str, str]) -> list[str]:
        """The files of a part."""
        endings = [self.ending] if self.written else [f".{language}" for language in languages]
        return [str(directory / f"{name}{one}") for one in endings]


def json_line(**fields: object) -> str:
    """An object as a line of a .jsonl file."""
    return json.dumps(fields, ensure_ascii=False) + "\n"
