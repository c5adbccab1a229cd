"""A model of ours as CTranslate2 runs it: model.bin, config.json and the vocabulary.

There is one Transformer here, so one table of names serves every family that was imported and every model of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headway.config import Config, ModelConfig
from headway.data.tokenizer import Tokenizer
from headway.errors import MissingPackage
from headway.model.layers import sinusoidal_positions
from headway.model_dir import LoadedModel
from headway.special_ids import BOS_ID, EOS_ID, UNK_ID
from headway.tasks import extra_pieces

QUANTIZATIONS = ("int8", "int16", "float16", "bfloat16")
FILES = (
    "model.bin",
    "config.json",
    "vocabulary.json",
    "shared_vocabulary.json",
    "source_vocabulary.json",
    "target_vocabulary.json",
)
TASKS = ("translation", "summarisation", "dialogue", "language_model")
LEAST_POSITIONS = 1024  # rows of a table that is made of sinusoids
ACTIVATIONS = {"relu": "RELU", "gelu": "GELU", "gelu_tanh": "GELUTanh", "silu": "SWISH"}


def ctranslate2_problem(config: Config) -> str | None:
    """Why CTranslate2 cannot run such a model; None where it can."""
    model = config.model
    if config.task not in TASKS or config.media.kind != "text":
        return f"it writes texts from texts, and task={config.task} is none of {', '.join(TASKS)}"
    if not model.decoder_layers:
        return "it needs a decoder"
    if model.query_key_norm and (model.norm != "rms" or model.encoder_layers):
        return "model.query_key_norm is there for language models with model.norm=rms alone"
    if config.decoding.never_first:
        return "decoding.never_first has no place there: pieces are forbidden everywhere or nowhere"
    if model.positions == "relative" and not model.encoder_layers:
        return "a prompt of several pieces is read wrongly there with model.positions=relative"
    if model.token_types:
        return "model.token_types have no place there"
    if model.rotary_scaling is not None and model.rotary_scaling.kind == "llama3":
        return "it takes no factor for model.rotary_scaling.kind=llama3"
    return None


def write_ctranslate2(loaded: LoadedModel, directory: Path, quantization: str | None) -> None:
    """Writes the files of CTranslate2 into a directory that is there.

    Raises MissingPackage.
    """
    try:
        from ctranslate2 import specs
    except ImportError:
        raise MissingPackage("ctranslate2", "ctranslate2") from None
    spec = _Writer(loaded, specs).spec()
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(directory))


@dataclass(frozen=True)
class _Writer:
    loaded: LoadedModel
    specs: Any  # the module ctranslate2.specs

    @property
    def model(self) -> ModelConfig:
        return self.loaded.config.model

    def spec(self) -> Any:
        """The whole model, with its vocabulary and how it is to be asked."""
        found = self.loaded.model
        decoder = self._decoder()
        tokenizers, extra = self.loaded.tokenizers, extra_pieces(self.loaded.config)
        target = tokenizers.target
        if self.model.encoder_layers:
            made = self.specs.TransformerSpec(self._encoder(), decoder)
            made.register_source_vocabulary(vocabulary(tokenizers.source, extra))
            made.register_target_vocabulary(vocabulary(target, extra))
            made.config.add_source_eos = True
            made.config.decoder_start_token = target.vocabulary[BOS_ID]
        else:
            made = self.specs.TransformerDecoderModelSpec(decoder)
            made.register_vocabulary(vocabulary(target, extra))
        made.config.bos_token, made.config.eos_token = target.vocabulary[BOS_ID], target.vocabulary[EOS_ID]
        made.config.unk_token = target.vocabulary[UNK_ID]
        made.config.layer_norm_epsilon = self.model.norm_eps
        _set_linear(decoder.projection, found.output_weight, found.output_bias)
        return made

    def _encoder(self) -> Any:
        shape, found = self._shape(), self.loaded.model
        made = self.specs.TransformerEncoderSpec(num_layers=self.model.encoder_layers, **shape)
        self._set_stack(made, made.embeddings[0], found.source_embedding, found.encoder, found.encoder_norm, found.encoder_bias)
        return made

    def _decoder(self) -> Any:
        shape, found = self._shape(), self.loaded.model
        with_encoder = self.model.encoder_layers > 0
        made = self.specs.TransformerDecoderSpec(
            num_layers=self.model.decoder_layers, with_encoder_attention=with_encoder, **shape
        )
        self._set_stack(made, made.embeddings, found.target_embedding, found.decoder, found.decoder_norm, found.decoder_bias)
        if self.model.output_scale:
            made.scale_outputs = np.float32(self.model.width**-0.5)
        return made

    def _shape(self) -> dict[str, Any]:
        model, common = self.model, self.specs.common_spec
        rotary: dict[str, Any] = {}
        if model.positions == "rotary":
            rotary = {"rotary_dim": model.width_of_head, "rotary_interleave": False, "rotary_base": model.rotary_base}
        if model.rotary_scaling is not None:
            rotary["rotary_scaling_type"] = self.specs.attention_spec.RotaryScalingType.Linear
            rotary["rotary_scaling_factor"] = model.rotary_scaling.factor
        return rotary | {
            "num_heads": model.heads,
            "num_heads_kv": model.key_value_heads,
            "head_dim": model.head_width,
            "pre_norm": model.norm_place == "pre",
            "activation": getattr(common.Activation, ACTIVATIONS[model.activation]),
            "layernorm_embedding": model.embedding_norm,
            "relative_attention_bias": model.positions == "relative",
            "ffn_glu": model.gated,
            "rms_norm": model.norm == "rms",
            "qk_norm": model.query_key_norm,
        }

    def _set_stack(self, made: Any, table: Any, embedding: Any, layers: Any, norm: Any, bias: Any) -> None:
        model = self.model
        table.weight = _array(embedding.tokens.weight)
        made.scale_embeddings = np.float32(embedding.scale)
        if model.embedding_norm:
            self._set_norm(made.layernorm_embedding, embedding.norm)
        if model.positions not in ("relative", "rotary"):
            made.position_encodings.encodings = _array(self._positions(embedding))
        if model.norm_place == "pre":
            self._set_norm(made.layer_norm, norm)
        shared = _array(bias.bias.weight) if bias is not None else None
        for spec, block in zip(made.layer, layers, strict=True):
            self._set_self_attention(spec.self_attention, block, shared)
            if block.cross_attention is not None:
                _set_linear(spec.attention.linear[0], block.cross_attention.query.weight, block.cross_attention.query.bias)
                key_value = block.cross_attention.key_value
                _set_linear(spec.attention.linear[1], key_value.weight, key_value.bias)
                self._set_output(spec.attention, block.cross_attention, block.cross_attention_norm)
            self._set_norm(spec.ffn.layer_norm, block.feed_forward_norm)
            _set_linear(spec.ffn.linear_0, block.feed_forward.inner.weight, block.feed_forward.inner.bias)
            _set_linear(spec.ffn.linear_1, block.feed_forward.outer.weight, block.feed_forward.outer.bias)
            if model.gated:
                _set_linear(spec.ffn.linear_0_noact, block.feed_forward.gate.weight, block.feed_forward.gate.bias)

    def _set_self_attention(self, spec: Any, block: Any, shared: Any) -> None:
        attention = block.self_attention
        weights = torch.cat((attention.query.weight, attention.key_value.weight))
        biased = attention.query.bias is not None
        _set_linear(spec.linear[0], weights, torch.cat((attention.query.bias, attention.key_value.bias)) if biased else None)
        self._set_output(spec, attention, block.self_attention_norm)
        if shared is not None:
            spec.relative_attention_bias = shared
            spec.relative_attention_max_distance = np.int32(self.model.relative_distance)

    def _set_output(self, spec: Any, attention: Any, norm: Any) -> None:
        _set_linear(spec.linear[-1], attention.output.weight, attention.output.bias)
        self._set_norm(spec.layer_norm, norm)
        if self.model.query_key_norm:
            spec.q_norm.gamma, spec.k_norm.gamma = _array(attention.query_norm.weight), _array(attention.key_norm.weight)
        if not self.model.attention_scale:
            spec.queries_scale = np.float32(1.0)

    def _set_norm(self, spec: Any, norm: Any) -> None:
        spec.gamma = _array(norm.weight)
        if self.model.norm == "layer":
            spec.beta = _array(norm.bias if norm.bias is not None else torch.zeros_like(norm.weight))

    def _positions(self, embedding: Any) -> Tensor:
        """A row for each position, as the engine has no other formula than its own."""
        if embedding.learned is not None:
            return embedding.learned.weight[embedding.offset :]  # type: ignore[no-any-return]
        if embedding.fixed is not None:
            return embedding.fixed[embedding.offset :]  # type: ignore[no-any-return]
        config = self.loaded.config
        rows = max(LEAST_POSITIONS, 2 * config.data.max_length + 22, config.decoding.maximum_length + 2)
        if self.model.positions == "none":
            return torch.zeros(rows, self.model.width)
        return sinusoidal_positions(torch.arange(rows), self.model.width)


def vocabulary(tokenizer: Tokenizer, extra: list[str]) -> list[str]:
    """The pieces in the order of their numbers, those beyond the vocabulary last."""
    return [*tokenizer.vocabulary, *(f"<|{name}|>" for name in extra)]


def _set_linear(spec: Any, weight: Tensor, bias: Tensor | None) -> None:
    spec.weight = _array(weight)
    if bias is not None:
        spec.bias = _array(bias)


def _array(tensor: Tensor) -> Any:
    return tensor.detach().float().contiguous().numpy()
