"""GPT-2, and Llama with those that came after it, Gemma and Phi-3 among them: decoders that write text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from headway.config import ModelConfig
from headway.interop import names
from headway.interop.family import CONFIG, Family, Json, unsupported
from headway.interop.weights import Names

GPT2 = Family(
    architecture="GPT2LMHeadModel",
    task="language_model",
    names=lambda ours: names.GPT2,
    same={
        "n_embd": "width",
        "n_layer": "decoder_layers",
        "n_head": "heads",
        "n_positions": "max_positions",
        "activation_function": "activation",
        "layer_norm_epsilon": "norm_epsilon",
    },
    always={
        "encoder_layers": 0,
        "tied_embeddings": "decoder",
        "embedding_scale": False,
        "norm": "layer",
        "norm_place": "pre",
        "positions": "learned",
    },
    only={
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
    },
    more=lambda theirs: {"feed_forward_width": theirs.get("n_inner") or 4 * theirs["n_embd"]},
    back=lambda ours: {"n_inner": ours.feed_forward_width},
    others=frozenset({"n_inner"}),
    prefix="transformer.",
)


def _rotary(theirs: Json) -> Json:
    """What `rope_parameters`, or in older files `rope_theta` and `rope_scaling`, say. Raises ModelError for what is not known."""
    given = theirs.get("rope_parameters") or {**(theirs.get("rope_scaling") or {}), "rope_theta": theirs.get("rope_theta", 1e4)}
    if (part := given.get("partial_rotary_factor", theirs.get("partial_rotary_factor"))) not in (None, 1):
        raise unsupported("partial_rotary_factor", part, CONFIG, "only whole heads turn")
    base, kind = float(given.get("rope_theta", 1e4)), given.get("rope_type", given.get("type", "default"))
    if kind == "default":
        return {"rotary_base": base, "rotary_scaling": None}
    if kind == "linear":
        return {"rotary_base": base, "rotary_scaling": {"kind": "linear", "factor": float(given["factor"])}}
    if kind != "llama3":
        raise unsupported("rope_type", kind, CONFIG, "known are default, linear and llama3")
    scaling = {ours: given[key] for key, ours in LLAMA3.items()}
    return {"rotary_base": base, "rotary_scaling": {"kind": "llama3", **scaling}}


LLAMA3 = {
    "factor": "factor",
    "low_freq_factor": "low_frequency_factor",
    "high_freq_factor": "high_frequency_factor",
    "original_max_position_embeddings": "original_positions",
}


def _rope_parameters(ours: ModelConfig) -> Json:
    scaling = ours.rotary_scaling
    if scaling is None:
        return {"rope_theta": ours.rotary_base, "rope_type": "default"}
    keys = LLAMA3 if scaling.kind == "llama3" else {"factor": "factor"}
    return {
        "rope_theta": ours.rotary_base,
        "rope_type": scaling.kind,
        **{key: getattr(scaling, name) for key, name in keys.items()},
    }


ROTARY_SETTINGS = frozenset([
    "num_key_value_heads", "head_dim", "mlp_bias", "attention_bias", "tie_word_embeddings", "rope_parameters", "rope_theta",
    "rope_scaling", "layer_types", "sliding_window", "partial_rotary_factor", "original_max_position_embeddings",
])  # fmt: skip


def _shape(theirs: Json, biases: str | None) -> Json:
    heads, width, window = theirs["num_attention_heads"], theirs["hidden_size"], theirs.get("sliding_window")
    narrow = window is not None and window < theirs["max_position_embeddings"]
    if narrow and theirs.get("use_sliding_window", True):  # Qwen tells of one that it does not use
        raise unsupported("sliding_window", window, CONFIG, "every token of ours sees all before it")
    return {
        "key_value_heads": theirs.get("num_key_value_heads") or heads,
        "head_width": theirs.get("head_dim") or width // heads,
        "bias": bool(theirs.get("mlp_bias")),
        "attention_bias": biases or ("all" if theirs.get("attention_bias") else "none"),
        "tied_embeddings": "decoder" if theirs.get("tie_word_embeddings") else "none",
        **_rotary(theirs),
    }


def _settings(ours: ModelConfig, biases: str | None, feed_forward_bias: bool) -> Json:
    return {
        "num_key_value_heads": ours.key_value_heads or ours.heads,
        "head_dim": ours.width_of_head,
        "tie_word_embeddings": ours.tied_embeddings != "none",
        "rope_parameters": _rope_parameters(ours),
        **({} if biases else {"attention_bias": ours.biased[1]}),
        **({"mlp_bias": ours.bias} if feed_forward_bias else {}),
    }


def _weight_names(ours: ModelConfig, query_key_norm: bool, fused: bool, norm_plus: float) -> Names:
    return names.llama(
        read_bias=ours.biased[0],
        output_bias=ours.biased[1],
        feed_forward_bias=ours.bias,
        query_key_norm=query_key_norm,
        tied=ours.tied_embeddings != "none",
        fused=fused,
        norm_plus=norm_plus,
    )


def llama(
    architecture: str,
    *,
    biases: str | None = None,
    query_key_norm: bool = False,
    fused: bool = False,
    norm_plus: float = 0.0,
    only: Mapping[str, Any] = MappingProxyType({}),
) -> Family:
    """
    Args:
        biases: those of attention, where the family has no setting for them.
        fused, norm_plus: as of `names.llama`.
        only: settings of theirs that must have one value.
    """
    return Family(
        architecture=architecture,
        task="language_model",
        names=partial(_weight_names, query_key_norm=query_key_norm, fused=fused, norm_plus=norm_plus),
        same={
            "hidden_size": "width",
            "num_hidden_layers": "decoder_layers",
            "num_attention_heads": "heads",
            "intermediate_size": "feed_forward_width",
            "hidden_act": "activation",
            "rms_norm_eps": "norm_epsilon",
            "max_position_embeddings": "max_positions",
        },
        always={
            "encoder_layers": 0,
            "embedding_scale": False,
            "norm": "rms",
            "norm_place": "pre",
            "positions": "rotary",
            "gated": True,
            "query_key_norm": query_key_norm,
        },
        only=only,
        more=partial(_shape, biases=biases),
        back=partial(_settings, biases=biases, feed_forward_bias=architecture.startswith("Llama")),
        others=ROTARY_SETTINGS,
        body="model.",
        sentencepiece="tokenizer.model",
    )


def _gemma_more(theirs: Json) -> Json:
    for key in ("hidden_act", "hidden_activation"):
        if theirs.get(key) not in (None, "gelu", "gelu_new", "gelu_pytorch_tanh"):  # each of these means the last one there
            raise unsupported(key, theirs[key], CONFIG, "only gelu_pytorch_tanh is")
    return _shape(theirs, None)


_GEMMA = llama("GemmaForCausalLM", norm_plus=1.0)
GEMMA = replace(
    _GEMMA,
    same={theirs: ours for theirs, ours in _GEMMA.same.items() if theirs != "hidden_act"},
    always={**_GEMMA.always, "embedding_scale": True, "activation": "gelu_tanh"},
    more=_gemma_more,
    back=lambda ours: {**_GEMMA.back(ours), "hidden_act": "gelu_pytorch_tanh"},
    settled=lambda theirs, tensors: {"tie_word_embeddings": True, **theirs},
    others=_GEMMA.others | {"hidden_act", "hidden_activation"},
)
