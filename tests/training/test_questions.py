"""Questions on passages: reading SQuAD's JSON, windows, spans back to the same characters, training, evaluating, answering."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from rich.console import Console
from test_loop import assert_same_checkpoint, figures, train_and_die
from tiny_run import TINY_MODEL, TINY_TRAINING

import headway
from headway.config import Config, CorpusConfig, TokenizerConfig
from headway.data import lines
from headway.data.check import check
from headway.data.checks.findings import DROPPED
from headway.data.questions import Answer, Question, QuestionPreparation, read_questions
from headway.data.tokenizer import EOS_ID, Tokenizers, train_tokenizer
from headway.errors import DataError, UsageError
from headway.evaluation.evaluate import evaluate_run
from headway.evaluation.span_scores import f1, normalise, span_scores
from headway.inference.reader import Reader
from headway.inference.reading import best_span
from headway.training.loop import train

PEOPLE = ("Anna", "Paul", "Thomas", "Maria", "Peter", "Lena", "Max", "Eva")
PLACES = ("garden", "kitchen", "station", "park", "library", "market", "harbour", "school")
TIMES = ("today", "yesterday", "at noon", "last night", "in the morning")


def passage(rng: np.random.Generator, *, unanswerable: bool) -> dict[str, Any]:
    """Somebody somewhere at some time, in any order, between other words; asked is who, where and when, or what is not said."""
    parts = {
        "Who danced?": (f"{rng.choice(PEOPLE)} danced", 0),
        "Where was it?": (f"it was in the {rng.choice(PLACES)}", len("it was in the ")),
        "When was it?": (f"it happened {rng.choice(TIMES)}", len("it happened ")),
    }
    said = [question for question in rng.permutation(list(parts)) if not unanswerable or rng.random() < 0.7] or ["Who danced?"]
    context, qas = "", []
    for question in said:
        text, skipped = parts[str(question)]
        wanted = text[skipped:].removesuffix(" danced")
        qas.append({"question": question, "answers": [{"text": wanted, "answer_start": len(context) + skipped}]})
        context += text + " . "
    qas += [{"question": question, "answers": [], "is_impossible": True} for question in parts if question not in said]
    return {"context": context, "qas": qas}


def question_config(folder: Path, run: str = "run", *, unanswerable: bool = False, **sections: Any) -> Config:
    rng = np.random.default_rng(1)
    corpora = {}
    for name, count in (("train", 300), ("validation", 20), ("test", 30)):
        lines = (json.dumps(passage(rng, unanswerable=unanswerable)) for _ in range(count))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        corpora[name] = {"path": str(folder / f"{name}.jsonl"), "source": "context"}
    return Config.model_validate(
        {
            "run_directory": str(folder / run),
            "task": "question_answering",
            "data": {**corpora, "max_length": 48, "window_stride": 12, "unanswerable": unanswerable, **sections.get("data", {})},
            "tokenizer": {"vocabulary_size": 200},
            "model": {**TINY_MODEL, "decoder_layers": 0, "positions": "relative"},
            "training": {**TINY_TRAINING, **sections.get("training", {})},
            "evaluation": {"bootstrap_samples": 200},
        }
    )


def test_a_killed_run_resumes_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = {"r_drop": 1.0, "accumulation": 2}
    straight, killed = (question_config(tmp_path, name, training=training) for name in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")


@pytest.mark.parametrize("unanswerable", [pytest.param(False, marks=pytest.mark.slow), True])
def test_who_where_and_when_is_learned_and_told(unanswerable: bool, tmp_path: Path) -> None:
    training = {"updates": 400, "validate_every": 400, "save_every": 400, "batch_tokens": 2048, "learning_rate": 5e-3}
    training |= {"averaging": "none", "warmup_updates": 50}
    run = train(question_config(tmp_path, unanswerable=unanswerable, training=training), quiet=True)
    assert figures(run, "validation_f1")[-1] >= 95
    found = evaluate_run(run, console=Console(file=io.StringIO()))
    assert found.scores["exact"] >= 95
    assert ("unanswerable" in found.scores) is unanswerable
    reader = headway.load(str(run))
    assert isinstance(reader, Reader)
    text = "it was in the market . Paul danced . "
    answer = reader.answer("Where was it?", text)
    assert answer.text == "market"
    assert text[answer.start :].startswith("market")
    assert reader.predict([f"Who danced?\t{text}"]) == ["Paul"]
    if unanswerable:
        assert reader.predict([f"When was it?\t{text}", ""]) == ["", ""]
    with pytest.raises(UsageError, match="has no tab"):
        reader.predict(["Who danced?"])


# ---- reading -------------------------------------------------------------------------------------------------------


def test_a_squad_file_and_a_passage_a_line_give_the_same(tmp_path: Path) -> None:
    one = {"context": "A b.", "qas": [{"question": "q", "answers": [{"text": "b", "answer_start": 2}], "id": "7"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(one) + "\n", encoding="utf-8")
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"paragraphs": [one]}]}, indent=1), encoding="utf-8")
    expected = [Question("q", "A b.", (Answer("b", 2),), 1, "7")]
    for name in ("a.jsonl", "a.json"):
        assert list(read_questions(CorpusConfig(path=str(tmp_path / name), source="context"))) == expected


def test_a_squad_file_may_be_one_long_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"text": "é", "answer_start": 0}
    paragraphs = [{"context": "é" * 100_000, "qas": [{"question": f"q{n}", "answers": [answer]}]} for n in range(12)]
    whole = json.dumps({"data": [{"paragraphs": paragraphs}]}, ensure_ascii=False)
    (tmp_path / "a.json").write_text(whole, encoding="utf-8")
    corpus = CorpusConfig(path=str(tmp_path / "a.json"), source="context")
    assert [(one.question, len(one.passage)) for one in read_questions(corpus)] == [(f"q{n}", 100_000) for n in range(12)]
    monkeypatch.setattr(lines, "MAX_WHOLE_BYTES", len(whole.encode()) - 1)
    with pytest.raises(DataError, match=r"(?s)a\.json: is larger than 2,\d+,\d+ bytes .*on each line of a \.jsonl"):
        list(read_questions(corpus))
    (tmp_path / "a.json").write_bytes(b'{"data": [\n"\xff"]}')
    with pytest.raises(DataError, match=r"a\.json:2:2: byte 0xFF is not UTF-8"):
        list(read_questions(corpus))


def test_steps_that_change_the_passage_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValidationError, match=r"data\.preprocessing=\[lowercase\] is not for task=question_answering: answers are"
    ):
        question_config(tmp_path, data={"preprocessing": ["lowercase"]})


def asked(**changes: Any) -> str:
    """A passage with one question, and what is changed in the answer."""
    answer = {"text": "b", "answer_start": 2, **changes}
    return json.dumps({"context": "A b.", "qas": [{"question": "q", "answers": [answer]}]})


WRONG = {
    "{": "is not valid JSON",
    "": "the line is blank",
    "[]": "holds an array where an object with 'context' should be",
    '{"qas": []}': "the field 'context' is missing",
    '{"version": "1.1", "data": []}': "is a whole file of SQuAD, not a passage of one",
    '{"context": "a"}': "the field 'qas' is missing",
    '{"context": 1, "qas": []}': "'context' is a number, not a text",
    '{"context": "a", "context": "b", "qas": []}': "'context' stands twice",
    '{"context": "a\\ud800", "qas": []}': "'context' holds .ud800, half of a surrogate pair",
    '{"context": "a\\u0000", "qas": []}': "'context' holds a NUL character",
    '{"context": "a", "qas": [1]}': r"qas\[0\]: holds a number",
    '{"context": "a", "qas": [{"question": "q", "answers": null}]}': "'answers' is null, not an array",
    '{"context": "a", "qas": [{"question": "q", "is_impossible": "no"}]}': "'is_impossible' is a text, not true or false",
    asked(text=None): "'text' is null, not a text",
    asked(answer_start=2.0): "'answer_start' is 2.0, not a whole number",
    asked(answer_start=True): "'answer_start' is true, not a whole number",
    asked(answer_start=float("inf")): "Infinity is no JSON value",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_no_passage_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"context": "a", "qas": []}) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:2: .*" + WRONG[line]):
        list(read_questions(CorpusConfig(path=str(tmp_path / "a.jsonl"), source="context")))


def test_of_a_whole_file_the_place_is_named(tmp_path: Path) -> None:
    passages = [{"context": "a", "qas": []}, {"context": 1, "qas": []}]
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"paragraphs": passages}]}), encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.json: data\[0\]\.paragraphs\[1\]: 'context' is a number"):
        list(read_questions(CorpusConfig(path=str(tmp_path / "a.json"), source="context")))
    (tmp_path / "b.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match=r"b\.json: holds an array where an object with 'data' should be"):
        list(read_questions(CorpusConfig(path=str(tmp_path / "b.json"), source="context")))


def test_source_names_the_field_of_the_passage(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(asked().replace("context", "passage") + "\n", encoding="utf-8")
    found = list(read_questions(CorpusConfig(path=str(tmp_path / "a.jsonl"), source="passage")))
    assert [question.passage for question in found] == ["A b."]
    with pytest.raises(DataError, match="the field 'context' is missing"):
        list(read_questions(CorpusConfig(path=str(tmp_path / "a.jsonl"), source="context")))


def test_a_question_that_is_cut_is_counted_and_windows_are_called_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = preparation(["a b c d"], tmp_path, max_length=8)
    long, short = (Question(text, "a b", (Answer("b", 2),), 1) for text in ("a b c d " * 3, "a"))
    assert made.prepare([long, short], Counter()).cut == made.rows_of_all([long, short]).cut == 1
    train(question_config(tmp_path, training={"updates": 2, "warmup_updates": 1}))
    assert "900 examples read, 900 windows used" in " ".join(capsys.readouterr().err.split())


def preparation(texts: list[str], tmp_path: Path, **data: Any) -> QuestionPreparation:
    tokenizer = train_tokenizer(texts, TokenizerConfig(vocabulary_size=120, minimum_frequency=1))
    corpus = {"path": str(tmp_path / "a.jsonl"), "source": "context"}
    values = {"train": corpus, "validation": corpus, "max_length": 24, "window_stride": 6, **data}
    config = Config.model_validate({"run_directory": "r", "task": "question_answering", "data": values})
    return QuestionPreparation(Tokenizers(tokenizer, tokenizer), config)


def test_an_answer_is_in_every_window_that_holds_it_whole(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(30)]
    text = " ".join(words)
    start = text.index("word17")
    asked = Question("what word", text, (Answer("word17", start),), 1)
    windows = preparation([text, "what word"], tmp_path).windows([asked])
    assert len(windows) > 2
    holding = [window for window in windows if window.first >= window.begins]
    assert holding
    for window in windows:
        assert len(window.ids) <= 24
        assert window.ids[window.begins - 1] == EOS_ID
        if window in holding:
            first, last = window.spans[window.first - window.begins][0], window.spans[window.last - window.begins][1]
            assert text[first:last].strip() == "word17"
        else:
            assert window.first == window.last == window.begins - 1
    covered = {span for window in windows for span in window.spans}
    assert min(covered)[0] == 0
    assert max(covered)[1] == len(text)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40))
def test_spans_of_pieces_cover_the_text(text: str) -> None:
    tokenizer = train_tokenizer([text + " x"], TokenizerConfig(vocabulary_size=120, minimum_frequency=1, normalization="none"))
    ids, spans = tokenizer.encode_with_spans(text)
    assert ids == tokenizer.encode(text)
    assert all(0 <= first <= last <= len(text) for first, last in spans)
    assert all(before[0] <= after[0] for before, after in pairwise(spans))


def test_a_misplaced_answer_is_dropped_and_counted(tmp_path: Path) -> None:
    dropped: Counter[str] = Counter()
    asked = [Question("q", "a b", (Answer("b", 0),), 1), Question("q", "a b", (Answer("b", 2),), 2), Question(" ", "a", (), 3)]
    asked.append(Question("q", "a b c", (Answer("b", -3),), 4))
    found = preparation(["q a b"], tmp_path).prepare(asked, dropped)
    assert found.lines == [2]
    assert sorted(dropped.values()) == [1, 2]


# ---- checking ------------------------------------------------------------------------------------------------------


def findings(config: Config) -> dict[tuple[str, str], Any]:
    return {(finding.check, finding.corpus): finding for finding in check(config, quick=True).findings}


def change_answers(config: Config, change: Callable[[int, dict[str, Any]], None]) -> None:
    """Passes the number and the questions of each passage of train through `change`."""
    path = Path(str(config.data.parts("train")[0].path))
    passages = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for number, found in enumerate(passages):
        for one in found["qas"]:
            change(number, one)
    path.write_text("".join(json.dumps(found) + "\n" for found in passages), encoding="utf-8")


def test_the_check_counts_answers_that_do_not_stand_where_they_should(tmp_path: Path) -> None:
    config = question_config(tmp_path)
    assert (DROPPED, "train") not in findings(config)

    def shift(number: int, question: dict[str, Any]) -> None:
        question["answers"][0]["answer_start"] += number == 4

    change_answers(config, shift)
    found = findings(config)[DROPPED, "train"]
    assert (found.level, found.count, found.places[0]) == ("note", 3, f"{tmp_path / 'train.jsonl'}:5")
    assert "answer that is not in its passage" in found.problem
    strict = config.model_copy(update={"data": config.data.model_copy(update={"accept_dropped": 0.001})})
    assert findings(strict)[DROPPED, "train"].level == "stop"


def test_the_check_tells_of_questions_without_an_answer(tmp_path: Path) -> None:
    config = question_config(tmp_path, unanswerable=True)
    assert ("answers", "train") not in findings(config)
    always = config.model_copy(update={"data": config.data.model_copy(update={"unanswerable": False})})
    found = findings(always)["answers", "train"]
    assert found.level == "warn"
    assert "have no answer" in found.problem
    assert found.places
    change_answers(config, lambda number, question: question.update(answers=[]))
    assert findings(config)["answers", "train"].level == findings(always)["answers", "train"].level == "stop"
    assert ("answers", "validation") not in findings(config)


# ---- scores --------------------------------------------------------------------------------------------------------


def test_the_best_span_is_the_best_of_all() -> None:
    log_p = np.log(np.random.default_rng(1).random((9, 2)))
    score, first, last = best_span(log_p, 3, 9)
    every = {(a, b): log_p[a, 0] + log_p[b, 1] - log_p[2].sum() for a in range(3, 9) for b in range(a, 9)}
    assert (first, last) == max(every, key=every.__getitem__)
    assert score == pytest.approx(max(every.values()))
    assert best_span(log_p, 3, 3)[0] == -np.inf


def test_the_rules_of_squad() -> None:
    assert normalise("The  Cat's, a dog!", "en") == "cats dog"
    assert f1("the big cat", "cat", "en") == pytest.approx(2 / 3)
    assert f1("北京大学", "北京", "zh") == pytest.approx(2 / 3)
    found = span_scores(["cat", "", "dog"], [["a cat", "kitten"], [], []], "en")
    assert found["exact"].score == pytest.approx(200 / 3)
    assert found["f1"].score == pytest.approx(200 / 3)
    assert found["answerable_f1"].score == 100
    assert found["unanswerable"].score == 50
    assert "unanswerable" not in span_scores(["x"], [["x"]], "en")
