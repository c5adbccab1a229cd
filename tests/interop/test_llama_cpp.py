"""What llama.cpp itself makes of our GGUF files: pieces, logits and texts. Skipped where llama-cpp-python is not compiled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from headway.errors import ModelError
from headway.inference.writer import Writer
from headway.interop.gguf import write_gguf
from headway.interop.llama_cpp import LlamaCpp
from headway.model_dir import load_model

pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")
pytest.importorskip("gguf", reason="GGUF files are written by the package gguf")
pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: it has to be compiled")

from own_writers import SHAPES, WORDS, byte_level, own_writer, sentencepiece
from test_gguf import ALL, loaded_writer
from tiny_models import TEXT

PROMPTS = [text[:length] for text in TEXT for length in range(1, 21)]
STRANGE = [
    "", " ", "  a   b ", "\n\n x \r\n\ty", "I'VE don't we'LL it's 'tis", "1234567 89.5", "<s> </s> <unk> <|endoftext|>",
    "漢字かな 😀 é", "aaaaaaa ------- ======", "naïve\u00a0x\u200dy", "the men in the man", "#hash_tag @x /y/z",
]  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("name", ALL)
def test_the_engine_reads_computes_and_writes_as_we_do(name: str, tmp_path: Path) -> None:
    loaded = loaded_writer(name, tmp_path)
    engine = LlamaCpp(write_gguf(loaded, tmp_path).path, loaded, context=64)
    encode = loaded.tokenizers.target.encode
    # Its GELU is looked up in a table of halves: logits of GPT-2 differ by so much, whatever wrote the file.
    near = 5e-3 if "gpt2" in name else 2e-5
    found = Writer(str(tmp_path / "ours"), method="greedy", precision="fp32", maximum_length=12).write(PROMPTS)
    agree = 0
    for prompt, (ours,) in zip(PROMPTS, found, strict=True):
        ids = [1, *encode(prompt)]
        assert engine.encode(prompt) == ids
        wanted = loaded.model.logits(loaded.model.decode(torch.tensor([ids]), None, None))[0]
        logits = engine.logits(ids)
        there = logits.isfinite()
        assert there.sum() >= len(ids) * 300
        torch.testing.assert_close(logits[there], wanted[there], rtol=1e-6, atol=near)
        agree += ours.ids[len(ids) - 1 :] == engine.continued(ids, 12)
    assert agree >= (95 if "gpt2" in name else 100)


@pytest.mark.parametrize("name", [*WORDS, "sentencepiece"])
def test_the_engine_cuts_every_text_alike(name: str, tmp_path: Path) -> None:
    tokenizer = byte_level(name) if name in WORDS else sentencepiece()
    loaded = load_model(own_writer(SHAPES["llama"], tmp_path / "ours", tokenizer))
    engine = LlamaCpp(write_gguf(loaded, tmp_path).path, loaded)
    for text in [*STRANGE, *TEXT, *PROMPTS]:
        assert engine.encode(text) == [1, *tokenizer.encode(text)], text


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    loaded = loaded_writer("own_llama", tmp_path)
    (tmp_path / "model.gguf").write_bytes(b"GGUF nothing")
    with pytest.raises(ModelError, match=r"llama\.cpp does not open it"):
        LlamaCpp(tmp_path / "model.gguf", loaded)
