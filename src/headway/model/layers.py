"""The bricks of the Transformer: norms, positions, dropout, attention, feed-forward, block.

Dimension letters, here and in the rest of `model/`:

    B batch   S source length   T target (query) length   D width   H heads   G key/value heads   K head width

Masks are boolean and True means "may be attended to". Weights are kept in float32; every layer computes in the
dtype of its input, so the model's one precision switch is the dtype of the embedded input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headway.config import ModelConfig
from headway.config_sections import RotaryScaling
from headway.model.cache import LayerCache
from headway.model.dropout import Dropout, RandomMasks

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),  # as GPT-2 computes it
    "silu": F.silu,
}

# On a CPU the fused kernel's set-up costs more than the products of a short sequence: its bf16 backward is 8 times
# slower at 270 sequences of 15 tokens (benchmarks/attention.py). Beyond this many scores a head it is used again.
LARGEST_UNFUSED_SCORES = 128 * 128


class Linear(nn.Linear):
    """y = x Wᵀ + b in the dtype of x; the gradient reaches the float32 weights."""

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


class LayerNorm(nn.LayerNorm):
    """Layer normalisation (Ba et al. 2016); statistics are float32 inside the kernel."""

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), bias, self.eps)


class RMSNorm(nn.RMSNorm):
    """Root-mean-square normalisation (Zhang & Sennrich 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


def build_norm(config: ModelConfig, width: int) -> nn.Module:
    if config.norm == "rms":
        return RMSNorm(width, eps=config.norm_eps)
    return LayerNorm(width, eps=config.norm_eps, bias=config.bias)


def sinusoidal_positions(positions_T: Tensor, width: int) -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i/D)), PE(pos, 2i+1) = cos(…): section 3.5 of the paper. Returns [T, D] float32."""
    return sinusoids_at(positions_T, sinusoidal_frequencies(width, positions_T.device))[:, :width]


def sinusoidal_frequencies(width: int, device: torch.device | None = None) -> Tensor:
    """1 / 10000^(2i/D), [D/2] float32."""
    even = torch.arange(0, width, 2, device=device, dtype=torch.float32)
    return torch.exp(even * (-math.log(10000.0) / width))


def sinusoids_at(positions_T: Tensor, frequencies: Tensor) -> Tensor:
    """Sines and cosines in turns, two for each frequency, [T, 2F] float32."""
    angles = positions_T.float()[:, None] * frequencies
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


class Rotation(NamedTuple):
    """cos and sin of what rotary positions turn by, [T, 1, K] or [B, T, 1, K] float32; the sin of the first half is negative."""

    cos: Tensor
    sin: Tensor


def rotary_positions(positions_T: Tensor, config: ModelConfig) -> Rotation:
    """Rotary positions (Su et al. 2021): the pair (k, k + K/2) turns by pos / 10000^(2k/K); the base may be another."""
    return rotation_at(positions_T, rotary_frequencies(config, positions_T.device))


def rotation_at(positions_T: Tensor, frequencies: Tensor) -> Rotation:
    """What turns each position by so much for each frequency, [K/2]."""
    angles = positions_T.float()[..., None, None] * frequencies
    cos, sin = angles.cos(), angles.sin()
    return Rotation(torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1))


def rotary_frequencies(config: ModelConfig, device: torch.device | None = None) -> Tensor:
    """By how much each pair turns from a position to the next, [K/2] float32."""
    half = config.width_of_head // 2
    frequency = config.rotary_base ** (-torch.arange(half, device=device, dtype=torch.float32) / half)
    return frequency if config.rotary_scaling is None else _slowed(frequency, config.rotary_scaling)


def _slowed(frequency: Tensor, scaling: RotaryScaling) -> Tensor:
    """llama3 (Grattafiori et al. 2024, section 3.4.2): pairs that turn often stay, slow ones are slowed, others in between."""
    if scaling.kind == "linear":
        return frequency / scaling.factor
    turns = scaling.original_positions * frequency / (2 * math.pi)
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return frequency * kept + frequency / scaling.factor * (1 - kept)


def rotate(x_BTHK: Tensor, rotation: Rotation) -> Tensor:
    """Every pair (first, second) becomes (first cos − second sin, second cos + first sin). Returns [B, T, H, K]."""
    heads = (*(1,) * (rotation.cos.dim() - 2), x_BTHK.shape[2], 1)
    cos, sin = (table.to(x_BTHK.dtype).repeat(heads) for table in rotation)  # the kernel likes long rows
    return torch.addcmul(x_BTHK * cos, x_BTHK.roll(x_BTHK.shape[-1] // 2, -1), sin)


class RelativePositionBias(nn.Module):
    """A learned bias per head and bucket of distance, shared by the layers of a stack (T5: Raffel et al. 2020, section 2.1)."""

    def __init__(self, heads: int, *, bidirectional: bool, buckets: int, max_distance: int) -> None:
        super().__init__()
        self.bidirectional, self.buckets, self.max_distance = bidirectional, buckets, max_distance
        self.bias = nn.Embedding(buckets, heads)

    def forward(self, query_positions_T: Tensor, key_positions_S: Tensor) -> Tensor:
        """Returns [1, H, T, S] float32."""
        distance = key_positions_S[None, :] - query_positions_T[:, None]
        return self.bias(self._bucket(distance)).permute(2, 0, 1)[None]

    def _bucket(self, distance: Tensor) -> Tensor:
        buckets, start = self.buckets, torch.zeros_like(distance)
        if self.bidirectional:
            buckets //= 2
            start = (distance > 0) * buckets
            distance = distance.abs()
        else:
            distance = (-distance).clamp(min=0)
        exact = buckets // 2
        logarithmic = exact + (
            torch.log(distance.clamp(min=1).float() / exact) / math.log(self.max_distance / exact) * (buckets - exact)
        ).long().clamp(max=buckets - exact - 1)
        return start + torch.where(distance < exact, distance, logarithmic)


def attention_weights(q_BHTK: Tensor, k_BHSK: Tensor, mask: Tensor | None, bias: Tensor | None) -> Tensor:
    """softmax(q kᵀ / √K + bias) over what the mask allows; equation 1 of the paper. Returns [B, H, T, S].

    The softmax is at least float32: more exact, and on a CPU also several times faster than bf16's on short rows.
    """
    scores_BHTS = torch.matmul(q_BHTK * q_BHTK.shape[-1] ** -0.5, k_BHSK.transpose(-1, -2))
    if scores_BHTS.dtype == torch.bfloat16:
        scores_BHTS = scores_BHTS.float()
    if bias is not None:
        scores_BHTS = scores_BHTS + bias
    if mask is not None:
        scores_BHTS.masked_fill_(~mask, torch.finfo(scores_BHTS.dtype).min)
    return scores_BHTS.softmax(dim=-1).to(q_BHTK.dtype)


def attention(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_BHSK: Tensor,
    *,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    dropout: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Scaled dot-product attention, equation 1: softmax(q kᵀ / √K) v. Returns [B, H, T, K].

    Args:
        mask: boolean, broadcastable to [B, 1, T, S]; True may be attended to.
        bias: added to the scores, broadcastable to [B, H, T, S].
        dropout: applied to the weights; None for none.
    """
    scores = q_BHTK.shape[-2] * k_BHSK.shape[-2]
    exporting = torch.compiler.is_exporting()  # a graph for any length cannot ask for it
    if dropout is None and not exporting and (q_BHTK.is_cuda or scores > LARGEST_UNFUSED_SCORES):
        if bias is not None:
            bias = bias.to(q_BHTK.dtype)
            mask = bias if mask is None else bias.masked_fill(~mask, torch.finfo(bias.dtype).min)
        return F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, attn_mask=mask)
    if q_BHTK.dtype == torch.bfloat16 and q_BHTK.shape[2] == 1 and not q_BHTK.is_cuda and dropout is None:
        # oneDNN has other kernels for one or two rows: they add up in an order that depends on S, and so on padding.
        return attention(torch.cat((q_BHTK,) * 4, 2), k_BHSK, v_BHSK, mask=mask, bias=bias)[:, :, :1]
    weights_BHTS = attention_weights(q_BHTK, k_BHSK, mask, bias)
    return torch.matmul(weights_BHTS if dropout is None else dropout(weights_BHTS), v_BHSK)


class Attention(nn.Module):
    """Multi-head attention (section 3.2.2), with fewer key/value heads than heads if wanted (Ainslie et al. 2023)."""

    def __init__(self, config: ModelConfig, masks: RandomMasks) -> None:
        super().__init__()
        self.heads = config.heads
        self.key_value_heads = config.key_value_heads or config.heads
        self.head_width = config.width_of_head
        self.query_scale = 1.0 if config.attention_scale else self.head_width**0.5  # what is divided by later
        read_bias, output_bias = config.biased
        self.query: nn.Module = Linear(config.width, self.heads * self.head_width, bias=read_bias)
        self.key_value: nn.Module = Linear(config.width, 2 * self.key_value_heads * self.head_width, bias=read_bias)
        self.output = Linear(self.heads * self.head_width, config.width, bias=output_bias)
        self.query_norm = build_norm(config, self.head_width) if config.query_key_norm else nn.Identity()
        self.key_norm = build_norm(config, self.head_width) if config.query_key_norm else nn.Identity()
        self.weight_dropout = Dropout(config.attention_dropout, masks)
        self.joined: nn.Module | None = None  # query and key_value in one, for inference
        self.recorded_weights: list[Tensor] | None = None  # a list while `Transformer.record_attention` listens

    def keys_and_values(self, memory_BSD: Tensor, rotation: Rotation | None = None) -> tuple[Tensor, Tensor]:
        """Returns k and v, [B, G, S, K] each."""
        return self._split_keys_and_values(self.key_value(memory_BSD), rotation)

    def queries(self, x_BTD: Tensor, rotation: Rotation | None = None) -> Tensor:
        """Returns q, [B, H, T, K]."""
        return self._split_queries(self.query(x_BTD), rotation)

    def project(self, x_BTD: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """Returns q, k and v of the same vectors: one product where inference has joined the weights."""
        if self.joined is None:
            return self.queries(x_BTD, rotation), *self.keys_and_values(x_BTD, rotation)
        q, k_v = self.joined(x_BTD).tensor_split((self.heads * self.head_width,), dim=-1)
        return self._split_queries(q, rotation), *self._split_keys_and_values(k_v, rotation)

    def _split_queries(self, q: Tensor, rotation: Rotation | None) -> Tensor:
        q_BTHK = self.query_norm(q.unflatten(-1, (self.heads, self.head_width)))
        if self.query_scale != 1:
            q_BTHK = q_BTHK * self.query_scale
        return (q_BTHK if rotation is None else rotate(q_BTHK, rotation)).transpose(1, 2)

    def _split_keys_and_values(self, k_v: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor]:
        k_BSGK, v_BSGK = k_v.unflatten(-1, (2, self.key_value_heads, self.head_width)).unbind(2)
        k_BSGK = self.key_norm(k_BSGK)
        return (k_BSGK if rotation is None else rotate(k_BSGK, rotation)).transpose(1, 2), v_BSGK.transpose(1, 2)

    def forward(
        self, q_BHTK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, *, mask: Tensor | None, bias: Tensor | None = None
    ) -> Tensor:
        B, _, T, _ = q_BHTK.shape
        if self.key_value_heads != self.heads:
            repeats = self.heads // self.key_value_heads
            k_BGSK, v_BGSK = k_BGSK.repeat_interleave(repeats, dim=1), v_BGSK.repeat_interleave(repeats, dim=1)
        if self.recorded_weights is not None:
            self.recorded_weights.append(attention_weights(q_BHTK, k_BGSK, mask, bias).detach())
        dropout = self.weight_dropout if self.weight_dropout.active else None
        y_BHTK = attention(q_BHTK, k_BGSK, v_BGSK, mask=mask, bias=bias, dropout=dropout)
        return self.output(y_BHTK.transpose(1, 2).reshape(B, T, self.heads * self.head_width))


class FeedForward(nn.Module):
    """activation(x W₁ + b₁) W₂ + b₂ (equation 2); gated: (activation(x W₁) · x W₃) W₂ (Shazeer 2020)."""

    def __init__(self, config: ModelConfig, masks: RandomMasks) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[config.activation]
        self.inner = Linear(config.width, config.feed_forward_width, bias=config.bias)
        self.gate = Linear(config.width, config.feed_forward_width, bias=config.bias) if config.gated else None
        self.outer = Linear(config.feed_forward_width, config.width, bias=config.bias)
        self.dropout = Dropout(config.feed_forward_dropout, masks)

    def forward(self, x_BTD: Tensor) -> Tensor:
        hidden = self.activation(self.inner(x_BTD))
        if self.gate is not None:
            hidden = hidden * self.gate(x_BTD)
        return self.outer(self.dropout(hidden))


class Block(nn.Module):
    """One layer: self-attention, cross-attention if it reads a memory, feed-forward, each in a residual (section 3.1)."""

    def __init__(self, config: ModelConfig, masks: RandomMasks, *, cross_attention: bool) -> None:
        super().__init__()
        self.pre_norm = config.norm_place == "pre"
        self.self_attention = Attention(config, masks)
        self.self_attention_norm = build_norm(config, config.width)
        self.cross_attention = Attention(config, masks) if cross_attention else None
        self.cross_attention_norm = build_norm(config, config.width) if cross_attention else None
        self.feed_forward = FeedForward(config, masks)
        self.feed_forward_norm = build_norm(config, config.width)
        self.dropout = Dropout(config.dropout, masks)

    def residual(self, x_BTD: Tensor, norm: nn.Module, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """pre: x + f(norm(x)) (Xiong et al. 2020); post: norm(x + f(x)) (the paper)."""
        if self.pre_norm:
            return x_BTD + self.dropout(sublayer(norm(x_BTD)))
        return norm(x_BTD + self.dropout(sublayer(x_BTD)))  # type: ignore[no-any-return]

    def forward(
        self,
        x_BTD: Tensor,
        *,
        mask: Tensor | None,
        bias: Tensor | None = None,
        rotation: Rotation | None = None,
        memory_BSD: Tensor | None = None,
        memory_mask: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        def attend_to_self(normed_BTD: Tensor) -> Tensor:
            q, k, v = self.self_attention.project(normed_BTD, rotation)
            if cache is not None:
                k, v = cache.append(k, v)
            return self.self_attention(q, k, v, mask=mask, bias=bias)

        def attend_to_memory(normed_BTD: Tensor) -> Tensor:
            assert self.cross_attention is not None
            if cache is not None and cache.memory is not None:
                k, v = cache.memory
            else:
                assert memory_BSD is not None
                k, v = self.cross_attention.keys_and_values(memory_BSD)
                if cache is not None:
                    cache.memory = k.contiguous(), v.contiguous()
            return self.cross_attention(self.cross_attention.queries(normed_BTD), k, v, mask=memory_mask)

        x_BTD = self.residual(x_BTD, self.self_attention_norm, attend_to_self)
        if self.cross_attention is not None and self.cross_attention_norm is not None:
            x_BTD = self.residual(x_BTD, self.cross_attention_norm, attend_to_memory)
        return self.residual(x_BTD, self.feed_forward_norm, self.feed_forward)
