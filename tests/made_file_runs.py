"""Little models of files for explanations: hardly trained ones of every task, and data in which one part of a file decides."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from headway.config import Config
from headway.training.loop import train
from made_manifests import COLUMNS, RATE, write_colours, write_manifest, write_recording

SOUND = {"kind": "audio", "sample_rate": RATE, "mels": 12, "subsampling": 4}
QUICK = {"updates": 2, "batch_tokens": 200, "warmup_updates": 1, "validate_every": 2, "save_every": 2, "validate_score": False}
GRID, PATCH, TONE = 5, 8, 0.2  # patches on a side, pixels of a patch, seconds of the tone
COLOURS = {"red": (230, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 230)}
NOTHING = "nothing"  # the label where nothing decides: else one of the others were said of an empty file, and due to nothing
HERTZ = {"high": 2200.0, "low": 500.0}


def media_run(data: Path, run: Path, task: str, columns: dict[str, str], **sections: dict[str, Any]) -> Path:
    """Trains a little model on the manifests of a directory."""
    parts = {part: {"path": str(data / f"{part}.jsonl"), **columns} for part in ("train", "validation", "test")}
    stacks = {"decoder_layers": 0} if task == "media_classification" else {}
    hears = task == "speech_recognition" or sections.get("media", {}).get("kind") == "audio"
    model = {"width": 32, "heads": 2, "feed_forward_width": 64, "encoder_layers": 2, "decoder_layers": 2, "dropout": 0.0}
    training = {**QUICK, "best_by": "loss", "tensorboard": False, "threads": 1, "averaging": "none"}
    config = Config.model_validate(
        {
            "run_directory": str(run),
            "task": task,
            "data": parts,
            "tokenizer": {"vocabulary_size": 60, "minimum_frequency": 1},
            "media": {**({} if hears else {"patch": PATCH}), **sections.get("media", {})},
            "model": {**model, **stacks, **sections.get("model", {})},
            "training": {**training, **sections.get("training", {})},
            "decoding": {"maximum_length": 6, **sections.get("decoding", {})},
            "evaluation": {"bootstrap_samples": 100},
        }
    )
    return train(config, quiet=True)


def write_words(directory: Path) -> Path:
    """Recordings of one or two tones, and what they are called."""
    directory.mkdir(parents=True)
    for seed, part in enumerate(("train", "validation", "test")):
        rows = []
        for number, words in enumerate(product(HERTZ, repeat=2)):
            files = [write_recording(directory / f"{word}.wav", HERTZ[word], seed=10 * seed + number) for word in words]
            tones = [soundfile.read(file)[0] for file in files]
            soundfile.write(directory / f"{part}{number}.wav", np.concatenate(tones), RATE)
            rows.append({"audio": f"{part}{number}.wav", "text": " ".join(words)})
        write_manifest(directory / f"{part}.jsonl", rows)
    return directory


def write_clips(directory: Path) -> Path:
    """Little animations that grow light or dark."""
    directory.mkdir(parents=True)
    for seed, part in enumerate(("train", "validation", "test")):
        rows, chance = [], np.random.default_rng(seed)
        for number in range(6):
            shades = range(40, 240, 50) if number % 2 else range(190, 0, -50)
            pixels = [(shade + chance.integers(-30, 30, (16, 24, 3))).clip(0, 255).astype(np.uint8) for shade in shades]
            frames = list(map(Image.fromarray, pixels))
            frames[0].save(directory / f"{part}{number}.gif", save_all=True, append_images=frames[1:], duration=100)
            rows.append({"video": f"{part}{number}.gif", "captions": ["it grows light" if number % 2 else "it grows dark"]})
        write_manifest(directory / f"{part}.jsonl", rows)
    return directory


def run_of_kind(directory: Path, kind: str) -> tuple[Path, str]:
    """A hardly trained run, and a line that it can be asked."""
    data, run = directory / "data", directory / "run"
    if kind.startswith("speech"):
        with_ctc = {"training": {"ctc_weight": 0.3}, "decoding": {"method": "ctc"}}
        ctc: dict[str, dict[str, Any]] = with_ctc if kind == "speech_ctc" else {}
        made = media_run(write_words(data), run, "speech_recognition", COLUMNS["speech_recognition"], media=SOUND, **ctc)
        return made, str(data / "test1.wav")
    if kind == "video":
        media: dict[str, Any] = {"kind": "video", "frames": 4, "frames_per_patch": 2, "patches": 6}
        columns = {"source": "video", "target": "captions"}
        return media_run(write_clips(data), run, "captioning", columns, media=media), str(data / "test1.gif")
    write_colours(data)
    line, columns = str(data / "images" / "test1.png"), COLUMNS[kind.removesuffix("_stem")]
    media = {"stem": "convolution", "color": False} if kind.endswith("_stem") else {}
    made = media_run(data, run, kind.removesuffix("_stem"), columns, media=media)
    return made, f"{line}\tis it green ?" if kind == "visual_question_answering" else line


# ---- one part of a file decides ------------------------------------------------------------------------------------


def picture_with_a_cause(chance: np.random.Generator, colour: str) -> tuple[NDArray[np.uint8], int]:
    """Shades of grey, brighter and darker patches, and unless it is `NOTHING` a coloured patch that decides; and its number."""
    shades = chance.integers(60, 200, (GRID, GRID)).repeat(PATCH, 0).repeat(PATCH, 1)[..., None]
    pixels = shades + chance.integers(-12, 13, (GRID * PATCH, GRID * PATCH, 3))
    row, column = (int(place) for place in chance.integers(0, GRID, 2))
    inside = slice(row * PATCH + 1, (row + 1) * PATCH - 1), slice(column * PATCH + 1, (column + 1) * PATCH - 1)
    if colour != NOTHING:
        pixels[inside] = np.array(COLOURS[colour]) + chance.integers(-12, 13, (PATCH - 2, PATCH - 2, 3))
    return pixels.clip(0, 255).astype(np.uint8), row * GRID + column


def recording_with_a_cause(chance: np.random.Generator, label: str) -> tuple[NDArray[np.float64], float]:
    """Noise that swells, a click, and unless it is `NOTHING` a tone that decides; and where the tone begins, in seconds."""
    seconds = 0.9
    time = np.arange(round(seconds * RATE)) / RATE
    wave = 0.03 * chance.standard_normal(len(time)) * (1.2 + np.sin(2 * np.pi * (time / seconds + chance.random())))
    click = int(chance.integers(0, len(time) - 40))
    wave[click : click + 40] += 0.4 * chance.standard_normal(40)
    begin = float(chance.uniform(0.05, seconds - TONE - 0.05))
    inside = (time >= begin) & (time < begin + TONE)
    if label != NOTHING:
        wave[inside] += 0.25 * np.sin(2 * np.pi * HERTZ[label] * chance.uniform(0.95, 1.05) * time[inside])
    return wave.clip(-1, 1), begin


def write_causes(directory: Path, kind: str, train_count: int, test_count: int) -> list[tuple[str, float]]:
    """Files with labels; returns the path of each of the test set with the place of its cause."""
    directory.mkdir(parents=True)
    causes: list[tuple[str, float]] = []
    names = list(COLOURS if kind == "image" else HERTZ)
    for part, count, seed in (("train", train_count, 1), ("validation", 12, 2), ("test", test_count, 3)):
        chance, rows = np.random.default_rng(seed), []
        for number in range(count):
            every = names if part == "test" else [*names, NOTHING]
            label, path = every[number % len(every)], directory / f"{part}{number}.{'png' if kind == 'image' else 'wav'}"
            cause: float
            if kind == "image":
                pixels, cause = picture_with_a_cause(chance, label)
                Image.fromarray(pixels).save(path)
            else:
                wave, cause = recording_with_a_cause(chance, label)
                soundfile.write(path, wave, RATE)
            rows.append({"file": path.name, "label": label})
            if part == "test":
                causes.append((str(path), cause))
        write_manifest(directory / f"{part}.jsonl", rows)
    return causes
