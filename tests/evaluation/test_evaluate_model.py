"""A real tiny model through the whole evaluation: the loss is that of training, the text that of `predict`."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from rich.console import Console

from headway.config import Config, Direction
from headway.data.pairs import PairPreparation
from headway.data.preparation import read_all
from headway.data.readers import Pair
from headway.data.tokenizer import BOS_ID, EOS_ID, train_tokenizers
from headway.evaluation.evaluate import EvaluationResult, evaluate_run, reference_loss
from headway.model.transformer import Transformer
from headway.model_dir import load_model, save_model
from headway.training.parallel import World
from headway.training.validation import Validation, validate

SOURCES = [
    "A man sleeps.",
    "A dog runs over the grass.",
    "Two women read a book.",
    "A child plays.",
    "He said: stop!",
    "A dog sleeps.",
]
TARGETS = ["Ein Mann schläft.", "Ein Hund rennt über das Gras.", "Zwei Frauen lesen ein Buch.", "Ein Kind spielt.",
           "Er sagte: halt!", "Ein Hund schläft."]  # fmt: skip
EN_DE = Direction("en", "de")


def held_out(config: Config) -> list[Pair]:
    return list(read_all(PairPreparation.read, config.data, "validation"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a random model."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("evaluation")
    for name, lines in (("x.en", SOURCES), ("x.de", TARGETS)):
        (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    corpus = {"source": str(folder / "x.en"), "target": str(folder / "x.de")}
    config = Config.model_validate(
        {
            "run_directory": str(folder / "run"),
            "data": {"train": corpus, "validation": corpus, "test": corpus},
            "tokenizer": {"vocabulary_size": 80, "minimum_frequency": 1},
            "model": {"encoder_layers": 1, "decoder_layers": 1, "width": 16, "feed_forward_width": 32, "heads": 2},
            "decoding": {"maximum_length": 12, "beam_size": 2},
            "evaluation": {"bootstrap_samples": 100},
        }
    )
    tokenizers = train_tokenizers(config, PairPreparation.read)
    model = Transformer(config.model, tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size, seed=1)
    save_model(folder / "run" / "model", config, model.state_dict(), tokenizers)
    return folder / "run"


def test_the_loss_is_the_cross_entropy_of_the_references(run: Path) -> None:
    loaded = load_model(run)
    found = reference_loss(loaded, held_out(loaded.config), EN_DE)
    total, tokens = 0.0, 0
    for source, target in zip(SOURCES, TARGETS, strict=True):
        source_ids = torch.tensor([[*loaded.tokenizers.source.encode(source), EOS_ID]])
        ids = loaded.tokenizers.target.encode(target)
        with torch.no_grad():
            logits = loaded.model.logits(
                loaded.model(source_ids, torch.ones_like(source_ids).bool(), torch.tensor([[BOS_ID, *ids]]))
            )
        total += F.cross_entropy(logits[0], torch.tensor([*ids, EOS_ID]), reduction="sum").item()
        tokens += len(ids) + 1
    assert found.tokens == tokens
    assert found.loss == pytest.approx(total / tokens, rel=1e-5)
    assert found.cut == 0


def test_the_loss_is_the_one_that_training_reports(run: Path) -> None:
    loaded = load_model(run)
    config = loaded.config.model_copy(
        update={"training": loaded.config.training.model_copy(update={"validate_score": False, "best_by": "loss"})}
    )
    reported = validate(loaded.model, Validation.open(config, loaded.tokenizers), config, loaded.tokenizers, World())
    assert reference_loss(loaded, held_out(config), EN_DE).loss == pytest.approx(reported.loss, rel=1e-6)


def test_pairs_that_are_too_long_are_cut_and_counted(run: Path) -> None:
    loaded = load_model(run)
    long = Pair("A dog. " * 200, "Ein Hund. " * 200, 1)
    found = reference_loss(loaded, [long, Pair("A dog.", "Ein Hund.", 2)], EN_DE)
    assert found.cut == 1
    assert found.loss is not None


def test_evaluating_a_run_gives_what_predict_gives(run: Path) -> None:
    predictor = pytest.importorskip("headway.inference.predictor")
    console = Console(file=io.StringIO(), width=100)
    result = evaluate_run(run, console=console)
    assert isinstance(result, EvaluationResult)
    assert [sentence.hypothesis for sentence in result.sentences] == predictor.Predictor(run).predict(SOURCES)
    assert result.record.loss is not None
    assert result.record.perplexity is not None
    assert result.record.perplexity > 1
    assert all(sentence.log_probability is not None and sentence.log_probability < 0 for sentence in result.sentences)
    assert result.record.fingerprints["model"] == load_model(run).fingerprint
    assert result.record.warnings[0].startswith("the test set is the training set")
    greedy = evaluate_run(run, ["decoding.method=greedy"], console)
    assert greedy.record.decoding["method"] == "greedy"
    assert [sentence.hypothesis for sentence in greedy.sentences] == predictor.Predictor(run, method="greedy").predict(SOURCES)


def test_the_training_files_need_not_be_here(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    held = [f"data.test.{side}={run.parent / name}" for side, name in (("source", "x.en"), ("target", "x.de"))]
    model = tmp_path / "run" / "model"
    loaded = load_model(model)
    gone = {"source": str(tmp_path / "gone.en"), "target": str(tmp_path / "gone.de")}
    data = loaded.config.data.model_copy(update={"train": type(loaded.config.data.train).model_validate(gone)})
    save_model(model, loaded.config.model_copy(update={"data": data}), loaded.model.state_dict(), loaded.tokenizers)
    result = evaluate_run(tmp_path / "run", held, Console(file=io.StringIO()))
    assert result.record.sentences == len(SOURCES)
    assert not any("training set" in warning for warning in result.record.warnings)
