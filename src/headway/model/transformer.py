"""The model: `forward = decode(encode())`, and training, search, serving and explaining call the same two methods.

`encoder_layers = 0` leaves a decoder-only language model, `decoder_layers = 0` an encoder. Letters as in `layers.py`;
V is the vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headway.config import MediaConfig, ModelConfig
from headway.model.cache import KVCache
from headway.model.dropout import RandomMasks
from headway.model.embeddings import TextEmbedding
from headway.model.layers import Attention, Block, Linear, RelativePositionBias, Rotation, build_norm, rotary_positions
from headway.model.media_embeddings import MediaEmbedding, build_media_embedding


class Transformer(nn.Module):
    """Encoder and decoder stacks over one embedding (section 3.1).

    Args:
        config: the switches.
        source_vocabulary_size: pieces that the encoder reads; ignored without an encoder.
        target_vocabulary_size: pieces that the decoder reads and predicts.
        outputs: figures that the head of an encoder without decoder computes; 0 for no head.
        seed: of the initial weights.
        media: what the encoder reads in place of text, or with it where `source_vocabulary_size` is not 0.
        ctc: whether the encoder has an output of its own, which spells (Graves et al. 2006); `PAD` is its blank.
    """

    def __init__(
        self,
        config: ModelConfig,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        *,
        outputs: int = 0,
        seed: int = 0,
        media: MediaConfig | None = None,
        ctc: bool = False,
    ) -> None:
        super().__init__()
        self.config, self.media = config, media or MediaConfig()
        self.compute_dtype = torch.float32
        self.masks = RandomMasks()
        cross = config.encoder_layers > 0
        self.encoder = nn.ModuleList(Block(config, self.masks, cross_attention=False) for _ in range(config.encoder_layers))
        self.decoder = nn.ModuleList(Block(config, self.masks, cross_attention=cross) for _ in range(config.decoder_layers))
        pre_norm = config.norm_place == "pre"
        self.encoder_norm = build_norm(config, config.width) if pre_norm and self.encoder else nn.Identity()
        self.decoder_norm = build_norm(config, config.width) if pre_norm and self.decoder else nn.Identity()
        self.encoder_bias = self.decoder_bias = None
        if config.positions == "relative":
            sizes = {"buckets": config.relative_buckets, "max_distance": config.relative_distance}
            self.encoder_bias = RelativePositionBias(config.heads, bidirectional=True, **sizes) if self.encoder else None
            self.decoder_bias = RelativePositionBias(config.heads, bidirectional=False, **sizes) if self.decoder else None
        self._build_embeddings(source_vocabulary_size, target_vocabulary_size)
        self.head = Linear(config.width, outputs) if outputs and not self.decoder else None
        self.ctc = Linear(config.width, target_vocabulary_size) if ctc else None
        self._initialise(seed)

    def _build_embeddings(self, source_vocabulary_size: int, target_vocabulary_size: int) -> None:
        config = self.config
        both = bool(self.encoder) and bool(self.decoder)
        self.source_embedding: TextEmbedding | MediaEmbedding | None = None
        if self.encoder and self.media.kind == "text":
            self.source_embedding = TextEmbedding(config, source_vocabulary_size, self.masks)
        elif self.encoder:
            self.source_embedding = build_media_embedding(config, self.media, source_vocabulary_size, self.masks)
        self.target_embedding = TextEmbedding(config, target_vocabulary_size, self.masks) if self.decoder else None
        self.output: nn.Module | None = None
        self.output_bias: Tensor | None
        self.register_buffer("output_bias", torch.zeros(target_vocabulary_size) if config.output_bias and self.decoder else None)
        if self.target_embedding is None:
            return
        reads_text = self.source_embedding is not None and self.source_embedding.tokens is not None
        if self.source_embedding is not None and reads_text and both and config.tied_embeddings in ("all", "inputs"):
            if source_vocabulary_size != target_vocabulary_size:
                raise ValueError(f"tied_embeddings={config.tied_embeddings} needs one joint vocabulary for source and target")
            self.source_embedding.tokens = self.target_embedding.tokens
        if config.tied_embeddings in ("none", "inputs"):
            self.output = Linear(config.width, target_vocabulary_size, bias=False)

    def _initialise(self, seed: int) -> None:
        """Xavier-uniform projections, N(0, 1/D) embeddings so that the scaled input and the tied output both have unit size."""
        generator = torch.Generator().manual_seed(seed)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=self.config.width**-0.5, generator=generator)
                if name.endswith("tokens"):
                    nn.init.zeros_(module.weight[0])

    @property
    def output_weight(self) -> Tensor:
        """The matrix that turns hidden states into logits, [V, D]."""
        if self.output is not None:
            weight = self.output.weight
            assert isinstance(weight, Tensor)
            return weight
        embedding = self.target_embedding or self.source_embedding
        assert embedding is not None
        assert embedding.tokens is not None
        return embedding.tokens.weight

    def seed_dropout(self, *key: int) -> None:
        """Fixes the dropout of the next forward passes; the key names the place in training."""
        self.masks.seed(*key)
        torch.manual_seed(random.Random(repr(key)).getrandbits(63))  # what GPUs and compiled graphs draw from

    def forward(self, source_ids_BS: Tensor, source_mask_BS: Tensor, target_ids_BT: Tensor) -> Tensor:
        """Hidden states of every target position, [B, T, D]; `logits` turns them into scores of the next token."""
        memory_BSD = self.encode(source_ids_BS, source_mask_BS)
        return self.decode(target_ids_BT, memory_BSD, source_mask_BS)

    def encode(self, source_ids_BS: Tensor, source_mask_BS: Tensor) -> Tensor:
        """Reads the source, ids [B, S] or positions of media [B, S, F]; returns the memory [B, S, D]."""
        assert self.source_embedding is not None
        positions_S = torch.arange(source_ids_BS.shape[1], device=source_ids_BS.device)
        return self.encode_vectors(self.source_embedding(source_ids_BS, positions_S, self.compute_dtype), source_mask_BS)

    def encode_vectors(self, x_BSD: Tensor, source_mask_BS: Tensor) -> Tensor:
        """The memory [B, S, D] of what comes out of the source's embedding, places and all, [B, S, D]."""
        positions_S = torch.arange(x_BSD.shape[1], device=x_BSD.device)
        mask = self._attention_mask(source_mask_BS)
        bias = self.encoder_bias(positions_S, positions_S) if self.encoder_bias is not None else None
        rotation = self._rotation(positions_S)
        for block in self.encoder:
            if not self._skips_layer():
                x_BSD = block(x_BSD, mask=mask, bias=bias, rotation=rotation)
        return self.encoder_norm(x_BSD)  # type: ignore[no-any-return]

    def decode(
        self,
        target_ids_BT: Tensor,
        memory_BSD: Tensor | None,
        source_mask_BS: Tensor | None,
        cache: KVCache | None = None,
        segments_BT: Tensor | None = None,
    ) -> Tensor:
        """Hidden states after each target token, [B, T, D]; each sees only itself and what stands before it.

        Args:
            cache: with one the ids are only the new tokens, and `cache.advance` has said where they stand and what they see.
            segments_BT: numbers that tell the documents of a row apart: no token sees another document, and each begins at
                position 0. None where a row is one document.
        """
        assert self.target_embedding is not None
        T, device = target_ids_BT.shape[1], target_ids_BT.device
        if cache is None:
            positions_T = slots_S = own_positions = torch.arange(T, device=device)
            mask: Tensor | None = torch.ones(T, T, dtype=torch.bool, device=device).tril()[None, None]
        else:
            positions_T, slots_S, mask = cache.query_positions, cache.slot_positions, cache.mask
            own_positions = cache.own_positions()
        rotation = self._rotation(own_positions)
        if segments_BT is not None:
            assert mask is not None
            mask = mask & (segments_BT[:, None, :, None] == segments_BT[:, None, None, :])
            own_positions = _positions_in_segments(segments_BT)
        x_BTD = self.target_embedding(target_ids_BT, own_positions, self.compute_dtype)
        bias = self.decoder_bias(positions_T, slots_S) if self.decoder_bias is not None else None
        memory_mask = self._attention_mask(source_mask_BS)
        for index, block in enumerate(self.decoder):
            if not self._skips_layer():
                layer_cache = cache.layers[index] if cache is not None else None
                x_BTD = block(
                    x_BTD,
                    mask=mask,
                    bias=bias,
                    rotation=rotation,
                    memory_BSD=memory_BSD,
                    memory_mask=memory_mask,
                    cache=layer_cache,
                )
        x_BTD = self.decoder_norm(x_BTD)
        return x_BTD * self.config.width**-0.5 if self.config.output_scale else x_BTD

    def pool(self, memory_BSD: Tensor, mask_BS: Tensor) -> Tensor:
        """One vector for each source, [B, D]: the mean over its tokens, the largest of each component, the first or the last."""
        if self.config.pooling == "first":
            return memory_BSD[:, 0]
        if self.config.pooling == "last":
            return memory_BSD[torch.arange(len(memory_BSD), device=memory_BSD.device), mask_BS.sum(1) - 1]
        if self.config.pooling == "max":
            return memory_BSD.masked_fill(~mask_BS.unsqueeze(-1), torch.finfo(memory_BSD.dtype).min).amax(1)
        weights_BS1 = mask_BS.unsqueeze(-1).to(memory_BSD.dtype)
        return (memory_BSD * weights_BS1).sum(1) / weights_BS1.sum(1).clamp(min=1)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the next token, [..., V], in the dtype of `hidden`."""
        found = self.output(hidden) if self.output is not None else F.linear(hidden, self.output_weight.to(hidden.dtype))
        return found if self.output_bias is None else found + self.output_bias.to(found.dtype)

    @staticmethod
    def _attention_mask(mask_BS: Tensor | None) -> Tensor | None:
        """[B, 1, 1, S], or None where nothing is masked; a GPU is not made to wait for that answer."""
        if mask_BS is None or (not mask_BS.is_cuda and bool(mask_BS.all())):
            return None
        return mask_BS[:, None, None, :]

    def _rotation(self, positions_T: Tensor) -> Rotation | None:
        config = self.config
        return rotary_positions(positions_T, config) if config.positions == "rotary" else None

    def _skips_layer(self) -> bool:
        """LayerDrop (Fan et al. 2020): a whole layer rests for this batch."""
        rate = self.config.layer_dropout
        return self.training and rate > 0 and self.masks.uniform() < rate

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @contextmanager
    def record_attention(self) -> Iterator[dict[str, list[Tensor]]]:
        """While open, every attention recomputes its weights beside its output and keeps them.

        Yields a dict such as {"decoder.3.cross_attention": [weights_BHTS, …]}, one tensor per forward pass.
        """
        found = {name: module for name, module in self.named_modules() if isinstance(module, Attention)}
        maps: dict[str, list[Tensor]] = {}
        for name, module in found.items():
            maps[name] = module.recorded_weights = []
        try:
            yield maps
        finally:
            for module in found.values():
                module.recorded_weights = None


def _positions_in_segments(segments_BT: Tensor) -> Tensor:
    """The distance of each position from the beginning of its run of equal numbers, [B, T]."""
    positions_T = torch.arange(segments_BT.shape[1], device=segments_BT.device)
    begins_BT = torch.ones_like(segments_BT, dtype=torch.bool)
    begins_BT[:, 1:] = segments_BT[:, 1:] != segments_BT[:, :-1]
    return positions_T - (positions_T * begins_BT).cummax(1).values
