"""Sentence vectors: training on pairs, resuming, retrieving what belongs together, ratings, and vectors line by line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from test_loop import assert_same_checkpoint, figures, losses, train_and_die
from test_pretraining import pretraining_config
from tiny_run import TINY_MODEL, TINY_TRAINING

import headway
from headway.cli import main
from headway.config import Config
from headway.data.batches import BucketedEpoch
from headway.data.pairs import SentencePreparation
from headway.data.token_cache import open_cache
from headway.data.tokenizer import Tokenizers
from headway.errors import DataError, UsageError
from headway.evaluation.evaluate import evaluate_run
from headway.inference.embedder import Embedder
from headway.model_dir import load_model
from headway.samples import write_sample
from headway.tasks import embedding
from headway.training.forecast import calibrate, describe
from headway.training.loop import train
from headway.training.run_directory import cache_directory, open_tokenizers


def embedding_config(sample: Path, run: Path, **sections: Any) -> Config:
    corpora = {
        name: {"source": str(sample / f"{name}.en"), "target": str(sample / f"{name}.de")}
        for name in ("train", "validation", "test")
    }
    return Config.model_validate(
        {
            "run_directory": str(run),
            "task": "sentence_embedding",
            "data": {**corpora, **sections.get("data", {})},
            "tokenizer": {"vocabulary_size": 300, **sections.get("tokenizer", {})},
            "model": {**TINY_MODEL, "decoder_layers": 0, "positions": "relative", **sections.get("model", {})},
            "training": {**TINY_TRAINING, **sections.get("training", {})},
            "evaluation": {"bootstrap_samples": 200},
        }
    )


@pytest.mark.parametrize(
    "sections",
    [{"model": {"pooling": "first"}}, {"tokenizer": {"dropout": 0.1}, "training": {"accumulation": 2}}],
    ids=["first", "sampled"],
)
def test_a_killed_run_resumes_bit_for_bit(
    sections: dict[str, Any], sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, killed = (embedding_config(sample_directory, tmp_path / name, **sections) for name in ("straight", "killed"))
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
    assert losses(tmp_path / "straight") == losses(tmp_path / "killed")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pairs")
    write_sample("translation", directory, seed=1, size=2000)
    return directory


@pytest.fixture(scope="module")
def run(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = {"updates": 150, "validate_every": 150, "save_every": 150, "batch_tokens": 1536, "warmup_updates": 20}
    training |= {"learning_rate": 1e-2, "schedule": "wsd", "decay_fraction": 0.5, "averaging": "none"}
    model = {"encoder_layers": 1, "width": 64, "feed_forward_width": 128, "attention_dropout": 0.0, "dropout": 0.0}
    return train(embedding_config(sample, tmp_path_factory.mktemp("vectors") / "run", training=training, model=model), quiet=True)


def test_translations_are_found_near_perfectly(run: Path, sample: Path) -> None:
    pytest.importorskip("sklearn")
    assert figures(run, "validation_accuracy@1")[-1] >= 95
    console = Console(file=io.StringIO(), width=120)
    found = evaluate_run(run, console=console)
    assert found.scores["accuracy@1"] >= 95
    assert found.scores["accuracy@1"] == pytest.approx(
        (found.scores["source_to_target@1"] + found.scores["target_to_source@1"]) / 2
    )
    assert found.scores["source_to_target@5"] >= found.scores["source_to_target@1"]
    written = json.loads((run / "evaluation" / "test.json").read_text("utf-8"))
    lines = len((sample / "test.en").read_text("utf-8").splitlines())
    assert written["examples"] == lines
    simple, chance = (written["baselines"][name]["source_to_target@1"]["score"] for name in ("TF-IDF of characters", "chance"))
    assert chance == pytest.approx(100 / lines, rel=0.1)
    assert chance < simple < found.scores["source_to_target@1"]
    answers = [json.loads(line) for line in (run / "evaluation" / "test.answers.jsonl").read_text("utf-8").splitlines()]
    right = sum(answer["answer"] == answer["reference"] for answer in answers)
    assert found.scores["source_to_target@1"] == pytest.approx(100 * right / lines, abs=100 / lines)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "source → target @5" in shown
    assert "TF-IDF of characters" in shown


def test_vectors_are_near_where_meanings_are(run: Path, sample: Path) -> None:
    texts = [(sample / f"test.{language}").read_text("utf-8").splitlines()[:20] for language in ("en", "de")]
    embedder = headway.load(str(run))
    assert isinstance(embedder, Embedder)
    vectors = embedder.embed(texts[0])
    assert (vectors.shape, vectors.dtype) == ((20, 64), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(20), abs=1e-6)
    cosines = embedder.similarity(*texts)
    assert cosines.shape == (20, 20)
    assert (cosines.argmax(1) == np.arange(20)).mean() >= 0.9
    assert cosines == pytest.approx(vectors @ embedder.embed(texts[1], "target").T, abs=1e-6)
    assert embedder.embed([texts[0][7]])[0] == pytest.approx(vectors[7], abs=1e-5)
    with pytest.raises(UsageError, match="takes a list of texts"):
        embedder.embed("one text")


def test_a_blank_text_is_like_nothing(run: Path) -> None:
    embedder = Embedder(run)
    vectors = embedder.embed(["", "A dog.", " \u200b"])
    assert vectors[[0, 2]].tolist() == [[0.0] * 64] * 2
    assert np.linalg.norm(vectors[1]) == pytest.approx(1, abs=1e-6)
    assert embedder.embed([]).shape == (0, 64)
    assert embedder.similarity(["", "A dog."], ["A dog."])[:, 0] == pytest.approx([0, 1], abs=1e-6)


def test_vectors_come_one_a_line(run: Path, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [*(sample / "test.en").read_text("utf-8").splitlines()[:5], "", "The last."]
    (tmp_path / "in.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    assert main(["predict", str(run), str(tmp_path / "in.txt")]) == 0
    lines = capsys.readouterr().out.splitlines()
    vectors = np.array([line.split(" ") for line in lines]).astype(np.float32)
    assert np.array_equal(vectors, Embedder(run).embed(texts))
    assert not vectors[5].any()
    for option in (["--scores"], ["--n-best", "3"]):
        assert main(["predict", str(run), str(tmp_path / "in.txt"), *option]) == UsageError.exit_code
        assert f"{option[0]}: a line has one vector, and a vector has no score" in capsys.readouterr().err


def test_a_text_that_is_too_long_is_cut_and_told(
    sample_directory: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = train(embedding_config(sample_directory, tmp_path / "run", data={"max_length": 8}, training={"updates": 6}), quiet=True)
    embedder = Embedder(run)
    caplog.clear()
    long, other = embedder.embed(["a dog " * 30, "a dog " * 20])
    assert np.array_equal(long, other)
    assert "2 of 2 texts are cut: data.max_length=8" in caplog.text


# ---- rated pairs ---------------------------------------------------------------------------------------------------


def rated_test(path: Path, *columns: str | int) -> list[str]:
    """The overrides that make a table the test set."""
    names = ("source", "target", "rating")
    return [f"data.test.path={path}", *(f"data.test.{name}={column}" for name, column in zip(names, columns, strict=True))]


def rated_test_set(sample: Path, path: Path) -> Path:
    """Each source beside its own target, rated 5 or a little less, and beside that of another, rated 1 or a little more."""
    sources, targets = ((sample / f"test.{language}").read_text("utf-8").splitlines() for language in ("en", "de"))
    rows = []
    for row, source in enumerate(sources):
        rows.append({"a": source, "b": targets[row], "score": 5 - row / 1000})
        rows.append({"a": source, "b": targets[row - 1], "score": 1 + row / 1000})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_ratings_are_held_against_cosines(run: Path, sample: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    path = rated_test_set(sample, tmp_path / "rated.jsonl")
    found = evaluate_run(run, rated_test(path, "a", "b", "score"), console=Console(file=io.StringIO()))
    assert set(found.scores) == {"spearman"}
    record = json.loads((run / "evaluation" / "test.json").read_text("utf-8"))
    ours, simple = record["scores"]["spearman"], record["baselines"]["TF-IDF of characters"]["spearman"]
    assert ours["low"] < ours["score"] < ours["high"]
    assert 0.7 < ours["score"] < 0.95  # two groups that are told apart and in no order within
    assert simple["score"] < ours["score"]
    answers = [json.loads(line) for line in (run / "evaluation" / "test.answers.jsonl").read_text("utf-8").splitlines()]
    pairs = [answers[0]["source"].split("\t"), answers[1]["source"].split("\t")]
    expected = Embedder(run).similarity([pairs[0][0]], [pairs[0][1], pairs[1][1]])[0]
    assert [float(answer["answer"]) for answer in answers[:2]] == pytest.approx(expected.tolist(), abs=1e-4)
    assert answers[0]["reference"] == "5"


def test_ratings_that_are_all_the_same_tell_nothing(run: Path, tmp_path: Path) -> None:
    (tmp_path / "rated.tsv").write_text("a dog\tein Hund\t3\na cat\teine Katze\t3\n", encoding="utf-8")
    test = rated_test(tmp_path / "rated.tsv", 0, 1, 2)
    with pytest.raises(DataError, match=r"rated\.tsv: all ratings are the same \(3\)"):
        evaluate_run(run, test, console=Console(file=io.StringIO()))


# ---- the parts -----------------------------------------------------------------------------------------------------


def test_it_starts_from_a_masked_language_model(sample_directory: Path, tmp_path: Path) -> None:
    training = {"updates": 10, "validate_every": 10}
    masked = train(
        pretraining_config("masked_language_model", sample_directory, tmp_path, "masked", training=training), quiet=True
    )
    config = embedding_config(
        sample_directory, tmp_path / "run", model={"start_from": str(masked)}, training={"updates": 6, "learning_rate": 1e-9}
    )
    run = train(config, quiet=True)
    ours, theirs = load_model(run), load_model(masked)
    assert ours.tokenizers.source.digest == ours.tokenizers.target.digest == theirs.tokenizers.source.digest
    weights = theirs.model.state_dict()
    for name, tensor in ours.model.state_dict().items():
        torch.testing.assert_close(tensor, weights[name][: len(tensor)], rtol=0, atol=1e-6)


def prepared(config: Config) -> tuple[SentencePreparation, Tokenizers]:
    directory = Path(config.run_directory)
    directory.mkdir()
    tokenizers = open_tokenizers(directory, config)
    return SentencePreparation(tokenizers, config), tokenizers


def test_a_text_has_one_number_in_a_batch_however_chance_cuts_it(tmp_path: Path) -> None:
    sources = ["the green garden gate", "the green garden gate", "a red house"] * 10
    targets = [f"das Wort {number}" for number in range(29)] + ["a red house"]
    for name, texts in (("en", sources), ("de", targets)):
        for corpus in ("train", "validation", "test"):
            (tmp_path / f"{corpus}.{name}").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    config = embedding_config(tmp_path, tmp_path / "run", tokenizer={"dropout": 0.5, "minimum_frequency": 1})
    preparation, _ = prepared(config)
    cache = open_cache(cache_directory(config), config.data.train, preparation, config.data, view=3)
    assert len({tuple(cache.source(row).tolist()) for row in range(30)}) > 10
    epoch = preparation.updates(cache, 1 << 16, 1, 0)
    assert isinstance(epoch, BucketedEpoch)
    batch = epoch.batch(0)
    numbers = {
        (sources[row], targets[row]): tuple(pair)
        for row, pair in zip(batch.indices.tolist(), batch.target_out.tolist(), strict=True)
    }
    assert len({source for source, _ in numbers.values()}) == 2
    assert len({target for _, target in numbers.values()}) == 30
    assert numbers["a red house", "a red house"][0] == numbers["a red house", "a red house"][1]


def test_the_loss_reads_both_sides_with_one_encoder_and_padding_changes_nothing(sample_directory: Path, tmp_path: Path) -> None:
    from headway.model_dir import build_model

    config = embedding_config(sample_directory, tmp_path / "run")
    preparation, tokenizers = prepared(config)
    model = build_model(config, tokenizers).eval()
    pairs = list(preparation.read(config.data.validation, config.data))[:6]
    batch = preparation.updates(preparation.rows_of_all(pairs), 1 << 16, 1, None).batch(0)
    order = batch.indices.tolist()
    alone = []
    for side, ids in enumerate((batch.source_ids, batch.target_in)):
        mask = ids != 0
        rows = [row[kept] for row, kept in zip(ids, mask, strict=True)]
        vectors = torch.cat([embedding.vectors(model, row[None], torch.ones_like(row[None], dtype=torch.bool)) for row in rows])
        torch.testing.assert_close(vectors, embedding.vectors(model, ids, mask), rtol=0, atol=1e-5)
        texts = [(pairs[row].source, pairs[row].target)[side] for row in order]
        assert [tokenizers.source.encode(text) for text in texts] == [row[:-1].tolist() for row in rows]
        alone.append(vectors.double())
    logits = alone[0] @ alone[1].T / 0.05
    expected = -(logits.log_softmax(1).diag() + logits.log_softmax(0).diag()).sum()
    found = embedding.loss(model, batch, config)
    assert found.loss.item() == pytest.approx(expected.item(), rel=1e-4)
    assert found.tokens == batch.tokens == 12


def test_what_it_will_cost_counts_both_sides(sample_directory: Path, tmp_path: Path) -> None:
    config = embedding_config(sample_directory, tmp_path / "run")
    assert calibrate(config, seconds=0.2, source_length=9, target_length=9).seconds_per_update > 0
    kept = describe(config).memory["activations"]
    label = config.model_copy(update={"task": "classification"})
    assert 1.5 < kept / describe(label).memory["activations"] <= 2
