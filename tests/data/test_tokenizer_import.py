"""Tokenizer files of others, damaged and hostile ones (catalogue 71, 72, 86), and the tokenizers of a configuration."""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from headway.config import Config, CorpusConfig, DataConfig, ModelConfig, TokenizerConfig
from headway.data import tokenizer_import
from headway.data.pairs import PairPreparation
from headway.data.tokenizer import SPECIAL_TOKENS, UNK_ID, Tokenizer, Tokenizers, train_tokenizer, train_tokenizers
from headway.errors import ModelError

LINES = [
    f"{who} {does} {what}{end}"
    for who in ("A man", "Two girls", "Ein kleiner Junge", "Zwei Hunde", "一个男人")
    for does in ("sees", "läuft schnell zu", "在看", "don't eat")
    for what in ("the house", "dem großen Haus", "一匹马", "3,500 T-shirts")
    for end in (".", "!", "...", "")
]
TEXTS = [*LINES, "strange wörds ωψ🦆 here", "", "  two  blanks ", "UPPER lower"]


def bert(path: Path) -> Backend:
    tokenizer = Backend(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(LINES, trainers.WordPieceTrainer(vocab_size=200, special_tokens=names, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=50)
    tokenizer.save(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def gpt(path: Path) -> Backend:
    tokenizer = Backend(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(LINES, trainer)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(path))
    return tokenizer


def xlm(path: Path) -> Backend:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "e", "▁the", "▁ma", "n", "s", "h", "o", "u", "se", "▁A", "t"]
    tokenizer = Backend(models.Unigram([(piece, -float(number)) for number, piece in enumerate(pieces)], unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.save(str(path))
    return tokenizer


@pytest.mark.parametrize("make", [bert, gpt, xlm])
def test_others_tokenizers_give_the_same_pieces(tmp_path: Path, make: Callable[[Path], Backend]) -> None:
    theirs = make(tmp_path / "tokenizer.json")
    ours = Tokenizer.load(tmp_path / "tokenizer.json", dropout=0.1)
    for text in TEXTS:
        encoding = theirs.encode(text, add_special_tokens=False)
        assert ours.pieces(ours.encode(text)) == [theirs.id_to_token(number) for number in encoding.ids]
        assert ours.decode(ours.encode(text)) == theirs.decode(encoding.ids)
    roles = ours.pieces(range(4))
    assert (
        roles
        == {
            "bert": ["[PAD]", "[CLS]", "[SEP]", "[UNK]"],
            "gpt": ["<pad>", "<s>", "<|endoftext|>", "<unk>"],
            "xlm": list(SPECIAL_TOKENS),
        }[make.__name__]
    )
    assert ours.decode([0, 1, *ours.encode("the man"), 2, 3]) == ours.decode(ours.encode("the man"))
    every_name = "a <s> b</s> <pad> [PAD] [CLS] [SEP]x <|endoftext|>"
    assert not {0, 1, 2} & {number for row in ours.encode_many([every_name, "the man"]) for number in row}
    assert not {0, 1, 2} & {number for row in ours.sample_many([every_name] * 3, 1) for number in row}
    ours.save(tmp_path / "ours.json")
    again = Tokenizer.load(tmp_path / "ours.json")
    assert again.digest == ours.digest
    sampled = ours.sample_many(TEXTS * 3, 1)
    if make is not bert:  # a word is unknown as a whole
        assert [ours.decode(row) for row in sampled] == [ours.decode(row) for row in ours.encode_many(TEXTS * 3)]
    assert sampled != ours.encode_many(TEXTS * 3)


def test_tokens_that_are_looked_for_in_the_text_stay_whole(tmp_path: Path) -> None:
    theirs = gpt(tmp_path / "t.json")
    theirs.add_tokens(["§§"])
    theirs.save(str(tmp_path / "t.json"))
    ours = Tokenizer.load(tmp_path / "t.json", dropout=0.5)
    for row in [ours.encode("A§§ man"), *ours.sample_many(["A§§ man"] * 5, 1)]:
        assert "§§" in ours.pieces(row)


SENTENCEPIECE: list[dict[str, Any]] = [
    {}, {"byte_fallback": True}, {"normalization_rule_name": "identity"}, {"add_dummy_prefix": False},
]  # fmt: skip


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("options", SENTENCEPIECE)
def test_sentencepiece_models_give_the_same_pieces(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=model, model_type=kind, vocab_size=400, hard_vocab_limit=False,
        minloglevel=2, user_defined_symbols=["<sep>"], **options,
    )  # fmt: skip
    (tmp_path / "m.model").write_bytes(model.getvalue())
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    ours = Tokenizer.load(tmp_path / "m.model", dropout=0.2)
    for text in (text for text in TEXTS if "..." not in text):  # equal paths: their sums are in 32 bits, here in 64
        numbers = theirs.encode(text)
        assert ours.pieces(ours.encode(text)) == [theirs.id_to_piece(number) for number in numbers]
        if theirs.unk_id() not in numbers:
            assert ours.decode(ours.encode(text)) == theirs.decode(numbers)
    assert (UNK_ID in ours.encode("ωψ🦆")) == ("byte_fallback" not in options)
    assert "<sep>" in ours.pieces(ours.encode("a<sep>b"))
    assert not {0, 1, 2} & set(ours.encode("a<s>b </s> <pad>"))
    assert ours.pieces(range(4)) == list(SPECIAL_TOKENS)
    assert [ours.decode(row) for row in ours.sample_many(LINES, 3)] == [ours.decode(row) for row in ours.encode_many(LINES)]
    ours.save(tmp_path / "tokenizer.json")
    assert Tokenizer.load(tmp_path / "tokenizer.json").digest == ours.digest


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(train_tokenizer(LINES, TokenizerConfig(vocabulary_size=120))._content))
    return content


def changed(content: dict[str, Any], *changes: tuple[str, Any]) -> bytes:
    copy = json.loads(json.dumps(content))
    for path, value in changes:
        *parents, last = path.split(".")
        at = copy
        for key in parents:
            at = at[int(key)] if isinstance(at, list) else at[key]
        at[int(last) if isinstance(at, list) else last] = value
    return json.dumps(copy).encode()


BOMB = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
HOSTILE: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "empty": lambda good: b"",
    "no JSON": lambda good: b"{",
    "array": lambda good: b"[]",
    "no model": lambda good: b"{}",
    "empty model": lambda good: b'{"model": {}}',
    "model of text": lambda good: b'{"model": "BPE"}',
    "pickle": lambda good: b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "zip": lambda good: b"PK\x03\x04" + b"\0" * 100,
    "web page": lambda good: b"<!DOCTYPE html><html>",
    "git-LFS": lambda good: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "deep": lambda good: b'{"model":' + b"[" * 200_000,
    "deep objects": lambda good: b'{"model":' * 5000 + b"1" + b"}" * 5000,
    "not UTF-8": lambda good: b'{"model": "\xff"}',
    "UTF-16": lambda good: json.dumps(good).encode("utf-16"),
    "NaN": lambda good: changed(good, ("model.vocab.zz", float("nan"))),
    "key twice": lambda good: b'{"model": {}, "model": {}}',
    "huge number": lambda good: changed(good, ("model.vocab.zz", "NUMBER")).replace(b'"NUMBER"', b"9" * 5000),
    "half a surrogate": lambda good: changed(good, ("model.vocab.zz", 1)).replace(b'"zz"', b'"\\ud800"'),
    "regex bomb": lambda good: changed(good, ("pre_tokenizer", BOMB)),
    "regex bomb within": lambda good: changed(good, ("pre_tokenizer.pretokenizers.1", BOMB)),
    "regex in the normaliser": lambda good: changed(good, ("normalizer.normalizers.1.pattern", {"Regex": "(x*)*y"})),
    "regex in the decoder": lambda good: changed(good, ("decoder", {"type": "Replace", "pattern": {"Regex": "(a|a)*"}})),
    "unknown model": lambda good: changed(good, ("model.type", "Lua")),
    "unknown step": lambda good: changed(good, ("normalizer", {"type": "Python", "code": "1"})),
    "broken charsmap": lambda good: changed(good, ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "//////8="})),
    "merge of nothing known": lambda good: changed(good, ("model.merges.0", ["never", "seen"])),
    "merges of numbers": lambda good: changed(good, ("model.merges", [1, 2])),
    "negative number": lambda good: changed(good, ("model.vocab.zz", -1)),
    "text for a number": lambda good: changed(good, ("model.vocab.zz", "1")),
    "no vocabulary": lambda good: changed(good, ("model.vocab", None)),
    "added token of a number": lambda good: changed(good, ("added_tokens.0.content", 5)),
    "added token without text": lambda good: changed(good, ("added_tokens.0.content", "")),
    "added tokens are text": lambda good: changed(good, ("added_tokens", "abc")),
    "unigram with broken scores": lambda good: changed(good, ("model", {"type": "Unigram", "vocab": [["a", "b"]], "unk_id": 0})),
    "unigram without pieces": lambda good: changed(good, ("model", {"type": "Unigram", "vocab": [], "unk_id": 7})),
    "unigram piece twice": lambda good: changed(good, ("model", {"type": "Unigram", "vocab": [["a", 0.0]] * 2, "unk_id": 0})),
    "unknown is padding": lambda good: changed(good, ("model.unk_token", "<pad>")),
}  # fmt: skip


@pytest.mark.parametrize("fault", HOSTILE)
def test_hostile_files_are_refused_at_once(
    tmp_path: Path, good: dict[str, Any], fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(HOSTILE[fault](good))
    start = time.monotonic()
    with pytest.raises(ModelError) as caught:
        Tokenizer.load(path)
    assert time.monotonic() - start < 3
    assert caught.value.where == str(path)
    assert caught.value.remedy
    assert caught.value.exit_code == 4


def test_templates_and_randomness_are_dropped(tmp_path: Path, good: dict[str, Any]) -> None:
    template = {
        "type": "TemplateProcessing", "pair": [], "single": [{"SpecialToken": {"id": "{{7*7}}", "type_id": 0}}],
        "special_tokens": {"{{7*7}}": {"id": "{{7*7}}", "ids": [1], "tokens": ["<s>"]}},
    }  # fmt: skip
    (tmp_path / "t.json").write_bytes(
        changed(good, ("post_processor", template), ("model.dropout", 0.9), ("chat_template", "{{x}}"))
    )
    loaded = Tokenizer.load(tmp_path / "t.json")
    assert loaded.encode_many(LINES) == Tokenizer(good).encode_many(LINES)
    loaded.save(tmp_path / "s.json")
    assert b"{{" not in (tmp_path / "s.json").read_bytes()


def test_gaps_in_the_numbers_are_closed(tmp_path: Path, good: dict[str, Any]) -> None:
    (tmp_path / "t.json").write_bytes(changed(good, ("model.vocab.zzz", 4_000_000_000)))
    loaded = Tokenizer.load(tmp_path / "t.json")
    assert loaded.vocabulary_size == len(good["model"]["vocab"]) + 1
    assert loaded.vocabulary[-1] == "zzz"


def test_too_large_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: dict[str, Any]) -> None:
    (tmp_path / "t.json").write_bytes(changed(good))
    monkeypatch.setattr(tokenizer_import, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="larger than"):
        Tokenizer.load(tmp_path / "t.json")
    monkeypatch.undo()
    monkeypatch.setattr(tokenizer_import, "MAX_PIECES", 50)
    with pytest.raises(ModelError, match="more than 50 pieces"):
        Tokenizer.load(tmp_path / "t.json")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a regular file"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.jsn").write_text("x")
    with pytest.raises(ModelError, match=r"did you mean .*tokenizer\.jsn"):
        Tokenizer.load(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("form", ["json", "model"])
def test_damaged_files_give_a_tokenizer_or_a_refusal(tmp_path: Path, good: dict[str, Any], form: str) -> None:
    whole = changed(good)
    if form == "model":
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(LINES), model_writer=model, vocab_size=100, hard_vocab_limit=False, minloglevel=2,
            normalization_rule_name="identity",
        )  # fmt: skip
        whole = model.getvalue()
    rng = random.Random(5)
    refused = 0
    for round_ in range(300):
        data = bytearray(whole)
        if round_ % 3 == 0:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.randint(1, 4)):
            if data:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (tmp_path / "t").write_bytes(data)
        try:
            loaded = Tokenizer.load(tmp_path / "t")
        except ModelError:
            refused += 1
        else:
            assert max(loaded.encode(LINES[0]), default=0) < loaded.vocabulary_size
    assert refused > 100


def config(tmp_path: Path, **tokenizer: Any) -> Config:
    (tmp_path / "t.tsv").write_text("en\tde\n" + "".join(f"The {line}\tDIE {line}\n" for line in LINES), encoding="utf-8")
    corpus = CorpusConfig(path=str(tmp_path / "t.tsv"), source="en", target="de")
    return Config(
        run_directory=str(tmp_path / "run"),
        data=DataConfig(train=corpus, validation=corpus, preprocessing=["lowercase"]),
        tokenizer=TokenizerConfig(**{"vocabulary_size": 150, **tokenizer}),
        model=ModelConfig(tied_embeddings="none"),
    )


def learned(settings: Config) -> Tokenizers:
    return train_tokenizers(settings, PairPreparation.read)


def test_the_tokenizers_of_a_configuration(tmp_path: Path) -> None:
    joint = learned(config(tmp_path, dropout=0.1))
    assert joint.joint
    assert joint.source.dropout == 0.1
    assert UNK_ID not in joint.source.encode("the house die")
    assert UNK_ID in joint.source.encode("T")  # lower-cased before it was learned
    assert learned(config(tmp_path)).digest == joint.digest
    apart = learned(config(tmp_path, joint=False))
    assert not apart.joint
    assert apart.source.digest != apart.target.digest
    assert "▁the" in apart.source.vocabulary
    assert "▁die" in apart.target.vocabulary
    part = learned(config(tmp_path, sample_lines=100))
    assert part.digest == learned(config(tmp_path, sample_lines=100)).digest != joint.digest


def test_a_given_tokenizer_is_used(tmp_path: Path, good: dict[str, Any]) -> None:
    (tmp_path / "given.json").write_bytes(changed(good))
    given = learned(config(tmp_path, path=str(tmp_path / "given.json"), dropout=0.2))
    assert given.joint
    assert given.source.dropout == 0.2
    assert given.source.digest == Tokenizer(good).digest
    with pytest.raises(ModelError, match="no such file"):
        learned(config(tmp_path, path=str(tmp_path / "none.json")))
