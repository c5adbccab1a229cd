"""Pictures, questions about them and recordings: learned, resumed, answered."""

from __future__ import annotations

import logging
import math
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from test_loop import assert_same_checkpoint, train_and_die
from tiny_run import TINY_MODEL, TINY_TRAINING

import headway
from headway.config import Config, DecodingConfig
from headway.data.batches import IGNORED
from headway.errors import UsageError
from headway.inference import media_predictor
from headway.inference.ctc import _collapsed
from headway.inference.labeller import Labeller
from headway.inference.media_predictor import MediaPredictor
from headway.inference.predictor import Source
from headway.model_dir import build_model, load_model
from headway.training.loop import train
from headway.training.losses import ctc_loss
from headway.training.start_from import inherit
from made_manifests import COLUMNS, RATE, write_colours, write_manifest, write_picture, write_recording

UNSCORED = {"best_by": "loss", "validate_score": False}


def media_config(directory: Path, run: Path, task: str, **sections: Any) -> Config:
    parts = {part: {"path": str(directory / f"{part}.jsonl"), **COLUMNS[task]} for part in ("train", "validation", "test")}
    media: dict[str, Any] = {"sample_rate": RATE, "mels": 12} if task == "speech_recognition" else {"patch": 8}
    stacks = {"decoder_layers": 0} if task == "media_classification" else {}
    return Config.model_validate(
        {
            "run_directory": str(run),
            "task": task,
            "data": {**parts, **sections.get("data", {})},
            "tokenizer": {"vocabulary_size": 60, "minimum_frequency": 1, **sections.get("tokenizer", {})},
            "media": {**media, **sections.get("media", {})},
            "model": {**TINY_MODEL, **stacks, "attention_dropout": 0.0, **sections.get("model", {})},
            "training": {**TINY_TRAINING, "batch_tokens": 80, **sections.get("training", {})},
            "evaluation": {"bootstrap_samples": 200},
        }
    )


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("colours") / "made")


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """High and low, one to three tones after another."""
    directory = tmp_path_factory.mktemp("tones")
    for part, seed in (("train", 0), ("validation", 100), ("test", 200)):
        rows = []
        said = [words for length in (1, 2) for words in product(("high", "low"), repeat=length)]
        for number, words in enumerate(said * (4 if part == "train" else 1)):
            pieces = []
            for place, word in enumerate(words):
                path = write_recording(directory / "tone.wav", 2000 if word == "high" else 500, seed=seed + 10 * number + place)
                pieces += [soundfile.read(path)[0], 0.01 * torch.randn(800).numpy()]
            name = f"{part}{number}.wav"
            soundfile.write(directory / name, torch.cat([torch.as_tensor(piece) for piece in pieces]).numpy(), RATE)
            rows.append({"audio": name, "text": " ".join(words)})
        write_manifest(directory / f"{part}.jsonl", rows)
    return directory


CHANCE = {"crop": 0.3, "flip": True, "colour": 0.2}


@pytest.mark.parametrize("task", ["captioning", "visual_question_answering"])
def test_a_killed_run_resumes_bit_for_bit(colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    sections = {"media": CHANCE, "training": {**UNSCORED, "r_drop": 1.0, "accumulation": 2}}
    straight, killed = (media_config(colours, tmp_path / name, task, **sections) for name in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")


def test_speech_with_ctc_resumes_bit_for_bit(tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media = {"speed": 0.1, "noise": 0.1, "shift_ms": 20.0, "time_masks": 1, "band_masks": 1}
    sections = {"media": media, "training": {**UNSCORED, "ctc_weight": 0.3}}
    straight, killed = (media_config(tones, tmp_path / name, "speech_recognition", **sections) for name in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")


LEARNED = {"updates": 150, "validate_every": 150, "save_every": 150, "learning_rate": 3e-3, "averaging": "none"}


def test_colours_are_told(colours: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = train(media_config(colours, tmp_path / "run", "captioning", training={**LEARNED, **UNSCORED}), quiet=True)
    predictor = headway.load(str(run), method="greedy")
    assert isinstance(predictor, MediaPredictor)
    files = [str(colours / "images" / f"test{number}.png") for number in range(8)]
    found = predictor.predict(files)
    told = ["red", "green", "blue", "grey"] * 2
    assert all(colour in text for colour, text in zip(told, found, strict=True)), found
    assert predictor.predict([Path(file).read_bytes() for file in files]) == found, "and of bytes"
    assert [predictor.predict([file])[0] for file in files] == found, "each alone"
    text = tmp_path / "text.png"
    text.write_text("no picture", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert predictor.predict([str(text), "", files[0]]) == ["", "", found[0]]
    assert "text.png is no picture" in caplog.text
    with pytest.raises(UsageError, match="predict takes a list of paths"):
        predictor.predict(files[0])


def test_labels_of_pictures_are_learned(colours: Path, tmp_path: Path) -> None:
    run = train(media_config(colours, tmp_path / "run", "media_classification", training=LEARNED), quiet=True)
    labeller = headway.load(str(run))
    assert isinstance(labeller, Labeller)
    files = [str(colours / "images" / f"test{number}.png") for number in range(8)]
    assert labeller.predict(files) == ["red", "green", "blue", "grey"] * 2


def test_patches_need_no_table_of_positions(colours: Path, tmp_path: Path) -> None:
    training = {"updates": 2, "warmup_updates": 1, "validate_every": 2, "save_every": 2}
    model = {"positions": "learned", "max_positions": 100_000}
    config = media_config(colours, tmp_path / "run", "media_classification", training=training, model=model)
    loaded = load_model(train(config, quiet=True))
    assert loaded.model.parameter_count() < 100_000


def test_tones_are_written_down_by_ctc_and_by_the_decoder(tones: Path, tmp_path: Path) -> None:
    training = {**LEARNED, **UNSCORED, "updates": 300, "validate_every": 300, "save_every": 300, "ctc_weight": 0.5}
    tokenizer = {"kind": "word"}
    config = media_config(
        tones, tmp_path / "run", "speech_recognition", training={**training, "batch_tokens": 200}, tokenizer=tokenizer
    )
    run = train(config, quiet=True)
    wanted = ["high", "low", "high high", "high low", "low high", "low low"]
    files = [str(tones / f"test{number}.wav") for number in range(6)]
    spelled = headway.load(str(run), method="ctc").predict(files)
    written = headway.load(str(run), method="greedy").predict(files)
    assert sum(map(str.__eq__, spelled, wanted)) >= 5, spelled
    assert sum(map(str.__eq__, written, wanted)) >= 5, written


def test_a_long_recording_is_answered_in_windows(tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = {**UNSCORED, "updates": 6, "validate_every": 6, "save_every": 6}
    config = media_config(tones, tmp_path / "run", "speech_recognition", training=training, media={"longest_seconds": 2.0})
    predictor = headway.load(str(train(config, quiet=True)), method="greedy", maximum_length=5)
    waves = [soundfile.read(tones / f"test{number}.wav")[0] for number in range(6)]
    long = tmp_path / "long.wav"
    soundfile.write(long, torch.cat([torch.as_tensor(wave) for wave in waves]).numpy(), RATE)
    assert isinstance(predictor, MediaPredictor)
    files = [str(long), str(tones / "test0.wav")]
    owners = [owner for owner, _ in predictor._windows(files)]
    assert [place for place, _ in owners] == [0, 0, 0, 1], "four seconds and a half, and none longer than two"
    answers = list(predictor.translate_stream(files))
    told = predictor.details(answers[0][0])["segments"]
    assert [segment["end"] for segment in told] == pytest.approx([sum(last for _, last in owners[:n]) for n in (1, 2, 3)])
    assert told[-1]["end"] == pytest.approx(sum(map(len, waves)) / RATE, abs=1e-3)
    monkeypatch.setattr(media_predictor, "_HELD_BYTES", 1)
    assert [len(windows) for windows, _ in predictor._held_together(files)] == [1, 1, 1, 1]
    (whole,), (short,) = predictor.translate_stream(files)
    assert [whole.ids, short.ids] == [found.ids for (found,) in answers], "however few windows memory holds"
    parts = [predictor._answered([Source(0, positions, cut=False)], 0) for _, positions in predictor._windows(files)]
    ids = [found[0].ids for part in parts for _, found in part]
    assert whole.ids == [*ids[0], *ids[1], *ids[2]]
    assert short.ids == ids[3]
    assert all(math.isfinite(score) for score in whole.token_scores)


@pytest.fixture(scope="module")
def captioner(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of large patches, most of whose weights stand in its stem; hardly trained."""
    training = {**UNSCORED, "updates": 2, "warmup_updates": 1, "validate_every": 2, "save_every": 2}
    config = media_config(
        colours, tmp_path_factory.mktemp("captioner") / "run", "captioning", training=training,
        media={"patch": 256, "patches": 2, "stem": "convolution"},
    )  # fmt: skip
    return train(config, quiet=True)


def test_a_model_with_a_large_stem_can_be_loaded(captioner: Path, colours: Path) -> None:
    assert len(headway.load(str(captioner), maximum_length=3).predict([str(colours / "images" / "test0.png")])) == 1


@pytest.mark.parametrize(
    ("media", "different"),
    [
        ({"patch": 8, "stem": "convolution"}, r"media\.patch=8 \(there: 256\)\s+→ set media\.patch=256"),
        ({"patch": 256}, r"media\.stem=linear \(there: convolution\)"),
        ({"kind": "video"}, r"media\.kind=video \(there: image\)"),
    ],
)
def test_other_patches_cannot_begin_with_its_weights(
    captioner: Path, colours: Path, tmp_path: Path, media: dict[str, Any], different: str
) -> None:
    model = {"start_from": str(captioner)}
    config = media_config(colours, tmp_path / "run", "captioning", media=media, model=model, training=UNSCORED)
    with pytest.raises(UsageError, match=different):
        train(config, quiet=True)


def test_speech_begins_with_what_speech_has_learned_to_spell(tones: Path, tmp_path: Path) -> None:
    training = {**UNSCORED, "updates": 2, "warmup_updates": 1, "validate_every": 2, "save_every": 2, "ctc_weight": 0.3}
    first = load_model(train(media_config(tones, tmp_path / "first", "speech_recognition", training=training), quiet=True))
    model = {"start_from": str(first.directory)}
    config = media_config(tones, tmp_path / "second", "speech_recognition", model=model, training=training)
    second = build_model(config, first.tokenizers)
    found = inherit(second, config, first.tokenizers)
    assert {"ctc.weight", "ctc.bias"} <= set(found.taken)
    assert found.new == []
    assert first.model.ctc is not None
    assert second.ctc is not None
    assert torch.equal(second.ctc.weight, first.model.ctc.weight)


def test_a_line_without_its_question_is_named(colours: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = {**UNSCORED, "updates": 2, "warmup_updates": 1, "validate_every": 2, "save_every": 2}
    config = media_config(colours, tmp_path / "run", "visual_question_answering", training=training)
    picture = str(colours / "images" / "test0.png")
    predictor = headway.load(str(train(config, quiet=True)), maximum_length=3)
    with caplog.at_level(logging.WARNING):
        assert predictor.predict([picture, f"{picture}\t "]) == ["", ""]
    assert caplog.text.count(f"{picture} stands without the text that is read beside it (after a tab)") == 2


def test_ctc_sums_over_all_paths() -> None:
    logits = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True] * 4, [True] * 3 + [False]])
    targets = torch.tensor([[1, 2, 9], [1, 9, IGNORED]])  # with the end of sentence
    found = ctc_loss(logits.float(), mask, targets)
    total = 0.0
    for row, (said, length) in enumerate((([1, 2], 4), ([1], 3))):
        probability = logits[row, :length].softmax(-1)
        paths = [path for path in product(range(3), repeat=length) if _collapsed([0.0] * length, list(path), 1.0).ids == said]
        total -= math.log(sum(math.prod(probability[step, symbol].item() for step, symbol in enumerate(path)) for path in paths))
    assert float(found) == pytest.approx(total, rel=1e-5)


def test_best_paths_are_collapsed() -> None:
    found = _collapsed([-1.0, -2.0, -0.5, -0.25, -3.0, -0.125], [5, 5, 0, 5, 6, 0], 1.0)
    assert found.ids == [5, 5, 6]
    assert found.token_scores == [-1.0, -0.25, -3.0, (-0.5 - 0.125) / 2]


@pytest.mark.parametrize(
    ("task", "sections", "problem"),
    [
        (
            "captioning",
            {"media": {"kind": "audio", "patch": 16}},
            "media.kind=audio does not fit task=captioning, which reads image or video",
        ),
        ("captioning", {"training": {"ctc_weight": 0.3}}, "training.ctc_weight=0.3 is for task=speech_recognition"),
        ("captioning", {"tokenizer": {"dropout": 0.1}}, "tokenizer.dropout=0.1 is not for task=captioning"),
        ("speech_recognition", {"model": {"positions": "learned", "max_positions": 300}}, "above the positions of media=751"),
        (
            "speech_recognition",
            {"model": {"positions": "learned", "max_positions": 800}, "media": {"speed": 0.5}},
            "max_positions=800 must be above the positions of media=1503",
        ),
        ("speech_recognition", {"media": {"patch": 8}}, "patch=8 is for kind=image or video, and kind=audio does not read it"),
        (
            "media_classification",
            {"media": {"frames_per_patch": 2}},
            "frames_per_patch=2 is for kind=video, and kind=image does not read it",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, task: str, sections: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        media_config(tmp_path, tmp_path / "run", task, **sections)
    assert DecodingConfig(method="ctc").method == "ctc"
    assert write_picture(tmp_path / "a.png", "red").is_file()
