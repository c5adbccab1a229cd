"""Recordings of digits that are dialled (DTMF), with noise: what was dialled is their transcript."""

from __future__ import annotations

import io
import json
import wave

import numpy as np

from headway.samples.kind import UNSEEN, Said
from headway.samples.speaker import Speaker

SAMPLE_RATE = 8000
# Two tones each, in hertz: one of the row and one of the column of the keys (ITU-T Q.23).
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477)
KEYS = ("123", "456", "789", " 0 ")
FREQUENCIES = {
    key: (row, column)
    for keys, row in zip(KEYS, ROWS, strict=True)
    for key, column in zip(keys, COLUMNS, strict=True)
    if key != " "
}
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LEARNED, UNSEEN_LENGTHS = range(3, 9), (2, 9, 10, 11, 12)  # digits of a call in training, and only in validation and test
_UNSEEN_SHARE = 0.1

# From … to …
_TONE, _GAP, _SILENCE = (70, 160), (60, 160), (80, 300)  # milliseconds
_LEVEL, _TWIST = (-26, -6), (-4, 4)  # decibels: of a call below full scale; of the higher tone against the lower one (Q.24)
_SNR = (6, 30)  # decibels
_RAMP = 5  # milliseconds in which a tone swells, so that it does not click


def recording_and_digits(speaker: Speaker) -> Said:
    """(how the call sounds, its digits as words). What may be held out: three digits in a row, and lengths."""
    unseen = speaker.chance(_UNSEEN_SHARE)
    length = speaker.pick(UNSEEN_LENGTHS if unseen else LEARNED)
    digits = [speaker.whole(0, 9) for _ in range(length)]
    words = [WORDS[digit] for digit in digits]
    speaker.combinations = [
        ("digits", f"{one} {two}", three) for one, two, three in zip(words, words[1:], words[2:], strict=False)
    ]
    if unseen:
        speaker.combinations.append((UNSEEN, str(length), "digits"))
    call = {
        "digits": "".join(map(str, digits)),
        "tones": [speaker.whole(*_TONE) for _ in digits],
        "gaps": [speaker.whole(*_SILENCE), *(speaker.whole(*_GAP) for _ in digits[1:]), speaker.whole(*_SILENCE)],
        "level": speaker.whole(*_LEVEL),
        "twist": speaker.whole(*_TWIST),
        "snr": speaker.whole(*_SNR),
        "noise": speaker.whole(0, 2**31 - 1),
    }
    return json.dumps(call), " ".join(words)


def wav(call: str) -> bytes:
    """The file of a call: one channel of 16 bits, SAMPLE_RATE a second."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(samples(call).astype("<i2").tobytes())
    return file.getvalue()


def samples(call: str) -> np.ndarray:
    """The sound of a call, int16 [N]."""
    told = json.loads(call)
    pieces = [np.zeros(_count(told["gaps"][0]))]
    for key, tone, gap in zip(told["digits"], told["tones"], told["gaps"][1:], strict=True):
        pieces += [_dialled(key, _count(tone), told["twist"]), np.zeros(_count(gap))]
    sound = np.concatenate(pieces)
    loudness = float(np.sqrt(np.mean(np.concatenate(pieces[1::2]) ** 2)))  # of the tones, without the silence between them
    sound += loudness * 10 ** (-told["snr"] / 20) * _noise(len(sound), told["noise"])
    sound *= 10 ** (told["level"] / 20) / float(np.abs(sound).max())
    return np.rint(sound * 32767).astype(np.int16)


def _count(milliseconds: int) -> int:
    return milliseconds * SAMPLE_RATE // 1000


def _dialled(key: str, count: int, twist: float) -> np.ndarray:
    """The two tones of a key, float64 [count]. twist: decibels by which the higher one is louder."""
    time = np.arange(count) / SAMPLE_RATE
    low, high = (np.sin(2 * np.pi * frequency * time) for frequency in FREQUENCIES[key])
    edge = np.minimum(1, np.arange(1, count + 1) / _count(_RAMP))
    return (low + 10 ** (twist / 20) * high) * np.minimum(edge, edge[::-1])


def _noise(count: int, seed: int) -> np.ndarray:
    """White noise of deviation 1, float64 [count]: sums of four uniform numbers, which stay the same from NumPy to NumPy."""
    drawn = np.random.PCG64(seed).random_raw(count)
    quarters = sum(((drawn >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.float64) for shift in (0, 16, 32, 48))
    return (quarters - 2 * 65535) / (65536 * np.sqrt(4 / 12))
