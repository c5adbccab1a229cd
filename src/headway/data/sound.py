"""Sound as numbers: from samples to the log-mel frames that an encoder reads, and what is changed of them in training.

Pure functions on arrays. N counts samples, F frames, S positions of the encoder. All chance comes from the caller's generator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from headway.config_media import MEDIA, PLACES, MediaConfig

FLOOR = 1e-8  # of the loudest band: 80 dB below it; relative, so that loudness cannot matter
LOWEST_HZ = 20.0  # below it no one hears anything, and rooms rumble
_FRAMES_AT_ONCE = 4096
_LARGEST_TRANSFORM = 1 << 16
_QUIET_SECONDS = 0.1  # what must be quiet around a cut
_ZEROS = 16  # crossings of a sinc on either side
_NOISE_SAMPLES = 1 << 20
_CUT_WITHIN = 0.25  # the last share of a window in which its end is sought


def log_mel(waves: Sequence[np.ndarray], *, sample_rate: int, mels: int, window_ms: float, hop_ms: float) -> list[np.ndarray]:
    """float32 [N] samples of each → float32 [F, mels]: the logarithm of the power in each band, normalised over the recording.

    Hann windows every ``hop_ms``, the last filled up with zeros, so F = 1 + ceil((N - window) / hop). The bands are triangles at
    even distances on the mel scale of HTK. Mean and deviation are those of all frames and bands of the recording, whose own
    mean, a fault of microphones, is taken away first.
    """
    if not waves:
        return []
    window, hop = max(2, round(sample_rate * window_ms / 1000)), max(1, round(sample_rate * hop_ms / 1000))
    frames = np.array([1 + max(0, math.ceil((len(wave) - window) / hop)) for wave in waves])
    features = _band_power(waves, frames, window, hop, *_mel_filters(sample_rate, mels, window))
    starts = np.cumsum(frames) - frames
    loudest = np.maximum.reduceat(features.max(axis=1), starts)
    floor = np.where(loudest > 0, loudest * np.float32(FLOOR), np.float32(1))  # of silence all logarithms are 0
    np.log(np.maximum(features, np.repeat(floor, frames)[:, None], out=features), out=features)
    features -= np.repeat(_means(features, starts, frames), frames)[:, None]
    deviation = np.sqrt(_means(np.square(features), starts, frames))
    features /= np.repeat(np.where(deviation > 0, deviation, np.float32(1)), frames)[:, None]
    return np.split(features, starts[1:])


def _band_power(
    waves: Sequence[np.ndarray], frames: np.ndarray, window: int, hop: int, size: int, filters: np.ndarray
) -> np.ndarray:
    """float32 [all frames, mels]: the power of each frame of each recording in each band.

    One transform of the frames of all: to make hundreds of short recordings one by one takes several times as long.
    """
    import torch

    # Each begins a whole number of steps after the one before, so that all frames are one strided view; those that reach from
    # one recording into the next are left out.
    rooms = frames + -(-window // hop) - 1
    starts = np.cumsum(rooms) - rooms
    padded = np.zeros(int(rooms.sum()) * hop + window, dtype=np.float32)
    for start, wave in zip((starts * hop).tolist(), waves, strict=True):
        padded[start : start + len(wave)] = wave - (wave.mean(dtype=np.float64) if len(wave) else 0)
    overlapping = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    wanted = np.repeat(starts - np.cumsum(frames) + frames, frames) + np.arange(frames.sum())
    both_parts = torch.from_numpy(filters).repeat_interleave(2, dim=0)  # of a complex number
    power = np.empty((len(wanted), filters.shape[1]), dtype=np.float32)
    for start in range(0, len(wanted), _FRAMES_AT_ONCE):
        windowed = overlapping[wanted[start : start + _FRAMES_AT_ONCE]] * _hann(window)
        spectrum = torch.view_as_real(torch.fft.rfft(torch.from_numpy(windowed), size)).flatten(1)
        power[start : start + _FRAMES_AT_ONCE] = (spectrum.square_() @ both_parts).numpy()
    return power


def _means(values: np.ndarray, starts: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """float32: the mean of each recording's values [its frames, mels]."""
    sums = np.add.reduceat(values.sum(axis=1, dtype=np.float64), starts)
    return (sums / (frames * values.shape[1])).astype(np.float32)


@lru_cache(maxsize=16)
def _hann(window: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)


@lru_cache(maxsize=16)
def _mel_filters(sample_rate: int, mels: int, window: int) -> tuple[int, np.ndarray]:
    """The size of the Fourier transform, and the filters, float32 [size // 2 + 1, mels]."""
    size = 1 << (window - 1).bit_length()
    filters = mel_filters(sample_rate, mels, size)
    # A band between two frequencies of the transform would always be empty.
    while not filters.any(axis=0).all() and size < _LARGEST_TRANSFORM:
        size *= 2
        filters = mel_filters(sample_rate, mels, size)
    return size, filters.astype(np.float32)


def mel_filters(sample_rate: int, mels: int, size: int) -> np.ndarray:
    """float64 [size // 2 + 1, mels]: how much each frequency of a Fourier transform counts for each band, at most 1."""
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (min(LOWEST_HZ, sample_rate / 8), sample_rate / 2))
    edges = np.linspace(low, high, mels + 2)
    place = 2595 * np.log10(1 + np.arange(size // 2 + 1) * (sample_rate / size) / 700)
    rising = (place[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - place[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def stack_frames(features: np.ndarray, *, subsampling: int) -> np.ndarray:
    """float32 [F, mels] → float32 [S, PLACES + subsampling * mels], S = ceil(F / subsampling), the last filled up with zeros."""
    frames, mels = features.shape
    positions = -(-frames // subsampling)
    rows = np.zeros((positions, PLACES + subsampling * mels), dtype=np.float32)
    rows[:, 0] = MEDIA
    rows[:, 1] = np.arange(positions)
    padded = np.zeros((positions * subsampling, mels), dtype=np.float32)
    padded[:frames] = features
    rows[:, PLACES:] = padded.reshape(positions, -1)
    return rows


def spec_augment(features: np.ndarray, chance: np.random.Generator, settings: MediaConfig) -> np.ndarray:
    """[F, mels] with stretches of time and of bands set to 0, which is the mean (SpecAugment, Park et al. 2019, section 2).

    The width of each is drawn evenly from 0 to its limit. However short a recording is, half of its time stays.
    """
    frames, mels = features.shape
    hidden = features.copy()
    longest = min(round(settings.time_mask_ms / settings.hop_ms), frames // (2 * max(1, settings.time_masks)))
    for _ in range(settings.time_masks):
        start, end = _stretch(chance, frames, longest)
        hidden[start:end] = 0
    widest = min(round(settings.band_mask_share * mels), mels - 1)
    for _ in range(settings.band_masks):
        start, end = _stretch(chance, mels, widest)
        hidden[:, start:end] = 0
    return hidden


def _stretch(chance: np.random.Generator, length: int, longest: int) -> tuple[int, int]:
    width = int(chance.integers(0, longest + 1))
    start = int(chance.integers(0, length - width + 1))
    return start, start + width


def change_speed(wave: np.ndarray, factor: float) -> np.ndarray:
    """[N] → [about N / factor]: played faster (factor > 1) or slower, so pitch and tempo change (Ko et al. 2015, section 2).

    By whole percents: 100 samples of the result come of ``100 * factor`` samples, always with the same weights.
    """
    percent = round(100 * factor)
    if percent == 100:
        return wave
    weights, reach = _speed_weights(percent)
    length = max(1, round(100 * len(wave) / percent))
    blocks = -(-length // 100)
    padded = np.zeros((blocks - 1) * percent + len(weights), dtype=np.float32)
    heard = wave[: len(padded) - reach]
    padded[reach : reach + len(heard)] = heard
    overlapping = np.lib.stride_tricks.sliding_window_view(padded, len(weights))[::percent]
    return (np.ascontiguousarray(overlapping) @ weights).reshape(-1)[:length]


@lru_cache(maxsize=256)
def _speed_weights(percent: int) -> tuple[np.ndarray, int]:
    """How much each sample counts for each of 100 in their place, float32 [samples, 100]; so many samples stand before the first.

    A sinc under a Hann window (Smith 2002, Digital Audio Resampling), wider where it must take away what cannot be played faster.
    """
    stretch = max(1.0, percent / 100)
    reach = math.ceil(_ZEROS * stretch)
    distance = (np.arange(percent + 2 * reach)[:, None] - reach - np.arange(100) * percent / 100) / stretch
    weights = np.sinc(distance) * np.cos(np.pi * np.clip(distance / _ZEROS, -1, 1) / 2) ** 2
    return (weights / weights.sum(axis=0)).astype(np.float32), reach


def shift(wave: np.ndarray, samples: int) -> np.ndarray:
    """With so many samples of silence before it, or, where negative, without so many of its first; the last one always stays."""
    if samples >= 0:
        return np.concatenate([np.zeros(samples, dtype=wave.dtype), wave])
    return wave[min(-samples, max(0, len(wave) - 1)) :]


def add_noise(wave: np.ndarray, chance: np.random.Generator, level: float) -> np.ndarray:
    """With white noise whose root mean square is ``level`` times that of the recording.

    It is a stretch of noise that is drawn once, from a random place on: to draw each sample anew takes longer than to hear it.
    """
    if not level or not len(wave):
        return wave
    loudness = math.sqrt(float(np.square(wave).mean()))
    noise = _noise()
    start = int(chance.integers(0, max(1, len(noise) - len(wave) + 1)))
    return wave + np.float32(level * loudness) * np.resize(noise[start : start + len(wave)], len(wave))


@lru_cache(maxsize=1)
def _noise() -> np.ndarray:
    return np.random.Generator(np.random.PCG64(0)).standard_normal(_NOISE_SAMPLES, dtype=np.float32)


def split_at_quiet(wave: np.ndarray, sample_rate: int, longest_seconds: float) -> list[np.ndarray]:
    """[N] → pieces that together are the whole, none longer, cut where the last quarter of each window is quietest.

    Pieces are views. Quiet is where the energy of 100 ms around the cut is least; of equal places the latest is taken.
    """
    longest = max(1, int(sample_rate * longest_seconds))
    pieces = []
    while len(wave) > longest:
        cut = _quietest(wave[:longest], max(1, round(sample_rate * _QUIET_SECONDS)))
        pieces.append(wave[:cut])
        wave = wave[cut:]
    return [*pieces, wave]


def _quietest(window: np.ndarray, around: int) -> int:
    """Where to cut a window: the middle of the quietest stretch near its end."""
    first = min(len(window) - 1, int(len(window) * (1 - _CUT_WITHIN)))
    energy = np.concatenate([[0.0], np.cumsum(np.square(window[first:], dtype=np.float64))])
    if len(energy) <= around:
        return len(window)
    stretches = energy[around:] - energy[:-around]
    # Differences of sums are exact only to their last digits, and silence should not be cut at a place of chance.
    quiet = np.flatnonzero(stretches <= stretches.min() + 1e-12 * energy[-1])
    return max(1, first + int(quiet[-1]) + around // 2)
