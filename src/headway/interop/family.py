"""What a family of Hugging Face's models is: a table that is read both ways, from its config.json to our switches and back.

A setting is a switch of ours, or must have the only value that we know, or changes no number; any other is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from headway.config import MediaConfig, ModelConfig
from headway.config_sections import SHAPE
from headway.errors import ModelError
from headway.interop.weights import Names, Rule

Json = dict[str, Any]
CONFIG = "config.json"
ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
}
WRITTEN_AS = {"relu": "relu", "gelu": "gelu", "gelu_tanh": "gelu_new", "silu": "silu"}

# Settings that change no number that a model computes, or that stand in other files too. Some are what published files carry
# from libraries that came before: poolers of TensorFlow's BERT, ParlAI's and fairseq's switches, what transformers.js reads.
SILENT = frozenset([
    "architectures", "model_type", "dtype", "torch_dtype", "transformers_version", "use_cache", "initializer_range",
    "initializer_factor", "init_std", "_name_or_path", "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id",
    "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "id2label", "label2id", "num_labels",
    "problem_type", "finetuning_task", "return_dict", "output_attentions", "output_hidden_states", "output_past",
    "gradient_checkpointing", "classifier_dropout", "classif_dropout", "qa_dropout", "seq_classif_dropout",
    "summary_activation", "summary_first_dropout", "summary_last_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj",
    "task_specific_params", "num_beams", "max_length", "min_length", "length_penalty", "early_stopping",
    "no_repeat_ngram_size", "bad_words_ids", "temperature", "top_k", "top_p", "do_sample", "prefix", "pretraining_tp",
    "max_window_layers", "reorder_and_upcast_attn", "tie_weights_", "n_ctx", "n_special", "predict_special_tokens",
    "attention_probs_dropout_prob", "hidden_dropout_prob", "attention_dropout", "dropout", "activation_dropout",
    "encoder_layerdrop", "decoder_layerdrop", "dropout_rate", "attn_pdrop", "embd_pdrop", "resid_pdrop",
    "is_encoder_decoder", "vocab_size", "decoder_vocab_size", "chunk_size_feed_forward",
    "tokenizer_class", "static_position_embeddings", "add_bias_logits", "use_bfloat16",
    "torchscript", "encoder_no_repeat_ngram_size", "_num_labels", "extra_pos_embeddings", "_attn_implementation_autoset",
    "is_llama_config", "transformers.js_config", "unk_token_id", "mask_token_id", "directionality", "pooler_fc_size",
    "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "do_blenderbot_90_layernorm",
    "force_bos_token_to_be_generated", "num_beam_groups", "diversity_penalty", "num_return_sequences", "repetition_penalty",
    "typical_p", "suppress_tokens", "begin_suppress_tokens", "remove_invalid_values", "output_scores", "return_dict_in_generate",
])  # fmt: skip


@dataclass(frozen=True)
class Door:
    """How a family sees or hears: our section `media`, of its config.json and its preprocessor_config.json, and back.

    Attributes:
        read: both files → our settings. Raises ModelError, in which the name of the file stands as the place.
        write: our settings → what stands of them in each file. Raises ModelError for what no model of the family does.
    """

    read: Callable[[Json, Json], Json]
    write: Callable[[MediaConfig], tuple[Json, Json]]


@dataclass(frozen=True)
class Family:
    """How a family's config.json and weights are ours.

    Attributes:
        architecture: the class of Hugging Face that a model is written for.
        same: their setting → our switch of the same meaning.
        always: our switches that are always so.
        only: their settings that must have one value, where they are given: any other changes what is computed.
        more: our switches that follow from several settings of theirs; `back` is its inverse.
        prefix: what stands before the names of weights in a model with a head; the table has them without.
        body: what stands before them in a model with a head, and in the table; a model that was saved without has it not.
        table: of positions that do not learn and stand in no file.
        others: settings that `more` reads.
        settled: their settings, with what only the names of the tensors tell.
        sentencepiece: the file that its tokenizer may be instead of tokenizer.json; Marian's is the first of two.
        extra_ids: pieces for gaps, which its tokenizer has behind those of that file.
        asks_for: how the piece is written that asks for a language to write, before each text.
        door: where files are read in place of text.
        head: the rules of the head of a classifier, whose names have no prefix; a model may be without.
        headless: the class of a model without that head.
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
    body: str = ""
    table: Callable[[int, int], Tensor] | None = None  # rows, width → the table
    others: frozenset[str] = frozenset()
    settled: Callable[[Json, Collection[str]], Json] = lambda theirs, tensors: theirs
    sentencepiece: str = ""
    extra_ids: int = 0
    asks_for: str = ""
    door: Door | None = None
    head: Sequence[Rule] = ()
    headless: str = ""

    def rules(self, ours: ModelConfig, *, head: bool = False, more_layers: int = 0) -> list[Rule]:
        """Of a model with its head or without; of a stack that is there so many layers more."""
        layers = (stack + more_layers * bool(stack) for stack in (ours.encoder_layers, ours.decoder_layers))
        return [*self.names(ours).rules(*layers), *(self.head if head else ())]

    def read(self, theirs: Json, where: str) -> Json:
        """Our switches. Raises ModelError for a setting that is not known, or is missing."""
        refuse_unknown(theirs, self.only, {*self.same, *self.others, *SILENT}, where)
        missing = [key for key in self.same if key not in theirs]
        if missing:
            raise ModelError(f"lacks {missing[0]}", where=where)
        plain = {ours: _ours(key, theirs[key], where) for key, ours in self.same.items()}
        try:
            return {"preset": None, **plain, **self.always, **self.more(theirs), "dropout": 0.1}
        except ModelError as error:
            error.where = where
            raise

    def write(self, ours: ModelConfig, media: Json | None = None) -> Json:
        """Their settings, with those that `door` has of our `media`.

        Raises ModelError where a switch says what no model of this family can be.
        """
        back = {**self.back(ours), **(media or {})}
        written = {key: _theirs(key, getattr(ours, name)) for key, name in self.same.items()}
        written |= {key: ours.norm_eps for key, name in self.same.items() if name == "norm_epsilon"}
        usual = {name: ModelConfig.model_fields[name].default for name in SHAPE if name not in self.same.values()}
        wanted = {**usual, **self.always, **self.more({**written, **back}), "family": ours.family}
        for name, value in wanted.items():
            if getattr(ours, name) != value and not _means_same(ours, name, value):
                problem = f"model.{name}={getattr(ours, name)} is nothing that {self.architecture} has"
                raise ModelError(f"{problem}, which needs {value}", where="model")
        return {**written, **self.only, **back}


def refuse_unknown(given: Json, only: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Raises ModelError for a setting that is not `known` and says something, or has another value than the `only` one."""
    for key, value in given.items():
        if key in only:
            if value is not None and value != only[key]:
                raise unsupported(key, value, where, f"only {only[key]!r} is")
        elif key not in known and not _says_nothing(value):
            raise unsupported(key, value, where, "it is not known here")


def unsupported(key: str, value: Any, where: str, why: str) -> ModelError:
    return ModelError(f"has {key}={value!r}, and {why}", where=where, remedy="no such model can be imported")


def _says_nothing(value: Any) -> bool:
    return value is None or value is False or value in ([], {})


def _ours(key: str, value: Any, where: str) -> Any:
    if key in ("hidden_act", "activation", "activation_function"):
        if value not in ACTIVATIONS:
            raise unsupported(key, value, where, f"known are {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[value]
    return value


def _theirs(key: str, value: Any) -> Any:
    return WRITTEN_AS[value] if key in ("hidden_act", "activation", "activation_function") else value


def _means_same(ours: ModelConfig, name: str, value: Any) -> bool:
    """Whether a switch that is left out says the same."""
    if name == "head_width":
        return bool(ours.width_of_head == (value or ours.width // ours.heads))
    if name == "attention_bias":
        return bool(ours.biased == ours.model_copy(update={name: value}).biased)
    if name == "key_value_heads":
        return (ours.key_value_heads or ours.heads) == (value or ours.heads)
    if name == "output_bias":  # of pieces that they do not have
        return value is False
    if name == "rotary_scaling":
        return ours.rotary_scaling is not None and value is not None and ours.rotary_scaling.model_dump() == {
            **ours.rotary_scaling.model_dump(), **value
        }  # fmt: skip
    return name == "norm_epsilon" and bool(ours.norm_eps == value)
