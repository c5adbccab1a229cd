"""Graphs of ONNX: onnxruntime computes with them what the model does, and answers through them as the model does."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import headway
from headway.cli import main
from headway.config import Config, TokenizerConfig
from headway.data.labels import Labels
from headway.data.tokenizer import Tokenizers, train_tokenizer
from headway.errors import MissingPackage, ModelError, UsageError
from headway.evaluation.export_parity import compare_export
from headway.inference.engines import load_for_answers
from headway.interop.destinations import export_model
from headway.interop.huggingface import import_model
from headway.interop.onnx import LEAST_STORED, PAGE, onnx_problem
from headway.model_dir import LoadedModel, build_model, load_model, save_model
from headway.tasks import embedding, label

pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")
onnx = pytest.importorskip("onnx", reason="graphs are written with the packages of headway[onnx]")
pytest.importorskip("onnxscript", reason="graphs are written with the packages of headway[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="graphs are run by onnxruntime")

from tiny_models import TEXT, save_tiny  # noqa: E402  (needs transformers)

SIZES = {"preset": None, "width": 32, "feed_forward_width": 48, "heads": 4, "encoder_layers": 1, "decoder_layers": 1}
ENCODER = {"decoder_layers": 0}
WRITER = {"encoder_layers": 0, "decoder_layers": 2}
LABELS = Labels("one", ("good", "bad", "so so"))
TAGS = Labels("tags", ("O", "S-PER", "B-LOC", "E-LOC"), scheme="iob2")
# Name → its task, its shape, and its labels.
OWN: dict[str, tuple[str, dict[str, Any], Labels | None]] = {
    "own_relative": ("translation", {"positions": "relative", "norm": "rms", "gated": True, "decoder_layers": 2,
                                     "relative_distance": 16, "relative_buckets": 8}, None),
    "own_sinusoidal": ("translation", {"norm_place": "post", "tied_embeddings": "none"}, None),
    "own_rotary": ("translation", {"positions": "rotary", "key_value_heads": 2, "query_key_norm": True}, None),
    "own_writer": ("language_model", {**WRITER, "positions": "relative"}, None),
    "classifier": ("classification", {**ENCODER, "pooling": "first"}, LABELS),
    "tagger": ("tagging", {**ENCODER, "positions": "relative"}, TAGS),
    "reader": ("question_answering", {**ENCODER, "positions": "learned", "max_positions": 300}, None),
    "embedder": ("sentence_embedding", {**ENCODER, "pooling": "max"}, None),
}  # fmt: skip
IMPORTED = ("bert", "llama", "roberta", "bart", "t5", "gpt2", "qwen3")
# Between them the others have positions of every kind; writing a graph takes seconds.
SLOW = ("own_sinusoidal", "own_rotary", "own_writer", "roberta", "bart", "t5", "gpt2", "qwen3")
EVERY = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in (*OWN, *IMPORTED)]
NEAR = {"rtol": 1e-5, "atol": 1e-5}


def own_model(name: str, directory: Path) -> Path:
    task, shape, labels = OWN[name]
    part: dict[str, Any] = {"path": "none.tsv", "source": 0, "target": 1}
    if task in ("language_model", "question_answering"):
        part = {"path": "none.jsonl", "source": "context"}
    config = Config.model_validate(
        {
            "run_directory": "none",
            "task": task,
            "data": {"train": part, "validation": part, "max_length": 40},
            "model": {**SIZES, **shape},
        },
        context={"paths_as_written": True},
    )
    learned = train_tokenizer(TEXT * 3, TokenizerConfig(vocabulary_size=120))
    tokenizers = Tokenizers(learned, learned, labels)
    model = build_model(config, tokenizers)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return save_model(directory, config, model.state_dict(), tokenizers)


@dataclass(frozen=True)
class Pair:
    """A model, and the directory that was made of it."""

    loaded: LoadedModel
    out: Path

    def run(self, graph: str, given: dict[str, Any]) -> dict[str, Tensor]:
        """All outputs of a graph, as anybody gets them; inputs that it has not are left out."""
        session = onnxruntime.InferenceSession(str(self.out / f"{graph}.onnx"))
        known = {one.name for one in session.get_inputs()}
        found = session.run(None, {name: np.asarray(one) for name, one in given.items() if name in known})
        return {one.name: torch.from_numpy(array) for one, array in zip(session.get_outputs(), found, strict=True)}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    """Each model is exported once."""
    return cache(lambda name: made(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(params=EVERY)
def pair(request: pytest.FixtureRequest, pairs: Callable[[str], Pair]) -> Pair:
    return pairs(request.param)


@pytest.fixture
def classifier(pairs: Callable[[str], Pair]) -> Pair:
    return pairs("classifier")


def made(name: str, directory: Path, quantization: str | None = None) -> Pair:
    if name in OWN:
        own_model(name, directory / "ours")
    else:
        save_tiny(name, directory / "theirs")
        import_model(directory / "theirs", directory / "ours")
    loaded = load_model(directory / "ours")
    return Pair(loaded, export_model(loaded, directory / "out", "onnx", quantization))


def drawn_sources(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Ids of sources of these lengths, and their mask."""
    longest = max(lengths)
    ids = torch.randint(4, 80, (len(lengths), longest), generator=torch.Generator().manual_seed(longest))
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return ids * mask, mask


@torch.no_grad()
def test_the_encoder_reads_what_the_model_reads(pair: Pair) -> None:
    model, task = pair.loaded.model, pair.loaded.config.task
    if not model.encoder:
        assert not (pair.out / "encoder.onnx").exists()
        return
    long = [150, 90] if not model.config.has_position_table else [60, 33]  # 150²: more than is computed step by step here
    for lengths in ([1], [7, 4, 11], long):
        ids, mask = drawn_sources(lengths)
        wanted = model.encode(ids, mask)
        found = pair.run("encoder", {"source_ids": ids, "source_mask": mask})
        torch.testing.assert_close(found["memory"][mask], wanted[mask], **NEAR)
        if task == "sentence_embedding":
            torch.testing.assert_close(found["vector"], embedding.vectors(model, ids, mask), **NEAR)
        elif task == "classification":
            torch.testing.assert_close(found["logits"], label.logits(model, ids, mask), **NEAR)
        elif model.head is not None:
            torch.testing.assert_close(found["logits"][mask], model.head(wanted)[mask], **NEAR)
        else:
            keys, values = model.decoder[0].cross_attention.keys_and_values(wanted)  # type: ignore[union-attr,operator]
            torch.testing.assert_close(found["memory_keys.0"].transpose(1, 2)[mask], keys.transpose(1, 2)[mask], **NEAR)
            torch.testing.assert_close(found["memory_values.0"].transpose(1, 2)[mask], values.transpose(1, 2)[mask], **NEAR)


@torch.no_grad()
def test_padding_changes_nothing(pair: Pair) -> None:
    if not pair.loaded.model.encoder:
        return
    ids, mask = drawn_sources([5, 13])
    together = pair.run("encoder", {"source_ids": ids, "source_mask": mask})
    alone = pair.run("encoder", {"source_ids": ids[:1, :5], "source_mask": mask[:1, :5]})
    for name, found in alone.items():
        whole = together[name][:1]
        if found.dim() > 2:  # a figure for each place
            whole = whole.narrow(2 if name.startswith("memory_") else 1, 0, 5)
        torch.testing.assert_close(whole, found, **NEAR)


@torch.no_grad()
def test_the_decoder_computes_what_the_model_does_with_cache_and_without(pair: Pair) -> None:
    model = pair.loaded.model
    if not model.decoder:
        assert not (pair.out / "decoder.onnx").exists()
        return
    source_ids, mask = drawn_sources([9, 6, 3])
    ids, _ = drawn_sources([21, 21, 21])
    memory = model.encode(source_ids, mask) if model.encoder else None
    wanted = model.logits(model.decode(ids, memory, mask if model.encoder else None))
    source: dict[str, Any] = {}
    if memory is not None:
        source = {**pair.run("encoder", {"source_ids": source_ids, "source_mask": mask}), "source_mask": mask}
    whole = pair.run("decoder", {"target_ids": ids, **source})
    torch.testing.assert_close(whole["logits"], wanted, **NEAR)

    heads, width = model.config.key_value_heads or model.config.heads, model.config.width_of_head
    past = {f"past_{kind}.{layer}": torch.zeros(3, heads, 0, width) for layer in range(len(model.decoder))
            for kind in ("keys", "values")}  # fmt: skip
    for start, end in ((0, 1), (1, 2), (2, 12), (12, 21)):
        slots = torch.arange(end)
        given = {
            "target_ids": ids[:, start:end], "positions": slots[start:], "past_positions": slots[:start],
            "wanted": slots[: end - start].flip(0),
            "visible": (slots[start:, None] >= slots).expand(3, -1, -1), **past, **source,
        }  # fmt: skip
        found = pair.run("decoder_with_cache", given)
        torch.testing.assert_close(found.pop("logits"), wanted[:, start:end].flip(1), **NEAR)
        past = {f"past_{name}": one for name, one in found.items()}


def test_every_answer_is_the_same(pair: Pair) -> None:
    task = pair.loaded.config.task
    lines = ["\t".join(two) for two in pairwise(TEXT)] if task == "question_answering" else TEXT
    searches: list[dict[str, Any]] = [{"method": "greedy"}]
    if pair.loaded.model.decoder:
        searches += [{"method": "beam", "beam_size": 5, "n_best": 3}, {"method": "sample", "seed": 3}]
    for search in searches:
        settings = {"precision": "fp32", **search} | ({"maximum_length": 30} if pair.loaded.model.decoder else {})
        ours, theirs = (headway.load(str(path), **settings) for path in (pair.loaded.directory, pair.out))
        wanted, found = ([answer for [answer, *_] in model.answer_pieces([lines])] for model in (ours, theirs))
        if task == "sentence_embedding":
            vectors = [np.stack([answer.values for answer in some]) for some in (wanted, found)]  # type: ignore[union-attr]
            np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-5)
            continue
        assert [answer.text for answer in found] == [answer.text for answer in wanted]
        assert any(answer.text for answer in found)
        scores = [[getattr(answer, "score", None) or 0.0 for answer in some] for some in (wanted, found)]
        np.testing.assert_allclose(scores[1], scores[0], atol=1e-4)


def test_graphs_are_valid_and_tell_nothing_of_where_they_were_made(pair: Pair) -> None:
    for path in pair.out.glob("*.onnx"):
        onnx.checker.check_model(str(path), full_check=True)
        assert b".py" not in path.read_bytes()
        assert [one.version for one in onnx.load(path, load_external_data=False).opset_import] == [20]


def test_every_weight_is_stored_once(pair: Pair) -> None:
    stored = {id(tensor): tensor for tensor in pair.loaded.model.state_dict(keep_vars=True).values()}
    pages = [-(-4 * tensor.numel() // PAGE) for tensor in stored.values() if 4 * tensor.numel() >= LEAST_STORED]
    tables = 4  # of relative positions, frequencies
    turned = max(pages)  # the exporter itself turns a small table that is also the output
    assert (pair.out / "weights.bin").stat().st_size <= (sum(pages) + tables + turned) * PAGE


@pytest.mark.parametrize("name", ["tagger", pytest.param("own_rotary", marks=pytest.mark.slow)])
def test_eight_bits_are_smaller_and_near(name: str, tmp_path: Path) -> None:
    pair = made(name, tmp_path, "int8")
    model = pair.loaded.model
    tables = sum(tensor.numel() for key, tensor in model.state_dict().items() if "tokens" in key)
    matrices = sum(tensor.numel() for tensor in model.state_dict().values()) - tables
    assert (pair.out / "weights.bin").stat().st_size < 5 * tables + 2 * matrices + 20 * PAGE
    for path in pair.out.glob("*.onnx"):
        kinds = [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]
        of_attention = 2 if path.stem == "encoder" else 4
        assert kinds.count("MatMulInteger") > kinds.count("MatMul") == of_attention
    ids, mask = drawn_sources([7, 4, 11])
    wanted, found = model.encode(ids, mask), pair.run("encoder", {"source_ids": ids, "source_mask": mask})["memory"]
    assert 0.98 < torch.cosine_similarity(found[mask].flatten(), wanted[mask].flatten(), dim=0) < 0.999999
    assert len(headway.load(str(pair.out)).predict(TEXT)) == len(TEXT)


def test_damaged_files_are_named(classifier: Pair, tmp_path: Path) -> None:
    for name in ("weights.bin", "encoder.onnx"):
        directory = shutil.copytree(classifier.out, tmp_path / name)
        content = bytearray((directory / name).read_bytes())
        content[len(content) // 2] ^= 1
        (directory / name).write_bytes(content)
        with pytest.raises(ModelError, match=rf"{name}: is damaged or was exchanged"):
            headway.load(str(directory))
        (directory / name).unlink()
        with pytest.raises(ModelError, match=rf"{name}: is missing"):
            headway.load(str(directory))


def test_a_graph_that_the_runtime_does_not_know_is_named(classifier: Pair, tmp_path: Path) -> None:
    directory = shutil.copytree(classifier.out, tmp_path / "later")
    graph = onnx.load(directory / "encoder.onnx", load_external_data=False)
    graph.opset_import[0].version = 1000
    content = graph.SerializeToString()
    (directory / "encoder.onnx").write_bytes(content)
    told = json.loads((directory / "export.json").read_text())
    told["files"]["encoder.onnx"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (directory / "export.json").write_text(json.dumps(told))
    with pytest.raises(ModelError, match=r"encoder\.onnx: onnxruntime cannot open it: .*opset"):
        headway.load(str(directory))


@pytest.mark.parametrize("package", ["onnxruntime", "onnxscript"])
def test_a_missing_package_is_named(package: str, classifier: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackage, match=f"the package {package} is not installed") as told:
        export_model(classifier.loaded, tmp_path / "out", "onnx")
    assert told.value.remedy == "pip install 'headway[onnx]'"
    assert not (tmp_path / "out").exists()
    if package == "onnxruntime":
        with pytest.raises(MissingPackage, match="the package onnxruntime is not installed"):
            load_for_answers(classifier.out)


def test_what_cannot_be_a_graph_is_told() -> None:
    corpus = {"path": "none.tsv", "source": 0, "target": 1}
    values = {"run_directory": "none", "task": "captioning", "data": {"train": corpus, "validation": corpus}}
    assert "media.kind=image" in str(onnx_problem(Config.model_validate(values)))


def test_the_command_line(classifier: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = str(classifier.loaded.directory), str(tmp_path / "out")
    assert main(["export", run, out, "--to", "onnx", "--quantization", "q4"]) == UsageError.exit_code
    assert "q4 is no quantization of ONNX" in capsys.readouterr().err
    assert main(["export", run, out, "--to", "onnx", "--no-comparison"]) == 0
    assert load_for_answers(out, "onnx").fingerprint == classifier.loaded.fingerprint


@pytest.mark.slow
def test_both_are_asked_the_same_lines(classifier: Pair) -> None:
    found = compare_export(classifier.loaded, classifier.out, "onnx", None, TEXT)
    assert (found.lines, found.identical, found.passed) == (len(TEXT), 1.0, True)


def test_the_example_of_the_documentation_runs(
    pairs: Callable[[str], Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pairs("own_relative")
    text = (Path(__file__).parents[2] / "docs" / "huggingface.md").read_text(encoding="utf-8")
    [code] = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "onnxruntime" in block]
    assert "headway" not in code
    monkeypatch.chdir(tmp_path)
    (tmp_path / "multi30k-onnx").symlink_to(pair.out)
    names: dict[str, Any] = {}
    exec(code, names)
    [wanted] = headway.load(str(pair.loaded.directory), method="greedy", precision="fp32").predict(["A man is standing."])
    assert names["text"] == wanted
