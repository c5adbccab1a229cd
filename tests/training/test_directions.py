"""One model of several directions: tags, training, scores of each, and asking for one."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from test_loop import assert_same_checkpoint, figures, train_and_die
from tiny_run import tiny_config

import headway
from headway.cli import main
from headway.config import Config, Direction
from headway.data.check import check
from headway.data.opening import source_opening
from headway.data.pairs import PairPreparation, forbidden_ids
from headway.data.preprocessing import Preprocessor
from headway.data.readers import Pair
from headway.data.tokenizer import Tokenizers
from headway.errors import DataError, UsageError
from headway.evaluation import records
from headway.evaluation.comparison import compare_runs
from headway.evaluation.evaluate import DirectionsResult, evaluate_run
from headway.evaluation.metrics import bleu
from headway.inference.predictor import Predictor
from headway.model_dir import load_model
from headway.report.page import write_report
from headway.training.corpus import TrainingCorpus
from headway.training.loop import train
from headway.training.run_directory import open_tokenizers
from headway.training.start_from import inherit
from headway.training.validation import Validation


def pairs(sample: Path, split: str, source: str, target: str, **keys: Any) -> dict[str, Any]:
    files = {"source": str(sample / f"{split}.{source}"), "target": str(sample / f"{split}.{target}")}
    return {**files, "source_language": source, "target_language": target, **keys}


def many(sample: Path, run: Path, **sections: dict[str, Any]) -> Config:
    """English to German, and English to Chinese and back."""
    data = {
        split: [pairs(sample, split, "en", "de"), pairs(sample, split, "en", "zh", both_directions=True)]
        for split in ("train", "validation", "test")
    }
    found = tiny_config(sample, run, **{**sections, "data": {**data, **sections.get("data", {})}})
    evaluation = found.evaluation.model_copy(update={"bootstrap_samples": 100})
    decoding = found.decoding.model_copy(update={"beam_size": 2, "maximum_length": 20})
    return found.model_copy(update={"evaluation": evaluation, "decoding": decoding})


LEARNS = {  # enough to write another language for another tag
    "model": {"encoder_layers": 1, "decoder_layers": 1, "width": 64, "dropout": 0.0, "attention_dropout": 0.0,
              "positions": "relative"},
    "training": {"updates": 120, "validate_every": 120, "learning_rate": 0.01, "warmup_updates": 10, "optimizer": "muon"},
}  # fmt: skip


@pytest.fixture(scope="module")
def run(sample_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("directions") / "run"
    train(many(sample_directory, directory, **LEARNS), quiet=True)
    return directory


# ---- rows ----------------------------------------------------------------------------------------------------------


def test_directions_and_tags_come_from_the_training_data(sample_directory: Path, tmp_path: Path) -> None:
    config = many(sample_directory, tmp_path / "run")
    assert list(map(str, config.data.directions)) == ["en→de", "en→zh", "zh→en"]
    assert config.language_tags == ["de", "zh", "en"]
    one = tiny_config(sample_directory, tmp_path / "one", data={"train": pairs(sample_directory, "train", "en", "de")})
    assert one.language_tags == []
    to_one = {"train": [pairs(sample_directory, "train", source, "en") for source in ("de", "zh")]}
    held = {split: pairs(sample_directory, split, "de", "en") for split in ("validation", "test")}
    assert tiny_config(sample_directory, tmp_path / "in", data={**to_one, **held}).language_tags == []


def test_each_source_begins_with_the_tag_of_its_target(sample_directory: Path, tmp_path: Path) -> None:
    config = many(sample_directory, tmp_path / "run")
    (tmp_path / "run").mkdir()
    tokenizers = open_tokenizers(tmp_path / "run", config)
    size = tokenizers.source.vocabulary_size
    corpus = TrainingCorpus(config, tokenizers)
    for first, tag, language in ((0, size, "en"), (400, size + 1, "en"), (800, size + 2, "zh")):
        row = corpus.rows.source(first).tolist()
        text = (sample_directory / f"train.{language}").read_text("utf-8").splitlines()[0]
        assert row == [tag, *tokenizers.source.encode(text)]
    assert corpus.rows.source(800).tolist()[1:] == corpus.rows.target(400).tolist()


def test_a_tag_is_none_of_the_tokens_that_max_length_counts(sample_directory: Path, tmp_path: Path) -> None:
    config = many(sample_directory, tmp_path / "run", tokenizer={"kind": "character"}, data={"max_length": 20})
    (tmp_path / "run").mkdir()
    tokenizers = open_tokenizers(tmp_path / "run", config)
    fits = Pair("x" * 19, "y" * 19, 1)  # and the mark of a word's beginning
    for settings in (config, config.in_direction(Direction("zh", "en"))):
        preparation = PairPreparation(tokenizers, settings)
        rows = preparation.prepare([fits, Pair("x" * 20, "y", 2)], dropped := Counter())
        assert (rows.lines, dropped["too long"], len(rows.rows[0][0])) == ([1], 1, 21)


def test_preprocessing_follows_the_direction(sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    original = Preprocessor.__init__

    def noted(self: Preprocessor, steps: Any, language: str) -> None:
        seen.append(language)
        original(self, steps, language)

    monkeypatch.setattr(Preprocessor, "__init__", noted)
    config = many(sample_directory, tmp_path / "run", data={"preprocessing": ["lowercase"]})
    tokenizers = open_tokenizers_in(tmp_path, config)
    for direction in config.data.directions:
        seen.clear()
        preparation = PairPreparation(tokenizers, config.in_direction(direction))
        assert seen == list(direction)
        assert preparation.made_from["preprocessing"][1:] == list(direction)


def open_tokenizers_in(folder: Path, config: Config) -> Tokenizers:
    (folder / "run").mkdir(exist_ok=True)
    return open_tokenizers(folder / "run", config)


def test_a_joint_vocabulary_sees_every_text_once(sample_directory: Path, tmp_path: Path) -> None:
    """Learned from both directions, each character would stand twice, and none be rare."""
    (tmp_path / "a.en").write_text("once upon a time\n" * 3 + "Q\n", encoding="utf-8")
    (tmp_path / "a.zh").write_text("從前從前\n" * 3 + "罕\n", encoding="utf-8")
    part = pairs(tmp_path, "a", "en", "zh", both_directions=True)
    corpora = {"train": part, "validation": part, "test": part}
    config = tiny_config(sample_directory, tmp_path / "run", data=corpora, tokenizer={"kind": "character"})
    vocabulary = open_tokenizers_in(tmp_path, config).source.vocabulary
    assert {"u", "從"} <= set(vocabulary)
    assert not {"Q", "罕"} & set(vocabulary)


# ---- training ------------------------------------------------------------------------------------------------------


def test_a_killed_run_of_many_directions_resumes_bit_for_bit(
    sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections: dict[str, dict[str, Any]] = {"tokenizer": {"dropout": 0.1}, "training": {"updates": 12}}
    straight, killed = (many(sample_directory, tmp_path / name, **sections) for name in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")


def test_validation_is_the_mean_over_directions(sample_directory: Path, run: Path) -> None:
    config = load_model(run).config
    validation = Validation.open(config, load_model(run).tokenizers)
    assert [validation.directions.count(direction) for direction in config.data.directions] == [len(validation.rows) // 3] * 3
    predictor = Predictor(run, method="greedy", precision="fp32")
    scores = []
    for direction in config.data.directions:
        references = (sample_directory / f"validation.{direction.target}").read_text("utf-8").splitlines()
        sources = (sample_directory / f"validation.{direction.source}").read_text("utf-8").splitlines()
        found = predictor.predict(sources, to=direction.target, from_=direction.source)
        scores.append(bleu(found, references, language=direction.target).score)
    card = (run / "model" / "card.md").read_text("utf-8")
    assert len(set(scores)) == 3
    assert figures(run, "validation_bleu") == pytest.approx([np.mean(scores)], abs=0.02)
    assert figures(run, "validation_bleu_en-zh") == pytest.approx([scores[1]], abs=0.02)
    assert "validation by direction en→zh" in card
    assert "--to de" in card


def test_no_tag_is_ever_written(run: Path) -> None:
    loaded = load_model(run)
    size = loaded.tokenizers.target.vocabulary_size
    assert forbidden_ids(loaded.config, loaded.tokenizers)[-3:] == [size, size + 1, size + 2]
    with torch.no_grad():
        loaded.model.output_weight[size:] *= 1000  # they would be said before all else
    found = Predictor(loaded, beam_size=1).towards("zh").translate_detailed(["A man sleeps."])
    assert all(piece in loaded.tokenizers.target.vocabulary for piece in next(found).pieces)


# ---- asking for one ------------------------------------------------------------------------------------------------


def test_the_language_that_is_asked_for_decides(run: Path) -> None:
    predictor = headway.load(str(run))
    into_german, into_chinese = (predictor.predict(["A man sleeps."], to=language) for language in ("de", "zh"))
    assert into_german != into_chinese
    assert predictor.towards("zh").predict(["A man sleeps."]) == into_chinese
    assert predictor.predict(["A man sleeps."], to="zh", from_="en") == into_chinese


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        ({}, ["translates into de, zh and en", "--to de", "en→de, en→zh, zh→en"]),
        ({"to": "fr"}, ["does not translate into 'fr'", "en→de, en→zh, zh→en"]),
        ({"to": "ZH"}, ["does not translate into 'ZH'", "did you mean 'zh'?"]),
        ({"to": "zh", "from_": "fr"}, ["does not translate from 'fr'"]),
    ],
)
def test_a_language_that_is_missing_or_unknown_is_answered_with_those_there_are(
    asked: dict[str, str], parts: list[str], run: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        headway.load(str(run)).predict(["A man."], **asked)
    for part in parts:
        assert part in str(caught.value)


def test_what_is_read_must_be_told_only_where_the_preprocessing_asks(sample_directory: Path, tmp_path: Path) -> None:
    from headway.inference.direction import choose_direction

    into_english = {"train": [pairs(sample_directory, "train", source, "en") for source in ("de", "zh")]}
    held = {split: pairs(sample_directory, split, "de", "en") for split in ("validation", "test")}
    plain = tiny_config(sample_directory, tmp_path / "run", data={**into_english, **held}).data
    assert choose_direction(plain, None, None) == ("de", "en")
    assert choose_direction(plain, None, "zh") == ("zh", "en")
    moses = plain.model_copy(update={"preprocessing": ["moses_tokenize"]})
    with pytest.raises(UsageError, match="must know which of de, zh is read"):
        choose_direction(moses, "en", None)
    assert choose_direction(moses, None, "zh") == ("zh", "en")


def test_a_model_of_one_direction_needs_no_language_and_takes_its_own(sample_directory: Path, tmp_path: Path) -> None:
    train(tiny_config(sample_directory, tmp_path / "run", training={"updates": 10}), quiet=True)
    predictor = headway.load(str(tmp_path / "run"))
    assert predictor.predict(["A man."], to="de") == predictor.predict(["A man."])
    with pytest.raises(UsageError, match=r"into 'en'"):
        predictor.predict(["A man."], to="en")


def test_predict_on_the_command_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "in.txt"
    text.write_text("A man sleeps.\n\n", encoding="utf-8")
    assert main(["predict", str(run), str(text), "--to", "zh"]) == 0
    assert capsys.readouterr().out == headway.load(str(run)).predict(["A man sleeps."], to="zh")[0] + "\n\n"
    assert main(["predict", str(run), str(text)]) == 2
    assert "--to de" in capsys.readouterr().err
    assert main(["predict", str(run), str(text), "--from", "zh", "--to", "english"]) == 2
    assert "en→de, en→zh, zh→en" in capsys.readouterr().err


# ---- scores --------------------------------------------------------------------------------------------------------


def test_each_direction_is_evaluated_compared_and_written(sample_directory: Path, run: Path, tmp_path: Path) -> None:
    shown = Console(file=io.StringIO(), width=120)
    found = evaluate_run(run, console=shown)
    assert isinstance(found, DirectionsResult)
    assert found.record.directions == {"en→de": "test.en.de", "en→zh": "test.en.zh", "zh→en": "test.zh.en"}
    each = records.load_all(run)
    assert [record.bleu_tokenize for record, _ in each] == ["13a", "zh", "13a"]
    for (record, sentences), result in zip(each, found.results, strict=True):
        assert record == result.record
        references = (sample_directory / f"test.{record.target_language}").read_text("utf-8").splitlines()
        predictor = Predictor(run).towards(record.target_language, record.source_language)
        outputs = predictor.predict([sentence.source for sentence in sentences])
        assert [sentence.hypothesis for sentence in sentences] == outputs
        score = bleu(outputs, references, language=record.target_language).score
        assert record.scores["bleu"].score == pytest.approx(score)
        assert record.loss is not None
    assert found.scores["chrf"] == pytest.approx(np.mean([record.scores["chrf"].score for record, _ in each]))
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert "Every direction" in text
    assert "en → zh" in text
    assert json.loads((run / "evaluation" / "test.json").read_text())["mean"]["bleu"] == pytest.approx(found.scores["bleu"])
    page = write_report(run, tmp_path / "report.html").read_text("utf-8")
    for title in ("Scores, en → de", "Scores, zh → en", "By frequency, en → zh", "BLEU of the validation set"):
        assert title in page
    assert page.count("&#x27; --to zh") == 15  # the worst, the best and the most uncertain into Chinese


def test_runs_are_compared_in_the_directions_that_both_have(sample_directory: Path, run: Path, tmp_path: Path) -> None:
    quiet = Console(file=io.StringIO())
    evaluate_run(run, console=quiet)
    assert [comparison.data for comparison in compare_runs([run, run])] == [
        "test set, en → de", "test set, en → zh", "test set, zh → en",
    ]  # fmt: skip
    alone = tiny_config(sample_directory, tmp_path / "alone", training={"updates": 10})
    train(alone.model_copy(update={"evaluation": load_model(run).config.evaluation}), quiet=True)
    evaluate_run(tmp_path / "alone", console=quiet)
    [comparison] = compare_runs([run, tmp_path / "alone"])
    assert comparison.data == "test set, en → de"
    part = pairs(sample_directory, "test", "zh", "de")
    zero_shot = tiny_config(sample_directory, tmp_path / "other", data=dict.fromkeys(("train", "validation", "test"), part))
    zero_shot = zero_shot.model_copy(update={"training": alone.training, "evaluation": alone.evaluation})
    train_without_check(zero_shot)
    evaluate_run(tmp_path / "other", console=quiet)
    with pytest.raises(DataError, match="compare runs with a common direction"):
        compare_runs([run, tmp_path / "other"])


def train_without_check(config: Config) -> None:
    """It would refuse to be tested on its training data."""
    from headway.training import loop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_look_at_data", lambda *_: None)
        train(config, quiet=True)


def test_other_test_sets_and_no_other_languages(sample_directory: Path, run: Path) -> None:
    quiet = Console(file=io.StringIO())
    part = pairs(sample_directory, "validation", "zh", "de")
    zero_shot = json.dumps([part])
    found = evaluate_run(run, [f"data.test={zero_shot}"], console=quiet)  # never learned with each other
    assert found.record.directions == {"zh→de": "test.zh.de"}
    with pytest.raises(UsageError, match=r"target_language=fr is none that is learned: de, en, zh"):
        evaluate_run(run, [f"data.test={json.dumps([{**part, 'target_language': 'fr'}])}"], console=quiet)
    swapped = [pairs(sample_directory, "train", "de", "en", both_directions=True)]
    with pytest.raises(UsageError, match="was trained to write de, zh, en, and not en, de"):
        evaluate_run(run, [f"data.train={json.dumps(swapped)}", f"data.validation={zero_shot}", f"data.test={zero_shot}"])


# ---- data and weights ----------------------------------------------------------------------------------------------


def test_the_check_knows_each_part_and_a_leak_the_other_way_round(sample_directory: Path, tmp_path: Path) -> None:
    report = check(many(sample_directory, tmp_path / "run"), quick=True)
    assert report.languages == ("source", "target")
    assert not [finding for finding in report.findings if finding.check == "languages"]
    leak = {"train": [pairs(sample_directory, "train", "en", "de"), pairs(sample_directory, "test", "zh", "en")]}
    held = {split: pairs(sample_directory, split, "en", "de") for split in ("validation",)}
    leak["test"] = [pairs(sample_directory, "test", "en", "de"), pairs(sample_directory, "test", "en", "zh")]
    leak["train"].append(pairs(sample_directory, "train", "en", "zh"))
    found = check(tiny_config(sample_directory, tmp_path / "run", data={**leak, **held}), quick=True).findings
    assert [finding.corpus for finding in found if finding.level == "stop"] == ["train[1] ↔ test[1]"]


def test_tags_keep_their_language_when_another_run_starts_from_them(sample_directory: Path, run: Path, tmp_path: Path) -> None:
    parts = [pairs(sample_directory, "train", "zh", "en"), pairs(sample_directory, "train", "de", "zh")]
    parts.append(pairs(sample_directory, "train", "de", "fr-test") | {"target": str(sample_directory / "train.en")})
    held = {split: pairs(sample_directory, split, "zh", "en") for split in ("validation", "test")}
    config = tiny_config(
        sample_directory, tmp_path / "next", data={"train": parts, **held}, model={**LEARNS["model"], "start_from": str(run)}
    )
    from headway.model_dir import build_model

    loaded = load_model(run)
    model = build_model(config, loaded.tokenizers)
    fresh = model.source_embedding.tokens.weight.detach().clone()
    told = str(inherit(model, config, loaded.tokenizers))
    ours, theirs = model.source_embedding.tokens.weight, loaded.model.source_embedding.tokens.weight
    size = loaded.tokenizers.source.vocabulary_size
    assert config.language_tags == ["en", "zh", "fr-test"]
    assert torch.equal(ours[:size], theirs[:size])
    assert torch.equal(ours[size], theirs[size + 2])  # en
    assert torch.equal(ours[size + 1], theirs[size + 1])  # zh
    assert torch.equal(ours[size + 2], fresh[size + 2])
    assert "tag.fr-test" in told.partition("new: ")[2]
    assert source_opening(config.in_direction(Direction("zh", "en")), loaded.tokenizers) == [size]
