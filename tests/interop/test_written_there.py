"""What an exported model writes with transformers, greedily and by beams, is what it writes here: no special piece among it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import headway
from headway.config import Config, TokenizerConfig
from headway.data.tokenizer import Tokenizers, train_tokenizer
from headway.evaluation.huggingface_answers import HuggingFaceAnswers
from headway.inference.predictor import Predictor
from headway.inference.writer import Writer
from headway.interop.huggingface import import_model
from headway.interop.huggingface_export import export_to_huggingface
from headway.model_dir import build_model, load_model, save_model

transformers = pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")

from tiny_models import TEXT, save_tiny  # noqa: E402  (needs transformers)

SPECIAL = (0, 1, 3)
GIVEN = [text[:length] for text in TEXT for length in (5, 12, 30)]
SIZES = {"preset": None, "width": 32, "feed_forward_width": 48, "heads": 4, "dropout": 0.0, "decoder_layers": 2}
OWN: dict[str, dict[str, Any]] = {
    "translation": {"encoder_layers": 2, "output_bias": True},
    "language_model": {"encoder_layers": 0, "positions": "rotary", "norm": "rms", "gated": True, "activation": "silu",
                       "bias": False, "tied_embeddings": "none"},
}  # fmt: skip


def own_model(task: str, directory: Path) -> Path:
    """A random model that would like to write special pieces best of all."""
    corpus = {"path": "none.tsv", "source": 0, **({"target": 1} if task == "translation" else {})}
    config = Config.model_validate(
        {
            "run_directory": "none",
            "task": task,
            "data": {"train": corpus, "validation": corpus, "max_length": 60},
            "model": {**SIZES, **OWN[task]},
        }
    )
    learned = train_tokenizer(TEXT * 3, TokenizerConfig(vocabulary_size=120))
    tokenizers = Tokenizers(learned, learned)
    model = build_model(config, tokenizers)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
        model.output_weight[list(SPECIAL)] *= 4
        if model.output_bias is not None:
            model.output_bias[list(SPECIAL)], model.output_bias[2] = 6.0, 5.0
    return save_model(directory, config, model.state_dict(), tokenizers)


@torch.no_grad()
@pytest.mark.parametrize("beams", [1, 4])
def test_translations_are_the_same_there(beams: int, tmp_path: Path) -> None:
    directory = own_model("translation", tmp_path / "ours")
    export_to_huggingface(load_model(directory), tmp_path / "theirs")
    told = json.loads((tmp_path / "theirs" / "generation_config.json").read_text("utf-8"))
    assert told["suppress_tokens"] == list(SPECIAL)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "theirs").eval()
    method = {"method": "greedy"} if beams == 1 else {"method": "beam", "beam_size": beams, "length_penalty": 1.0}
    predictor = Predictor(str(directory), precision="fp32", maximum_length=40, **method)
    wanted_otherwise, lengths = 0, []
    texts = GIVEN[::3]
    for text, (found, *_) in zip(texts, predictor.translate_stream(texts), strict=True):
        given = tokenizer(text, return_tensors="pt").input_ids
        settings = {"max_new_tokens": 41, "do_sample": False, "num_beams": beams, "early_stopping": beams > 1}
        whole = theirs.generate(given, **settings)[0, 1:].tolist()
        assert beams == 1 or 2 in whole, "a search that is cut off each library ends in its own way"
        end = whole.index(2) if 2 in whole else len(found.ids)  # ours goes on as long as the source lets it
        assert found.ids == whole[:end], text
        lengths.append(len(found.ids))
        wanted_otherwise += bool({*SPECIAL} & {*theirs.generate(given, **settings, suppress_tokens=None)[0, 1:].tolist()})
    assert max(lengths) > 2
    assert wanted_otherwise > len(texts) // 2, "special pieces are what it would have written"


@torch.no_grad()
def test_texts_go_on_alike_there(tmp_path: Path) -> None:
    directory = own_model("language_model", tmp_path / "ours")
    export_to_huggingface(load_model(directory), tmp_path / "theirs")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "theirs").eval()
    writer = Writer(str(directory), method="greedy", precision="fp32", maximum_length=40)
    for text, (found, *_) in zip(GIVEN, writer.write(GIVEN), strict=True):
        ids = torch.tensor([[1, *tokenizer(text, add_special_tokens=False).input_ids]])
        whole = theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=10, do_sample=False)[0, 1:].tolist()
        ours = found.ids[: ids.shape[1] - 1 + 10]
        assert len(ours) > ids.shape[1] - 1
        assert ours == whole[: len(ours)], text


def test_a_piece_that_is_forced_is_not_forbidden(tmp_path: Path) -> None:
    save_tiny("bart", tmp_path / "theirs")
    import_model(tmp_path / "theirs", tmp_path / "ours")
    export_to_huggingface(load_model(tmp_path / "ours"), tmp_path / "back")
    told = json.loads((tmp_path / "back" / "generation_config.json").read_text("utf-8"))
    assert told["forced_bos_token_id"] == 0
    assert told["suppress_tokens"] == [1, 3], "padding, and what is unknown"
    assert "suppress_tokens" not in json.loads((tmp_path / "back" / "config.json").read_text("utf-8"))


@pytest.mark.parametrize("name", ["bart", "m2m_100", "mistral"])
def test_after_an_export_both_are_asked_alike(name: str, tmp_path: Path) -> None:
    """What stands before a text and before an answer is there too, and takes no room of an answer that never ends."""
    save_tiny(name, tmp_path / "theirs")
    import_model(tmp_path / "theirs", tmp_path / "ours")
    export_to_huggingface(load_model(tmp_path / "ours"), tmp_path / "back")
    settings = {"method": "greedy", "maximum_length": 9}
    ours: Any = headway.load(str(tmp_path / "ours"), precision="fp32", **settings)
    theirs = HuggingFaceAnswers(tmp_path / "back", tmp_path / "ours", settings)
    told, wanted = ([found[0].text for found in one.answer_pieces([GIVEN])] for one in (theirs, ours))
    assert told == wanted
