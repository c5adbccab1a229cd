"""Summaries and dialogue: reading, training, evaluating, answering."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from test_loop import assert_same_checkpoint, figures, train_and_die
from tiny_run import TINY_MODEL, TINY_TRAINING

import headway
from headway.config import Config, CorpusConfig
from headway.data.check import check
from headway.data.dialogues import read_dialogues
from headway.data.readers import Pair
from headway.errors import DataError
from headway.evaluation.evaluate import evaluate_run
from headway.evaluation.generated import dialogue_scores, first_sentence
from headway.evaluation.rouge import distinct, rouge
from headway.model_dir import load_model
from headway.report.page import write_report
from headway.training.loop import train


def corpora(sample: Path, folder: Path, task: str) -> dict[str, dict[str, Any]]:
    """Texts of three sentences whose first is the summary, or conversations in which each utterance echoes the one before."""
    found: dict[str, dict[str, Any]] = {}
    for name in ("train", "validation", "test"):
        sentences = (sample / f"{name}.en").read_text("utf-8").splitlines()
        rows = []
        for start in range(0, len(sentences) - 2, 3):
            three = sentences[start : start + 3]
            row = {"text": " ".join(three), "summary": three[0]} if task == "summarisation" else {"turns": three}
            rows.append(json.dumps(row))
        (folder / f"{name}.{task}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
        path = str(folder / f"{name}.{task}.jsonl")
        columns = {"source": "text", "target": "summary"} if task == "summarisation" else {"source": "turns"}
        found[name] = {"path": path, **columns}
    return found


def written_config(sample: Path, folder: Path, task: str, run: str = "run", **sections: Any) -> Config:
    return Config.model_validate(
        {
            "run_directory": str(folder / run),
            "task": task,
            "data": {**corpora(sample, folder, task), **sections.get("data", {})},
            "tokenizer": {"vocabulary_size": 300},
            "model": {**TINY_MODEL, "positions": "relative"},
            "training": {**TINY_TRAINING, "validate_every": 20, **sections.get("training", {})},
            "decoding": {"method": "greedy", "maximum_length": 20},
            "evaluation": {"bootstrap_samples": 200},
        }
    )


@pytest.mark.parametrize("task", ["summarisation", "dialogue"])
def test_a_killed_run_resumes_bit_for_bit_and_is_evaluated(
    task: str, sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rouge_score")
    straight, killed = (written_config(sample_directory, tmp_path, task, name) for name in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
    console = Console(file=io.StringIO(), width=120)
    found = evaluate_run(tmp_path / "killed", console=console)
    wanted = {"summarisation": {"rouge1", "rouge2", "rougel"}, "dialogue": {"bleu", "chrf", "distinct1", "distinct2"}}[task]
    assert set(found.scores) == wanted | {"loss", "perplexity"}
    answers = [json.loads(line) for line in (tmp_path / "killed" / "evaluation" / "test.answers.jsonl").read_text().splitlines()]
    predicted = headway.load(str(tmp_path / "killed")).predict([answer["source"] for answer in answers])
    assert predicted == [answer["answer"] for answer in answers]
    assert all(answer["log_probability"] < 0 for answer in answers)
    assert "Repetition, truncation, hallucination" in write_report(tmp_path / "killed").read_text("utf-8")
    statistics = json.loads((tmp_path / "killed" / "evaluation" / "test.statistics.json").read_text())
    tokenizer = load_model(tmp_path / "killed").tokenizers.target
    assert [tokens for _, tokens in statistics["loss"]] == [len(tokenizer.encode(answer["reference"])) + 1 for answer in answers]
    if task == "summarisation":
        written = json.loads((tmp_path / "killed" / "evaluation" / "test.json").read_text())
        assert written["baselines"]["first sentence"]["rouge1"]["score"] == pytest.approx(100)
        assert figures(tmp_path / "killed", "validation_rouge-l")


def test_bleu_of_dialogue_counts_what_it_is_told_to(sample_directory: Path, tmp_path: Path) -> None:
    config = written_config(sample_directory, tmp_path, "dialogue")
    characters = config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"bleu_tokenize": "char"})})
    signatures = [dialogue_scores(["It rains."], ["It snows."], one)["bleu"].signature for one in (config, characters)]
    assert ["tok:13a" in signatures[0], "tok:char" in signatures[1]] == [True, True]


def test_what_is_too_long_is_cut_and_counted(sample_directory: Path, tmp_path: Path) -> None:
    for task in ("summarisation", "dialogue"):
        config = written_config(sample_directory, tmp_path, task, task, data={"max_length": 20}, training={"updates": 6})
        assert config.data.too_long == "cut"
        train(config, quiet=True)


def conversation(tmp_path: Path, *records: Any) -> CorpusConfig:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return CorpusConfig(path=str(tmp_path / "a.jsonl"), source="turns")


def test_each_utterance_answers_the_ones_before_it(tmp_path: Path) -> None:
    corpus = conversation(tmp_path, {"turns": ["Hi.", "Hello\nyou.", "Bye.", "Bye bye."]}, {"turns": ["alone"]})
    assert list(read_dialogues(corpus, 2)) == [
        Pair("Hi.", "Hello\nyou.", 1), Pair("Hi. | Hello you.", "Bye.", 1), Pair("Hello you. | Bye.", "Bye bye.", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(("repeated", "copies"), [(["Where?", "Here."], 1), (["Who?", "Here."], 0)])
def test_a_short_answer_is_a_copy_only_after_the_same_words(repeated: list[str], copies: int, tmp_path: Path) -> None:
    corpus = conversation(tmp_path, {"turns": ["Where?", "Here."]}, {"turns": ["Who?", "I."]}, {"turns": repeated})
    config = Config.model_validate({"run_directory": "r", "task": "dialogue", "data": {"train": corpus, "validation": corpus}})
    found = [finding for finding in check(config, quick=True).findings if finding.check == "duplicates"]
    assert [(finding.corpus, finding.count) for finding in found] == [("train", copies), ("validation", copies)] * copies


def test_a_check_looks_at_summaries_too(tmp_path: Path) -> None:
    rows = [{"text": f"Text number {number}.", "summary": "" if number % 2 else "Ã¤rger \ufffd"} for number in range(10)]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    corpus = {"path": str(tmp_path / "s.jsonl"), "source": "text", "target": "summary"}
    config = Config.model_validate(
        {"run_directory": "r", "task": "summarisation", "data": dict.fromkeys(("train", "validation"), corpus)}
    )
    found = {
        (finding.check, finding.level): finding for finding in check(config, quick=True).findings if finding.corpus == "train"
    }
    assert found["empty or too long", "stop"].problem == "5 of 10 texts would be dropped: empty target"
    assert found["encoding", "warn"].count == 5


WRONG = {
    '{"turns": ["a", "b\\ud800"]}': r"'turns\[1\]' holds .ud800, half of a surrogate pair",
    '{"turns": ["a\\u0000", "b"]}': r"'turns\[0\]' holds a NUL character",
    '{"turns": ["a"], "turns": ["b"]}': "the key 'turns' stands twice",
    "": "the line is blank",
    '{"turns": "text"}': "has no list of texts named 'turns'",
    '{"other": []}': "has no list of texts named 'turns'",
    '{"turns": ["a", " ", "b"]}': r"'turns\[1\]' is blank",
    '["a"]': "holds an array, not an object",
    '{"turns": [1]}': r"'turns\[0\]' is a number, not a text",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_no_conversation_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"turns": ["a", "b"]}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:2: .*" + WRONG[line]):
        list(read_dialogues(CorpusConfig(path=str(tmp_path / "a.jsonl"), source="turns"), 2))


def test_no_conversation_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no conversation"):
        list(read_dialogues(conversation(tmp_path, {"turns": ["alone"]}), 2))
    (tmp_path / "a.jsonl").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"a.jsonl:1: is not valid JSON"):
        list(read_dialogues(CorpusConfig(path=str(tmp_path / "a.jsonl"), source="turns"), 2))


def test_rouge_is_that_of_the_package_and_of_characters_in_chinese() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
    pairs = [("the cats sat", "a cat sits on the mat"), ("", "x"), ("same words", "same words")]
    found = rouge([h for h, _ in pairs], [r for _, r in pairs])
    for name in ("rouge1", "rougeL"):
        expected = sum(scorer.score(r, h)[name].fmeasure for h, r in pairs) / 3
        assert found[name.lower()].score == pytest.approx(100 * expected)
    assert rouge(["我愛你"], ["我愛他"], language="zh")["rouge1"].score == pytest.approx(200 / 3)


@pytest.mark.parametrize(
    ("language", "text"),
    [("ru", "Кот спит."), ("ko", "고양이가 잔다."), ("hi", "बिल्ली सो रही है।"), ("de", "Der Junge schläft.")],
)
def test_rouge_knows_the_words_of_every_script(language: str, text: str) -> None:
    pytest.importorskip("rouge_score")
    assert rouge([text], [text], language=language)["rouge2"].score == pytest.approx(100)
    assert rouge(["Junge schläft"], ["Hund schlüft"], language="de")["rouge1"].score == 0


def test_rouge_of_english_says_where_the_texts_are_not(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("rouge_score")
    rouge(["我愛你", "yes"], ["我愛他", "yes"])
    assert "1 of 2 references" in caplog.text
    assert "target_language" in caplog.text


def test_distinct_counts_each_different_gram_once() -> None:
    found = distinct(["a b a", "a c"])
    assert found["distinct1"].score == pytest.approx(60)  # a, b, c of 5
    assert found["distinct2"].score == pytest.approx(100)  # a b, b a, a c of 3


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One. Two.", "One."),
        ("Who? Me!", "Who?"),
        ("3.5 miles. Far.", "3.5 miles."),
        ("好。是的。", "好。"),
        ("a\nb", "a"),
        ("", ""),
    ],
)
def test_the_first_sentence(text: str, first: str) -> None:
    assert first_sentence(text) == first
