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
from headway.data.tokenizer import FORBIDDEN_IDS, SPECIAL_TOKENS, Tokenizer
from headway.errors import HeadwayError, UsageError
from headway.interop.families import FAMILIES
from headway.interop.family import CONFIG, Json
from headway.interop.huggingface import UNUSED, WEIGHTS, rows_there
from headway.interop.pooling import MODULES, POOLING, READING, write_pooling
from headway.interop.surroundings import GENERATION, TOKENIZER, TOKENIZER_CONFIG
from headway.interop.weights import to_theirs
from headway.model.layers import sinusoidal_positions
from headway.model_dir import LoadedModel
from headway.model_files import write_directory
from headway.special_ids import BOS_ID, EOS_ID, PAD_ID
from headway.training.manifest import write_file
from headway.training.tensor_file import tensor_bytes, tensor_chunks

LONGEST = 1024  # positions of a table that is made of sinusoids
FILES = (CONFIG, GENERATION, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG, MODULES, READING, POOLING)
FAMILIES_OF_OURS = {("encoder", "decoder"): ("blenderbot",), ("decoder",): ("gpt2", "llama"), ("encoder",): ()}


@dataclass(frozen=True)
class Exported:
    directory: Path
    family: str
    preprocessing: Sequence[str]  # steps that stand in no file of theirs


def export_model(loaded: LoadedModel, out: Path) -> Exported:
    """Writes the model as a directory of Hugging Face.

    Raises:
        UsageError: no family of theirs computes what the model does, or the directory is there.
    """
    if loaded.config.media.kind != "text" or loaded.config.language_tags or loaded.model.head is not None:
        what = "has a head" if loaded.model.head is not None else "has tags of languages"
        what = what if loaded.config.media.kind == "text" else "reads files"
        raise UsageError(f"the model {what}, and no family of Hugging Face that Headway knows does", where=str(loaded.directory))
    if out.exists():
        raise UsageError("is there already", where=str(out), remedy="name a new directory")
    config, tensors = loaded.config.model, dict(loaded.model.state_dict())
    name, config, tensors = _family_of(config, tensors, str(loaded.directory))
    family, tokenizer = FAMILIES[name], loaded.tokenizers.target
    rows = rows_there(loaded.config.tokenizer.special_numbers, tokenizer.vocabulary_size)
    known = rows >= 0
    rules = family.names(config).rules(config.encoder_layers, config.decoder_layers)
    vocabulary = {key for one in rules if one.vocabulary for key in one.ours}
    tensors = {key: tensor[known] if key in vocabulary else tensor for key, tensor in tensors.items()}
    prefix = family.prefix if family.task != "sentence_embedding" else ""  # a whole model has one, a body alone has none
    theirs = {f"{prefix}{key}": tensor for key, tensor in to_theirs(rules, tensors, rows[known]).items()}
    numbers = _numbers(loaded, tokenizer, rows)
    settings = family.write(config)

    def write(aside: Path) -> None:
        write_file(aside / WEIGHTS, tensor_chunks(theirs))
        never = _never_written(numbers, rows) if config.decoder_layers else None
        _write_settings(aside, name, {**settings, "vocab_size": int(known.sum())}, numbers, never, config)
        _write_tokenizer(aside, tokenizer, rows, loaded)
        if loaded.config.task == "sentence_embedding":
            write_pooling(aside, loaded.config)

    write_directory(out, write, names=FILES, proof=CONFIG, what="exported model", needed=tensor_bytes(theirs))
    return Exported(out, name, loaded.config.data.preprocessing)


def _numbers(loaded: LoadedModel, tokenizer: Tokenizer, rows: Tensor) -> Json:
    """The numbers there of special pieces, by the names of their settings; None for one that they do not have."""
    pad, begin, end = (int(rows[number]) if rows[number] >= 0 else None for number in (PAD_ID, BOS_ID, EOS_ID))
    start = loaded.config.tokenizer.special_numbers[-1] if loaded.config.tokenizer.special_numbers else BOS_ID
    found = {"pad_token_id": pad, "bos_token_id": begin, "eos_token_id": end}
    if loaded.config.model.encoder_layers and loaded.config.model.decoder_layers:
        found |= {"decoder_start_token_id": start, "forced_bos_token_id": _forced(loaded, tokenizer, rows)}
    return found


def _never_written(numbers: Json, rows: Tensor) -> list[int] | None:
    """The numbers there of special pieces that no answer of ours may hold, but one that every answer begins with."""
    found = [int(rows[number]) for number in FORBIDDEN_IDS if rows[number] >= 0]
    return [number for number in found if number != numbers.get("forced_bos_token_id")] or None


def _forced(loaded: LoadedModel, tokenizer: Tokenizer, rows: Tensor) -> int | None:
    """The number there of the piece that every answer begins with. Raises UsageError where there are several."""
    pieces = loaded.config.tokenizer.before_target
    if len(pieces) > 1:
        problem = f"begins every answer with {len(pieces)} pieces, and models of Hugging Face with one at most"
        raise UsageError(problem, where="tokenizer.before_target")
    return int(rows[tokenizer.vocabulary.index(pieces[0])]) if pieces else None


def _family_of(config: ModelConfig, tensors: dict[str, Tensor], where: str) -> tuple[str, ModelConfig, dict[str, Tensor]]:
    """The family that computes the same, and the model as it has it. Raises UsageError."""
    reasons = []
    if config.family is not None:
        return config.family, config, tensors
    stacks = tuple(stack for stack in ("encoder", "decoder") if getattr(config, f"{stack}_layers"))
    for name in FAMILIES_OF_OURS[stacks]:
        changed, made = _as_theirs(config, tensors, name)
        try:
            FAMILIES[name].write(changed)
        except HeadwayError as error:
            reasons.append(error.problem)
            continue
        return name, changed, made
    told = "; ".join(reasons) or "an encoder that normalises before its layers is none of theirs"
    remedy = "docs/huggingface.md has a table of what can go there; such a setting must be chosen before training"
    raise UsageError(f"no family of Hugging Face computes this: {told}", where=where, remedy=remedy)


def _as_theirs(config: ModelConfig, tensors: dict[str, Tensor], name: str) -> tuple[ModelConfig, dict[str, Tensor]]:
    """The same model with other switches: sinusoids as a table, and what embeddings are multiplied by in the weights."""
    changes: Json = {"output_bias": name == "blenderbot"}
    made = dict(tensors)
    if name == "blenderbot":
        made.setdefault("output_bias", torch.zeros(len(made["target_embedding.tokens.weight"])))
    if config.positions == "sinusoidal" and name != "llama":
        changes |= {"positions": "learned", "max_positions": LONGEST}
        table = sinusoidal_positions(torch.arange(LONGEST), config.width)
        sides = ("source", "target") if config.encoder_layers else ("target",)
        made |= {f"{side}_embedding.learned.weight": table for side in sides}
    if not config.encoder_layers and config.embedding_scale:
        scale = config.width**0.5
        changes |= {"embedding_scale": False, "tied_embeddings": "none" if config.tied_embeddings == "none" else "decoder"}
        made["target_embedding.tokens.weight"] = scale * made["target_embedding.tokens.weight"]
        if config.tied_embeddings != "none":  # the output reads the same table
            made |= {key: tensor / scale for key, tensor in made.items() if key.startswith("decoder_norm.")}
    return config.model_copy(update=changes), made


def _write_settings(aside: Path, name: str, settings: Json, numbers: Json, never: list[int] | None, config: ModelConfig) -> None:
    both = bool(config.encoder_layers and config.decoder_layers)
    generation = {**numbers, **({"encoder_no_repeat_ngram_size": 0} if both else {})}
    whole = {
        "architectures": [FAMILIES[name].architecture],
        "model_type": name,
        "dtype": "float32",
        "is_encoder_decoder": both,
        **settings,
        **generation,
    }
    for file, content in ((CONFIG, whole), (GENERATION, {**generation, "suppress_tokens": never})):
        told = {key: value for key, value in content.items() if value is not None}
        write_file(aside / file, [json.dumps(told, indent=2, sort_keys=True).encode() + b"\n"])


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
    names = {"pad_token": PAD_ID, "bos_token": BOS_ID, "eos_token": EOS_ID, "unk_token": len(SPECIAL_TOKENS) - 1}
    known = {name: pieces[number] for name, number in names.items() if number_of[pieces[number]] >= 0}
    if ends and before:
        known |= {"cls_token": before[0], "sep_token": pieces[EOS_ID]}
    if "[MASK]" in number_of:
        known |= {"mask_token": "[MASK]"}
    longest = shape.max_positions if shape.has_position_table else loaded.config.data.max_length
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": longest, **known}
    types = ["token_type_ids"] if shape.token_types > 1 else []
    told["model_input_names"] = ["input_ids", *types, "attention_mask"]
    write_file(aside / TOKENIZER_CONFIG, [json.dumps(told, indent=2, ensure_ascii=False).encode() + b"\n"])


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
