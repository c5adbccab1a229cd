"""Models that leave for other engines: what these answer, how both are compared, and what is said of those that cannot go."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import headway
from headway.cli import main
from headway.config import Config, TokenizerConfig
from headway.data.tokenizer import Tokenizers, train_tokenizer
from headway.errors import ModelError, UsageError
from headway.evaluation.export_parity import Asked, Parity, compare_export
from headway.evaluation.export_table import export_table
from headway.interop.destinations import DESTINATIONS, export_model, where_it_can_go
from headway.model_dir import LoadedModel, build_model, load_model, save_model

pytest.importorskip("ctranslate2", reason="the engine is an extra: headway[ctranslate2]")
pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")

from own_writers import SHAPES, config_of, own_writer
from tiny_models import TEXT, save_tiny

from headway.interop.huggingface import import_model

SMALL = {"preset": None, "encoder_layers": 2, "decoder_layers": 2, "width": 32, "feed_forward_width": 48, "heads": 4}
OF_OURS: dict[str, dict[str, Any]] = {
    "sinusoidal": {},
    "relative": {"positions": "relative", "relative_buckets": 8, "relative_distance": 16, "bias": False},
    "rotary": {"positions": "rotary", "norm": "rms", "gated": True, "activation": "silu"},
    "none": {"positions": "none", "activation": "gelu", "tied_embeddings": "none", "key_value_heads": 2},
    "learned": {"positions": "learned", "max_positions": 64, "norm_place": "post", "embedding_scale": False},
}


def own(shape: dict[str, Any], directory: Path, *, joint: bool = True) -> LoadedModel:
    """A translator of our own with random weights of such a size that answers differ."""
    corpus = {"source": "a.en", "target": "a.de"}
    config = Config.model_validate(
        {
            "run_directory": "none",
            "data": {"train": corpus, "validation": corpus, "max_length": 60},
            "tokenizer": {"joint": joint, "vocabulary_size": 150},
            "model": {**SMALL, **shape},
            "decoding": {"maximum_length": 20},
        },
        context={"paths_as_written": True},
    )
    settings = TokenizerConfig(vocabulary_size=150)
    source = train_tokenizer(TEXT * 3, settings)
    tokenizers = Tokenizers(source, source if joint else train_tokenizer(list(reversed(TEXT)), settings))
    torch.manual_seed(3)
    model = build_model(config, tokenizers)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    save_model(directory, config, model.state_dict(), tokenizers)
    return load_model(directory)


def imported(name: str, directory: Path) -> LoadedModel:
    save_tiny(name, directory / "theirs")
    import_model(directory / "theirs", directory / "ours")
    return load_model(directory / "ours")


def both_answer_alike(loaded: LoadedModel, out: Path) -> None:
    """Greedy texts, their pieces, and what each piece is worth."""
    export_model(loaded, out, "ctranslate2")
    greedy = {"method": "greedy", "maximum_length": 16, "precision": "fp32"}
    texts = [*TEXT, "", "a man"] if loaded.config.task != "language_model" else [text[:9] for text in TEXT]
    ours, theirs = (headway.load(str(path), **greedy) for path in (loaded.directory, out))
    answers = [[found[0] for found in predictor.answer_pieces([texts])] for predictor in (ours, theirs)]  # type: ignore[union-attr]
    assert max(len(answer.ids) for answer in answers[0]) > 5
    for one, other in zip(*answers, strict=True):
        assert (one.text, one.ids) == (other.text, other.ids)
        assert one.token_scores == pytest.approx(other.token_scores, abs=2e-4)
        assert one.score == pytest.approx(other.score, abs=2e-4)


@pytest.mark.parametrize("name", list(OF_OURS))
def test_ctranslate2_answers_as_a_translator_of_ours(name: str, tmp_path: Path) -> None:
    both_answer_alike(own(OF_OURS[name], tmp_path / "ours"), tmp_path / "out")


def test_ctranslate2_keeps_two_vocabularies_apart(tmp_path: Path) -> None:
    loaded = own({"tied_embeddings": "decoder"}, tmp_path / "ours", joint=False)
    both_answer_alike(loaded, tmp_path / "out")
    assert (tmp_path / "out" / "source_vocabulary.json").is_file()


@pytest.mark.parametrize("name", ["bart", "m2m_100", "marian", "mbart", "t5", "t5_gated", "gpt2", "gemma", "qwen3", "mistral"])
def test_ctranslate2_answers_as_an_imported_model(name: str, tmp_path: Path) -> None:
    both_answer_alike(imported(name, tmp_path), tmp_path / "out")


@pytest.mark.parametrize("name", ["gpt2", "llama_linear"])
def test_ctranslate2_answers_as_a_language_model_of_ours(name: str, tmp_path: Path) -> None:
    own_writer(SHAPES[name], tmp_path / "ours")
    both_answer_alike(load_model(tmp_path / "ours"), tmp_path / "out")


def test_beams_samples_and_their_scores_come_too(tmp_path: Path) -> None:
    loaded = own({}, tmp_path / "ours")
    export_model(loaded, tmp_path / "out", "ctranslate2")
    beam: Any = headway.load(str(tmp_path / "out"), beam_size=4, n_best=3, maximum_length=12)
    found = next(iter(beam.answer_pieces([TEXT[:1]])))
    assert len(found) == 3
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    drawn: Any = headway.load(str(tmp_path / "out"), method="sample", n_best=2, maximum_length=12)
    assert len({one.text for some in drawn.answer_pieces([TEXT]) for one in some}) > len(TEXT)


def test_the_command_line_compares_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own({}, tmp_path / "ours")
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(TEXT) + "\n", encoding="utf-8")
    out = tmp_path / "out"
    command = ["export", str(tmp_path / "ours"), str(out), "--to", "ctranslate2", "--lines", str(lines)]
    assert main(command) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(out)
    assert "greedy outputs that are the same: 5 of 5" in told.err
    parity = json.loads((out / "parity.json").read_text())
    assert (parity["passed"], parity["identical"], parity["lines"]) == (True, 1.0, 5)
    assert parity["headway"]["seconds"] > 0
    assert main(command) == 2  # nothing is overwritten
    assert main(["predict", str(out), str(lines), "--engine", "ctranslate2", "decoding.beam_size=2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert main(["predict", str(out), str(lines), "--engine", "headway"]) == 2
    assert "was written for ctranslate2, not for headway" in capsys.readouterr().err
    assert main(["info", str(out)]) == 0
    told = capsys.readouterr().out
    assert re.search(r"written for +ctranslate2\n.*compared +passed: 100\.0 % of 5 lines alike", told, re.DOTALL)
    assert main(["predict", str(tmp_path / "ours"), str(lines), "--engine", "ctranslate2"]) == 2
    assert "is a model of Headway, not one for ctranslate2" in capsys.readouterr().err


def test_without_lines_nothing_is_compared_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own({}, tmp_path / "ours")
    assert main(["export", str(tmp_path / "ours"), str(tmp_path / "out"), "--to", "ctranslate2"]) == 0
    assert "not compared: " in capsys.readouterr().err
    assert not (tmp_path / "out" / "parity.json").exists()


def test_what_is_only_pre_trained_is_written_and_not_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = {"path": "a.tsv", "source": 0}
    values = {"run_directory": "none", "task": "masked_language_model", "data": {"train": corpus, "validation": corpus}}
    config = Config.model_validate({**values, "model": {**SMALL, "decoder_layers": 0}}, context={"paths_as_written": True})
    tokenizer = train_tokenizer(TEXT * 3, TokenizerConfig(vocabulary_size=150))
    tokenizers = Tokenizers(tokenizer, tokenizer)
    save_model(tmp_path / "ours", config, build_model(config, tokenizers).state_dict(), tokenizers)
    assert main(["export", str(tmp_path / "ours"), str(tmp_path / "out"), "--to", "onnx"]) == 0
    assert "only pre-trained" in capsys.readouterr().err
    assert (tmp_path / "out" / "export.json").exists()


def test_an_export_that_answers_otherwise_is_marked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that was made from other weights, as a mistaken name would give."""
    loaded, other = own({}, tmp_path / "ours"), own({"positions": "none"}, tmp_path / "other")
    out = tmp_path / "out"
    export_model(other, out, "ctranslate2")
    parity = compare_export(loaded, out, "ctranslate2", None, TEXT)
    assert not parity.passed
    assert parity.identical < 1
    assert "NOT THE SAME MODEL" in export_table(parity)
    assert json.loads((out / "parity.json").read_text())["passed"] is False
    headway.load(str(out))
    assert "its answers were not those of the model" in caplog.text


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_what_passes_depends_on_quantization(quantization: str | None) -> None:
    from headway.evaluation.intervals import Interval

    def side(score: float) -> Asked:
        return Asked([], 1.0, 1.0, 1, 1, Interval(score, score - 1, score + 1, 0.95, 1000, 1))

    found = Parity("ctranslate2", quantization, 100, 0.95, None, "BLEU", side(30.0), side(29.5))
    assert found.passed is (quantization is not None)
    worse = Parity("ctranslate2", quantization, 100, 0.95, None, "BLEU", side(30.0), side(28.5))
    assert not worse.passed


def test_int8_is_smaller_and_answers(tmp_path: Path) -> None:
    loaded = own({}, tmp_path / "ours")
    export_model(loaded, tmp_path / "out", "ctranslate2", "int8")
    export_model(loaded, tmp_path / "whole", "ctranslate2")
    sizes = [(tmp_path / name / "model.bin").stat().st_size for name in ("out", "whole")]
    assert sizes[0] < 0.7 * sizes[1]
    assert len(headway.load(str(tmp_path / "out")).predict(TEXT)) == len(TEXT)
    with pytest.raises(UsageError, match="int3 is no quantization of CTranslate2"):
        export_model(loaded, tmp_path / "third", "ctranslate2", "int3")


def test_damage_is_named(tmp_path: Path) -> None:
    loaded = own({}, tmp_path / "ours")
    export_model(loaded, tmp_path / "out", "ctranslate2")
    content = bytearray((tmp_path / "out" / "model.bin").read_bytes())
    content[1000] ^= 1
    (tmp_path / "out" / "model.bin").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.bin.*is damaged or was exchanged"):
        headway.load(str(tmp_path / "out"))
    (tmp_path / "out" / "export.json").write_text("{}")
    with pytest.raises(ModelError, match=r"export\.json.*does not tell of an exported model"):
        headway.load(str(tmp_path / "out"))


def test_where_a_configuration_can_go_is_told(tmp_path: Path) -> None:
    sinusoidal, relative = own({}, tmp_path / "one"), own(OF_OURS["relative"], tmp_path / "other")
    assert DESTINATIONS["huggingface"].problem(sinusoidal.config) is None
    assert "model.positions=relative" in str(DESTINATIONS["huggingface"].problem(relative.config))
    with pytest.raises(UsageError, match=r"cannot be written for Hugging Face: .*model\.positions=relative"):
        export_model(relative, tmp_path / "out", "huggingface")
    told = where_it_can_go(sinusoidal.config).splitlines()
    assert any("CTranslate2 (--to ctranslate2)" in line and "yes" in line for line in told)
    assert any("llama.cpp (--to gguf)" in line and "no: " in line for line in told)


def test_a_language_model_with_relative_positions_does_not_go_to_ctranslate2() -> None:
    """It reads a prompt of several pieces with other biases than ours."""
    problem = DESTINATIONS["ctranslate2"].problem(config_of({"positions": "relative"}))
    assert "model.positions=relative" in str(problem)
    assert DESTINATIONS["ctranslate2"].problem(config_of({"positions": "sinusoidal"})) is None


def test_a_quantised_model_without_a_score_is_not_judged() -> None:
    def side() -> Asked:
        return Asked([], 1.0, 1.0, 1, 1, None)

    found = Parity("ctranslate2", "int8", 100, 0.8, None, "", side(), side())
    assert found.passed is None
    assert "nothing tells" in export_table(found)
    assert Parity("ctranslate2", "int8", 100, 1.0, None, "", side(), side()).passed is True
    assert Parity("ctranslate2", None, 100, 0.8, None, "", side(), side()).passed is False


def test_an_empty_file_of_lines_is_refused_before_anything_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own({}, tmp_path / "ours")
    (tmp_path / "lines.txt").write_text("\n \n", encoding="utf-8")
    command = [
        "export",
        str(tmp_path / "ours"),
        str(tmp_path / "out"),
        "--to",
        "ctranslate2",
        "--lines",
        str(tmp_path / "lines.txt"),
    ]
    assert main(command) == 3
    assert "holds no line to ask" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_files_that_nothing_tells_of_and_that_the_engine_does_not_open_are_named(tmp_path: Path) -> None:
    export_model(own({}, tmp_path / "ours"), tmp_path / "out", "ctranslate2")
    told = json.loads((tmp_path / "out" / "export.json").read_text())
    record = told["files"].pop("model.bin")
    (tmp_path / "out" / "export.json").write_text(json.dumps(told))
    with pytest.raises(ModelError, match=r"model\.bin.*is not told of in export\.json"):
        headway.load(str(tmp_path / "out"))
    content = b"no model"
    (tmp_path / "out" / "model.bin").write_bytes(content)
    told["files"]["model.bin"] = {**record, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (tmp_path / "out" / "export.json").write_text(json.dumps(told))
    with pytest.raises(ModelError, match="does not open it"):
        headway.load(str(tmp_path / "out"))


def test_an_export_is_no_run(tmp_path: Path) -> None:
    export_model(own({}, tmp_path / "ours"), tmp_path / "out", "ctranslate2")
    with pytest.raises(ModelError, match="was written for another engine"):
        load_model(tmp_path / "out")


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = own({}, tmp_path / "ours")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("headway.interop.ctranslate2.write_ctranslate2", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_model(loaded, tmp_path / "out", "ctranslate2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours"]
