"""A language model of ours as one GGUF file, which llama.cpp runs: settings, vocabulary and weights.

A model goes there as the family of Hugging Face that computes the same. What llama.cpp computes otherwise than that family is
refused here, by the setting that is the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.config import Config, ModelConfig
from headway.errors import UsageError
from headway.interop.gguf_tokenizer import Vocabulary, special_rows, vocabulary_of
from headway.interop.huggingface_export import Counterpart, counterpart, family_of
from headway.model.layers import rotary_frequencies
from headway.model_dir import LoadedModel
from headway.model_files import bring_to_medium
from headway.special_ids import BOS_ID, EOS_ID, PAD_ID, UNK_ID

FILE = "model.gguf"
QUANTIZATIONS = ("f16", "q8_0")
NAME = "Headway language model"  # a fixed one: llama.cpp changes its tokenizer for some names
ARCHITECTURES = {"gpt2": "gpt2", "llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
LARGEST_HALF = torch.finfo(torch.float16).max


@dataclass(frozen=True)
class GgufFile:
    """
    Attributes:
        architecture: llama.cpp's name of it.
        notes: what a text must be for the same answers.
    """

    path: Path
    architecture: str
    notes: Sequence[str]


def gguf_problem(config: Config) -> str | None:
    """Why llama.cpp cannot run such a model; None where it can, as far as its tokenizer, which may come from a file, is known."""
    if config.task != "language_model":
        return f"only language models can go there, and task={config.task} is none"
    try:
        family, model = family_of(config.model, "model")
    except UsageError as error:
        return error.problem
    return _other_arithmetic(family, model) or _other_tokenizer(config)


def _other_arithmetic(family: str, model: ModelConfig) -> str | None:
    if family not in ARCHITECTURES:
        return f"models of the family {family} have no place there"
    activation = "gelu_tanh" if family == "gpt2" else "silu"
    if model.activation != activation:
        return f"model.activation={model.activation} is {activation} there"
    if model.rotary_scaling is not None and model.rotary_scaling.kind == "llama3" and ARCHITECTURES[family] != "llama":
        return f"model.rotary_scaling.kind=llama3 is not computed there for the family {family}"
    if family == "qwen2" and model.heads * model.width_of_head != model.width:
        return f"model.head_width={model.width_of_head} must be width / heads there for the family qwen2"
    if family == "qwen3" and any(model.biased):
        return "model.attention_bias has no place there for the family qwen3"
    return None


def _other_tokenizer(config: Config) -> str | None:
    settings = config.tokenizer
    if config.model.family or config.model.start_from or settings.path:
        return None
    if settings.bytes != "level":
        return f"tokenizer.kind={settings.kind} with bytes={settings.bytes} is not known there, but bytes=level is"
    if settings.normalization not in ("none", "nfc"):
        return f"tokenizer.normalization={settings.normalization} is not known there, but none is"
    return None


def write_gguf(loaded: LoadedModel, directory: Path, quantization: str | None = None) -> GgufFile:
    """Writes model.gguf into a directory that is there.

    Args:
        quantization: of the matrices: none (32 bits), "f16", or "q8_0" (8 bits with a scale for every 32 weights; a matrix whose
            rows are no multiple of 32 stays f16).

    Raises:
        UsageError: llama.cpp cannot know the model or its tokenizer, or a weight is beyond what f16 can hold.
    """
    where = str(loaded.directory)
    if quantization not in (None, *QUANTIZATIONS):
        raise UsageError(f"{quantization!r} is none of {', '.join(QUANTIZATIONS)}", where="--quantization")
    if problem := gguf_problem(loaded.config):
        remedy = "docs/huggingface.md has a table of what can go there; such a setting must be chosen before training"
        raise UsageError(f"llama.cpp cannot run this model: {problem}", where=where, remedy=remedy)
    found = counterpart(loaded)
    vocabulary = vocabulary_of(loaded.tokenizers.target, found.rows, where)
    architecture = ARCHITECTURES[found.family]
    tensors = _tensors(found, architecture)
    _refuse_beyond_half(tensors, quantization, where)

    import gguf

    path = directory / FILE
    writer = gguf.GGUFWriter(path, architecture)
    _write_settings(writer, found.config, architecture, quantization)
    _write_vocabulary(writer, vocabulary, found.rows, loaded)
    for name, tensor in tensors.items():
        kind = _kind(name, tensor, quantization)
        writer.add_tensor(name, gguf.quantize(tensor.numpy(), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    bring_to_medium(path)
    return GgufFile(path, architecture, vocabulary.notes)


# ---- weights


def _tensors(found: Counterpart, architecture: str) -> dict[str, Tensor]:
    """All tensors, in float32, by llama.cpp's names."""
    import gguf

    model = found.config
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture.upper()], model.decoder_layers)
    made = {}
    for theirs, tensor in found.weights(upright=True).items():
        name = names.get_name(theirs, try_suffixes=(".weight", ".bias"))
        assert name is not None, f"{architecture}: no name for {theirs}"
        if architecture == "llama" and ".self_attn.q_proj." in theirs:
            tensor = _interleaved(tensor, model.heads)
        elif architecture == "llama" and ".self_attn.k_proj." in theirs:
            tensor = _interleaved(tensor, model.key_value_heads or model.heads)
        made[name] = tensor.contiguous()
    if model.rotary_scaling is not None and model.rotary_scaling.kind == "llama3":  # frequencies are divided by these
        plain = rotary_frequencies(model.model_copy(update={"rotary_scaling": None}))
        made["rope_freqs.weight"] = plain / rotary_frequencies(model)
    return made


def _interleaved(tensor: Tensor, heads: int) -> Tensor:
    """Rows of queries or keys: llama.cpp's Llama turns the pairs (2k, 2k + 1) of a head, ours the pairs (k, k + K/2)."""
    return tensor.unflatten(0, (heads, 2, -1)).transpose(1, 2).reshape(tensor.shape)


def _kind(name: str, tensor: Tensor, quantization: str | None) -> Any:
    """How a tensor is stored: llama.cpp wants vectors and positions in 32 bits."""
    import gguf

    if quantization is None or tensor.dim() < 2 or name == "position_embd.weight":
        return gguf.GGMLQuantizationType.F32
    halves = quantization == "f16" or tensor.shape[-1] % 32 != 0
    return gguf.GGMLQuantizationType.F16 if halves else gguf.GGMLQuantizationType.Q8_0


def _refuse_beyond_half(tensors: dict[str, Tensor], quantization: str | None, where: str) -> None:
    """Raises UsageError: also the scales of q8_0 are halves."""
    for name, tensor in tensors.items() if quantization else ():
        if tensor.dim() > 1 and tensor.abs().max() > LARGEST_HALF:
            problem = f"{name} holds {tensor.abs().max():g}, which is beyond the numbers of f16"
            raise UsageError(problem, where=where, remedy="leave --quantization out")


# ---- settings


def _write_settings(writer: Any, model: ModelConfig, architecture: str, quantization: str | None) -> None:
    import gguf

    types = {None: gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(NAME)
    writer.add_file_type(types[quantization])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(model.decoder_layers)
    writer.add_context_length(model.max_positions)
    writer.add_embedding_length(model.width)
    writer.add_feed_forward_length(model.feed_forward_width)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.key_value_heads or model.heads)
    if architecture == "gpt2":
        writer.add_layer_norm_eps(model.norm_eps)
        return
    writer.add_layer_norm_rms_eps(model.norm_eps)
    for add in (writer.add_key_length, writer.add_value_length, writer.add_rope_dimension_count):
        add(model.width_of_head)
    writer.add_rope_freq_base(model.rotary_base)
    if model.rotary_scaling is not None and model.rotary_scaling.kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(model.rotary_scaling.factor)


def _write_vocabulary(writer: Any, vocabulary: Vocabulary, rows: Tensor, loaded: LoadedModel) -> None:
    writer.add_vocab_size(len(vocabulary.pieces))
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.pieces)
    writer.add_token_types(vocabulary.kinds)
    if vocabulary.model == "llama":
        writer.add_token_scores(vocabulary.scores)
        writer.add_add_space_prefix(vocabulary.prefix)
    else:
        writer.add_token_merges(vocabulary.merges)
    known = special_rows(rows, {"pad": PAD_ID, "bos": BOS_ID, "eos": EOS_ID, "unk": UNK_ID})
    if "eos" not in known:  # llama.cpp would end with a number of its own
        raise UsageError("the model has no piece that ends a text", where=str(loaded.directory))
    numbers = loaded.config.tokenizer.special_numbers
    start = numbers[-1] if numbers else BOS_ID
    writer.add_bos_token_id(start)
    writer.add_eos_token_id(known["eos"])
    if "pad" in known:
        writer.add_pad_token_id(known["pad"])
    if "unk" in known:
        writer.add_unk_token_id(known["unk"])
    writer.add_add_bos_token(True)  # every text begins with it here too
    writer.add_add_eos_token(False)
    row_of = dict(zip(loaded.tokenizers.target.vocabulary, rows.tolist(), strict=True))
    forbidden = {known[name] for name in ("pad", "bos", "unk") if name in known}
    forbidden |= {row_of[piece] for piece in loaded.config.decoding.never if row_of.get(piece, -1) >= 0}
    if never := sorted(forbidden - {known["eos"]}):
        writer.add_array("tokenizer.ggml.suppress_tokens", never)  # as here, no answer holds them
