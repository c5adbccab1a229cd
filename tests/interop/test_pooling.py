"""Vectors of texts as sentence-transformers makes them: its arithmetic, done again with transformers and torch alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from headway.config import load_config
from headway.errors import ModelError
from headway.evaluation.huggingface_answers import HuggingFaceAnswers
from headway.inference.embedder import Embedder
from headway.interop.huggingface import import_model
from headway.interop.huggingface_export import export_to_huggingface
from headway.interop.pooling import SWITCHES
from headway.model_dir import load_model

transformers = pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")

from tiny_models import TEXT, save_tiny  # noqa: E402  (needs transformers)

PARTS = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize", "Dense": "2_Dense"}


def modules_of(*kinds: str) -> list[dict[str, Any]]:
    return [
        {"idx": number, "name": str(number), "path": PARTS[kind], "type": f"sentence_transformers.models.{kind}"}
        for number, kind in enumerate(kinds)
    ]


def saved(directory: Path, *, name: str = "bert", files: dict[str, Any] | None = None, mode: str | None = "mean") -> Any:
    """A tiny model with the files of sentence-transformers; `files` come on top."""
    theirs = save_tiny(name, directory)
    pooling = {"word_embedding_dimension": 32, **{key: mode == other for key, other in SWITCHES.items()}}
    usual = {"modules.json": modules_of("Transformer", "Pooling", "Normalize"), "1_Pooling/config.json": pooling}
    for file, content in {**usual, **(files or {})}.items():
        path = directory / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    return theirs


@torch.no_grad()
def their_vectors(directory: Path, texts: list[str]) -> Tensor:
    """The documented arithmetic: tokens cut with what stands around them, padded, pooled by the mask, of length 1."""
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(directory / "tokenizer.json"), pad_token="[PAD]")
    reading = directory / "sentence_bert_config.json"
    settings = json.loads(reading.read_text("utf-8")) if reading.exists() else {"max_seq_length": 64}
    texts = [text.lower() for text in texts] if settings.get("do_lower_case") else texts
    given = tokenizer(
        texts, return_tensors="pt", padding=True, truncation=True, max_length=settings["max_seq_length"],
        return_token_type_ids=False,
    )  # fmt: skip
    states = transformers.AutoModel.from_pretrained(directory).eval()(**given).last_hidden_state
    pooling = json.loads((directory / "1_Pooling/config.json").read_text("utf-8"))
    mask = given.attention_mask[:, :, None]
    if pooling.get("pooling_mode_cls_token") or pooling.get("pooling_mode") == "cls":
        found = states[:, 0]
    elif pooling.get("pooling_mode_max_tokens") or pooling.get("pooling_mode") == "max":
        found = states.masked_fill(mask == 0, -1e9).max(1).values
    else:
        found = (states * mask).sum(1) / mask.sum(1)
    return found / found.norm(dim=1, keepdim=True)


def same(found: Any, wanted: Tensor) -> None:
    torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("mode", "ours", "files"),
    [
        ("mean", "mean", {}),
        ("cls", "first", {}),
        ("max", "max", {}),
        ("cls", "first", {"modules.json": modules_of("Transformer", "Pooling")}),
        ("cls", "first", {"1_Pooling/config.json": {"embedding_dimension": 32, "pooling_mode": "cls", "include_prompt": True}}),
        ("mean", "mean", {"1_Pooling/config.json": {"word_embedding_dimension": 32}}),
        ("max", "max", {"sentence_bert_config.json": {"max_seq_length": 9, "do_lower_case": False}}),
        ("mean", "mean", {"sentence_bert_config.json": {"max_seq_length": 512, "do_lower_case": True}}),
        ("mean", "mean", {"config_sentence_transformers.json": {"prompts": {}, "default_prompt_name": None,
                                                                "similarity_fn_name": "dot"}}),
    ],
)  # fmt: skip
def test_texts_have_their_vectors(mode: str, ours: str, files: dict[str, Any], tmp_path: Path) -> None:
    saved(tmp_path / "theirs", files=files, mode=mode)
    reading = files.get("sentence_bert_config.json", {"max_seq_length": 64})
    if reading["max_seq_length"] > 64:  # more than there are positions
        reading = {**reading, "max_seq_length": 64}
        (tmp_path / "theirs" / "sentence_bert_config.json").write_text(json.dumps(reading), encoding="utf-8")
    import_model(tmp_path / "theirs", tmp_path / "ours")
    loaded = load_model(tmp_path / "ours")
    assert loaded.config.model.pooling == ours
    assert loaded.config.data.max_length == reading["max_seq_length"] - 2
    same(Embedder(loaded, precision="fp32").embed(TEXT), their_vectors(tmp_path / "theirs", TEXT))


@pytest.mark.parametrize("mode", ["mean", "cls", "max"])
def test_the_way_back_has_the_same_vectors(mode: str, tmp_path: Path) -> None:
    saved(tmp_path / "theirs", mode=mode, files={"sentence_bert_config.json": {"max_seq_length": 9, "do_lower_case": True}})
    import_model(tmp_path / "theirs", tmp_path / "ours")
    export_to_huggingface(load_model(tmp_path / "ours"), tmp_path / "back")
    assert not list(tmp_path.glob(".back*"))
    same(Embedder(str(tmp_path / "ours"), precision="fp32").embed(TEXT), their_vectors(tmp_path / "back", TEXT))
    import_model(tmp_path / "back", tmp_path / "again")
    one, other = (load_model(tmp_path / name).config for name in ("ours", "again"))
    assert (one.model, one.data, one.tokenizer) == (other.model, other.data, other.tokenizer)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"modules.json": modules_of("Transformer", "Pooling", "Dense")}, "by Transformer, Pooling, Dense, and known is"),
        ({"modules.json": modules_of("Transformer")}, "makes vectors by Transformer, and known is"),
        ({"modules.json": {"0": "Transformer"}}, "is no JSON array of modules"),
        ({"modules.json": [{**modules_of("Transformer")[0], "path": "0_Transformer"}, *modules_of("Transformer", "Pooling")[1:]]},
         "keeps its Transformer in '0_Transformer'"),
        ({"modules.json": [modules_of("Transformer")[0], {**modules_of("Pooling")[0], "path": "../1_Pooling"}]},
         "keeps its Pooling in '../1_Pooling'"),
        ({"1_Pooling/config.json": {"pooling_mode_lasttoken": True}}, "pools by lasttoken, and known is one of mean, max, cls"),
        ({"1_Pooling/config.json": {"pooling_mode": "weightedmean"}}, "pools by weightedmean"),
        ({"1_Pooling/config.json": {"pooling_mode": ["mean", "max"]}}, "pools by mean and max"),
        ({"1_Pooling/config.json": {"pooling_mode": 3}}, "pools by 3"),
        ({"1_Pooling/config.json": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}}, "pools by cls and mean"),
        ({"1_Pooling/config.json": {"pooling_mode_mean_sqrt_len_tokens": True}}, "pools by mean_sqrt_len_tokens"),
        ({"config_sentence_transformers.json": {"default_prompt_name": "query"}}, "puts the prompt 'query' before every text"),
        ({"config_sentence_transformers.json": {"similarity_fn_name": "euclidean"}}, "compares vectors by euclidean"),
        ({"modules.json": modules_of("Transformer", "Pooling"),
          "config_sentence_transformers.json": {"similarity_fn_name": "dot"}}, "compares vectors by dot"),
        ({"sentence_bert_config.json": {"max_seq_length": "256"}}, "has max_seq_length='256'"),
        ({"sentence_bert_config.json": {"max_seq_length": 2}}, "is damaged, or of a kind that is not known"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_by_its_name(files: dict[str, Any], problem: str, tmp_path: Path) -> None:
    saved(tmp_path / "theirs", files=files)
    with pytest.raises(ModelError, match=problem):
        import_model(tmp_path / "theirs", tmp_path / "ours")


def test_vectors_of_a_model_that_writes_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "theirs", name="qwen2", mode="lasttoken")
    with pytest.raises(ModelError, match="makes vectors with a model of Qwen2ForCausalLM, and only encoders do so here"):
        import_model(tmp_path / "theirs", tmp_path / "ours")


def test_training_goes_on_with_the_same_pooling(tmp_path: Path) -> None:
    saved(tmp_path / "theirs", mode="cls")
    import_model(tmp_path / "theirs", tmp_path / "ours")
    for task, pooling in (("sentence_embedding", "first"), ("classification", "mean")):
        (tmp_path / "c.yaml").write_text(
            f"run_directory: run\ntask: {task}\ndata: {{train: {{path: a.tsv, source: 0, target: 1}}, "
            f"validation: {{path: a.tsv, source: 0, target: 1}}, max_length: 40}}\ndecoding: {{maximum_length: 40}}\n"
            f"model: {{start_from: {tmp_path / 'ours'}}}\n",
            encoding="utf-8",
        )
        assert load_config(tmp_path / "c.yaml").model.pooling == pooling


@pytest.mark.parametrize("mode", ["mean", "cls", "max"])
def test_an_export_is_compared_by_the_pooling_of_the_model(mode: str, tmp_path: Path) -> None:
    saved(tmp_path / "theirs", mode=mode, files={"sentence_bert_config.json": {"max_seq_length": 9}})
    import_model(tmp_path / "theirs", tmp_path / "ours")
    loaded = load_model(tmp_path / "ours")
    export_to_huggingface(loaded, tmp_path / "back")
    found = [answer.values for (answer,) in HuggingFaceAnswers(tmp_path / "back", tmp_path / "ours", {}).answer_pieces([TEXT])]
    same(Embedder(loaded, precision="fp32").embed(TEXT), torch.tensor(np.stack(found)))
