"""Sound as numbers: from samples to the log-mel frames that an encoder reads, and what is changed of them in training.

Pure functions on arrays. N counts samples, F frames, S positions of the encoder. All chance comes from the caller's generator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from headway.config_media import MEDIA, PLACES, MediaConfig

FLOOR = 1e-8  # of the loudest band: 80 dB below it; relative, so that loudness cannot matter
LOWEST_HZ = 20.0  # below it no one hears anything, and rooms rumble
_FRAMES_AT_ONCE = 8192
_LARGEST_TRANSFORM = 1 << 16
_QUIET_SECONDS = 0.1  # what must be quiet around a cut
_NOISE_SAMPLES = 1 << 20
_CUT_WITHIN = 0.25  # the last share of a window in which its end is sought


def log_mel(
    waves: Sequence[np.ndarray],
    *,
    sample_rate: int,
    mels: int,
    window_ms: float,
    hop_ms: float,
    speeds: Sequence[float] | None = None,
) -> list[np.ndarray]:
    """float32 [N] samples of each → float32 [F, mels]: the logarithm of the power in each band, normalised over the recording.

    Hann windows every ``hop_ms``, the last filled up with zeros, so F = 1 + ceil((N - window) / hop). The bands are triangles at
    even distances on the mel scale of HTK. Mean and deviation are those of all frames and bands of the recording, whose own
    mean, a fault of microphones, is taken away first.

    Args:
        speeds: how many times as fast each is played, so that pitch and tempo change (Ko et al. 2015, section 2). Nothing is
            resampled: of a recording that is played faster a window holds more samples, each of which is shorter.
    """
    if not waves:
        return []
    window, hop = max(2, round(sample_rate * window_ms / 1000)), max(1, round(sample_rate * hop_ms / 1000))
    size = _transform_size(sample_rate, mels, window)
    played = [_Played.at(speed, window, hop, size) for speed in speeds or [1.0] * len(waves)]
    frames = np.array(
        [1 + max(0, math.ceil((len(wave) - one.window) / one.hop)) for one, wave in zip(played, waves, strict=True)]
    )
    filters = np.stack([_filters(sample_rate, mels, size, one.hop, hop) for one in played])
    features = _band_power(waves, played, frames, filters, size)
    loudest = features.max(axis=(1, 2))
    floor = np.where(loudest > 0, loudest * np.float32(FLOOR), np.float32(1))  # of silence all logarithms are 0
    np.log(np.maximum(features, floor[:, None, None], out=features), out=features)
    # Where a recording has ended, features stand at its floor.
    quiet, behind, count = np.log(floor), (features.shape[1] - frames) * mels, frames * mels
    mean = ((features.sum(axis=(1, 2), dtype=np.float64) - behind * quiet.astype(np.float64)) / count).astype(np.float32)
    features -= mean[:, None, None]
    squares = np.einsum("rfm,rfm->r", features, features, dtype=np.float64) - behind * np.square(
        (quiet - mean).astype(np.float64)
    )
    deviation = np.sqrt(np.maximum(squares, 0) / count)
    features /= np.where(deviation > 1e-6, deviation, 1).astype(np.float32)[:, None, None]
    return [found[:number] for found, number in zip(features, frames.tolist(), strict=True)]


class _Played(NamedTuple):
    """How many samples a window and a step hold at a speed: a step is a whole number, and a window fits the transform."""

    window: int
    hop: int

    @classmethod
    def at(cls, speed: float, window: int, hop: int, size: int) -> _Played:
        step = max(1, round(hop * speed))
        return cls(min(size, max(2, round(window * step / hop))), step)


def _band_power(
    waves: Sequence[np.ndarray], played: Sequence[_Played], frames: np.ndarray, filters: np.ndarray, size: int
) -> np.ndarray:
    """float32 [recordings, most frames, mels]: the power of each frame in each band, 0 where there is none.

    One transform of the frames of all: to make hundreds of short recordings one by one takes several times as long. By torch and
    not numpy, whose own threads would wait for those of torch.
    """
    import torch

    power = np.zeros((len(waves), int(frames.max()), filters.shape[2]), dtype=np.float32)
    views = [_frames_of(wave, one, count) for wave, one, count in zip(waves, played, frames.tolist(), strict=True)]
    step = max(1, _FRAMES_AT_ONCE // len(waves))
    windowed = torch.empty(len(waves), min(step, power.shape[1]), size)
    for start in range(0, power.shape[1], step):
        width = min(step, power.shape[1] - start)
        for place, view in zip(windowed.numpy(), views, strict=True):
            some = view[start : start + width]
            np.multiply(some, _hann(some.shape[1]), out=place[: len(some), : some.shape[1]])
            place[: len(some), some.shape[1] :] = 0
            place[len(some) :] = 0
        spectrum = torch.view_as_real(torch.fft.rfft(windowed[:, :width])).flatten(2)
        power[:, start : start + width] = torch.bmm(spectrum.square_(), torch.from_numpy(filters)).numpy()
    return power


def _frames_of(wave: np.ndarray, played: _Played, frames: int) -> np.ndarray:
    """[frames, window]: a view of the recording without its mean, and with zeros behind it."""
    padded = np.zeros(played.window + (frames - 1) * played.hop, dtype=np.float32)
    padded[: len(wave)] = wave - np.float32(wave.sum(dtype=np.float64) / max(1, len(wave)))
    return np.ndarray((frames, played.window), np.float32, padded, strides=(4 * played.hop, 4))


@lru_cache(maxsize=256)
def _hann(window: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)


@lru_cache(maxsize=16)
def _transform_size(sample_rate: int, mels: int, window: int) -> int:
    size = 1 << (window - 1).bit_length()
    # A band between two frequencies of the transform would always be empty.
    while not mel_filters(sample_rate, mels, size).any(axis=0).all() and size < _LARGEST_TRANSFORM:
        size *= 2
    return size


@lru_cache(maxsize=512)
def _filters(sample_rate: int, mels: int, size: int, step: int, hop: int) -> np.ndarray:
    """float32 [size + 2, mels], each row twice: for both parts of a complex number.

    Of a recording that is played so fast that a step has ``step`` samples in place of ``hop``.
    """
    return np.repeat(mel_filters(sample_rate, mels, size, step / hop).astype(np.float32), 2, axis=0)


def mel_filters(sample_rate: int, mels: int, size: int, speed: float = 1.0) -> np.ndarray:
    """float64 [size // 2 + 1, mels]: how much each frequency of a Fourier transform counts for each band, at most 1.

    Played faster, all frequencies of a recording are higher; the bands stay where they are.
    """
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (min(LOWEST_HZ, sample_rate / 8), sample_rate / 2))
    edges = np.linspace(low, high, mels + 2)
    place = 2595 * np.log10(1 + np.arange(size // 2 + 1) * (speed * sample_rate / size) / 700)
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
    loudness = math.sqrt(float(wave @ wave) / len(wave))
    noise = _noise()
    start = int(chance.integers(0, max(1, len(noise) - len(wave) + 1)))
    heard = noise[start : start + len(wave)]
    return wave + np.float32(level * loudness) * (heard if len(heard) == len(wave) else np.resize(heard, len(wave)))


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
