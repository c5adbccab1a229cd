"""Two texts that are read together by an imported encoder: what stands between them, which is which, and how it is explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import headway
from headway.cli import main
from headway.config import load_config
from headway.data.labelled import JoinedPreparation, Labelled
from headway.data.questions import Question, QuestionPreparation
from headway.explain.attribution import METHODS, attribute, without_words
from headway.explain.explanation import difference
from headway.explain.subjects import subject_of
from headway.interop.huggingface import import_model
from headway.interop.huggingface_export import export_to_huggingface
from headway.model_dir import load_model
from headway.tasks import span

transformers = pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")

from tiny_models import save_tiny  # noqa: E402  (needs transformers)

PAIR = ("Two young men are outside near many bushes.", "A man in a blue shirt")
ENCODERS = ["bert", "roberta", "distilbert", "bart"]


def imported(name: str, directory: Path) -> Any:
    """Their tokenizer; ours is in `ours`."""
    save_tiny(name, directory / "theirs")
    import_model(directory / "theirs", directory / "ours")
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(directory / "theirs" / "tokenizer.json"))


def trained(name: str, directory: Path) -> Path:
    """A run of two updates that tells whether two texts belong together, and begins with the tiny model of a name."""
    imported(name, directory)
    rows = "".join(f"a man is here\ta {word} is here\t{'yes' if word == 'man' else 'no'}\n" for word in ("man", "dog") * 8)
    (directory / "pairs.tsv").write_text(rows, encoding="utf-8")
    part = f"{{path: {directory / 'pairs.tsv'}, source: 0, second: 1, target: 2}}"
    (directory / "pairs.yaml").write_text(
        f"run_directory: {directory / 'run'}\ntask: pair_classification\n"
        f"data: {{accept_dropped: 1.0, max_length: 40, train: {part}, validation: {part}}}\n"
        f"decoding: {{maximum_length: 40}}\nmodel: {{start_from: {directory / 'ours'}, dropout: 0.0}}\n"
        "training: {updates: 2, batch_tokens: 200, learning_rate: 1.0e-2, warmup_updates: 1, validate_every: 2, save_every: 2, "
        "tensorboard: false}\n",
        encoding="utf-8",
    )
    assert main(["train", str(directory / "pairs.yaml")]) == 0
    return directory / "run"


@pytest.mark.parametrize("name", ENCODERS)
def test_what_stands_between_two_texts_is_theirs(name: str, tmp_path: Path) -> None:
    run = trained(name, tmp_path)
    loaded = load_model(run)
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "theirs" / "tokenizer.json"))
    assert loaded.config.tokenizer.ends_between == (2 if name in ("roberta", "bart") else 1)
    preparation = JoinedPreparation(loaded.tokenizers, loaded.config)
    rows = preparation.rows_of_all([Labelled("\t".join(PAIR), ("yes",), 1)])
    ours = loaded.tokenizers.source.pieces([*rows.source(0), 2])
    assert ours == theirs.convert_ids_to_tokens(theirs(*PAIR).input_ids)


@torch.no_grad()
@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_states_of_two_texts_are_theirs(name: str, tmp_path: Path) -> None:
    tokenizer = imported(name, tmp_path)
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "theirs").eval()
    loaded = load_model(tmp_path / "ours")
    numbers = {piece: number for number, piece in enumerate(loaded.tokenizers.source.vocabulary)}
    whole = {"input_ids": torch.tensor([tokenizer(*PAIR).input_ids])}
    if name == "bert":
        whole["token_type_ids"] = torch.tensor([tokenizer.backend_tokenizer.encode(*PAIR).type_ids])
        assert whole["token_type_ids"].unique().tolist() == [0, 1]
    ids = torch.tensor([[numbers[piece] for piece in tokenizer.convert_ids_to_tokens(whole["input_ids"][0])]])
    found = loaded.model.encode(ids, torch.ones_like(ids, dtype=torch.bool))
    torch.testing.assert_close(found, theirs(**whole).last_hidden_state, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_the_way_back_keeps_what_stands_between(name: str, tmp_path: Path) -> None:
    tokenizer = imported(name, tmp_path)
    export_to_huggingface(load_model(tmp_path / "ours"), tmp_path / "back")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    given = again(*PAIR, return_tensors="pt")
    assert given.input_ids[0].tolist() == tokenizer(*PAIR).input_ids
    states = transformers.AutoModel.from_pretrained(tmp_path / "back").eval()(**given).last_hidden_state
    assert bool(states.isfinite().all()), "no type beyond those that it has"
    import_model(tmp_path / "back", tmp_path / "again")
    ends = [load_model(tmp_path / part).config.tokenizer.ends_between for part in ("ours", "again")]
    assert ends == [2 if name == "roberta" else 1] * 2


@torch.no_grad()
def test_a_passage_begins_behind_both_ends(tmp_path: Path) -> None:
    imported("roberta", tmp_path)
    (tmp_path / "qa.yaml").write_text(
        "run_directory: run\ntask: question_answering\ndata: {max_length: 30, train: {path: a.jsonl, source: context}, "
        "validation: {path: a.jsonl, source: context}}\ndecoding: {maximum_length: 30}\n"
        f"model: {{start_from: {tmp_path / 'ours'}}}\n",
        encoding="utf-8",
    )
    config, loaded = load_config(tmp_path / "qa.yaml"), load_model(tmp_path / "ours")
    preparation = QuestionPreparation(loaded.tokenizers, config)
    (window, *more) = preparation.windows([Question(*PAIR, (), 1)])
    assert window.ids[window.begins - 2 : window.begins] == [2, 2]
    assert window.ids[0] == loaded.tokenizers.source.vocabulary.index("<s>")
    assert (window.first, window.last) == (window.begins - 1,) * 2
    assert max(len(one.ids) for one in (window, *more)) <= 31
    ids = torch.tensor([[*window.ids, 2]])

    class Head:
        @staticmethod
        def head(memory: torch.Tensor) -> torch.Tensor:
            return torch.zeros(*memory.shape[:2], 2)

    logits = span.read_out(Head, torch.zeros(1, ids.shape[1], 4), ids, torch.ones_like(ids, dtype=torch.bool))
    may = (logits[0, :, 0] > span.NEVER).nonzero().squeeze(1).tolist()
    assert may == list(range(window.begins - 1, len(window.ids)))


@pytest.mark.parametrize("name", ENCODERS)
def test_two_texts_are_explained_as_they_are_answered(name: str, tmp_path: Path) -> None:
    run = trained(name, tmp_path)
    text = "a man is here\ta dog is here"
    subject = subject_of(run, text, {})
    assert subject.answer == headway.load(run).predict([text])[0]
    found = difference(subject)
    assert found is not None
    assert found <= 1e-5
    with torch.no_grad():
        from_ids, from_vectors = (subject.logits(*given) for given in (subject.ids(), subject.vectors()))
        bare = subject.scores(*without_words(subject))[0]
        whole = subject.scores(*subject.ids())[0]
    torch.testing.assert_close(from_vectors, from_ids, rtol=1e-6, atol=1e-6)
    for method in METHODS:
        told = attribute(subject, method, [0])
        assert told.totals[0] == pytest.approx(float(whole[0] - bare[0]), abs=1e-5)
    assert attribute(subject, "integrated_gradients", [0]).errors.max() <= 0.01
