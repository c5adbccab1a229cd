"""What kinds of samples share: how examples are written down, and the settings that learn them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headway.samples.kind import Said, json_lines

Write = Callable[[Sequence[Said]], dict[str, str]]


def table(*columns: str) -> Write:
    """Writes the texts of an example as the fields of a JSON object."""
    return lambda examples: {".jsonl": json_lines(dict(zip(columns, said, strict=True)) for said in examples)}


def lines(*endings: str) -> Write:
    """Writes each text of an example into a file of its own, a line each."""
    return lambda examples: {ending: "".join(said[column] + "\n" for said in examples) for column, ending in enumerate(endings)}


def settings(
    updates: int,
    *,
    media: str = "",
    vocabulary: int = 1500,
    batch_tokens: int = 1024,
    data: str = "",
    tokenizer: str = "",
    model: str = "",
    heads: int = 4,
    rate: float = 0.004,
    training: str = "",
    end: str = "",
) -> str:
    """What all kinds share, with lines of their own after it in each section."""
    return f"""\
{data}{media}
tokenizer:
  vocabulary_size: {vocabulary:<13} # few different words: few pieces
{tokenizer}
model:
  preset: tiny                  # 4 layers of width 128 …
  {model}
  heads: {heads:<22} # {"of width 32" if heads == 4 else "narrow, many: quick to find what stands in two places"}
  positions: relative           # a bias for each distance
  dropout: 0.0                  # no example is seen often

training:
  updates: {updates}
  batch_tokens: {batch_tokens}
  optimizer: muon
  learning_rate: {rate}
  schedule: wsd                 # flat, then down to nothing in the last part
  decay_fraction: 0.7
  warmup_updates: 50
  averaging: ema                # the average of recent weights is what is validated and kept
  ema_decay: 0.99
  validate_every: {updates}
  save_every: {updates // 2}
{training}{end}"""


SEQUENCES = "encoder_layers: 2\n  decoder_layers: 2             # … are more than this needs"
CERTAIN = "  label_smoothing: 0.0          # there is one right answer\n"
ENCODER = "encoder_layers: 2             # … are more than this needs"
DECODER = "decoder_layers: 2             # … are more than this needs"
ONE_IN_TEN = "\nnoise:\n  rate: 0.1                     # seldom is the same word hidden both times\n"
GREEDY = "\ndecoding:\n  method: greedy\n"
