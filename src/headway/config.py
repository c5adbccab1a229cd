"""The configuration: one typed, closed schema, read from a commented YAML file and dotted overrides.

``load_config("examples/multi30k.yaml", ["model.width=256"])`` returns a frozen `Config` or raises a
`UsageError` that names every mistake at once, each with its file and line, value and nearest valid key.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator
from pydantic_core import ErrorDetails

from headway.errors import UsageError

MAX_CONFIG_BYTES = 1 << 20
MAX_CONFIG_DEPTH = 32

Fraction = FiniteFloat  # always narrowed by Field(ge=0, lt=1) where it is used


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CorpusConfig(Section):
    """Where sentence pairs stand. Two line files, or one table with a column for each side."""

    path: str | None = Field(None, description="a .tsv, .csv, .jsonl or .parquet file; leave it out for two line files")
    source: str | int = Field(description="the source line file, or the source column of `path` (name, or number from 0)")
    target: str | int = Field(description="the target line file, or the target column of `path`")

    @model_validator(mode="after")
    def _two_files_or_one_table(self) -> Self:
        if self.path is None and (isinstance(self.source, int) or isinstance(self.target, int)):
            raise ValueError("without `path`, `source` and `target` must be the paths of two line files")
        return self


PreprocessingStep = Literal["nfc", "nfkc", "lowercase", "moses_punctuation", "moses_tokenize"]


class DataConfig(Section):
    source_language: str = Field("en", description="language code of the source, such as en")
    target_language: str = Field("de", description="language code of the target, such as de")
    train: CorpusConfig
    validation: CorpusConfig
    test: CorpusConfig | None = None
    preprocessing: list[PreprocessingStep] = Field(
        default_factory=list, description="named steps applied to both sides, in order; undone in the output where they can be"
    )
    max_length: int = Field(256, gt=0, description="longest source or target in tokens; longer pairs are dropped and counted")
    accept_dropped: float = Field(0.01, ge=0, le=1, description="largest share of pairs that may be dropped without stopping")
    cache_directory: str | None = Field(None, description="where tokenised data is kept; default: `cache` beside the run")


TokenizerKind = Literal["bpe", "unigram", "wordpiece", "word", "character"]


class TokenizerConfig(Section):
    kind: TokenizerKind = "bpe"
    vocabulary_size: int = Field(8000, gt=4, description="pieces including the four special ones")
    joint: bool = Field(True, description="one vocabulary for both languages")
    bytes: Literal["none", "fallback", "level"] = Field(
        "none", description="fallback: unknown characters become bytes (bpe, unigram); level: all text is bytes (bpe), exact round trip"
    )
    normalization: Literal["none", "nfc", "nfd", "nfkc", "nfkd"] = "nfc"
    minimum_frequency: int = Field(2, gt=0)
    sample_lines: int = Field(1_000_000, gt=0, description="lines of each side, drawn evenly, that the tokenizer is learned from")
    dropout: float = Field(0.0, ge=0, lt=1, description="subword sampling in training: BPE-dropout, MaxMatch-dropout; for unigram 1/alpha-like")
    path: str | None = Field(None, description="a tokenizer.json (or .model of SentencePiece) to use instead of learning one")

    @model_validator(mode="after")
    def _bytes_fit_the_kind(self) -> Self:
        if self.bytes == "level" and self.kind != "bpe":
            raise ValueError(f"bytes=level needs kind=bpe, not {self.kind}")
        if self.bytes == "fallback" and self.kind not in ("bpe", "unigram"):
            raise ValueError(f"bytes=fallback needs kind=bpe or unigram, not {self.kind}")
        if self.dropout and self.kind in ("word", "character"):
            raise ValueError(f"dropout={self.dropout} needs subwords; kind={self.kind} has none")
        return self


PRESETS: dict[str, dict[str, int]] = {
    "tiny": dict(encoder_layers=4, decoder_layers=4, width=128, feed_forward_width=256, heads=4),
    "small": dict(encoder_layers=6, decoder_layers=6, width=256, feed_forward_width=1024, heads=4),
    "base": dict(encoder_layers=6, decoder_layers=6, width=512, feed_forward_width=2048, heads=8),
    "big": dict(encoder_layers=6, decoder_layers=6, width=1024, feed_forward_width=4096, heads=16),
}


class ModelConfig(Section):
    """The switches of the Transformer. `preset` fills what is not given."""

    preset: Literal["tiny", "small", "base", "big"] | None = Field("tiny", description="sizes from the table; any size given here wins")
    encoder_layers: int = Field(4, ge=0, le=256)
    decoder_layers: int = Field(4, ge=0, le=256)
    width: int = Field(128, gt=0, le=65536)
    feed_forward_width: int = Field(256, gt=0, le=1 << 20)
    heads: int = Field(4, gt=0)
    key_value_heads: int | None = Field(None, gt=0, description="fewer than heads: grouped-query attention; default: heads")
    norm: Literal["layer", "rms"] = "layer"
    norm_place: Literal["pre", "post"] = "pre"
    positions: Literal["sinusoidal", "learned", "rotary", "relative", "none"] = "sinusoidal"
    max_positions: int = Field(1024, gt=0, description="longest input of learned positions")
    activation: Literal["relu", "gelu", "silu"] = "relu"
    gated: bool = Field(False, description="gated feed-forward (GLU variants, Shazeer 2020)")
    bias: bool = True
    tied_embeddings: Literal["none", "decoder", "all"] = Field("all", description="which embeddings share one matrix with the output")
    query_key_norm: bool = False
    dropout: float = Field(0.1, ge=0, lt=1, description="on embeddings and on what each sub-layer adds")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="on attention weights")
    feed_forward_dropout: float = Field(0.0, ge=0, lt=1, description="inside the feed-forward layer")
    word_dropout: float = Field(0.0, ge=0, lt=1, description="whole input embeddings set to zero")
    layer_dropout: float = Field(0.0, ge=0, lt=1, description="whole layers skipped in training")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        preset = values.get("preset", "tiny")
        return {**PRESETS.get(preset, {}), **values} if isinstance(preset, str) else values

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads={self.heads} does not divide width={self.width}")
        if self.key_value_heads and self.heads % self.key_value_heads:
            raise ValueError(f"key_value_heads={self.key_value_heads} does not divide heads={self.heads}")
        if self.encoder_layers == 0 and self.decoder_layers == 0:
            raise ValueError("encoder_layers=0 and decoder_layers=0 leave no model")
        if self.positions == "rotary" and (self.width // self.heads) % 2:
            raise ValueError(f"rotary positions need an even head width, not {self.width}/{self.heads}={self.width // self.heads}")
        return self


class TrainingConfig(Section):
    seed: int = Field(1, ge=0, lt=1 << 31)
    updates: int = Field(4000, gt=0, description="optimiser steps in all")
    batch_tokens: int = Field(4096, gt=0, description="padded tokens of the larger side in one update, over all ranks and micro-batches")
    accumulation: int = Field(1, gt=0, description="micro-batches that an update is computed in; changes memory, not the result")
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False, description="peak rate")
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = Field(1e-9, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["inverse_sqrt", "cosine", "wsd", "constant"] = "inverse_sqrt"
    warmup_updates: int = Field(400, ge=0)
    decay_fraction: float = Field(0.3, gt=0, le=1, description="last part of the run in which wsd lets the rate fall")
    final_rate_fraction: float = Field(0.0, ge=0, le=1, description="share of the peak rate left at the end of cosine and wsd")
    clip_norm: float = Field(1.0, ge=0, description="largest gradient norm; 0 = no clipping")
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    r_drop: float = Field(0.0, ge=0, description="weight of the consistency term (R-Drop, Wu et al. 2021); 0 = off")
    averaging: Literal["none", "ema", "last"] = Field("none", description="weights that are validated and kept")
    ema_decay: float = Field(0.999, gt=0, lt=1)
    average_last: int = Field(5, gt=0, description="averaging=last: validations whose weights are averaged")
    validate_every: int = Field(500, gt=0)
    save_every: int = Field(500, gt=0)
    log_every: int = Field(50, gt=0)
    keep_checkpoints: int = Field(2, ge=2)
    validate_bleu: bool = Field(True, description="translate the validation set greedily at each validation")
    best_by: Literal["loss", "bleu"] = "bleu"
    patience: int | None = Field(None, gt=0, description="stop after so many validations without a better one")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(None, gt=0)
    compile: bool = False
    non_finite_limit: int = Field(10, gt=0, description="bad updates in a row after which training stops")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.warmup_updates >= self.updates:
            raise ValueError(f"warmup_updates={self.warmup_updates} must be below updates={self.updates}")
        if self.best_by == "bleu" and not self.validate_bleu:
            raise ValueError("best_by=bleu needs validate_bleu=true")
        return self


class DecodingConfig(Section):
    method: Literal["greedy", "beam", "sample"] = "beam"
    beam_size: int = Field(5, gt=0, le=128)
    length_penalty: float = Field(1.0, ge=0, allow_inf_nan=False, description="score = log-probability / length^penalty")
    n_best: int = Field(1, gt=0)
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    top_k: int = Field(0, ge=0, description="0 = all")
    top_p: float = Field(1.0, gt=0, le=1)
    no_repeat_ngram: int = Field(0, ge=0, description="an n-gram of this size never comes twice; 0 = off")
    minimum_length: int = Field(0, ge=0)
    maximum_length: int = Field(256, gt=0, description="tokens; also bounded by 2 × source + 20")
    batch_tokens: int = Field(4096, gt=0, description="padded source tokens translated together")
    seed: int = Field(1, ge=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    workers: int = Field(1, gt=0, description="processes that translate side by side, one thread each where more than one")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.method == "beam" and self.n_best > self.beam_size:
            raise ValueError(f"n_best={self.n_best} is more than beam_size={self.beam_size}")
        if self.minimum_length > self.maximum_length:
            raise ValueError(f"minimum_length={self.minimum_length} is more than maximum_length={self.maximum_length}")
        return self


class EvaluationConfig(Section):
    bootstrap_samples: int = Field(1000, ge=100)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    seed: int = Field(12345, ge=0)
    bleu_tokenize: Literal["13a", "zh", "char", "intl", "none"] | None = Field(None, description="default: zh for Chinese, else 13a")


class Config(Section):
    run_directory: str
    task: Literal["translation"] = "translation"
    data: DataConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
