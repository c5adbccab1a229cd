"""A Headway model as a Marian checkpoint of Hugging Face: post-norm, ReLU, scaled embeddings, sinusoidal positions, all tied.

The two differ in one thing: Headway interleaves the sine and cosine of a frequency, Marian puts all sines before all
cosines. So the columns of the residual stream are put in Marian's order everywhere it is read, written or normed, which
changes no output.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

PAD, BOS, EOS = 0, 1, 2


def config(layers: int, width: int, feed_forward: int, heads: int, vocabulary_size: int) -> dict[str, object]:
    sides = {
        f"{side}_{key}": value
        for side in ("encoder", "decoder")
        for key, value in (("layers", layers), ("ffn_dim", feed_forward), ("attention_heads", heads))
    }
    return {
        "architectures": ["MarianMTModel"],
        "model_type": "marian",
        "d_model": width,
        **sides,
        "vocab_size": vocabulary_size,
        "decoder_vocab_size": vocabulary_size,
        "max_position_embeddings": 1024,
        "activation_function": "relu",
        "scale_embedding": True,
        "share_encoder_decoder_embeddings": True,
        "tie_word_embeddings": True,
        "dropout": 0.1,
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "decoder_start_token_id": BOS,
        "forced_eos_token_id": None,
        "dtype": "float32",
    }


def rename(weights: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Headway's state dict in Marian's names and order of columns. Raises KeyError for a switch that Marian lacks."""
    import torch

    embedding = weights["target_embedding.tokens.weight"]
    order = torch.cat((torch.arange(0, embedding.shape[1], 2), torch.arange(1, embedding.shape[1], 2)))
    found: dict[str, Tensor] = {"model.shared.weight": embedding[:, order]}

    def linear(ours: str, theirs: list[str], *, reads: bool, writes: bool) -> None:
        weight, bias = weights[f"{ours}.weight"], weights[f"{ours}.bias"]
        weight = weight[:, order] if reads else weight
        weight, bias = (weight[order], bias[order]) if writes else (weight, bias)
        for name, part, part_bias in zip(theirs, weight.chunk(len(theirs)), bias.chunk(len(theirs)), strict=True):
            found[f"{name}.weight"], found[f"{name}.bias"] = part, part_bias

    def norm(ours: str, theirs: str) -> None:
        for kind in ("weight", "bias"):
            found[f"{theirs}.{kind}"] = weights[f"{ours}.{kind}"][order]

    for stack in ("encoder", "decoder"):
        for layer in range(layers):
            ours, theirs = f"{stack}.{layer}", f"model.{stack}.layers.{layer}"
            attentions = [("self_attention", "self_attn")]
            attentions += [("cross_attention", "encoder_attn")] if stack == "decoder" else []
            for own, other in attentions:
                linear(f"{ours}.{own}.query", [f"{theirs}.{other}.q_proj"], reads=True, writes=False)
                key_value = [f"{theirs}.{other}.{part}" for part in ("k_proj", "v_proj")]
                linear(f"{ours}.{own}.key_value", key_value, reads=True, writes=False)
                linear(f"{ours}.{own}.output", [f"{theirs}.{other}.out_proj"], reads=False, writes=True)
                norm(f"{ours}.{own}_norm", f"{theirs}.{other}_layer_norm")
            linear(f"{ours}.feed_forward.inner", [f"{theirs}.fc1"], reads=True, writes=False)
            linear(f"{ours}.feed_forward.outer", [f"{theirs}.fc2"], reads=False, writes=True)
            norm(f"{ours}.feed_forward_norm", f"{theirs}.final_layer_norm")
    return {name: tensor.contiguous().float() for name, tensor in found.items()}


def write(directory: Path, weights: dict[str, Tensor], settings: dict[str, object], tokenizer: Path) -> None:
    from safetensors.torch import save_file

    directory.mkdir(parents=True, exist_ok=True)
    layers = settings["encoder_layers"]
    assert isinstance(layers, int)
    save_file(rename(weights, layers), str(directory / "model.safetensors"), metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps(settings, indent=1), "utf-8")
    shutil.copyfile(tokenizer, directory / "tokenizer.json")
