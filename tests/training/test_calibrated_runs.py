"""A trained model is calibrated beside its weights: answers stay, confidences change, and what is not sure enough is left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from test_classification import label_config

from headway.cli import main
from headway.errors import DataError, ModelError, UsageError
from headway.evaluation.comparison import compare_runs
from headway.evaluation.confidence import calibrate_run
from headway.inference.labeller import Labeller
from headway.model_dir import CALIBRATION, load_model
from headway.samples import write_sample
from headway.training.loop import train
from headway.training.run_directory import seed_runs
from headway.training.seeds import train_seeds, validation_summary

QUIET = Console(quiet=True)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("kinds")
    write_sample("classification", directory, seed=1, size=1100)
    lines = (directory / "train.jsonl").read_text("utf-8").splitlines(keepends=True)
    (directory / "validation.jsonl").write_text("".join(lines[:300]), "utf-8")  # enough for a promise
    (directory / "train.jsonl").write_text("".join(lines[300:]), "utf-8")
    return directory


@pytest.fixture(scope="module")
def trained(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = {"updates": 60, "validate_every": 60, "save_every": 60, "learning_rate": 1e-2, "averaging": "none"}
    return train(label_config(sample, tmp_path_factory.mktemp("calibrated") / "run", training=training), quiet=True)


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def texts_of(sample: Path) -> list[str]:
    return [json.loads(line)["text"] for line in (sample / "test.jsonl").read_text("utf-8").splitlines()]


def test_calibration_changes_how_sure_an_answer_is_and_nothing_else(run: Path, sample: Path) -> None:
    before, model = Labeller(run), load_model(run)
    (run / "model" / "notes.txt").write_text("mine")
    card = (run / "model" / "card.md").read_text("utf-8")
    found = calibrate_run(run, [], QUIET)
    after, again = Labeller(run), load_model(run)
    assert again.calibration == found
    assert again.fingerprint == model.fingerprint
    assert (run / "model" / "card.md").read_text("utf-8") == card
    assert (run / "model" / "notes.txt").read_text() == "mine"
    texts = texts_of(sample)
    assert after.predict(texts) == before.predict(texts)
    old, new = (labeller.answer(texts) for labeller in (before, after))
    assert [one.score for one in old] != [one.score for one in new]
    assert found.loss_after < found.loss_before
    assert calibrate_run(run, [], QUIET) == found  # which calibrates anew, from the same logits


def test_a_damaged_calibration_is_refused(run: Path) -> None:
    calibrate_run(run, [], QUIET)
    path = run / "model" / CALIBRATION
    path.write_text(path.read_text().replace('"temperature": ', '"temperature": 1'))
    with pytest.raises(ModelError, match=r"calibration\.json"):
        load_model(run)


def test_what_is_not_sure_enough_is_left_unanswered(run: Path, sample: Path, tmp_path: Path, capsys: Capture) -> None:
    inputs, outputs = tmp_path / "in.txt", tmp_path / "out.txt"
    inputs.write_text("".join(f"{text}\n" for text in [*texts_of(sample), ""]), "utf-8")
    command = ["predict", str(run), str(inputs), "-o", str(outputs)]
    assert main([*command, "--precision", "0.9"]) == 2
    assert "headway evaluate RUN --calibrate" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--calibrate"]) == 0
    shown = capsys.readouterr().out
    assert "calibration error, uncalibrated" in shown
    assert "answers that are sure enough" in shown
    assert main(command) == 0
    plain = outputs.read_text("utf-8").splitlines()
    assert main([*command, "--precision", "0.9"]) == 0
    least = Labeller(run).promise(0.9).confidence
    answers = outputs.read_text("utf-8").splitlines()
    assert {one for one, other in zip(answers, plain, strict=True) if one != other} <= {"?"}
    scores = [answer.score for answer in Labeller(run).answer(texts_of(sample))]
    assert [answer == "?" for answer in answers[:-1]] == [(score or 0) < least for score in scores]
    assert answers[-1] == ""
    counted = len(answers) - answers.count("?") - 1  # the blank line
    assert f"{counted} of {len(answers)} texts were answered" in capsys.readouterr().err
    for precision, reason in (("0.99999", "is not proven by its 300 validation texts"), ("95", "is no share")):
        assert main([*command, "--precision", precision]) == 2
        assert reason in capsys.readouterr().err


def test_examples_that_it_was_fitted_on_are_no_judges(run: Path, capsys: Capture) -> None:
    assert main(["evaluate", str(run), "--calibrate", "--split", "validation"]) == 0
    assert "was calibrated on these very examples" in capsys.readouterr().out.replace("\n", " ")
    assert main(["evaluate", str(run)]) == 0
    assert "was calibrated on these very examples" not in capsys.readouterr().out.replace("\n", " ")
    test = load_model(run).config.data.parts("test")[0].path
    calibrate_run(run, [f"data.validation.path={test}"], QUIET)
    assert main(["evaluate", str(run)]) == 0
    assert "was calibrated on these very examples" in capsys.readouterr().out.replace("\n", " ")


def test_labels_that_the_model_does_not_know_calibrate_nothing(run: Path, sample: Path, tmp_path: Path) -> None:
    strange = tmp_path / "strange.jsonl"
    strange.write_text((sample / "validation.jsonl").read_text("utf-8").replace('"label": "', '"label": "un'), "utf-8")
    with pytest.raises(DataError, match="none of the labels that the model knows"):
        calibrate_run(run, [f"data.validation.path={strange}"], QUIET)


def test_details_are_json(run: Path, sample: Path, tmp_path: Path, capsys: Capture) -> None:
    inputs = tmp_path / "in.txt"
    inputs.write_text(f"{texts_of(sample)[0]}\n\n", "utf-8")
    assert main(["predict", str(run), str(inputs), "--details"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["line"] == 1
    assert first["confidence"] == max(first["probabilities"].values()) == first["probabilities"][first["labels"][0]]
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert (second["labels"], second["probabilities"]) == ([], {})
    assert main(["predict", str(run), str(inputs), "--details", "--scores"]) == 2
    assert "is no part of --details" in capsys.readouterr().err


def test_several_seeds_are_trained_once_and_summed_up(sample: Path, tmp_path: Path, capsys: Capture) -> None:
    config = label_config(sample, tmp_path / "several", training={"seed": 5, "updates": 10})
    runs = train_seeds(config, 2)
    assert runs == [tmp_path / "several" / "seed5", tmp_path / "several" / "seed6"]
    assert [load_model(run).config.training.seed for run in runs] == [5, 6]
    caches = sorted(path.name for path in (tmp_path / "cache").iterdir())
    stamps = [(run / "model" / "manifest.json").stat().st_mtime_ns for run in runs]
    third = train_seeds(config, 3)
    assert [(run / "model" / "manifest.json").stat().st_mtime_ns for run in runs] == stamps  # not trained again
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == caches  # prepared once
    assert list(seed_runs(tmp_path / "several")) == [5, 6, 7]
    assert validation_summary(config).count("seed ") == 3
    assert main(["evaluate", str(tmp_path / "several")]) == 0
    assert "3 seeds of" in capsys.readouterr().out
    found = json.loads((tmp_path / "several" / "evaluation" / "test.json").read_text("utf-8"))
    each = [json.loads((run / "evaluation" / "test.json").read_text("utf-8"))["scores"]["accuracy"]["score"] for run in third]
    accuracy = found["scores"]["accuracy"]
    assert found["seeds"] == [5, 6, 7]
    assert accuracy["values"] == each
    assert accuracy["mean"] == pytest.approx(sum(each) / 3)
    half = 4.302653 * accuracy["deviation"] / 3**0.5  # Student's t of 2 degrees
    assert accuracy["high"] == pytest.approx(min(100, accuracy["mean"] + half), rel=1e-5)
    with pytest.raises(DataError, match="a run for each of 3 seeds"):
        compare_runs([tmp_path / "several", runs[0]])
    assert len(compare_runs(third)) == 2


def test_beginning_seeds_anew_leaves_what_others_wrote(sample: Path, tmp_path: Path) -> None:
    mine = tmp_path / "several" / "evaluation" / "mine.py"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    (mine.parent / "test.json").write_text("{}")
    train_seeds(label_config(sample, tmp_path / "several", training={"updates": 4, "warmup_updates": 1}), 2, fresh=True)
    assert [path.name for path in mine.parent.iterdir()] == ["mine.py"]


def test_seeds_that_cannot_be_trained_are_refused(sample: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 seeds"):
        train_seeds(label_config(sample, tmp_path / "x"), 1)
    with pytest.raises(UsageError, match="holds a run of its own"):
        train_seeds(label_config(sample, trained), 2)
    assert seed_runs(trained) == {}
    assert seed_runs(tmp_path / "nothing") == {}
