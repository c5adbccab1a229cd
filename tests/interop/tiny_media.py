"""Tiny random models of Hugging Face that see and hear, saved with what prepares their files; and files to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

PATCH, SIDE = 8, 24
SIGHTS = ("cat", "dog", "crane", "crane")


def save_vit(
    directory: Path, *, head: bool = True, seed: int = 0, processor: dict[str, Any] | None = None, **settings: Any
) -> Any:
    """A ViT with its head or without, and its preprocessor_config.json."""
    torch.manual_seed(seed)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    names = {"id2label": dict(enumerate(SIGHTS)), "label2id": {name: number for number, name in enumerate(SIGHTS)}}
    config = transformers.ViTConfig(**{**shape, "image_size": SIDE, "patch_size": PATCH, **names, **settings})
    model = (transformers.ViTForImageClassification if head else transformers.ViTModel)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    model.save_pretrained(directory)
    size = dict(zip(("height", "width"), np.broadcast_to(config.image_size, 2).tolist(), strict=True))
    made = transformers.ViTImageProcessorPil(**{"size": size, "image_mean": [0.5] * 3, **(processor or {})})
    made.save_pretrained(directory)
    return model


def save_picture(path: Path, width: int, height: int, seed: int = 0) -> Path:
    """Smooth shapes and some noise, as a photograph has."""
    chance = np.random.default_rng(seed)
    coarse = Image.fromarray(chance.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    noise = chance.integers(-20, 20, (height, width, 3))
    Image.fromarray((np.asarray(coarse).astype(int) + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


def change(path: Path, **settings: Any) -> None:
    """Other settings in a JSON file; None takes one out."""
    content = {**json.loads(path.read_text("utf-8")), **settings}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}), encoding="utf-8")


# ---- what hears

LANGUAGES = ("<|en|>", "<|zh|>", "<|de|>")  # in the order of theirs
SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", *LANGUAGES, "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>",
    "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
TIMES = tuple(f"<|{number / 50:.2f}|>" for number in range(4))
TEXTS = ["the man walks his dog", "two girls are here and a dog runs after them", "ein Mann und ein Hund"]
SECONDS, RATE = 2, 16000


def whisper_tokenizer() -> Any:
    """As theirs: subwords of bytes, then special pieces, then times."""
    base = Tokenizer(models.BPE())
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    base.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
    model = json.loads(base.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    model["vocab"][""] = len(model["vocab"])  # theirs has it
    made = transformers.WhisperTokenizer(vocab=model["vocab"], merges=merges)
    made.add_special_tokens({"additional_special_tokens": list(SPECIAL[1:])})
    made.add_tokens(list(TIMES))
    return made


def save_whisper(directory: Path, *, english: bool = False, mels: int = 80, seed: int = 0, **generation: Any) -> Any:
    """A Whisper for recordings of two seconds, its tokenizer, and what prepares sound; a row of its table has no piece."""
    tokenizer = whisper_tokenizer()
    numbers = {piece: tokenizer.convert_tokens_to_ids(piece) for piece in SPECIAL}
    torch.manual_seed(seed)
    sides = {
        f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in (("attention_heads", 4), ("ffn_dim", 48))
    }
    end, start = numbers["<|endoftext|>"], numbers["<|startoftranscript|>"]
    config = transformers.WhisperConfig(
        d_model=32, encoder_layers=2, decoder_layers=2, max_source_positions=50 * SECONDS, max_target_positions=40, **sides,
        vocab_size=len(tokenizer) + 1, num_mel_bins=mels, pad_token_id=end, bos_token_id=end, eos_token_id=end,
        decoder_start_token_id=start, begin_suppress_tokens=None,
    )  # fmt: skip
    model = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    transformers.WhisperFeatureExtractor(feature_size=mels, chunk_length=SECONDS).save_pretrained(directory)
    never = [*range(start, len(tokenizer) + 1), 5, 17]
    told = {"suppress_tokens": never, "begin_suppress_tokens": [tokenizer.convert_tokens_to_ids("Ġ"), end]}
    told |= {"is_multilingual": not english, "no_timestamps_token_id": numbers["<|notimestamps|>"], "return_timestamps": False}
    if not english:
        told |= {"lang_to_id": {piece: numbers[piece] for piece in LANGUAGES}}
        told |= {"task_to_id": {task: numbers[f"<|{task}|>"] for task in ("translate", "transcribe")}}
    change(directory / "generation_config.json", **{"_from_model_config": None, **told, **generation})
    return transformers.WhisperForConditionalGeneration.from_pretrained(directory).eval()


def save_recording(path: Path, seconds: float = 1.3, seed: int = 0) -> Path:
    """Some tones that swell and fade, and noise: 16 bits."""
    chance = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    wave = sum(
        0.2 * np.sin(2 * np.pi * chance.uniform(150, 3000) * time) * np.sin(np.pi * (time / seconds + chance.uniform())) ** 2
        for _ in range(3)
    )
    wave = wave + 0.002 * chance.standard_normal(len(time))
    soundfile.write(path, (wave.clip(-1, 1) * 32767).astype(np.int16), RATE, subtype="PCM_16")
    return path
