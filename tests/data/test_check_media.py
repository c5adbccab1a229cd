"""The pre-flight of files: faults that are planted are found and named with their places, and good data passes."""

from __future__ import annotations

import io
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from rich.console import Console
from test_media_preparation import config_of

from headway.config import CorpusConfig
from headway.data.check import CheckReport, Finding, check
from headway.data.checks.media import QUICK_FILES, Looked, MediaScan, look_at
from headway.data.tokenizer import Tokenizers
from made_manifests import COLOURS, RATE, write_colours, write_manifest, write_picture, write_recording

EXACT = {"accept_dropped": 0.5}


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    return write_colours(tmp_path)


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    for part, seed in (("train", 0), ("validation", 100), ("test", 200)):
        rows = []
        for number in range(8):
            name = f"{part}{number}.wav"
            write_recording(tmp_path / name, 500 + 100 * number, seed=seed + number)
            rows.append({"audio": name, "text": "high tone" if number > 4 else "low tone"})
        write_manifest(tmp_path / f"{part}.jsonl", rows)
    return tmp_path


def found(report: CheckReport, name: str, corpus: str = "train") -> list[Finding]:
    return [one for one in report.findings if one.check == name and one.corpus == corpus]


def shown(report: CheckReport) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    report.print(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("task", ["captioning", "visual_question_answering", "media_classification"])
@pytest.mark.parametrize("quick", [True, False])
def test_clean_pictures_pass(colours: Path, task: str, quick: bool, caplog: pytest.LogCaptureFixture) -> None:
    report = check(config_of(colours, task), quick=quick)
    assert report.ok
    assert {finding.level for finding in report.findings} == {"note"}
    assert [(figures.name, figures.pairs, figures.used) for figures in report.corpora] == [
        ("train", 24, 24), ("validation", 8, 8), ("test", 8, 8),
    ]  # fmt: skip
    if task == "captioning":
        assert report.corpora[0].source_tokens == 4  # 16 × 16 in patches of 8
    if task == "media_classification":
        assert not caplog.records, "its tokenizer is idle"
    text = shown(report)
    assert "positions" in text
    assert ("unknown" in text) == (not quick and task != "media_classification")
    assert "the median of the pictures is 16 × 16" in text


def test_the_tokens_are_those_of_the_answers_and_never_of_paths(colours: Path) -> None:
    report = check(config_of(colours, "captioning"))
    figures = report.corpora[0]
    assert figures.target_tokens is not None
    assert 3 <= figures.target_tokens < 12
    assert report.vocabulary.endswith("pieces, learned for this check")
    assert int(report.vocabulary.split()[0]) < 50  # letters and words of captions; paths would have digits and dots


def test_files_that_cannot_be_read_are_told_by_their_reason(colours: Path) -> None:
    (colours / "images/train3.png").write_bytes(b"")
    for number in (5, 6):
        path = colours / f"images/train{number}.png"
        path.write_bytes(path.read_bytes()[:60])
    (colours / "images/train9.png").unlink()
    report = check(config_of(colours, "captioning", data=EXACT))
    problems = {one.problem: one for one in found(report, "files")}
    assert set(problems) == {
        "1 of 24 files is empty", "1 of 24 files is not there", "2 of 24 files cannot be read: each is cut off or damaged",
    }  # fmt: skip
    cut = problems["2 of 24 files cannot be read: each is cut off or damaged"]
    assert cut.places[0] == f"{colours / 'train.jsonl'}:6 (images/train5.png)"
    assert cut.level == "warn"
    assert report.ok
    assert report.corpora[0].dropped["unreadable"] == 4
    assert report.corpora[0].used == 20
    strict = check(config_of(colours, "captioning"))
    assert {one.level for one in found(strict, "files")} == {"stop"}
    assert "16.7% in all, accepted: 1.0%" in str(found(strict, "files")[0].remedy)
    refused = check(config_of(colours, "captioning", data=EXACT, media={"bad_files": "stop"}))
    assert not refused.ok


@pytest.mark.parametrize("quick", [True, False])
def test_a_set_that_is_judged_by_must_be_whole(colours: Path, quick: bool) -> None:
    (colours / "images/validation1.png").write_bytes(b"nothing")
    report = check(config_of(colours, "captioning", data=EXACT), quick=quick)
    (finding,) = found(report, "files", "validation")
    assert (finding.level, report.ok) == ("stop", False)
    assert finding.problem == "1 of 8 files is no picture of a known format"


def test_the_quick_look_opens_some_and_asks_for_all(tmp_path: Path) -> None:
    one = write_picture(tmp_path / "one.png", "red")
    rows = [{"image": f"{number}.png", "captions": "a b"} for number in range(3 * QUICK_FILES)]
    for row in rows:
        shutil.copy(one, tmp_path / row["image"])
    for part in ("train", "validation", "test"):
        write_manifest(tmp_path / f"{part}.jsonl", rows)
    (tmp_path / "101.png").unlink()  # not among those that are opened
    report = check(config_of(tmp_path, "captioning"), quick=True)
    assert report.corpora[0].checked == QUICK_FILES + 1
    (finding,) = found(report, "files")
    assert finding.problem.endswith("files is not there")
    assert finding.level == "warn"  # less than one in a hundred
    for number in range(3, 3 * QUICK_FILES, 3):
        (tmp_path / f"{number}.png").unlink(missing_ok=True)
    assert found(check(config_of(tmp_path, "captioning"), quick=True), "files")[0].level == "stop"


def test_copies_and_leaks_are_found_by_content(colours: Path) -> None:
    shutil.copy(colours / "images/train1.png", colours / "images/train2.png")
    shutil.copy(colours / "images/train5.png", colours / "images/validation2.png")
    report = check(config_of(colours, "media_classification"))
    (labels,) = [one for one in found(report, "labels") if "different labels" in one.problem]
    assert labels.level == "warn"
    assert "blue and green" in labels.places[0]
    (copies,) = found(report, "duplicates")
    assert copies.places[0].startswith(f"{colours / 'train.jsonl'}:3 (images/train2.png) = ")
    (leak,) = found(report, "overlap", "validation")
    assert (leak.level, leak.count) == ("warn", 1)
    assert leak.problem == "1 of its 8 files stand in train too (12.5%)"
    shutil.copy(colours / "train.jsonl", colours / "test.jsonl")
    report = check(config_of(colours, "media_classification"), quick=True)
    assert found(report, "overlap", "test")[0].level == "stop"


def test_answers_that_are_empty_or_too_long_are_counted(colours: Path) -> None:
    rows: list[dict[str, Any]] = [{"image": f"images/train{n}.png", "captions": "red"} for n in range(20)]
    rows[4]["captions"], rows[7]["captions"], rows[9]["captions"] = " ", "r " * 300, "red \x07"
    write_manifest(colours / "train.jsonl", rows)
    report = check(config_of(colours, "captioning", data=EXACT))
    assert report.corpora[0].dropped == {"empty target": 1, "too long": 1}
    assert len(found(report, "empty or too long")) == 2
    (fault,) = found(report, "encoding")
    assert "control characters" in fault.problem


def test_captions_sizes_and_colours_are_told(colours: Path) -> None:
    Image.fromarray(np.zeros((40, 400, 3), dtype=np.uint8)).save(colours / "images/train0.png")
    report = check(config_of(colours, "captioning", media={"patches": 9}, data=EXACT))
    (captions,) = found(report, "answers a file")
    assert captions.problem == "1.5 answers an example, 1 to 2: an epoch learns one of each"
    (sizes,) = found(report, "sizes")
    assert sizes.problem == (
        "the median of the pictures is 16 × 16, the largest 400 × 40 pixels; 1 (4%) are scaled down to media.patches=9"
    )
    (flat,) = found(report, "content")
    assert flat.problem == "1 of 24 pictures has one colour all over"
    assert flat.places == (f"{colours / 'train.jsonl'}:1 (images/train0.png)",)


def test_a_batch_that_holds_no_file_is_told(colours: Path) -> None:
    config = config_of(colours, "captioning")
    small = config.model_copy(update={"training": config.training.model_copy(update={"batch_tokens": 3})})
    assert "not even the largest file of 4 positions" in found(check(small), "sizes")[-1].problem


def test_recordings(tones: Path) -> None:
    soundfile.write(tones / "train0.wav", np.zeros(800), RATE)
    write_recording(tones / "train1.wav", 700, seconds=2.0)
    media = {"longest_seconds": 1.0, "sample_rate": 2 * RATE}
    report = check(config_of(tones, "speech_recognition", media=media, data=EXACT))
    assert found(report, "files")[0].problem == "1 of 8 files is silent"
    assert report.corpora[0].dropped == {"unreadable": 1, "longer than media.longest_seconds": 1}
    sizes, rates = found(report, "sizes")
    assert sizes.problem.startswith("the median of the recordings is 0.4 seconds, the longest 2.0; 0.1 minutes in all; 1 beyond")
    assert rates.problem.endswith("than media.sample_rate=16000: the fewest are 8,000")
    assert "media.sample_rate: 8000" in str(rates.remedy)
    assert report.corpora[1].source_tokens == 10.0
    assert "audio → en" in shown(report)


def test_what_ctc_cannot_spell_is_told(tones: Path) -> None:
    """Of 0.4 seconds the encoder reads 10 positions of 40 ms."""
    rows = [{"audio": f"train{number}.wav", "text": "high low " * (1 + 9 * (number == 3))} for number in range(8)]
    write_manifest(tones / "train.jsonl", rows)
    config = config_of(tones, "speech_recognition")
    training = config.training.model_copy(update={"ctc_weight": 0.3})
    (finding,) = found(check(config.model_copy(update={"training": training})), "spelling")
    assert (finding.level, finding.count) == ("warn", 1)
    assert finding.places == (f"{tones / 'train.jsonl'}:4 (train3.wav)",)
    assert not found(check(config), "spelling")
    equal = MediaScan("train", CorpusConfig(path=str(tones / "train.jsonl"), source="audio", target="text"), config)
    equal.config = config.model_copy(update={"training": training})
    equal.files = {str(equal.examples[0].file): Looked(None, positions=3)}
    assert [equal._is_cramped(equal.examples[0], [row]) for row in ([5, 6, 7], [5, 5], [5, 5, 6])] == [False, False, True]


def test_labels_of_files(colours: Path) -> None:
    rows = [{"image": f"images/train{n}.png", "label": "red"} for n in range(20)]
    write_manifest(colours / "train.jsonl", rows)
    report = check(config_of(colours, "media_classification"))
    problems = [one.problem for one in report.findings if one.check == "labels" and one.level == "stop"]
    assert problems == ["all files have the same label ('red')"]
    assert found(report, "labels", "validation")[0].problem.startswith("6 labels are not in train")


def test_a_folder_is_told_by_its_files(tmp_path: Path) -> None:
    for part in ("train", "validation", "test"):
        for number, colour in enumerate(COLOURS):
            (tmp_path / part / colour).mkdir(parents=True)
            write_picture(tmp_path / part / colour / "a.png", colour, seed=number + ord(part[1]))
    (tmp_path / "train/red/b.png").write_bytes(b"")
    config = config_of(tmp_path, "media_classification", data=EXACT)
    folders = {
        part: CorpusConfig(path=str(tmp_path / part), source="file", target="folder") for part in ("train", "validation", "test")
    }
    report = check(config.model_copy(update={"data": config.data.model_copy(update=folders)}))
    (finding,) = found(report, "files")
    assert finding.places == (str(tmp_path / "train/red/b.png"),)


def test_a_manifest_that_is_missing_is_a_finding(colours: Path) -> None:
    (colours / "train.jsonl").unlink()
    report = check(config_of(colours, "captioning"))
    assert not report.ok
    assert found(report, "reading")[0].problem == "there is no such file"
    assert report.passed == ()


def test_what_is_known_of_a_file(tmp_path: Path) -> None:
    settings = config_of(tmp_path, "captioning", media={"patches": 4}).media
    looked = look_at(str(write_picture(tmp_path / "a.png", "red", size=(40, 20))), settings)
    assert (looked.reason, looked.size, looked.shrunk, looked.flat) == (None, (20, 40), True, False)
    assert looked.positions <= 4
    small = look_at(str(write_picture(tmp_path / "b.png", "red", size=(10, 10))), settings)
    assert (small.shrunk, small.positions) == (False, 1)  # of whole patches
    assert look_at(str(tmp_path / "c.png"), settings).reason == "is not there"


def test_the_report_comes_back_from_json_of_old_runs_too(colours: Path) -> None:
    report = check(config_of(colours, "captioning"), quick=True)
    values = report.as_json()
    del values["ok"]
    assert CheckReport.from_json(values) == report
    del values["kind"]
    assert CheckReport.from_json(values).kind == "text"


def test_training_a_classifier_says_nothing_of_its_tokenizer(colours: Path, caplog: pytest.LogCaptureFixture) -> None:
    from headway.training.run_directory import open_tokenizers

    config = config_of(colours, "media_classification", tokenizer={"vocabulary_size": 8000})
    (colours / "run").mkdir()
    with warnings.catch_warnings(), caplog.at_level("WARNING"):
        warnings.simplefilter("error")
        assert isinstance(open_tokenizers(colours / "run", config), Tokenizers)
    assert not caplog.records


def test_several_parts_are_compared_with_what_is_held_out(colours: Path) -> None:
    """And several questions on one picture are no copies."""
    config = config_of(colours, "visual_question_answering")
    rows = [{"image": f"images/train{n % 4}.png", "question": f"what {n} ?", "answer": "it"} for n in range(12)]
    first = write_manifest(colours / "first.jsonl", rows)
    columns = {"source": "image", "second": "question", "target": "answer"}
    parts = [CorpusConfig(path=str(path), **columns) for path in (first, colours / "train.jsonl")]
    leaked = write_manifest(colours / "test.jsonl", [{"image": "images/train1.png", "question": "is it so ?", "answer": "no"}])
    report = check(config.model_copy(update={"data": config.data.model_copy(update={"train": parts})}))
    assert [figures.name for figures in report.corpora] == ["train[0]", "train[1]", "validation", "test"]
    assert not [one for one in report.findings if one.check == "duplicates"]
    leaks = [one for one in report.findings if one.check == "overlap"]
    assert [(one.corpus, one.level, one.places[0]) for one in leaks] == [
        ("test", "stop", f"{leaked}:1 (images/train1.png) = {first}:2 (images/train1.png)"),
        ("test", "stop", f"{leaked}:1 (images/train1.png) = {colours / 'train.jsonl'}:2 (images/train1.png)"),
    ]
    assert report.corpora[0].source_tokens == pytest.approx(4 + 1 + 5, abs=2)  # patches, the question, its end


def test_names_from_data_command_no_terminal(colours: Path) -> None:
    write_manifest(colours / "train.jsonl", [{"image": "a\x1b[31m.png", "captions": "red"}])
    (finding,) = found(check(config_of(colours, "captioning")), "files")
    assert "\x1b" not in finding.places[0]
