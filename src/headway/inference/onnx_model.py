"""A model that onnxruntime runs, one step at a time: every search and every answer of Headway's stays what it is.

What its graphs compute beyond the memory (logits of a head, the vector of a text) is what `encode` returns here, so that `pool`
and `head` have nothing left to do; the same holds for `decode` and `logits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from headway.errors import MissingPackage, ModelError
from headway.interop.exported import ExportedModel
from headway.interop.onnx import DECODER_WITH_CACHE, ENCODER
from headway.interop.onnx_graphs import layer_names
from headway.model.cache import KVCache, LayerCache


class OnnxModel(nn.Module):
    """Stands where a Transformer stands for a predictor.

    Raises:
        MissingPackage: onnxruntime is not installed.
        ModelError: it cannot open the files.
    """

    def __init__(self, exported: ExportedModel) -> None:
        super().__init__()
        self.config = exported.config.model
        self.decoder = range(self.config.decoder_layers)
        self.head = nn.Identity()
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # tells where tensors are expected
        if self.config.encoder_layers:
            self._encoder = _Graph(exported, ENCODER)
        if self.decoder:
            self._steps = _Graph(exported, DECODER_WITH_CACHE)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """It computes on the CPU, wherever it is told to go."""
        return self

    def encode(self, source_ids_BS: Tensor, source_mask_BS: Tensor) -> Tensor:
        """What is made of the sources: logits, a vector each, or for the decoder what it reads of them."""
        given = {"source_ids": source_ids_BS, "source_mask": source_mask_BS}
        if not self.decoder:
            return self._encoder.run(given, [self._encoder.outputs[-1]])[0]
        return torch.stack(self._encoder.run(given, layer_names("memory", len(self.decoder))))

    def decode(self, target_ids_BT: Tensor, memory: Tensor | None, source_mask_BS: Tensor | None, cache: KVCache) -> Tensor:
        """Logits after each of the new ids, [B, T, V]; of a beginning, in which nobody chooses, after its last, [B, 1, V].

        Args:
            memory: what `encode` returned, for the first ids.
        """
        if memory is not None:
            for layer, (keys, values) in zip(cache.layers, memory.unflatten(0, (-1, 2)), strict=True):
                layer.memory = keys, values
        B, T = target_ids_BT.shape
        slots = len(cache.slot_positions)
        given = {
            "target_ids": target_ids_BT,
            "positions": cache.query_positions,
            "past_positions": cache.slot_positions[: slots - T],
            "wanted": torch.arange(T) if slots > T else torch.tensor([T - 1]),
            "visible": cache.mask[:, 0].expand(B, T, slots) if cache.mask is not None else torch.ones(B, T, slots).bool(),
        }
        if source_mask_BS is not None:
            given["source_mask"] = source_mask_BS
        layers = len(cache.layers)
        given |= zip(layer_names("past", layers), (t for layer in cache.layers for t in self._slots(layer, B)), strict=True)
        if cache.layers[0].memory is not None:
            given |= zip(layer_names("memory", layers), (t for layer in cache.layers for t in layer.memory or ()), strict=True)
        logits_BTV, *filled = self._steps.run(given, ["logits", *layer_names("", layers)])
        for layer, keys, values in zip(cache.layers, filled[::2], filled[1::2], strict=True):
            layer.keys, layer.values, layer.rows, layer.length = keys.transpose(2, 3), values, B, slots
        return logits_BTV

    def _slots(self, layer: LayerCache, rows: int) -> tuple[Tensor, Tensor]:
        """A layer's keys and values so far, [B, G, N, K] each."""
        if layer.keys is None or layer.values is None:
            none = torch.empty(rows, self.config.key_value_heads or self.config.heads, 0, self.config.width_of_head)
            return none, none
        return layer.keys[:rows].transpose(2, 3), layer.values[:rows]

    def pool(self, found: Tensor, mask_BS: Tensor) -> Tensor:
        return found

    def logits(self, found: Tensor) -> Tensor:
        return found


class _Graph:
    """A graph that is ready to run."""

    def __init__(self, exported: ExportedModel, name: str) -> None:
        path = exported.directory / name
        try:
            import onnxruntime
        except ImportError:
            raise MissingPackage("onnxruntime", "onnx", where=str(exported.directory)) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # or two batches at once wait for each other
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime has kinds of its own, and no common one
            said = " ".join(str(error).split())[-200:]
            problem = f"onnxruntime cannot open it: {said}"
            raise ModelError(problem, where=str(path), remedy="upgrade it: pip install --upgrade onnxruntime") from None
        self.inputs = {one.name for one in self._session.get_inputs()}
        self.outputs = [one.name for one in self._session.get_outputs()]

    def run(self, given: dict[str, Tensor], wanted: Sequence[str]) -> list[Tensor]:
        arrays = {name: np.ascontiguousarray(one.cpu().numpy()) for name, one in given.items() if name in self.inputs}
        return [torch.from_numpy(found) for found in self._session.run(list(wanted), arrays)]
