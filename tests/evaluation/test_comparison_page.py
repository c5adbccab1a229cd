"""Several runs compared, what they differ in, and the page that shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_comparison import saved_labels

from headway.cli import main
from headway.config import Config, dump_config
from headway.errors import UsageError
from headway.evaluation.comparison import compare_runs
from headway.evaluation.run_differences import run_differences
from made_evaluations import outputs, saved
from made_pages import HOSTILE, Page


def configured(run: Path, data: Path, **changed: Any) -> None:
    """Puts a configuration, and the state of a checkpoint, into the directory of a run."""
    corpora = {name: {"source": str(data / f"{name}.en"), "target": str(data / f"{name}.de")} for name in ("train", "validation")}
    config = Config.model_validate({"run_directory": str(run), "data": corpora} | changed)
    (run / "config.yaml").write_text(dump_config(config), "utf-8")


def test_several_runs_are_compared_with_the_first_and_corrected(tmp_path: Path) -> None:
    for name, wrong in (("a", 40), ("b", 26), ("c", 25), ("d", 39)):
        saved_labels(tmp_path / name, set(range(wrong)))
    alone = compare_runs([tmp_path / "a", tmp_path / "b"])[0].metrics["accuracy"]
    found = compare_runs([tmp_path / name for name in "abcd"])
    assert [comparison.letter for comparison in found] == ["B", "C", "D"]
    metrics = [comparison.metrics["accuracy"] for comparison in found]
    assert alone.p_value == max(alone.test.p_value, alone.p_randomised)
    assert metrics[0].test == alone.test
    assert metrics[0].p_value >= alone.p_value * 2  # the second of three, or the first
    assert [metric.is_noise for metric in metrics] == [False, False, True]
    assert "C is better by 7.50; this is hardly noise" in metrics[1].verdict()
    by_example = found[0].by_example
    assert by_example is not None
    assert (by_example.better_a, by_example.better_b, by_example.same) == (0, 14, 186)
    with pytest.raises(UsageError, match="1 run cannot be compared"):
        compare_runs([tmp_path / "a"])


def test_sentences_without_entities_are_a_tie_or_a_loss() -> None:
    from headway.evaluation.tag_scores import tag_scores

    gold = [["O", "O"], ["B-X", "O"], ["O", "O"]]
    found = [["O", "O"], ["O", "O"], ["B-X", "O"]]
    assert tag_scores(found, gold, "iob2")["f1"].sentence_scores().tolist() == [100, 0, 0]


def test_what_changed_is_told_by_key_and_by_file(tmp_path: Path) -> None:
    for folder, text in (("x", "one\n"), ("y", "other text\n")):
        (tmp_path / folder).mkdir()
        for name in ("train", "validation"):
            for side in ("en", "de"):
                (tmp_path / folder / f"{name}.{side}").write_text(text if (name, side) == ("train", "en") else "same\n")
    for run in "abc":
        (tmp_path / run).mkdir()
    configured(tmp_path / "a", tmp_path / "x")
    configured(tmp_path / "b", tmp_path / "y", training={"seed": 2})
    found = run_differences(tmp_path / "a", tmp_path / "b", ({"test": "f"}, {"test": "f"}))
    assert found.settings["training.seed"] == (1, 2)
    assert "run_directory" not in found.settings
    train, validation = found.data
    assert (train.split, train.same, [pair.same for pair in train.files]) == ("train", False, [False, True])
    assert [file and file.bytes for file in (train.files[0].a, train.files[0].b)] == [4, 11]
    assert validation.same is True
    (tmp_path / "y" / "validation.en").unlink()
    later = run_differences(tmp_path / "a", tmp_path / "b", ({}, {})).data[1]
    assert (later.same, later.files[0].same, later.files[0].b and later.files[0].b.bytes) == (None, None, None)
    state = tmp_path / "a" / "checkpoints" / "step-00000005"
    state.mkdir(parents=True)
    (state / "state.json").write_text(json.dumps({"corpus": "abc", "validation": "def"}))
    assert run_differences(tmp_path / "a", tmp_path / "a", ({}, {})).data[0].fingerprint_a == "abc"
    assert "config.yaml" in str(run_differences(tmp_path / "a", tmp_path / "c", ({}, {})).unknown)


def test_the_page_and_the_json_hold_everything(tmp_path: Path, open_page: Callable[..., Any], capsys: Any) -> None:
    for run in "abc":
        name = tmp_path / run
        saved(name, [*HOSTILE, *outputs(0.3 if run == "a" else 0.15, 1)], [*HOSTILE[::-1], *outputs(0.0, 1)])
        configured(name, tmp_path / "x", training={"seed": ord(run)})
    page, figures = tmp_path / "compare.html", tmp_path / "compare.json"
    runs = [str(tmp_path / run) for run in "abc"]
    assert main(["compare", *runs, "-o", str(page), "--json", str(figures)]) == 0
    assert "What changed from A to C" in capsys.readouterr().out
    opened = open_page(page)
    assert opened.locator("figure.chart").count() == 2
    assert opened.locator("svg rect.bar").count() == len(compare_runs([tmp_path / "a", tmp_path / "b"])[0].metrics) * 2
    assert "training.seed" in opened.locator("body").inner_text()
    opened.locator("summary").filter(has_text="where B is better than A").click()
    assert opened.locator("details[open] article").first.is_visible()
    found = json.loads(figures.read_text("utf-8"))
    assert [one["letter"] for one in found] == ["B", "C"]
    bleu = found[0]["metrics"]["bleu"]
    assert bleu["better"] == "B"
    assert bleu["test"]["low"] > 0
    assert 0 < bleu["p_randomised"] <= bleu["p_value"]
    assert found[0]["differences"]["settings"]["training.seed"] == [97, 98]
    assert not {name for name, _ in Page(page.read_text("utf-8")).attributes} & {"src", "href", "onload", "onerror"}
