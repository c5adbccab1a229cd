"""Every kind of sample: its configuration reads it, what is held out stays out, and its answers follow from what is given."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from headway.cli import main
from headway.config import TaskName, load_config
from headway.data.check import check
from headway.samples import SAMPLES, english, write_sample
from headway.samples.classification import sentence_and_marks, sentence_and_number
from headway.samples.entailment import premise_and_hypothesis
from headway.samples.grammar import Clause, NounPhrase, Spot
from headway.samples.kind import PARTS, draw, is_held_out
from headway.samples.lexicon import ADJECTIVES, NAMES, NOUNS, PLACES, TIMES, VERBS
from headway.samples.reading import conversation, passage, questions
from headway.samples.speaker import Speaker
from headway.samples.summarisation import core, report
from headway.samples.tagging import marked_words
from headway.tasks import TASKS
from headway.training.forecast import calibrate

N = {noun.english: noun for noun in NOUNS}
A = {adjective.english: adjective for adjective in ADJECTIVES}
V = {verb.english: verb for verb in VERBS}
GARDEN = Spot(next(place for place in PLACES if place.noun.english == "garden"), A["small"])
KING = NounPhrase(N["king"], "the", 1, A["old"])
HORSES = NounPhrase(N["horse"], "", 2, A["big"])
YESTERDAY = TIMES["past"][0]


def test_every_task_has_a_sample_and_help_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert {kind.task for kind in SAMPLES.values()} == set(get_args(TaskName))
    assert main(["sample", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"\b{name}\b", shown) for name in SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_passes_the_check_by_its_own_configuration(name: str, tmp_path: Path) -> None:
    directory = tmp_path / "it's #1"
    write_sample(name, directory, size=100)
    config = load_config(directory / "config.yaml")
    assert config.task == SAMPLES[name].task
    assert config.run_directory == "runs/it's #1"
    assert config.data.test is not None
    for part, least in (("train", 100), ("validation", 5), ("test", 5)):
        examples = list(TASKS[config.task].preparation.read(getattr(config.data, part), config.data))
        assert len(examples) >= least
    report = check(config, None, quick=True)
    assert report.ok
    assert not [finding for finding in report.findings if finding.level == "warn"]
    assert calibrate(config, seconds=0.01, source_length=6, target_length=6).seconds_per_update > 0
    readme = (directory / "README.md").read_text("utf-8")
    assert "synthetic" in readme
    assert f"`headway sample {name}`" in readme


def test_a_run_never_lies_among_its_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_sample("tagging", Path("runs/mine"), size=20)
    assert load_config("runs/mine/config.yaml").run_directory == "runs/mine-run"


@pytest.mark.parametrize("name", SAMPLES)
def test_whatis_held_out_is_never_learned(name: str) -> None:
    """Tells the same examples again and looks each up."""
    kind = SAMPLES[name]
    split = draw(1, 100, kind.tell, kind.distinct, kind.held_out_share)
    parts = {said[0]: part for part in PARTS for said in getattr(split, part)}
    assert len(parts) == 110
    speaker, trained, hidden = Speaker(1), set(), set()
    while parts:
        said = kind.tell(speaker)
        part = parts.pop(said[0], None) if said else None
        if part is not None:
            found = {combination for combination in speaker.combinations if is_held_out(combination, 1, kind.held_out_share)}
            assert bool(found) == (part != "train")
            hidden |= found
            trained |= set(speaker.combinations) if part == "train" else set()
    assert hidden == split.held_out
    assert not trained & hidden


# ---- what is asked and what is answered ----------------------------------------------------------------------------


def test_questions_on_an_event() -> None:
    sold = Clause(KING, V["sell"], "past", object=HORSES, place=GARDEN, time=YESTERDAY, front=True)
    assert english._body(sold) == "yesterday the old king sold two big horses in the small garden"
    assert list(questions(sold)) == [
        ("Who sold two big horses in the small garden yesterday?", "the old king"),
        ("What did the old king sell in the small garden yesterday?", "two big horses"),
        ("Where did the old king sell two big horses yesterday?", "in the small garden"),
    ]
    helped = Clause(KING, V["help"], "past", object=NAMES[0])
    assert list(questions(helped))[1] == ("Who did the old king help?", "Anna")
    went = Clause(NAMES[0], V["go"], "past", goal=GARDEN)
    assert list(questions(went)) == [("Who went to the small garden?", "Anna"), ("Where did Anna go to?", "to the small garden")]


def test_all_that_follows_in_a_conversation_follows_from_its_first_sentence() -> None:
    speaker, first = Speaker(5), {}
    for _ in range(1000):
        said = conversation(speaker)
        assert first.setdefault(said[0], said) == said
        assert len(said) in (3, 5)
        assert all(question.endswith("?") for question in said[1::2])
        assert all(answer.endswith(".") and answer[0].isupper() for answer in said[2::2])
        assert all(answer[:-1].lower() in said[0].lower() for answer in said[2::2])
        assert not re.search(r"\b(I|we|me|us)\b", said[0], re.IGNORECASE)
    assert len({len(said) for said in first.values()}) == 2


def test_an_answer_stands_where_the_passage_is_told_to_have_it() -> None:
    kinds, empty = set(), 0
    for context, record in draw(2, 150, passage).train:
        found: dict[str, Any] = json.loads(record)
        assert found["context"] == context
        assert [asked["is_impossible"] for asked in found["qas"]] == [False, False, True]
        for asked in found["qas"]:
            kinds.add(asked["question"].split()[0])
            empty += not asked["answers"]
            for answer in asked["answers"]:
                start, text = answer["answer_start"], answer["text"]
                assert context[start : start + len(text)] == text
                assert not (context[start - 1 : start] + context[start + len(text)]).strip(" .")
    assert kinds == {"Who", "What", "Where"}
    assert empty == 150


def test_a_summary_keeps_what_was_done_without_what_is_said_of_it() -> None:
    event = Clause(KING, V["give"], "past", HORSES, NAMES[0], place=GARDEN, time=YESTERDAY, front=True)
    assert english._body(event) == "yesterday the old king gave Anna two big horses in the small garden"
    assert english._body(core(event)) == "the king gave Anna two horses"
    for text, summary in draw(3, 300, report).train:
        assert 1 <= summary.count(".") <= text.count(".") == 3
        words = iter(re.findall(r"\w+", text.lower()))
        assert all(word in words for word in re.findall(r"\w+", summary.lower()) if word not in ("a", "an"))  # in the same order


def test_the_second_sentence_says_less_denies_it_or_says_it_of_somebody_else() -> None:
    seen = set()
    for first, second, relation in draw(4, 200, premise_and_hypothesis).train:
        said = [set(re.findall(r"\w+", text.lower())) for text in (first, second)]
        assert ({"did", "not"} <= said[1]) == (relation == "contradicts")
        if relation == "follows":
            assert not said[1] - said[0] - {"a", "an"}
        seen.add(relation)
    assert seen == {"follows", "contradicts", "open"}


def test_marks_and_numbers() -> None:
    speaker, seen = Speaker(7), set()
    for _ in range(500):
        sentence, marks = sentence_and_marks(speaker)
        assert ("question" in marks.split(",")) == ("?" in sentence)
        assert ("negation" in marks.split(",")) == (not {"not", "cannot", "never"}.isdisjoint(re.findall(r"\w+", sentence)))
        seen |= set(marks.split(","))
        if told := sentence_and_number(speaker):
            words = {"two": "2", "three": "3", "four": "4", "five": "5", "ten": "10"}
            assert [words[word] for word in re.findall(r"\w+", told[0].lower()) if word in words] == [told[1]]
    assert {"person", "place", "time", "question", "negation"} <= seen
    assert marked_words("Anna danced at the café yesterday evening.") == [
        ("Anna", "B-PERSON"), ("danced", "O"), ("at", "O"), ("the", "O"), ("café", "B-PLACE"), ("yesterday", "B-TIME"),
        ("evening", "I-TIME"), (".", "O"),
    ]  # fmt: skip
