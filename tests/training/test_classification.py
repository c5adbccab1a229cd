"""A classifier on the way from labelled texts to labels: training, resuming, evaluating, answering."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from rich.console import Console
from test_loop import assert_same_checkpoint, figures, losses, train_and_die
from tiny_run import TINY_MODEL, TINY_TRAINING

import headway
from headway.cli import main
from headway.config import SPLITS, Config, CorpusConfig, DataConfig, LabelKind, TokenizerConfig, load_config
from headway.data.check import check
from headway.data.labelled import Labelled, learn_labels, read_labelled
from headway.data.labels import Labels
from headway.data.tokenizer import Tokenizers, train_tokenizer
from headway.errors import DataError, ModelError
from headway.evaluation.baselines import label_baselines
from headway.evaluation.evaluate import evaluate_run
from headway.evaluation.outcome import OutcomeResult
from headway.inference.labeller import Labeller
from headway.inference.labelling import label_answers
from headway.model_dir import load_model
from headway.report.page import write_report
from headway.samples import write_sample
from headway.starter import write_starter
from headway.training.loop import train
from headway.training.validation import Validation


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("kinds")
    write_sample("classification", directory, seed=1, size=800)
    return directory


def label_config(sample: Path, run: Path, **sections: Any) -> Config:
    corpora = {
        name: {"path": str(sample / f"{name}.jsonl"), "source": "text", "target": "label"}
        for name in ("train", "validation", "test")
    }
    model = {**TINY_MODEL, "decoder_layers": 0, "positions": "relative", **sections.get("model", {})}
    return Config.model_validate(
        {
            "run_directory": str(run),
            "task": "classification",
            "data": {**corpora, **sections.get("data", {})},
            "tokenizer": {"vocabulary_size": 300, **sections.get("tokenizer", {})},
            "model": model,
            "training": {**TINY_TRAINING, **sections.get("training", {})},
            "evaluation": {"bootstrap_samples": 200},
        }
    )


@pytest.mark.parametrize(
    "sections", [{}, {"tokenizer": {"dropout": 0.1}, "training": {"r_drop": 1.0, "accumulation": 2}}], ids=["plain", "sampled"]
)
def test_a_killed_run_resumes_bit_for_bit(
    sections: dict[str, Any], kinds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, killed = (label_config(kinds, tmp_path / name, **sections) for name in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
    assert losses(tmp_path / "straight") == losses(tmp_path / "killed")


@pytest.fixture(scope="module")
def run(kinds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = {"updates": 200, "validate_every": 100, "save_every": 200, "learning_rate": 1e-2, "averaging": "none"}
    return train(label_config(kinds, tmp_path_factory.mktemp("label") / "run", training=training), quiet=True)


def test_the_made_kinds_are_learned_near_perfectly(run: Path) -> None:
    assert figures(run, "validation_accuracy")[-1] >= 95


def test_an_evaluation_says_what_was_answered_and_what_simple_methods_reach(run: Path, kinds: Path) -> None:
    pytest.importorskip("sklearn")
    console = Console(file=io.StringIO(), width=120)
    found = evaluate_run(run, console=console)
    assert isinstance(found, OutcomeResult)
    assert found.scores["accuracy"] >= 95
    examples = [json.loads(line) for line in (kinds / "test.jsonl").read_text("utf-8").splitlines()]
    answers = [json.loads(line) for line in (run / "evaluation" / "test.answers.jsonl").read_text("utf-8").splitlines()]
    assert [answer["source"] for answer in answers] == [example["text"] for example in examples]
    right = [answer["answer"] == example["label"] for answer, example in zip(answers, examples, strict=True)]
    assert found.scores["accuracy"] == pytest.approx(100 * sum(right) / len(right))
    written = json.loads((run / "evaluation" / "test.json").read_text("utf-8"))
    always, regression = (written["baselines"][name]["accuracy"]["score"] for name in sorted(written["baselines"])[::-1])
    assert always < 60 < regression <= 100
    assert [row[0] for row in written["tables"][0]["rows"]] == list(load_model(run).tokenizers.labels.names)  # type: ignore[union-attr]
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "TF-IDF + logistic regression" in shown
    assert "calibration error" in shown
    assert "accuracy: share of texts; where each has one label, micro F1 is the same" in shown


def test_labels_come_one_a_line(run: Path, kinds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = [json.loads(line) for line in (kinds / "test.jsonl").read_text("utf-8").splitlines()][:30]
    texts = [example["text"] for example in examples]
    labeller = headway.load(str(run))
    assert isinstance(labeller, Labeller)
    labels = labeller.predict(texts)
    assert sum(label == example["label"] for label, example in zip(labels, examples, strict=True)) >= 28
    assert labeller.predict([texts[3]]) == [labels[3]]
    answer = labeller.answer(["", texts[0]])[1]
    assert answer.labels == (labels[0],)
    assert sum(answer.probabilities) == pytest.approx(1)
    assert answer.score == max(answer.probabilities)
    (tmp_path / "in.txt").write_text("\n".join([*texts, " "]) + "\n", encoding="utf-8")
    assert main(["predict", str(run), str(tmp_path / "in.txt"), "--scores"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1] for line in lines] == [*labels, ""]
    assert labeller.predict(["", "\u200b"]) == ["", ""]


def test_several_labels_are_as_sure_as_the_least_likely_one() -> None:
    labels = Labels("several", ("a", "b", "c"))
    both, none = label_answers(torch.tensor([[0.7, 0.6, 0.1], [0.2, 0.3, 0.1]]).logit(), labels)
    assert (both.labels, both.score) == (("a", "b"), pytest.approx(0.6))
    assert (none.labels, none.score) == ((), pytest.approx(0.7))


def test_its_size_counts_the_head_and_its_attention_is_no_translations(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(run)]) == 0
    assert f"{load_model(run).model.parameter_count():,} " in capsys.readouterr().out
    assert main(["explain", str(run), "A man.", "-o", str(tmp_path / "x.png")]) == 4
    assert f"{run}/model: has no cross-attention" in capsys.readouterr().err


def test_a_comparison_of_two_evaluations(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        shutil.copytree(run / "model", tmp_path / name)
        assert main(["evaluate", str(tmp_path / name), "evaluation.bootstrap_samples=100"]) == 0
    page = write_report(tmp_path / "a").read_text("utf-8")
    assert page.count("TF-IDF + logistic regression") == 1
    assert "Confusion matrix" in page
    assert "Calibration" in page
    assert "There is no metrics.jsonl" in page  # a model directory alone
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "accuracy: A and B score the same." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["some text\tnew", "another text\tcondition"], "a label that the model does not know: 'new'"),
        (["some text\tcondition", "another text\tcondition"], "only one class"),
    ],
)
def test_a_training_file_that_has_changed_costs_no_more_than_the_baseline(
    rows: list[str], problem: str, run: Path, kinds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    shutil.copytree(run / "model", tmp_path / "model")
    (tmp_path / "t.tsv").write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    changed = [f"data.train.path={tmp_path / 't.tsv'}", "data.train.source=0", "data.train.target=1"]
    assert main(["evaluate", str(tmp_path / "model"), *changed, "evaluation.bootstrap_samples=100"]) == 0
    told = capsys.readouterr().err
    assert "no baseline beside these scores" in told
    assert problem in told


def test_a_baseline_of_a_single_label_among_several() -> None:
    pytest.importorskip("sklearn")
    config = Config.model_validate(
        {"run_directory": "r", "data": {name: {"source": "a", "target": "b"} for name in ("train", "validation")}}
    )
    texts = [Labelled(*one, 1) for one in (("good dog", ("good",)), ("bad dog", ()), ("good cat", ("good",)), ("bad cat", ()))]
    found = label_baselines(texts, texts, texts, Labels("several", ("good",)), config)
    assert found["TF-IDF + logistic regression"]["exact"].score == 100


def test_several_labels(kinds: Path, tmp_path: Path) -> None:
    for name in ("train", "validation", "test"):
        examples = [json.loads(line) for line in (kinds / f"{name}.jsonl").read_text("utf-8").splitlines()]
        rows = []
        for example in examples:
            marks = [mark for mark, word in (("the", " the "), ("question", "?"), ("not", " not ")) if word in example["text"]]
            rows.append(json.dumps({"text": example["text"], "label": "; ".join(marks)}))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    training = {"updates": 150, "validate_every": 150, "learning_rate": 1e-2, "averaging": "none"}
    config = label_config(tmp_path, tmp_path / "run", data={"labels": "several", "label_separator": ";"}, training=training)
    run = train(config, quiet=True)
    found = evaluate_run(run, console=Console(file=io.StringIO()))
    assert found.scores["micro_f1"] > 90
    assert figures(run, "validation_f1")[-1] > 90
    assert set(headway.load(str(run)).predict(["Is the dog not here?"])[0].split(", ")) <= {"the", "question", "not"}


def test_numbers(kinds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train", "validation", "test"):
        examples = [json.loads(line) for line in (kinds / f"{name}.jsonl").read_text("utf-8").splitlines()]
        rows = (json.dumps({"text": e["text"], "label": str(100 + 3.5 * len(e["text"].split()))}) for e in examples)
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    training = {"updates": 150, "validate_every": 150, "learning_rate": 1e-2, "averaging": "none"}
    run = train(label_config(tmp_path, tmp_path / "run", data={"labels": "number"}, training=training), quiet=True)
    found = evaluate_run(run, console=Console(file=io.StringIO()))
    assert found.scores["pearson"] > 0.9
    (number,) = headway.load(str(run)).predict(["The dog is here."])
    assert float(number) == pytest.approx(114, abs=12)
    assert main(["predict", str(run), str(tmp_path / "test.jsonl"), "--scores"]) == 2
    assert "a number has no score" in capsys.readouterr().err


def corpus(tmp_path: Path, *rows: str) -> Config:
    (tmp_path / "t.tsv").write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    table = {"path": str(tmp_path / "t.tsv"), "source": 0, "target": 1}
    return Config.model_validate(
        {"run_directory": str(tmp_path / "run"), "task": "classification", "data": {"train": table, "validation": table}}
    )


def test_mistakes_in_the_labels_are_named(tmp_path: Path) -> None:
    config = corpus(tmp_path, "a\tx", "b\t ", "c\ty")
    with pytest.raises(DataError, match=r"t.tsv:2: has no label"):
        list(read_labelled(config.data.train, config.data))
    numbers = config.data.model_copy(update={"labels": "number"})
    with pytest.raises(DataError, match="'x' is no number"):
        list(read_labelled(config.data.train, numbers))
    with pytest.raises(DataError, match="same label"):
        Labels.learn("one", [("a",), ("a",)], "t.tsv")
    with pytest.raises(DataError, match="the same"):
        Labels.learn("number", [("2",), ("2",)], "t.tsv")
    (tmp_path / "t.tsv").write_text("a\t1e60\nb\t-1e60\nc\t1e308\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"t\.tsv:3: '1e308' is beyond 1e\+60"):
        list(read_labelled(config.data.train, numbers))
    (tmp_path / "t.tsv").write_text("a\t1e60\nb\t-1e60\nc\t3\n", encoding="utf-8")
    assert learn_labels(numbers).deviation == pytest.approx(1e60 * (2 / 3) ** 0.5)
    several = config.data.model_copy(update={"labels": "several"})
    (tmp_path / "t.tsv").write_text("a\tx, y,x\nb\t\n", encoding="utf-8")
    assert list(read_labelled(config.data.train, several)) == [Labelled("a", ("x", "y"), 1), Labelled("b", (), 2)]


LABELS = {"number": [3.5, 4, -1e3], "one": [1, 0, 1], "several": ["a", 1, "b"], "true": [True, False, True]}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("second", [None, "other"])
def test_labels_may_be_numbers_in_jsonl_and_parquet(kind: str, second: str | None, tmp_path: Path) -> None:
    values = LABELS[kind]
    rows = [{"text": text, "other": "o", "label": label} for text, label in zip("abc", values, strict=True)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    files = ["a.jsonl"]
    if kind != "several":  # of one column the values are of one kind
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pytest.importorskip("pyarrow").Table.from_pylist(rows), tmp_path / "a.parquet")
        files.append("a.parquet")
    for name in files:
        part = CorpusConfig(path=str(tmp_path / name), source="text", second=second, target="label")
        data = DataConfig(train=part, validation=part, labels=cast(LabelKind, {"true": "one"}.get(kind, kind)))
        found = list(read_labelled(part, data))
        assert [one.source for one in found] == ["a\to", "b\to", "c\to"] if second else ["a", "b", "c"]
        labels = [one.labels[0] for one in found]
        if kind == "number":
            assert [float(label) for label in labels] == values
        else:
            assert labels == [value if isinstance(value, str) else json.dumps(value) for value in values]
    for label, problem in (("null", "'label' is null, not a text"), ('["x", "y"]', r"'label' is an array(.|\n)*labels: several")):
        (tmp_path / "a.jsonl").write_text(f'{{"text": "a", "other": "o", "label": {label}}}\n', encoding="utf-8")
        with pytest.raises(DataError, match=rf"a\.jsonl:1: {problem}"):
            list(read_labelled(CorpusConfig(path=str(tmp_path / "a.jsonl"), source="text", second=second, target="label"), data))


@pytest.mark.parametrize("task", ["classification", "pair_classification"])
def test_init_takes_labels_that_are_numbers(task: str, tmp_path: Path) -> None:
    rows = [{"text": f"a {number}", "first": f"a {number}", "second": "b", "label": number / 2} for number in range(60)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = load_config(write_starter([str(tmp_path / "a.jsonl")], tmp_path / "mine", task=task))
    assert config.data.labels == "number"
    found = [example for split in SPLITS for part in config.data.parts(split) for example in read_labelled(part, config.data)]
    assert sorted(float(example.labels[0]) for example in found) == [number / 2 for number in range(60)]


def test_a_check_tells_of_labels(tmp_path: Path) -> None:
    config = corpus(tmp_path, *["word number one\tgood"] * 95, *["another word\tbad"] * 5)
    (tmp_path / "v.tsv").write_text("some text\tgoood\n", encoding="utf-8")
    validation = config.data.validation.model_copy(update={"path": str(tmp_path / "v.tsv")})
    config = config.model_copy(update={"data": config.data.model_copy(update={"validation": validation})})
    report = check(config, None, quick=True)
    found = {(finding.corpus, finding.check): finding.problem for finding in report.findings}
    assert "1 labels are not in train and cannot be answered: 'goood'" in found[("validation", "labels")]
    assert "2 labels; the most frequent, 'good', is 95.0% of all" in found[("train", "labels")]
    assert report.ok


def test_a_validation_set_of_unknown_labels_is_refused(tmp_path: Path) -> None:
    config = corpus(tmp_path, *["one text\tgood", "another text\tbad"] * 10)
    (tmp_path / "v.tsv").write_text("some text\tgoood\n", encoding="utf-8")
    validation = config.data.validation.model_copy(update={"path": str(tmp_path / "v.tsv")})
    config = config.model_copy(update={"data": config.data.model_copy(update={"validation": validation})})
    tokenizer = train_tokenizer(["some text"], TokenizerConfig(kind="character", minimum_frequency=1))
    tokenizers = Tokenizers(tokenizer, tokenizer, learn_labels(config.data))
    with pytest.raises(DataError, match=r"v\.tsv: nothing in it can be judged: train has none of its labels"):
        Validation.open(config, tokenizers)


def test_a_single_label_stops_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = corpus(tmp_path, *[f"text number {number}\tgood" for number in range(30)])
    for quick in (False, True):
        report = check(config, None, quick=quick)
        assert [finding.problem for finding in report.findings if finding.level == "stop"] == [
            "all texts have the same label ('good')"
        ]
    monkeypatch.setattr("headway.data.checks.texts.QUICK_PIECES", 20)
    assert check(config, None, quick=True).ok  # others may come further on


def test_a_look_at_the_beginning_claims_nothing_of_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = corpus(tmp_path, *[f"text number {number}\t{'ab'[number >= 25]}" for number in range(30)])
    (tmp_path / "v.tsv").write_text("some text\tb\n", encoding="utf-8")
    validation = config.data.validation.model_copy(update={"path": str(tmp_path / "v.tsv")})
    config = config.model_copy(update={"data": config.data.model_copy(update={"validation": validation})})
    monkeypatch.setattr("headway.data.checks.texts.QUICK_PIECES", 20)
    found = [finding for finding in check(config, None, quick=True).findings if finding.check == "labels"]
    assert [(finding.level, finding.corpus, finding.problem) for finding in found] == [
        ("note", "train", "1 labels; the most frequent, 'a', is 100.0% of the first 20")
    ]


def test_damaged_labels_are_refused(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    Labels("one", ("a", "b")).save(path)
    assert Labels.load(path) == Labels("one", ("a", "b"))
    good = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({name: value for name, value in good.items() if name != "characters"}), encoding="utf-8")
    assert Labels.load(path) == Labels("one", ("a", "b"))  # of a version that did not tell
    changes: list[dict[str, Any]] = [{"names": ["a", "a"]}, {"names": [1]}, {"kind": "number"}, {"kind": "x"}, {"deviation": 0}]
    for change in [*changes, {"mean": "nan"}, {"characters": 1}]:
        path.write_text(json.dumps({**good, **change}), encoding="utf-8")
        with pytest.raises(ModelError, match="is damaged"):
            Labels.load(path)
    path.write_text("[", encoding="utf-8")
    with pytest.raises(ModelError, match="is damaged"):
        Labels.load(path)
    labels = run / "model" / "labels.json"
    before = labels.read_bytes()
    labels.write_bytes(before.replace(b"condition", b"conditiom"))
    with pytest.raises(ModelError):
        load_model(run)
    labels.write_bytes(before)
