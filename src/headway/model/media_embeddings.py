"""The door for what is seen and heard: positions [B, S, F] in, vectors with places [B, S, D] out.

A position is what it is and where it stands (`PLACES` numbers), then its values: the pixels of a patch, or frames of a log-mel
spectrum. Pieces of text may stand among them: a question, or a sentence beside its picture. Letters as in `layers.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headway.config import MediaConfig, ModelConfig
from headway.config_media import CLASS, MEDIA, PLACES, TEXT
from headway.model.dropout import Dropout, RandomMasks
from headway.model.embeddings import SinusoidTable
from headway.model.layers import Linear, sinusoidal_positions


class MediaEmbedding(nn.Module):
    """What patches and frames have in common: places, pieces of text among them, and a vector for each of the two types."""

    def __init__(self, config: ModelConfig, media: MediaConfig, vocabulary_size: int, masks: RandomMasks) -> None:
        super().__init__()
        self.width, self.places, self.media = config.width, config.positions, media
        self.tokens = nn.Embedding(vocabulary_size, config.width) if vocabulary_size else None
        self.types = nn.Embedding(2, config.width) if vocabulary_size else None
        self.class_token = nn.Embedding(1, config.width) if media.class_token else None
        learned = config.positions == "learned" and (media.in_order or vocabulary_size > 0)  # else patches have rows and columns
        self.learned = nn.Embedding(config.max_positions, config.width) if learned else None
        self.dropout = Dropout(config.dropout, masks)
        self.sinusoids = SinusoidTable()

    def forward(self, source_BSF: Tensor, positions_S: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns [B, S, D] in `dtype`. Raises IndexError beyond learned positions."""
        places_BSP = source_BSF[..., :PLACES]
        x_BSD = self.values(source_BSF[..., PLACES:].to(dtype)).float()
        if self.class_token is not None:
            x_BSD = torch.where(places_BSP[..., :1] == CLASS, self.class_token.weight, x_BSD)
        x_BSD = x_BSD + self.where(places_BSP, positions_S)
        if self.tokens is not None and self.types is not None:
            is_text_BS1 = places_BSP[..., :1] == TEXT
            x_BSD = torch.where(is_text_BS1, self._text(places_BSP), x_BSD) + self.types(is_text_BS1[..., 0].long())
        return self.dropout(x_BSD.to(dtype))

    def _text(self, places_BSP: Tensor) -> Tensor:
        assert self.tokens is not None
        ids_BS, order_BS = (places_BSP[..., column].long() * (places_BSP[..., 0] == TEXT) for column in (1, 2))
        vectors_BSD = self.tokens(ids_BS) * self.width**0.5
        if self.learned is not None:
            return vectors_BSD + self.learned(order_BS)  # type: ignore[no-any-return]
        return vectors_BSD + self.sinusoids(order_BS, self.width) if self.places == "sinusoidal" else vectors_BSD

    def values(self, values_BSV: Tensor) -> Tensor:
        """A vector for the values of each position, [B, S, D]."""
        raise NotImplementedError

    def where(self, places_BSP: Tensor, positions_S: Tensor) -> Tensor | float:
        """What tells where each position of media stands, [B, S, D] or [S, D]."""
        raise NotImplementedError


class PatchEmbedding(MediaEmbedding):
    """Patches of pictures (Dosovitskiy et al. 2021, equation 1), and blocks of clips (Arnab et al. 2021, section 3.2).

    A picture is a clip of one frame. Its places are sines and cosines of the row and the column, each in a part of the width, so
    that a picture of any shape can be read; the attention adds what `model.positions` says of the order of the patches. Where all
    pictures have one size, learned positions are a vector for each place.
    """

    def __init__(self, config: ModelConfig, media: MediaConfig, vocabulary_size: int, masks: RandomMasks) -> None:
        super().__init__(config, media, vocabulary_size, masks)
        channels = media.frames_per_patch * media.channels
        self.channels, self.stem = channels, None
        values = media.values
        if media.stem == "convolution":
            narrow, wide = max(8, config.width // 4), max(16, config.width // 2)
            self.stem = nn.ModuleList((Convolution(channels, narrow), Convolution(narrow, wide)))
            values = wide * (media.patch // 4) ** 2
        self.project = Linear(values, config.width)

    def values(self, values_BSV: Tensor) -> Tensor:
        if self.stem is None:
            return self.project(values_BSV)  # type: ignore[no-any-return]
        B, S, _ = values_BSV.shape
        side, frames = self.media.patch, self.media.frames_per_patch
        x = values_BSV.reshape(B * S, frames, side, side, -1).permute(0, 1, 4, 2, 3).reshape(B * S, self.channels, side, side)
        for layer in self.stem:
            x = F.gelu(layer(x))
        return self.project(x.reshape(B, S, -1))  # type: ignore[no-any-return]

    def where(self, places_BSP: Tensor, positions_S: Tensor) -> Tensor | float:
        if self.places == "none":
            return 0.0
        if self.media.in_order and self.learned is not None:
            return self.learned(positions_S)  # type: ignore[no-any-return]
        time_BS, row_BS, column_BS = (places_BSP[..., axis].long() * (places_BSP[..., 0] == MEDIA) for axis in (1, 2, 3))
        if self.media.kind == "image":
            half = self.width // 2
            return torch.cat((self.sinusoids(row_BS, half), self.sinusoids(column_BS, self.width - half)), -1)
        third = self.width // 3
        sides = [self.sinusoids(axis, third) for axis in (row_BS, column_BS)]
        return torch.cat((*sides, self.sinusoids(time_BS, self.width - 2 * third)), -1)


class Convolution(nn.Conv2d):
    """3 × 3 in steps of two, inside each patch (a stem of convolutions: Xiao et al. 2021); in the dtype of its input."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, kernel_size=3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        assert self.bias is not None
        return F.conv2d(x, self.weight.to(x.dtype), self.bias.to(x.dtype), stride=2, padding=1)


class AudioEmbedding(MediaEmbedding):
    """Frames of a log-mel spectrum, of which convolutions over time, each in steps of two, make positions (Dong et al. 2018).

    `subsampling` frames stand in one position of the input, so that S is the length before and after.
    """

    def __init__(self, config: ModelConfig, media: MediaConfig, vocabulary_size: int, masks: RandomMasks) -> None:
        super().__init__(config, media, vocabulary_size, masks)
        steps = media.subsampling.bit_length() - 1
        self.steps = nn.ModuleList(Linear(3 * (config.width if step else media.mels), config.width) for step in range(steps))
        self.project = Linear(config.width if steps else media.mels, config.width)

    def values(self, values_BSV: Tensor) -> Tensor:
        B, S, _ = values_BSV.shape
        x_BTC = values_BSV.reshape(B, S * self.media.subsampling, self.media.mels)
        for step in self.steps:
            before_BTC = F.pad(x_BTC[:, 1::2], (0, 0, 1, 0))[:, :-1]
            x_BTC = F.gelu(step(torch.cat((before_BTC, x_BTC[:, 0::2], x_BTC[:, 1::2]), -1)))
        return self.project(x_BTC)  # type: ignore[no-any-return]

    def where(self, places_BSP: Tensor, positions_S: Tensor) -> Tensor | float:
        if self.learned is not None:
            return self.learned(positions_S)  # type: ignore[no-any-return]
        return self.sinusoids(positions_S, self.width) if self.places == "sinusoidal" else 0.0


class WhisperEmbedding(MediaEmbedding):
    """Two convolutions over log-mel frames, the second in steps of two, and a table of places that does not learn.

    As Whisper has them (Radford et al. 2022, section 2.2): two frames stand in one position of the input.
    """

    def __init__(self, config: ModelConfig, media: MediaConfig, vocabulary_size: int, masks: RandomMasks) -> None:
        super().__init__(config, media, vocabulary_size, masks)
        self.first, self.second = Linear(3 * media.mels, config.width), Linear(3 * config.width, config.width)
        self.fixed: Tensor
        self.register_buffer("fixed", sinusoidal_positions(torch.arange(media.positions), config.width))

    def values(self, values_BSV: Tensor) -> Tensor:
        B, S, _ = values_BSV.shape
        x_BTC = values_BSV.reshape(B, 2 * S, self.media.mels)
        x_BTC = F.gelu(self.first(torch.cat((_shifted(x_BTC, 1), x_BTC, _shifted(x_BTC, -1)), -1)))
        return F.gelu(self.second(torch.cat((_shifted(x_BTC, 1)[:, 0::2], x_BTC[:, 0::2], x_BTC[:, 1::2]), -1)))

    def where(self, places_BSP: Tensor, positions_S: Tensor) -> Tensor | float:
        return self.fixed[positions_S]


def _shifted(x_BTC: Tensor, steps: int) -> Tensor:
    """Each place has what stood one step before it, or, of -1, behind it; zeros at the end."""
    return F.pad(x_BTC, (0, 0, steps, -steps))


def build_media_embedding(config: ModelConfig, media: MediaConfig, vocabulary_size: int, masks: RandomMasks) -> MediaEmbedding:
    """The embedding of a kind of media; `vocabulary_size` is that of a text read beside it, 0 for none."""
    heard = WhisperEmbedding if media.front_end == "whisper" else AudioEmbedding
    kind = heard if media.hears else PatchEmbedding
    return kind(config, media, vocabulary_size, masks)
