"""Made recordings: each digit sounds by its two tones, in noise that is as loud as is told."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path

import numpy as np
import pytest

from headway.samples import SAMPLES, write_sample
from headway.samples.kind import PARTS, draw
from headway.samples.speaker import Speaker
from headway.samples.tones import (
    COLUMNS,
    FREQUENCIES,
    LEARNED,
    ROWS,
    SAMPLE_RATE,
    UNSEEN_LENGTHS,
    WORDS,
    _noise,
    recording_and_digits,
    samples,
    wav,
)

# The keypad of a telephone, written out: key → hertz
KEYS = {
    "1": (697, 1209), "2": (697, 1336), "3": (697, 1477), "4": (770, 1209), "5": (770, 1336), "6": (770, 1477),
    "7": (852, 1209), "8": (852, 1336), "9": (852, 1477), "0": (941, 1336),
}  # fmt: skip


def calls(number: int) -> list[tuple[str, ...]]:
    speaker = Speaker(2)
    return [recording_and_digits(speaker) for _ in range(number)]


def test_keys_sound_as_on_a_telephone() -> None:
    assert FREQUENCIES == KEYS


def test_a_recording_is_a_wave_file() -> None:
    call, _ = calls(1)[0]
    with wave.open(io.BytesIO(wav(call))) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, SAMPLE_RATE)
        read = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    assert np.array_equal(read, samples(call))


def test_other_programs_read_it() -> None:
    soundfile = pytest.importorskip("soundfile")
    call, _ = calls(1)[0]
    read, rate = soundfile.read(io.BytesIO(wav(call)), dtype="int16")
    assert rate == SAMPLE_RATE
    assert np.array_equal(read, samples(call))


def test_each_digit_has_its_two_frequencies() -> None:
    """Goertzel's way: of the seven tones of a telephone, which two are the loudest while a digit sounds?"""
    heard = set()
    for call, text in calls(150):
        told, sound, start = json.loads(call), samples(call).astype(float), 0
        assert [WORDS[int(digit)] for digit in told["digits"]] == text.split(" ")
        for digit, gap, tone in zip(told["digits"], told["gaps"], told["tones"], strict=False):
            start += gap * 8
            piece = sound[start : start + tone * 8] * np.hanning(tone * 8)
            start += tone * 8
            time = np.arange(len(piece)) / SAMPLE_RATE
            loudness = {hertz: abs(piece @ np.exp(-2j * np.pi * hertz * time)) for hertz in ROWS + COLUMNS}
            assert KEYS[digit] == tuple(max(group, key=loudness.__getitem__) for group in (ROWS, COLUMNS))
            heard.add(digit)
        assert start + told["gaps"][-1] * 8 == len(sound)
    assert heard == set("0123456789")


def test_between_the_digits_is_the_noise_that_is_told() -> None:
    for call, _ in calls(40):
        told, sound = json.loads(call), samples(call).astype(float)
        first, tone = told["gaps"][0] * 8, told["tones"][0] * 8
        quiet, loud = sound[:first], sound[first : first + tone]
        heard = 10 * np.log10((np.mean(loud**2) - np.mean(quiet**2)) / np.mean(quiet**2))
        assert heard == pytest.approx(told["snr"], abs=2.5)
        assert np.abs(sound).max() == pytest.approx(32767 * 10 ** (told["level"] / 20), abs=1)


def test_noise_is_white_and_of_deviation_one() -> None:
    noise = _noise(100_000, 7)
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert np.mean(noise[1:] * noise[:-1]) == pytest.approx(0, abs=0.015)
    assert np.mean(noise**4) == pytest.approx(2.7, abs=0.1)  # of a sum of four uniform numbers: 3 - 6 / 5 / 4


def test_the_same_bytes_each_time() -> None:
    assert [wav(call) for call, _ in calls(10)] == [wav(call) for call, _ in calls(10)]
    assert len({wav(call) for call, _ in calls(50)}) == 50


def test_lengths_and_runs_that_training_never_hears() -> None:
    kind = SAMPLES["speech_recognition"]
    split = draw(1, 1000, kind.tell, kind.distinct, kind.held_out_share)
    lengths = {part: {len(said[1].split()) for said in getattr(split, part)} for part in PARTS}
    assert lengths["train"] == set(LEARNED)
    assert lengths["test"] > set(UNSEEN_LENGTHS)
    hidden = {(*one.split(" "), other) for role, one, other in split.held_out if role == "digits"}
    assert hidden

    def met(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return set(zip(words, words[1:], words[2:], strict=False))

    assert not hidden & set().union(*(met(said[1]) for said in split.train))
    for said in (*split.validation, *split.test):
        assert met(said[1]) & hidden or len(said[1].split()) in UNSEEN_LENGTHS


def test_what_is_written(tmp_path: Path) -> None:
    found = write_sample("speech_recognition", tmp_path, size=20)
    assert found["files"] == {"recordings": 22}
    (row,) = [json.loads(line) for line in (tmp_path / "test.jsonl").read_text("utf-8").splitlines()]
    assert row["audio"] == "recordings/000022.wav"
    assert set(row["text"].split()) <= set(WORDS)
    assert "[recordings/000022.wav](recordings/000022.wav)" in (tmp_path / "README.md").read_text("utf-8")
