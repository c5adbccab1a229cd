"""The families of Hugging Face that Headway knows: what their config.json says, in our words, and back.

Each is one table. A setting is a switch of ours, or must have the only value that we know, or changes no number; any other is
refused by its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from headway.config import ModelConfig
from headway.errors import ModelError
from headway.interop import names
from headway.interop.weights import Names
from headway.model.layers import sinusoidal_positions

Json = dict[str, Any]
ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
}
WRITTEN_AS = {"relu": "relu", "gelu": "gelu", "gelu_tanh": "gelu_new", "silu": "silu"}

# Settings that change no number that a model computes, or that stand in other files too.
SILENT = frozenset([
    "architectures", "model_type", "dtype", "torch_dtype", "transformers_version", "use_cache", "initializer_range",
    "initializer_factor", "init_std", "_name_or_path", "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id",
    "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "id2label", "label2id", "num_labels",
    "problem_type", "finetuning_task", "return_dict", "output_attentions", "output_hidden_states", "output_past",
    "gradient_checkpointing", "classifier_dropout", "classif_dropout", "qa_dropout", "seq_classif_dropout",
    "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
    "task_specific_params", "num_beams", "max_length", "min_length", "length_penalty", "early_stopping",
    "no_repeat_ngram_size", "bad_words_ids", "temperature", "top_k", "top_p", "do_sample", "prefix", "pretraining_tp",
    "max_window_layers", "reorder_and_upcast_attn", "tie_weights_", "n_ctx", "n_special", "predict_special_tokens",
    "attention_probs_dropout_prob", "hidden_dropout_prob", "attention_dropout", "dropout", "activation_dropout",
    "encoder_layerdrop", "decoder_layerdrop", "dropout_rate", "attn_pdrop", "embd_pdrop", "resid_pdrop",
    "is_encoder_decoder", "vocab_size", "decoder_vocab_size", "chunk_size_feed_forward",
    "tokenizer_class", "static_position_embeddings", "add_bias_logits", "use_bfloat16",
    "torchscript",
])  # fmt: skip


@dataclass(frozen=True)
class Family:
    """How a family's config.json and weights are ours.

    Attributes:
        architecture: the class of Hugging Face that a model is written for.
        same: their setting → our switch of the same meaning.
        always: our switches that are always so.
        only: their settings that must have one value, where they are given: any other changes what is computed.
        more: our switches that follow from several settings of theirs; `back` is its inverse.
        opening: names, by their role, of pieces that the encoder reads before a text.
        prefix: what stands before the names of weights in a model with a head.
        table: of positions that do not learn and stand in no file.
    """

    architecture: str
    task: str
    names: Callable[[ModelConfig], Names]
    same: Mapping[str, str]
    always: Mapping[str, Any]
    only: Mapping[str, Any] = field(default_factory=dict)
    more: Callable[[Json], Json] = lambda theirs: {}
    back: Callable[[ModelConfig], Json] = lambda ours: {}
    prefix: str = ""
    opening: tuple[str, ...] = ()
    table: Callable[[int, int], Tensor] | None = None  # rows, width → the table
    others: frozenset[str] = frozenset()  # settings that `more` reads

    def read(self, theirs: Json, where: str) -> Json:
        """Our switches. Raises ModelError for a setting that is not known, or is missing."""
        for key, value in theirs.items():
            if key in self.only:
                if value is not None and value != self.only[key]:
                    raise _unsupported(key, value, where, f"only {self.only[key]!r} is")
            elif key not in self.same and key not in self.others and key not in SILENT and value not in (None, False, [], {}):
                raise _unsupported(key, value, where, "it is not known here")
        missing = [key for key in self.same if key not in theirs]
        if missing:
            raise ModelError(f"lacks {missing[0]}", where=where)
        plain = {ours: _ours(key, theirs[key], where) for key, ours in self.same.items()}
        return {"preset": None, **plain, **self.always, **self.more(theirs), "dropout": 0.1}

    def write(self, ours: ModelConfig) -> Json:
        """Their settings. Raises ModelError where a switch says what no model of this family can be."""
        back = self.back(ours)
        written = {key: _theirs(key, getattr(ours, name)) for key, name in self.same.items()}
        wanted = {**self.always, **self.more({**written, **back})}
        for name, value in wanted.items():
            if getattr(ours, name) != value and not _means_same(ours, name, value):
                problem = f"model.{name}={getattr(ours, name)} is nothing that {self.architecture} has"
                raise ModelError(f"{problem}, which needs {value}", where="model")
        return {**written, **self.only, **back}


def _unsupported(key: str, value: Any, where: str, why: str) -> ModelError:
    return ModelError(f"has {key}={value!r}, and {why}", where=where, remedy="no such model can be imported")


def _ours(key: str, value: Any, where: str) -> Any:
    if key in ("hidden_act", "activation", "activation_function"):
        if value not in ACTIVATIONS:
            raise _unsupported(key, value, where, f"known are {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[value]
    return value


def _theirs(key: str, value: Any) -> Any:
    return WRITTEN_AS[value] if key in ("hidden_act", "activation", "activation_function") else value


def _means_same(ours: ModelConfig, name: str, value: Any) -> bool:
    """Whether a switch that is left out says the same."""
    if name == "head_width":
        return bool(ours.width_of_head == value)
    if name == "key_value_heads":
        return (ours.key_value_heads or ours.heads) == value
    if name == "output_bias":  # of pieces that they do not have
        return value is False
    if name == "rotary_scaling":
        return ours.rotary_scaling is not None and value is not None and ours.rotary_scaling.model_dump() == {
            **ours.rotary_scaling.model_dump(), **value
        }  # fmt: skip
    return name == "norm_epsilon" and bool(ours.norm_eps == value)


ENCODER = {"decoder_layers": 0, "pooling": "mean"}
DECODER = {"encoder_layers": 0, "tied_embeddings": "decoder"}
NO_SCALE = {"embedding_scale": False}
BERT_LIKE = {**ENCODER, **NO_SCALE, "embedding_norm": True, "norm": "layer", "norm_place": "post", "positions": "learned"}


# ---- encoders


def _bert(architecture: str, prefix: str, offset: int) -> Family:
    """RoBERTa counts positions from the number of its padding on."""

    def more(theirs: Json) -> Json:
        return {"max_positions": theirs["max_position_embeddings"] - offset}

    return Family(
        architecture=architecture,
        task="sentence_embedding",
        names=lambda ours: names.BERT,
        same={
            "hidden_size": "width",
            "num_hidden_layers": "encoder_layers",
            "num_attention_heads": "heads",
            "intermediate_size": "feed_forward_width",
            "hidden_act": "activation",
            "layer_norm_eps": "norm_epsilon",
            "type_vocab_size": "token_types",
        },
        always={**BERT_LIKE, "position_offset": offset},
        only={"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"},
        more=more,
        back=lambda ours: {"max_position_embeddings": ours.max_positions + offset},
        others=frozenset({"max_position_embeddings", "tie_word_embeddings"}),
        prefix=prefix,
        opening=("bos",),
    )


DISTILBERT = Family(
    architecture="DistilBertModel",
    task="sentence_embedding",
    names=lambda ours: names.DISTILBERT,
    same={
        "dim": "width",
        "n_layers": "encoder_layers",
        "n_heads": "heads",
        "hidden_dim": "feed_forward_width",
        "activation": "activation",
        "max_position_embeddings": "max_positions",
    },
    always={**BERT_LIKE, "norm_epsilon": 1e-12},
    only={"sinusoidal_pos_embds": False},
    others=frozenset({"tie_word_embeddings"}),
    prefix="distilbert.",
    opening=("bos",),
)

# ---- decoders


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
    always={**DECODER, **NO_SCALE, "norm": "layer", "norm_place": "pre", "positions": "learned"},
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
    base, kind = float(given.get("rope_theta", 1e4)), given.get("rope_type", given.get("type", "default"))
    if kind == "default":
        return {"rotary_base": base, "rotary_scaling": None}
    if kind == "linear":
        return {"rotary_base": base, "rotary_scaling": {"kind": "linear", "factor": float(given["factor"])}}
    if kind != "llama3":
        raise _unsupported("rope_type", kind, "rope_parameters", "known are default, linear and llama3")
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
    "rope_scaling", "layer_types",
])  # fmt: skip


def _llama(architecture: str, *, biases: str | None = None, query_key_norm: bool = False) -> Family:
    """`biases`: those of attention, where the family has no setting for them."""

    def more(theirs: Json) -> Json:
        heads, width = theirs["num_attention_heads"], theirs["hidden_size"]
        return {
            "key_value_heads": theirs.get("num_key_value_heads") or heads,
            "head_width": theirs.get("head_dim") or width // heads,
            "bias": bool(theirs.get("mlp_bias")),
            "attention_bias": biases or ("all" if theirs.get("attention_bias") else "none"),
            "tied_embeddings": "decoder" if theirs.get("tie_word_embeddings") else "none",
            **_rotary(theirs),
        }

    def back(ours: ModelConfig) -> Json:
        return {
            "num_key_value_heads": ours.key_value_heads or ours.heads,
            "head_dim": ours.width_of_head,
            "tie_word_embeddings": ours.tied_embeddings != "none",
            "rope_parameters": _rope_parameters(ours),
            **({} if biases else {"attention_bias": ours.biased[1]}),
            **({"mlp_bias": ours.bias} if architecture.startswith("Llama") else {}),
        }

    def weight_names(ours: ModelConfig) -> Names:
        return names.llama(
            read_bias=ours.biased[0],
            output_bias=ours.biased[1],
            feed_forward_bias=ours.bias,
            query_key_norm=query_key_norm,
            tied=ours.tied_embeddings != "none",
        )

    return Family(
        architecture=architecture,
        task="language_model",
        names=weight_names,
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
            **NO_SCALE,
            "norm": "rms",
            "norm_place": "pre",
            "positions": "rotary",
            "gated": True,
            "query_key_norm": query_key_norm,
        },
        only={"sliding_window": None, "use_sliding_window": False},
        more=more,
        back=back,
        others=frozenset(
            [
                "num_key_value_heads",
                "head_dim",
                "mlp_bias",
                "attention_bias",
                "tie_word_embeddings",
                "rope_parameters",
                "rope_theta",
                "rope_scaling",
                "layer_types",
            ]
        ),
    )


# ---- encoders with decoders


def _fairseq(
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

    def more(theirs: Json) -> Json:
        for one, other in (("encoder_attention_heads", "decoder_attention_heads"), ("encoder_ffn_dim", "decoder_ffn_dim")):
            if theirs[one] != theirs[other]:
                raise _unsupported(other, theirs[other], "config.json", f"it must be {one}={theirs[one]}")
        return {"embedding_scale": bool(theirs.get("scale_embedding"))}

    return Family(
        architecture=architecture,
        task="translation",
        names=lambda ours: names.fairseq(
            learned=positions == "learned", embedding_norm=embedding_norm, final_norm=final_norm, output_bias=output_bias
        ),
        same={
            "d_model": "width",
            "encoder_layers": "encoder_layers",
            "decoder_layers": "decoder_layers",
            "encoder_attention_heads": "heads",
            "encoder_ffn_dim": "feed_forward_width",
            "activation_function": "activation",
            "max_position_embeddings": "max_positions",
        },
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
            "extra_pos_embeddings": offset,
        },
        more=more,
        back=lambda ours: {
            "decoder_attention_heads": ours.heads,
            "decoder_ffn_dim": ours.feed_forward_width,
            "scale_embedding": ours.embedding_scale,
        },
        others=frozenset({"decoder_attention_heads", "decoder_ffn_dim", "scale_embedding"}),
        table=table,
    )


def _marian(rows: int, width: int) -> Tensor:
    """The sinusoids of the paper, all sines before all cosines."""
    table = sinusoidal_positions(torch.arange(rows), width)
    return torch.cat((table[:, 0::2], table[:, 1::2]), 1)


def _fairseq_positions(rows: int, width: int) -> Tensor:
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
        raise _unsupported("feed_forward_proj", told, "config.json", "known are relu and gated-gelu")
    tied = theirs.get("tie_word_embeddings", True) is not False
    return {
        "decoder_layers": theirs.get("num_decoder_layers") or theirs["num_layers"],
        "activation": "gelu_tanh" if told == "gated-gelu" else "relu",
        "gated": told == "gated-gelu",
        "tied_embeddings": "all" if tied else "inputs",
        "output_scale": bool(theirs.get("scale_decoder_outputs", tied)),
    }


T5_SETTINGS = frozenset([
    "num_decoder_layers", "feed_forward_proj", "tie_word_embeddings", "scale_decoder_outputs", "is_gated_act", "dense_act_fn",
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
        "relative_attention_max_distance": "relative_distance",
    },
    always={
        **NO_SCALE,
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
    },
    others=frozenset(
        [
            "num_decoder_layers",
            "feed_forward_proj",
            "tie_word_embeddings",
            "scale_decoder_outputs",
            "is_gated_act",
            "dense_act_fn",
        ]
    ),
)

FAMILIES: dict[str, Family] = {
    "bert": _bert("BertModel", "bert.", 0),
    "roberta": _bert("RobertaModel", "roberta.", 2),
    "distilbert": DISTILBERT,
    "gpt2": GPT2,
    "llama": _llama("LlamaForCausalLM"),
    "mistral": _llama("MistralForCausalLM", biases="none"),
    "qwen2": _llama("Qwen2ForCausalLM", biases="query_key_value"),
    "qwen3": _llama("Qwen3ForCausalLM", query_key_norm=True),
    "marian": _fairseq(
        "MarianMTModel", norm_place="post", embedding_norm=False, final_norm=False, output_bias=True, offset=0, table=_marian
    ),
    "bart": _fairseq(
        "BartForConditionalGeneration",
        norm_place="post",
        embedding_norm=True,
        final_norm=False,
        output_bias=True,
        offset=2,
    ),
    "mbart": _fairseq(
        "MBartForConditionalGeneration",
        norm_place="pre",
        embedding_norm=True,
        final_norm=True,
        output_bias=True,
        offset=2,
    ),
    "m2m_100": _fairseq(
        "M2M100ForConditionalGeneration",
        norm_place="pre",
        embedding_norm=False,
        final_norm=True,
        output_bias=False,
        offset=2,
        table=_fairseq_positions,
    ),
    "blenderbot": _fairseq(
        "BlenderbotForConditionalGeneration",
        norm_place="pre",
        embedding_norm=False,
        final_norm=True,
        output_bias=True,
        offset=0,
    ),
    "t5": T5,
}
