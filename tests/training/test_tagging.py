"""A tagger on the way from a CoNLL file to entities: reading, training, resuming, evaluating, answering."""

from __future__ import annotations

import io
import itertools
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from test_loop import assert_same_checkpoint, figures, train_and_die
from tiny_run import TINY_MODEL, TINY_TRAINING

import headway
from headway.cli import main
from headway.config import Config, CorpusConfig, DataConfig, TokenizerConfig
from headway.data.check import check
from headway.data.labels import Labels
from headway.data.tagged import Tagged, TaggedPreparation, learn_tags, read_tagged
from headway.data.tags import Scheme
from headway.data.tokenizer import Tokenizers, train_tokenizer
from headway.errors import DataError
from headway.evaluation.confidence import calibrate_run
from headway.evaluation.evaluate import evaluate_run
from headway.evaluation.tag_scores import tag_scores
from headway.inference.tagger import Tagger
from headway.inference.tagging import best_path
from headway.model_dir import load_model
from headway.samples import write_sample
from headway.training.loop import train
from headway.training.validation import Validation


@pytest.fixture(scope="session")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("marked")
    write_sample("tagging", directory, seed=1, size=1000)
    return directory


def tag_config(sample: Path, run: Path, **sections: Any) -> Config:
    names = ("train", "validation", "test")
    corpora = {name: {"path": str(sample / f"{name}.conll"), "source": 0, "target": 1} for name in names}
    return Config.model_validate(
        {
            "run_directory": str(run),
            "task": "tagging",
            "data": {**corpora, **sections.get("data", {})},
            "tokenizer": {"vocabulary_size": 300},
            "model": {**TINY_MODEL, "decoder_layers": 0, "positions": "relative"},
            "training": {**TINY_TRAINING, **sections.get("training", {})},
            "evaluation": {"bootstrap_samples": 200},
        }
    )


@pytest.mark.parametrize("training", [{}, {"r_drop": 1.0, "accumulation": 2}])
def test_a_killed_run_resumes_bit_for_bit(
    training: dict[str, Any], marked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, killed = (tag_config(marked, tmp_path / name, training=training) for name in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")


@pytest.fixture(scope="module")
def run(marked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = {"updates": 600, "validate_every": 600, "save_every": 600, "learning_rate": 1e-2, "averaging": "none"}
    return train(tag_config(marked, tmp_path_factory.mktemp("tag") / "run", training=training), quiet=True)


def test_the_made_entities_are_found_near_perfectly(run: Path) -> None:
    assert figures(run, "validation_f1")[-1] >= 95


def test_an_evaluation_tells_of_each_kind(run: Path) -> None:
    console = Console(file=io.StringIO(), width=120)
    found = evaluate_run(run, console=console)
    assert found.scores["f1"] >= 95
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for word in ("PERSON", "PLACE", "TIME", "commonest tag of each word", "entity F1"):
        assert word in shown
    (kinds,) = found.outcome.tables  # type: ignore[union-attr]
    assert all(re.fullmatch(r"\d+\.\d \(\d+\.\d–\d+\.\d\)", cell) for row in kinds.rows for cell in row[1:4])


def test_a_calibrated_tagger_tells_how_sure_it_was_before(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "run"))
    plain = evaluate_run(other)
    calibrate_run(other, [], Console(quiet=True))
    found = evaluate_run(other)
    assert found.scores["calibration_before"] == plain.scores["calibration"] != found.scores["calibration"]
    assert found.scores["f1"] == plain.scores["f1"]
    sure = [one.probability for one in found.outcome.answers]  # type: ignore[union-attr]
    assert all(0 < probability <= 1 for probability in sure)
    assert len(set(sure)) > 10


def test_words_come_with_their_tags(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tagger = headway.load(str(run))
    assert isinstance(tagger, Tagger)
    (answer,) = tagger.tag(["The doctor danced in the garden yesterday evening ."])
    assert [(one.kind, answer.words[one.first : one.end]) for one in answer.entities] == [
        ("PERSON", ("doctor",)), ("PLACE", ("garden",)), ("TIME", ("yesterday", "evening")),
    ]  # fmt: skip
    (tmp_path / "in.txt").write_text("The doctor danced .\n\nPaul sang .\n", encoding="utf-8")
    assert main(["predict", str(run), str(tmp_path / "in.txt")]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[:4] == ["The\tO", "doctor\tB-PERSON", "danced\tO", ".\tO"]
    assert lines[4:7] == ["", "", ""]
    assert lines[7] == "Paul\tB-PERSON"
    for option in (["--scores"], ["--n-best", "3"]):
        assert main(["predict", str(run), str(tmp_path / "in.txt"), *option]) == 2
        assert f"{option[0]}: a line has one sequence of tags, and a sequence of tags has no score" in capsys.readouterr().err


# ---- the rows ------------------------------------------------------------------------------------------------------


def conll(tmp_path: Path, text: str) -> CorpusConfig:
    (tmp_path / "a.conll").write_text(text, encoding="utf-8")
    return CorpusConfig(path=str(tmp_path / "a.conll"), source=0, target=1)


def test_sentences_of_a_conll_file(tmp_path: Path) -> None:
    corpus = conll(tmp_path, "-DOCSTART- -X- O\n\nEU\tB-ORG\nrejects\tO\n\n\n北 B-LOC\n京  E-LOC\n")
    assert list(read_tagged(corpus)) == [
        Tagged(("EU", "rejects"), ("B-ORG", "O"), 3), Tagged(("北", "京"), ("B-LOC", "E-LOC"), 7),
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), [("a\tO\nb\n", 2), ("a\t\n", 1), ("a O\n\nb\tO\n\tO\n", 4)])
def test_a_line_without_its_columns_is_named(text: str, line: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"a.conll:{line}: has not a text in each"):
        list(read_tagged(conll(tmp_path, text)))


def test_an_empty_file_and_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no sentence"):
        list(read_tagged(conll(tmp_path, "\n\n")))
    with pytest.raises(DataError, match="numbers its columns"):
        list(read_tagged(CorpusConfig(source="a", target="b")))


def test_a_misspelt_tag_is_named_and_not_lost(tmp_path: Path) -> None:
    train = conll(tmp_path, "Paul\tB-PER\n\n" * 20 + "Monday\tX-TIME\n")
    (tmp_path / "v.conll").write_text("Paul\tB-PER\nspoke\tPER\n", encoding="utf-8")
    held_out = CorpusConfig(path=str(tmp_path / "v.conll"), source=0, target=1)
    data = DataConfig(train=train, validation=held_out)
    with pytest.raises(DataError, match=r"a\.conll:41: 'X-TIME' is no tag of entities, which are read as iob2"):
        learn_tags(data)
    report = check(Config(run_directory="r", task="tagging", data=data), None)
    told = {(finding.corpus, finding.places) for finding in report.findings if finding.level == "stop"}
    assert told == {("train", (f"{tmp_path}/a.conll:41",)), ("validation", (f"{tmp_path}/v.conll:2",))}
    assert "X-TIME" in learn_tags(data.model_copy(update={"tags": "plain"})).names


@pytest.mark.parametrize(
    ("usual", "stray", "scheme", "right"),
    [
        ("B-A I-A O", "I-A", "iob2", "B-A"),
        ("B-A I-A O", "E-A", "iob2", "B-A"),
        ("I-A I-A O", "B-A", "iob1", "I-A"),
        ("B-A I-A E-A", "M-A", "bioes", "S-A"),
        ("B-A M-A E-A", "I-A", "bmes", "S-A"),
    ],
)
def test_a_stray_tag_of_another_scheme_is_named(usual: str, stray: str, scheme: str, right: str, tmp_path: Path) -> None:
    lines = [f"w\t{tag}" for tag in [*usual.split() * 9, "O", stray]]
    part = conll(tmp_path, "\n".join(lines) + "\n")
    with pytest.raises(DataError, match=rf"a\.conll:29: '{stray}' does not fit {scheme}, which writes '{right}' here"):
        learn_tags(DataConfig(train=part, validation=part))


def test_entities_that_break_off_are_taken_as_they_stand(tmp_path: Path) -> None:
    part = conll(tmp_path, "w\tB-A\nw\tM-A\nw\tE-A\n\n" * 9 + "w\tM-A\nw\tE-A\nw\tB-A\nw\tO\n")
    assert learn_tags(DataConfig(train=part, validation=part)).scheme == "bmes"


@pytest.mark.parametrize(("scheme", "tag"), [("iob2", "NOUN"), ("bmes", "B"), ("iob2", "-A"), ("bioes", "ES-A")])
def test_a_scheme_that_is_asked_for_must_fit(scheme: Scheme, tag: str, tmp_path: Path) -> None:
    corpus = conll(tmp_path, f"Paul\tO\nsang\t{tag}\n")
    with pytest.raises(DataError, match=rf"a\.conll:2: '{tag}' is no tag(.|\n)*data\.tags: plain"):
        learn_tags(DataConfig(train=corpus, validation=corpus, tags=scheme))


def test_data_to_be_judged_is_held_against_the_scheme_of_training(run: Path, tmp_path: Path) -> None:
    (tmp_path / "v.conll").write_text("Paul\tB-PERSON\nsang\tX-TIME\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"v\.conll:2: 'X-TIME'"):
        evaluate_run(run, [f"data.test.path={tmp_path / 'v.conll'}"])
    loaded = load_model(run)
    held_out = loaded.config.data.validation.model_copy(update={"path": str(tmp_path / "v.conll")})
    config = loaded.config.model_copy(update={"data": loaded.config.data.model_copy(update={"validation": held_out})})
    with pytest.raises(DataError, match=r"v\.conll:2: 'X-TIME'"):
        Validation.open(config, loaded.tokenizers)
    (tmp_path / "v.conll").write_text("Paul\tB-NOBODY\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"v\.conll: nothing in it can be judged"):
        Validation.open(config, loaded.tokenizers)


def test_data_to_be_judged_may_break_the_scheme(run: Path, tmp_path: Path) -> None:
    (tmp_path / "v.conll").write_text("Paul\tI-PERSON\nsang\tO\n" * 2, encoding="utf-8")
    config = load_model(run).config
    assert learn_tags(config.data).scheme == "iob2"
    result = evaluate_run(run, [f"data.test.path={tmp_path / 'v.conll'}"])
    assert result.record.examples == 1


def test_a_tag_stands_at_the_first_subword_of_its_word(tmp_path: Path) -> None:
    corpus = conll(tmp_path, "Redondo\tB-LOC\nBeach\tI-LOC\nis\tO\nnice\tO\n")
    data = DataConfig(train=corpus, validation=corpus, max_length=14)
    labels = learn_tags(data)
    assert labels.scheme == "iob2"
    assert set(labels.names) == {"O", "B-LOC", "I-LOC", "E-LOC", "S-LOC"}
    tokenizer = train_tokenizer(["Redondo Beach is nice"], TokenizerConfig(kind="character", minimum_frequency=1))
    preparation = TaggedPreparation(
        Tokenizers(tokenizer, tokenizer, labels), Config(run_directory="r", task="tagging", data=data)
    )
    rows = preparation.rows_of_all(list(read_tagged(corpus)))
    assert rows.cut == 1  # ▁Redondo has 8 characters and ▁Beach 6: is does not fit
    named = [labels.names[number] if number < labels.outputs else "-" for number in rows.target_rows[0]]
    assert named == ["B-LOC", *"-------", "E-LOC", *"-----"]
    assert len(rows.source_rows[0]) == len(rows.target_rows[0]) == 14
    found = preparation.prepare(list(read_tagged(corpus)), Counter())
    assert found.cut == 1


SENTENCES = (("张三", "B-PER"), ("毕业于", "O"), ("北京大学", "B-ORG"))


@pytest.mark.parametrize("characters", [True, False])
def test_text_is_cut_into_the_words_that_were_learned(characters: bool, tmp_path: Path) -> None:
    """A blank in a Chinese text makes no words where single characters were learned."""
    rows = []
    for text, tag in SENTENCES:
        kind = tag.partition("-")[2]
        inner = f"I-{kind}" if kind else "O"
        rows += [(text[0], tag), *((letter, inner) for letter in text[1:])] if characters else [(text, tag)]
    for name in ("train", "validation", "test"):
        (tmp_path / f"{name}.conll").write_text(("\n".join("\t".join(row) for row in rows) + "\n\n") * 8, encoding="utf-8")
    training = {"updates": 2, "validate_every": 2, "save_every": 2, "warmup_updates": 1}
    config = tag_config(tmp_path, tmp_path / "run", data={"source_language": "zh"}, training=training)
    tokenizer = {"kind": "character", "blanks": "all", "minimum_frequency": 1}
    config = Config.model_validate({**config.model_dump(), "tokenizer": tokenizer})
    tagger = Tagger(train(config, quiet=True))
    whole, parted = (answer.words for answer in tagger.tag(["张三毕业于北京大学", "张三 毕业于 北京大学"]))
    assert whole == tuple("张三毕业于北京大学")
    assert parted == (whole if characters else ("张三", "毕业于", "北京大学"))
    assert Labels.load(tmp_path / "run" / "model" / "labels.json").characters is characters


# ---- the answers ---------------------------------------------------------------------------------------------------


def test_the_best_path_is_the_best_of_all_allowed_ones() -> None:
    random = np.random.default_rng(3)
    for _ in range(30):
        scores, follow = random.normal(size=(4, 3)), random.random((3, 3)) < 0.7
        begin, end = random.random(3) < 0.8, random.random(3) < 0.8
        paths = [(a, b, c, d) for a in range(3) for b in range(3) for c in range(3) for d in range(3)]
        fine = [p for p in paths if begin[p[0]] and end[p[3]] and all(follow[x, y] for x, y in itertools.pairwise(p))]
        if fine:
            best = max(fine, key=lambda p: sum(scores[i, tag] for i, tag in enumerate(p)))
            assert tuple(best_path(scores, follow, begin, end)) == best
    assert best_path(np.zeros((0, 3)), follow, begin, end) == []


def test_entity_scores_agree_with_seqeval() -> None:
    seqeval = pytest.importorskip("seqeval.metrics")
    random = np.random.default_rng(2)
    tags = ["O", "B-A", "I-A", "B-B", "I-B"]
    gold = [[tags[i] for i in random.integers(0, 5, 12)] for _ in range(40)]
    found = [[tag if random.random() < 0.7 else tags[random.integers(0, 5)] for tag in sentence] for sentence in gold]
    scores = tag_scores(found, gold, "iob2")
    for name, function in (("precision", "precision_score"), ("recall", "recall_score"), ("f1", "f1_score")):
        assert scores[name].score == pytest.approx(100 * getattr(seqeval, function)(gold, found))
    assert scores["macro_f1"].score == pytest.approx(100 * seqeval.f1_score(gold, found, average="macro"))
    assert scores["accuracy"].score == pytest.approx(100 * seqeval.accuracy_score(gold, found))
