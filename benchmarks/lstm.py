"""The recurrent encoder–decoder that the Transformer is measured against: torch's own LSTM, with attention.

    B batch   S source length   T target length   D embedding width   C cells of a layer   M = 2C, both directions of the memory

What the years before the Transformer had found to work: a bidirectional encoder of two layers (Bahdanau et al. 2015), a decoder
whose lower layer asks the attention and whose upper layer reads what was found (Wu et al. 2016, but with the question of the same
step: so a whole sentence is one call of torch's kernel, and nothing waits for a loop in Python), and Luong et al.'s (2015)
attentional state before the output matrix, which is the embedding's. What is not recurrent is Headway's: embedding, dropout,
`attention()`.

The model has the two methods of `headway.Transformer`, so Headway's `train_step`, losses, greedy decoding and validation take
it as it is: whatever differs between the two is the model.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headway.config import ModelConfig
from headway.model.cache import KVCache
from headway.model.dropout import Dropout, RandomMasks
from headway.model.embeddings import TextEmbedding
from headway.model.layers import Linear, attention
from headway.model.transformer import Transformer


class Recurrent(nn.Module):
    """Two encoder and two decoder layers over one embedding.

    Args:
        config: of the Transformer beside it: embedding width, dropout; positions are not needed.
        cells: of each direction of an encoder layer; a decoder layer has twice as many.
    """

    seed_dropout = Transformer.seed_dropout
    parameter_count = Transformer.parameter_count

    output_bias = None  # of the output, which the losses ask for

    def __init__(self, config: ModelConfig, vocabulary_size: int, cells: int, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config.model_copy(update={"positions": "none"})
        self.masks, self.compute_dtype = RandomMasks(), torch.float32
        width, both = config.width, 2 * cells
        self.embedding = TextEmbedding(self.config, vocabulary_size, self.masks)
        self.forwards = nn.ModuleList(nn.LSTM(size, cells, batch_first=True) for size in (width, both))
        self.backwards = nn.ModuleList(nn.LSTM(size, cells, batch_first=True) for size in (width, both))
        self.bridge = Linear(both, 4 * both)  # from the encoder's last states to h and c of both decoder layers
        self.decoder = nn.ModuleList(nn.LSTM(size, both, batch_first=True) for size in (width, 2 * both))
        self.key = Linear(both, both, bias=False)
        self.attentional = Linear(2 * both, width, bias=False)
        self.dropout = Dropout(config.dropout, self.masks)
        self._initialise(torch.Generator().manual_seed(seed))

    def _initialise(self, generator: torch.Generator) -> None:
        """As the Transformer's; recurrent matrices orthogonal, forget gates open (Jozefowicz et al. 2015)."""
        for name, parameter in self.named_parameters():
            if "embedding" in name:
                nn.init.normal_(parameter, std=self.config.width**-0.5, generator=generator)
            elif "weight_hh" in name:
                for gate in parameter.chunk(4):
                    nn.init.orthogonal_(gate, generator=generator)
            elif parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                nn.init.zeros_(parameter)
                if "bias_ih" in name:
                    nn.init.ones_(parameter.chunk(4)[1])

    @property
    def output_weight(self) -> Tensor:
        return self.embedding.tokens.weight

    def forward(self, source_ids_BS: Tensor, source_mask_BS: Tensor, target_ids_BT: Tensor) -> Tensor:
        return self.decode(target_ids_BT, self.encode(source_ids_BS, source_mask_BS), source_mask_BS)

    def encode(self, source_ids_BS: Tensor, source_mask_BS: Tensor) -> Tensor:
        """Reads the source both ways; returns the memory [B, S, 2C], the forward direction first."""
        # The backward direction reads each source turned round within its own length: so padding comes last and changes nothing,
        # and oneDNN's kernel is used, which packed sequences would keep out (10 times slower at 256 tokens).
        places_S = torch.arange(source_ids_BS.shape[1], device=source_ids_BS.device)
        turned_BS = (source_mask_BS.sum(1, keepdim=True) - 1 - places_S) % source_ids_BS.shape[1]
        x = self.embedding(source_ids_BS, places_S, self.compute_dtype)
        for number, (forwards, backwards) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            x = self.dropout(x) if number else x
            y_BSC, _ = forwards(x)
            z_BSC, _ = backwards(_at(x, turned_BS))
            x = torch.cat((y_BSC, _at(z_BSC, turned_BS)), -1)
        return self.dropout(x)

    def decode(
        self, target_ids_BT: Tensor, memory_BSM: Tensor | None, source_mask_BS: Tensor, cache: KVCache | None = None
    ) -> Tensor:
        """Attentional states of every target position, [B, T, D].

        Args:
            cache: of greedy decoding. It keeps h and c of each layer, [B, M], where a Transformer's layer has keys and values.
        """
        layers = (
            cache.layers if cache is not None else [SimpleNamespace(memory=None, keys=None, values=None) for _ in self.decoder]
        )
        lower, upper = layers
        if memory_BSM is not None:
            lower.memory = self.key(memory_BSM), memory_BSM
            lower.keys, lower.values, upper.keys, upper.values = self._first_states(memory_BSM, source_mask_BS)
        keys_BSM, values_BSM = lower.memory
        x_BTD = self.embedding(target_ids_BT, torch.empty(0), self.compute_dtype)
        asks_BTM = self.dropout(_walk(self.decoder[0], x_BTD, lower))
        one_head = (asks_BTM[:, None], keys_BSM[:, None], values_BSM[:, None])
        found_BTM = attention(*one_head, mask=None if source_mask_BS.all() else source_mask_BS[:, None, None])[:, 0]
        said_BTM = self.dropout(_walk(self.decoder[1], torch.cat((asks_BTM, found_BTM), -1), upper))
        return self.dropout(self.attentional(torch.cat((said_BTM, found_BTM), -1)).tanh())

    def _first_states(self, memory_BSM: Tensor, source_mask_BS: Tensor) -> tuple[Tensor, ...]:
        """h and c of both decoder layers, from where each direction of the encoder ended."""
        forwards_BSC, backwards_BSC = memory_BSM.chunk(2, -1)
        last_B1 = source_mask_BS.sum(1, keepdim=True) - 1
        ends_BM = torch.cat((_at(forwards_BSC, last_B1)[:, 0], backwards_BSC[:, 0]), -1)
        return self.bridge(ends_BM).tanh().chunk(4, -1)

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.output_weight)


def _at(x_BSD: Tensor, places_BN: Tensor) -> Tensor:
    """Each row's vectors at its own places, [B, N, D]."""
    return x_BSD.gather(1, places_BN[:, :, None].expand(-1, -1, x_BSD.shape[2]))


def _walk(layer: nn.Module, x_BTD: Tensor, state: SimpleNamespace) -> Tensor:
    """Goes on from h and c of `state` and leaves them there; returns the outputs, [B, T, 2C]."""
    y_BTM, (h_1BM, c_1BM) = layer(
        x_BTD, (state.keys[None, : len(x_BTD)].contiguous(), state.values[None, : len(x_BTD)].contiguous())
    )
    state.keys, state.values = h_1BM[0], c_1BM[0]
    return y_BTM


def of_equal_size(other: Transformer, vocabulary_size: int, *, seed: int = 0) -> Recurrent:
    """The model with about as many parameters as the other; cells come in eights, as kernels like them.

    Raises ValueError where it is not within 5 %.
    """
    few = (8, 16, 24)  # parameters are a quadratic function of cells
    wanted, counts = other.parameter_count(), [Recurrent(other.config, vocabulary_size, cells).parameter_count() for cells in few]
    roots = np.roots(np.polyfit(few, counts, 2) - (0, 0, wanted))
    cells = max(8, 8 * round(float(roots.real.max()) / 8))
    model = Recurrent(other.config, vocabulary_size, cells, seed=seed)
    if abs(model.parameter_count() / wanted - 1) > 0.05:
        raise ValueError(f"no recurrent model is within 5 % of {wanted:,} parameters: {model.parameter_count():,}")
    return model
