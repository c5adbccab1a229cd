"""What people mend: on the disk, whole, bounded, and read again as training data of its task."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from running import Running, in_a_loop

from headway.config import CorpusConfig, DataConfig
from headway.serve import corrections
from headway.serve.corrections import FORMS, Corrected, Corrections, Labels
from headway.serve.problems import Problem
from headway.tasks import TASKS

RunOf = Callable[[str], Path]
ODD = 'a\tb\nc "d" \u2028 é 日本 \x85 \\ {"x": 1}'
COLUMNS: dict[str, dict[str, str]] = {
    "translation": {"source": "source", "target": "target"},
    "summarisation": {"source": "source", "target": "target"},
    "dialogue": {"source": "turns"},
    "language_model": {"source": "text"},
    "classification": {"source": "text", "target": "label"},
    "pair_classification": {"source": "first", "second": "second", "target": "label"},
    "question_answering": {"source": "context"},
}


def examples(task: str, labels: Labels, mended: Corrected) -> list[dict[str, Any]]:
    return corrections.examples(task, labels, mended, most=100)


@pytest.mark.parametrize("task", FORMS)
def test_what_is_saved_is_read_as_training_data_of_its_task(task: str, tmp_path: Path) -> None:
    kept, right = Corrections(tmp_path / "kept", 1 << 20), "in 1874"
    for text in (f"when?\t{ODD} in 1874", "who?\tbuilt in 1874"):
        made = examples(task, Labels(), Corrected(text, "a wrong answer", right, ("en", "de")))
        kept.save("model", made)
    corpus = CorpusConfig(path=str(tmp_path / "kept" / "model.jsonl"), **COLUMNS[task])
    data = DataConfig(train=corpus, validation=corpus, **({"documents": "file"} if task == "language_model" else {}))
    found: list[Any] = list(TASKS[task].preparation.read(corpus, data))
    assert len(found) >= 2
    if task in ("translation", "summarisation"):
        assert [pair[:2] for pair in found] == [(f"when?\t{ODD} in 1874", right), ("who?\tbuilt in 1874", right)]
    elif task == "question_answering":
        assert [found[0].passage[answer.start :] for answer in found[0].answers] == [right]
    elif task == "dialogue":
        assert found[-1].target == right
    else:
        assert right in str(found[-1])


@pytest.mark.parametrize(
    ("task", "text", "correction", "told"),
    [
        ("tagging", "a", "b", "cannot be mended"),
        ("translation", " ", "b", "text: is blank"),
        ("translation", "a", "\n", "correction: is blank"),
        ("translation", "a\0", "b", "NUL"),
        ("classification", "a", "hapy", "no label"),
        ("pair_classification", "a", "happy", "no tab"),
        ("question_answering", "a\tb", "c", "does not stand"),
    ],
)
def test_what_could_not_be_learned_from_is_refused(task: str, text: str, correction: str, told: str) -> None:
    with pytest.raises(Problem, match=told) as refused:
        examples(task, Labels(("happy", "sad")), Corrected(text, "x", correction))
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("kind", "separator", "correction", "written"),
    [
        ("one", ",", "happy", "happy"),
        ("one", ",", "so, so", "so, so"),
        ("one", ",", "happy,sad", None),
        ("several", ",", "happy, sad", "happy,sad"),
        ("several", ";", "happy,sad", "happy;sad"),
        ("several", ";", "happy; so, so", "happy;so, so"),
        ("several", ";", "happy,glad", None),
        ("number", ",", " 3.5", "3.5"),
        ("number", ",", "happy", None),
        ("number", ",", "nan", None),
    ],
)
def test_labels_are_written_as_training_reads_them(kind: str, separator: str, correction: str, written: str | None) -> None:
    labels = Labels(() if kind == "number" else ("happy", "sad", "so, so"), kind, separator)
    if written is None:
        with pytest.raises(Problem, match="correction: is no"):
            examples("classification", labels, Corrected("a", "x", correction))
    else:
        assert examples("classification", labels, Corrected("a", "x", correction))[0]["label"] == written


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_a_blank_correction_says_that_there_is_no_answer(blank: str) -> None:
    made = examples("question_answering", Labels(), Corrected("who?\ta passage", "x", blank))
    assert made[0]["qas"] == [{"question": "who?", "answers": []}]


@pytest.mark.parametrize(
    ("text", "correction", "pairs"),
    [
        (
            "One cat. Two dogs.\n\n- Three",
            "Eine Katze. Zwei Hunde.\n\n- Drei",
            [("One cat.", "Eine Katze."), ("Two dogs.", "Zwei Hunde."), ("Three", "Drei")],
        ),
        ("One cat. Two dogs.", "Eine Katze und zwei Hunde.", None),
        ("One cat. Two dogs.\nThree. Bye.", "Eine Katze und zwei Hunde.\nDrei. Das war es. Tschüss.", None),  # as many in all
        ("One cat.\n# Title\nTwo dogs.", "Eine Katze. Noch eine.\nZwei Hunde.", None),
        ("<p>One cat. Two dogs.</p>", "<p>Eine Katze. Zwei Hunde.</p>", None),
        ("One\tcat.", "Eine\tKatze.", None),
        ("One. " * 101, "Eins. " * 101, None),
    ],
)
def test_a_document_is_kept_by_its_sentences(text: str, correction: str, pairs: list[tuple[str, str]] | None) -> None:
    made = examples("translation", Labels(), Corrected(text, "Ein. Zwei.\nDrei.", correction, ("en", "de")))
    assert [(one["source"], one["target"]) for one in made] == (pairs or [(text, correction)])
    assert [one["answer"] for one in made] == (["Ein.", "Zwei.", "Drei."] if pairs else ["Ein. Zwei.\nDrei."])
    assert {(one["from"], one["to"]) for one in made} == {("en", "de")}
    assert len(examples("summarisation", Labels(), Corrected(text, "", correction))) == 1


def test_an_answer_of_other_sentences_is_left_out() -> None:
    made = examples("translation", Labels(), Corrected("One. Two.", "Eins und zwei.", "Eins. Zwei."))
    assert [(one["source"], one["target"], one["answer"]) for one in made] == [("One.", "Eins.", ""), ("Two.", "Zwei.", "")]


def test_a_disk_that_hangs_holds_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrections, "PATIENCE", 0.1)
    free, kept = threading.Event(), Corrections(tmp_path, 1000)

    def hang(file: int) -> None:
        free.wait(20)

    async def ask() -> tuple[list[Any], int]:
        told = await asyncio.gather(*(kept.saved("m", [{"n": n}]) for n in range(20)), return_exceptions=True)
        others = await asyncio.wait_for(asyncio.to_thread(int, 7), 5)
        free.set()
        monkeypatch.setattr(os, "fsync", fsync)
        return told, others + await kept.saved("m", [{"n": 20}])

    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", hang)
    told, count = in_a_loop(ask())
    assert [problem.status for problem in told] == [507] + [503] * 19
    assert count == 7 + 2  # the first was written after all, and those that waited for it never
    assert kept._writing.daemon


def test_many_at_once_are_whole_lines(tmp_path: Path) -> None:
    both = Corrections(tmp_path, 1 << 24), Corrections(tmp_path, 1 << 24)  # as if of two servers
    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(lambda n: both[n % 2].save("m", [{"n": n, "text": "é" * 5000}]), range(200)))
    lines = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text("utf-8").splitlines()]
    assert sorted(line["n"] for line in lines) == list(range(200))
    assert max(counts) == 200


def test_who_keeps_the_file_to_himself_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrections, "PATIENCE", 0.05)
    (tmp_path / "m.jsonl").touch()
    with (tmp_path / "m.jsonl").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Problem, match="others write") as refused:
            Corrections(tmp_path, 1000).save("m", [{}])
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
    assert Corrections(tmp_path, 1000).save("m", [{}]) == 1


def test_a_line_without_an_end_gets_one(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"by": "hand"}')
    kept = Corrections(tmp_path, 1000)
    assert kept.save("m", [{"n": 1}, {"n": 2}]) == 3
    assert kept.save("m", [{"n": 3}, {"n": 4}]) == 5
    assert (tmp_path / "m.jsonl").read_text() == '{"by": "hand"}\n' + "".join(f'{{"n": {n}}}\n' for n in range(1, 5))


def test_what_does_not_fit_is_told_and_nothing_of_it_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Corrections(tmp_path, 40)
    kept.save("m", [{"n": 1}])
    with pytest.raises(Problem, match="may not have 50 more") as full:
        kept.save("m", [{"n": "x" * 40}])
    assert (full.value.status, full.value.code) == (507, "corrections_full")
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[:5]))
    with pytest.raises(Problem, match="disk is full"):
        kept.save("m", [{"n": 2}, {"n": 3}])
    monkeypatch.undo()
    assert (tmp_path / "m.jsonl").read_text() == '{"n": 1}\n'
    assert kept.save("m", [{"n": 3}]) == 2


def test_only_a_plain_file_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kept")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "other")
    os.mkfifo(tmp_path / "pipe.jsonl")
    for name in ("link", "pipe"):
        with pytest.raises(Problem, match="could not be written") as refused:
            Corrections(tmp_path, 1000).save(name, [{}])
        assert refused.value.status == 507
    assert (tmp_path / "other").read_text() == "kept"


@pytest.fixture(scope="module")
def server(run_of: RunOf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    kept = tmp_path_factory.mktemp("served") / "corrections"
    limits = ["limits.characters=200", "limits.corrections_bytes=2000", "--workers", "1", "--threads", "1"]
    with Running(f"mt={run_of('translation')}", f"mood={run_of('classification')}", "--corrections", kept, *limits) as running:
        yield running, kept


def test_the_route(server: tuple[Running, Path]) -> None:
    running, kept = server
    secret = "zeitgeist4712"
    right = {"text": secret, "answer": "a", "correction": "b"}
    assert not kept.exists()
    assert running.ask("/corrections/mt", right).json() == {"saved": 1}
    assert running.ask("/corrections/mt", {**right, "from": "en", "to": "de"}).json() == {"saved": 2}
    two = {"text": "A cat. A dog.", "correction": "Eine Katze. Ein Hund."}
    assert running.ask("/corrections/mt", two).json() == {"saved": 4}
    asked = [
        ("mt", {**right, "to": "fr"}, 422, "no direction"),
        ("mt", {**right, "text": "a" * 201}, 422, "text: 201 characters, more than 200"),
        ("mt", {**right, "correction": "a" * 201}, 422, "correction: 201"),
        ("mt", {**right, "more": 1}, 422, "more"),
        ("mt", {"text": "a"}, 422, "correction"),
        ("mood", {**right, "correction": "nolabel"}, 422, "no label"),
        ("none", right, 404, "no model"),
        ("..%2fmt", right, 404, ""),
    ]
    for name, body, status, told in asked:
        answer = running.ask(f"/corrections/{name}", body)
        error = answer.json()["error"]
        assert (answer.status, told in error["message"]) == (status, True), answer
        assert error["remedy"]
    first = json.loads((kept / "mt.jsonl").read_text("utf-8").splitlines()[0])
    assert first == {"source": secret, "target": "b", "from": "en", "to": "de", "answer": "a"}
    assert [path.name for path in kept.iterdir()] == ["mt.jsonl"]
    while (answer := running.ask("/corrections/mt", {**right, "answer": "a" * 200})).status == 200:
        pass
    assert (answer.status, answer.json()["error"]["code"]) == (507, "corrections_full")
    assert secret not in "".join(running.log) + running.ask("/metrics").content.decode()


def test_a_directory_that_cannot_be_made_is_no_fault(run_of: RunOf, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Running(f"mt={run_of('translation')}", "--corrections", tmp_path / "file" / "x", "--workers", "1") as running:
        assert any("corrections cannot be saved" in line for line in running.log)
        answer = running.ask("/corrections/mt", {"text": "a", "correction": "b"})
        assert (answer.status, answer.json()["error"]["code"]) == (507, "not_saved")
        assert str(tmp_path) not in answer.content.decode()
