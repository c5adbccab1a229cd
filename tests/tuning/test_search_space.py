"""A configuration with search spaces: every mistake is told with its line, and elsewhere a space is refused in clear words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_search import small_search

from headway.config import Config, load_config
from headway.config_reader import parse_yaml, resolve
from headway.config_tuning import TuningConfig
from headway.errors import UsageError
from headway.tuning.search_space import read_search

EXAMPLES_DIRECTORY = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(EXAMPLES_DIRECTORY.glob("*_tuning.yaml"))
WRONG = """\
run_directory: runs/x
data:
  train: {source: a, target: b}
  validation: {source: a, target: b}
  cache_directory: {choice: [a, b]}
model:
  dropout: {uniform: [0, 1.3]}
  width: {int: [64, 32]}
  heads: {loguniform: [1, 2]}
  norm: {choice: [layer, rmss]}
  encoder_layers: {log: [1, 4]}
training:
  warmup_update: 3
  seed: {choice: [1]}
decoding: {beam_size: {int: [1, 4]}}
tuning:
  trial: 6
  pruning: halving
"""


def mistakes(path: Path, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_search(path, overrides)
    return str(caught.value)


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG, encoding="utf-8")
    lines = mistakes(path).split("\n")
    told = {
        5: "data.cache_directory: is the same in all trials",
        7: "model.dropout: must be below 1.0 (got 1.3)",
        8: "model.width: the range from 64 to 32 is empty",
        9: "is no search space — did you mean 'log'?",
        10: "model.norm: must be one of layer, rms — did you mean 'rms'? (got 'rmss')",
        11: "model.encoder_layers: must be a whole number (got 4.0)",
        13: "training.warmup_update: unknown key — did you mean 'training.warmup_updates'?",
        14: "training.seed: choice must have at least two values",
        15: "decoding.beam_size: is the same in all trials",
        17: "tuning.trial: unknown key — did you mean 'tuning.trials'?",
        18: "tuning.pruning: must be one of successive_halving, hyperband, median, none",
    }
    for number, text in told.items():
        assert any(line.startswith(f"{path}:{number}: ") and text in line for line in lines), (number, text)
    assert len(lines) == 1 + len(told) + 1  # 11 has a line for each end


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("training.validate_every=40", "nothing to prune by — set it to 4, or tuning.pruning=none"),
        ("tuning.metric=loss", "tuning.metric=loss, but the model that training keeps is chosen by training.best_by=score"),
        ("tuning.metric=bits_per_byte", "is for task=language_model"),
        ("training.validate_score=false", "training.best_by=score needs training.validate_score=true"),
        ("run_directory={choice: [a, b]}", "run_directory: is the same in all trials"),
        ("model.heads={int: [3, 4], step: 2}", "steps of 2 from 3 do not end at 4"),
    ],
)
def test_what_does_not_go_together_is_refused(sample: Path, tmp_path: Path, override: str, told: str) -> None:
    assert told in mistakes(small_search(sample, tmp_path), override)


def test_losses_of_other_tokens_are_not_compared(sample: Path, tmp_path: Path) -> None:
    path = small_search(sample, tmp_path, tokenizer={"vocabulary_size": {"int": [100, 200]}})
    assert read_search(path).metric == "score"
    assert read_search(path, ["training.best_by=loss"]).metric == "loss"  # of a label
    documents = [f"data.{part}={{source: text.txt}}" for part in ("train", "validation", "test")]
    told = mistakes(path, "task=language_model", "model.encoder_layers=0", *documents)
    assert re.fullmatch(r"[^\n]*search.yaml:\d+: tokenizer.vocabulary_size: changes what a token is[^\n]*", told)
    assert "or compare by tuning.metric=bits_per_byte" in told


def test_a_configuration_without_a_space_is_not_searched(sample: Path, tmp_path: Path) -> None:
    path = small_search(sample, tmp_path)
    assert "holds no search space" in mistakes(path, "training.learning_rate=0.01")
    assert read_search(path, ["training.learning_rate=0.01"], only_base=True).base.training.learning_rate == 0.01


def test_a_base_is_found_where_the_stand_ins_do_not_go_together(sample: Path, tmp_path: Path) -> None:
    model = {"width": {"choice": [15, 16]}, "heads": {"choice": [2, 4]}}
    search = read_search(small_search(sample, tmp_path, model=model))
    assert search.base.model.width == 16
    with pytest.raises(UsageError, match=r"model.heads=2 does not divide model.width=15"):
        search.config({"model.width": 15, "model.heads": 2, "training.learning_rate": 0.1})
    assert "does not divide" in mistakes(small_search(sample, tmp_path, model={"width": {"choice": [15, 17]}}))


def test_the_configuration_of_a_trial_is_that_of_a_run_of_its_own(sample: Path, tmp_path: Path) -> None:
    search = read_search(small_search(sample, tmp_path))
    config = search.trial_config(7, {"training.learning_rate": 0.0123456}, threads=1)
    assert isinstance(config, Config)
    assert config.training.learning_rate == 0.01235
    assert Path(config.run_directory) == tmp_path / "run-tuning" / "trials" / "0007"
    assert Path(config.data.cache_directory or "") == tmp_path / "cache"  # that of the run itself


def test_settings_can_be_copied_back(sample: Path, tmp_path: Path) -> None:
    path = small_search(
        sample, tmp_path, training={"betas": {"choice": [[0.9, 0.98], [0.9, 0.999]]}}, model={"gated": {"choice": [True, False]}}
    )
    search = read_search(path)
    drawn = {"training.learning_rate": 0.005, "training.betas": "[0.9, 0.999]", "model.gated": True}
    written = search.as_yaml(drawn)
    assert written == "model:\n  gated: true\ntraining:\n  learning_rate: 0.005\n  betas: [0.9, 0.999]\n"
    assert search.config(drawn).training.betas == (0.9, 0.999)


def test_training_refuses_a_search_space_in_clear_words(sample: Path, tmp_path: Path) -> None:
    path = small_search(sample, tmp_path)
    with pytest.raises(UsageError) as caught:
        load_config(path)
    told = str(caught.value).split("\n")
    assert told[0] == "2 mistakes in the configuration:"
    assert "training.learning_rate: is a search space for `headway tune`" in told[1]
    assert "tuning: this section is for `headway tune`" in told[2]
    assert all(line.startswith(f"{path}:") for line in told[1:])
    with pytest.raises(UsageError, match=r"^[^\n]*tuning: this section"):
        load_config(path, ["training.learning_rate=0.001"])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_tells_its_command_time_and_score(example: Path) -> None:
    head = example.read_text("utf-8").split("\n\n")[0]
    assert all(f"# {word}:" in head for word in ("Command", "Time", "Score"))
    assert read_search(example).spaces


def test_the_page_on_tuning_names_every_key_of_its_section() -> None:
    text = (EXAMPLES_DIRECTORY.parent / "docs" / "tune.md").read_text("utf-8")
    blocks = [parse_yaml(block, "tune.md").values for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    (told,) = (block["tuning"] for block in blocks if list(block) == ["tuning"])
    assert list(told) == list(TuningConfig.model_fields)
    assert TuningConfig.model_validate(told)
    defaults = TuningConfig().model_dump()
    differ = {name for name, value in told.items() if value != defaults[name]}
    assert differ == {"trials", "minutes", "metric", "finalists", "workers"}


def test_a_space_may_come_from_the_command_line(sample: Path, tmp_path: Path) -> None:
    search = read_search(small_search(sample, tmp_path), ["model.dropout={uniform: [0, 0.5]}", "tuning.minutes=5"])
    assert [space.name for space in search.spaces] == ["model.dropout", "training.learning_rate"]
    assert (search.settings.minutes, resolve("5")) == (5, 5)
