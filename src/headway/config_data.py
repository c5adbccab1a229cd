"""What a section of the configuration is, and the sections on what enters: data, tokenizer, noise."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple, Self

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

    path: PathText | None = Field(
        None, description="a .tsv, .csv, .jsonl or .parquet file, or a folder of media; leave it out for line files"
    )
    source: str | ColumnNumber = Field(description="what is read: a text file, or a column of `path`: its name, or number from 0")
    second: str | ColumnNumber | None = Field(
        None, description="the column of a second text: another sentence, or what is asked of a file"
    )
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
    extend_by: int = Field(
        0, ge=0, le=1 << 24, description="new pieces at most that the vocabulary of model.start_from gets from the training data"
    )

    before_source: list[str] = Field(
        default_factory=list, max_length=8, description="pieces that the encoder reads before each text (BERT: [CLS])"
    )

    before_target: list[str] = Field(
        default_factory=list,
        max_length=8,
        description="pieces that every answer begins with (BART: <s>; NLLB: a language)",
    )
    ends_between: int = Field(
        1, ge=1, le=2, description="ends of sentence between two texts that are read together (RoBERTa, BART: 2)"
    )
    special_numbers: list[int] = Field(
        default_factory=list,
        max_length=5,
        description="in an imported model, of padding, begin, end, unknown (-1: it has none), and of what answers start with",
    )

    def problems(self) -> Iterator[str]:
        if self.extend_by and self.path:
            yield f"extend_by={self.extend_by} extends the tokenizer of model.start_from, not path={self.path} — leave path out"
        if self.bytes == "level" and self.kind != "bpe":
            yield f"bytes=level needs kind=bpe, not {self.kind}"
        if self.bytes == "fallback" and self.kind not in ("bpe", "unigram"):
            yield f"bytes=fallback needs kind=bpe or unigram, not {self.kind}"
        if self.blanks == "all" and self.kind != "character" and self.bytes != "level":
            yield f"blanks=all needs kind=character or bytes=level, not kind={self.kind}"
        if self.dropout and self.kind in ("word", "character"):
            yield f"dropout={self.dropout} needs subwords; kind={self.kind} has none"


class NoiseConfig(Section):
    """How text is damaged for pre-training; the model learns to mend it."""

    rate: float = Field(0.15, gt=0, lt=1, description="share of the tokens that are hidden")
    unit: Literal["token", "word", "span"] = Field("token", description="masked_language_model: what is hidden as a whole")
    span_length: float = Field(3.0, ge=1, le=100, description="mean length of a span: words (masked), else tokens")
    deletion_rate: float = Field(0.0, ge=0, lt=1, description="denoising: share of the tokens that vanish without a trace")
    permute_sentences: bool = Field(False, description="denoising: sentences of a document in another order")
