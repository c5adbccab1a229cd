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
from headway.data.tokenizer import FORBIDDEN_IDS, Tokenizer
from headway.errors import HeadwayError, UsageError
from headway.interop.families import FAMILIES
from headway.interop.family import CONFIG, Json
from headway.interop.huggingface import UNUSED, WEIGHTS, rows_there
from headway.interop.pooling import MODULES, POOLING, READING, write_pooling
from headway.interop.surroundings import GENERATION
from headway.interop.tokenizer_files import SIDES, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY
from headway.interop.weights import Rule, to_theirs
from headway.model.layers import sinusoidal_positions
from headway.model_dir import LoadedModel
from headway.model_files import write_directory
from headway.special_ids import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from headway.training.manifest import write_file
from headway.training.tensor_file import tensor_bytes, tensor_chunks

LONGEST = 1024  # positions of a table that is made of sinusoids
FILES = (CONFIG, GENERATION, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY, *SIDES, MODULES, READING, POOLING)
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
    """

    family: str
    config: ModelConfig
    tensors: dict[str, Tensor]
    rows: Tensor

    def weights(self, *, upright: bool = False) -> dict[str, Tensor]:
        """By their names, in float32; `upright`: every matrix with its outputs first, also where they store it turned."""
        family = FAMILIES[self.family]
        rules = _rules(self.family, self.config)
        rules = [one._replace(turned=False) for one in rules] if upright else rules
        prefix = family.prefix if family.task != "sentence_embedding" else ""  # a whole model has one, a body alone has none
        return {f"{prefix}{key}": tensor for key, tensor in to_theirs(rules, self.tensors, self.rows[self.rows >= 0]).items()}


def huggingface_problem(config: Config) -> str | None:
    """Why no family of Hugging Face that Headway knows is such a model; None where one is."""
    if config.media.kind != "text":
        return "the model reads files"
    if config.language_tags:
        return "the model has tags of languages"
    if config.task in WITH_HEAD:
        return "the model has a head"
    try:
        family_of(config.model, "model")
    except UsageError as error:
        return error.problem
    return None


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
    vocabulary = {key for one in _rules(name, config) if one.vocabulary for key in one.ours}
    tensors = {key: tensor[rows >= 0] if key in vocabulary else tensor for key, tensor in tensors.items()}
    return Counterpart(name, config, tensors, rows)


def _rules(family: str, config: ModelConfig) -> list[Rule]:
    return FAMILIES[family].names(config).rules(config.encoder_layers, config.decoder_layers)


def export_model(loaded: LoadedModel, out: Path) -> Exported:
    """Writes the model as a directory of Hugging Face.

    Raises:
        UsageError: no family of theirs computes what the model does, or the directory is there.
    """
    if out.exists():
        raise UsageError("is there already", where=str(out), remedy="name a new directory")
    found, tokenizer = counterpart(loaded), loaded.tokenizers.target
    theirs = found.weights()
    numbers = _numbers(loaded, tokenizer, found.rows)
    settings = FAMILIES[found.family].write(found.config)

    def write(aside: Path) -> None:
        write_file(aside / WEIGHTS, tensor_chunks(theirs))
        never = _never_written(numbers, found.rows) if found.config.decoder_layers else []
        whole = {**settings, "vocab_size": int((found.rows >= 0).sum())}
        _write_settings(aside, found.family, whole, numbers, never, found.config)
        if isinstance(tokenizer, SideTokenizer):
            _write_sides(aside, found.rows, loaded)
        else:
            _write_tokenizer(aside, tokenizer, found.rows, loaded)
        if loaded.config.task == "sentence_embedding":
            write_pooling(aside, loaded.config)

    write_directory(out, write, names=FILES, proof=CONFIG, what="exported model", needed=tensor_bytes(theirs))
    return Exported(out, found.family, loaded.config.data.preprocessing)


def _numbers(loaded: LoadedModel, tokenizer: Tokenizer, rows: Tensor) -> Json:
    """The numbers there of special pieces, by the names of their settings; None for one that they do not have."""
    pad, begin, end = (int(rows[number]) if rows[number] >= 0 else None for number in (PAD_ID, BOS_ID, EOS_ID))
    start = loaded.config.tokenizer.special_numbers[-1] if loaded.config.tokenizer.special_numbers else BOS_ID
    found: Json = {"pad_token_id": pad, "bos_token_id": begin, "eos_token_id": end}
    if loaded.config.model.encoder_layers and loaded.config.model.decoder_layers:
        found |= {"decoder_start_token_id": start, "forced_bos_token_id": _forced(loaded, tokenizer, rows)}
    return found


def _never_written(numbers: Json, rows: Tensor) -> list[int]:
    """The numbers there of special pieces that no answer of ours may hold, but one that every answer begins with."""
    found = [int(rows[number]) for number in FORBIDDEN_IDS if rows[number] >= 0]
    return [number for number in found if number != numbers.get("forced_bos_token_id")]


def _forced(loaded: LoadedModel, tokenizer: Tokenizer, rows: Tensor) -> int | None:
    """The number there of the piece that every answer begins with. Raises UsageError where there are several."""
    pieces = loaded.config.tokenizer.before_target
    if len(pieces) > 1:
        problem = f"begins every answer with {len(pieces)} pieces, and models of Hugging Face with one at most"
        raise UsageError(problem, where="tokenizer.before_target")
    return int(rows[tokenizer.vocabulary.index(pieces[0])]) if pieces else None


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


def _write_settings(aside: Path, name: str, settings: Json, numbers: Json, never: list[int], config: ModelConfig) -> None:
    both = bool(config.encoder_layers and config.decoder_layers)
    generation = {key: value for key, value in numbers.items() if value is not None}
    generation |= {"encoder_no_repeat_ngram_size": 0} if both else {}
    whole = {
        "architectures": [FAMILIES[name].architecture],
        "model_type": name,
        "dtype": "float32",
        "is_encoder_decoder": both,
        **settings,
        **numbers,  # null where there is none, or their library takes its own
        **generation,
    }
    never_too = {"suppress_tokens": never} if never else {}
    for file, content in ((CONFIG, whole), (GENERATION, generation | never_too)):
        write_file(aside / file, [json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"])


def _write_tokenizer(aside: Path, tokenizer: Tokenizer, rows: Tensor, loaded: LoadedModel) -> None:
    """The tokenizer with their numbers, and what it puts around a text."""
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
    before, shape = loaded.config.tokenizer.before_source, loaded.config.model
    ends = loaded.config.model.encoder_layers > 0
    content["post_processor"] = _template(loaded.config, pieces[EOS_ID], number_of) if ends else None
    write_file(aside / TOKENIZER, [json.dumps(content, ensure_ascii=False).encode()])
    known = {name: pieces[number] for name, number in NAMES.items() if number_of[pieces[number]] >= 0}
    if ends and before:
        known |= {"cls_token": before[0], "sep_token": pieces[EOS_ID]}
    if "[MASK]" in number_of:
        known |= {"mask_token": "[MASK]"}
    longest = shape.max_positions if shape.has_position_table else loaded.config.data.max_length
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": longest, **known}
    types = ["token_type_ids"] if shape.token_types > 1 else []
    told["model_input_names"] = ["input_ids", *types, "attention_mask"]
    write_file(aside / TOKENIZER_CONFIG, [json.dumps(told, indent=2, ensure_ascii=False).encode() + b"\n"])


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


def _template(config: Config, end: str, number_of: dict[str, int]) -> Json:
    """What stands around a text, and between two."""
    before, second = config.tokenizer.before_source, min(1, max(0, config.model.token_types - 1))
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
