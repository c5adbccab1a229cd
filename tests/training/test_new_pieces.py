"""Training on from a model with a larger vocabulary: where the new rows begin, and that resuming is exact."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from test_loop import assert_same_checkpoint, losses, train_and_die
from test_pretraining import masked, pretraining_config  # noqa: F401
from tiny_run import FEW, tiny_config, tuned_config

from headway.model_dir import build_model, load_model
from headway.training.loop import train
from headway.training.run_directory import open_tokenizers
from headway.training.start_from import inherit

RELATIVE = {"positions": "relative"}


def with_other_words(sample: Path, folder: Path) -> Path:
    """The sample with a word in every line that no piece of the old vocabulary covers."""
    folder.mkdir()
    for path in sample.iterdir():
        lines = path.read_text("utf-8").splitlines()
        (folder / path.name).write_text("".join(f"{line} Dormunafilk ĝusta\n" for line in lines), encoding="utf-8")
    return folder


@pytest.mark.parametrize("tied", ["all", "none"])
def test_new_rows_begin_as_the_mean_of_what_they_are_made_of(tied: str, sample_directory: Path, tmp_path: Path) -> None:
    model = {**RELATIVE, "tied_embeddings": tied}
    joint = {"joint": tied == "all"}
    training = {**FEW, "updates": 4, "validate_every": 4, "warmup_updates": 0, "averaging": "none"}
    base = train(tiny_config(sample_directory, tmp_path / "base", model=model, tokenizer=joint, training=training), quiet=True)
    domain = with_other_words(sample_directory, tmp_path / "domain")
    config = tuned_config(domain, tmp_path / "run", base, model=model, tokenizer={**joint, "extend_by": 30}, training=training)
    (tmp_path / "run").mkdir()
    tokenizers, old = open_tokenizers(tmp_path / "run", config), load_model(base)
    built = build_model(config, tokenizers)
    assert str(inherit(built, config, tokenizers)).endswith("; the rows of new pieces begin as means of old ones")
    for side, stack in (("source", "source_embedding"), ("target", "target_embedding")):
        before, after = getattr(old.tokenizers, side), getattr(tokenizers, side)
        assert after.vocabulary_size == before.vocabulary_size + 30
        names = [f"{stack}.tokens.weight"] + (["output.weight"] if side == "target" and tied == "none" else [])
        for name in names:
            theirs, ours = old.model.state_dict()[name].double(), built.state_dict()[name].double()
            assert torch.equal(ours[: len(theirs)], theirs)
            pieces = list(enumerate(after.vocabulary))[len(theirs) :]
            cuts = [(number, piece, before.encode(piece[1:])) for number, piece in pieces if piece.startswith("▁")]
            beginnings = [(number, piece, cut) for number, piece, cut in cuts if 3 not in cut]
            assert beginnings
            for number, piece, cut in beginnings:
                assert "".join(before.pieces(cut)) == piece
                torch.testing.assert_close(ours[number], theirs[cut].mean(0), rtol=0, atol=1e-6)
            unknown = after.vocabulary.index("ĝ")
            torch.testing.assert_close(ours[unknown], theirs[4:].mean(0), rtol=0, atol=1e-6)
    run = train(config, quiet=True)
    assert load_model(run).tokenizers.source.decode(tokenizers.source.encode("ĝusta Dormunafilk")) == "ĝusta Dormunafilk"


def test_what_stands_behind_the_vocabulary_moves_with_it(masked: Path, sample_directory: Path, tmp_path: Path) -> None:  # noqa: F811
    """The mask of a masked language model is the id after the last piece."""
    domain = with_other_words(sample_directory, tmp_path / "domain")
    config = pretraining_config(
        "masked_language_model", domain, tmp_path, model={"start_from": str(masked)}, tokenizer={"extend_by": 5}
    )
    (tmp_path / "run").mkdir()
    tokenizers, old = open_tokenizers(tmp_path / "run", config), load_model(masked)
    built = build_model(config, tokenizers)
    inherit(built, config, tokenizers)
    theirs, ours = (one.source_embedding.tokens.weight for one in (old.model, built))
    assert len(ours) == len(theirs) + 5
    assert torch.equal(ours[-1], theirs[-1])
    assert not torch.equal(ours[len(theirs) - 1], theirs[-1])
    assert len(losses(train(config, quiet=True))) == 20


def test_a_killed_run_with_new_pieces_resumes_bit_for_bit(
    base: Path, sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    domain = with_other_words(sample_directory, tmp_path / "domain")
    straight, killed = (
        tuned_config(domain, tmp_path / one, base, tokenizer={"extend_by": 9, "dropout": 0.1}, training=FEW)
        for one in ("straight", "killed")
    )
    with caplog.at_level(logging.INFO, "headway"):
        train(straight, quiet=True)
    assert "9 pieces added to the 300 of the tokenizer" in caplog.text
    train_and_die(killed, 7, monkeypatch)
    train(killed, quiet=True)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
