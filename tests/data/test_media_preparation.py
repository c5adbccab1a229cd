"""Pictures and recordings as rows of the cache, and as batches."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headway.config import Config
from headway.config_media import MEDIA, PLACES, TEXT
from headway.data.batches import IGNORED
from headway.data.media_preparation import LabelledMediaPreparation, MediaPreparation, learn_media_labels
from headway.data.preparation import Preparation, texts_of
from headway.data.token_cache import open_cache
from headway.data.tokenizer import BOS_ID, EOS_ID, train_tokenizers
from headway.errors import DataError
from made_manifests import COLUMNS, RATE, write_colours, write_manifest, write_picture, write_recording


def config_of(directory: Path, task: str, **sections: Any) -> Config:
    parts = {part: {"path": str(directory / f"{part}.jsonl"), **COLUMNS[task]} for part in ("train", "validation", "test")}
    media = {"patch": 8, "color": True} if task != "speech_recognition" else {"sample_rate": RATE, "mels": 10}
    return Config.model_validate(
        {
            "run_directory": str(directory / "run"),
            "task": task,
            "data": {**parts, **sections.get("data", {})},
            "tokenizer": {"vocabulary_size": 60, "minimum_frequency": 1},
            "media": {**media, **sections.get("media", {})},
            "model": sections.get("model", {}),
            "decoding": sections.get("decoding", {}),
        }
    )


def prepared(config: Config) -> MediaPreparation:
    kind = LabelledMediaPreparation if config.task == "media_classification" else MediaPreparation
    as_kind: type[Preparation] = kind
    tokenizers = train_tokenizers(config, texts_of(as_kind))
    if config.task == "media_classification":
        tokenizers.labels = learn_media_labels(config.data)
    return kind(tokenizers, config)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("colours") / "made")


def batch_of(preparation: MediaPreparation, config: Config, epoch: int | None = None, part: str = "train") -> Any:
    examples = list(preparation.read(config.data.parts(part)[0], config.data))  # type: ignore[arg-type]
    rows = preparation.rows_of_all(examples)
    return preparation.updates(rows, 10_000, 1, epoch).batch(0), examples


def test_a_picture_is_its_patches(colours: Path) -> None:
    config = config_of(colours, "captioning")
    batch, examples = batch_of(prepared(config), config)
    assert batch.source_ids.shape == (24, 4, PLACES + 8 * 8 * 3)
    assert batch.source_ids.dtype == torch.float32
    assert batch.source_ids[0, :, :PLACES].tolist() == [[MEDIA, 0, y, x] for y in (0, 1) for x in (0, 1)]
    red = next(row for row in range(24) if examples[batch.indices[row]].target == "a red picture")
    seen = batch.source_ids[red, :, PLACES:].reshape(-1, 3).mean(0)
    assert seen.tolist() == pytest.approx([200 / 127.5 - 1, 20 / 127.5 - 1, 20 / 127.5 - 1], abs=0.03)


def test_a_question_stands_behind_the_patches_with_its_end(colours: Path) -> None:
    config = config_of(colours, "visual_question_answering")
    preparation = prepared(config)
    batch, examples = batch_of(preparation, config)
    for row in range(len(examples)):
        ids = preparation.questions([examples[batch.indices[row]]])[0]
        asked = batch.source_ids[row, 4 : 4 + len(ids) + 1]
        assert asked[:, 0].tolist() == [TEXT] * (len(ids) + 1)
        assert asked[:, 1].tolist() == [*ids, EOS_ID]
        assert asked[:, 2].tolist() == list(range(len(ids) + 1))
        assert batch.source_mask[row].sum() == 4 + len(ids) + 1


def test_one_of_the_captions_is_drawn_anew_for_each_epoch(colours: Path) -> None:
    config = config_of(colours, "captioning")
    preparation = prepared(config)
    first, examples = batch_of(preparation, config)
    rows = preparation.rows_of_all(examples)
    known = [[row.tolist() for row in np.split(np.array(target), np.flatnonzero(np.array(target) == EOS_ID))] for target in
             rows.target_rows]  # fmt: skip
    assert [len(captions) for captions in known] == [len(example.answers) for example in examples]

    def said(batch: Any) -> dict[int, list[int]]:
        return {
            int(index): [number for number in out.tolist() if number != IGNORED]
            for index, out in zip(batch.indices, batch.target_out, strict=True)
        }

    alone = said(first)
    assert all(alone[index] == [*captions[0], EOS_ID] for index, captions in enumerate(known)), "without chance the first"
    epochs = [said(preparation.updates(rows, 10_000, 1, epoch).batch(0)) for epoch in range(12)]
    for index, captions in enumerate(known):
        possible = [[*(caption[1:] if place else caption), EOS_ID] for place, caption in enumerate(captions)]
        assert all(epoch[index] in possible for epoch in epochs)
        assert len({tuple(epoch[index]) for epoch in epochs}) == len(captions)
    assert first.target_in[:, 0].tolist() == [BOS_ID] * 24


def test_what_chance_does_depends_on_seed_epoch_and_row_alone(colours: Path) -> None:
    config = config_of(colours, "captioning", media={"crop": 0.5, "flip": True, "colour": 0.3})
    preparation = prepared(config)
    rows = preparation.rows_of_all(list(preparation.read(config.data.parts("train")[0], config.data)))

    def seen(tokens: int, seed: int, epoch: int | None) -> dict[int, np.ndarray]:
        updates = preparation.updates(rows, tokens, seed, epoch)
        found = {}
        for update in range(len(updates)):
            batch = updates.batch(update)
            found |= {int(index): one.numpy() for index, one in zip(batch.indices, batch.source_ids, strict=True)}
        return found

    whole, cut_up = seen(10_000, 1, 3), seen(20, 1, 3)
    assert all(np.array_equal(whole[row], cut_up[row]) for row in range(24)), "however the epoch is cut into updates"
    for other in (seen(10_000, 2, 3), seen(10_000, 1, 4), seen(10_000, 1, None)):
        assert not any(np.array_equal(whole[row], other[row]) for row in range(24))


@pytest.mark.parametrize("step", [1, 4])
def test_a_recording_is_the_same_alone_and_beside_longer_ones(tmp_path: Path, step: int) -> None:
    rows = []
    for number, seconds in enumerate((0.2, 0.5, 0.9)):
        write_recording(tmp_path / f"{number}.wav", 400, seconds=seconds, seed=number)
        rows.append({"audio": f"{number}.wav", "text": "a tone"})
    for part in ("train", "validation"):
        write_manifest(tmp_path / f"{part}.jsonl", rows)
    config = config_of(tmp_path, "speech_recognition", media={"subsampling": step})
    preparation = prepared(config)
    batch, examples = batch_of(preparation, config)
    for row, index in enumerate(batch.indices.tolist()):
        alone = preparation.updates(preparation.rows_of_all([examples[index]]), 10_000, 1, None).batch(0)
        length = alone.source_ids.shape[1]
        assert torch.equal(batch.source_ids[row, :length], alone.source_ids[0])
        assert batch.source_mask[row].tolist() == [place < length for place in range(batch.source_mask.shape[1])]
        assert not batch.source_ids[row, length:].any()


def test_the_cache_keeps_what_was_decoded_and_knows_when_a_file_changes(tmp_path: Path) -> None:
    directory = write_colours(tmp_path / "made", 8)
    config = config_of(directory, "captioning")
    preparation, part = prepared(config), config.data.parts("train")[0]
    cache = open_cache(tmp_path / "cache", part, preparation, config.data)
    in_memory = preparation.rows_of_all(list(preparation.read(part, config.data)))
    assert all(np.array_equal(cache.source(row), in_memory.source(row)) for row in range(8))
    assert all(cache.target(row).tolist() == list(in_memory.target_rows[row]) for row in range(8))
    assert open_cache(tmp_path / "cache", part, preparation, config.data).fingerprint == cache.fingerprint
    write_picture(directory / "images" / "train3.png", "grey", seed=99)
    changed = open_cache(tmp_path / "cache", part, preparation, config.data)
    assert changed.fingerprint != cache.fingerprint
    assert not np.array_equal(changed.source(3), cache.source(3))
    with pytest.raises(DataError, match="the data has changed"):
        open_cache(tmp_path / "cache", part, preparation, config.data, expected_fingerprint=cache.fingerprint)


def test_of_a_folder_names_and_texts_decide_too(tmp_path: Path) -> None:
    """The same pictures in the same order: a cache that looked at them alone would keep the old labels and texts."""
    for number, label in enumerate(("cat", "cat", "dog", "dog", "dog")):
        (tmp_path / label).mkdir(exist_ok=True)
        write_picture(tmp_path / label / f"{number}.png", "red", seed=number).with_suffix(".txt").write_text(f"a {label}\n")

    def targets(task: str, column: str) -> tuple[list[list[int]], str]:
        train = {"path": str(tmp_path), "source": "file", "target": column}
        config = config_of(tmp_path, task, data={"train": train, "validation": train})
        preparation, part = kept.setdefault(task, prepared(config)), config.data.parts("train")[0]
        cache = open_cache(tmp_path / "cache", part, preparation, config.data)
        return [cache.target(row).tolist() for row in range(len(cache))], cache.fingerprint

    kept: dict[str, MediaPreparation] = {}
    labels, told = targets("media_classification", "folder"), targets("captioning", "text")
    (tmp_path / "dog" / "2.txt").write_text("a cat\n")
    changed = targets("captioning", "text")
    assert changed[1] != told[1]
    assert (changed[0][1], changed[0][2:]) == (told[0][0], [told[0][0], *told[0][3:]])
    for ending in (".png", ".txt"):
        (tmp_path / "cat" / f"1{ending}").rename(tmp_path / "dog" / f"1{ending}")
    moved = targets("media_classification", "folder")
    assert moved[1] != labels[1]
    assert (labels[0][1], moved[0][1]) == (labels[0][0], labels[0][2])


def test_files_that_cannot_be_read_are_named_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = write_colours(tmp_path / "made", 8)
    (directory / "images" / "train1.png").write_bytes(b"")
    (directory / "images" / "train2.png").unlink()
    config = config_of(directory, "captioning")
    preparation, dropped = prepared(config), Counter[str]()
    examples = list(preparation.read(config.data.parts("train")[0], config.data))
    with caplog.at_level(logging.WARNING):
        found = preparation.prepare(examples, dropped)
    assert dropped == {"unreadable": 2, "empty target": 0, "too long": 0}
    assert found.lines == [1, 4, 5, 6, 7, 8]
    assert "images/train1.png (line 2) is empty, and is left out" in caplog.text
    assert "images/train2.png (line 3) is not there, and is left out" in caplog.text
    with pytest.raises(DataError, match=r"images/train1\.png \(line 2\): is empty"):
        preparation.rows_of_all(examples)
    strict = config_of(directory, "captioning", media={"bad_files": "stop"})
    with pytest.raises(DataError, match=r"images/train1\.png \(line 2\): is empty"):
        prepared(strict).prepare(examples, Counter())


def test_answers_that_cannot_be_learned_are_counted(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", "red")
    rows = [{"image": "a.png", "captions": [" ", "short", "long " * 50]}, {"image": "./a.png", "captions": ["long " * 50]},
            {"image": "././a.png", "captions": [""]}]  # fmt: skip
    for part in ("train", "validation"):
        write_manifest(tmp_path / f"{part}.jsonl", rows)
    config = config_of(tmp_path, "captioning", data={"max_length": 20})
    preparation, dropped = prepared(config), Counter[str]()
    found = preparation.prepare(list(preparation.read(config.data.parts("train")[0], config.data)), dropped)
    assert dropped == {"unreadable": 0, "empty target": 1, "too long": 1}
    assert len(found.rows[1]) == 1
    assert EOS_ID not in found.rows[1][0], "of three captions one can be learned"


def test_long_recordings_are_not_learned_from(tmp_path: Path) -> None:
    rows = []
    for number, seconds in enumerate((0.5, 2.0)):
        write_recording(tmp_path / f"{number}.wav", 400, seconds=seconds)
        rows.append({"audio": f"{number}.wav", "text": "a tone"})
    for part in ("train", "validation"):
        write_manifest(tmp_path / f"{part}.jsonl", rows)
    config = config_of(tmp_path, "speech_recognition", media={"longest_seconds": 1.0})
    preparation, dropped = prepared(config), Counter[str]()
    preparation.prepare(list(preparation.read(config.data.parts("train")[0], config.data)), dropped)
    assert dropped["too long"] == 1


def test_a_recording_beyond_learned_positions_has_no_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, seconds in enumerate((0.5, 2.0)):
        write_recording(tmp_path / f"{number}.wav", 400, seconds=seconds)
    rows = [{"audio": f"{number}.wav", "text": "a tone"} for number in range(2)]
    for part in ("train", "validation"):
        write_manifest(tmp_path / f"{part}.jsonl", rows)
    model = {"positions": "learned", "max_positions": 30}
    short = {"data": {"max_length": 20}, "decoding": {"maximum_length": 20}}
    config = config_of(tmp_path, "speech_recognition", media={"longest_seconds": 1.0}, model=model, **short)
    preparation = prepared(config)
    examples = list(preparation.read(config.data.parts("validation")[0], config.data))
    with pytest.raises(DataError, match=r"1\.wav \(line 2\): makes 50 positions, more than model\.max_positions=30"):
        preparation.rows_of_all(examples)
    with caplog.at_level(logging.WARNING):
        assert preparation.rows_to_answer(examples)[1] == [0]
    assert "1.wav makes 50 positions, more than model.max_positions=30: it has no answer" in caplog.text


def test_labels_of_pictures(colours: Path) -> None:
    config = config_of(colours, "media_classification")
    preparation = prepared(config)
    batch, examples = batch_of(preparation, config)
    labels = learn_media_labels(config.data)
    wanted = [labels.numbers[examples[index].labels[0]] for index in batch.indices.tolist()]
    assert batch.target_out[:, 0].tolist() == wanted
    assert batch.target_in.shape == (24, 0)
