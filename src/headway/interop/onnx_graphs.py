"""The model as graphs for any batch and any length: thin modules around its own blocks, for `torch.export`.

What the model looks up, or computes in a way that rounds otherwise elsewhere, is made here once and stands in the graph as a
table: frequencies of positions, and the buckets of relative ones. N are slots of the cache that are full; other letters as in
`model/layers.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headway.config import ModelConfig
from headway.model.cache import LayerCache
from headway.model.embeddings import SinusoidTable, TextEmbedding
from headway.model.layers import RelativePositionBias, rotary_frequencies, rotation_at, sinusoidal_frequencies, sinusoids_at
from headway.model.transformer import Transformer
from headway.tasks import embedding


@dataclass
class Signature:
    """An example of what a graph reads, by arguments, and the names of dimensions, inputs and outputs.

    No two lengths of the examples are the same, and none is 1: those would be taken for fixed ones.
    """

    inputs: dict[str, Any] = field(default_factory=dict)
    dimensions: dict[str, Any] = field(default_factory=dict)
    input_names: list[str] = field(default_factory=list)
    output_names: list[str] = field(default_factory=list)

    def add(self, name: str, example: Tensor, *dimensions: str) -> None:
        """An input whose first dimensions have these names; "" for one of a fixed length."""
        self.inputs[name], self.dimensions[name] = example, _named(dimensions)
        self.input_names.append(name)

    def add_layers(self, name: str, layers: int, example: Tensor, *dimensions: str) -> None:
        """Keys and values of each layer, in turns."""
        self.inputs[name] = [example.clone() for _ in range(2 * layers)]  # one tensor for all would be taken for one input
        self.dimensions[name] = [_named(dimensions)] * (2 * layers)
        self.input_names += layer_names(name, layers)


def _named(dimensions: Sequence[str]) -> dict[int, str]:
    return {place: name for place, name in enumerate(dimensions) if name}


def layer_names(name: str, layers: int) -> list[str]:
    """Such as past_keys.0, past_values.0, past_keys.1, …; of no name keys.0, …"""
    begin = f"{name}_" if name else ""
    return [f"{begin}{kind}.{layer}" for layer in range(layers) for kind in ("keys", "values")]


BATCH, SOURCE, TARGET, NEW, PAST, WANTED = 2, 3, 4, 5, 6, 7  # lengths of the examples


class EncoderGraph(nn.Module):
    """Ids and their mask in, [B, S] each; out, in this order: the memory [B, S, D]; what is made of it, if anything is; for each
    layer of the decoder its keys of the memory and its values, [B, G, S, K].

    Args:
        task: what is made of the memory depends on it.
    """

    def __init__(self, model: Transformer, task: str) -> None:
        super().__init__()
        assert isinstance(model.source_embedding, TextEmbedding)
        self.stack = _Stack(model.config, model.source_embedding, model.encoder, model.encoder_norm, model.encoder_bias)
        self.model, self.task = model, task
        self.blocks: Any = model.decoder

    def signature(self) -> Signature:
        found = Signature()
        found.add("source_ids", torch.zeros(BATCH, SOURCE, dtype=torch.long), "batch", "source")
        _add_mask(found)
        found.output_names = ["memory"]
        if self.task == "sentence_embedding":
            found.output_names.append("vector")
        elif self.model.head is not None:
            found.output_names.append("logits")
        found.output_names += layer_names("memory", len(self.model.decoder))
        return found

    def forward(self, source_ids: Tensor, source_mask: Tensor) -> tuple[Tensor, ...]:
        positions_S = torch.arange(source_ids.shape[1])
        memory_BSD = self.stack(source_ids, positions_S, positions_S, source_mask[:, None, None, :])
        found = [memory_BSD]
        if self.task == "sentence_embedding":
            found.append(embedding.read_out(self.model, memory_BSD, source_mask))
        elif self.model.head is not None:
            of_each_text = "classification" in self.task
            found.append(self.model.head(self.model.pool(memory_BSD, source_mask) if of_each_text else memory_BSD))
        for block in self.blocks:
            found += block.cross_attention.keys_and_values(memory_BSD)
        return tuple(found)


class DecoderGraph(nn.Module):
    """Logits [B, T, V] after each of the ids [B, T], each of which sees itself and what stands before it."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        assert model.target_embedding is not None
        self.stack = _Stack(model.config, model.target_embedding, model.decoder, model.decoder_norm, model.decoder_bias)
        self.model = model

    def signature(self) -> Signature:
        found = Signature(output_names=["logits"])
        found.add("target_ids", torch.zeros(BATCH, TARGET, dtype=torch.long), "batch", "target")
        if self.model.encoder:
            found.add("memory", torch.zeros(BATCH, SOURCE, self.model.config.width), "batch", "source")
            _add_mask(found)
        return found

    def forward(self, target_ids: Tensor, memory: Tensor | None = None, source_mask: Tensor | None = None) -> Tensor:
        positions_T = torch.arange(target_ids.shape[1])
        mask = (positions_T[:, None] >= positions_T)[None, None]
        memory_mask = source_mask[:, None, None, :] if source_mask is not None else None
        return self._logits(self.stack(target_ids, positions_T, positions_T, mask, memory, memory_mask))

    def _logits(self, hidden_BTD: Tensor) -> Tensor:
        config = self.model.config
        return self.model.logits(hidden_BTD * config.width**-0.5 if config.output_scale else hidden_BTD)


class CachedDecoderGraph(DecoderGraph):
    """The same for new ids only: what came before stands in N slots of a cache.

    In: ids [B, T]; their positions [T]; which of them logits are wanted of, by place [W]; which slots each sees, the new ones
    last, [B, T, N + T]; of each layer, in turns, keys and values of the slots [B, G, N, K]; where positions are relative, those
    of the slots [N]; where there is an encoder, of each layer keys and values of the memory [B, G, S, K], and the source's mask
    [B, S].
    Out: logits [B, W, V], and of each layer keys and values of all slots [B, G, N + T, K].
    """

    def signature(self) -> Signature:
        config, layers = self.model.config, len(self.model.decoder)
        heads, width = config.key_value_heads or config.heads, config.width_of_head
        found = Signature(output_names=["logits", *layer_names("", layers)])
        found.add("target_ids", torch.zeros(BATCH, NEW, dtype=torch.long), "batch", "new")
        found.add("positions", torch.arange(NEW), "new")
        found.add("wanted", torch.zeros(WANTED, dtype=torch.long), "wanted")
        if config.positions == "relative":
            found.add("past_positions", torch.arange(PAST), "past")
        found.add("visible", torch.ones(BATCH, NEW, PAST + NEW, dtype=torch.bool), "batch", "new", "past + new")
        found.add_layers("past", layers, torch.zeros(BATCH, heads, PAST, width), "batch", "", "past")
        if self.model.encoder:
            found.add_layers("memory", layers, torch.zeros(BATCH, heads, SOURCE, width), "batch", "", "source")
            _add_mask(found)
        return found

    def forward(  # type: ignore[override]
        self,
        target_ids: Tensor,
        positions: Tensor,
        wanted: Tensor,
        visible: Tensor,
        past: Sequence[Tensor],
        past_positions: Tensor | None = None,
        memory: Sequence[Tensor] = (),
        source_mask: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        slots = [_Slots(past[at], past[at + 1], tuple(memory[at : at + 2])) for at in range(0, len(past), 2)]
        memory_mask = source_mask[:, None, None, :] if source_mask is not None else None
        torch._check(visible.shape[2] == past[0].shape[2] + positions.shape[0])
        slots_S = torch.cat((past_positions, positions)) if past_positions is not None else None
        hidden_BTD = self.stack(target_ids, positions, slots_S, visible[:, None], None, memory_mask, slots)
        return self._logits(hidden_BTD.index_select(1, wanted)), *(tensor for one in slots for tensor in one.all)


def _add_mask(found: Signature) -> None:
    found.add("source_mask", torch.ones(BATCH, SOURCE, dtype=torch.bool), "batch", "source")


class _Slots(LayerCache):
    """One layer's cache as inputs and outputs of a graph."""

    def __init__(self, keys_BGNK: Tensor, values_BGNK: Tensor, memory: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.all = (keys_BGNK, values_BGNK)
        self.memory = (memory[0], memory[1]) if memory else None

    def append(self, k_BGTK: Tensor, v_BGTK: Tensor) -> tuple[Tensor, Tensor]:
        self.all = torch.cat((self.all[0], k_BGTK), 2), torch.cat((self.all[1], v_BGTK), 2)
        return self.all


class _Stack(nn.Module):
    """One of the model's two stacks."""

    def __init__(
        self, config: ModelConfig, embed: TextEmbedding, blocks: nn.ModuleList, norm: nn.Module, bias: RelativePositionBias | None
    ) -> None:
        super().__init__()
        self.embed = copy.copy(embed)  # the weights are the same
        self.embed.sinusoids = _Sinusoids(config.width)
        self.blocks, self.norm = blocks, norm
        self.bias = _BiasTable(bias) if bias is not None else None
        self.frequencies: Tensor | None
        self.register_buffer("frequencies", rotary_frequencies(config) if config.positions == "rotary" else None)

    def forward(
        self,
        ids_BT: Tensor,
        positions_T: Tensor,
        slots_S: Tensor | None,
        mask: Tensor,
        memory_BSD: Tensor | None = None,
        memory_mask: Tensor | None = None,
        caches: Sequence[LayerCache] | None = None,
    ) -> Tensor:
        x_BTD = self.embed(ids_BT, positions_T, torch.float32)
        bias = self.bias(positions_T, slots_S) if self.bias is not None and slots_S is not None else None
        rotation = rotation_at(positions_T, self.frequencies) if self.frequencies is not None else None
        for index, block in enumerate(self.blocks):
            x_BTD = block(
                x_BTD,
                mask=mask,
                bias=bias,
                rotation=rotation,
                memory_BSD=memory_BSD,
                memory_mask=memory_mask,
                cache=caches[index] if caches is not None else None,
            )
        return self.norm(x_BTD)  # type: ignore[no-any-return]


class _Sinusoids(SinusoidTable):
    """Computed, not looked up, from frequencies that were computed here."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frequencies = sinusoidal_frequencies(width)

    def __call__(self, positions: Tensor, width: int) -> Tensor:
        return sinusoids_at(positions, self.frequencies)[:, :width]


class _BiasTable(nn.Module):
    """The bias of every distance up to the largest that the model tells apart, [2M + 1, H]."""

    def __init__(self, bias: RelativePositionBias) -> None:
        super().__init__()
        self.most = bias.max_distance
        places = torch.arange(2 * self.most + 1)
        table_HR = bias(torch.tensor([self.most]), places)[0, :, 0]
        self.table: Tensor
        self.register_buffer("table", table_HR.t().detach().contiguous())

    def forward(self, query_positions_T: Tensor, key_positions_S: Tensor) -> Tensor:
        distance_TS = key_positions_S[None, :] - query_positions_T[:, None]
        places_TS = distance_TS.clamp(-self.most, self.most) + self.most
        return F.embedding(places_TS, self.table).permute(2, 0, 1)[None]
