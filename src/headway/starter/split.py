"""Which examples are held out: those whose sources have the smallest digests, so that equal sources are never parted."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path

from headway.config import CorpusConfig
from headway.errors import DataError
from headway.starter.form import Form
from headway.starter.forms import written_corpus

FEW_HELD_OUT, MOST_HELD_OUT = 200, 1000  # fewer than some hundred examples tell little of a model


def _digest(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(" ".join(key.split()).casefold().encode(), digest_size=8).digest())


def last_digests(form: Form, corpus: CorpusConfig, documents: str, examples: int) -> tuple[int, int]:
    """The last digest of validation and of test: for each a fiftieth of the examples, of few examples FEW_HELD_OUT or a tenth."""
    import numpy as np

    found = np.fromiter((_digest(unit.key) for unit in form.read(corpus, documents) if any(unit.written)), dtype=np.uint64)
    digests = np.unique(found)
    units = min(examples, len(found))
    wanted = max(units // 50, min(FEW_HELD_OUT, units // 10))
    held_out = min(MOST_HELD_OUT, max(1, min(wanted, len(digests) // 4)))
    if len(digests) <= 2 * held_out:
        problem = f"holds only {len(digests)} different {form.whole}: too few to hold some out"
        raise DataError(problem, where=str(corpus.path or corpus.source), remedy="give more, or your own --validation and --test")
    return int(digests[held_out - 1]), int(digests[2 * held_out - 1])


def split(
    form: Form,
    corpus: CorpusConfig,
    documents: str,
    last: tuple[int, int],
    directory: Path,
    languages: tuple[str, str],
    *,
    with_test: bool,
) -> dict[str, CorpusConfig]:
    """Writes train, validation and test files, and returns how a configuration names them."""
    names = ["train", "validation", *(["test"] if with_test else [])]
    files = {name: form.paths(directory, name, languages) for name in names}
    with ExitStack() as stack:
        opened = {
            name: [stack.enter_context(open(path, "w", encoding="utf-8", newline="\n")) for path in paths]
            for name, paths in files.items()
        }
        for unit in form.read(corpus, documents):
            digest = _digest(unit.key)
            name = "validation" if digest <= last[0] else "test" if digest <= last[1] and with_test else "train"
            for file, text in zip(opened[name], unit.written, strict=True):
                file.write(text)
    return {name: written_corpus(form, paths) for name, paths in files.items()}
