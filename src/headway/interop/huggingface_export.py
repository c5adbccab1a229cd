"""A model of ours as a directory of Hugging Face: config.json, generation_config.json, model.safetensors, tokenizer files.

A model that was imported goes back to its own family, with the numbers that its pieces had there. One of ours goes to the
family whose arithmetic it shares: an encoder with a decoder to Blenderbot's, a language model to GPT-2's or Llama's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from headway.config import Config, ModelConfig
from headway.data.shared_vocabulary import SideTokenizer
from headway.data.tokenizer import FORBIDDEN_IDS
from headway.errors import HeadwayError, UsageError
from headway.interop.answers import write_labels
from headway.interop.families import FAMILIES
from headway.interop.family import CONFIG, Json
from headway.interop.huggingface import UNUSED, WEIGHTS, rows_there
from headway.interop.media_families import PROCESSOR
from headway.interop.pooling import MODULES, POOLING, READING, write_pooling
from headway.interop.prompts import write_prompt
from headway.interop.surroundings import GENERATION
from headway.interop.tokenizer_files import SIDES, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY
from headway.interop.weights import SAME, TURNED, to_theirs
from headway.model.layers import sinusoidal_positions
from headway.model_dir import LoadedModel
from headway.model_files import refuse_existing, write_directory
from headway.special_ids import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from headway.training.manifest import write_file
from headway.training.tensor_file import tensor_bytes, tensor_chunks

LONGEST = 1024  # positions of a table that is made of sinusoids
FILES = (
    CONFIG, GENERATION, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY, *SIDES, MODULES, READING, POOLING, PROCESSOR,
)  # fmt: skip
NAMES = {"pad_token": PAD_ID, "bos_token": BOS_ID, "eos_token": EOS_ID, "unk_token": UNK_ID}
WITH_HEAD = ("classification", "pair_classification", "tagging", "question_answering", "media_classification")
FAMILIES_OF_OURS = {("encoder", "decoder"): ("blenderbot",), ("decoder",): ("gpt2", "llama"), ("encoder",): ()}


@dataclass(frozen=True)
class Exported:
    directory: Path
    family: str
    preprocessing: Sequence[str]  # steps that stand in no file of theirs


@dataclass(frozen=True)
class Counterpart:
    """A model of ours as a family of theirs has it.

    Attributes:
        config: its switches there.
        tensors: by our names; of vocabularies only the rows that are there.
        rows: the row there of each piece of ours, -1 for none.
        head: whether it has the head of a classifier.
    """

    family: str
    config: ModelConfig
    tensors: dict[str, Tensor]
    rows: Tensor
    head: bool

    @property
    def architecture(self) -> str:
        """The class there."""
        family = FAMILIES[self.family]
        return family.architecture if self.head or not family.headless else family.headless

    def weights(self, *, upright: bool = False) -> dict[str, Tensor]:
        """By their names, in float32; `upright`: every matrix with its outputs first, also where they store it turned."""
        family = FAMILIES[self.family]
        rules = family.rules(self.config, head=self.head)
        rules = [one._replace(form=SAME) if upright and one.form is TURNED else one for one in rules]
        found = to_theirs(rules, self.tensors, self.rows[self.rows >= 0])
        is_body = family.task == "sentence_embedding" or self.architecture == family.headless  # a whole model has a prefix
        outside = {name for one in family.head for name in one.theirs}
        return {key if is_body or key in outside else f"{family.prefix}{key}": tensor for key, tensor in found.items()}


def huggingface_problem(config: Config) -> str | None:
    """Why no family of Hugging Face that Headway knows is such a model; None where one is."""
    family = FAMILIES[config.model.family] if config.model.family else None
    if config.media.kind != "text" and (family is None or family.door is None):
        return "the model reads files"
    if config.media.kind == "text" and family is not None and family.door is not None:
        return f"the model reads no files, and {family.architecture} does"
    if config.language_tags:
        return "the model has tags of languages"
    if config.task in WITH_HEAD and not (family is not None and family.head):
        return "the model has a head"
    try:
        _settings(config, *family_of(config.model, "model"))
    except HeadwayError as error:
        return error.problem
    return None


def _settings(config: Config, name: str, switches: ModelConfig) -> tuple[Json, Json | None]:
    """What config.json and, where files are read, preprocessor_config.json say of the model and its switches there.

    Raises ModelError for what no model of the family does.
    """
    door = FAMILIES[name].door
    seen, processor = door.write(config.media) if door is not None else ({}, None)
    return FAMILIES[name].write(switches, seen), processor


def counterpart(loaded: LoadedModel) -> Counterpart:
    """The model as the family has it that computes the same. Raises UsageError where there is none."""
    if problem := huggingface_problem(loaded.config):
        remedy = "docs/huggingface.md has a table of what can go there; such a setting must be chosen before training"
        raise UsageError(f"cannot be written for Hugging Face: {problem}", where=str(loaded.directory), remedy=remedy)
    ours = loaded.config.model
    name, config = family_of(ours, str(loaded.directory))
    tensors = dict(loaded.model.state_dict())
    tensors = tensors if ours.family is not None else _as_theirs(ours, tensors, name)
    rows = rows_there(loaded.config.tokenizer.special_numbers, loaded.tokenizers.target.vocabulary_size)
    vocabulary = {key for one in FAMILIES[name].rules(config) if one.vocabulary for key in one.ours}
    tensors = {key: tensor[rows >= 0] if key in vocabulary else tensor for key, tensor in tensors.items()}
    return Counterpart(name, config, tensors, rows, head=loaded.model.head is not None)


def export_to_huggingface(loaded: LoadedModel, out: Path) -> Exported:
    """Writes the model as a directory of Hugging Face.

    Raises:
        UsageError: no family of theirs computes what the model does, or the directory is there.
    """
    refuse_existing(out)
    found = counterpart(loaded)
    theirs = found.weights()
    settings, processor = _settings(loaded.config, found.family, found.config)
    told = {**settings, "architectures": [found.architecture], "model_type": found.family}
    if loaded.tokenizers.labels is not None:
        told |= write_labels(loaded.tokenizers.labels)
    with_text = loaded.config.reads_text or bool(found.config.decoder_layers)  # else its tokenizer is idle
    numbers = _numbers(loaded, found.rows) if with_text else {}
    asked = _asked(loaded, found, numbers) if found.config.decoder_layers else {}

    def write(aside: Path) -> None:
        write_file(aside / WEIGHTS, tensor_chunks(theirs))
        if processor is not None:
            _write_json(aside / PROCESSOR, processor)
        if not with_text:
            _write_json(aside / CONFIG, {**told, "dtype": "float32"})
            return
        _write_settings(aside, {**told, "vocab_size": int((found.rows >= 0).sum())}, numbers, asked, found.config)
        if isinstance(loaded.tokenizers.target, SideTokenizer):
            _write_sides(aside, found.rows, loaded)
        else:
            _write_tokenizer(aside, found.rows, loaded)
        if loaded.config.task == "sentence_embedding":
            write_pooling(aside, loaded.config)

    write_directory(out, write, names=FILES, proof=CONFIG, what="exported model", needed=tensor_bytes(theirs))
    return Exported(out, found.family, loaded.config.data.preprocessing)


def _numbers(loaded: LoadedModel, rows: Tensor) -> Json:
    """The numbers there of special pieces, by the names of their settings; None for one that they do not have."""
    pad, begin, end = (int(rows[number]) if rows[number] >= 0 else None for number in (PAD_ID, BOS_ID, EOS_ID))
    start = loaded.config.tokenizer.special_numbers[-1] if loaded.config.tokenizer.special_numbers else BOS_ID
    found: Json = {"pad_token_id": pad, "bos_token_id": begin, "eos_token_id": end}
    if _writes_speech(loaded.config):  # Whisper has one piece for all of them
        found = dict.fromkeys(found, end) | {"decoder_start_token_id": start}
    elif loaded.config.model.encoder_layers and loaded.config.model.decoder_layers:
        found |= {"decoder_start_token_id": start, "forced_bos_token_id": _forced(loaded, rows)}
    return found


def _asked(loaded: LoadedModel, found: Counterpart, numbers: Json) -> Json:
    """What an answer begins with and may not have, as generation_config.json alone tells it.

    Special pieces that no answer of ours has are told too, but one that every answer begins with.
    """
    number_of = dict(zip(loaded.tokenizers.target.vocabulary, found.rows.tolist(), strict=True))
    decoding, speech = loaded.config.decoding, _writes_speech(loaded.config)
    asked = write_prompt(loaded.config.tokenizer.before_target, number_of) if speech else {}
    never = [*decoding.never, *(loaded.tokenizers.target.vocabulary[number] for number in FORBIDDEN_IDS)]
    for name, pieces in (("suppress_tokens", never), ("begin_suppress_tokens", decoding.never_first)):
        known = dict.fromkeys(number_of.get(piece, -1) for piece in pieces)
        told = [number for number in known if number >= 0 and number != numbers.get("forced_bos_token_id")]
        if told or speech:  # whose own would be others
            asked[name] = told
    return asked


def _writes_speech(config: Config) -> bool:
    return config.task == "speech_recognition"


def _forced(loaded: LoadedModel, rows: Tensor) -> int | None:
    """The number there of the piece that every answer begins with. Raises UsageError where there are several."""
    pieces = loaded.config.tokenizer.before_target
    if len(pieces) > 1:
        problem = f"begins every answer with {len(pieces)} pieces, and models of Hugging Face with one at most"
        raise UsageError(problem, where="tokenizer.before_target")
    return int(rows[loaded.tokenizers.target.vocabulary.index(pieces[0])]) if pieces else None


def family_of(config: ModelConfig, where: str) -> tuple[str, ModelConfig]:
    """The family that computes the same, and the switches of the model there. Raises UsageError."""
    reasons = []
    if config.family is not None:
        return config.family, config
    stacks = tuple(stack for stack in ("encoder", "decoder") if getattr(config, f"{stack}_layers"))
    for name in FAMILIES_OF_OURS[stacks]:
        changed = _switched(config, name)
        try:
            FAMILIES[name].write(changed)
        except HeadwayError as error:
            reasons.append(error.problem)
            continue
        return name, changed
    told = "; ".join(reasons) or "an encoder that normalises before its layers is none of theirs"
    raise UsageError(f"no family of Hugging Face computes this: {told}", where=where)


def _becomes_table(config: ModelConfig, name: str) -> bool:
    return config.positions == "sinusoidal" and name != "llama"


def _scaled_inside(config: ModelConfig) -> bool:
    """Whether what embeddings are multiplied by goes into the weights."""
    return not config.encoder_layers and config.embedding_scale


def _output_is_tied(config: ModelConfig) -> bool:
    return config.tied_embeddings in ("decoder", "all")


def _switched(config: ModelConfig, name: str) -> ModelConfig:
    """The switches of a model whose tensors are those of `_as_theirs`."""
    changes: Json = {"output_bias": name == "blenderbot"}
    if _becomes_table(config, name):
        changes |= {"positions": "learned", "max_positions": LONGEST}
    if _scaled_inside(config):
        changes |= {"embedding_scale": False}
    if not config.encoder_layers:
        changes |= {"tied_embeddings": "decoder" if _output_is_tied(config) else "none"}
    return config.model_copy(update=changes)


def _as_theirs(config: ModelConfig, tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The same model with other switches: sinusoids as a table, and what embeddings are multiplied by in the weights."""
    made = dict(tensors)
    if name == "blenderbot":
        made.setdefault("output_bias", torch.zeros(len(made["target_embedding.tokens.weight"])))
    if _becomes_table(config, name):
        table = sinusoidal_positions(torch.arange(LONGEST), config.width)
        sides = ("source", "target") if config.encoder_layers else ("target",)
        made |= {f"{side}_embedding.learned.weight": table for side in sides}
    if _scaled_inside(config):
        scale = config.width**0.5
        made["target_embedding.tokens.weight"] = scale * made["target_embedding.tokens.weight"]
        if _output_is_tied(config):  # the output reads the same table
            made |= {key: tensor / scale for key, tensor in made.items() if key.startswith("decoder_norm.")}
    return made


def _write_settings(aside: Path, settings: Json, numbers: Json, asked: Json, config: ModelConfig) -> None:
    both = bool(config.encoder_layers and config.decoder_layers)
    generation = {key: value for key, value in numbers.items() if value is not None}
    generation |= {"encoder_no_repeat_ngram_size": 0} if both else {}
    whole = {
        "dtype": "float32",
        "is_encoder_decoder": both,
        **settings,
        **numbers,  # null where there is none, or their library takes its own
        **generation,
    }
    for file, content in ((CONFIG, whole), (GENERATION, generation | asked)):
        _write_json(aside / file, content)


def _write_json(path: Path, content: Json) -> None:
    write_file(path, [json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"])


def _write_tokenizer(aside: Path, rows: Tensor, loaded: LoadedModel) -> None:
    """The tokenizer with their numbers, and what it puts around a text."""
    tokenizer = loaded.tokenizers.target
    content = json.loads(json.dumps(tokenizer.content))
    number_of = dict(zip(tokenizer.vocabulary, rows.tolist(), strict=True))
    model = content["model"]
    if model["type"] == "Unigram":
        scores = dict(model["vocab"])
        inside = sorted(scores, key=number_of.__getitem__)
        model["vocab"] = [[piece, scores[piece]] for piece in inside if number_of[piece] >= 0]
        model["unk_id"] = number_of[tokenizer.vocabulary[3]]
    else:
        model["vocab"] = {piece: number_of[piece] for piece in model["vocab"] if number_of[piece] >= 0}
    added = [token | {"id": number_of[token["content"]]} for token in content["added_tokens"]]
    spare = UNUSED.partition("{")[0]
    added = [token for token in added if token["id"] >= 0 and not token["content"].startswith(spare)]
    content["added_tokens"] = sorted(added, key=lambda token: int(token["id"]))
    pieces = tokenizer.vocabulary
    around, shape, writes_speech = loaded.config.tokenizer, loaded.config.model, _writes_speech(loaded.config)
    before = around.before_source
    if writes_speech:  # what its tokenizer is used for
        start = next(piece for piece, number in number_of.items() if number == around.special_numbers[-1])
        before = [start, *around.before_target]
    ends = loaded.config.model.encoder_layers > 0
    content["post_processor"] = _template(before, loaded.config, pieces[EOS_ID], number_of) if ends else None
    write_file(aside / TOKENIZER, [json.dumps(content, ensure_ascii=False).encode()])
    known = {name: pieces[number] for name, number in NAMES.items() if number_of[pieces[number]] >= 0}
    if ends and before and not writes_speech:
        known |= {"cls_token": before[0], "sep_token": pieces[EOS_ID]}
    if "[MASK]" in number_of:
        known |= {"mask_token": "[MASK]"}
    longest = shape.max_positions if shape.has_position_table else loaded.config.data.max_length
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": longest, **known}
    if writes_speech:
        told |= _of_whisper(write_prompt(around.before_target, number_of), pieces[EOS_ID])
    types = ["token_type_ids"] if shape.token_types > 1 else []
    told["model_input_names"] = ["input_ids", *types, "attention_mask"]
    write_file(aside / TOKENIZER_CONFIG, [json.dumps(told, indent=2, ensure_ascii=False).encode() + b"\n"])


def _of_whisper(asked: Json, end: str) -> Json:
    """What tokenizer_config.json says of Whisper's tokenizer, which has one special piece for all."""
    prompt = {"language": asked["language"].strip("<|>"), "task": asked["task"]} if "language" in asked else {}
    pieces = dict.fromkeys(("pad_token", "bos_token", "eos_token", "unk_token"), end)
    return {"tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor", **pieces, **prompt}


def _write_sides(aside: Path, rows: Tensor, loaded: LoadedModel) -> None:
    """Marian's three files: both models as they came, and the numbers of their pieces."""
    pieces = loaded.tokenizers.target.vocabulary
    for name, side in zip(SIDES, (loaded.tokenizers.source, loaded.tokenizers.target), strict=True):
        assert isinstance(side, SideTokenizer)
        write_file(aside / name, [side.model])
    spare = UNUSED.partition("{")[0]
    found = {piece: row for piece, row in zip(pieces, rows.tolist(), strict=True) if row >= 0 and not piece.startswith(spare)}
    told = {
        "tokenizer_class": "MarianTokenizer",
        "model_max_length": loaded.config.model.max_positions,
        "separate_vocabs": False,
        **{name: pieces[number] for name, number in NAMES.items() if name != "bos_token"},
    }
    for name, content in ((VOCABULARY, dict(sorted(found.items(), key=lambda one: one[1]))), (TOKENIZER_CONFIG, told)):
        write_file(aside / name, [json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"])


def _template(before: list[str], config: Config, end: str, number_of: dict[str, int]) -> Json:
    """What stands around a text, and between two."""
    second = min(1, max(0, config.model.token_types - 1))
    opening = [{"SpecialToken": {"id": piece, "type_id": 0}} for piece in before]

    def text(name: str, kind: int, ends: int = 1) -> list[Json]:
        return [{"Sequence": {"id": name, "type_id": kind}}, *[{"SpecialToken": {"id": end, "type_id": kind}}] * ends]

    tokens = {piece: {"id": piece, "ids": [number_of[piece]], "tokens": [piece]} for piece in [*before, end]}
    return {
        "type": "TemplateProcessing",
        "single": [*opening, *text("A", 0)],
        "pair": [*opening, *text("A", 0, config.tokenizer.ends_between), *text("B", second)],
        "special_tokens": tokens,
    }
