"""`headway init`: a person's own two files in; a commented configuration, and a split to train and to test on, out.

The sizes in it follow the number of pairs. Held-out pairs are drawn by the digest of their source, so a source sentence
that comes twice is never on both sides, and the same files are always split the same way.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from headway.config import LANGUAGE, CorpusConfig, load_config
from headway.config_reader import dump_yaml
from headway.data.preprocessing import is_blank
from headway.data.readers import Pair, read_pairs
from headway.data.readers import count as count_pairs
from headway.errors import DataError, ResourceError, UsageError

FEWEST_PAIRS = 20
MOST_HELD_OUT = 1000
WITHOUT_SPACES = ("zh", "ja", "th", "km", "lo", "my", "yue")


@dataclass(frozen=True)
class Counts:
    """What one pass over the pairs has counted."""

    pairs: int
    longest_words: int
    mean_words: float


@dataclass(frozen=True)
class Advice:
    """Settings that fit a number of pairs, with the reason for each."""

    preset: str
    vocabulary: int
    dropout: float
    subword_dropout: float
    batch_tokens: int
    learning_rate: float
    updates: int
    size: str


def write_starter(
    source: str,
    target: str,
    directory: Path,
    *,
    source_language: str | None = None,
    target_language: str | None = None,
    validation: tuple[str, str] | None = None,
    test: tuple[str, str] | None = None,
) -> Path:
    """Writes ``DIRECTORY/config.yaml``; without `validation`, splits the pairs into files beside it.

    Returns: the path of the YAML.
    Raises:
        DataError: a file is missing or damaged, the line counts differ, or there are too few pairs.
        UsageError: the directory is not empty, or a language cannot be told. ResourceError: it cannot be written.
    """
    languages = (
        source_language or _language_of(source, "--source-language"),
        target_language or _language_of(target, "--target-language"),
    )
    for language in languages:
        if not re.match(LANGUAGE, language):
            raise UsageError(f"{language!r} is no language code", remedy="give one such as en, pt-BR or zh_Hant")
    if languages[0] == languages[1]:
        raise UsageError(
            f"source and target are both {languages[0]!r}", remedy="name them: --source-language en --target-language de"
        )
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError("is not a new or empty directory", where=str(directory), remedy="nothing was written; name another one")
    own = _corpus(source, target)
    counts = _count(own, languages)
    for held_out in filter(None, (validation, test)):
        count_pairs(_corpus(*held_out))  # whether they are there
    least = 1 if validation else FEWEST_PAIRS
    if counts.pairs < least:
        raise DataError(
            f"holds {counts.pairs} pairs with text; {least} are the least to hold some out", where=source, remedy="give more"
        )
    last = _last_digests(own, counts.pairs) if validation is None else (0, 0)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        files = {"train": (str(own.source), str(own.target)), "validation": validation, "test": test}
        if validation is None:
            files |= _split(own, last, directory, languages, with_test=test is None)
        path = directory / "config.yaml"
        path.write_text(starter_yaml(directory, files, languages, counts), encoding="utf-8")
    except OSError as error:
        raise ResourceError(f"cannot be written: {error.strerror}", where=str(error.filename or directory)) from error
    load_config(path)
    return path


def _corpus(source: str, target: str) -> CorpusConfig:
    try:
        return CorpusConfig(source=source, target=target)
    except ValidationError as error:
        problem = f"{source!r}, {target!r}: {error.errors()[0]['msg']}"
        raise UsageError(problem, remedy="give the paths of two line files") from None


def _language_of(path: str, option: str) -> str:
    """`train.de`, `train.de.gz` → de"""
    found = re.search(r"\.([A-Za-z]{2,3}(?:[-_][A-Za-z]{2,4})?)(?:\.(?:gz|xz|zst|txt))?$", os.path.basename(path))
    if found is None or found[1].lower() in ("txt", "tsv", "csv", "gz", "xz", "zst"):
        raise UsageError(
            f"the name {os.path.basename(path)!r} does not tell a language", where=path, remedy=f"say it: {option} de"
        )
    return found[1]


def _count(corpus: CorpusConfig, languages: tuple[str, str]) -> Counts:
    pairs = words = longest = 0
    for pair in read_pairs(corpus):
        if is_blank(pair.source) or is_blank(pair.target):
            continue
        here = max(map(_words, (pair.source, pair.target), languages))
        pairs, words, longest = pairs + 1, words + here, max(longest, here)
    return Counts(pairs, longest, words / max(pairs, 1))


def _words(text: str, language: str) -> int:
    return len(text) if language.split("-")[0] in WITHOUT_SPACES else text.count(" ") + 1


def _digest(pair: Pair) -> int:
    return int.from_bytes(hashlib.blake2b(" ".join(pair.source.split()).casefold().encode(), digest_size=8).digest())


def _last_digests(corpus: CorpusConfig, pairs: int) -> tuple[int, int]:
    """The last digest of validation and of test: a fiftieth of the pairs, at most MOST_HELD_OUT, for each."""
    import numpy as np

    digests = np.unique(np.fromiter((_digest(pair) for pair in read_pairs(corpus)), dtype=np.uint64))
    held_out = min(MOST_HELD_OUT, max(1, min(pairs // 50, len(digests) // 4)))
    if len(digests) <= 2 * held_out:
        problem = f"holds only {len(digests)} different sentences: too few to hold some out"
        raise DataError(problem, where=str(corpus.source), remedy="give more, or your own --validation and --test")
    return int(digests[held_out - 1]), int(digests[2 * held_out - 1])


def _split(
    corpus: CorpusConfig, last: tuple[int, int], directory: Path, languages: tuple[str, str], *, with_test: bool
) -> dict[str, tuple[str, str]]:
    """Writes train, validation and test files."""
    names = ["train", "validation", *(["test"] if with_test else [])]
    files = {name: tuple(str(directory / f"{name}.{language}") for language in languages) for name in names}
    with ExitStack() as stack:
        opened = {
            name: [stack.enter_context(open(path, "w", encoding="utf-8", newline="\n")) for path in paths]
            for name, paths in files.items()
        }
        for pair in read_pairs(corpus):
            digest = _digest(pair)
            name = "validation" if digest <= last[0] else "test" if digest <= last[1] and with_test else "train"
            for file, text in zip(opened[name], (pair.source, pair.target), strict=True):
                file.write(text + "\n")
    return {name: (paths[0], paths[1]) for name, paths in files.items()}


def advise(counts: Counts) -> Advice:
    """Settings by the number of pairs: few pairs ask for a small model, a small vocabulary and much dropout."""
    pairs = counts.pairs
    rows = [  # fewer pairs than, preset, vocabulary, dropout, subword dropout, tokens in a batch, peak rate, passes over the data
        (5_000, "tiny", 2_000, 0.3, 0.1, 2_048, 4e-3, 90),
        (20_000, "tiny", 4_000, 0.3, 0.1, 2_048, 4e-3, 60),
        (100_000, "tiny", 5_000, 0.3, 0.0, 2_048, 4e-3, 40),  # measured on 29,000 pairs: docs/LOG.md
        (1_000_000, "small", 16_000, 0.1, 0.05, 8_192, 1e-3, 15),
        (1 << 60, "base", 32_000, 0.1, 0.0, 16_384, 7e-4, 5),
    ]
    row = next(row for row in rows if pairs < row[0])
    _, preset, vocabulary, dropout, subword_dropout, batch_tokens, rate, passes = row
    tokens = pairs * (counts.mean_words * 1.4 + 1)  # a word is about 1.4 pieces, and a sentence has an end
    updates = min(max(int(passes * tokens / batch_tokens), 500), 200_000)
    updates = round(updates, 1 - len(str(updates)) + 1)
    vocabulary = min(vocabulary, max(200, pairs))
    return Advice(preset, vocabulary, dropout, subword_dropout, batch_tokens, rate, updates, f"{pairs:,} pairs")


def _value(value: object) -> str:
    """A value as YAML writes it, on one line."""
    return dump_yaml({"value": value}).removeprefix("value: ").strip()


def _corpus_lines(name: str, files: tuple[str, str]) -> Iterator[str]:
    yield f"  {name}:"
    yield from (f"    {side}: {_value(path)}" for side, path in zip(("source", "target"), files, strict=True))


def _positions(advice: Advice) -> str:
    if advice.preset == "tiny":
        return "relative     # a bias for each distance; on small data better than the paper's sinusoids"
    return "rotary       # turns queries and keys by their place"


def _steps(advice: Advice) -> str:
    """Optimiser and rate. Muon and R-Drop are measured on the smallest model and 29,000 pairs: docs/LOG.md."""
    rate = f"  learning_rate: {_value(advice.learning_rate)}"
    if advice.preset != "tiny":
        return rate
    schedule = "schedule: wsd           # flat, then down to nothing in the last part"
    consistency = "r_drop: 1.0             # two passes with different dropout must agree; 0: a third less time, a little worse"
    return "\n  ".join((rate, "optimizer: muon", schedule, "decay_fraction: 0.4", consistency))


def starter_yaml(directory: Path, files: dict[str, tuple[str, str] | None], languages: tuple[str, str], counts: Counts) -> str:
    """The commented configuration."""
    run = os.path.join("runs", directory.name if directory.name.isprintable() and directory.name else "mine")
    place = shlex.quote(str(directory)) if str(directory).isprintable() else "THIS_DIRECTORY"
    advice = advise(counts)
    spaceless = any(language.split("-")[0] in WITHOUT_SPACES for language in languages)
    every = max(advice.updates // 20, 10)
    parts = itertools.chain.from_iterable(_corpus_lines(name, paths) for name, paths in files.items() if paths)
    shared = "one vocabulary for both languages, so names are shared"
    joint = "two vocabularies: the languages share few characters" if spaceless else shared
    return f"""\
# {languages[0]} → {languages[1]}, {advice.size}. Written by `headway init`; everything in it may be changed.
#   headway check {place}/config.yaml        what is in the data, and how long training will take
#   headway train {place}/config.yaml        stop it whenever you like; the same command goes on
#   headway evaluate {shlex.quote(run)}              scores with intervals; then: headway predict {shlex.quote(run)} input.txt
# Any key can be overridden: headway train {place}/config.yaml training.seed=2. All keys: examples/multi30k.yaml.
# Relative paths count from the current directory.

run_directory: {_value(run)}

data:
  source_language: {_value(languages[0])}
  target_language: {_value(languages[1])}
{chr(10).join(parts)}
  # Named steps before the tokenizer, such as [lowercase]; none keeps the text as people write it.
  preprocessing: []
  max_length: {min(max(64, 4 * counts.longest_words), 256)}       # tokens; longer pairs are dropped and counted

tokenizer:
  kind: bpe
  # {advice.size}: a piece should be seen often enough to be learned, so few pairs ask for few pieces.
  vocabulary_size: {advice.vocabulary}
  joint: {"false" if spaceless else "true"}           # {joint}
  dropout: {advice.subword_dropout}          # words are cut anew at every pass: a small corpus gets richer

model:
  preset: {advice.preset}          # tiny, small, base, big
  tied_embeddings: {"decoder" if spaceless else "all"}
  positions: {_positions(advice)}
  # The fewer pairs, the more dropout: it keeps the model from learning them by heart.
  dropout: {advice.dropout}

training:
  seed: 1
  # With batches of this size, about the passes over {advice.size} after which little is gained.
  updates: {advice.updates}
  batch_tokens: {advice.batch_tokens}
{_steps(advice)}
  warmup_updates: {max(advice.updates // 20, 1)}
  label_smoothing: 0.1
  averaging: ema          # the average of recent weights is what is validated and kept
  validate_every: {every}
  save_every: {every}
  patience: 8             # stop after so many validations without a better one

decoding:
  beam_size: 5
"""
