"""`headway init --task`: whole examples are held out, columns and labels are told from the data, and what it writes loads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain, combinations
from pathlib import Path
from typing import Any, get_args

import pytest

from headway.cli import main
from headway.config import Config, TaskName, load_config
from headway.data.check import check
from headway.data.readers import corpus_files
from headway.errors import DataError, UsageError
from headway.samples import SAMPLES, write_sample
from headway.samples.kind import PARTS
from headway.starter import write_starter
from headway.starter.columns import choose_columns
from headway.starter.forms import FORMS, own_corpus
from headway.tasks import TASKS

MADE = {kind.task: name for name, kind in SAMPLES.items() if name == kind.task and kind.task != "translation"}


def made(task: str, folder: Path) -> list[str]:
    """The training files of a sample."""
    write_sample(MADE[task], folder / "made", size=200)
    return sorted(str(path) for path in (folder / "made").glob("train.*") if path.suffix != ".zh")


def examples(config: Config, part: str) -> list[tuple[str, ...]]:
    """All that is told of each example of a part, but for its line."""
    found = TASKS[config.task].preparation.read(getattr(config.data, part), config.data)
    return [tuple(repr(value) for name, value in one._asdict().items() if name not in ("line", "name")) for one in found]


def test_there_is_a_form_for_every_task() -> None:
    assert set(FORMS) == set(get_args(TaskName))


@pytest.mark.parametrize("task", MADE)
def test_the_split_loses_nothing_leaks_nothing_and_passes_the_check(task: str, tmp_path: Path) -> None:
    data = made(task, tmp_path)
    languages = {"source_language": "en", "target_language": "de"} if task == "multimodal_translation" else {}
    config = load_config(write_starter(data, tmp_path / "mine", task=task, **languages))
    assert config.task == task
    parts = {part: examples(config, part) for part in PARTS}
    own = config.model_copy(update={"data": config.data.model_copy(update={"train": own_corpus(task, data, None)})})
    if task in FORMS and FORMS[task].noun == "documents":  # of a text file; what is written are rows of a table
        own = own.model_copy(update={"data": own.data.model_copy(update={"documents": "line"})})
    assert sorted(chain(*parts.values())) == sorted(examples(own, "train"))
    wholes = {part: {json.loads(line).get("context", line) for line in lines_of(config, part)} for part in PARTS}
    assert all(not wholes[one] & wholes[other] for one, other in combinations(PARTS, 2))
    assert all(wholes.values())
    assert check(config, None, quick=True).ok


def lines_of(config: Config, part: str) -> Iterable[str]:
    """Lines of a part's file as JSON, sentences of a CoNLL file as texts of JSON."""
    (path,) = corpus_files(getattr(config.data, part))
    text = path.read_text("utf-8")
    if path.suffix == ".jsonl":
        return text.splitlines()
    return [json.dumps({"context": sentence}) for sentence in text.split("\n\n") if sentence]


def test_own_parts_are_used_as_they_are(tmp_path: Path) -> None:
    write_sample("question_answering", tmp_path / "made", size=40)
    train, validation, test = (str(tmp_path / "made" / f"{part}.jsonl") for part in PARTS)
    path = write_starter([train], tmp_path / "mine", task="question_answering", validation=[validation], test=[test])
    config = load_config(path)
    assert [corpus.path for corpus in (config.data.train, config.data.validation, config.data.test)] == [train, validation, test]
    assert config.data.unanswerable is True
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["config.yaml"]
    without = load_config(write_starter([train], tmp_path / "other", task="question_answering", validation=[validation]))
    assert without.data.test is None


def labelled(folder: Path, rows: Iterable[tuple[str, ...]], name: str = "t.tsv") -> str:
    path = folder / name
    separator = "," if name.endswith(".csv") else "\t"
    path.write_text("".join(separator.join(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["good", "bad", "so, so"], "one"),
        (["1", "2", "3", "4", "5"], "one"),
        ([str(number / 7) for number in range(40)], "number"),
        (["red,big", "red", "big", "small,red", "big,small", ""], "several"),
    ],
)
def test_what_labels_are_is_told_from_them(labels: list[str], kind: str, tmp_path: Path) -> None:
    data = labelled(tmp_path, ((f"some text {n}", labels[n % len(labels)]) for n in range(200)))
    assert load_config(write_starter([data], tmp_path / "mine", task="classification")).data.labels == kind
    told = load_config(write_starter([data], tmp_path / "told", task="classification", labels="several"))
    assert told.data.labels == "several"


def test_a_single_label_is_no_classification(tmp_path: Path) -> None:
    data = labelled(tmp_path, ((f"some text {n}", "good") for n in range(40)))
    with pytest.raises(DataError, match=r"t\.tsv: all examples have the same label \('good'\)"):
        write_starter([data], tmp_path / "mine", task="classification")
    assert not (tmp_path / "mine").exists()
    write_starter([data], tmp_path / "several", task="classification", labels="several")


@pytest.mark.parametrize(
    ("name", "head", "given", "expected"),
    [
        ("t.tsv", None, None, [0, 1]),
        ("t.csv", ("sentence", "label"), None, ["sentence", "label"]),
        ("t.tsv", ("id", "label", "review"), None, ["review", "label"]),
        ("t.tsv", ("id", "stars", "words"), ["words", "1"], ["words", 1]),
    ],
)
def test_columns_are_told_from_their_names(
    name: str, head: tuple[str, ...] | None, given: list[str] | None, expected: list[Any], tmp_path: Path
) -> None:
    width = len(head or expected)
    data = labelled(tmp_path, [*([head] if head else []), *(("x",) * width for _ in range(3))], name)
    assert choose_columns(data, FORMS["classification"].columns, given) == expected


def test_columns_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"dialog": ["a", "b"]}\n')
    assert own_corpus("dialogue", [str(tmp_path / "a.jsonl")], None).source == "dialog"
    (tmp_path / "eng.train").write_text("-DOCSTART- -X- O O\n\nEU NNP I-NP S-ORG\nrejects VBZ I-VP O\n")
    assert own_corpus("tagging", [str(tmp_path / "eng.train")], None).target == 3
    assert own_corpus("tagging", [str(tmp_path / "eng.train")], ["0", "1"]).target == 1
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.table({"document": ["a"], "summary": ["b"], "id": [1]}), tmp_path / "a.parquet")
    corpus = own_corpus("summarisation", [str(tmp_path / "a.parquet")], None)
    assert (corpus.source, corpus.target) == ("document", "summary")


@pytest.mark.parametrize(("separator", "documents"), [("\n", "line"), ("\n\n", "paragraph"), ("\n \n", "paragraph")])
def test_what_a_document_is_is_told_from_blank_lines(separator: str, documents: str, tmp_path: Path) -> None:
    lines = [f"this is line number {n}" for n in range(60)]
    (tmp_path / "a.txt").write_text(separator.join(lines) + "\n", encoding="utf-8")
    (tmp_path / "v.txt").write_text("held out\n", encoding="utf-8")
    given = {"task": "language_model", "validation": [str(tmp_path / "v.txt")]}
    config = load_config(write_starter([str(tmp_path / "a.txt")], tmp_path / "mine", **given))  # type: ignore[arg-type]
    assert config.data.documents == documents
    split = load_config(write_starter([str(tmp_path / "a.txt")], tmp_path / "split", task="language_model"))
    assert sorted(text for part in PARTS for (text, _) in examples(split, part)) == sorted(map(repr, lines))


def test_summaries_may_be_two_files_of_lines(tmp_path: Path) -> None:
    for name in ("long.txt", "short.txt"):
        (tmp_path / name).write_text("".join(f"{name} {n}\n" for n in range(40)))
    files = [str(tmp_path / name) for name in ("long.txt", "short.txt")]
    config = load_config(write_starter(files, tmp_path / "mine", task="summarisation"))
    assert examples(config, "validation")[0][1].startswith("'short.txt ")


def test_conversations_and_passages_count_as_wholes(tmp_path: Path) -> None:
    """200 conversations have some 700 answers: a tenth of the conversations is held out, and not of the answers."""
    config = load_config(write_starter(made("dialogue", tmp_path), tmp_path / "mine", task="dialogue"))
    assert len(list(lines_of(config, "test"))) == 20


MISTAKES: list[tuple[list[str], str, type[Exception], str]] = [
    (["a.jsonl"], "tagging", UsageError, r"a \.jsonl file is not what tagging reads"),
    (["a.txt"], "classification", UsageError, "plain text is not what classification reads"),
    (["a.tsv"], "question_answering", UsageError, r"a \.tsv file is not what question_answering reads"),
    (["a.jsonl", "b.jsonl"], "dialogue", UsageError, r"reads one file before the directory, not 2: .*give a \.jsonl file"),
    (["a.txt"], "translation", UsageError, "reads two files before the directory, not 1"),
    (["a.txt"], "language_mode", UsageError, "there is no task 'language_mode'.*did you mean 'language_model'"),
    (["missing.jsonl"], "dialogue", DataError, "no such file"),
    (["a.jsonl"], "classification", UsageError, r"its columns 'turns', 'id' do not tell .* text and label.*--columns TEXT,LABEL"),
    (["empty.csv"], "classification", DataError, "is empty"),
    (["blank.tsv"], "summarisation", DataError, "is empty, or its first line is: it names no columns"),
    (["few.tsv"], "classification", DataError, "holds 3 texts with text; 20 are the least"),
    (["chinese.txt"], "language_model", UsageError, "hardly a blank between words.*--source-language zh"),
]


@pytest.mark.parametrize(("names", "task", "kind", "message"), MISTAKES, ids=lambda value: str(value))
def test_what_does_not_fit_is_refused(names: list[str], task: str, kind: type[Exception], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"turns": ["a", "b"], "id": 1}\n' * 30)
    for name in ("a.txt", "a.tsv"):
        (tmp_path / name).write_text("word O\n\n" * 30)
    (tmp_path / "chinese.txt").write_text("他今天早上在公園裡看見了兩隻黑色的大狗和三個很累的小孩子\n" * 30, encoding="utf-8")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "blank.tsv").write_text("\na\tb\n")
    labelled(tmp_path, [("a", "x"), ("b", "y"), ("c", "x")], "few.tsv")
    with pytest.raises(kind, match=f"(?s){message}"):
        write_starter([str(tmp_path / name) for name in names], tmp_path / "mine", task=task)
    assert not (tmp_path / "mine").exists()


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    data = labelled(tmp_path, (("text", "label"), *((f"t {n}", "x") for n in range(30))))
    for task, options, message in (
        ("classification", {"columns": ["text"]}, "names 1 columns"),
        ("classification", {"columns": ["txt", "label"]}, "did you mean 'text'"),
        ("classification", {"labels": "many"}, "answers with one, several, number"),
        ("tagging", {"labels": "one"}, "is not for --task tagging"),
        ("tagging", {"columns": ["a", "b"]}, "numbers two columns"),
    ):
        with pytest.raises((UsageError, DataError), match=message):
            write_starter([data], tmp_path / "mine", task=task, **options)  # type: ignore[arg-type]


def test_the_command_line_takes_options_in_any_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.en", "a.de", "v.en", "v.de", "t.en", "t.de"):
        Path(name).write_text("".join(f"{name} {n}\n" for n in range(30)))
    orders = (
        ["a.en", "a.de", "DIR", "--validation", "v.en", "v.de", "--test", "t.en", "t.de"],
        ["--validation", "v.en", "v.de", "a.en", "a.de", "DIR", "--test", "t.en", "t.de"],
        ["--test", "t.en", "t.de", "--validation", "v.en", "v.de", "a.en", "a.de", "DIR"],
        ["a.en", "--validation", "v.en", "v.de", "a.de", "--test", "t.en", "t.de", "DIR"],
    )
    written = []
    for number, order in enumerate(orders):
        assert main(["init", *(f"mine{number}" if word == "DIR" else word for word in order)]) == 0
        written.append(Path(f"mine{number}/config.yaml").read_text("utf-8").replace(f"mine{number}", "mine"))
    assert len(set(written)) == 1
    labelled(tmp_path, ((f"t {n}", "ab"[n % 2]) for n in range(30)))
    assert main(["init", "--task", "classification", "--validation", "t.tsv", "t.tsv", "one"]) == 0
    assert load_config("one/config.yaml").data.validation.path == "t.tsv"
    capsys.readouterr()
    assert main(["init", "a.en"]) == 2
    assert "the data or the directory is missing" in capsys.readouterr().err
