"""Manifests and folders of media."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.config import CorpusConfig, DataConfig
from headway.data.media_examples import media_files, read_labelled_media, read_media, read_media_texts
from headway.errors import DataError, UsageError
from made_manifests import write_manifest, write_picture


def data(**settings: object) -> DataConfig:
    anywhere = {"path": "x.jsonl", "source": "a", "target": "b"}
    return DataConfig.model_validate({"train": anywhere, "validation": anywhere, **settings})


def corpus(path: Path, **columns: object) -> CorpusConfig:
    return CorpusConfig.model_validate({"path": str(path), **columns})


def test_captions_of_one_file_are_one_example(tmp_path: Path) -> None:
    rows = [
        {"file": "b.png", "text": ["one", "two"]},
        {"file": "a.png", "text": "three"},
        {"file": "b.png", "text": ["two", "four"]},
    ]
    manifest = write_manifest(tmp_path / "m.jsonl", rows)
    found = list(read_media(corpus(manifest, source="file", target="text"), data()))
    assert [(one.name, one.answers, one.line) for one in found] == [
        ("b.png", ("one", "two", "four"), 1),
        ("a.png", ("three",), 2),
    ]
    assert found[0].file == str(tmp_path / "b.png"), "a path counts from the folder of its manifest"
    assert (found[0].source, found[0].target) == ("b.png", "one")


def test_a_file_is_an_example_for_each_of_its_questions(tmp_path: Path) -> None:
    table = tmp_path / "m.tsv"
    table.write_text("f\tq\ta\n/x/a.png\twho?\tAnna\n/x/a.png\twhere?\there\n", encoding="utf-8")
    read = corpus(table, source="f", second="q", target="a")
    found = list(read_media(read, data()))
    assert [(one.file, one.question, one.answers) for one in found] == [
        ("/x/a.png", "who?", ("Anna",)),
        ("/x/a.png", "where?", ("here",)),
    ]
    assert found[0].source == "/x/a.png\twho?", "as `predict` takes it"
    assert [(pair.source, pair.target) for pair in read_media_texts(read, data())] == [("who?", "Anna"), ("where?", "here")]


def test_labels_are_read_one_by_one(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path / "m.jsonl", [{"f": "a.wav", "l": "x, y"}, {"f": "a.wav", "l": "z"}])
    several = data(labels="several")
    assert [one.labels for one in read_labelled_media(corpus(manifest, source="f", target="l"), several)] == [("x", "y"), ("z",)]
    numbers = write_manifest(tmp_path / "n.jsonl", [{"f": "a.wav", "l": 3.5}])
    read = corpus(numbers, source="f", target="l")
    assert [one.labels for one in read_labelled_media(read, data(labels="number"))] == [("3.5",)]
    words = write_manifest(tmp_path / "w.jsonl", [{"f": "a.wav", "l": "much"}])
    with pytest.raises(DataError, match=r"w\.jsonl:1: 'much' is no number"):
        list(read_labelled_media(corpus(words, source="f", target="l"), data(labels="number")))


def test_a_folder_is_a_table(tmp_path: Path) -> None:
    for name in ("cat/b.png", "cat/a.png", "dog/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_picture(tmp_path / name, "red").with_suffix(".txt").write_text(f"of {name}\n", encoding="utf-8")
    labelled = corpus(tmp_path, source="file", target="folder")
    assert [(one.name, one.labels) for one in read_labelled_media(labelled, data())] == [
        ("cat/a.png", ("cat",)),
        ("cat/b.png", ("cat",)),
        ("dog/c.png", ("dog",)),
    ]
    told = corpus(tmp_path, source="file", target="text")
    assert [one.answers for one in read_media(told, data())] == [("of cat/a.png",), ("of cat/b.png",), ("of dog/c.png",)]
    pictures = [tmp_path / name for name in ("cat/a.png", "cat/b.png", "dog/c.png")]
    assert media_files(labelled) == pictures
    assert media_files(told) == [*pictures, *(picture.with_suffix(".txt") for picture in pictures)]
    with pytest.raises(UsageError, match=r"a folder has no column 'caption'\s+→ the columns of a folder are file, folder, text"):
        list(read_media(corpus(tmp_path, source="file", target="caption"), data()))


def test_what_a_fingerprint_is_taken_of(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", "red")
    rows = [{"f": "a.png", "t": "one"}, {"f": "gone.png", "t": "two"}, {"f": "a.png", "t": "three"}]
    manifest = write_manifest(tmp_path / "m.jsonl", rows)
    assert media_files(corpus(manifest, source="f", target="t")) == [manifest, tmp_path / "a.png"]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [([{"f": " ", "t": "x"}], r"m\.jsonl:1: names no file"), ([{"f": 3, "t": "x"}], "is a number, not a text")],
)
def test_rows_without_a_path(tmp_path: Path, rows: list[dict[str, object]], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        list(read_media(corpus(write_manifest(tmp_path / "m.jsonl", rows), source="f", target="t"), data()))


def test_a_line_break_in_a_cell_is_one_of_its_text(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text('f,t\na.wav,"one\ntwo"\n', encoding="utf-8")
    assert [one.answers for one in read_media(corpus(tmp_path / "m.csv", source="f", target="t"), data())] == [("one two",)]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"photo: there is no such file\s+→ did you mean .*photos"):
        list(read_media(corpus(tmp_path / "photo", source="file", target="text"), data()))


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no examples"):
        list(read_media(corpus(tmp_path / "empty", source="file", target="text"), data()))
