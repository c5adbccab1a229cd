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

from headway.config import ModelConfig
from headway.data.tokenizer import SPECIAL_TOKENS, Tokenizer
from headway.errors import HeadwayError, UsageError
from headway.interop.answers import write_labels
from headway.interop.families import FAMILIES
from headway.interop.family import CONFIG, Family, Json
from headway.interop.huggingface import UNUSED, WEIGHTS, rows_there
from headway.interop.media_families import PROCESSOR
from headway.interop.prompts import write_prompt
from headway.interop.surroundings import GENERATION, TOKENIZER, TOKENIZER_CONFIG
from headway.interop.weights import to_theirs
from headway.model.layers import sinusoidal_positions
from headway.model_dir import LoadedModel
from headway.model_files import write_directory
from headway.special_ids import BOS_ID, EOS_ID, PAD_ID
from headway.training.manifest import write_file
from headway.training.tensor_file import tensor_bytes, tensor_chunks

LONGEST = 1024  # positions of a table that is made of sinusoids
FILES = (CONFIG, GENERATION, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG, PROCESSOR)
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
    if out.exists():
        raise UsageError("is there already", where=str(out), remedy="name a new directory")
    config, tensors = loaded.config.model, dict(loaded.model.state_dict())
    name, config, tensors = _family_of(loaded, config, tensors)
    family, tokenizer, head = FAMILIES[name], loaded.tokenizers.target, loaded.model.head is not None
    _refuse_more(loaded, family)
    seen, processor = family.door.write(loaded.config.media) if family.door else ({}, None)
    settings = family.write(config, seen)
    rows = rows_there(loaded.config.tokenizer.special_numbers, tokenizer.vocabulary_size)
    known = rows >= 0
    rules = family.rules(config, head=head)
    vocabulary = {key for one in rules if one.vocabulary for key in one.ours}
    tensors = {key: tensor[known] if key in vocabulary else tensor for key, tensor in tensors.items()}
    is_body = family.task == "sentence_embedding" or (family.body is not None and not head)  # which has no prefix
    outside = {key for one in family.head for key in one.theirs}
    theirs = {
        key if is_body or key in outside else f"{family.prefix}{key}": tensor
        for key, tensor in to_theirs(rules, tensors, rows[known]).items()
    }
    told = {**settings, "architectures": [family.body if is_body and family.body else family.architecture], "model_type": name}
    if loaded.tokenizers.labels is not None:
        told |= write_labels(loaded.tokenizers.labels)
    numbers = _numbers(loaded, tokenizer, rows, family) if reads_or_writes(loaded) else None
    asked = _asked(loaded, tokenizer, rows, family)

    def write(aside: Path) -> None:
        write_file(aside / WEIGHTS, tensor_chunks(theirs))
        if processor is not None:
            _write_json(aside / PROCESSOR, processor)
        if numbers is None:
            _write_json(aside / CONFIG, {**told, "dtype": "float32"})
            return
        _write_settings(aside, told, numbers, asked, int(known.sum()), config)
        _write_tokenizer(aside, tokenizer, rows, loaded, family)

    write_directory(out, write, names=FILES, proof=CONFIG, what="exported model", needed=tensor_bytes(theirs))
    return Exported(out, name, loaded.config.data.preprocessing)


def reads_or_writes(loaded: LoadedModel) -> bool:
    """Whether text is read or written: else its tokenizer is idle."""
    return loaded.config.reads_text or bool(loaded.config.model.decoder_layers)


def _refuse_more(loaded: LoadedModel, family: Family) -> None:
    """Raises UsageError for parts that a model of the family does not have."""
    parts = {
        "has a head": loaded.model.head is not None and not family.head,
        "reads files": loaded.config.media.kind != "text" and family.door is None,
        "reads no files": loaded.config.media.kind == "text" and family.door is not None,
        "has tags of languages": loaded.config.language_tags,
    }
    for what in (part for part, there in parts.items() if there):
        raise UsageError(f"the model {what}, and none of {family.architecture} does", where=str(loaded.directory))


def _numbers(loaded: LoadedModel, tokenizer: Tokenizer, rows: Tensor, family: Family) -> Json:
    """The numbers there of special pieces, by the names of their settings; None for one that they do not have."""
    pad, begin, end = (int(rows[number]) if rows[number] >= 0 else None for number in (PAD_ID, BOS_ID, EOS_ID))
    start = loaded.config.tokenizer.special_numbers[-1] if loaded.config.tokenizer.special_numbers else BOS_ID
    found: Json = {"pad_token_id": pad, "bos_token_id": begin, "eos_token_id": end}
    if family.task == "speech_recognition":  # Whisper has one piece for all of them
        found = dict.fromkeys(found, end) | {"decoder_start_token_id": start}
    elif loaded.config.model.encoder_layers and loaded.config.model.decoder_layers:
        found |= {"decoder_start_token_id": start, "forced_bos_token_id": _forced(loaded, tokenizer, rows)}
    return found


def _asked(loaded: LoadedModel, tokenizer: Tokenizer, rows: Tensor, family: Family) -> Json:
    """What an answer begins with and may not have, as generation_config.json alone tells it."""
    number_of, decoding = dict(zip(tokenizer.vocabulary, rows.tolist(), strict=True)), loaded.config.decoding
    speech = family.task == "speech_recognition"
    found = write_prompt(loaded.config.tokenizer.before_target, number_of) if speech else {}
    for name, pieces in (("suppress_tokens", decoding.never), ("begin_suppress_tokens", decoding.never_first)):
        numbers = [number_of[piece] for piece in pieces if number_of.get(piece, -1) >= 0]
        if numbers or speech:  # whose own would be others
            found[name] = numbers
    return found


def _forced(loaded: LoadedModel, tokenizer: Tokenizer, rows: Tensor) -> int | None:
    """The number there of the piece that every answer begins with. Raises UsageError where there are several."""
    pieces = loaded.config.tokenizer.before_target
    if len(pieces) > 1:
        problem = f"begins every answer with {len(pieces)} pieces, and models of Hugging Face with one at most"
        raise UsageError(problem, where="tokenizer.before_target")
    return int(rows[tokenizer.vocabulary.index(pieces[0])]) if pieces else None


def _family_of(
    loaded: LoadedModel, config: ModelConfig, tensors: dict[str, Tensor]
) -> tuple[str, ModelConfig, dict[str, Tensor]]:
    """The family that computes the same, and the model as it has it. Raises UsageError."""
    reasons, where = [], str(loaded.directory)
    if config.family is not None:
        return config.family, config, tensors
    if loaded.config.media.kind != "text" or loaded.config.language_tags or loaded.model.head is not None:
        what = "has a head" if loaded.model.head is not None else "has tags of languages"
        what = what if loaded.config.media.kind == "text" else "reads files"
        raise UsageError(f"the model {what}, and no family of Hugging Face that Headway knows does", where=where)
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


def _write_settings(aside: Path, settings: Json, numbers: Json, asked: Json, rows: int, config: ModelConfig) -> None:
    both = bool(config.encoder_layers and config.decoder_layers)
    generation = {**numbers, **({"encoder_no_repeat_ngram_size": 0} if both else {})}
    whole = {
        "vocab_size": rows,
        "dtype": "float32",
        "is_encoder_decoder": both,
        **settings,
        **generation,
    }
    for file, content in ((CONFIG, whole), (GENERATION, {**generation, **asked})):
        _write_json(aside / file, {key: value for key, value in content.items() if value is not None})


def _write_json(path: Path, content: Json) -> None:
    write_file(path, [json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"])


def _write_tokenizer(aside: Path, tokenizer: Tokenizer, rows: Tensor, loaded: LoadedModel, family: Family) -> None:
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
    around, writes_speech = loaded.config.tokenizer, family.task == "speech_recognition"
    before = around.before_source
    if writes_speech:  # what its tokenizer is used for
        start = next(piece for piece, number in number_of.items() if number == around.special_numbers[-1])
        before = [start, *around.before_target]
    ends = loaded.config.model.encoder_layers > 0
    content["post_processor"] = _template(before, pieces[EOS_ID], number_of) if ends else None
    write_file(aside / TOKENIZER, [json.dumps(content, ensure_ascii=False).encode()])
    names = {"pad_token": PAD_ID, "bos_token": BOS_ID, "eos_token": EOS_ID, "unk_token": len(SPECIAL_TOKENS) - 1}
    known = {name: pieces[number] for name, number in names.items() if number_of[pieces[number]] >= 0}
    if ends and before and not writes_speech:
        known |= {"cls_token": before[0], "sep_token": pieces[EOS_ID]}
    if "[MASK]" in number_of:
        known |= {"mask_token": "[MASK]"}
    shape = loaded.config.model
    longest = shape.max_positions if shape.has_position_table else loaded.config.data.max_length
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": longest, **known}
    if writes_speech:
        told |= _of_whisper(write_prompt(around.before_target, number_of), pieces[EOS_ID])
    if shape.token_types > 1:
        told["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    write_file(aside / TOKENIZER_CONFIG, [json.dumps(told, indent=2, ensure_ascii=False).encode() + b"\n"])


def _of_whisper(asked: Json, end: str) -> Json:
    """What tokenizer_config.json says of Whisper's tokenizer, which has one special piece for all."""
    prompt = {"language": asked["language"].strip("<|>"), "task": asked["task"]} if "language" in asked else {}
    pieces = dict.fromkeys(("pad_token", "bos_token", "eos_token", "unk_token"), end)
    return {"tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor", **pieces, **prompt}


def _template(before: list[str], end: str, number_of: dict[str, int]) -> Json:
    """What stands around a text, and between two."""
    opening = [{"SpecialToken": {"id": piece, "type_id": 0}} for piece in before]

    def text(name: str, kind: int) -> list[Json]:
        return [{"Sequence": {"id": name, "type_id": kind}}, {"SpecialToken": {"id": end, "type_id": kind}}]

    tokens = {piece: {"id": piece, "ids": [number_of[piece]], "tokens": [piece]} for piece in [*before, end]}
    return {
        "type": "TemplateProcessing",
        "single": [*opening, *text("A", 0)],
        "pair": [*opening, *text("A", 0), *text("B", 1)],
        "special_tokens": tokens,
    }
