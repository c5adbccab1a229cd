"""The configuration: one typed, closed schema, read from a commented YAML file and dotted overrides.

``load_config("examples/multi30k.yaml", ["model.width=256"])`` returns a frozen `Config` or raises a
`UsageError` that names every mistake at once, each with its file and line, value and nearest valid key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from headway.config_data import (
    LANGUAGE,
    SPLITS,
    Corpus,
    CorpusConfig,
    DataConfig,
    Direction,
    LabelKind,
    NoiseConfig,
    PathText,
    PreprocessingStep,
    Section,
    Split,
    TokenizerConfig,
)
from headway.config_media import OF_MEDIA, WITH_QUESTION, MediaConfig
from headway.config_mistakes import validate
from headway.config_reader import COMMAND_LINE, Document, dump_yaml, parse_yaml, read_document, short
from headway.config_sections import (
    PRESETS,
    DecodingConfig,
    EvaluationConfig,
    LoraConfig,
    ModelConfig,
    TrainingConfig,
    parse_model_part,
)
from headway.config_start import take_shape_of_start
from headway.config_tuning import refuse_search_spaces

__all__ = [
    "CUT_UP_ONCE", "LANGUAGE", "OF_MEDIA", "PRESETS", "SPLITS", "TASK_DEFAULTS", "WITHOUT_TARGET", "WITH_HEAD", "WITH_QUESTION",
    "Config", "Corpus", "CorpusConfig", "DataConfig", "DecodingConfig", "Direction", "EvaluationConfig", "LabelKind",
    "LoraConfig", "MediaConfig", "ModelConfig", "NoiseConfig", "PreprocessingStep", "Split", "TaskName", "TokenizerConfig",
    "TrainingConfig",
    "changed_settings", "config_difference", "config_warnings", "dump_config", "load_config", "parse_config", "parse_model_part",
]  # fmt: skip

TaskName = Literal[
    "translation", "summarisation", "dialogue", "language_model", "masked_language_model", "span_corruption", "denoising",
    "classification", "pair_classification", "tagging", "question_answering", "sentence_embedding",
    "captioning", "visual_question_answering", "multimodal_translation", "speech_recognition", "media_classification",
]  # fmt: skip

# The stacks that a task needs; the others it must do without.
STACKS: dict[str, tuple[str, ...]] = {
    "translation": ("encoder", "decoder"),
    "summarisation": ("encoder", "decoder"),
    "dialogue": ("encoder", "decoder"),
    "language_model": ("decoder",),
    "masked_language_model": ("encoder",),
    "span_corruption": ("encoder", "decoder"),
    "denoising": ("encoder", "decoder"),
    "classification": ("encoder",),
    "pair_classification": ("encoder",),
    "tagging": ("encoder",),
    "question_answering": ("encoder",),
    "sentence_embedding": ("encoder",),
    "captioning": ("encoder", "decoder"),
    "visual_question_answering": ("encoder", "decoder"),
    "multimodal_translation": ("encoder", "decoder"),
    "speech_recognition": ("encoder", "decoder"),
    "media_classification": ("encoder",),
}
# Tasks whose model has a head, which cannot be frozen.
WITH_HEAD = ("classification", "pair_classification", "tagging", "question_answering", "media_classification")

# Tasks on plain text: nothing is to be answered.
WITHOUT_TARGET = ("language_model", "masked_language_model", "span_corruption", "denoising")

# Tasks that count places in the text, or draw one of several answers, so that it is always cut into the same subwords.
CUT_UP_ONCE = (*WITHOUT_TARGET, "tagging", "question_answering", *OF_MEDIA)

# What is left out of a configuration has these values where the task is not translation, and a stack without use has 0 layers.
TASK_DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "summarisation": {"data": {"target_language": "en", "too_long": "cut"}},
    "dialogue": {"data": {"target_language": "en", "too_long": "cut"}},
    "language_model": {
        "training": {"label_smoothing": 0.0, "best_by": "loss", "validate_score": False},
        "decoding": {"method": "sample"},
    },
    "masked_language_model": {"training": {"label_smoothing": 0.0, "best_by": "loss", "validate_score": False}},
    "span_corruption": {"training": {"label_smoothing": 0.0, "best_by": "loss", "validate_score": False}},
    "denoising": {
        "noise": {"rate": 0.3},
        "training": {"label_smoothing": 0.0, "best_by": "loss", "validate_score": False},
    },
    "question_answering": {"data": {"max_length": 384}, "training": {"label_smoothing": 0.0}},
    "tagging": {"training": {"label_smoothing": 0.0}},
    "sentence_embedding": {"data": {"target_language": "en", "too_long": "cut"}, "training": {"label_smoothing": 0.0}},
    **{task: {"data": {"target_language": "en"}, "media": {"kind": kinds[0]}} for task, kinds in OF_MEDIA.items()},
    "multimodal_translation": {"media": {"kind": "image"}},
    "media_classification": {"media": {"kind": "image"}, "training": {"label_smoothing": 0.0}},
}


class Config(Section):
    """Everything that an experiment is made of; relative paths count from the current directory."""

    run_directory: PathText = Field(description="where checkpoints, the model, metrics and reports go")
    task: TaskName = "translation"
    data: DataConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    noise: NoiseConfig = NoiseConfig()
    media: MediaConfig = MediaConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="before")
    @classmethod
    def _fill_from_task(cls, values: Any) -> Any:
        task = values.get("task") if isinstance(values, dict) else None
        if not isinstance(task, str) or task not in STACKS:
            return values
        filled = dict(values)
        own = TASK_DEFAULTS.get(task, {})
        without = {f"{stack}_layers": 0 for stack in ("encoder", "decoder") if stack not in STACKS[task]}
        for section, defaults in {**own, "model": {**without, **own.get("model", {})}}.items():
            given = values.get(section, {})
            filled[section] = {**defaults, **given} if isinstance(given, dict) else given
        return filled

    def problems(self) -> Iterator[str]:
        model, needed = self.model, STACKS[self.task]
        for stack in ("encoder", "decoder"):
            layers = getattr(model, f"{stack}_layers")
            if bool(layers) != (stack in needed):
                wanted = " and ".join(f"{'an' if name == 'encoder' else 'a'} {name}" for name in needed)
                only = "" if len(needed) > 1 else " alone"
                yield f"model.{stack}_layers={layers} does not fit task={self.task}, which needs {wanted}{only}"
        yield from self._target_problems()
        yield from self._media_problems()
        yield from self._embedding_problems()
        yield from self._fine_tuning_problems()
        if self.training.best_by == "score":
            if self.task in WITHOUT_TARGET:
                yield f"training.best_by=score: task={self.task} has no score — set training.best_by=loss, or leave it out"
            elif not self.training.validate_score:
                yield "training.best_by=score needs training.validate_score=true"
        tied = model.tied_embeddings
        if tied in ("all", "inputs") and not self.tokenizer.joint and self.task != "sentence_embedding":
            yield f"model.tied_embeddings={tied} needs one vocabulary, but tokenizer.joint=false; tie decoder or none"
        if model.has_position_table:
            yield from self._position_problems()

    def _position_problems(self) -> Iterator[str]:
        """What is longer than a table of positions; the end of a sentence takes a position too."""
        before, lengths = len(self.tokenizer.before_source) + bool(self.language_tags), {}
        if self.task != "media_classification":
            lengths = {"data.max_length": self.data.max_length, "decoding.maximum_length": self.decoding.maximum_length}
        if self.media.in_order:  # others have tables of their own, or places in rows and columns
            lengths["the positions of media"] = self.media.positions_in_training - (self.media.size is not None)
        for name, longest in lengths.items():
            taken = len(self.tokenizer.before_target) if name.startswith("decoding") else before
            if self.model.max_positions <= longest + taken:
                most, kind = self.model.max_positions, self.model.positions
                yield f"model.max_positions={most} must be above {name}={longest} with model.positions={kind}"

    @property
    def language_tags(self) -> list[str]:
        """The languages that a tag before the source may ask for (Johnson et al. 2017); none where one only is written."""
        targets = list(dict.fromkeys(direction.target for direction in self.data.directions))
        return targets if len(targets) > 1 else []

    @property
    def reads_text(self) -> bool:
        """Whether text is what the encoder reads, or stands beside a file."""
        return self.task not in OF_MEDIA or self.task in WITH_QUESTION

    def in_direction(self, direction: Direction) -> Self:
        """The same configuration for one of several directions; see `DataConfig.in_direction`."""
        return self.model_copy(update={"data": self.data.in_direction(direction)})

    def _target_problems(self) -> Iterator[str]:
        """A side that is missing, or that nothing reads."""
        for name, corpus in ((name, corpus) for split in SPLITS for name, corpus in self.data.written_parts(split).items()):
            if self.task in OF_MEDIA and corpus.path is None:
                yield f"data.{name}.source={short(corpus.source)}: {self.task} reads {{path: a.jsonl, source: its column}}"
            if self.task != "translation":
                ordinary = {"source_language": self.data.source_language, "target_language": self.data.target_language}
                for key, usual in {**ordinary, "both_directions": False}.items():
                    if getattr(corpus, key) != usual:
                        yield f"data.{name}.{key}={short(getattr(corpus, key))} is for task=translation, not task={self.task}"
            if corpus.second is not None and self.task not in ("pair_classification", *WITH_QUESTION):
                yield f"data.{name}.second={short(corpus.second)} is not read by task={self.task} — leave it out"
            elif corpus.second is None and self.task in ("pair_classification", *WITH_QUESTION):
                beside = self.task in WITH_QUESTION
                what = "a text beside each file — name its column" if beside else "two texts — name the column of the second"
                yield f"data.{name}.second=null: task={self.task} reads {what}"
            if self.task in ("dialogue", "question_answering"):
                column = "turns" if self.task == "dialogue" else "context"
                if corpus.path is None or corpus.target is not None:
                    yield f"data.{name}.target={short(corpus.target)}: {self.task} reads {{path: a.jsonl, source: {column}}}"
            elif corpus.target is None and self.task not in WITHOUT_TARGET:
                yield f"data.{name}.target=null: task={self.task} needs what is to be answered — add it"
            elif corpus.target is not None and self.task in WITHOUT_TARGET:
                yield f"data.{name}.target={short(corpus.target)} is not read by task={self.task} — leave it out"
        if self.task == "question_answering" and self.data.preprocessing:
            steps, why = ", ".join(self.data.preprocessing), "answers are spans of the text as it is written"
            yield f"data.preprocessing=[{steps}] is not for task={self.task}: {why} — leave it out"
        if self.task in CUT_UP_ONCE and self.tokenizer.dropout:
            yield f"tokenizer.dropout={self.tokenizer.dropout} is not for task={self.task}: its text is cut up once"

    def _media_problems(self) -> Iterator[str]:
        """What is read that the task has no use for, and what only some tasks can do."""
        kinds = OF_MEDIA.get(self.task, ("text",))
        if self.media.kind not in kinds:
            yield f"media.kind={self.media.kind} does not fit task={self.task}, which reads {' or '.join(kinds)}"
        if self.media.size and self.task in WITH_QUESTION:
            yield f"media.size={list(self.media.size)} is not for task={self.task}, which reads a text beside it — leave it out"
        if self.task != "speech_recognition":
            if self.training.ctc_weight:
                yield f"training.ctc_weight={self.training.ctc_weight} is for task=speech_recognition — leave it out"
            if self.decoding.method == "ctc":
                yield "decoding.method=ctc is for task=speech_recognition — choose greedy, beam or sample"
        elif self.training.ctc_weight and self.tokenizer.before_target:
            yield "training.ctc_weight would spell tokenizer.before_target, which nobody says — leave one of them out"
        elif self.decoding.method == "ctc" and not self.training.ctc_weight:
            yield "decoding.method=ctc needs a model that was trained with training.ctc_weight above 0"

    def _embedding_problems(self) -> Iterator[str]:
        """What only sentence embedding reads, and what it has no use for."""
        embeds = self.task == "sentence_embedding"
        rated = {name: part.rating is not None for name, part in self.data.written_parts("test").items()}
        if embeds and any(rated.values()) and not all(rated.values()):
            missing = next(name for name, has in rated.items() if not has)
            yield f"data.{missing}.rating=null: other parts of the test set have ratings — give each a column of them, or none"
        for split in SPLITS:
            for name, part in self.data.written_parts(split).items():
                if part.rating is not None and not (embeds and split == "test"):
                    alone = f"is for data.test alone: {split} takes every pair for alike"
                    why = alone if embeds else f"is not read by task={self.task}"
                    yield f"data.{name}.rating={short(part.rating)} {why} — leave it out"
        if not embeds:
            return
        if not self.tokenizer.joint:
            yield "tokenizer.joint=false does not fit task=sentence_embedding: one encoder reads both sides — leave it out"
        for key, value in (("label_smoothing", self.training.label_smoothing), ("r_drop", self.training.r_drop)):
            if value:
                yield f"training.{key}={value} is no part of the loss of task=sentence_embedding — leave it out"

    def _fine_tuning_problems(self) -> Iterator[str]:
        """Parts to freeze that are not there or are all there is, and what cannot be had together."""
        freeze, shown = self.training.freeze, f"training.freeze=[{', '.join(self.training.freeze)}]"
        units = set(self._units())
        frozen: set[str] = set()
        for part in freeze:
            stack, layers = parse_model_part(part)
            if layers is None:
                covered = {unit for unit in units if unit.partition(".")[0] == stack}
            else:
                covered = {f"{stack}.{layer}" for layer in layers}
            if not covered or covered - units:
                yield f"{shown}: the model has no {part}; its parts are {', '.join(self._parts())}"
            frozen |= covered
        if units <= frozen:
            yield f"{shown} leaves nothing to learn — take a part out"
        if freeze and self.model.lora:
            yield f"{shown} is not needed with model.lora: all but the adapters and what is new is frozen — leave it out"
        if not self.tokenizer.extend_by:
            return
        extended = f"tokenizer.extend_by={self.tokenizer.extend_by}"
        if not self.model.start_from:
            yield f"{extended} extends the vocabulary of model.start_from, which is not given"
        if "embeddings" in freeze or self.model.lora:
            what = "model.lora" if self.model.lora else shown
            yield f"{extended} adds pieces that have to be learned, but {what} freezes the embeddings — train twice: first these"

    def _units(self) -> Iterator[str]:
        """What can be frozen by itself, and the rest of a stack (its last norm, its position bias) under the stack's name."""
        model = self.model
        yield "embeddings"
        for stack in STACKS[self.task]:
            layers = getattr(model, f"{stack}_layers")
            yield from (f"{stack}.{layer}" for layer in range(layers))
            if layers and (model.norm_place == "pre" or model.positions == "relative"):
                yield stack
        if "decoder" in STACKS[self.task] and model.tied_embeddings in ("none", "inputs"):
            yield "output"
        if self.task in WITH_HEAD:
            yield "head"

    def _parts(self) -> list[str]:
        """The names of what can be frozen, as a user gives them."""
        found = ["embeddings"]
        for stack in STACKS[self.task]:
            found += [stack, f"{stack}.0-{max(0, getattr(self.model, f'{stack}_layers') - 1)}"]
        return [*found, "output"] if "output" in self._units() else found


def load_config(path: str | os.PathLike[str], overrides: Sequence[str] = (), *, paths_as_written: bool = False) -> Config:
    """Reads a YAML file and dotted overrides such as ``model.width=256`` into a `Config`.

    Relative paths in the file count from the current directory; ``~`` and ``$VARIABLE`` are filled in unless
    `paths_as_written`, which reading a model from elsewhere asks for.

    Raises:
        UsageError: the file cannot be read, or it and the overrides hold mistakes; all of them are named at once.
    """
    document = read_document(path, overrides)
    refuse_search_spaces(document)
    refuse_idle_preset(document)
    take_shape_of_start(document, STACKS)
    return validate(Config, document, {"paths_as_written": paths_as_written})


def refuse_idle_preset(document: Document) -> None:
    """A preset on the command line over a file that gives every size itself would be ignored without a word."""
    model = document.values.get("model")
    if document.places.get(("model", "preset")) != COMMAND_LINE or not isinstance(model, dict):
        return
    if all(size in model and document.place(("model", size)) != COMMAND_LINE for size in PRESETS["tiny"]):
        document.mistakes.append(
            f"{COMMAND_LINE}: model.preset: would change nothing, since {document.name} gives every size itself"
            f" — override these or take them out of the file (got {short(model['preset'])})"
        )


def parse_config(text: str, name: str) -> Config:
    """A `Config` from YAML text that `dump_config` wrote; paths are left as written."""
    return validate(Config, parse_yaml(text, name), {"paths_as_written": True})


def dump_config(config: Config) -> str:
    """The whole configuration as YAML, every default written out; loads back equal."""
    return dump_yaml(config.model_dump(mode="json"))


def config_difference(old: Config, new: Config) -> list[str]:
    """One line for each key that differs: ``model.width: 128 → 256``."""
    return [f"{key}: {before} → {after}" for key, (before, after) in changed_settings(old, new).items()]


def changed_settings(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """The dotted keys that differ, with both values."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    keys = dict.fromkeys([*before, *after])
    return {
        key: (before.get(key, "not there"), after.get(key, "not there"))
        for key in keys
        if before.get(key) != after.get(key) or (key in before) != (key in after)
    }


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            flat.update(_flat({f"{key}[{number}]": item for number, item in enumerate(value)}, prefix))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def config_warnings(config: Config) -> list[str]:
    """What may be set so, but is seldom meant."""
    training = config.training
    found = [
        f"training.{name}={every} is more than training.updates={training.updates}: it happens once, at the end"
        for name, every in (("save_every", training.save_every), ("validate_every", training.validate_every))
        if every > training.updates
    ]
    if config.task == "sentence_embedding" and training.accumulation > 1:
        found.append(
            f"training.accumulation={training.accumulation}: each micro-batch is compared with itself alone, so there are "
            "fewer texts to tell apart; a larger training.batch_tokens gives more"
        )
    if config.evaluation.bleu_tokenize is not None and config.language_tags:
        found.append(
            f"evaluation.bleu_tokenize={config.evaluation.bleu_tokenize} will be used for {', '.join(config.language_tags)}"
            " alike: left out, it is chosen for each language"
        )
    if training.freeze and not config.model.start_from:
        found.append("training.freeze without model.start_from: these parts keep the random weights they begin with")
    if training.batch_tokens < config.data.max_length:
        found.append(
            f"training.batch_tokens={training.batch_tokens} is less than data.max_length={config.data.max_length}: "
            "a longer pair is a batch by itself, and larger than asked for"
        )
    return found
