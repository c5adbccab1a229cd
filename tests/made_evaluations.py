"""Evaluations of made-up translations, for tests that read them back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from headway.config import Config
from headway.data.readers import Pair
from headway.evaluation import records
from headway.evaluation.evaluate import ReferenceLoss, Translated, analyse
from headway.evaluation.records import EvaluationRecord

WORDS = ["der", "die", "ein", "Mann", "Frau", "Hund", "läuft", "spielt", "über", "im", "Park", "rot", "weit", "und"]


def references(count: int = 150) -> list[str]:
    source = random.Random(1)
    return [" ".join(source.choices(WORDS, k=source.randint(4, 14))) for _ in range(count)]


def outputs(share: float, seed: int) -> list[str]:
    """The references with a share of the words replaced."""
    source = random.Random(seed)
    return [" ".join(source.choice(WORDS) if source.random() < share else word for word in line.split()) for line in references()]


def saved(run: Path, hypotheses: Sequence[str], wanted: Sequence[str] | None = None, sources: Sequence[str] | None = None,
          **data: object) -> EvaluationRecord:  # fmt: skip
    """Writes an evaluation of made-up outputs into a run directory."""
    wanted = wanted or references()
    sources = sources or [f"source {number}" for number in range(len(wanted))]
    corpus = {"source": "x.en", "target": "x.de"}
    config = Config.model_validate(
        {
            "run_directory": str(run),
            "data": {"train": corpus, "validation": corpus, **data},
            "evaluation": {"bootstrap_samples": 100},
        }
    )
    pairs = [Pair(source, target, number) for number, (source, target) in enumerate(zip(sources, wanted, strict=True), 1)]
    translated = [Translated(text, text, -1.0) for text in hypotheses]
    record, sentences = analyse(pairs, translated, ReferenceLoss(1.5, 100, 0), config, "test")
    records.prepare(run)
    records.save(run, record, sentences)
    return record
