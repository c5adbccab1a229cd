"""Answers where several would be right: which scores each task has, what is kept of them, and what is compared again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from headway.config import Config
from headway.errors import DataError
from headway.evaluation import generated, records
from headway.evaluation.baselines import commonest_text
from headway.evaluation.comparison import compare_runs
from headway.evaluation.generated import SCORES, dialogue_scores, misheard, summary_scores
from headway.evaluation.metrics import bleu, chrf
from headway.evaluation.outcome import OUTCOMES
from headway.evaluation.outcome_record import AnswerRecord, Outcome, OutcomeRecord, load_outcome, save_outcome
from headway.evaluation.request import with_interval
from headway.training.validation import SCORES as JUDGES
from headway.training.validation import _score_of

CORPUS = {"source": "x.en", "target": "x.de"}
PLAIN = Config.model_validate({"run_directory": "r", "data": {"train": CORPUS, "validation": CORPUS, "target_language": "en"}})


class Shown(NamedTuple):
    source: str
    answers: tuple[str, ...]
    line: int = 1

    @property
    def target(self) -> str:
        return self.answers[0] if self.answers else ""


def of_task(task: str) -> Config:
    return PLAIN.model_copy(update={"task": task})


TEXTS = ["one brown dog runs fast", "two men sit on grass"]
WANTED = [["some brown dog runs fast", "one brown dog runs in snow"], ["two men sit on grass"]]


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("captioning", ["cider", "bleu1", "bleu2", "bleu3", "bleu4", "rougel", "exact"]),
        ("visual_question_answering", ["exact", "f1"]),
        ("multimodal_translation", ["bleu", "chrf"]),
        ("speech_recognition", ["wer", "cer", "exact"]),
    ],
)
def test_the_scores_of_each_task(task: str, names: list[str]) -> None:
    pytest.importorskip("jiwer")
    scores = SCORES[task](TEXTS, WANTED, of_task(task))
    assert list(scores) == names
    assert OUTCOMES[task] is generated.generated_outcome
    for name, measured in scores.items():
        assert (measured.name, len(measured.statistics)) == (name, 2)
        assert measured.over([1]) == pytest.approx({"cider": 1000, "wer": 0, "cer": 0}.get(name, 100))


def test_the_best_of_several_answers_counts() -> None:
    config = of_task("visual_question_answering")
    scores = SCORES[config.task](["Yes", "no"], [["maybe", "yes."], ["yes"]], config)
    assert [scores[name].sentence_scores().tolist() for name in ("exact", "f1")] == [[100, 0], [100, 0]]
    several = SCORES["multimodal_translation"](TEXTS, WANTED, of_task("multimodal_translation"))
    assert several["bleu"].signature.startswith("nrefs:var|")
    assert several["bleu"].score > bleu(TEXTS, [some[0] for some in WANTED]).score
    assert several["chrf"].score >= chrf(TEXTS, [some[0] for some in WANTED]).score


def test_a_list_of_one_answer_scores_as_the_answer() -> None:
    pytest.importorskip("rouge_score")
    texts, single = ["It rains a lot today.", "It snows."], ["It rains today a lot.", "It snows"]
    for task, scores in (("dialogue", dialogue_scores), ("summarisation", summary_scores)):
        once, again = scores(texts, single, of_task(task)), SCORES[task](texts, [[one] for one in single], of_task(task))
        assert {name: (one.score, one.signature) for name, one in once.items()} == {
            name: (one.score, one.signature) for name, one in again.items()
        }


def test_what_is_misheard_is_a_table() -> None:
    pytest.importorskip("jiwer")
    config = of_task("speech_recognition")
    [table] = misheard(["five", "five", "two"], [["nine"], ["nine"], ["two"]], config)
    assert table.head == ["error", "wanted", "heard", "times"]
    assert table.rows == [["substitution", "nine", "five", "2"]]
    assert misheard(["five"], [["five"]], config) == []


@pytest.mark.parametrize(
    ("task", "metric", "score"),
    [
        ("captioning", "CIDEr", SCORES["captioning"](TEXTS, WANTED, of_task("captioning"))["cider"].score),
        ("visual_question_answering", "accuracy", 50),
        ("multimodal_translation", "BLEU", bleu(TEXTS, WANTED).score),
        ("speech_recognition", "word accuracy", 100 - 100 / 10),
    ],
)
def test_training_is_judged_by_a_score_of_which_more_is_better(task: str, metric: str, score: float) -> None:
    pytest.importorskip("jiwer")
    examples = [Shown("a.png", tuple(some)) for some in WANTED]
    found, shown = _score_of(TEXTS, examples, of_task(task))
    assert JUDGES[task].name(None) == metric
    assert found == pytest.approx(score)
    assert [(one.reference, one.translation) for one in shown] == [
        (some[0], text) for some, text in zip(WANTED, TEXTS, strict=True)
    ]
    assert _score_of(["one red cat sits", "two men"], examples, of_task(task))[0] < found


def test_an_example_without_an_answer_is_scored_as_one_of_nothing() -> None:
    assert (
        _score_of(["red", "two"], [Shown("a.png", ()), Shown("b.png", ("two",))], of_task("visual_question_answering"))[0] == 50
    )


# ---- simple methods ----------------------------------------------------------------------------------------------------


def test_the_commonest_text() -> None:
    assert commonest_text(["b", "A  dog", "a dog", "b x", "a DOG"]) == "A  dog"
    assert commonest_text(["x", "y"]) == "x"
    assert commonest_text([]) == ""


def test_the_commonest_caption_of_training_stands_beside_the_scores(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read(corpus: Any, data: Any) -> Iterator[Shown]:
        yield from (Shown("1", ("a", "b")), Shown("2", ("b",)))

    def missing(corpus: Any, data: Any) -> Iterator[Shown]:
        raise DataError("no such file", where=corpus.source)

    request: Any = SimpleNamespace(config=of_task("captioning"), examples=[Shown("3", ("c",)), Shown("4", ("d",))])
    monkeypatch.setattr(generated, "TASKS", {"captioning": SimpleNamespace(preparation=SimpleNamespace(read=read))})
    assert generated._simple_answers(request) == {"commonest caption": ["b", "b"]}
    monkeypatch.setattr(generated, "TASKS", {"captioning": SimpleNamespace(preparation=SimpleNamespace(read=missing))})
    with caplog.at_level(logging.WARNING):
        assert generated._simple_answers(request) == {}
    assert "no baseline beside these scores: x.en: no such file" in caplog.text
    assert generated._simple_answers(SimpleNamespace(config=of_task("speech_recognition"), examples=[])) == {}  # type: ignore[arg-type]


# ---- what is kept ------------------------------------------------------------------------------------------------------


def saved(run: Path, texts: list[str], wanted: list[list[str]], task: str = "captioning") -> None:
    measured = SCORES[task](texts, wanted, of_task(task))
    answers = [
        AnswerRecord(line=line, source=f"{line}.png", reference=some[0], references=some if len(some) > 1 else None, answer=text)
        for line, (text, some) in enumerate(zip(texts, wanted, strict=True), 1)
    ]
    record = OutcomeRecord(
        task=task, split="test", examples=len(texts), tables=[], wrong=[], warnings=[], fingerprints={"data": "x"}, seconds={},
        versions={}, bootstrap={"samples": 100, "confidence": 0.95, "seed": 1},
        scores={name: with_interval(one, of_task(task)) for name, one in measured.items()},
    )  # fmt: skip
    run.mkdir()
    (run / "config.yaml").write_text("task: captioning\n")
    records.prepare(run)
    save_outcome(run, record, Outcome(measured, answers))


def test_all_answers_are_kept_and_runs_compared_by_them(tmp_path: Path) -> None:
    wanted = [
        [f"a dog number{n} runs", f"the dog number{n} runs fast"] if n % 2 else [f"a cat number{n} sits"] for n in range(40)
    ]
    saved(tmp_path / "a", ["a dog runs"] * 40, wanted)
    saved(tmp_path / "b", [some[-1] for some in wanted], wanted)
    answers = load_outcome(tmp_path / "a", "test").answers
    assert [one.references or [one.reference] for one in answers] == wanted
    [found] = compare_runs([tmp_path / "a", tmp_path / "b"])
    assert found.metrics["cider"].better == "B"
    assert not found.metrics["cider"].is_noise
    assert found.by_example is not None
    assert found.by_example.label == "CIDEr"
    saved(tmp_path / "c", ["a dog runs"] * 40, [some[:1] for some in wanted])
    with pytest.raises(DataError, match="have different references, first at example 2"):
        compare_runs([tmp_path / "a", tmp_path / "c"])


def test_fewer_errors_are_better(tmp_path: Path) -> None:
    pytest.importorskip("jiwer")
    wanted = [[f"one two three {n}"] for n in range(60)]
    saved(tmp_path / "a", [f"one two {n}" for n in range(60)], wanted, "speech_recognition")
    saved(tmp_path / "b", [f"one two three {n % 50}" for n in range(60)], wanted, "speech_recognition")
    [found] = compare_runs([tmp_path / "a", tmp_path / "b"])
    assert found.metrics["wer"].test.difference == pytest.approx(100 * 10 / 240 - 25)
    assert {name: metric.better for name, metric in found.metrics.items()} == {"wer": "B", "cer": "B", "exact": "B"}
    assert found.by_example is not None
    assert (found.by_example.label, found.by_example.better_b) == ("WER", 50)
