"""GGUF files of tiny models: read back by transformers, and what llama.cpp cannot know refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from headway.config import Config
from headway.data.tokenizer import Tokenizer
from headway.errors import UsageError
from headway.interop.gguf import GgufFile, gguf_problem, write_gguf
from headway.interop.gguf_tokenizer import LEADING_BLANK, NOT_NFC, vocabulary_of
from headway.interop.huggingface import import_model
from headway.interop.huggingface_export import export_to_huggingface
from headway.model_dir import LoadedModel, load_model

transformers = pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")
gguf = pytest.importorskip("gguf", reason="GGUF files are written by the package gguf")

from own_writers import SHAPES, WORDS, byte_level, config_of, own_writer, sentencepiece  # noqa: E402  (needs transformers)
from tiny_models import TEXT, save_tiny  # noqa: E402

WRITERS = ("gpt2", "llama", "llama_with_biases", "mistral", "qwen2", "qwen3")
ALL = (*WRITERS, *(f"own_{name}" for name in SHAPES))


def loaded_writer(name: str, directory: Path) -> LoadedModel:
    if name.startswith("own_"):
        return load_model(own_writer(SHAPES[name.removeprefix("own_")], directory / "ours"))
    save_tiny(name, directory / "theirs")
    import_model(directory / "theirs", directory / "ours")
    return load_model(directory / "ours")


def read_back(loaded: LoadedModel, found: GgufFile, directory: Path) -> tuple[Any, dict[str, torch.Tensor]]:
    """The model as transformers opens its export to Hugging Face, and the tensors that it reads from the GGUF file."""
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    export_to_huggingface(loaded, directory / "export")
    path = directory / "export" / "config.json"  # as Llama's, which is what the architecture "llama" is called there
    path.write_text(path.read_text("utf-8").replace('"mistral"', '"llama"').replace("Mistral", "Llama"), encoding="utf-8")
    model = transformers.AutoModelForCausalLM.from_pretrained(directory / "export").eval()
    return model, load_gguf_checkpoint(str(found.path), return_tensors=True, model_to_load=model)["tensors"]


def settings_of(path: Path) -> dict[str, Any]:
    return {key: field.contents() for key, field in gguf.GGUFReader(path).fields.items()}


@torch.no_grad()
@pytest.mark.parametrize("name", ALL)
def test_transformers_reads_the_same_tensors_and_computes_the_same(name: str, tmp_path: Path) -> None:
    loaded = loaded_writer(name, tmp_path)
    assert gguf_problem(loaded.config) is None
    model, tensors = read_back(loaded, write_gguf(loaded, tmp_path), tmp_path)
    stored = model.state_dict()
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    assert tensors.keys() == stored.keys() - tied
    assert [key for key, tensor in tensors.items() if not torch.equal(tensor, stored[key])] == []
    for parameter in model.parameters():
        parameter.zero_()
    model.load_state_dict(tensors, strict=False)
    numbers = loaded.config.tokenizer.special_numbers
    ids = torch.arange(40, 60)[None] if not numbers else torch.tensor([[4, *range(50, 60)]])
    rows = torch.tensor([*numbers[:4], *(row for row in range(400) if row not in numbers[:4])]) if numbers else torch.arange(400)
    ours = loaded.model.logits(loaded.model.decode(ids, None, None))
    wanted = model(rows[ids]).logits[..., rows[50:200]]
    assert wanted.abs().max() > 0.5
    torch.testing.assert_close(ours[..., 50:200], wanted, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "qwen3"])
def test_smaller_numbers_are_near(name: str, tmp_path: Path) -> None:
    loaded = loaded_writer(name, tmp_path)
    for kind in ("f16", "q8_0"):
        (tmp_path / kind).mkdir()
        found = write_gguf(loaded, tmp_path / kind, kind)
        model, tensors = read_back(loaded, found, tmp_path / kind)
        stored = model.state_dict()
        for key, tensor in tensors.items():
            kept = tensor.dim() < 2 or "wpe" in key
            halves = kind == "f16" or tensor.shape[-1] % 32 > 0
            step = stored[key].abs() / 2**11 if halves else stored[key].abs().max() / 127
            assert (tensor - stored[key]).abs().le(0 if kept else step + 1e-7).all(), key
        assert any((tensor - stored[key]).abs().max() > 1e-6 for key, tensor in tensors.items())
        assert settings_of(found.path)["general.file_type"] == {"f16": 1, "q8_0": 7}[kind]
    sizes = [(tmp_path / kind / "model.gguf").stat().st_size for kind in ("f16", "q8_0")]
    assert sizes[1] < 0.75 * sizes[0]


def test_settings_say_what_the_model_is(tmp_path: Path) -> None:
    found = write_gguf(loaded_writer("llama", tmp_path), tmp_path)
    told = settings_of(found.path)
    assert told["general.architecture"] == "llama"
    shape = {
        "context_length": 64, "embedding_length": 32, "block_count": 2, "feed_forward_length": 48, "attention.head_count": 4,
        "attention.head_count_kv": 2, "attention.key_length": 8, "attention.value_length": 8, "rope.dimension_count": 8,
        "rope.freq_base": 500000.0, "vocab_size": 333,
    }  # fmt: skip
    assert {key: told[f"llama.{key}"] for key in shape} == shape
    assert told["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)
    marks = {key.removeprefix("tokenizer.ggml."): value for key, value in told.items() if key.startswith("tokenizer.")}
    assert (marks["model"], marks["pre"], len(marks["tokens"])) == ("gpt2", "gpt-2", 333)
    assert (marks["bos_token_id"], marks["eos_token_id"], marks["add_bos_token"], marks["add_eos_token"]) == (0, 1, True, False)
    assert marks["token_type"][:3] == [3, 3, 1]
    assert marks["token_type"][-3:] == [5, 5, 5], "rows of no piece"
    assert "rope_freqs.weight" in {tensor.name for tensor in gguf.GGUFReader(found.path).tensors}
    scaled = settings_of(write_gguf(loaded_writer("own_llama_linear", tmp_path / "own"), tmp_path / "own").path)
    assert (scaled["llama.rope.scaling.type"], scaled["llama.rope.scaling.factor"]) == ("linear", 4.0)
    assert scaled["tokenizer.ggml.suppress_tokens"] == [0, 1, 3]


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2", "own_llama"])
def test_transformers_cuts_texts_alike(name: str, tmp_path: Path) -> None:
    loaded = loaded_writer(name, tmp_path)
    write_gguf(loaded, tmp_path)
    export_to_huggingface(loaded, tmp_path / "export")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    wanted = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "export" / "tokenizer.json"))
    for text in TEXT:
        found = theirs(text, add_special_tokens=False).input_ids
        assert found == wanted(text, add_special_tokens=False).input_ids
        assert theirs.decode(found) == text


@pytest.mark.parametrize("name", [*WORDS, "sentencepiece"])
def test_transformers_cuts_texts_of_every_tokenizer_alike(name: str, tmp_path: Path) -> None:
    tokenizer = byte_level(name) if name in WORDS else sentencepiece()
    found = write_gguf(load_model(own_writer(SHAPES["llama"], tmp_path / "ours", tokenizer)), tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    for text in [*TEXT, "It's 1234, IT'S 56"]:
        assert theirs(text, add_special_tokens=False).input_ids == tokenizer.encode(text)
    assert settings_of(found.path).get("tokenizer.ggml.add_space_prefix") is (None if name in WORDS else True)


# Tokenizers


def vocabulary(tokenizer: Tokenizer) -> Any:
    return vocabulary_of(tokenizer, torch.arange(tokenizer.vocabulary_size), "model")


@pytest.mark.parametrize("words", WORDS)
def test_tokenizers_of_bytes_have_the_name_of_their_words(words: str) -> None:
    found = vocabulary(byte_level(words))
    assert (found.model, found.pre, found.scores) == ("gpt2", words, [])
    assert found.notes == ([NOT_NFC] if words == "qwen2" else [])
    assert found.kinds[:5] == [3, 3, 3, 2, 1]
    assert len(found.merges) == len(found.pieces) - 260


def test_merges_of_sentencepiece_become_scores() -> None:
    found = vocabulary(sentencepiece())
    assert (found.model, found.pre, found.prefix, found.notes) == ("llama", "default", True, [])
    score = dict(zip(found.pieces, found.scores, strict=True))
    assert score["▁a"] > score["▁me"] > score["▁men"] > score["▁the"]
    assert found.kinds[2:5] == [3, 2, 6]
    assert vocabulary(sentencepiece(metaspace=True)).notes == [LEADING_BLANK]


def altered(tokenizer: Tokenizer, **parts: Any) -> Tokenizer:
    return Tokenizer(json.loads(json.dumps(tokenizer.content)) | parts)


LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}


def unknown_to_llama_cpp() -> list[tuple[Tokenizer, str]]:
    plain, pieces = byte_level("gpt-2"), sentencepiece()
    merges = pieces.content["model"]["merges"]
    return [
        (altered(plain, normalizer={"type": "NFKC"}), "changes texts by NFKC"),
        (altered(plain, pre_tokenizer=LEVEL | {"add_prefix_space": True}), "puts a blank before a text of bytes"),
        (altered(plain, pre_tokenizer=LEVEL | {"use_regex": False}), "cuts texts by nothing"),
        (altered(plain, model=plain.content["model"] | {"ignore_merges": True}), "takes words that are pieces whole"),
        (altered(plain, added_tokens=[*plain.content["added_tokens"], {
            "id": 300, "content": plain.vocabulary[300], "special": False, "lstrip": True, "rstrip": False, "single_word": False,
            "normalized": False}]), "takes blanks or word ends"),
        (altered(pieces, pre_tokenizer=METASPACE, normalizer=None), "never joins words, but has the piece '▁▁'"),
        (altered(pieces, normalizer={"type": "Strip", "strip_left": True, "strip_right": True}), "makes words of texts by Strip"),
        (sentencepiece(byte_fallback=False), "has no bytes for characters that are no pieces"),
        (sentencepiece(merges=merges[:-1]), "never makes '▁the' of"),
        (sentencepiece(merges=[*merges[1:], merges[0]]), "makes|never"),
        (sentencepiece(merges=[merges[-1], *merges[:-1]]), "makes the piece '▁the' early and late"),
    ]  # fmt: skip


def test_tokenizers_that_llama_cpp_does_not_know_are_refused() -> None:
    for tokenizer, problem in unknown_to_llama_cpp()[:9]:
        with pytest.raises(UsageError, match=problem):
            vocabulary(tokenizer)
    with pytest.raises(UsageError, match="early and late"):
        vocabulary(unknown_to_llama_cpp()[-1][0])


@pytest.mark.parametrize("kind", ["unigram", "wordpiece", "word", "character", "bpe"])
def test_tokenizers_of_our_own_that_are_not_of_bytes_are_refused(kind: str) -> None:
    from headway.config import TokenizerConfig
    from headway.data.tokenizer import train_tokenizer

    settings = {"kind": kind, "vocabulary_size": 100, "minimum_frequency": 1}
    told = gguf_problem(config_of(SHAPES["llama"], settings))
    assert told is not None
    assert told.startswith(f"tokenizer.kind={kind} with bytes=none is not known there")
    with pytest.raises(UsageError, match=r"which llama\.cpp does not know"):
        vocabulary(train_tokenizer(TEXT * 3, TokenizerConfig(**settings)))


# Models

LLAMA3 = {"kind": "llama3", "factor": 8.0, "low_frequency_factor": 1.0, "high_frequency_factor": 4.0, "original_positions": 16}


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ({"activation": "gelu"}, "model.activation=gelu is gelu_tanh there"),
        ({"activation": "relu"}, "model.activation=relu is gelu_tanh there"),
        ({"positions": "relative", "activation": "gelu_tanh"}, "positions=relative is nothing that GPT2LMHeadModel has"),
        ({**SHAPES["llama"], "activation": "relu"}, "model.activation=relu is silu there"),
        ({**SHAPES["llama"], "family": "qwen2", "head_width": 12}, "model.head_width=12 must be width / heads"),
        ({**SHAPES["llama"], "family": "qwen3", "attention_bias": "all"}, "model.attention_bias has no place there"),
        (
            {**SHAPES["llama"], "family": "qwen3", "rotary_scaling": LLAMA3},
            "model.rotary_scaling.kind=llama3 is not computed there",
        ),
    ],
)
def test_what_llama_cpp_computes_otherwise_is_told_before_training(shape: dict[str, Any], problem: str, tmp_path: Path) -> None:
    told = gguf_problem(config_of(shape))
    assert told is not None
    assert problem in told
    if "family" not in shape:
        with pytest.raises(UsageError, match=r"llama\.cpp cannot run this model"):
            write_gguf(load_model(own_writer(shape, tmp_path / "ours")), tmp_path)
        assert not (tmp_path / "model.gguf").exists()


def test_other_tasks_and_forms_are_refused() -> None:
    values = config_of(SHAPES["llama"]).model_dump()
    corpus = {"path": "none.tsv", "source": 0, "target": 1}
    values |= {"task": "translation", "data": {"train": corpus, "validation": corpus}, "model": {"preset": "tiny"}}
    other = Config.model_validate(values, context={"paths_as_written": True})
    assert gguf_problem(other) == "only language models can go there, and task=translation is none"
    form = config_of(SHAPES["llama"], {"bytes": "level", "normalization": "nfkc"})
    assert gguf_problem(form) == "tokenizer.normalization=nfkc is not known there, but none is"


def test_what_halves_cannot_hold_is_told(tmp_path: Path) -> None:
    loaded = load_model(own_writer(SHAPES["llama"], tmp_path / "ours"))
    with torch.no_grad():
        loaded.model.decoder[0].feed_forward.outer.weight[0, 0] = 1e6
    with pytest.raises(UsageError, match=r"blk\.0\.ffn_down\.weight holds 1e\+06"):
        write_gguf(loaded, tmp_path, "f16")
    with pytest.raises(UsageError, match="'q4' is none of f16, q8_0"):
        write_gguf(loaded, tmp_path, "q4")
    assert write_gguf(loaded, tmp_path).path.is_file()
