"""The sections of the configuration on the model, how it learns and how it answers; what enters is in config_data.py."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from headway.config_data import MANY, PathText, Rate, Section


def parse_model_part(text: str) -> tuple[str, Sequence[int] | None]:
    """``encoder.0-2`` → ("encoder", layers 0 to 2), ``encoder`` → ("encoder", None); ValueError for what is no part."""
    whole = re.fullmatch(r"embeddings|output|(?:encoder|decoder)(?:\.([0-9]{1,3})(?:-([0-9]{1,3}))?)?", text)
    if whole is None:
        raise ValueError("must be embeddings, encoder, decoder, output, or layers counted from 0, such as encoder.0-2")
    stack, first, last = text.partition(".")[0], whole[1], whole[2] or whole[1]
    if first is None:
        return stack, None
    if int(first) > int(last):
        raise ValueError(f"must name layers in their order: {stack}.{last}-{first}")
    return stack, range(int(first), int(last) + 1)


def _model_part(text: str) -> str:
    parse_model_part(text)
    return text


ModelPart = Annotated[str, AfterValidator(_model_part)]


PRESETS: dict[str, dict[str, int]] = {
    "tiny": {"encoder_layers": 4, "decoder_layers": 4, "width": 128, "feed_forward_width": 256, "heads": 4},
    "small": {"encoder_layers": 6, "decoder_layers": 6, "width": 256, "feed_forward_width": 1024, "heads": 4},
    "base": {"encoder_layers": 6, "decoder_layers": 6, "width": 512, "feed_forward_width": 2048, "heads": 8},
    "big": {"encoder_layers": 6, "decoder_layers": 6, "width": 1024, "feed_forward_width": 4096, "heads": 16},
}


AdaptedPart = Literal["attention", "feed_forward"]


class LoraConfig(Section):
    """Low-rank adapters (LoRA, Hu et al. 2022): W + alpha / rank · B A, and only A and B are learned."""

    rank: int = Field(8, gt=0, le=65536, description="rows of A and columns of B")
    alpha: float = Field(16.0, gt=0, le=1e6, description="what the adapters add is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="on what the adapters read")
    on: list[AdaptedPart] = Field(
        default_factory=lambda: list(get_args(AdaptedPart)), min_length=1, description="whose matrices are adapted"
    )


class RotaryScaling(Section):
    """Slower turns of rotary positions, for inputs longer than those that were learned from."""

    kind: Literal["linear", "llama3"] = Field("linear", description="all pairs alike, or the slow ones alone (Llama 3.1)")
    factor: float = Field(1.0, gt=0, le=1e6, description="how many times slower")
    low_frequency_factor: float = Field(1.0, gt=0, le=1e6, description="llama3: turns within original_positions of the slowest")
    high_frequency_factor: float = Field(4.0, gt=0, le=1e6, description="llama3: and of those that stay as they are")
    original_positions: int = Field(8192, gt=0, le=1 << 24, description="llama3: the longest input that was learned from")

    def problems(self) -> Iterator[str]:
        if self.kind == "llama3" and self.high_frequency_factor <= self.low_frequency_factor:
            high, low = self.high_frequency_factor, self.low_frequency_factor
            yield f"high_frequency_factor={high:g} must be above low_frequency_factor={low:g}"


# Settings of a model that must be the same to begin with its weights, or these mean something else.
SHAPE = (
    "width", "feed_forward_width", "heads", "key_value_heads", "head_width", "norm", "norm_place", "norm_epsilon", "positions",
    "position_offset", "rotary_base", "rotary_scaling", "relative_buckets", "relative_distance", "activation", "gated", "bias",
    "attention_bias", "attention_scale", "embedding_scale", "embedding_norm", "token_types", "query_key_norm", "output_scale",
    "output_bias", "family",
)  # fmt: skip


class ModelConfig(Section):
    """The switches of the Transformer. `preset` fills what is not given."""

    preset: Literal["tiny", "small", "base", "big"] | None = Field(
        "tiny", description="sizes from a table; a size given here wins"
    )
    encoder_layers: int = Field(4, ge=0, le=256)
    decoder_layers: int = Field(4, ge=0, le=256)
    width: int = Field(128, gt=0, le=65536)
    feed_forward_width: int = Field(256, gt=0, le=1 << 20)
    heads: int = Field(4, gt=0, le=65536)
    key_value_heads: int | None = Field(None, gt=0, le=65536, description="fewer than heads: grouped-query attention")
    head_width: int | None = Field(None, gt=0, le=65536, description="left out: width / heads (T5 and Qwen3 have another)")
    norm: Literal["layer", "rms"] = "layer"
    norm_place: Literal["pre", "post"] = "pre"
    norm_epsilon: float | None = Field(None, gt=0, le=1, description="left out: 1e-5; of rms 1e-6")
    positions: Literal["sinusoidal", "learned", "fixed", "rotary", "relative", "none"] = Field(
        "sinusoidal", description="fixed: a table that does not learn and came with a model (Marian)"
    )
    max_positions: int = Field(1024, gt=0, le=1 << 20, description="longest input of learned and fixed positions")
    position_offset: int = Field(0, ge=0, le=64, description="row of the first of these positions (RoBERTa, BART: 2)")
    rotary_base: float = Field(10_000.0, gt=1, le=1e12, description="the slowest pair turns once in about so many positions")
    rotary_scaling: RotaryScaling | None = None
    relative_buckets: int = Field(32, ge=4, le=4096, description="of distances, each of which has a bias")
    relative_distance: int = Field(128, ge=4, le=1 << 20, description="from which on all distances share the last bucket")
    activation: Literal["relu", "gelu", "gelu_tanh", "silu"] = "relu"
    gated: bool = Field(False, description="gated feed-forward (GLU variants, Shazeer 2020)")
    bias: bool = True
    attention_bias: Literal["all", "query_key_value", "none"] | None = Field(
        None, description="left out: as bias says (Qwen2: query_key_value)"
    )
    attention_scale: bool = Field(True, description="divide scores by the root of the head width (T5 does not)")
    embedding_scale: bool = Field(True, description="multiply embeddings by the root of the width (BERT, BART, GPT-2 do not)")
    embedding_norm: bool = Field(False, description="normalise embeddings (BERT, BART)")
    token_types: int = Field(0, ge=0, le=16, description="vectors that tell the texts of an input apart (BERT: 2); 0: none")
    output_scale: bool = Field(False, description="divide states by the root of the width before the output (T5)")
    output_bias: bool = Field(False, description="add a bias that does not learn to the output (Marian, BART)")
    tied_embeddings: Literal["none", "inputs", "decoder", "all"] = Field(
        "all", description="embeddings that share the output matrix; inputs: they share theirs, but not that one (T5 1.1)"
    )
    query_key_norm: bool = False
    family: str | None = Field(None, max_length=32, description="of Hugging Face, where the model was imported")
    pooling: Literal["mean", "max", "first", "last"] = Field(
        "mean", description="how an encoder sums up the tokens of a text; last: with media.class_token its state (ViT)"
    )
    start_from: PathText | None = Field(None, description="a run that encoder and decoder begin with, as far as it has them")
    start_decoder_from: PathText | None = Field(None, description="another run that the decoder begins with")
    dropout: float = Field(0.1, ge=0, lt=1, description="on embeddings and on what each sub-layer adds")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="on attention weights")
    feed_forward_dropout: float = Field(0.0, ge=0, lt=1, description="inside the feed-forward layer")
    word_dropout: float = Field(0.0, ge=0, lt=1, description="whole input embeddings set to zero")
    layer_dropout: float = Field(0.0, ge=0, lt=1, description="whole layers skipped in training")
    lora: LoraConfig | None = Field(None, description="learn low-rank adapters of start_from instead of its weights")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        preset = values.get("preset", "tiny")
        return {**PRESETS.get(preset, {}), **values} if isinstance(preset, str) else values

    def problems(self) -> Iterator[str]:
        if self.width % self.heads and self.head_width is None:
            yield f"heads={self.heads} does not divide width={self.width}"
        if self.key_value_heads and self.heads % self.key_value_heads:
            yield f"key_value_heads={self.key_value_heads} does not divide heads={self.heads}"
        if self.start_decoder_from and not self.start_from:
            yield f"start_decoder_from={self.start_decoder_from} needs start_from for the encoder, or give start_from alone"
        if self.lora:
            given = f"lora.rank={self.lora.rank}, lora.alpha={self.lora.alpha:g} and lora.dropout={self.lora.dropout:g}"
            if not self.start_from:
                yield f"{given} adapt a trained model — name its run as start_from"
            if self.start_decoder_from:
                yield f"{given} adapt one model, but start_decoder_from={self.start_decoder_from} brings another — leave it out"
            if self.lora.rank >= self.width:
                yield f"lora.rank={self.lora.rank} is not below width={self.width}: such adapters save nothing"
        if self.encoder_layers == 0 and self.decoder_layers == 0:
            yield "encoder_layers=0 and decoder_layers=0 leave no model"
        if self.positions == "rotary" and self.width_of_head % 2:
            given = f"width={self.width} over heads={self.heads} gives" if self.head_width is None else "head_width is"
            yield f"positions=rotary needs an even head width, but {given} {self.width_of_head}"
        if self.rotary_scaling and self.positions != "rotary":
            yield f"rotary_scaling is for positions=rotary, not positions={self.positions} — leave it out"
        if self.position_offset and self.positions not in ("learned", "fixed"):
            offset = f"position_offset={self.position_offset}"
            yield f"{offset} is for positions=learned or fixed, not positions={self.positions} — leave it out"
        if self.positions == "relative" and self.relative_distance <= self.relative_buckets // 2:
            buckets, distance = self.relative_buckets, self.relative_distance
            yield f"relative_distance={distance} must be above half of relative_buckets={buckets}"

    @property
    def width_of_head(self) -> int:
        return self.head_width or self.width // self.heads

    @property
    def norm_eps(self) -> float:
        return self.norm_epsilon or (1e-6 if self.norm == "rms" else 1e-5)

    @property
    def biased(self) -> tuple[bool, bool]:
        """Whether queries, keys and values have a bias, and whether what attention gives back has one."""
        where = self.attention_bias or ("all" if self.bias else "none")
        return where != "none", where == "all"

    @property
    def has_position_table(self) -> bool:
        """Whether positions have an end."""
        return self.positions in ("learned", "fixed")


class TrainingConfig(Section):
    seed: int = Field(1, ge=0, lt=1 << 31)
    updates: int = Field(4000, gt=0, le=MANY, description="optimiser steps in all")
    batch_tokens: int = Field(4096, gt=0, le=MANY, description="padded tokens of the larger side in one update, over all ranks")
    accumulation: int = Field(
        1, gt=0, le=1 << 20, description="micro-batches of an update: less memory, and the same result but for dropout's masks"
    )
    optimizer: Literal["adamw", "adam", "muon"] = Field("adamw", description="muon: for inner matrices, AdamW for the rest")
    learning_rate: float = Field(1e-3, gt=0, le=100, description="peak rate")
    betas: tuple[Rate, Rate] = Field((0.9, 0.98), strict=False, description="decay of the first and the second moment")
    epsilon: float = Field(1e-9, gt=0, le=1)
    weight_decay: float = Field(0.0, ge=0, le=1000)
    schedule: Literal["inverse_sqrt", "cosine", "wsd", "constant"] = "inverse_sqrt"
    warmup_updates: int = Field(400, ge=0, le=MANY)
    decay_fraction: float = Field(0.3, gt=0, le=1, description="last part of the run in which wsd lets the rate fall")
    final_rate_fraction: float = Field(0.0, ge=0, le=1, description="share of the peak rate left at the end of cosine and wsd")
    freeze: list[ModelPart] = Field(
        default_factory=list,
        description="parts that do not learn: embeddings, encoder, decoder, output, or layers such as encoder.0-2",
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="each layer learns at this share of the rate of the layer above (Howard & Ruder 2018)"
    )
    clip_norm: float = Field(1.0, ge=0, le=1e9, description="largest gradient norm; 0 = no clipping")
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    r_drop: float = Field(0.0, ge=0, le=1000, description="weight of the consistency term (R-Drop, Wu et al. 2021); 0 = off")
    contrastive_temperature: float = Field(
        0.05, gt=0, le=100, description="sentence_embedding: what cosines are divided by in the loss (Gao et al. 2021)"
    )
    ctc_weight: float = Field(
        0.0, ge=0, lt=1, description="speech_recognition: share of the CTC loss on the encoder (Watanabe et al. 2017); 0 = off"
    )
    averaging: Literal["none", "ema", "last"] = Field("none", description="weights that are validated and kept")
    ema_decay: float = Field(0.999, gt=0, lt=1)
    average_last: int = Field(5, gt=0, le=10_000, description="averaging=last: validations whose weights are averaged")
    validate_every: int = Field(500, gt=0, le=MANY)
    save_every: int = Field(500, gt=0, le=MANY)
    log_every: int = Field(50, gt=0, le=MANY)
    keep_checkpoints: int = Field(2, ge=2, le=10_000)
    validate_score: bool = Field(True, description="answer the validation set and score the answers at each validation")
    best_by: Literal["loss", "score"] = "score"
    patience: int | None = Field(None, gt=0, le=MANY, description="stop after so many validations without a better one")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(None, gt=0, le=4096)
    compile: bool = False
    tensorboard: bool = Field(True, description="also write TensorBoard files where it is installed")
    non_finite_limit: int = Field(10, gt=0, le=MANY, description="bad updates in a row after which training stops")

    def problems(self) -> Iterator[str]:
        if self.warmup_updates >= self.updates:
            warmup = f"warmup_updates={self.warmup_updates} must be below updates={self.updates}"
            yield f"{warmup} — lower the first or raise the second"
        if self.accumulation > self.batch_tokens:
            yield f"accumulation={self.accumulation} pieces cannot be cut from batch_tokens={self.batch_tokens}"


class DecodingConfig(Section):
    method: Literal["greedy", "beam", "sample", "ctc"] = Field(
        "beam", description="ctc: read off the encoder (speech_recognition)"
    )
    beam_size: int = Field(5, gt=0, le=128)
    length_penalty: float = Field(1.0, ge=0, le=10, description="score = log-probability / length^penalty")
    early_stopping: bool = Field(True, description="stop once beam_size hypotheses ended; false: only when no open one can win")
    n_best: int = Field(1, gt=0, le=10_000)
    temperature: float = Field(1.0, gt=0, le=100)
    top_k: int = Field(0, ge=0, le=1 << 24, description="0 = all")
    top_p: float = Field(1.0, gt=0, le=1)
    no_repeat_ngram: int = Field(0, ge=0, le=1000, description="an n-gram of this size never comes twice; 0 = off")
    minimum_length: int = Field(0, ge=0, le=1 << 20)
    maximum_length: int = Field(256, gt=0, le=1 << 20, description="tokens; also bounded by 2 × source + 20")
    never: list[str] = Field(default_factory=list, description="pieces that no answer has (Whisper)")
    never_first: list[str] = Field(default_factory=list, description="pieces that no answer begins with; </s>: none is empty")
    batch_tokens: int = Field(4096, gt=0, le=MANY, description="padded source tokens translated together")
    seed: int = Field(1, ge=0, lt=1 << 31)
    precision: Literal["auto", "fp32", "bf16", "int8"] = Field("auto", description="int8: fastest on a CPU, a little less exact")
    workers: int | None = Field(None, gt=0, le=1024, description="batches translated side by side; default: one a core")

    def problems(self) -> Iterator[str]:
        if self.method in ("greedy", "ctc") and self.n_best > 1:
            yield f"n_best={self.n_best} needs method=beam or sample: {self.method} decoding finds one output"
        if self.method == "beam" and self.n_best > self.beam_size:
            yield f"n_best={self.n_best} is more than beam_size={self.beam_size}"
        if self.minimum_length > self.maximum_length:
            yield f"minimum_length={self.minimum_length} is more than maximum_length={self.maximum_length}"


class EvaluationConfig(Section):
    bootstrap_samples: int = Field(1000, ge=100, le=1_000_000)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    seed: int = Field(12345, ge=0, lt=1 << 31)
    bleu_tokenize: Literal["13a", "zh", "char", "intl", "none"] | None = Field(None, description="zh for Chinese, else 13a")
