"""Sound as numbers: log-mel frames held to a slow reference and to SciPy, masks at their rates, cuts where it is quiet."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_media import tone

from headway.config_media import MEDIA, PLACES, MediaConfig
from headway.data.sound import (
    FLOOR,
    LOWEST_HZ,
    add_noise,
    log_mel,
    mel_filters,
    shift,
    spec_augment,
    split_at_quiet,
    stack_frames,
)


def chance(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def speech_like(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Noise that rises and falls over a few tones."""
    count = round(seconds * rate)
    time = np.arange(count) / rate
    wave = 0.1 * np.random.default_rng(seed).standard_normal(count) * (1 + np.sin(7 * time)) / 2
    return (wave + sum(tone(seconds, rate, hertz, 0.1)[:count] for hertz in (220, 700, 1800))).astype(np.float32)


# Log-mel


def log_mel_of(wave: np.ndarray, **options: Any) -> np.ndarray:
    (made,) = log_mel([wave], **options)
    return made


def slow_log_mel(wave: np.ndarray, rate: int, mels: int, window_ms: float, hop_ms: float) -> np.ndarray:
    """By the definition, frame by frame and band by band, in float64."""
    wave = wave.astype(np.float64)
    wave = wave - wave.mean()
    window, hop = round(rate * window_ms / 1000), round(rate * hop_ms / 1000)
    size = 1
    while size < window:
        size *= 2

    def mel(hertz: float) -> float:
        return 1127 * math.log(1 + hertz / 700)

    edges = [mel(LOWEST_HZ) + (mel(rate / 2) - mel(LOWEST_HZ)) * band / (mels + 1) for band in range(mels + 2)]
    rows = []
    for start in range(0, max(1, len(wave) - window + hop), hop):
        piece = np.zeros(size)
        taken = wave[start : start + window]
        for number, sample in enumerate(taken):
            piece[number] = sample * math.sin(math.pi * number / window) ** 2
        turning = np.exp(-2j * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(size)) / size)
        power = np.abs(turning @ piece) ** 2
        row = []
        for band in range(mels):
            low, middle, high = edges[band : band + 3]
            places = [mel(number * rate / size) for number in range(size // 2 + 1)]
            row.append(
                sum(
                    energy * max(0.0, min((place - low) / (middle - low), (high - place) / (high - middle)))
                    for place, energy in zip(places, power, strict=True)
                )
            )
        rows.append(row)
    features = np.array(rows)
    features = np.log(np.maximum(features, features.max() * FLOOR))
    return (features - features.mean()) / features.std()


@pytest.mark.parametrize(
    ("rate", "mels", "window_ms", "hop_ms", "seconds"),
    [
        (16000, 80, 25, 10, 0.2),
        (8000, 40, 25, 10, 0.3),
        (16000, 20, 32, 16, 0.2),
        (22050, 64, 20, 12.5, 0.1),
        (16000, 80, 25, 10, 0.01),
    ],
)
def test_log_mel_is_what_its_definition_says(rate: int, mels: int, window_ms: float, hop_ms: float, seconds: float) -> None:
    wave = speech_like(seconds, rate)
    made = log_mel_of(wave, sample_rate=rate, mels=mels, window_ms=window_ms, hop_ms=hop_ms)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, slow_log_mel(wave, rate, mels, window_ms, hop_ms), atol=1e-4)


def test_the_spectrum_is_that_of_scipy() -> None:
    signal = pytest.importorskip("scipy.signal")
    wave = speech_like(1.0, 16000)[: 400 + 97 * 160]  # SciPy leaves out what does not fill a window
    even = wave - wave.mean(dtype=np.float64)
    _, _, spectrum = signal.spectrogram(even, 16000, "hann", 400, 240, 512, detrend=False, mode="magnitude")
    features = np.square(spectrum.T) @ mel_filters(16000, 80, 512)
    features = np.log(np.maximum(features, features.max() * FLOOR))
    made = log_mel_of(wave, sample_rate=16000, mels=80, window_ms=25, hop_ms=10)
    np.testing.assert_allclose(made, (features - features.mean()) / features.std(), atol=1e-4)


@given(st.integers(1, 5000), st.integers(2, 600), st.integers(1, 300))
def test_every_sample_is_heard(count: int, window: int, hop: int) -> None:
    hop = min(hop, window)
    made = log_mel_of(np.ones(count, np.float32), sample_rate=1000, mels=4, window_ms=window, hop_ms=hop)
    frames = len(made)
    assert (frames - 1) * hop + window >= count
    assert frames == 1 or (frames - 2) * hop + window < count


def test_loudness_and_a_shifted_zero_change_nothing() -> None:
    wave = speech_like(1.0, 16000)
    options = {"sample_rate": 16000, "mels": 80, "window_ms": 25.0, "hop_ms": 10.0}
    made = log_mel_of(wave, **options)
    assert made.mean() == pytest.approx(0, abs=1e-5)
    assert made.std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(log_mel_of(wave * np.float32(0.01), **options), made, atol=5e-4)
    np.testing.assert_allclose(log_mel_of(wave + np.float32(0.2), **options), made, atol=2e-3)


@pytest.mark.parametrize("hertz", [100, 440, 1000, 3000, 7000])
def test_a_tone_is_loudest_in_its_band(hertz: int) -> None:
    made = log_mel_of(tone(0.5, 16000, hertz), sample_rate=16000, mels=40, window_ms=25, hop_ms=10)
    middles = np.linspace(*(2595 * math.log10(1 + edge / 700) for edge in (LOWEST_HZ, 8000)), 42)[1:-1]
    assert abs(int(made[10].argmax()) - int(np.abs(middles - 2595 * math.log10(1 + hertz / 700)).argmin())) <= 1


@pytest.mark.parametrize(("rate", "mels"), [(16000, 80), (16000, 128), (8000, 128), (48000, 256), (192_000, 512), (1000, 512)])
def test_no_band_is_always_empty(rate: int, mels: int) -> None:
    wave = np.random.default_rng(0).standard_normal(rate // 4).astype(np.float32)
    made = log_mel_of(wave, sample_rate=rate, mels=mels, window_ms=25, hop_ms=10)
    assert (made.max(axis=0) > made.min()).all()


def test_long_recordings_are_made_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    from headway.data import sound

    wave, options = speech_like(1.0, 16000), {"sample_rate": 16000, "mels": 80, "window_ms": 25.0, "hop_ms": 10.0}
    whole = log_mel_of(wave, **options)
    monkeypatch.setattr(sound, "_FRAMES_AT_ONCE", 7)
    np.testing.assert_allclose(log_mel_of(wave, **options), whole, atol=1e-5)


@given(st.lists(st.integers(0, 3000), max_size=6), st.integers(2, 300), st.integers(1, 300), st.integers(1, 40))
def test_recordings_together_are_what_each_is_alone(counts: list[int], window: int, hop: int, at_once: int) -> None:
    from headway.data import sound

    chances = np.random.default_rng(0)
    waves = [chances.standard_normal(count).astype(np.float32) * 10.0 ** chances.integers(-3, 1) for count in counts]
    options = {"sample_rate": 1000, "mels": 4, "window_ms": float(window), "hop_ms": float(min(hop, window))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sound, "_FRAMES_AT_ONCE", at_once)
        together = log_mel(waves, **options)
    assert len(together) == len(waves)
    for made, wave in zip(together, waves, strict=True):
        np.testing.assert_allclose(made, log_mel_of(wave, **options), atol=2e-5)


def test_nothing_and_silence_are_numbers() -> None:
    for wave in (np.zeros(0, np.float32), np.zeros(1, np.float32), np.zeros(4000, np.float32), np.ones(1, np.float32)):
        made = log_mel_of(wave, sample_rate=16000, mels=80, window_ms=25, hop_ms=10)
        assert np.isfinite(made).all()
        assert made.shape == (24 if len(wave) == 4000 else 1, 80)


# Positions


@given(st.integers(1, 40), st.integers(1, 9), st.sampled_from([1, 2, 4, 8]))
def test_frames_are_stacked_in_order(frames: int, mels: int, subsampling: int) -> None:
    features = np.random.default_rng(frames).standard_normal((frames, mels)).astype(np.float32)
    rows = stack_frames(features, subsampling=subsampling)
    assert rows.dtype == np.float32
    assert rows.shape == (-(-frames // subsampling), PLACES + subsampling * mels)
    assert (rows[:, 0] == MEDIA).all()
    assert rows[:, 1].tolist() == list(range(len(rows)))
    assert (rows[:, 2:PLACES] == 0).all()
    flat = rows[:, PLACES:].reshape(-1, mels)
    np.testing.assert_array_equal(flat[:frames], features)
    assert (flat[frames:] == 0).all()


# What is changed in training


def config(**values: object) -> MediaConfig:
    return MediaConfig.model_validate({"kind": "audio", **values})


def test_masks_come_at_their_rates() -> None:
    ones = np.ones((1000, 80), dtype=np.float32)
    settings = config(time_masks=1, time_mask_ms=400.0)  # up to 40 of 1000 frames
    hidden = np.array([(spec_augment(ones, chance(row), settings) == 0).all(axis=1).sum() for row in range(1000)])
    assert hidden.min() == 0
    assert hidden.max() == 40
    assert hidden.mean() == pytest.approx(20, abs=1.2)
    settings = config(band_masks=1, band_mask_share=0.25)  # up to 20 of 80 bands
    hidden = np.array([(spec_augment(ones, chance(row), settings) == 0).all(axis=0).sum() for row in range(1000)])
    assert hidden.min() == 0
    assert hidden.max() == 20
    assert hidden.mean() == pytest.approx(10, abs=0.6)


def test_masks_are_whole_stretches_and_every_place_is_hidden_as_often() -> None:
    ones = np.ones((100, 16), dtype=np.float32)
    count = np.zeros((100, 16))
    for row in range(3000):
        hidden = spec_augment(ones, chance(row), config(time_masks=1, time_mask_ms=100.0)) == 0
        count += hidden
        frames = np.flatnonzero(hidden.any(axis=1))
        assert hidden[frames].all()
        assert len(frames) == 0 or frames[-1] - frames[0] + 1 == len(frames)
    inner = count[10:-10, 0]
    assert inner.min() > 0.7 * inner.mean()
    assert inner.max() < 1.3 * inner.mean()
    assert (ones == 1).all()


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 9), st.integers(0, 3), st.integers(0, 1000))
def test_half_of_the_time_always_stays(frames: int, mels: int, time_masks: int, band_masks: int, row: int) -> None:
    settings = config(time_masks=time_masks, time_mask_ms=5000.0, band_masks=band_masks, band_mask_share=1.0)
    seen = spec_augment(np.ones((frames, mels), np.float32), chance(row), settings.model_copy(update={"band_masks": 0}))
    assert (seen != 0).all(axis=1).sum() >= frames / 2
    seen = spec_augment(np.ones((frames, mels), np.float32), chance(row), settings.model_copy(update={"time_masks": 0}))
    assert band_masks > 1 or (seen != 0).any()


def test_the_same_chance_hides_the_same() -> None:
    features = np.random.default_rng(0).standard_normal((200, 80)).astype(np.float32)
    settings = config(time_masks=2, band_masks=2)
    first, again, other = (spec_augment(features, chance(3, epoch, 9), settings) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(spec_augment(features, chance(1), config()), features)


OPTIONS: dict[str, Any] = {"sample_rate": 16000, "mels": 40, "window_ms": 25.0, "hop_ms": 10.0}


@pytest.mark.parametrize("speed", [0.8, 0.9, 1.0, 1.1, 1.25])
def test_speed_changes_pitch_and_length(speed: float) -> None:
    (faster,) = log_mel([tone(1.0, 16000, 1000)], **OPTIONS, speeds=[speed])
    assert abs(len(faster) - 98 / speed) <= 2
    (wanted,) = log_mel([tone(1.0, 16000, round(1000 * speed))], **OPTIONS)
    assert (faster.argmax(axis=1) == wanted[10].argmax()).all()


@pytest.mark.parametrize("speed", [0.8, 0.9, 1.1, 1.25])
def test_a_recording_at_another_speed_is_one_that_was_resampled(speed: float) -> None:
    soxr = pytest.importorskip("soxr")
    wave = speech_like(2.0, 16000)
    (faster,) = log_mel([wave], **OPTIONS, speeds=[speed])
    (wanted,) = log_mel([soxr.resample(wave, speed, 1.0, quality="VHQ")], **OPTIONS)
    assert abs(len(faster) - len(wanted)) <= 1
    count = min(len(faster), len(wanted)) - 2
    heard = slice(0, 40 if speed > 1 else 34)  # of what is played slower the highest bands hold what a resampler leaves over
    apart = np.abs(faster[:count, heard] - wanted[:count, heard])
    assert np.median(apart) < 0.12, "deviations; bands differ by some 2 of them"


@given(st.lists(st.floats(0.1, 1.9), min_size=1, max_size=5))
def test_speeds_of_others_change_nothing(speeds: list[float]) -> None:
    waves = [speech_like(0.3, 8000, seed) for seed in range(len(speeds))]
    options = OPTIONS | {"sample_rate": 8000}
    together = log_mel(waves, **options, speeds=speeds)
    for made, wave, speed in zip(together, waves, speeds, strict=True):
        np.testing.assert_allclose(made, log_mel([wave], **options, speeds=[speed])[0], atol=2e-5)


def test_shift_puts_silence_before_or_cuts_away() -> None:
    wave = np.array([1, 2, 3], dtype=np.float32)
    assert shift(wave, 2).tolist() == [0, 0, 1, 2, 3]
    assert shift(wave, 0).tolist() == [1, 2, 3]
    assert shift(wave, -2).tolist() == [3]
    assert shift(wave, -9).tolist() == [3]
    assert shift(wave, 2).dtype == np.float32
    assert shift(np.zeros(0, np.float32), -2).size == 0


@pytest.mark.parametrize("level", [0.0, 0.05, 0.5])
def test_noise_is_a_share_of_the_loudness(level: float) -> None:
    for loudness in (0.01, 0.5):
        wave = tone(2.0, level=loudness)
        noise = add_noise(wave, chance(1), level).astype(np.float64) - wave
        assert np.sqrt(np.square(noise).mean()) == pytest.approx(level * loudness / math.sqrt(2), rel=0.02)
    assert add_noise(wave, chance(1), level).dtype == np.float32
    np.testing.assert_array_equal(add_noise(wave, chance(1), level), add_noise(wave, chance(1), level))
    assert add_noise(np.zeros(0, np.float32), chance(1), level).size == 0


# Long recordings


@settings(max_examples=60)
@given(st.integers(0, 5000), st.integers(1, 900), st.integers(0, 99))
def test_pieces_are_the_whole_and_none_is_too_long(count: int, longest: int, seed: int) -> None:
    wave = np.random.default_rng(seed).standard_normal(count).astype(np.float32)
    pieces = split_at_quiet(wave, 1000, longest / 1000)
    np.testing.assert_array_equal(np.concatenate(pieces), wave)
    assert max(map(len, pieces)) <= longest
    assert count == 0 or min(map(len, pieces)) > 0
    if longest > 10:
        assert len(pieces) <= math.ceil(count / (0.75 * longest)) + 1


def test_cuts_fall_into_pauses() -> None:
    rate = 8000
    wave = speech_like(60.0, rate)
    for second in (9.0, 17.5, 26.2, 35.0, 43.3, 52.0):
        wave[int(second * rate) : int((second + 0.3) * rate)] = 0
    pieces = split_at_quiet(wave, rate, 10.0)
    cuts = np.cumsum([len(piece) for piece in pieces])[:-1] / rate
    assert len(cuts) == 6
    for cut, second in zip(cuts, (9.0, 17.5, 26.2, 35.0, 43.3, 52.0), strict=True):
        assert second < cut < second + 0.3


def test_silence_is_cut_at_the_end_of_the_window() -> None:
    assert [len(piece) for piece in split_at_quiet(np.zeros(2500, np.float32), 100, 10.0)] == [995, 995, 510]
