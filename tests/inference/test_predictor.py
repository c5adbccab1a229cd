"""Lines in, lines out: order, blanks, length, odd characters, and independence of what is translated beside."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from tiny_run import tiny_config

import headway
from headway.config import ModelConfig
from headway.errors import UsageError
from headway.inference.predictor import Predictor
from headway.inference.translator import _padded, positions_of_model
from headway.samples import write_sample
from headway.training.loop import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("predictor")
    write_sample("translation", directory / "sample", seed=1, size=400)
    training = {"updates": 60, "validate_every": 60, "save_every": 60, "batch_tokens": 1024}
    return train(tiny_config(directory / "sample", directory / "run", training=training), quiet=True)


@pytest.fixture(scope="module")
def sources(run: Path) -> list[str]:
    return (run.parent / "sample" / "train.en").read_text(encoding="utf-8").split("\n")[:40]


def test_each_line_has_its_answer_in_its_place(run: Path, sources: list[str]) -> None:
    predictor = Predictor(run, precision="fp32")
    together = predictor.predict(sources)
    assert len(together) == 40
    assert len(set(together)) > 1
    assert [predictor.predict([source])[0] for source in sources] == together
    assert predictor.predict(sources[::-1]) == together[::-1]
    assert list(predictor.predict_stream(sources, piece_lines=7)) == together


def test_blank_and_odd_lines_keep_their_place(run: Path, sources: list[str]) -> None:
    lines = ["", sources[0], "   ", "\u200b\u200b", sources[1], "🦄 \x0b \u2028 ﷺ" * 3, "\t", sources[0]]
    found = Predictor(run, precision="fp32").predict(lines)
    assert len(found) == len(lines)
    assert found[0] == found[2] == found[6] == ""
    assert found[1] == found[7] != ""
    assert all("\n" not in text for text in found)


def test_lines_that_are_too_long_are_cut_and_told_together(
    run: Path, sources: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    lines = [sources[0], "", " ".join(sources), sources[1], " ".join(sources)]
    predictor = Predictor(run)
    found = list(predictor.translate_detailed(lines, piece_lines=2))
    assert [one.cut for one in found] == [False, False, True, False, True]
    assert "are cut" not in caplog.text  # who asks for details finds it there
    assert list(predictor.predict_stream(lines, piece_lines=2)) == [one.text for one in found]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["2 of 5 texts are cut"]


@pytest.mark.parametrize("texts", [["a", 1], ["a", None], ["a", b"a"]])
def test_what_is_no_text_is_placed(texts: list[Any], run: Path) -> None:
    with pytest.raises(UsageError, match=r"^texts\[1\]: is .*, not a text"):
        Predictor(run).predict(texts)


def test_what_is_no_list_is_refused(run: Path) -> None:
    with pytest.raises(UsageError, match="takes a list of texts, and this is None"):
        Predictor(run).predict(None)  # type: ignore[arg-type]


def test_scores_belong_to_the_text(run: Path, sources: list[str]) -> None:
    predictor = Predictor(run, n_best=3, beam_size=4, precision="fp32")
    for found in predictor.translate_stream(sources[:5]):
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        assert len({tuple(one.pieces) for one in found}) == len(found) == 3
        for one in found:
            assert len(one.token_scores) == len(one.pieces) + 1
            assert one.score == pytest.approx(one.log_probability / len(one.token_scores) ** predictor.options.length_penalty)


def test_a_sample_belongs_to_its_line_not_to_its_batch(run: Path, sources: list[str]) -> None:
    options = {"method": "sample", "precision": "fp32", "seed": 3}
    together = Predictor(run, **options).predict(sources)
    assert list(Predictor(run, **options).predict_stream(sources, piece_lines=9)) == together
    assert Predictor(run, **{**options, "seed": 4}).predict(sources) != together


def test_workers_give_the_same_answers(run: Path, sources: list[str]) -> None:
    one = Predictor(run, precision="fp32", batch_tokens=64).predict(sources)
    assert Predictor(run, precision="fp32", batch_tokens=64, workers=2).predict(sources) == one


def test_the_stream_takes_no_more_lines_than_it_needs(run: Path, sources: list[str]) -> None:
    taken = 0

    def lines() -> Iterator[str]:
        nonlocal taken
        for source in sources:
            taken += 1
            yield source

    next(iter(Predictor(run).predict_stream(lines(), piece_lines=5)))
    assert taken == 5


def test_a_misspelt_option_is_named(run: Path) -> None:
    with pytest.raises(UsageError, match="beam_size"):
        headway.load(str(run), beam_szie=3)


def test_half_characters_are_replaced_and_a_text_is_no_list(run: Path, sources: list[str]) -> None:
    predictor = Predictor(run, precision="fp32")
    assert predictor.predict(["\ud83e" + sources[0], sources[1]])[1] == predictor.predict([sources[1]])[0]
    with pytest.raises(UsageError, match="takes a list of texts"):
        predictor.predict(sources[0])


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_low_precision_answers_do_not_depend_on_the_batch(run: Path, sources: list[str], precision: str) -> None:
    predictor = Predictor(run, precision=precision)
    together = list(predictor.translate_detailed(sources))
    assert [next(predictor.translate_detailed([source])) for source in sources] == together


def test_learned_positions_are_never_passed_and_others_have_no_end(run: Path) -> None:
    learned = ModelConfig(positions="learned", max_positions=258)
    ids, mask = _padded([[5] * 256, [6]], positions_of_model(learned))
    assert ids.shape == (2, 257 + 1)
    assert mask.sum(1).tolist() == [257, 2]
    assert _padded([[5] * 256], positions_of_model(ModelConfig()))[0].shape == (1, 272)
    assert Predictor(run)._ends.longest == headway.load(str(run))._loaded.config.data.max_length
