"""The one corpus every system is measured on: Multi30k in subwords that are learned once and shared as plain text.

`prepare(data, work)` learns a joint BPE of 10,000 pieces and writes `train.en`, `train.de`, … with the pieces of each
sentence separated by spaces (for the peers), `tokenizer.json` (for Headway and for decoding) and `vocabulary.txt`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>")
SPLITS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
VOCABULARY_SIZE = 10_000
BATCH_TOKENS = 4096


@dataclass(frozen=True)
class Corpus:
    """What `prepare` has made. Lengths are in tokens with the end of sentence."""

    directory: Path
    raw: Path
    vocabulary_size: int
    mean_source_length: float
    mean_target_length: float
    sentences_per_batch: int  # drawn at random, so many sentences have 4,096 padded tokens on average

    def pieces(self, split: str, language: str) -> Path:
        return self.directory / f"{split}.{language}"

    def raw_text(self, split: str, language: str) -> Path:
        return self.raw / f"{SPLITS[split]}.{language}"

    @property
    def tokenizer(self) -> Path:
        return self.directory / "tokenizer.json"

    @property
    def vocabulary(self) -> Path:
        return self.directory / "vocabulary.txt"

    def lengths(self, split: str = "train") -> list[tuple[int, int]]:
        """(source, target) lengths of every pair, with the end of sentence."""
        sides = [self.pieces(split, language).read_text("utf-8").splitlines() for language in ("en", "de")]
        return [(len(source.split()) + 1, len(target.split()) + 1) for source, target in zip(*sides, strict=True)]


def learn(lines: list[str], path: Path) -> None:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated")])
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE, min_frequency=2, special_tokens=list(SPECIAL_TOKENS), show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.save(str(path))


def sentences_per_batch(lengths: list[tuple[int, int]]) -> int:
    """How many sentences drawn at random fill 4,096 padded tokens of the larger side, on average."""
    rng = random.Random(1)
    longest = [max(pair) for pair in lengths]

    def padded(count: int) -> float:
        return sum(max(rng.sample(longest, count)) for _ in range(200)) / 200 * count

    low, high = 1, min(1024, len(longest))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if padded(middle) <= BATCH_TOKENS else (low, middle - 1)
    return low


def data_directory(text: str) -> Path:
    """For argparse: a directory with all files of the corpus."""
    path = Path(text)
    names = [f"{stem}.{language}" for stem in SPLITS.values() for language in ("en", "de")]
    missing = [name for name in names if not (path / name).is_file()]
    if missing:
        raise argparse.ArgumentTypeError(f"{text} has no {', '.join(missing)}; it must be a directory with Multi30k's raw text")
    return path.resolve()


def prepare(data: Path, work: Path) -> Corpus:
    """Makes the corpus, or finds it made from the same files."""
    directory = work / "corpus"
    summary = directory / "summary.json"
    fingerprint = hashlib.sha256()
    for stem in SPLITS.values():
        for language in ("en", "de"):
            fingerprint.update((data / f"{stem}.{language}").read_bytes() + b"\0")
    if summary.exists():
        made = json.loads(summary.read_text("utf-8"))
        if made.pop("fingerprint", None) == fingerprint.hexdigest():
            return Corpus(directory, data, **made)
    from tokenizers import Tokenizer

    directory.mkdir(parents=True, exist_ok=True)
    text = {
        (split, language): (data / f"{stem}.{language}").read_text("utf-8").rstrip("\n").split("\n")
        for split, stem in SPLITS.items()
        for language in ("en", "de")
    }
    learn(text["train", "en"] + text["train", "de"], directory / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    for (split, language), lines in text.items():
        encoded = [" ".join(encoding.tokens) for encoding in tokenizer.encode_batch(lines)]
        (directory / f"{split}.{language}").write_text("".join(line + "\n" for line in encoded), "utf-8")
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (directory / "vocabulary.txt").write_text("".join(piece + "\n" for piece, _ in pieces[len(SPECIAL_TOKENS) :]), "utf-8")
    corpus = Corpus(directory, data, len(pieces), 0.0, 0.0, 0)
    lengths = corpus.lengths()
    made = {
        "vocabulary_size": len(pieces),
        "mean_source_length": sum(source for source, _ in lengths) / len(lengths),
        "mean_target_length": sum(target for _, target in lengths) / len(lengths),
        "sentences_per_batch": sentences_per_batch(lengths),
    }
    summary.write_text(json.dumps(made | {"fingerprint": fingerprint.hexdigest()}), "utf-8")
    return Corpus(directory, data, **made)


def describe(corpus: Corpus) -> dict[str, object]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(corpus).items()}
