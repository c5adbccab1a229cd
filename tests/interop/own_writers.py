"""Language models of our own with random weights, and tokenizers of every kind that llama.cpp knows, learned on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tiny_models import TEXT
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from headway.config import Config, TokenizerConfig
from headway.data.tokenizer import Tokenizer, Tokenizers, train_tokenizer
from headway.data.tokenizer_import import GPT2_WORDS, LLAMA3_WORDS, QWEN2_WORDS
from headway.data.tokenizer_layout import BYTE_TOKENS, SPECIAL_TOKENS, Json, special
from headway.model_dir import build_model, save_model

WORDS = ("gpt-2", "smollm", "llama-bpe", "smaug-bpe", "qwen2")
SIZES = {"preset": None, "encoder_layers": 0, "decoder_layers": 2, "width": 32, "feed_forward_width": 48, "heads": 4}
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {"activation": "gelu_tanh", "tied_embeddings": "decoder"},
    "gpt2_learned": {"activation": "gelu_tanh", "positions": "learned", "max_positions": 300, "embedding_scale": False},
    "llama": {"positions": "rotary", "norm": "rms", "gated": True, "activation": "silu", "bias": False, "key_value_heads": 2,
              "tied_embeddings": "none"},
    "llama_linear": {"positions": "rotary", "norm": "rms", "gated": True, "activation": "silu", "bias": False,
                     "rotary_scaling": {"kind": "linear", "factor": 4.0}, "tied_embeddings": "inputs"},
}  # fmt: skip


def config_of(shape: dict[str, Any], tokenizer: dict[str, Any] | None = None) -> Config:
    corpus = {"path": "none.txt", "source": "text"}
    return Config.model_validate(
        {
            "run_directory": "none",
            "task": "language_model",
            "data": {"train": corpus, "validation": corpus, "max_length": 60},
            "tokenizer": tokenizer or {"bytes": "level", "vocabulary_size": 320},
            "model": {**SIZES, **shape},
        },
        context={"paths_as_written": True},
    )


def own_writer(shape: dict[str, Any], directory: Path, tokenizer: Tokenizer | None = None) -> Path:
    """Its model directory; without a tokenizer it has one of bytes."""
    config = config_of(shape, {"path": "a.json", "vocabulary_size": tokenizer.vocabulary_size} if tokenizer else None)
    learned = tokenizer or train_tokenizer(TEXT * 3, TokenizerConfig(bytes="level", vocabulary_size=320))
    tokenizers = Tokenizers(learned, learned)
    model = build_model(config, tokenizers)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return save_model(directory, config, model.state_dict(), tokenizers)


def _split(pattern: str) -> Any:
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level(words: str) -> Tokenizer:
    """Of bytes, with words as those of a model are cut; `words` is llama.cpp's name of that."""
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    cuts = {
        "gpt-2": [_split(GPT2_WORDS)],
        "smollm": [pre_tokenizers.Digits(individual_digits=True), _split(GPT2_WORDS)],
        "llama-bpe": [_split(LLAMA3_WORDS)],
        "smaug-bpe": [_split(LLAMA3_WORDS)],
        "qwen2": [_split(QWEN2_WORDS)],
    }[words]
    backend = Backend(models.BPE(ignore_merges=words == "llama-bpe"))
    backend.pre_tokenizer = pre_tokenizers.Sequence([*cuts, level])
    backend.decoder = decoders.ByteLevel()
    if words == "qwen2":
        backend.normalizer = normalizers.NFC()
    trainer = trainers.BpeTrainer(
        vocab_size=350, special_tokens=list(SPECIAL_TOKENS), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    backend.train_from_iterator([*TEXT, "It's 1234, IT'S 56 <s>"] * 3, trainer)
    return Tokenizer(json.loads(backend.to_str()))


def sentencepiece(*, metaspace: bool = False, **changes: Any) -> Tokenizer:
    """As that of Llama 2: merges are all ways to make each piece, in the order of the pieces."""
    letters = sorted({*"".join(TEXT).replace(" ", "▁"), "▁"})
    longer = ["▁a", "▁m", "in", "en", "▁me", "▁men", "▁man", "an", "▁in", "▁▁", "er", "▁▁▁▁", "th", "▁th", "the", "▁the"]
    pieces = [*SPECIAL_TOKENS, *BYTE_TOKENS, *letters, *longer]
    merges = [
        [piece[:at], piece[at:]]
        for piece in longer
        for at in range(1, len(piece))
        if piece[:at] in pieces and piece[at:] in pieces
    ]
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    content: Json = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special(piece, number) for number, piece in enumerate(SPECIAL_TOKENS)],
        "normalizer": None if metaspace else {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace]},
        "pre_tokenizer": space if metaspace else None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, space | {"prepend_scheme": "always"}]},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": {piece: number for number, piece in enumerate(pieces)}, "merges": merges,
        },
    }  # fmt: skip
    content["model"] |= changes
    return Tokenizer(content)
