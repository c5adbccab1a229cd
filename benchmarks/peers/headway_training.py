"""Headway through `headway train`; `metrics.jsonl` is its log."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from corpus import Corpus
from peers import THREADS, Places, Reading, Run, Size, dimensions, fill

PACKAGE = "headway"


def prepare(
    size: Size,
    corpus: Corpus,
    places: Places,
    *,
    name: str = "headway",
    precision: str = "auto",
    attention_dropout: float = 0.0,
    norm_place: str = "pre",
    updates: int = 1_000_000,
    validate_every: int = 1_000_000,
    keep: bool = False,
) -> Run:
    """`keep`: an earlier run of this name is not removed but gone on with."""
    directory = places.directory(f"{name}-{size.name}", fresh=not keep)
    config = fill(
        "headway.yaml",
        directory / "config.yaml",
        run=directory,
        train_source=corpus.raw_text("train", "en"),
        train_target=corpus.raw_text("train", "de"),
        validation_source=corpus.raw_text("validation", "en"),
        validation_target=corpus.raw_text("validation", "de"),
        cache=places.work / "headway-cache",
        tokenizer=corpus.tokenizer,
        precision=precision,
        attention_dropout=attention_dropout,
        norm_place=norm_place,
        learning_rate=0.001 if norm_place == "pre" else 0.0007,
        warmup=400 if updates > 800 else updates // 4,
        updates=updates,
        validate_every=validate_every,
        log_every=5 if size.name == "tiny" else 2,
        threads=THREADS,
        **dimensions(size),
    )
    argv = [str(Path(sys.executable).parent / "headway"), "train", str(config)]
    return Run(argv, directory, directory / "run" / "metrics.jsonl")


def read(text: str) -> list[Reading]:
    records = [json.loads(line) for line in text.split("\n")[:-1] if line]
    timed = [record for record in records if "tokens_per_second" in record]
    return [Reading(record["update"], record["tokens_per_second"], record.get("tokens")) for record in timed]
