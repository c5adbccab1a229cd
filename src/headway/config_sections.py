"""The sections of the configuration: every setting with its type, its limits and its default."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from headway.config_mistakes import ONE, SEVERAL

MANY = 1 << 40  # bound of counts: beyond any use, and still exact in a float


def expand_path(text: str, info: ValidationInfo) -> str:
    """`~` and `$VARIABLE` filled in, except where a file of that very name exists; ValueError where they cannot be."""
    if not text or "\0" in text:
        raise ValueError("must be a path, not empty and without NUL")
    if (info.context or {}).get("paths_as_written") or not re.search(r"^~|\$", text) or os.path.exists(text):
        return text
    unset = [name for name in re.findall(r"\$\{?(\w+)", text) if name not in os.environ]
    if unset:
        raise ValueError(f"the environment variable {unset[0]} is not set")
    expanded = os.path.expanduser(os.path.expandvars(text))
    if expanded.startswith("~"):
        raise ValueError("the home directory that `~` stands for is not known")
    return expanded


PathText = Annotated[str, AfterValidator(expand_path)]


ColumnNumber = Annotated[int, Field(ge=0, le=10_000)]
LANGUAGE = r"^[A-Za-z0-9_-]{1,35}$"
Language = Annotated[str, Field(pattern=LANGUAGE)]
Rate = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration: closed, frozen, strictly typed, with finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=False)

    def problems(self) -> Iterator[str]:
        """Combinations that cannot be, each as a line that names its keys as `key=value`."""
        return iter(())

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if found := list(self.problems()):
            raise ValueError("\n".join(found))
        return self


class Direction(NamedTuple):
    """The language that is read and the one that is written."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}→{self.target}"


class CorpusConfig(Section):
    """Where the examples of a corpus, or of a part of one, stand: line files, or one table with a column for each side."""

    path: PathText | None = Field(None, description="a .tsv, .csv, .jsonl or .parquet file; leave it out for line files")
    source: str | ColumnNumber = Field(description="what is read: a text file, or a column of `path`: its name, or number from 0")
    second: str | ColumnNumber | None = Field(None, description="pair_classification: the column of the second text")
    target: str | ColumnNumber | None = Field(None, description="what is to be answered, likewise; plain text has none")
    rating: str | ColumnNumber | None = Field(None, description="sentence_embedding: a column of how alike the two texts are")
    repeat: float = Field(1.0, gt=0, le=10_000, description="times that its examples come in an epoch; of 0.2, a fifth")
    source_language: Language | None = Field(None, description="translation: of this part; default: that of `data`")
    target_language: Language | None = Field(None, description="translation: of this part; default: that of `data`")
    both_directions: bool = Field(False, description="translation: its pairs are learned from source to target and back")

    @field_validator("source", "target")
    @classmethod
    def _expand_file(cls, value: str | int | None, info: ValidationInfo) -> str | int | None:
        is_file = isinstance(value, str) and info.data.get("path") is None
        return expand_path(value, info) if is_file and isinstance(value, str) else value

    def problems(self) -> Iterator[str]:
        if self.path is None and (isinstance(self.source, int) or isinstance(self.target, int)):
            yield f"source={self.source} and target={self.target} must be the paths of two line files where `path` is not given"
        if self.path is None and self.rating is not None:
            yield f"rating={self.rating} is a column of a table, but `path` is not given — put texts and ratings into one"
        if self.path is None and self.second is not None:
            yield f"second={self.second} is a column of a table — name it by `path`"
        if self.both_directions and self.target is None:
            yield "both_directions=true needs a target"

    @property
    def direction(self) -> Direction:
        """Of a part that `DataConfig.parts` gave."""
        assert self.source_language is not None
        assert self.target_language is not None
        return Direction(self.source_language, self.target_language)


Corpus = Annotated[
    Annotated[CorpusConfig, Tag(ONE)] | Annotated[list[CorpusConfig], Field(min_length=1), Tag(SEVERAL)],
    Discriminator(lambda value: SEVERAL if isinstance(value, list) else ONE),
]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


PreprocessingStep = Literal["nfc", "nfkc", "lowercase", "moses_punctuation", "moses_tokenize"]


LabelKind = Literal["one", "several", "number"]


class DataConfig(Section):
    source_language: Language = Field("en", description="language code of the source, such as en")
    target_language: Language = Field("de", description="language code of the target, such as de")
    train: Corpus
    validation: Corpus
    test: Corpus | None = None
    preprocessing: list[PreprocessingStep] = Field(
        default_factory=list, description="named steps applied to both sides, in order; undone in the output where they can be"
    )
    documents: Literal["file", "paragraph", "line"] = Field(
        "file", description="what is one document in a plain text file; a paragraph ends at a blank line"
    )
    labels: LabelKind = Field("one", description="what classification answers with: one label, several at once, or a number")
    tags: Literal["auto", "iob1", "iob2", "bioes", "bmes", "plain"] = Field(
        "auto", description="how tags mark entities; plain: each word's tag stands for itself; auto: told from the training data"
    )
    label_separator: str = Field(",", min_length=1, max_length=8, description="between several labels of an example")
    max_length: int = Field(
        256, gt=0, le=1 << 20, description="tokens of a source or target; longer pairs are dropped and counted, documents cut up"
    )
    too_long: Literal["drop", "cut"] = Field("drop", description="what becomes of a pair that is longer; both are counted")
    history_turns: int = Field(4, gt=0, le=1000, description="dialogue: utterances that an answer looks back on")
    window_stride: int = Field(128, gt=0, le=1 << 20, description="question_answering: tokens between windows of a long passage")
    unanswerable: bool = Field(False, description="question_answering: whether a passage may hold no answer")
    accept_dropped: float = Field(0.01, ge=0, le=1, description="largest share of pairs that may be dropped without stopping")
    cache_directory: PathText | None = Field(None, description="where tokenised data is kept; default: `cache` beside the run")

    def written_parts(self, split: Split) -> dict[str, CorpusConfig]:
        """The parts of a data set as the configuration has them, by key: ``train``, or ``train[0]``, ``train[1]``, ….

        Each with its languages filled in.
        """
        corpus: CorpusConfig | list[CorpusConfig] | None = getattr(self, split)
        if corpus is None:
            return {}
        several = isinstance(corpus, list)
        return {
            f"{split}[{number}]" if several else split: part.model_copy(
                update={
                    "source_language": part.source_language or self.source_language,
                    "target_language": part.target_language or self.target_language,
                }
            )
            for number, part in enumerate(corpus if isinstance(corpus, list) else [corpus])
        }

    def parts(self, split: Split) -> list[CorpusConfig]:
        """The parts of a data set, each in one direction: one that is learned in both comes twice."""
        found = []
        for part in self.written_parts(split).values():
            one_way = part.model_copy(update={"both_directions": False})
            found.append(one_way)
            if part.both_directions:
                back = {"source": part.target, "target": part.source}
                back |= {"source_language": part.target_language, "target_language": part.source_language}
                found.append(one_way.model_copy(update=back))
        return found

    @property
    def directions(self) -> list[Direction]:
        """What is learned, in the order of the training data."""
        return list(dict.fromkeys(part.direction for part in self.parts("train")))

    def in_direction(self, direction: Direction) -> Self:
        """The same settings with `direction` for their languages; every part keeps its own."""
        languages = {"source_language": direction.source, "target_language": direction.target}
        if self.directions == [direction] == [Direction(self.source_language, self.target_language)]:
            return self
        return self.model_copy(update=languages | {split: self.parts(split) or None for split in SPLITS})

    def problems(self) -> Iterator[str]:
        train = self.written_parts("train")
        if max(part.repeat for part in train.values()) < 1:
            shown = " and ".join(f"{key}.repeat={part.repeat}" for key, part in train.items())
            yield f"{shown} take less than the whole of every part: what comes oftenest must have at least 1"
        targets = {direction.target for direction in self.directions}
        for split in SPLITS:
            for key, part in self.written_parts(split).items():
                if part.both_directions and part.source_language == part.target_language:
                    yield f"{key}.both_directions=true needs two languages, not twice {part.source_language}"
                if split != "train" and part.repeat != 1:
                    yield f"{key}.repeat={part.repeat} is for data.train: every held-out example counts once"
                written = [part.target_language, *([part.source_language] if part.both_directions else [])]
                for language in written:
                    if language not in targets:
                        yield f"{key}.target_language={language} is none that is learned: {', '.join(sorted(targets))}"


TokenizerKind = Literal["bpe", "unigram", "wordpiece", "word", "character"]


class TokenizerConfig(Section):
    kind: TokenizerKind = "bpe"
    vocabulary_size: int = Field(8000, gt=4, le=1 << 24, description="pieces including the four special ones")
    joint: bool = Field(True, description="one vocabulary for both languages")
    bytes: Literal["none", "fallback", "level"] = Field(
        "none",
        description="fallback: unknown characters become bytes (bpe, unigram); level: all text is bytes (bpe only)",
    )
    blanks: Literal["one", "all"] = Field(
        "one", description="one: runs of blanks and line breaks become a space; all: each is kept (character; bytes=level always)"
    )
    normalization: Literal["none", "nfc", "nfd", "nfkc", "nfkd"] = "nfc"
    minimum_frequency: int = Field(2, gt=0, le=MANY, description="rarer pieces are not learned")
    sample_lines: int = Field(1_000_000, gt=0, le=MANY, description="lines of each side, drawn evenly, to learn from")
    dropout: float = Field(0.0, ge=0, lt=1, description="BPE-dropout and its kin in training; of unigram, α = 0.025 / dropout")
    dropout_views: int = Field(16, gt=0, le=10_000, description="samplings of the whole corpus, one an epoch, in turn")
    path: PathText | None = Field(None, description="a tokenizer.json, or .model of SentencePiece, instead of learning one")

    def problems(self) -> Iterator[str]:
        if self.bytes == "level" and self.kind != "bpe":
            yield f"bytes=level needs kind=bpe, not {self.kind}"
        if self.bytes == "fallback" and self.kind not in ("bpe", "unigram"):
            yield f"bytes=fallback needs kind=bpe or unigram, not {self.kind}"
        if self.blanks == "all" and self.kind != "character" and self.bytes != "level":
            yield f"blanks=all needs kind=character or bytes=level, not kind={self.kind}"
        if self.dropout and self.kind in ("word", "character"):
            yield f"dropout={self.dropout} needs subwords; kind={self.kind} has none"


PRESETS: dict[str, dict[str, int]] = {
    "tiny": {"encoder_layers": 4, "decoder_layers": 4, "width": 128, "feed_forward_width": 256, "heads": 4},
    "small": {"encoder_layers": 6, "decoder_layers": 6, "width": 256, "feed_forward_width": 1024, "heads": 4},
    "base": {"encoder_layers": 6, "decoder_layers": 6, "width": 512, "feed_forward_width": 2048, "heads": 8},
    "big": {"encoder_layers": 6, "decoder_layers": 6, "width": 1024, "feed_forward_width": 4096, "heads": 16},
}


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
    norm: Literal["layer", "rms"] = "layer"
    norm_place: Literal["pre", "post"] = "pre"
    positions: Literal["sinusoidal", "learned", "rotary", "relative", "none"] = "sinusoidal"
    max_positions: int = Field(1024, gt=0, le=1 << 20, description="longest input of learned positions")
    activation: Literal["relu", "gelu", "silu"] = "relu"
    gated: bool = Field(False, description="gated feed-forward (GLU variants, Shazeer 2020)")
    bias: bool = True
    tied_embeddings: Literal["none", "decoder", "all"] = Field("all", description="embeddings that share the output matrix")
    query_key_norm: bool = False
    pooling: Literal["mean", "first"] = Field("mean", description="how an encoder sums up a text: all tokens, or the first")
    start_from: PathText | None = Field(None, description="a run that encoder and decoder begin with, as far as it has them")
    start_decoder_from: PathText | None = Field(None, description="another run that the decoder begins with")
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

    def problems(self) -> Iterator[str]:
        if self.width % self.heads:
            yield f"heads={self.heads} does not divide width={self.width}"
        if self.key_value_heads and self.heads % self.key_value_heads:
            yield f"key_value_heads={self.key_value_heads} does not divide heads={self.heads}"
        if self.start_decoder_from and not self.start_from:
            yield f"start_decoder_from={self.start_decoder_from} needs start_from for the encoder, or give start_from alone"
        if self.encoder_layers == 0 and self.decoder_layers == 0:
            yield "encoder_layers=0 and decoder_layers=0 leave no model"
        if self.positions == "rotary" and (self.width // self.heads) % 2:
            head_width = self.width // self.heads
            yield f"positions=rotary needs an even head width, but width={self.width} over heads={self.heads} gives {head_width}"


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
    clip_norm: float = Field(1.0, ge=0, le=1e9, description="largest gradient norm; 0 = no clipping")
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    r_drop: float = Field(0.0, ge=0, le=1000, description="weight of the consistency term (R-Drop, Wu et al. 2021); 0 = off")
    contrastive_temperature: float = Field(
        0.05, gt=0, le=100, description="sentence_embedding: what cosines are divided by in the loss (Gao et al. 2021)"
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
        if self.best_by == "score" and not self.validate_score:
            yield "best_by=score needs validate_score=true"


class DecodingConfig(Section):
    method: Literal["greedy", "beam", "sample"] = "beam"
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
    batch_tokens: int = Field(4096, gt=0, le=MANY, description="padded source tokens translated together")
    seed: int = Field(1, ge=0, lt=1 << 31)
    precision: Literal["auto", "fp32", "bf16", "int8"] = Field("auto", description="int8: fastest on a CPU, a little less exact")
    workers: int | None = Field(None, gt=0, le=1024, description="batches translated side by side; default: one a core")

    def problems(self) -> Iterator[str]:
        if self.method == "beam" and self.n_best > self.beam_size:
            yield f"n_best={self.n_best} is more than beam_size={self.beam_size}"
        if self.minimum_length > self.maximum_length:
            yield f"minimum_length={self.minimum_length} is more than maximum_length={self.maximum_length}"


class NoiseConfig(Section):
    """How text is damaged for pre-training; the model learns to mend it."""

    rate: float = Field(0.15, gt=0, lt=1, description="share of the tokens that are hidden")
    unit: Literal["token", "word", "span"] = Field("token", description="masked_language_model: what is hidden as a whole")
    span_length: float = Field(3.0, ge=1, le=100, description="mean length of a span: words (masked), else tokens")
    deletion_rate: float = Field(0.0, ge=0, lt=1, description="denoising: share of the tokens that vanish without a trace")
    permute_sentences: bool = Field(False, description="denoising: sentences of a document in another order")


class EvaluationConfig(Section):
    bootstrap_samples: int = Field(1000, ge=100, le=1_000_000)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    seed: int = Field(12345, ge=0, lt=1 << 31)
    bleu_tokenize: Literal["13a", "zh", "char", "intl", "none"] | None = Field(None, description="zh for Chinese, else 13a")
