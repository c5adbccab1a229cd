"""The configuration: what it accepts, what it refuses, and that it says where and how to mend it."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from headway.config import (
    CUT_UP_ONCE,
    PRESETS,
    WITH_HEAD,
    WITHOUT_TARGET,
    Config,
    LoraConfig,
    ModelConfig,
    config_difference,
    config_warnings,
    dump_config,
    load_config,
    parse_config,
)
from headway.config_mistakes import all_keys, section_of
from headway.config_reader import dotted, parse_yaml, resolve
from headway.config_sections import RotaryScaling
from headway.data.checks.texts import LEARNED_FROM, READERS
from headway.data.preparation import CutUpOnce, texts_of
from headway.errors import HeadwayError, UsageError
from headway.tasks import TASKS
from headway.training.validation import SCORES

BASE = """\
run_directory: runs/x
data:
  train: {source: a.en, target: a.de}
  validation: {source: b.en, target: b.de}
"""
EXAMPLES = sorted(
    path for path in (Path(__file__).parent.parent / "examples").glob("*.yaml") if not path.stem.endswith("_tuning")
)

Refused = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def writer(text: str | bytes) -> Path:
        path = tmp_path / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return writer


@pytest.fixture
def refused(write: Callable[[str | bytes], Path]) -> Refused:
    """The message that a configuration is refused with, its path shortened."""

    def refuse(text: str | bytes, *overrides: str) -> str:
        path = write(text)
        with pytest.raises(UsageError) as caught:
            load_config(path, overrides)
        return str(caught.value).replace(str(path), "config.yaml")

    return refuse


def base(**sections: str) -> str:
    return BASE + "".join(f"{name}:\n  {body}\n" for name, body in sections.items())


# ---- what is accepted ----------------------------------------------------------------------------------------------


def test_defaults_and_overrides(write: Callable[[str], Path]) -> None:
    config = load_config(write(BASE), ["model.width=256", "training.learning_rate=1e-4", "data.preprocessing=[nfc, lowercase]"])
    assert config.model.width == 256
    assert config.training.learning_rate == 1e-4
    assert config.data.preprocessing == ["nfc", "lowercase"]
    assert config.training.betas == (0.9, 0.98)


def test_the_last_override_wins(write: Callable[[str], Path]) -> None:
    assert load_config(write(BASE), ["training.seed=2", "training.seed=3"]).training.seed == 3


def test_preset_fills_what_is_not_given(write: Callable[[str], Path]) -> None:
    config = load_config(write(base(model="preset: base")), ["model.encoder_layers=3"])
    assert config.model.encoder_layers == 3
    assert config.model.model_dump(include=set(PRESETS["base"]) - {"encoder_layers"}) == {
        key: value for key, value in PRESETS["base"].items() if key != "encoder_layers"
    }


def test_norwegian_is_a_language_and_not_false(write: Callable[[str], Path]) -> None:
    config = load_config(write(BASE.replace("data:\n", "data:\n  source_language: no\n  target_language: on\n")))
    assert (config.data.source_language, config.data.target_language) == ("no", "on")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1E5", 1e5), (".5", 0.5), ("3.", 3.0), ("-7", -7), ("0o17", 15), ("0x1F", 31), ("007", 7),
        ("true", True),
        ("False", False), ("yes", "yes"), ("no", "no"), ("off", "off"), ("y", "y"), ("~", None), ("null", None), ("", None),
        ("1_000", "1_000"), ("12:30:00", "12:30:00"), ("2001-01-01", "2001-01-01"), ("1.2.3", "1.2.3"), (".inf", math.inf),
        ("9" * 6000, "9" * 6000), ("١٢", "١٢"),
    ],
)  # fmt: skip
def test_plain_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_byte_order_mark_and_carriage_returns_are_accepted(write: Callable[[bytes], Path]) -> None:
    assert load_config(write(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())).run_directory == "runs/x"


def test_a_section_with_every_line_commented_out_is_empty(write: Callable[[str], Path]) -> None:
    assert load_config(write(base(model="# width: 3", training=""))).model == ModelConfig()


def test_an_optional_section_may_be_null(write: Callable[[str], Path]) -> None:
    assert load_config(write(BASE.replace("data:\n", "data:\n  test: null\n"))).data.test is None


def test_paths(write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORPUS", str(tmp_path))
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "price$CORPUS.en").touch()
    text = (
        "run_directory: ~/runs/a b\ndata:\n  train: {source: $CORPUS/t.en, target: '${CORPUS}/größe\\n.de'}\n"
        '  validation: {source: price$CORPUS.en, target: "two\\nlines.de"}\n  test: {path: ~/t.tsv, source: $0, target: ~x}\n'
    )
    config = load_config(write(text))
    assert config.run_directory == "/home/someone/runs/a b"
    assert config.data.train.source == f"{tmp_path}/t.en"
    assert config.data.train.target == f"{tmp_path}/größe\\n.de"
    assert config.data.validation.source == "price$CORPUS.en", "an existing file keeps its name"
    assert config.data.validation.target == "two\nlines.de"
    assert config.data.test is not None
    assert (config.data.test.path, config.data.test.source, config.data.test.target) == ("/home/someone/t.tsv", "$0", "~x")


def test_override_values_are_taken_whole(write: Callable[[str], Path]) -> None:
    overrides = ["run_directory=runs/a: b #1", 'data.train.source="quoted # name"', "data.cache_directory=null"]
    config = load_config(write(BASE), overrides)
    assert config.run_directory == "runs/a: b #1"
    assert config.data.train.source == "quoted # name"
    assert config.data.cache_directory is None


def test_an_override_may_add_a_whole_section(write: Callable[[str], Path]) -> None:
    config = load_config(write(BASE), ["data.test={source: c.en, target: c.de}", "evaluation.confidence=0.9"])
    assert config.data.test is not None
    assert config.data.test.target == "c.de"
    assert config.evaluation.confidence == 0.9


# ---- corpora of several parts --------------------------------------------------------------------------------------

PARTS = """\
run_directory: runs/x
data:
  train:
    - {source: a.en, target: a.de}
    - {source: b.en, target: b.zh, target_language: zh, both_directions: true, repeat: 0.5}
  validation: {source: c.en, target: c.de}
"""


def test_a_corpus_of_parts_knows_its_directions(write: Callable[[str], Path]) -> None:
    data = load_config(write(PARTS)).data
    assert list(data.written_parts("train")) == ["train[0]", "train[1]"]
    assert [(part.source, part.direction, part.repeat) for part in data.parts("train")] == [
        ("a.en", ("en", "de"), 1.0), ("b.en", ("en", "zh"), 0.5), ("b.zh", ("zh", "en"), 0.5),
    ]  # fmt: skip
    assert list(data.written_parts("validation")) == ["validation"]
    assert data.parts("test") == []
    assert list(map(str, data.directions)) == ["en→de", "en→zh", "zh→en"]


def test_settings_of_a_direction_leave_the_parts_their_own(write: Callable[[str], Path]) -> None:
    config = load_config(write(PARTS))
    for direction in config.data.directions:
        turned = config.in_direction(direction)
        assert (turned.data.source_language, turned.data.target_language) == direction
        assert turned.language_tags == config.language_tags == ["de", "zh", "en"]
    single = load_config(write(BASE))
    assert single.in_direction(single.data.directions[0]).data is single.data


def test_one_direction_may_be_named_by_its_only_part(write: Callable[[str], Path]) -> None:
    text = PARTS.replace("    - {source: a.en, target: a.de}\n", "").replace(", both_directions: true, repeat: 0.5", "")
    config = load_config(write(text), ["data.validation.target_language=zh"])
    assert config.language_tags == []
    assert config.in_direction(config.data.directions[0]).data.target_language == "zh"


def test_parts_are_dumped_and_compared(write: Callable[[str], Path]) -> None:
    config = load_config(write(PARTS))
    assert parse_config(dump_config(config), "dumped") == config
    other = load_config(write(PARTS.replace("0.5", "0.25")))
    assert config_difference(config, other) == ["data.train[1].repeat: 0.5 → 0.25"]


@pytest.mark.parametrize(
    ("old", "new", "overrides", "wanted"),
    [
        ("a.de}", "a.de, repeet: 2}", (), "yaml:4: data.train[0].repeet: unknown key — did you mean 'data.train[0].repeat'?"),
        ("0.5", "-1", (), "yaml:5: data.train[1].repeat: must be above 0.0 (got -1)"),
        ("source: a.en, ", "", (), "yaml:4: data.train[0].source: is missing — add it"),
        ("{source: a.en, target: a.de}", "a.en", (), "yaml:4: data.train[0]: must be a section of `key: value` lines"),
        ("a.de}", "a.de, repeat: 0.9}", (), "yaml:4: data.train[0].repeat=0.9 and data.train[1].repeat=0.5 take less than"),
        ("target: a.de", "target: 3", (), "yaml:4: data.train[0].source=a.en and data.train[0].target=3 must be the paths"),
        ("", "", ("data.train=[]",), "command line: data.train: must hold at least 1 (got [])"),
        ("", "", ("data.train.source=x",), "data.train.source: 'train' is a list — give all of it: data.train=[{…}, {…}]"),
        ("c.de}", "c.de, repeat: 2}", (), "yaml:6: data.validation.repeat=2.0 is for data.train"),
        ("", "", ("data.validation.target_language=fr",), "target_language=fr is none that is learned: de, en, zh"),
        ("target_language: zh", "target_language: en", (), "both_directions=true needs two languages, not twice en"),
        ("run_", "task: tagging\nrun_", (), "data.train[1].both_directions=true is for task=translation, not task=tagging"),
        ("run_", "model: {positions: learned, max_positions: 257}\nrun_", (), "max_positions=257 must be above data"),
    ],
)  # fmt: skip
def test_what_parts_cannot_be(refused: Refused, old: str, new: str, overrides: tuple[str, ...], wanted: str) -> None:
    assert wanted in refused(PARTS.replace(old, new, 1) if old else PARTS, *overrides)


# ---- every mistake at once -----------------------------------------------------------------------------------------


def test_all_mistakes_in_one_error(refused: Refused) -> None:
    text = """\
run_directory: runs/x
data:
  train: {source: a.en, target: a.de}
model:
  widht: 128
  heads: "six"
  norm: lair
training:
  warmup_updates: 5000
"""
    assert refused(text, "model.width=-3", "decodin.beam_size=4").split("\n") == [
        "7 mistakes in the configuration:",
        "config.yaml:2: data.validation: is missing — add this section",
        "config.yaml:5: model.widht: unknown key — did you mean 'model.width'? (got 128)",
        "config.yaml:6: model.heads: must be a whole number (got 'six')",
        "config.yaml:7: model.norm: must be one of layer, rms — did you mean 'layer'? (got 'lair')",
        "config.yaml:9: training.warmup_updates=5000 must be below training.updates=4000 — lower the first or raise the second",
        "command line: model.width: must be above 0 (got -3)",
        "command line: decodin: unknown key — did you mean 'decoding'? (got {'beam_size': 4})",
    ]


@pytest.mark.parametrize(
    ("section", "line", "meant"),
    [
        ("model", "widht: 1", "model.width"),
        ("model", "seed: 1", "training.seed' or 'decoding.seed"),
        ("training", "lr: 1", "training.learning_rate"),
        ("training", "dropout: 1", "tokenizer.dropout' or 'model.dropout"),
        ("model", "hidden_size: 1", "model.width"),
        ("training", "batch-tokens: 1", "training.batch_tokens"),
        ("decoding", "beam: 1", "decoding.beam_size"),
        ("decoding", "vocabularysize: 1", "tokenizer.vocabulary_size"),
        ("tokenizer", "model: 1", "model"),
    ],
)
def test_suggestions(refused: Refused, section: str, line: str, meant: str) -> None:
    key = line.partition(":")[0]
    assert f"config.yaml:6: {section}.{key}: unknown key — did you mean '{meant}'?" in refused(base(**{section: line}))


def test_a_key_of_the_top_level_is_looked_for_in_the_sections(refused: Refused) -> None:
    assert "config.yaml:5: epsilon: unknown key — did you mean 'training.epsilon'?" in refused(BASE + "epsilon: 1\n")
    assert "did you mean 'model.width'?" in refused(BASE + "model.width: 1\n")


def test_strange_keys_are_escaped_and_cut(refused: Refused) -> None:
    message = refused(BASE + '"\\e[31m\\ud800": 1\n' + "x" * 500 + ": 2\n")
    assert message.isprintable() or message.replace("\n", "").isprintable()
    assert max(map(len, message.split("\n"))) < 400


def test_where_nothing_is_near_the_keys_are_listed(refused: Refused) -> None:
    assert "the keys here are bootstrap_samples, confidence, seed, bleu_tokenize" in refused(base(evaluation="zzz: 1"))


def test_duplicate_keys_name_both_lines(refused: Refused) -> None:
    message = refused(base(model="width: 128\n  heads: 4\n  width: 256"))
    assert message == "config.yaml:8: model.width: given twice, first at line 6 — keep one (got 128 and 256)"


@pytest.mark.parametrize(
    ("section", "body", "parts"),
    [
        ("model", "width: 130", ["config.yaml:6: model.heads=4 does not divide model.width=130"]),
        ("model", "heads: 5", ["config.yaml:6: model.heads=5 does not divide model.width=128"]),
        ("model", "key_value_heads: 3", ["key_value_heads=3 does not divide model.heads=4"]),
        ("model", "{positions: rotary, width: 12}", ["positions=rotary", "width=12", "heads=4", "gives 3"]),
        ("model", "{encoder_layers: 0, decoder_layers: 0}", ["model.encoder_layers=0 and model.decoder_layers=0"]),
        ("model", "encoder_layers: 0", ["config.yaml:6: model.encoder_layers=0 does not fit task=translation"]),
        ("model", "{positions: learned, max_positions: 256}", ["model.max_positions=256 must be above data.max_length=256"]),
        (
            "training",
            "warmup_updates: 4000",
            ["training.warmup_updates=4000 must be below training.updates=4000 — lower the first"],
        ),
        ("training", "accumulation: 5000", ["training.accumulation=5000 pieces cannot be cut from training.batch_tokens=4096"]),
        ("training", "validate_score: false", ["best_by=score needs training.validate_score=true"]),
        ("tokenizer", "joint: false", ["config.yaml:6: model.tied_embeddings=all", "tokenizer.joint=false"]),
        ("tokenizer", "{kind: unigram, bytes: level}", ["bytes=level needs tokenizer.kind=bpe, not unigram"]),
        ("tokenizer", "{kind: word, dropout: 0.1}", ["dropout=0.1 needs subwords; tokenizer.kind=word"]),
        ("tokenizer", "extend_by: 9", ["config.yaml:6: tokenizer.extend_by=9 extends the vocabulary of model.start_from"]),
        ("tokenizer", "{extend_by: 9, path: t.json}", ["tokenizer.extend_by=9 extends the tokenizer", "path=t.json — leave"]),
        ("model", "lora: {}", ["config.yaml:6: model.lora.rank=8, model.lora.alpha=16", "— name its run as start_from"]),
        ("model", "{start_from: a, start_decoder_from: b, lora: {}}", ["adapt one model, but model.start_decoder_from=b"]),
        ("model", "{start_from: a, lora: {rank: 128}}", ["model.lora.rank=128 is not below model.width=128"]),
        ("decoding", "n_best: 6", ["n_best=6 is more than decoding.beam_size=5"]),
        ("decoding", "{method: greedy, n_best: 2}", ["n_best=2 needs decoding.method=beam or sample"]),
        ("decoding", "minimum_length: 300", ["minimum_length=300 is more than decoding.maximum_length=256"]),
    ],
)
def test_impossible_combinations(refused: Refused, section: str, body: str, parts: list[str]) -> None:
    message = refused(base(**{section: body}))
    for part in parts:
        assert part in message


TEXT = BASE.replace(", target: a.de", "").replace(", target: b.de", "")


@pytest.mark.parametrize("task", WITHOUT_TARGET)
def test_a_task_without_a_score_is_not_chosen_by_it(write: Callable[[str], Path], refused: Refused, task: str) -> None:
    text = TEXT + f"task: {task}\n"
    copied = text + "training:\n  validate_score: true\n  best_by: "
    problem = f"training.best_by=score: task={task} has no score — set training.best_by=loss"
    assert f"config.yaml:8: {problem}" in refused(copied + "score\n")
    assert f"command line: {problem}" in refused(text, "training.best_by=score")
    assert load_config(write(copied + "loss\n")).training.validate_score


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("tokenizer.joint=false", "tokenizer.joint=false does not fit task=sentence_embedding: one encoder reads both sides"),
        ("training.label_smoothing=0.1", "training.label_smoothing=0.1 is no part of the loss of task=sentence_embedding"),
        ("training.r_drop=1.0", "training.r_drop=1.0 is no part of the loss of task=sentence_embedding — leave it out"),
        ("training.contrastive_temperature=0", "training.contrastive_temperature: must be above 0"),
        ("model.decoder_layers=2", "model.decoder_layers=2 does not fit task=sentence_embedding, which needs an encoder alone"),
        (
            "data.train={path: a.tsv, source: 0, target: 1, rating: 2}",
            "data.train.rating=2 is for data.test alone: train takes every",
        ),
        (
            "data.validation={path: a.tsv, source: 0, target: 1, rating: 2}",
            "data.validation.rating=2 is for data.test alone: valid",
        ),
        (
            "data.test={source: a.en, target: a.de, rating: 2}",
            "data.test.rating=2 is a column of a table, but `path` is not given",
        ),
        ("data.train={path: a.tsv, source: 0}", "data.train.target=null: task=sentence_embedding needs what is to be answered"),
    ],
)
def test_what_sentence_embedding_cannot_use(refused: Refused, override: str, wanted: str) -> None:
    assert wanted in refused(BASE + "task: sentence_embedding\n", override)


def test_ratings_are_for_the_test_set_of_sentence_embedding(write: Callable[[str], Path], refused: Refused) -> None:
    test = "data.test={path: a.tsv, source: 0, target: 1, rating: 2}"
    config = load_config(write(BASE + "task: sentence_embedding\n"), [test])
    assert config.data.test is not None
    assert config.data.test.rating == 2
    assert config.training.label_smoothing == 0
    assert "data.test.rating=2 is not read by task=translation — leave it out" in refused(BASE, test)
    parts = "data.test=[{path: a.tsv, source: 0, target: 1, rating: 2}, {path: b.tsv, source: 0, target: 1}]"
    assert "data.test[1].rating=null: other parts of the test set have ratings" in refused(
        BASE + "task: sentence_embedding\n", parts
    )


CLASSIFIER = """\
run_directory: runs/x
task: classification
data:
  train: {path: a.tsv, source: 0, target: 1}
  validation: {path: b.tsv, source: 0, target: 1}
"""


@pytest.mark.parametrize(
    ("text", "freeze", "wanted"),
    [
        (
            BASE,
            "[encodr]",
            "freeze[0]: must be embeddings, encoder, decoder, output, or layers counted from 0, such as encoder.0-2",
        ),
        (BASE, "[embeddings, encoder.]", "freeze[1]: must be embeddings, encoder, decoder, output, or layers"),
        (BASE, "[encoder.3-1]", "freeze[0]: must name layers in their order: encoder.1-3 (got 'encoder.3-1')"),
        (BASE, "encoder", "training.freeze: must be a list such as [a, b] (got 'encoder')"),
        (
            BASE,
            "[encoder.2-4]",
            "the model has no encoder.2-4; its parts are embeddings, encoder, encoder.0-3, decoder, decoder.0-3",
        ),
        (BASE, "[output]", "training.freeze=[output]: the model has no output"),
        (CLASSIFIER, "[decoder]", "the model has no decoder; its parts are embeddings, encoder, encoder.0-3"),
        (BASE, "[embeddings, encoder, decoder]", "training.freeze=[embeddings, encoder, decoder] leaves nothing to learn"),
        (BASE + "model: {norm_place: post}\n", "[embeddings, encoder.0-3, decoder.0-3]", "leaves nothing to learn"),
        (BASE + "model: {start_from: a, lora: {}}\n", "[encoder]", "training.freeze=[encoder] is not needed with model.lora"),
        (BASE + "model: {start_from: a}\ntokenizer: {extend_by: 9}\n", "[embeddings]", "adds pieces that have to be learned"),
    ],
)
def test_what_cannot_be_frozen(refused: Refused, text: str, freeze: str, wanted: str) -> None:
    message = refused(text, f"training.freeze={freeze}")
    assert "command line: training.freeze" in message or "config.yaml:" in message
    assert wanted in message


@pytest.mark.parametrize(
    ("text", "freeze"),
    [
        (BASE, "[embeddings, encoder.0-3, decoder.0-3]"),  # the last norms learn
        (BASE + "model: {tied_embeddings: none}\n", "[embeddings, encoder, decoder]"),
        (CLASSIFIER, "[embeddings, encoder]"),  # the head learns
    ],
)
def test_what_can_be_frozen(write: Callable[[str], Path], text: str, freeze: str) -> None:
    config = load_config(write(text), [f"training.freeze={freeze}"])
    assert config_warnings(config) == [
        "training.freeze without model.start_from: these parts keep the random weights they begin with"
    ]
    assert parse_config(dump_config(config), "dumped") == config


def test_tasks_with_a_head_are_those_whose_model_has_one() -> None:
    assert {name for name, task in TASKS.items() if task.outputs or task.labels} == set(WITH_HEAD)


def test_what_else_is_said_of_tasks_agrees_with_them() -> None:
    assert {name for name, task in TASKS.items() if issubclass(task.preparation, CutUpOnce)} == set(CUT_UP_ONCE)
    assert {name: task.preparation.read for name, task in TASKS.items()} == READERS
    assert {name: texts_of(task.preparation) for name, task in TASKS.items()} == LEARNED_FROM
    assert set(TASKS) - set(WITHOUT_TARGET) == set(SCORES)


def test_combinations_are_found_beside_wrong_values_but_not_because_of_them(refused: Refused) -> None:
    message = refused(base(model="heads: six\n  width: 130\n  key_value_heads: 3"))
    assert "model.heads: must be a whole number" in message
    assert "does not divide" not in message
    message = refused(base(model="width: 130\n  norm: 3"))
    assert "heads=4 does not divide model.width=130" in message


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("compile: yes", "must be true or false (got 'yes')"),
        ("compile: 1", "must be true or false (got 1)"),
        ("updates: 1000.0", "must be a whole number (got 1000.0)"),
        ("updates: true", "must be a whole number (got true)"),
        ('updates: "1000"', "must be a whole number (got '1000')"),
        ("learning_rate: fast", "must be a number (got 'fast')"),
        ("learning_rate: [1]", "must be a number (got [1])"),
        ("betas: [0.9]", "training.betas: holds too few values (got 1)"),
        ("betas: 0.9", "must be a list of numbers"),
        ("seed:", "training.seed: has no value — give it one"),
        ("betas: [0.9, 1.0]", "betas[1]: must be below 1.0 (got 1.0)"),
        ("precision: fp16", "did you mean 'bf16'? (got 'fp16')"),
    ],
)
def test_wrong_types(refused: Refused, line: str, wanted: str) -> None:
    message = refused(base(training=line))
    assert message.startswith("config.yaml:6: training.")
    assert wanted in message


def test_wrong_shapes(refused: Refused) -> None:
    assert "model: must be a section of `key: value` lines (got 5)" in refused(BASE + "model: 5\n")
    assert "data.train.source: must be text; quote it if it looks like a number or must be at least 0 (got -1)" in refused(
        BASE.replace("a.en", "-1")
    )
    assert "run_directory: must be text" in refused(BASE.replace("runs/x", "2024"))
    assert "run_directory: must be a path, not empty" in refused(BASE.replace("runs/x", "''"))
    assert "source=0" in refused(BASE.replace("a.en", "0"))
    assert "preprocessing[1]: must be one of nfc" in refused(BASE.replace("data:\n", "data:\n  preprocessing: [nfc, nfz]\n"))


def test_a_language_that_is_none_is_explained(refused: Refused) -> None:
    message = refused(BASE, "data.source_language=e n")
    assert message == "command line: data.source_language: must be of letters, digits, - and _, up to 35 (got 'e n')"


def test_unset_variables_and_homes_are_named(refused: Refused) -> None:
    assert "data.train.source: the environment variable NOPE_42 is not set" in refused(BASE.replace("a.en", "$NOPE_42/a.en"))
    assert "the home directory that `~` stands for" in refused(BASE.replace("a.en", "~nobody42/a.en"))


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("model.width", "'model.width' is not a setting — write it as section.key=value"),
        ("=3", "is not a setting"),
        ("model..width=3", "is not a setting"),
        ("run_directory.x=3", "run_directory.x: 'run_directory' is not a section (got 'runs/x')"),
        ("data.preprocessing=[nfc", "data.preprocessing: not valid YAML"),
        ("model.width=[1]", "model.width: must be a whole number (got [1])"),
        ("training.updates=", "training.updates: has no value — give it one"),
        ("run_directory=\udcff", "run_directory: the value is not UTF-8"),
    ],
)
def test_bad_overrides_say_command_line(refused: Refused, override: str, wanted: str) -> None:
    message = refused(BASE, override)
    assert message.startswith("command line: ")
    assert wanted in message


def test_a_preset_that_would_change_nothing_is_refused(write: Callable[[str], Path], refused: Refused) -> None:
    full = dump_config(load_config(write(BASE)))
    assert "model.preset: would change nothing" in refused(full, "model.preset=base")
    config = load_config(write(full), ["model.preset=base", "model.width=64", "model.heads=8"])
    assert config.model.width == 64


# ---- every number --------------------------------------------------------------------------------------------------


def number_keys(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type]]:
    for name, info in section.model_fields.items():
        inner = section_of(info.annotation)
        if inner is not None:
            yield from number_keys(inner, f"{prefix}{name}.")
        for option in (info.annotation, *get_args(info.annotation)):
            if option in (int, float):
                yield f"{prefix}{name}", option


# The test set is of the kind of the others, and needs a source before it can have a number.
NUMBERS = {key: kind for key, kind in number_keys(Config) if not key.startswith("data.test.")}


@pytest.mark.parametrize("key", NUMBERS)
def test_no_number_may_be_negative_endless_or_no_number(refused: Refused, key: str) -> None:
    for value in ("-1", ".nan", ".inf", "-.inf", "nan", "inf", "1e999", str(2**63), "9" * 5000, "true", "'5'"):
        fitting = ["model.positions=rotary"] if "rotary_scaling" in key else []
        message = refused(BASE, *fitting, f"{key}={value}")
        assert message.startswith(f"command line: {key}: must be")
        assert len(message) < 300


def test_zero_is_refused_where_it_makes_no_sense(refused: Refused) -> None:
    may_be_zero = {
        "data.accept_dropped", "tokenizer.dropout", "model.encoder_layers", "model.decoder_layers", "model.dropout",
        "model.attention_dropout", "model.feed_forward_dropout", "model.word_dropout", "model.layer_dropout", "training.seed",
        "training.weight_decay", "training.warmup_updates", "training.final_rate_fraction", "training.clip_norm",
        "training.label_smoothing", "training.r_drop", "decoding.length_penalty", "decoding.top_k", "decoding.no_repeat_ngram",
        "decoding.minimum_length", "decoding.seed", "evaluation.seed", "noise.deletion_rate", "tokenizer.extend_by",
        "model.lora.dropout", "media.crop", "media.colour", "media.speed", "media.noise", "media.shift_ms", "media.time_masks",
        "media.band_masks", "training.ctc_weight", "model.position_offset", "model.token_types",
    }  # fmt: skip
    assert len(NUMBERS) > 50
    for key in sorted(set(NUMBERS) - may_be_zero):
        assert f"command line: {key}: must be" in refused(BASE, f"{key}=0")


# ---- the file itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"", "holds no settings"),
        (b"\n# nothing\n\n", "holds no settings"),
        (b"---\n", "holds no settings"),
        (b"{}", "holds no settings"),
        (b"\xef\xbb\xbf", "holds no settings"),
        (BASE.encode("utf-16"), "is UTF-16"),
        (BASE.encode("utf-16-le"), "is UTF-16"),
        (BASE.encode("utf-16-be"), "is UTF-16"),
        (BASE.encode("utf-32"), "is UTF-32"),
        (b"a: b\nc: M\xfcller\n", "config.yaml:2:5: byte 0xfc is not UTF-8"),
        (b"a: \x00b\n" + b"c: d\n" * 40, "config.yaml:1: the control character"),
        (b"a: b\nc: \x07\n", "config.yaml:2: the control character"),
        (b"a:\n\tb: c\n", "indent with spaces, not tabs"),
        (b"a: [1, 2\nb: 3\n", "config.yaml:2:"),
        (b"just words", "config.yaml:1: the file holds no `key: value` lines"),
        (b"- a\n- b\n", "config.yaml:1: the file holds no `key: value` lines"),
        (b"a: &x 1\nb: *x\n", "config.yaml:1: anchors (&) and aliases (*) are not allowed"),
        (b"a: 1\n<<: *x\n", "config.yaml:2: anchors"),
        (
            b"a: !!python/object/apply:os.system [true]\n",
            "config.yaml:1: the tag 'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        (b"a: !include b.yaml\n", "the tag '!include' is not allowed"),
        (b"a: 1\n---\nb: 2\n", "a second document (---) follows"),
        (b"? [a, b]\n: 1\n", "config.yaml:1: a key must be a plain word"),
        (b"%YAML 9.9\n---\na: 1\n", "not valid YAML"),
    ],
)
def test_files_that_are_no_configuration(refused: Refused, raw: bytes, wanted: str) -> None:
    assert wanted in refused(raw)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 10_000 + "]" * 10_000,
        "a: " + "{a: " * 10_000,
        "\n".join(" " * n + "a:" for n in range(1400)),
        "- " * 10_000,
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [{','.join([f'*b{n - 1}' if n else '*a'] * 9)}]\n" for n in range(30)),
        "a: x\n" + "b: [" + "1," * 500_000 + "]",
        "".join(f"k{n}: {n}\n" for n in range(80_000)),
        "a: " + "x" * (1 << 20),
        "a: " + '"' + "\\" * 1_000_000,
        "a: " + "'" + "''" * 500_000,
        "a" * 1_000_000,
        "? " * 100_000,
        "#" * 1_000_000,
        "&" * 1_000_000,
        "a: |\n" + " \n" * 500_000,
    ],
    ids=range(15),
)
def test_bombs_are_refused_within_a_second(refused: Refused, text: str) -> None:
    start = time.process_time()
    refused(text)
    assert time.process_time() - start < 1


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with open(path, "wb") as file:
        file.truncate(10 << 30)
    start = time.process_time()
    with pytest.raises(UsageError, match="is larger than 1 MB"):
        load_config(path)
    assert time.process_time() - start < 1


def test_missing_files_and_what_is_no_file(tmp_path: Path, write: Callable[[str], Path]) -> None:
    write(BASE)
    with pytest.raises(UsageError, match=r"no such file\n  → did you mean .*config.yaml\?"):
        load_config(tmp_path / "confg.yaml")
    with pytest.raises(UsageError, match="not read from standard input"):
        load_config("-")
    with pytest.raises(UsageError, match="the YAML file comes first"):
        load_config("model.width=3", [str(tmp_path / "config.yaml")])
    with pytest.raises(UsageError, match=r"the directory '.*nowhere' does not exist either"):
        load_config(tmp_path / "nowhere" / "c.yaml")
    with pytest.raises(UsageError, match=r"is a directory\n  → name a file in it, such as .*config.yaml"):
        load_config(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for special in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(UsageError, match="is not a regular file"):
            load_config(special)
    for hopeless in ("a\0b", "x" * 5000):
        with pytest.raises(UsageError, match="cannot be read"):
            load_config(hopeless)


# ---- there and back ------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1).filter(lambda text: "\0" not in text)


TRAPS = [
    "no",
    "1e-4",
    "0o17",
    "null",
    "~",
    "true",
    "2001-01-01",
    "a: b",
    "- x",
    " ",
    "$HOME",
    "\ud7ff",
    "1_0",
    "\x85",
    "\u2028",
    "#",
]


@settings(max_examples=100, deadline=None)
@given(text=TEXTS | st.sampled_from(TRAPS))
def test_what_is_dumped_loads_back_equal(text: str) -> None:
    values = parse_yaml(BASE, "x").values
    values["run_directory"] = text
    values["data"]["train"]["source"] = text
    config = Config.model_validate(values, context={"paths_as_written": True})
    again = parse_config(dump_config(config), "dumped")
    assert again == config
    assert dump_config(again) == dump_config(config)


def test_dump_from_every_example_and_through_a_file(tmp_path: Path) -> None:
    for example in EXAMPLES:
        config = load_config(example)
        path = tmp_path / example.name
        path.write_text(dump_config(config), encoding="utf-8")
        assert load_config(path) == config
        assert config_difference(load_config(path), config) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_loads(example: Path) -> None:
    assert load_config(example).task in TASKS


def test_the_full_example_names_every_key_and_tells_the_true_defaults(tmp_path: Path) -> None:
    example = next(path for path in EXAMPLES if path.name == "multi30k.yaml")
    names = {str(key[-1]) for key in all_keys(Config)}
    text = re.sub(
        r"^( *)# (?=(\w+): )", lambda found: found[1] if found[2] in names else found[0], example.read_text("utf-8"), flags=re.M
    )
    path = tmp_path / "uncommented.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_config(path) == load_config(example)
    once = {key for key in parse_yaml(text, "x").places if not isinstance(key[-1], int)}
    apart = ("validation", "test", "lora", "rotary_scaling")
    assert [dotted(key) for key in all_keys(Config) if key not in once and not (key[1:2] and key[1] in apart)] == []
    (lora,) = re.findall(r"lora: null +# or (\{.*\})", text)
    given = parse_yaml(f"lora: {lora}", "x").values["lora"]
    assert LoraConfig.model_validate(given) == LoraConfig()
    assert given.keys() == LoraConfig.model_fields.keys()
    (scaling,) = re.findall(r"rotary_scaling: null +# or (\{.*\})", text)
    given = parse_yaml(f"scaling: {scaling}", "x").values["scaling"]
    assert RotaryScaling.model_validate(given).model_fields_set == RotaryScaling.model_fields.keys()


def test_every_example_opens_with_its_command_time_and_score() -> None:
    for example in EXAMPLES:
        head = example.read_text("utf-8").split("\n\n")[0]
        assert all(f"# {word}:" in head for word in ("Command", "Time", "Score")), example


def outcome(path: Path, *overrides: str) -> str:
    """What loading says; whatever is no HeadwayError is a fault of ours and passes through."""
    try:
        return load_config(path, overrides).run_directory
    except HeadwayError as error:
        return str(error)


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=200) | st.text("abc:-[]{}&*!|>'\"#%@`,?\n\t 01.e~", max_size=200).map(str.encode))
def test_any_bytes_give_a_typed_error_or_a_configuration(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(raw)
    assert outcome(path)


@settings(max_examples=200, deadline=None)
@given(override=st.text(max_size=40) | st.text("modelwidthtraining.=[]{}:1\"' ", max_size=40))
def test_any_override_gives_a_typed_error_or_a_configuration(tmp_path_factory: pytest.TempPathFactory, override: str) -> None:
    path = tmp_path_factory.getbasetemp() / "base.yaml"
    path.write_text(BASE)
    assert outcome(path, override)


# ---- differences and warnings --------------------------------------------------------------------------------------


def test_the_difference_of_two_configurations(write: Callable[[str], Path]) -> None:
    one = load_config(write(BASE))
    two = load_config(write(BASE), ["model.width=256", "data.test={source: c.en, target: c.de}"])
    difference = config_difference(one, two)
    assert "model.width: 128 → 256" in difference
    assert "data.test.source: not there → c.en" in difference
    assert config_difference(one, one) == []


def test_warnings(write: Callable[[str], Path]) -> None:
    assert config_warnings(load_config(write(BASE))) == []
    config = load_config(write(BASE), ["training.save_every=5000", "training.batch_tokens=100"])
    found = config_warnings(config)
    assert "training.save_every=5000 is more than training.updates=4000" in found[0]
    assert "training.batch_tokens=100 is less than data.max_length=256" in found[1]
    assert "a longer pair is a batch by itself" in found[1]
    config = load_config(write(BASE + "task: sentence_embedding\n"), ["training.accumulation=4"])
    assert ["each micro-batch is compared with itself alone" in line for line in config_warnings(config)] == [True]
    [found] = config_warnings(load_config(write(PARTS), ["evaluation.bleu_tokenize=zh"]))
    assert "bleu_tokenize=zh will be used for de, zh, en alike" in found


def test_a_configuration_cannot_be_changed(write: Callable[[str], Path]) -> None:
    config = load_config(write(BASE))
    with pytest.raises(ValueError, match="frozen"):
        config.model.width = 3  # type: ignore[misc]
