"""Models that were saved otherwise than with a head of today, and texts as long as a model can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from headway.errors import ModelError
from headway.inference.embedder import Embedder
from headway.inference.predictor import Predictor
from headway.interop.huggingface import import_model
from headway.model_dir import load_model

transformers = pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")

from tiny_models import TEXT, save_tiny  # noqa: E402  (needs transformers)


def in_settings(directory: Path, **settings: Any) -> Path:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **settings}), encoding="utf-8")
    return directory


@pytest.mark.parametrize(
    ("name", "body", "own"),
    [
        ("llama_with_biases", "model", "layers.0.self_attn.q_proj.weight"),
        ("qwen2", "model", "layers.0.self_attn.q_proj.weight"),
        ("gpt2", "transformer", "h.0.attn.c_attn.weight"),
        ("bart", "model", "encoder.layers.0.fc1.weight"),
        ("m2m_100", "model", "encoder.layers.0.fc1.weight"),
        ("marian", "model", "encoder.layers.0.fc1.weight"),
    ],
)
def test_a_model_that_was_saved_without_its_head_is_read(name: str, body: str, own: str, tmp_path: Path) -> None:
    whole = save_tiny(name, tmp_path / "whole")
    if hasattr(whole, "final_logits_bias"):
        whole.final_logits_bias.zero_()
        whole.save_pretrained(tmp_path / "whole")
    getattr(whole, body).save_pretrained(tmp_path / "alone")
    (tmp_path / "alone" / "tokenizer.json").write_bytes((tmp_path / "whole" / "tokenizer.json").read_bytes())
    for file in (tmp_path / "whole").glob("generation_config.json"):
        (tmp_path / "alone" / file.name).write_bytes(file.read_bytes())
    names = load_file(tmp_path / "alone" / "model.safetensors")
    assert own in names
    assert not any(key.startswith(f"{body}.") for key in names)
    for part in ("whole", "alone"):
        found = import_model(tmp_path / part, tmp_path / f"ours_{part}")
        assert found.left == []
    one, other = (load_model(tmp_path / f"ours_{part}").model.state_dict() for part in ("whole", "alone"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_an_output_of_its_own_is_missed_by_its_name(tmp_path: Path) -> None:
    save_tiny("llama", tmp_path / "whole").model.save_pretrained(tmp_path / "alone")
    (tmp_path / "alone" / "tokenizer.json").write_bytes((tmp_path / "whole" / "tokenizer.json").read_bytes())
    with pytest.raises(ModelError, match=r"lacks the tensor lm_head\.weight"):
        import_model(tmp_path / "alone", tmp_path / "ours")


@torch.no_grad()
def test_positions_that_are_made_of_sinusoids_stand_in_the_file(tmp_path: Path) -> None:
    save_tiny("distilbert", tmp_path / "theirs")
    theirs = transformers.AutoModel.from_pretrained(in_settings(tmp_path / "theirs", sinusoidal_pos_embds=True)).eval()
    import_model(tmp_path / "theirs", tmp_path / "ours")
    loaded = load_model(tmp_path / "ours")
    wanted = theirs.embeddings.position_embeddings.weight
    assert torch.equal(loaded.model.state_dict()["source_embedding.learned.weight"], wanted)


def test_an_older_name_for_a_forced_first_piece_is_read(tmp_path: Path) -> None:
    save_tiny("bart", tmp_path / "theirs")
    (tmp_path / "theirs" / "generation_config.json").unlink()
    in_settings(tmp_path / "theirs", forced_bos_token_id=None, force_bos_token_to_be_generated=True)
    import_model(tmp_path / "theirs", tmp_path / "ours")
    assert load_model(tmp_path / "ours").config.tokenizer.before_target == ["<s>"]


# Texts as long as can be


@torch.no_grad()
@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_the_longest_text_fills_every_position(name: str, tmp_path: Path) -> None:
    theirs = save_tiny(name, tmp_path / "theirs")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "theirs" / "tokenizer.json"))
    import_model(tmp_path / "theirs", tmp_path / "ours")
    loaded = load_model(tmp_path / "ours")
    assert loaded.config.data.max_length == 62
    text = " ".join(TEXT)
    given = tokenizer(text, return_tensors="pt", truncation=True, max_length=64, return_token_type_ids=False)
    assert given.input_ids.shape == (1, 64)
    wanted = theirs(**given).last_hidden_state[0].mean(0)
    (found,) = torch.from_numpy(Embedder(loaded, precision="fp32").embed([text]))
    torch.testing.assert_close(found, wanted / wanted.norm(), rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["marian", "bart"])
def test_the_longest_answer_fills_every_position(name: str, tmp_path: Path) -> None:
    """Without an end, which each of these tiny models would else write at some time."""
    save_tiny(name, tmp_path / "theirs")
    bias = "final_logits_bias"
    tensors = load_file(tmp_path / "theirs" / "model.safetensors")
    end = json.loads((tmp_path / "theirs" / "config.json").read_text("utf-8"))["eos_token_id"]
    tensors[bias][0, end] = -1e4
    save_file(tensors, tmp_path / "theirs" / "model.safetensors")
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "theirs").eval()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "theirs" / "tokenizer.json"))
    import_model(tmp_path / "theirs", tmp_path / "ours")
    loaded = load_model(tmp_path / "ours")
    before = loaded.config.tokenizer.before_target
    assert loaded.config.decoding.maximum_length == 63 - len(before)
    given = tokenizer(" ".join(TEXT), return_tensors="pt", truncation=True, max_length=64, return_token_type_ids=False)
    assert given.input_ids.shape == (1, 64)
    pad = tokenizer.convert_tokens_to_ids("<pad>")
    whole = theirs.generate(
        given.input_ids, max_new_tokens=63, do_sample=False, num_beams=1, bad_words_ids=[[pad]], forced_eos_token_id=None
    )
    predictor = Predictor(str(tmp_path / "ours"), method="greedy", precision="fp32")
    ((found,),) = predictor.translate_stream([" ".join(TEXT)])
    assert len(found.ids) == 63 - len(before)
    assert [*map(tokenizer.convert_ids_to_tokens, whole[0, 1 + len(before) :].tolist())] == [
        loaded.tokenizers.target.vocabulary[number] for number in found.ids
    ]
