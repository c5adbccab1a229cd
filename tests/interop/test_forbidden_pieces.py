"""Pieces that no answer has, or begins with, of models that write texts: they come with an import, and leave for every engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import headway
from headway.config import Config
from headway.errors import UsageError
from headway.interop.ctranslate2 import ctranslate2_problem
from headway.interop.destinations import export_model
from headway.interop.huggingface import import_model, rows_there
from headway.interop.llama_cpp import LlamaCpp
from headway.model_dir import LoadedModel, load_model
from headway.special_ids import EOS_ID

transformers = pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")

from tiny_models import TEXT, save_tiny  # noqa: E402  (needs transformers)

GREEDY: dict[str, Any] = {"method": "greedy", "maximum_length": 12}
GIVEN = [text[:20] for text in TEXT]


def written(path: Path, **settings: Any) -> list[Any]:
    predictor: Any = headway.load(str(path), **{**GREEDY, "precision": "fp32", **settings})
    return [found[0] for found in predictor.answer_pieces([GIVEN])]


def rows_of(loaded: LoadedModel) -> list[int]:
    return rows_there(loaded.config.tokenizer.special_numbers, loaded.tokenizers.target.vocabulary_size).tolist()


def favourites(answers: Sequence[Any], given: int = 0) -> tuple[list[int], list[int]]:
    """Of answers what they like best, and what they like to begin with."""
    ids = [answer.ids[given:] for answer in answers]
    every = [number for one in ids for number in one]
    return sorted(set(every), key=every.count)[-2:], sorted({one[0] for one in ids})[:2]


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int], list[int]]:
    """A BART of which some of its favourite pieces are suppressed, and their numbers there."""
    directory = tmp_path_factory.mktemp("forbidden")
    save_tiny("bart", directory / "theirs")
    import_model(directory / "theirs", directory / "plain")
    rows = rows_of(load_model(directory / "plain"))
    never, first = ([rows[number] for number in some] for some in favourites(written(directory / "plain")))
    path = directory / "theirs" / "generation_config.json"
    told = json.loads(path.read_text("utf-8")) | {"suppress_tokens": never, "begin_suppress_tokens": first}
    path.write_text(json.dumps(told), encoding="utf-8")
    import_model(directory / "theirs", directory / "ours")
    return directory, never, first


def test_they_come_with_an_import(translator: tuple[Path, list[int], list[int]]) -> None:
    directory, never, first = translator
    decoding, plain = (load_model(directory / name).config.decoding for name in ("ours", "plain"))
    vocabulary, rows = load_model(directory / "ours").tokenizers.target.vocabulary, rows_of(load_model(directory / "ours"))
    assert decoding.never == [vocabulary[rows.index(number)] for number in never]
    assert decoding.never_first == [vocabulary[rows.index(number)] for number in first]
    assert (plain.never, plain.never_first) == ([], [])


@torch.no_grad()
def test_the_same_is_written_without_them(translator: tuple[Path, list[int], list[int]], tmp_path: Path) -> None:
    directory, never, first = translator
    ours, plain = written(directory / "ours"), written(directory / "plain")
    assert all(answer.ids != before.ids for answer, before in zip(ours, plain, strict=True))
    export_model(load_model(directory / "ours"), tmp_path / "back", "huggingface")
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "back").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    rows = rows_of(load_model(directory / "ours"))
    for text, found in zip(GIVEN, ours, strict=True):
        whole = model.generate(**tokenizer(text, return_tensors="pt"), max_new_tokens=13, do_sample=False, num_beams=1)
        said = whole[0, 2:].tolist()  # behind the start and the forced piece
        assert found.ids == [rows.index(number) for number in said[: len(found.ids)]]
        assert not set(never) & set(said)
        assert said[0] not in first


def test_they_go_back_with_the_special_pieces(translator: tuple[Path, list[int], list[int]], tmp_path: Path) -> None:
    directory, never, first = translator
    export_model(load_model(directory / "ours"), tmp_path / "back", "huggingface")
    told = json.loads((tmp_path / "back" / "generation_config.json").read_text("utf-8"))
    assert told["suppress_tokens"] == [*never, 1, 3], "padding, and what is unknown; the begin is forced"
    assert told["begin_suppress_tokens"] == first
    again = load_model(import_model(tmp_path / "back", tmp_path / "again").directory)
    export_model(again, tmp_path / "third", "huggingface")
    assert json.loads((tmp_path / "third" / "generation_config.json").read_text("utf-8")) == told


def test_special_pieces_alone_say_nothing_new(translator: tuple[Path, list[int], list[int]], tmp_path: Path) -> None:
    directory, _, _ = translator
    export_model(load_model(directory / "plain"), tmp_path / "back", "huggingface")
    told = json.loads((tmp_path / "back" / "generation_config.json").read_text("utf-8"))
    assert told["suppress_tokens"] == [1, 3]
    assert load_model(import_model(tmp_path / "back", tmp_path / "again").directory).config.decoding.never == []


def test_ctranslate2_heeds_what_is_never_written(translator: tuple[Path, list[int], list[int]], tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2", reason="the engine is an extra: headway[ctranslate2]")
    directory, _, first = translator
    plain = load_model(directory / "plain")
    export_model(plain, tmp_path / "out", "ctranslate2")
    vocabulary, rows = plain.tokenizers.target.vocabulary, rows_of(plain)
    pieces = [vocabulary[number] for number in favourites(written(directory / "plain"))[0]]
    ours, theirs = ([answer.ids for answer in written(path, never=pieces)] for path in (directory / "plain", tmp_path / "out"))
    assert ours == theirs
    assert ours != [answer.ids for answer in written(tmp_path / "out")]
    with pytest.raises(UsageError, match=r"decoding.never_first: CTranslate2 forbids pieces everywhere or nowhere"):
        written(tmp_path / "out", never_first=[vocabulary[rows.index(first[0])]])
    assert "decoding.never_first" in str(ctranslate2_problem(load_model(directory / "ours").config))


def of_gpt2(directory: Path) -> tuple[LoadedModel, list[str]]:
    """A GPT-2 that never writes some pieces, and these."""
    save_tiny("gpt2", directory / "theirs")
    import_model(directory / "theirs", directory / "plain")
    loaded = load_model(directory / "plain")
    given = len(loaded.tokenizers.target.encode(GIVEN[0]))
    pieces = [loaded.tokenizers.target.vocabulary[number] for number in favourites(written(directory / "plain"), given)[0]]
    decoding = loaded.config.decoding.model_copy(update={"never": pieces})
    config: Config = loaded.config.model_copy(update={"decoding": decoding})
    return LoadedModel(**{**vars(loaded), "config": config}), pieces


def test_a_file_for_llama_cpp_tells_of_them(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="the format is an extra: headway[gguf]")
    loaded, pieces = of_gpt2(tmp_path)
    export_model(loaded, tmp_path / "out", "gguf")
    fields = gguf.GGUFReader(tmp_path / "out" / "model.gguf").fields
    rows = rows_of(loaded)
    numbers = {rows[loaded.tokenizers.target.vocabulary.index(piece)] for piece in pieces}
    assert numbers <= {*fields["tokenizer.ggml.suppress_tokens"].contents()}
    assert len(numbers) == 2


class Rising(LlamaCpp):
    """Stands for llama.cpp: the higher its number the likelier a piece, and the end behind three."""

    def __init__(self) -> None:
        self._engine: Any = self
        self._behind = 0

    def reset(self) -> None:
        self._behind = 0

    def _read(self, ids: Sequence[int]) -> Tensor:
        scores = torch.arange(9.0)[None].clone()
        scores[0, EOS_ID] = 20.0 * (self._behind == 3)
        self._behind += 1
        return scores

    def _ours(self, theirs_TV: Tensor) -> Tensor:
        return theirs_TV


@pytest.mark.parametrize(
    ("forbidden", "wanted"),
    [([], [8, 8, 8]), ([[1, 8]], [7, 7, 7]), ([[1], [8]], [7, 8, 8]), ([[8], [7, EOS_ID]], [6, 7, 7])],
)
def test_llama_cpp_is_followed_where_pieces_are_forbidden(forbidden: list[list[int]], wanted: list[int]) -> None:
    assert Rising().continued([1, 4], 9, *forbidden) == wanted
