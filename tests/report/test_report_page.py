"""The report of a run: every part says what was put into it, nothing in it runs, and what is missing is said."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from made_runs import made_classifier, made_run, save_made_outcome, write_pairs

from headway.data.check import check
from headway.errors import DataError, ModelError
from headway.evaluation.label_scores import number_scores
from headway.evaluation.outcome_record import AnswerRecord, PassageRecord
from headway.evaluation.text import loss_scores
from headway.report.material import gather
from headway.report.page import report_page, write_report
from headway.training.run_directory import LOCK
from made_evaluations import outputs, references, saved
from made_pages import HOSTILE, Page


@pytest.fixture
def translator(tmp_path: Path) -> Path:
    """A run with its data and an evaluation of 150 sentences."""
    run = tmp_path / "run"
    write_pairs(run, "train", [f"sentence {n}" for n in range(150)], references())
    write_pairs(run, "validation", ["one", "two"], ["eins", "zwei"])
    config = made_run(run)
    saved(run, outputs(0.3, 3), **config.data.model_dump(include={"train", "validation"}))
    return run


def test_a_page_with_hostile_text_runs_nothing_and_asks_for_nothing(tmp_path: Path) -> None:
    run = tmp_path / "<b>run</b>"
    made_run(run)
    saved(run, HOSTILE, HOSTILE[::-1], HOSTILE)
    path = write_report(run)
    assert path == run / "report.html"
    content = path.read_text(encoding="utf-8")
    page = Page(content)
    assert not {name for name, _ in page.attributes} & {"src", "style", "onload", "onerror", "action", "data"}
    assert {value for name, value in page.attributes if name == "href"} <= {f"#part{number}" for number in range(20)}
    assert page.tags.count("script") == 2  # the data of the table, and the script of the page
    assert "https:" not in content
    assert "url(" not in content
    for hostile in HOSTILE[:6]:
        assert hostile in page.text  # shown letter by letter
    assert "⟨U+0000⟩⟨U+001B⟩[31m⟨U+202E⟩⟨U+2028⟩ [bold]text[/bold]" in page.text


def test_the_report_of_a_translator_has_all_its_parts(translator: Path) -> None:
    page = Page(write_report(translator).read_text(encoding="utf-8"))
    for part in (
        "Scores",
        "Learning",
        "By length",
        "By frequency",
        "Repetition",
        "Worst, best",
        "Examples",
        "Data",
        "Model card",
    ):
        assert part in page.text
    assert "the model that was kept is that of update 100" in page.text
    assert "BLEU of the validation set" in page.text
    assert page.tags.count("article") == 15  # the worst, the best, the most uncertain
    assert re.search(r"Looked through now.*150", page.text, re.DOTALL)
    assert "seed" in page.text
    assert "not recorded: the run was made by an older Headway" in page.text


def test_how_rare_words_are_translated_is_counted_in_the_training_set(translator: Path) -> None:
    content = write_report(translator).read_text(encoding="utf-8")
    [row] = re.findall(r"<tr><td>101–1,000<td class=number>([\d.]+) [^<]*<td class=number>([\d.]+)", content)
    assert 50 < float(row[0]) < 90  # some 0.3 of the words were replaced, by words that are as frequent
    assert "a word never seen" in content


def test_a_training_set_that_is_gone_is_said_and_what_training_found_is_shown(translator: Path) -> None:
    material = gather(translator, "test")
    (translator / "check.json").write_text(json.dumps(check(material.config, quick=True).as_json()), encoding="utf-8")
    (translator / "data" / "train.en").unlink()
    text = Page(report_page(gather(translator, "test"))).text
    assert "As training found it when it began; the data is no longer where it was" in text
    assert "the training set cannot be read" in text
    (translator / "check.json").write_text("{}", encoding="utf-8")
    assert "check.json is damaged" in report_page(gather(translator, "test"))
    (translator / "check.json").unlink()
    assert "this run did not record what it held" in report_page(gather(translator, "test"))


def test_a_training_set_that_was_changed_is_said(translator: Path) -> None:
    start = {"time": 1000.0, "update": 0, "device": "cpu", "processor": "one", "cores": 2, "threads": 2, "processes": 1,
             "precision": "fp32", "parameters": 1, "data": {"train": "0" * 64}, "versions": {"torch": "2"}}  # fmt: skip
    (translator / "starts.jsonl").write_text(json.dumps(start) + '\n{"half', encoding="utf-8")
    text = Page(report_page(gather(translator, "test"))).text
    assert "has changed since the model learned from it" in text
    assert "1 min 40 s" in text
    assert "about 0.00067 kWh" in text  # 2 threads, 12 W, 100.5 s


def test_a_run_that_was_not_evaluated_tells_the_command(translator: Path) -> None:
    page = Page(report_page(gather(translator, "validation")))
    assert f"headway evaluate '{translator}' --split validation" in page.text
    assert "Learning" in page.text


def test_a_run_without_a_history_and_a_directory_without_a_run(tmp_path: Path) -> None:
    made_run(tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    assert "There is no metrics.jsonl" in report_page(gather(tmp_path / "run", "test"))
    with pytest.raises(ModelError, match="there is no run here"):
        write_report(tmp_path)
    made_run(tmp_path / "several" / "seed1")
    (tmp_path / "several" / "seed1" / LOCK).touch()
    with pytest.raises(ModelError, match=r"holds several runs\n.*name a run of one seed: .*several/seed1"):
        write_report(tmp_path / "several")


def test_a_damaged_evaluation_is_refused(translator: Path) -> None:
    path = translator / "evaluation" / "test.sentences.jsonl"
    path.write_text(path.read_text("utf-8").replace("Park", "park", 1), encoding="utf-8")
    with pytest.raises(DataError, match="does not belong to the scores beside it"):
        write_report(translator)


def test_the_report_of_a_classifier_shows_labels_confusions_and_calibration(tmp_path: Path) -> None:
    probabilities = [0.95] * 20 + [0.65] * 10
    right = [True] * 19 + [False] + [True] * 6 + [False] * 4
    texts = [f"so calm {number}" for number in range(29)] + [HOSTILE[0]]
    content = made_classifier(tmp_path / "run", texts, probabilities, right).read_text(encoding="utf-8")
    page = Page(content)
    assert "confidence: 0.65 → 0.6" in content.replace("answers of like ", "")
    assert "0.9500" not in content
    assert re.search(r"<tr><td>calm(<td class=number>[^<]*){4}<td class=number>2</tr>", content)  # in training
    cells = {(one, other): int(count) for one, other, count in re.findall(r"label (\w+), answer (\w+): (\d+)", content)}
    assert sum(cells.values()) == 30
    assert cells["calm", "calm"] + cells["angry", "angry"] == 25
    assert "accuracy by how often training saw the rarest word of the text" in page.text
    assert HOSTILE[0] in page.text
    wrong = re.search(r"The worst, by accuracy.*?line (\d+): accuracy 0, confidence ([\d.]+)", page.text, re.DOTALL)
    assert wrong is not None
    assert wrong.groups() == ("20", "0.950")  # of the wrong ones that of which it was surest


def test_an_evaluation_of_the_first_format_is_read(tmp_path: Path) -> None:
    made_classifier(tmp_path / "run", ["a text", "another"], [0.9, 0.8], [True, False])
    path = tmp_path / "run" / "evaluation" / "test.json"
    answers = path.with_name("test.answers.jsonl")
    old = [
        {name: value for name, value in json.loads(line).items() if name not in ("log_probability", "passage")}
        for line in answers.read_text("utf-8").splitlines()
    ]
    answers.write_text("".join(json.dumps(one) + "\n" for one in old), encoding="utf-8")
    record = json.loads(path.read_text("utf-8")) | {"format_version": 1}
    record["files"].pop("passages", None)
    record["files"]["answers"] = hashlib.sha256(answers.read_bytes()).hexdigest()
    path.write_text(json.dumps(record), encoding="utf-8")
    assert "Confusion matrix" in report_page(gather(tmp_path / "run", "test"))


def test_the_report_of_numbers_shows_the_largest_errors(tmp_path: Path) -> None:
    table = {"path": "gone.tsv", "source": "text", "target": "label"}
    config = made_run(tmp_path, "classification", train=table, validation=table, labels="number")
    gold = np.arange(10.0)
    found = gold + np.array([0, 0, 3, 0, 0, 0, 0, 0, 0, 1.0])
    answers = [
        AnswerRecord(line=line, source="x", reference=f"{one:g}", answer=f"{other:g}")
        for line, (one, other) in enumerate(zip(gold, found, strict=True), 1)
    ]
    save_made_outcome(tmp_path, config, number_scores(found, gold), answers)
    text = Page(report_page(gather(tmp_path, "test"))).text
    assert re.search(r"The worst, by mean absolute error\s*line 3: mean absolute error 3source", text)
    assert "Calibration" not in text
    assert "Answers against what was wanted" in text


def test_the_report_of_plain_text_shows_what_was_hard_to_guess(tmp_path: Path) -> None:
    config = made_run(tmp_path, "language_model", train={"source": "gone.txt"}, validation={"source": "gone.txt"})
    losses = np.array([[10.0, 10], [90.0, 10], [20.0, 10]])
    passages = [
        PassageRecord(text=f"line one\n{name}", nats=nats, tokens=10) for name, (nats, _) in zip("abc", losses, strict=True)
    ]
    save_made_outcome(tmp_path, config, loss_scores(losses), passages=passages)
    text = Page(report_page(gather(tmp_path, "test"))).text
    assert re.search(r"The worst, by loss\s*row 2: loss 9textline one\nb", text)
