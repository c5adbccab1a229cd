"""Tokenizers that are no tokenizer.json: the three files of Marian, and SentencePiece models alone."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from headway.cli import main
from headway.config import load_config
from headway.data.shared_vocabulary import SideTokenizer
from headway.data.tokenizer import SPECIAL_TOKENS, Tokenizer, Tokenizers
from headway.data.tokenizer_extension import extend
from headway.errors import ModelError, UsageError
from headway.inference.predictor import Predictor
from headway.interop.huggingface import import_model, rows_there
from headway.interop.huggingface_export import export_to_huggingface
from headway.model_dir import LoadedModel, load_model

transformers = pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")

from tiny_marian import ENGLISH, GERMAN, LANGUAGES, learned, pieces_of, save_marian  # noqa: E402  (needs transformers)
from tiny_models import TINY, save_tiny  # noqa: E402

STRANGE = [
    "", " ", "   two  blanks  ", "tab\tand\nline", "日本語 と 漢字", "ß in English", "Mädchen", "ﬁne ½ Ⅳ …", "👍🏽 emoji 👩‍👩‍👧",
    "x" * 60,
    "\u3000wide\u00a0hard\u200bzero", "한국어 조합", unicodedata.normalize("NFD", "naïve Mädchen 한국어"), "ÄÖÜäöü",
    "</s> <unk>", "<pad>", "ab\u0301c", "Ω≈ç√∫", "▁▁ under", "ö", "öö", "äß", "\ufeffmark",
]  # fmt: skip


def texts(count: int = 150) -> list[str]:
    """Texts of either language, cut, mixed with characters that neither knows."""
    chance = random.Random(3)
    pool = "".join(ENGLISH + GERMAN) * 3 + "漢字日本語ЖшΩ😀ﬁ½\u3000\u0301ñéçœ"
    mixed = ["".join(chance.choice(pool) for _ in range(chance.randint(1, 40))) for _ in range(count)]
    return [*ENGLISH, *GERMAN, *(text[chance.randint(0, 20) :] for text in ENGLISH + GERMAN for _ in range(3)), *mixed]


def as_there(tokenizers: Tokenizers, rows: torch.Tensor, text: str, side: str) -> list[int]:
    return rows[getattr(tokenizers, side).encode(text)].tolist()


Pair = tuple[Any, Any, LoadedModel, Path]  # their model and tokenizer, and ours


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    directory = tmp_path_factory.mktemp("marian")
    theirs = save_marian(directory / "theirs")
    import_model(directory / "theirs", directory / "ours")
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory / "theirs")
    assert type(tokenizer).__name__ == "MarianTokenizer"
    return theirs, tokenizer, load_model(directory / "ours"), directory


def rows_of(loaded: LoadedModel) -> torch.Tensor:
    return rows_there(loaded.config.tokenizer.special_numbers, loaded.tokenizers.target.vocabulary_size)


def plain(tokenizer: Any, text: str, side: str) -> list[int]:
    """Their ids, where special tokens in the text are text: SentencePiece alone, and the numbers of its pieces."""
    model = getattr(tokenizer, f"spm_{side}")
    return [tokenizer.encoder.get(piece, tokenizer.unk_token_id) for piece in model.encode(text, out_type=str)]


@pytest.mark.parametrize("side", ["source", "target"])
def test_each_side_cuts_as_its_own_model(marian: Pair, side: str) -> None:
    _, tokenizer, loaded, _ = marian
    rows, given = rows_of(loaded), [*texts(), *STRANGE]
    unknown = 0
    for text in given:
        wanted = plain(tokenizer, text, side)
        assert as_there(loaded.tokenizers, rows, text, side) == wanted, text
        if not any(mark in text for mark in ("</s>", "<unk>", "<pad>")) and text == text.strip():
            told = tokenizer(text) if side == "source" else tokenizer(text_target=text)
            assert told.input_ids == [*wanted, 0], text
        unknown += 1 in wanted
    assert len(given) >= 100
    assert unknown > 20
    assert isinstance(loaded.tokenizers.source, SideTokenizer)
    assert loaded.tokenizers.source.vocabulary == loaded.tokenizers.target.vocabulary


def test_spans_decoding_and_sampling_agree(marian: Pair) -> None:
    _, tokenizer, loaded, directory = marian
    rows = rows_of(loaded)
    for text in [*ENGLISH, *texts(30)]:
        side = loaded.tokenizers.source
        ids, spans = side.encode_with_spans(text)
        assert ids == side.encode(text)
        assert all(text[start:end].strip() or not text.strip() for start, end in spans if end - start > 1)
    for text in GERMAN:
        ids = loaded.tokenizers.target.encode(text)
        assert loaded.tokenizers.target.decode([1, *ids, 2]) == tokenizer.decode(rows[ids].tolist(), skip_special_tokens=True)
    assert Tokenizers.load(directory / "ours", dropout=0.3).source.dropout == 0.3


def test_special_pieces_in_a_text_are_text() -> None:
    model = learned([*ENGLISH, "< u n k > / s p a d <"], 130)
    tokenizer = SideTokenizer(model, [*SPECIAL_TOKENS, *pieces_of(model)[3:]])
    for text in ("a <unk> here", "</s>", "<s><pad>", "no </s> here <unk>"):
        ids = tokenizer.encode(text)
        assert min(ids) > 3
        assert tokenizer.decode(ids) == text


def test_sampled_cuts_say_the_same() -> None:
    model = learned(ENGLISH, 130)
    vocabulary = [*SPECIAL_TOKENS, *reversed(pieces_of(model)[3:])]
    tokenizer = SideTokenizer(model, vocabulary, dropout=0.3)
    drawn = tokenizer.sample_many(ENGLISH, seed=1)
    assert drawn == tokenizer.sample_many(ENGLISH, seed=1) != [tokenizer.encode(text) for text in ENGLISH]
    assert [tokenizer.decode(row) for row in drawn] == ENGLISH


@torch.no_grad()
def test_states_and_answers_are_theirs(marian: Pair) -> None:
    theirs, tokenizer, loaded, directory = marian
    rows, last = rows_of(loaded), loaded.config.tokenizer.special_numbers[0]
    assert loaded.config.tokenizer.special_numbers == [last, -1, 0, 1, last]
    known = rows >= 0
    for text, answer in zip(ENGLISH, GERMAN, strict=False):
        ids = torch.tensor([[*loaded.tokenizers.source.encode(text), 2]])
        written = torch.tensor([[1, *loaded.tokenizers.target.encode(answer)]])
        found = loaded.model.logits(loaded.model(ids, torch.ones_like(ids, dtype=torch.bool), written))[..., known]
        start = torch.tensor([[last, *tokenizer(text_target=answer).input_ids[:-1]]])
        wanted = theirs(**tokenizer(text, return_tensors="pt"), decoder_input_ids=start).logits[..., rows[known]]
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-5)
    predictor = Predictor(str(directory / "ours"), method="greedy", precision="fp32", maximum_length=14)
    given, answers = [*ENGLISH, *(text[:20] for text in GERMAN)], set()
    for text, (answer,) in zip(given, predictor.translate_stream(given), strict=True):
        whole = theirs.generate(**tokenizer(text, return_tensors="pt"), max_new_tokens=14, do_sample=False, num_beams=1,
                                bad_words_ids=[[last]], forced_eos_token_id=None)  # fmt: skip
        ours = rows[answer.ids].tolist()
        assert ours == whole[0, 1 : 1 + len(ours)].tolist(), text
        assert answer.text.split() == tokenizer.decode(whole[0], skip_special_tokens=True).split()
        answers.add(answer.text)
    assert len(answers) >= 5


@torch.no_grad()
def test_the_files_come_back_as_they_were(marian: Pair, tmp_path: Path) -> None:
    theirs, tokenizer, loaded, directory = marian
    found = export_to_huggingface(loaded, tmp_path / "back")
    assert found.family == "marian"
    for name in ("source.spm", "target.spm"):
        assert (tmp_path / "back" / name).read_bytes() == (directory / "theirs" / name).read_bytes()
    vocabularies = [json.loads((path / "vocab.json").read_text("utf-8")) for path in (directory / "theirs", tmp_path / "back")]
    assert vocabularies[0] == vocabularies[1]
    assert not (tmp_path / "back" / "tokenizer.json").exists()
    before, after = (load_file(path / "model.safetensors") for path in (directory / "theirs", tmp_path / "back"))
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], before[name]) for name in after)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "back").eval()
    for text in [*texts(20), *ENGLISH]:
        source = tokenizer(text, return_tensors="pt")
        assert again(text).input_ids == source.input_ids[0].tolist()
        assert again(text_target=text).input_ids == tokenizer(text_target=text).input_ids
        wanted = theirs.generate(**source, max_new_tokens=9, num_beams=1, bad_words_ids=[[tokenizer.pad_token_id]],
                                 forced_eos_token_id=None)  # fmt: skip
        assert model.generate(**source, max_new_tokens=9).tolist() == wanted.tolist()


def test_a_language_is_asked_for_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    save_marian(tmp_path / "theirs", languages=LANGUAGES)
    assert main(["import", str(tmp_path / "theirs"), str(tmp_path / "ours"), "--to", "deu"]) == 0
    loaded = load_model(tmp_path / "ours")
    assert loaded.config.tokenizer.before_source == [">>deu<<"]
    assert loaded.config.tokenizer.before_target == []
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "theirs").eval()
    predictor = Predictor(str(tmp_path / "ours"), method="greedy", precision="fp32", maximum_length=8)
    rows = rows_of(loaded)
    for text, (answer,) in zip(ENGLISH, predictor.translate_stream(ENGLISH), strict=True):
        source = tokenizer(f">>deu<<{text}", return_tensors="pt")
        assert source.input_ids[0, 0] == tokenizer.encoder[">>deu<<"]
        whole = model.generate(**source, max_new_tokens=8, num_beams=1, forced_eos_token_id=None,
                               bad_words_ids=[[tokenizer.pad_token_id]])  # fmt: skip
        ours = rows[answer.ids].tolist()
        assert ours == whole[0, 1 : 1 + len(ours)].tolist(), text
    with pytest.raises(UsageError, match=r"'>>fra<<' is no piece of its tokenizer\s+→ it writes deu, nld"):
        import_model(tmp_path / "theirs", tmp_path / "other", (None, "fra"))
    assert main(["import", str(tmp_path / "theirs"), str(tmp_path / "other"), "--from", "eng", "--to", "deu"]) == 2
    assert "it takes any of its languages" in capsys.readouterr().err
    import_model(tmp_path / "theirs", tmp_path / "open")
    assert "it writes deu, nld: --to names one of them" in caplog.text


def test_learning_goes_on_with_both_models(marian: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *_, directory = marian
    monkeypatch.chdir(tmp_path)
    for part, chosen in (("train", slice(3)), ("validation", slice(3, 4))):
        rows = "".join(f"{source}\t{target}\n" for source, target in zip(ENGLISH[chosen], GERMAN[chosen], strict=True))
        Path(f"{part}.tsv").write_text(rows, encoding="utf-8")
    Path("config.yaml").write_text(
        "run_directory: run\ntask: translation\ndata:\n  accept_dropped: 1.0\n  max_length: 100\n"
        + "".join(f"  {part}: {{path: {part}.tsv, source: 0, target: 1}}\n" for part in ("train", "validation"))
        + f"decoding: {{maximum_length: 20}}\nmodel: {{start_from: {directory / 'ours'}, dropout: 0.0}}\n"
        "training: {updates: 2, batch_tokens: 200, learning_rate: 1.0e-4, warmup_updates: 1, validate_every: 2, save_every: 2, "
        "tensorboard: false}\n",
        encoding="utf-8",
    )
    assert main(["train", "config.yaml"]) == 0
    loaded = load_model("run")
    assert loaded.config.model.family == "marian"
    assert loaded.tokenizers.source.digest != loaded.tokenizers.target.digest
    assert export_to_huggingface(loaded, Path("back")).family == "marian"
    with pytest.raises(UsageError, match="two that share a vocabulary"):
        extend(loaded.tokenizers.source, ENGLISH, 5, 1)
    assert load_config("config.yaml").tokenizer.joint


# SentencePiece models alone


def test_a_spiece_model_is_read(tmp_path: Path) -> None:
    save_tiny("t5", tmp_path / "theirs", spare_rows=200)
    (tmp_path / "theirs" / "tokenizer.json").unlink()
    model = learned(ENGLISH, 110, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    (tmp_path / "theirs" / "spiece.model").write_bytes(model)
    import_model(tmp_path / "theirs", tmp_path / "ours")
    loaded = load_model(tmp_path / "ours")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    assert tokenizer.convert_tokens_to_ids("<extra_id_0>") == len(pieces_of(model)) + 99
    rows, vocabulary = rows_of(loaded), loaded.tokenizers.source.vocabulary
    assert rows[vocabulary.index("<extra_id_0>")] == len(pieces_of(model)) + 99
    for text in [*texts(), *(text for text in STRANGE if "<" not in text and "▁" not in text)]:
        assert [*as_there(loaded.tokenizers, rows, text, "source"), 1] == tokenizer(text).input_ids, text
    export_to_huggingface(loaded, tmp_path / "back")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    assert all(again(text).input_ids == tokenizer(text).input_ids for text in ENGLISH)


def test_a_tokenizer_model_is_read(tmp_path: Path) -> None:
    save_tiny("llama", tmp_path / "theirs", spare_rows=200)
    directory = tmp_path / "theirs"
    (directory / "tokenizer.json").unlink()
    model = learned(
        ["def f(x):\n    return  x\n", *ENGLISH], 420, model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, split_by_whitespace=True,
    )  # fmt: skip
    (directory / "tokenizer.model").write_bytes(model)
    settings = json.loads((directory / "config.json").read_text("utf-8")) | {"bos_token_id": 1, "eos_token_id": 2}
    (directory / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    (directory / "generation_config.json").unlink(missing_ok=True)
    told = {"tokenizer_class": "LlamaTokenizer", "added_tokens_decoder": {str(len(pieces_of(model))): {"content": "<|new|>"}}}
    (directory / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    import_model(directory, tmp_path / "ours")
    loaded = load_model(tmp_path / "ours")
    tokenizer = transformers.LlamaTokenizer.from_pretrained(directory)
    assert "▁▁" in pieces_of(model)
    rows = rows_of(loaded)
    assert rows[loaded.tokenizers.source.vocabulary.index("<|new|>")] == len(pieces_of(model))
    for text in [*texts(), "two  blanks", "    four", *(text for text in STRANGE if "<" not in text and "▁" not in text)]:
        wanted = tokenizer(text, add_special_tokens=False).input_ids
        assert as_there(loaded.tokenizers, rows, text, "source") == wanted, text


@pytest.mark.parametrize(
    ("name", "file"),
    [("mbart", "sentencepiece.bpe.model"), ("bert", "vocab.txt"), ("gpt2", "vocab.json"), ("bart", "merges.txt")],
)
def test_other_tokenizers_are_refused_with_a_way_out(name: str, file: str, tmp_path: Path) -> None:
    assert name in TINY
    save_tiny(name, tmp_path / "theirs")
    (tmp_path / "theirs" / "tokenizer.json").rename(tmp_path / "theirs" / file)
    with pytest.raises(ModelError, match=rf"has a tokenizer as {file}, and no tokenizer\.json\s+→ write one .*AutoTokenizer"):
        import_model(tmp_path / "theirs", tmp_path / "ours")


def test_a_table_of_positions_in_the_file_is_not_missed(tmp_path: Path) -> None:
    save_marian(tmp_path / "theirs")
    path = tmp_path / "theirs" / "model.safetensors"
    tables = {f"model.{stack}.embed_positions.weight": torch.zeros(128, 32) for stack in ("encoder", "decoder")}
    save_file({**load_file(path), **tables}, path)
    assert import_model(tmp_path / "theirs", tmp_path / "ours").left == []


@pytest.mark.parametrize("name", ["source.spm", "target.spm", "vocab.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"</s>": "x"}', b'{"a": 0, "b": 0}', b"\x80\x04\x95", None])
def test_damaged_files_of_marian_are_named(name: str, content: bytes | None, tmp_path: Path) -> None:
    save_marian(tmp_path / "theirs")
    path = tmp_path / "theirs" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match="theirs"):
        import_model(tmp_path / "theirs", tmp_path / "ours")


@pytest.mark.parametrize("name", ["tokenizer.source.spm", "tokenizer.vocabulary.json"])
def test_files_that_were_changed_are_noticed(marian: Pair, name: str, tmp_path: Path) -> None:
    marian[2].tokenizers.save(tmp_path)
    loaded = Tokenizers.load(tmp_path)
    assert loaded.digest == marian[2].tokenizers.digest
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        Tokenizers.load(tmp_path)


def test_blanks_within_pieces_keep_words_together(tmp_path: Path) -> None:
    path = tmp_path / "one.model"
    path.write_bytes(learned(ENGLISH, 100))
    assert Tokenizer.load(path).content["pre_tokenizer"]["split"] is True
