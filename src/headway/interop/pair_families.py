"""Marian, BART, mBART, M2M100, Blenderbot and T5: encoders with decoders."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import torch
from torch import Tensor

from headway.interop import names
from headway.interop.family import CONFIG, Family, Json, unsupported
from headway.model.layers import sinusoidal_positions

SIZES = {  # as fairseq called them, and all that came from it
    "d_model": "width",
    "encoder_layers": "encoder_layers",
    "decoder_layers": "decoder_layers",
    "encoder_attention_heads": "heads",
    "encoder_ffn_dim": "feed_forward_width",
    "activation_function": "activation",
}
SAID_TWICE = {
    "decoder_attention_heads": "encoder_attention_heads",
    "decoder_ffn_dim": "encoder_ffn_dim",
    "num_hidden_layers": "encoder_layers",
}


def refuse_unlike_sides(theirs: Json) -> None:
    """Raises ModelError where encoder and decoder differ: ours are of one shape."""
    given = {"num_hidden_layers": theirs["encoder_layers"], **theirs}
    for other, one in SAID_TWICE.items():
        if given[other] != given[one]:
            raise unsupported(other, given[other], CONFIG, f"it must be {one}={given[one]}")


def _fairseq_more(theirs: Json) -> Json:
    refuse_unlike_sides(theirs)
    return {"embedding_scale": bool(theirs.get("scale_embedding"))}


def fairseq(
    architecture: str,
    *,
    norm_place: str,
    embedding_norm: bool,
    final_norm: bool,
    output_bias: bool,
    offset: int,
    table: Callable[[int, int], Tensor] | None = None,
) -> Family:
    positions = "fixed" if table else "learned"

    return Family(
        architecture=architecture,
        task="translation",
        names=lambda ours: names.fairseq(
            learned=positions == "learned", embedding_norm=embedding_norm, final_norm=final_norm, output_bias=output_bias
        ),
        same={**SIZES, "max_position_embeddings": "max_positions"},
        always={
            "norm": "layer",
            "norm_place": norm_place,
            "embedding_norm": embedding_norm,
            "output_bias": output_bias,
            "positions": positions,
            "position_offset": offset,
            "tied_embeddings": "all",
        },
        only={
            "is_decoder": False,
            "share_encoder_decoder_embeddings": True,
            "tie_word_embeddings": True,
            "normalize_before": norm_place == "pre",
            "normalize_embedding": embedding_norm,
            "add_final_layer_norm": final_norm,
            **({"layernorm_variant": "prelayernorm"} if norm_place == "pre" else {}),
        },
        more=_fairseq_more,
        back=lambda ours: {
            "decoder_attention_heads": ours.heads,
            "decoder_ffn_dim": ours.feed_forward_width,
            "scale_embedding": ours.embedding_scale,
        },
        others=frozenset({*SAID_TWICE, "scale_embedding"}),
        body="model.",
        table=table,
    )


def marian_positions(rows: int, width: int) -> Tensor:
    """The sinusoids of the paper, all sines before all cosines."""
    table = sinusoidal_positions(torch.arange(rows), width)
    return torch.cat((table[:, 0::2], table[:, 1::2]), 1)


def fairseq_positions(rows: int, width: int) -> Tensor:
    """Sines before cosines, of other frequencies than the paper's; the row of padding is zero."""
    half = width // 2
    frequency = torch.exp(torch.arange(half) * (-math.log(10_000) / (half - 1)))
    angles = torch.arange(rows)[:, None] * frequency
    table = torch.zeros(rows, width)
    table[:, : 2 * half] = torch.cat((angles.sin(), angles.cos()), 1)
    table[1] = 0
    return table


def _t5_more(theirs: Json) -> Json:
    told = theirs.get("feed_forward_proj", "relu")
    if told not in ("relu", "gated-gelu"):
        raise unsupported("feed_forward_proj", told, CONFIG, "known are relu and gated-gelu")
    tied = theirs.get("tie_word_embeddings", True) is not False
    return {
        "decoder_layers": theirs.get("num_decoder_layers") or theirs["num_layers"],
        "activation": "gelu_tanh" if told == "gated-gelu" else "relu",
        "gated": told == "gated-gelu",
        "tied_embeddings": "all" if tied else "inputs",
        "output_scale": bool(theirs.get("scale_decoder_outputs", tied)),
        "relative_distance": theirs.get("relative_attention_max_distance", 128),  # older files do not tell it
    }


def _t5_settled(theirs: Json, tensors: Collection[str]) -> Json:
    """Whether the output is a matrix of its own the tensors say, and whether states are scaled the setting of that once said."""
    scaled = theirs.get("scale_decoder_outputs", theirs.get("tie_word_embeddings", True))
    return {**theirs, "tie_word_embeddings": "lm_head.weight" not in tensors, "scale_decoder_outputs": bool(scaled)}


T5_SETTINGS = frozenset([
    "num_decoder_layers", "feed_forward_proj", "tie_word_embeddings", "scale_decoder_outputs", "is_gated_act", "dense_act_fn",
    "relative_attention_max_distance", "n_positions",
])  # fmt: skip
T5 = Family(
    architecture="T5ForConditionalGeneration",
    task="translation",
    names=lambda ours: names.t5(gated=ours.gated, tied=ours.tied_embeddings == "all"),
    same={
        "d_model": "width",
        "d_kv": "head_width",
        "d_ff": "feed_forward_width",
        "num_layers": "encoder_layers",
        "num_heads": "heads",
        "layer_norm_epsilon": "norm_epsilon",
        "relative_attention_num_buckets": "relative_buckets",
    },
    always={
        "embedding_scale": False,
        "norm": "rms",
        "norm_place": "pre",
        "positions": "relative",
        "bias": False,
        "attention_scale": False,
    },
    only={"is_decoder": False},
    more=_t5_more,
    back=lambda ours: {
        "num_decoder_layers": ours.decoder_layers,
        "feed_forward_proj": "gated-gelu" if ours.gated else "relu",
        "tie_word_embeddings": ours.tied_embeddings == "all",
        "scale_decoder_outputs": ours.output_scale,
        "relative_attention_max_distance": ours.relative_distance,
    },
    settled=_t5_settled,
    others=T5_SETTINGS,
    sentencepiece="spiece.model",
    extra_ids=100,
)
