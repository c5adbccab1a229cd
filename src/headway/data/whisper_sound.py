"""Sound as Whisper hears it (Radford et al. 2022, section 2.2): from samples to its log-mel frames.

Pure functions on arrays. N counts samples, F frames. Frequencies are on Slaney's mel scale (Auditory Toolbox, 1998): even up to
1,000 Hz, and then in equal ratios.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from headway.config_media import MediaConfig

HIGHEST_HZ = 8000.0
FLOOR = 1e-10  # of power
RANGE = 8.0  # decades below the loudest band, under which all is alike
_EVEN_HZ = 1000.0
_HZ_OF_A_MEL = 200 / 3
_RATIO = math.log(6.4) / 27  # of the logarithms of neighbours above _EVEN_HZ


def log_mel(waves: Sequence[np.ndarray], settings: MediaConfig) -> list[np.ndarray]:
    """float32 [N] samples of each → float32 [F, mels]: logarithms to ten of the power in each band, moved to about -1 to 1.

    Each recording is filled up with silence to ``settings.longest_seconds``, or ends there, so that F is the same for all.
    """
    import torch

    rate, samples = settings.sample_rate, round(settings.longest_seconds * settings.sample_rate)
    window, hop = round(rate * settings.window_ms / 1000), round(rate * settings.hop_ms / 1000)
    filters = torch.from_numpy(mel_filters(rate, settings.mels, window))
    found = []
    for wave in waves:
        padded = torch.zeros(samples)
        padded[: len(wave)] = torch.from_numpy(wave[:samples])
        spectrum = torch.stft(padded, window, hop, window=torch.hann_window(window), return_complex=True)
        power = filters.T @ spectrum[:, :-1].abs().square()
        logarithms = power.clamp(min=FLOOR).log10()
        quietest = logarithms.max() - RANGE
        found.append(((torch.maximum(logarithms, quietest) + 4) / 4).T.contiguous().numpy())
    return found


@lru_cache(maxsize=16)
def mel_filters(sample_rate: int, mels: int, window: int) -> np.ndarray:
    """float32 [window // 2 + 1, mels]: triangles of one area, how much each frequency counts for each band."""
    most = HIGHEST_HZ
    edges = _hertz(np.linspace(0, _mels(most), mels + 2))
    place = np.linspace(0, sample_rate // 2, window // 2 + 1)[:, None]
    rising = (place - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - place) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))
    return triangles.astype(np.float32)


def _mels(hertz: float) -> float:
    return hertz / _HZ_OF_A_MEL if hertz < _EVEN_HZ else _EVEN_HZ / _HZ_OF_A_MEL + math.log(hertz / _EVEN_HZ) / _RATIO


def _hertz(mels: np.ndarray) -> np.ndarray:
    even = _EVEN_HZ / _HZ_OF_A_MEL
    return np.where(mels < even, mels * _HZ_OF_A_MEL, _EVEN_HZ * np.exp(_RATIO * (mels - even)))
