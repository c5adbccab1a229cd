"""Settings that fit an amount of data. They were measured on pairs of sentences; of other tasks they are where to begin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """What one pass over the examples has counted."""

    pairs: int  # or what else an example is
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
    return Advice(preset, vocabulary, dropout, subword_dropout, batch_tokens, rate, updates)
