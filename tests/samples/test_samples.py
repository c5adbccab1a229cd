"""The data that `headway sample` writes: distinct, split by combination, the same every time, and never over someone's files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from headway import samples
from headway.errors import ResourceError, UsageError
from headway.samples import SAMPLES, chinese, english, german, is_made, write_sample
from headway.samples.kind import PARTS, draw, is_held_out
from headway.samples.speaker import Speaker
from headway.samples.translation import three_languages


@pytest.fixture(scope="module")
def split():
    return draw(1, 2000, three_languages, distinct=3)


def test_sizes(split):
    assert (len(split.train), len(split.validation), len(split.test)) == (2000, 100, 100)


@pytest.mark.parametrize("column", [0, 1, 2], ids=["English", "German", "Chinese"])
def test_no_sentence_comes_twice_anywhere(split, column):
    sentences = [triple[column] for part in PARTS for triple in getattr(split, part)]
    assert len(set(sentences)) == len(sentences) == 2200


def test_evaluation_asks_for_combinations_that_training_lacks(split):
    """Speaks the same trees again and looks each sentence up."""
    parts = {triple[0]: part for part in PARTS for triple in getattr(split, part)}
    speaker, seen = Speaker(1), dict.fromkeys(PARTS, 0)
    trained: set = set()
    for _ in range(8000):
        part = parts.pop(english.say(speaker.speak()), None)
        if part is None:
            continue
        seen[part] += 1
        hidden = [combination for combination in speaker.combinations if is_held_out(combination, 1)]
        assert bool(hidden) == (part != "train")
        if part == "train":
            trained.update(speaker.combinations)
        if not parts:
            break
    assert seen == {"train": 2000, "validation": 100, "test": 100}
    assert not trained & split.held_out
    assert len(split.held_out) > 30


def test_the_world_is_large_and_each_sentence_has_one_translation():
    """More than 50,000 sentences exist, and none on any side stands for two on another."""
    speaker = Speaker(3)
    sides = {
        trees: trees
        for trees in ((english.say(t), german.say(t), chinese.say(t)) for t in (speaker.speak() for _ in range(54000)))
    }
    assert len(sides) > 50000
    for column in range(3):
        assert len({triple[column] for triple in sides}) == len(sides)


def test_sentences_look_like_sentences():
    speaker = Speaker(4)
    for _ in range(3000):
        tree = speaker.speak()
        for text, ends in ((english.say(tree), ".?"), (german.say(tree), ".?"), (chinese.say(tree), "。？")):
            assert text[-1] in ends
            assert text == text.strip()
            assert "  " not in text
            assert ",." not in text
            assert not set("{}-_|") & set(text)
        assert not set(chinese.say(tree)) & set(" ,.?abcdefghijklmnopqrstuvwxyz")


def test_same_seed_same_files_other_seed_other_files(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_sample("translation", tmp_path / name, seed=seed, size=100)
    a, b, c = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if path.name not in ("config.yaml", "sample.json")}
        for name in "abc"
    )  # these two name the directory
    assert a == b
    assert a["train.en"] != c["train.en"]


def test_the_sample_stays_the_same_from_version_to_version():
    """Change this digest knowingly: published numbers on the sample, and its golden loss curve, move with it."""
    files = SAMPLES["translation"].files("translation", 1, 200)
    digest = hashlib.sha256("".join(files[name] for name in sorted(files) if name != "README.md").encode()).hexdigest()
    assert digest[:16] == "ad24662ba4f5cdef"


def test_what_is_written(tmp_path):
    result = write_sample("translation", tmp_path / "new" / "tiny", size=100)
    directory = tmp_path / "new" / "tiny"
    assert result["lines"] == {
        f"{part}.{language}": 100 if part == "train" else 5 for part in PARTS for language in ("en", "de", "zh")
    }
    for name, lines in result["lines"].items():
        text = (directory / name).read_bytes().decode("utf-8")
        assert text.endswith("\n")
        assert "\r" not in text
        assert len(text[:-1].split("\n")) == lines
    readme = (directory / "README.md").read_text("utf-8")
    for stated in (
        "synthetic",
        "grammar",
        "licence",
        "traditional",
        "held-out" if "held-out" in readme else "never occur in training",
    ):
        assert stated in readme or stated.capitalize() in readme
    assert not list(directory.glob("*.partial"))


def test_an_unchanged_sample_is_replaced_and_nothing_else_is(tmp_path):
    write_sample("translation", tmp_path, seed=1, size=50)
    write_sample("translation", tmp_path, seed=2, size=40)
    assert json.loads((tmp_path / "sample.json").read_text())["seed"] == 2
    assert (tmp_path / "train.en").read_text().count("\n") == 40

    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        write_sample("translation", tmp_path, seed=3, size=40)
    (tmp_path / "notes.txt").unlink()

    edited = (tmp_path / "train.de").read_text() + "Meine Zeile.\n"
    (tmp_path / "train.de").write_text(edited)
    with pytest.raises(UsageError, match=r"train\.de"):
        write_sample("translation", tmp_path, seed=3, size=40)
    assert (tmp_path / "train.de").read_text() == edited
    assert json.loads((tmp_path / "sample.json").read_text())["seed"] == 2


def test_a_sample_that_was_cut_off_is_written_again(tmp_path, monkeypatch):
    written = []

    def dies(path: Path, data: bytes, real=samples._write) -> None:
        if len(written) == 4:
            path.with_name(path.name + ".partial").write_bytes(data[:20])
            raise KeyboardInterrupt
        written.append(path.name)
        real(path, data)

    write_sample("translation", tmp_path, seed=1, size=30)
    with monkeypatch.context() as patch:
        patch.setattr("headway.samples._write", dies)
        with pytest.raises(KeyboardInterrupt):
            write_sample("translation", tmp_path, seed=2, size=30)
    write_sample("translation", tmp_path, seed=2, size=30)
    assert len(list(tmp_path.iterdir())) == 12
    assert (tmp_path / "test.zh").read_text("utf-8") == SAMPLES["translation"].files("translation", 2, 30)["test.zh"]


def test_a_foreign_record_does_not_open_the_door(tmp_path):
    (tmp_path / "sample.json").write_text("[]")
    (tmp_path / "train.en").write_text("mine\n")
    with pytest.raises(UsageError):
        write_sample("translation", tmp_path, size=30)
    assert (tmp_path / "train.en").read_text() == "mine\n"


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'translation'"):
        write_sample("translatoin", tmp_path)
    with pytest.raises(UsageError, match="1,000,000"):
        write_sample("translation", tmp_path, size=0)
    with pytest.raises(UsageError, match="seed=-1"):
        write_sample("translation", tmp_path, seed=-1)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="not a directory"):
        write_sample("translation", tmp_path / "file", size=20)
    with pytest.raises(ResourceError):
        write_sample("translation", tmp_path / "file" / "below", size=20)


def test_made_files_are_known_as_such(tmp_path: Path) -> None:
    write_sample("translation", tmp_path / "made", size=100)
    assert is_made(tmp_path / "made" / "test.en")
    (tmp_path / "made" / "own.en").write_text("mine", "utf-8")
    assert not is_made(tmp_path / "made" / "own.en")
    assert not is_made(tmp_path / "test.en")
