"""Two texts with a label: rows, reading, training, answering."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_loop import assert_same_checkpoint, train_and_die
from tiny_run import TINY_MODEL, TINY_TRAINING

import headway
from headway.config import Config, CorpusConfig, TokenizerConfig
from headway.data.labelled import JoinedPreparation, Labelled, read_labelled
from headway.data.labels import Labels
from headway.data.tokenizer import EOS_ID, Tokenizers, train_tokenizer
from headway.errors import DataError, UsageError
from headway.inference.labeller import Labeller
from headway.samples import write_sample
from headway.training.loop import train

COLUMNS = {"source": "first", "second": "second", "target": "label"}


def pair_config(sample: Path, run: Path, **sections: Any) -> Config:
    corpora = {name: {"path": str(sample / f"{name}.jsonl"), **COLUMNS} for name in ("train", "validation", "test")}
    return Config.model_validate(
        {
            "run_directory": str(run),
            "task": "pair_classification",
            "data": {**corpora, **sections.get("data", {})},
            "tokenizer": {"vocabulary_size": 300, **sections.get("tokenizer", {})},
            "model": {**TINY_MODEL, "decoder_layers": 0, "positions": "relative"},
            "training": {**TINY_TRAINING, **sections.get("training", {})},
            "evaluation": {"bootstrap_samples": 200},
        }
    )


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pairs")
    write_sample("pair_classification", directory, seed=1, size=800)
    return directory


def test_a_killed_run_resumes_bit_for_bit(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sections = {"tokenizer": {"dropout": 0.1}, "training": {"r_drop": 1.0, "accumulation": 2}}
    straight, killed = (pair_config(sample, tmp_path / name, **sections) for name in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")


def test_a_denial_is_learned_and_told(sample: Path, tmp_path: Path) -> None:
    """Of its three labels the one that a single word tells, which a tiny model learns at once."""
    training = {"updates": 120, "validate_every": 120, "save_every": 120, "learning_rate": 1e-2, "averaging": "none"}
    run = train(pair_config(sample, tmp_path / "run", training=training), quiet=True)
    labeller = headway.load(str(run))
    assert isinstance(labeller, Labeller)
    examples = [json.loads(line) for line in (sample / "validation.jsonl").read_text("utf-8").splitlines()]
    answers = labeller.predict([f"{example['first']}\t{example['second']}" for example in examples])
    denied = [answer == "contradicts" for answer in answers]
    assert denied == [example["label"] == "contradicts" for example in examples]
    assert labeller.predict(["The king sold a horse.\tThe king did not sell a horse."]) == ["contradicts"]
    assert len(labeller.predict(["", "a\tb\tc"])) == 2
    with pytest.raises(UsageError, match=r"^line 2: 'one text' has no tab"):
        labeller.predict(["a\tb", "one text"])


# ---- reading and rows ----------------------------------------------------------------------------------------------


def test_both_texts_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"first": "a\tb", "second": "c", "label": "x"}) + "\n", encoding="utf-8")
    config = pair_config(tmp_path, tmp_path / "run")
    corpus = CorpusConfig(path=str(path), source="first", second="second", target="label")
    assert list(read_labelled(corpus, config.data)) == [Labelled("a b\tc", ("x",), 1)]
    with pytest.raises(DataError, match=r"(?s)'secnd' is missing.*did you mean 'second'"):
        list(read_labelled(corpus.model_copy(update={"second": "secnd"}), config.data))


def preparation(tmp_path: Path, max_length: int) -> JoinedPreparation:
    tokenizer = train_tokenizer(["a b c d e f g h"] * 3, TokenizerConfig(kind="word", minimum_frequency=1))
    config = pair_config(tmp_path, tmp_path / "run", data={"max_length": max_length})
    return JoinedPreparation(Tokenizers(tokenizer, tokenizer, labels=Labels("one", ("x", "y"))), config)


@pytest.mark.parametrize(
    ("text", "longest", "expected"),
    [
        ("a b\tc", 8, "a b | c"),
        ("a b c d e f\tg h", 6, "a b c | g h"),
        ("a b\tc d e f g h", 6, "a b | c d e"),
        ("a b c d e\tc d e f g", 6, "a b c | c d"),
        ("a b c d\t", 3, "a b |"),
    ],
)
def test_a_row_is_both_texts_and_the_longer_is_cut_first(text: str, longest: int, expected: str, tmp_path: Path) -> None:
    rows = preparation(tmp_path, longest).rows_of_all([Labelled(text, ("y",), 1)])
    tokenizer = train_tokenizer(["a b c d e f g h"] * 3, TokenizerConfig(kind="word", minimum_frequency=1))
    shown = " ".join("|" if number == EOS_ID else tokenizer.decode([int(number)]) for number in rows.source(0))
    assert shown == expected
    assert rows.target(0).tolist() == [1]
    assert rows.cut == (longest < len(text.split()) + 1)


def test_a_second_column_belongs_to_this_task_alone(tmp_path: Path) -> None:
    config = pair_config(tmp_path, tmp_path / "run")
    values = config.model_dump()
    with pytest.raises(ValueError, match=r"data\.train\.second='second' is not read by task=classification"):
        Config.model_validate(values | {"task": "classification"})
    values["data"]["train"]["second"] = None
    with pytest.raises(ValueError, match=r"data\.train\.second=null: task=pair_classification reads two texts"):
        Config.model_validate(values)
    with pytest.raises(ValueError, match="second=b is a column of a table"):
        CorpusConfig(source="a", second="b", target="c")
