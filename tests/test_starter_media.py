"""`headway init` for files: tables and folders are understood, no file is on both sides, and what it writes can be learned."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from headway.cli import main
from headway.config import OF_MEDIA, Config, CorpusConfig, load_config
from headway.data.check import check
from headway.data.media_examples import MediaExample
from headway.data.media_files import ENDINGS
from headway.errors import DataError, UsageError
from headway.starter import write_starter
from headway.starter.advice import Counts, advise
from headway.starter.media import Found, advise_on_files, media_section
from headway.tasks import TASKS

COLOURS = ("red", "green", "blue", "gray")


def picture(path: Path, number: int, size: tuple[int, int] = (24, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def recording(path: Path, number: int, rate: int = 8000, seconds: float = 0.3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, int(rate * seconds)).clip(-1, 1), rate)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """60 pictures of red, green, blue and gray."""
    for number in range(60):
        picture(tmp_path / f"images/{COLOURS[number % 4]}/{number}.png", number)
    return tmp_path


def manifest(path: Path, rows: list[dict[str, Any]]) -> str:
    if path.suffix == ".jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
    elif path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return str(path)
    else:
        separator = "," if path.suffix == ".csv" else "\t"
        text = "".join(separator.join(map(str, cells)) + "\n" for cells in [list(rows[0]), *(row.values() for row in rows)])
    path.write_text(text, encoding="utf-8")
    return str(path)


def names(number: int) -> str:
    return f"images/{COLOURS[number % 4]}/{number}.png"


def examples(config: Config, part: str) -> list[MediaExample]:
    corpus = getattr(config.data, part)
    assert isinstance(corpus, CorpusConfig)
    return list(TASKS[config.task].preparation.read(corpus, config.data))


def files_of(config: Config, part: str) -> set[str]:
    return {str(one.file) for one in examples(config, part)}


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("columns", [("path", "caption"), ("image", "text"), ("file_name", "sentence")])
def test_a_manifest_of_captions(folder: Path, ending: str, columns: tuple[str, str]) -> None:
    rows = [{"id": n, columns[0]: names(n), columns[1]: f"a picture that is {n}"} for n in range(60)]
    config = load_config(write_starter([manifest(folder / f"m{ending}", rows)], folder / "mine", task="captioning"))
    parts = [examples(config, part) for part in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [48, 6, 6]
    found = {Path(one.file).name: one.answers for part in parts for one in part}  # type: ignore[arg-type]
    assert found == {f"{n}.png": (f"a picture that is {n}",) for n in range(60)}
    assert all(Path(str(one.file)).is_file() for part in parts for one in part)
    assert (config.media.kind, config.media.patch, config.media.patches) == ("image", 4, 24)


def test_a_file_is_never_parted_and_keeps_all_its_captions(folder: Path) -> None:
    rows = [{"image": names(n % 60), "caption": f"{n} of them"} for n in range(180)]
    random.Random(1).shuffle(rows)
    config = load_config(write_starter([manifest(folder / "m.jsonl", rows)], folder / "mine", task="captioning"))
    parts = [examples(config, part) for part in ("train", "validation", "test")]
    assert {len(one.answers) for part in parts for one in part} == {3}
    assert sum(map(len, parts)) == 60
    asked = [{"image": row["image"], "question": row["caption"], "answer": "yes"} for row in rows]
    path = write_starter([manifest(folder / "q.jsonl", asked)], folder / "asked", task="visual_question_answering")
    config = load_config(path)
    files = [files_of(config, part) for part in ("train", "validation", "test")]
    assert sum(map(len, files)) == 60 == len(set().union(*files))
    assert sum(len(examples(config, part)) for part in ("train", "validation", "test")) == 180


def test_a_folder_of_folders_is_labels(folder: Path) -> None:
    config = load_config(write_starter([str(folder / "images")], folder / "mine", task="media_classification"))
    found = {one.answers for part in ("train", "validation", "test") for one in examples(config, part)}
    assert found == {(colour,) for colour in COLOURS}
    assert config.data.labels == "one"
    assert check(config, quick=True).ok


@pytest.mark.parametrize("task", ["speech_recognition", "media_classification"])
def test_a_folder_with_a_text_beside_each_file(tmp_path: Path, task: str) -> None:
    for number in range(40):
        recording(tmp_path / f"sounds/{number}.wav", number)
        (tmp_path / f"sounds/{number}.txt").write_text(
            f"say {number % 3} {number}" if task != "media_classification" else "ab"[number % 2]
        )
    config = load_config(write_starter([str(tmp_path / "sounds")], tmp_path / "mine", task=task))
    assert config.media.kind == "audio"
    assert config.media.sample_rate == 8000
    assert sum(len(examples(config, part)) for part in ("train", "validation", "test")) == 40
    (tmp_path / "sounds/7.txt").unlink()
    with pytest.raises(DataError, match=r"1 file is without a \.txt beside it: 7\.wav"):
        write_starter([str(tmp_path / "sounds")], tmp_path / "other", task=task)


def test_clips_are_told_from_their_endings(tmp_path: Path) -> None:
    rows = []
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 16, 32, 3), dtype=np.uint8)
        first, *others = map(Image.fromarray, pixels)
        first.save(tmp_path / f"{number}.gif", save_all=True, append_images=others)
        rows.append({"clip": f"{number}.gif", "label": "ab"[number % 2]})
    config = load_config(write_starter([manifest(tmp_path / "m.csv", rows)], tmp_path / "mine", task="media_classification"))
    assert (config.media.kind, config.media.frames, config.media.frames_per_patch) == ("video", 8, 2)


def test_translations_need_two_languages(folder: Path) -> None:
    rows = [{"image": names(n), "source": f"a red thing {n}", "target": f"ein rotes Ding {n}"} for n in range(60)]
    data = [manifest(folder / "m.tsv", rows)]
    with pytest.raises(UsageError, match="source and target are both 'en'"):
        write_starter(data, folder / "mine", task="multimodal_translation")
    languages = {"source_language": "en", "target_language": "de"}
    config = load_config(write_starter(data, folder / "mine", task="multimodal_translation", **languages))  # type: ignore[arg-type]
    assert config.data.target_language == "de"
    assert isinstance(config.data.train, CorpusConfig)
    assert config.data.train.second == "question"


def test_own_held_out_files_are_used(folder: Path) -> None:
    rows = [{"image": names(n), "label": COLOURS[n % 4]} for n in range(60)]
    train, other = manifest(folder / "a.jsonl", rows[:40]), manifest(folder / "b.jsonl", rows[40:])
    config = load_config(write_starter([train], folder / "mine", task="media_classification", validation=[other]))
    assert isinstance(config.data.train, CorpusConfig)
    assert (config.data.train.path, config.data.train.target) == (train, "label")
    assert [file.name for file in (folder / "mine").iterdir()] == ["config.yaml"]


MISTAKES: list[tuple[str, Callable[[Path], str], type[Exception], str]] = [
    ("captioning", lambda f: str(f / "images"), DataError, "does not tell what its files show or say"),
    ("visual_question_answering", lambda f: str(f / "images"), UsageError, "is a folder"),
    ("captioning", lambda f: manifest(f / "m.csv", [{"name": "a", "words": "b", "n": 1}] * 30),
     UsageError, "do not tell which one"),
    ("speech_recognition", lambda f: manifest(f / "m.csv", [{"file": names(n), "text": "b"} for n in range(60)]),
     UsageError, "most files are pictures, such as .*0.png, and speech_recognition reads recordings"),
    ("captioning", lambda f: manifest(f / "m.csv", [{"file": f"{n}.png", "text": "b"} for n in range(60)]),
     DataError, "is not there, and none of 60 files that were looked at can be read"),
    ("captioning", lambda f: manifest(f / "m.csv", [{"file": names(n), "text": "b"} for n in range(5)]),
     DataError, "holds 5 files"),
    ("media_classification", lambda f: str(f / "nothing"), DataError, "holds no file with an ending of a picture"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "make", "kind", "message"), MISTAKES)
def test_what_does_not_fit_is_refused(
    folder: Path, task: str, make: Callable[[Path], str], kind: type[Exception], message: str
) -> None:
    (folder / "nothing").mkdir()
    with pytest.raises(kind, match=message):
        write_starter([make(folder)], folder / "mine", task=task)
    assert not (folder / "mine").exists()


def test_a_file_outside_the_folders_has_no_label(folder: Path) -> None:
    picture(folder / "images/loose.png", 99)
    with pytest.raises(DataError, match=r"1 file is in no folder, whose name would be its label: loose\.png"):
        write_starter([str(folder / "images")], folder / "mine", task="media_classification")


@pytest.mark.parametrize("examples", [20, 3_000, 60_000, 2_000_000])
@pytest.mark.parametrize(
    "what",
    [
        {"kind": "image", "height": 9, "width": 30},
        {"kind": "image", "height": 480, "width": 640},
        {"kind": "image", "height": 1, "width": 5000},
        {"kind": "video", "height": 64, "width": 64},
        {"kind": "audio", "rate": 8000, "seconds": 0.5, "longest": 1.0},
        {"kind": "audio", "rate": 44100, "seconds": 12.0, "longest": 200.0},
    ],
)
def test_advice_for_every_kind_and_size_is_valid(examples: int, what: dict[str, Any]) -> None:
    found = Found(examples=examples, **what)
    assert found.settings.kind == what["kind"]  # it is valid
    assert f"kind: {what['kind']}" in media_section(found)
    advice = advise_on_files(advise(Counts(examples, 10, 8.0)), found)
    assert 500 <= advice.updates <= 200_000
    assert advice.batch_tokens >= min(found.positions, 16_384)


@pytest.mark.parametrize("task", ["captioning", "media_classification"])
def test_what_it_writes_is_checked_and_learned(
    folder: Path, task: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    manifest(folder / "photos.jsonl", [{"image": names(n), "caption": f"a {COLOURS[n % 4]} picture"} for n in range(60)])
    data = "photos.jsonl" if task == "captioning" else "images"
    assert main(["init", "--task", task, data, "mine"]) == 0
    assert main(["check", "mine/config.yaml", "--quick"]) == 0
    little = ["model.width=16", "model.feed_forward_width=16", "training.threads=1", "training.tensorboard=false"]
    short = [*little, *(f"training.{key}=2" for key in ("updates", "validate_every", "save_every")), "training.warmup_updates=1"]
    assert main(["train", "mine/config.yaml", *short]) == 0
    assert (folder / "runs/mine/model/config.yaml").is_file()
    told = capsys.readouterr().err
    assert ("pieces" in told) == (task == "captioning")  # the tokenizer of a classifier of files is idle


def test_every_task_on_files_has_endings() -> None:
    assert {kind for kinds in OF_MEDIA.values() for kind in kinds} == set(ENDINGS.values())
