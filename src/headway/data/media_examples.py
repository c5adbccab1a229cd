"""Pictures, clips and recordings with what is to be answered: a manifest or a folder → examples.

A manifest is a table (TSV, CSV, JSONL, Parquet) with a column of paths, which count from its own folder. A folder stands for a
table with the columns `file`, `folder` (the name of the subfolder a file is in) and `text` (what a .txt beside it says).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from headway.config import CorpusConfig, DataConfig
from headway.data.files import open_regular, resolve
from headway.data.labelled import labels_of
from headway.data.lines import read_lines
from headway.data.media_files import media_kind_of
from headway.data.readers import Pair
from headway.data.tables import ending, read_table
from headway.errors import DataError, UsageError

FOLDER_COLUMNS = ("file", "folder", "text")
Row = tuple[tuple[str, ...], int]


class MediaExample(NamedTuple):
    """A file and what is to be answered. `line` counts from 1, of a folder the files in their order.

    Attributes:
        file: its path, or its content.
        question: a text that is read beside it, or nothing.
        answers: captions, a transcript, or labels; of several captions each is right.
        name: the path as it was written.
    """

    file: str | bytes
    question: str
    answers: tuple[str, ...]
    line: int
    name: str

    @property
    def source(self) -> str:
        """How it is shown, and what `predict` takes: the path, and after a tab the question."""
        return f"{self.name}\t{self.question}" if self.question else self.name

    @property
    def target(self) -> str:
        return self.answers[0] if self.answers else ""

    @property
    def labels(self) -> tuple[str, ...]:
        return self.answers


def read_media(corpus: CorpusConfig, data: DataConfig | None = None) -> Iterator[MediaExample]:
    """Yield the files of a corpus with all their captions (of a question: all its answers), in the order of their first mention.

    Raises:
        DataError: the manifest is missing, empty or damaged, or a row has no path. UsageError: a column does not fit.
    """
    found: dict[tuple[str, str], tuple[int, list[str]]] = {}
    for (name, *question), answers, line in read_rows(corpus, labels=False):
        _, known = found.setdefault((name, question[0] if question else ""), (line, []))
        known += [answer for answer in answers if answer not in known]
    for (name, asked), (line, answers) in found.items():
        yield MediaExample(path_of(corpus, name), asked, tuple(answers), line, name)
    if not found:
        raise DataError("holds no examples", where=str(corpus.path), remedy="see whether it was written or copied to its end")


def read_labelled_media(corpus: CorpusConfig, data: DataConfig) -> Iterator[MediaExample]:
    """Yield the files of a corpus with their labels, in order. Raises as `read_media`, and DataError as `labels_of`."""
    empty = True
    for (name, *_), answers, line in read_rows(corpus, labels=True):
        empty = False
        labels = labels_of("\n".join(answers), f"{corpus.path}:{line}", data)
        yield MediaExample(path_of(corpus, name), "", labels, line, name)
    if empty:
        raise DataError("holds no examples", where=str(corpus.path), remedy="see whether it was written or copied to its end")


def read_media_texts(corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair]:
    """The texts of a corpus, which its tokenizer learns from: each question with each of its answers."""
    for example in read_media(corpus, data):
        yield from (Pair(example.question, answer, example.line) for answer in example.answers)


def read_label_names(corpus: CorpusConfig, data: DataConfig) -> Iterator[Pair]:
    """The labels as texts: of nothing else could a tokenizer learn, and no model reads it."""
    for example in read_labelled_media(corpus, data):
        yield from (Pair("", label, example.line) for label in example.labels)


def media_files(corpus: CorpusConfig) -> list[Path]:
    """The manifest, where there is one, and every file of media that it names and that is there; of a folder also its texts."""
    assert corpus.path is not None
    manifest = resolve(corpus.path)
    is_folder = manifest.is_dir()
    read = _read_folder if is_folder else read_table
    names = dict.fromkeys(name for (name,), _ in read(corpus.path, (corpus.source,)))
    files = [path for name in names if (path := Path(path_of(corpus, name))).is_file()]
    if is_folder and "text" in (corpus.second, corpus.target):
        files += [file.with_suffix(".txt") for file in files]
    return files if is_folder else [manifest, *files]


def names_in_folder(corpus: CorpusConfig) -> list[str]:
    """Where in their folder the files of media stand; nothing of a manifest, which says it itself."""
    assert corpus.path is not None
    return [name for (name,), _ in _read_folder(corpus.path, ("file",))] if resolve(corpus.path).is_dir() else []


def path_of(corpus: CorpusConfig, name: str) -> str:
    """Where a file stands that a manifest names."""
    assert corpus.path is not None
    place = resolve(corpus.path)
    return os.path.join(place if place.is_dir() else place.parent, name)


def read_rows(corpus: CorpusConfig, *, labels: bool) -> Iterator[tuple[tuple[str, ...], list[str], int]]:
    """The name of each file with the question, the answers, and the line; one row of a JSONL file may hold several answers."""
    assert corpus.path is not None
    assert corpus.target is not None
    read = (corpus.source, *([corpus.second] if corpus.second is not None else []))
    if not resolve(corpus.path).exists():
        open_regular(corpus.path)  # says which names are near: what is missing may be a folder as well as a table
    if resolve(corpus.path).is_dir():
        rows = _read_folder(corpus.path, (*read, corpus.target))
    elif labels:
        rows = read_table(corpus.path, read, (corpus.target,))
    else:
        rows = read_table(corpus.path, (*read, corpus.target), arrays=True)
    for (*texts, answer), line in rows:
        if not texts[0].strip():
            raise DataError("names no file", where=f"{corpus.path}:{line}", remedy="give its path, or remove the row")
        # A line break in a cell is one of its text; only an array, or the text beside a file, parts answers.
        each = [" ".join(answer.split("\n"))] if ending(corpus.path) in (".csv", ".parquet") else answer.split("\n")
        yield tuple(texts), [one for one in each if one.strip()], line


def _read_folder(path: str, columns: tuple[str | int, ...]) -> Iterator[Row]:
    for column in columns:
        if column not in FOLDER_COLUMNS:
            remedy = f"the columns of a folder are {', '.join(FOLDER_COLUMNS)}"
            raise UsageError(f"a folder has no column {column!r}", where=path, remedy=remedy)
    place = resolve(path)
    files = sorted(file for file in place.rglob("*") if media_kind_of(file) is not None and file.is_file())
    for line, file in enumerate(files, 1):
        known = {"file": str(file.relative_to(place)), "folder": file.parent.name if file.parent != place else ""}
        if "text" in columns:
            known["text"] = "\n".join(read_lines(file.with_suffix(".txt")))
        yield tuple(known[str(column)] for column in columns), line
