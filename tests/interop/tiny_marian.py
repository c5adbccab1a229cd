"""A tiny model of Marian as OPUS-MT's directories are: two SentencePiece models, one vocabulary, no tokenizer.json."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers

ENGLISH = [
    "A man in a blue shirt is standing on a ladder cleaning a window.",
    "Two young men are outside near many bushes.",
    "A little girl climbs into a wooden playhouse, and a dog runs after her!",
    "Several men in hard hats operate a giant pulley system. It is 10 o'clock.",
    'Three (3) cats? No: four; "five" & 20% more - naïve.',
]
GERMAN = [
    "Ein kleines Mädchen klettert in ein Spielhaus aus Holz.",
    "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche.",
    "Ein Mann in einem blauen Hemd steht auf einer Leiter und putzt ein Fenster.",
    "Mehrere Männer mit Schutzhelmen bedienen ein Antriebsradsystem; es ist 7 Uhr!",
]
LANGUAGES = (">>deu<<", ">>nld<<")


def learned(texts: list[str], size: int, **settings: Any) -> bytes:
    """A SentencePiece model, as its file holds it."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 3), model_writer=out, vocab_size=size, hard_vocab_limit=False, minloglevel=2, **settings
    )
    return out.getvalue()


def pieces_of(model: bytes) -> list[str]:
    found = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [found.id_to_piece(number) for number in range(found.get_piece_size())]


def save_marian(directory: Path, *, languages: tuple[str, ...] = (), seed: int = 0) -> Any:
    """The model, saved with its tokenizer. The vocabulary lacks a few pieces of either model, as OPUS-MT's do."""
    directory.mkdir(parents=True)
    models = {"source.spm": learned(ENGLISH, 130), "target.spm": learned(GERMAN, 150)}
    for name, content in models.items():
        (directory / name).write_bytes(content)
    found = [piece for model in models.values() for piece in pieces_of(model)[3:]]
    kept = [piece for number, piece in enumerate(dict.fromkeys(found)) if number % 17 != 5]
    pieces = ["</s>", "<unk>", *kept, *languages, "<pad>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    (directory / "vocab.json").write_text(json.dumps(vocabulary, indent=2), encoding="utf-8")
    told = {"source_lang": "en", "target_lang": "de", "tokenizer_class": "MarianTokenizer"}
    (directory / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    last = len(pieces) - 1
    torch.manual_seed(seed)
    config = transformers.MarianConfig(
        vocab_size=len(pieces), d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=128, scale_embedding=True,
        activation_function="swish", eos_token_id=0, pad_token_id=last, decoder_start_token_id=last, bos_token_id=0,
        forced_eos_token_id=0,
    )  # fmt: skip
    model = transformers.MarianMTModel(config).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "embed_positions" not in key:  # a table that is no weight
                parameter.add_((0.1 if "shared" in key else 0.3) * torch.randn_like(parameter))
        model.final_logits_bias.add_(0.3 * torch.randn_like(model.final_logits_bias))
    model.save_pretrained(directory)
    path = directory / "config.json"
    old = {"_num_labels": 3, "num_hidden_layers": 2, "extra_pos_embeddings": len(pieces), "static_position_embeddings": True,
           "bad_words_ids": [[last]], "num_beams": 6, "normalize_before": False, "add_bias_logits": False}  # fmt: skip
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **old}), encoding="utf-8")
    return model
