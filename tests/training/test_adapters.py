"""Runs with low-rank adapters: resuming, what is saved apart, and how it is merged again."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from test_classification import kinds, label_config  # noqa: F401
from test_loop import assert_same_checkpoint, figures, losses, newest, train_and_die
from test_pretraining import masked  # noqa: F401
from tiny_run import FEW, tuned_config
from torch import Tensor

from headway import load
from headway.adapter_dir import load_adapter, merge
from headway.cli import main
from headway.config import Config
from headway.errors import ModelError, UsageError
from headway.evaluation.evaluate import evaluate_run
from headway.model_dir import load_model
from headway.training.loop import train
from headway.training.tensor_file import tensor_chunks

LORA = {"rank": 4, "alpha": 8.0, "dropout": 0.1}


def weights(run: Path) -> dict[str, Tensor]:
    return load_model(run).model.state_dict()


def adapted_config(sample: Path, run: Path, base: Path, **sections: Any) -> Config:
    return tuned_config(sample, run, base, **{**sections, "model": {"lora": LORA, **sections.get("model", {})}})


@pytest.fixture(scope="module")
def adapted(base: Path, sample_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs with adapters on one base."""
    folder = tmp_path_factory.mktemp("adapted")
    training = {**FEW, "learning_rate": 1e-2}
    configs = [adapted_config(sample_directory, folder / str(n), base, training={**training, "seed": n}) for n in (1, 2)]
    return [train(config, quiet=True) for config in configs]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_killed_run_with_adapters_resumes_bit_for_bit(
    optimizer: str, base: Path, sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {**FEW, "optimizer": optimizer}
    straight, killed = (
        adapted_config(sample_directory, tmp_path / one, base, training=training) for one in ("straight", "killed")
    )
    train(straight, quiet=True)
    train_and_die(killed, 7, monkeypatch)
    hidden = base.rename(base.with_name("hidden"))  # what resuming needs is in the checkpoint
    try:
        train(killed, quiet=True)
    finally:
        hidden.rename(base)
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "killed")
    assert losses(tmp_path / "straight") == losses(tmp_path / "killed")
    for name in ("model/model.safetensors", "adapter/adapter.safetensors"):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    moments = [name for name in newest(tmp_path / "straight")[0] if name.startswith(("optimizer.", "average."))]
    assert moments
    assert all(name.endswith((".lora_a", ".lora_b")) for name in moments)


def test_the_base_stays_and_the_model_of_the_run_is_whole(base: Path, adapted: list[Path]) -> None:
    before, after = weights(base), weights(adapted[0])
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    matrices = tuple(f".{name}.weight" for name in ("query", "key_value", "output", "inner", "outer"))
    assert changed == {name for name in before if name.endswith(matrices)}
    assert figures(adapted[0], "validation_loss")[-1] < figures(base, "validation_loss")[-1]
    assert len(load(str(adapted[0]), beam_size=1).predict(["The dog is here."])) == 1
    adapter, model = (adapted[0] / one for one in ("adapter/adapter.safetensors", "model/model.safetensors"))
    assert adapter.stat().st_size < model.stat().st_size / 2


def test_a_base_and_its_adapter_make_the_model_of_the_run(base: Path, adapted: list[Path], tmp_path: Path) -> None:
    out = merge(str(base), [str(adapted[0])], tmp_path / "merged")
    merged, run = weights(out), weights(adapted[0])
    assert all(torch.equal(merged[name], run[name]) for name in run)
    assert (
        evaluate_run(out, console=Console(file=io.StringIO())).scores
        == evaluate_run(adapted[0], console=Console(file=io.StringIO())).scores
    )


def test_several_adapters_add_up(base: Path, adapted: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["merge", str(base), str(adapted[0] / "adapter"), str(adapted[1]), str(tmp_path / "out"), "--weights", "0.5,-2"]
    assert main(argv) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"
    merged = weights(tmp_path / "out")
    before, one, two = (weights(run) for run in (base, *adapted))
    for name, tensor in merged.items():
        expected = before[name] + 0.5 * (one[name] - before[name]) - 2 * (two[name] - before[name])
        torch.testing.assert_close(tensor, expected, rtol=0, atol=1e-5)
    assert not torch.equal(merged["encoder.0.feed_forward.inner.weight"], before["encoder.0.feed_forward.inner.weight"])
    assert "0.5 ·" in (tmp_path / "out" / "card.md").read_text("utf-8")


def test_what_cannot_be_merged_is_refused(base: Path, adapted: list[Path], sample_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="belongs to another base"):
        merge(str(adapted[1]), [str(adapted[0])], tmp_path / "out")
    with pytest.raises(ModelError, match=r"is no adapter: it has no adapter\.json"):
        merge(str(base), [str(base)], tmp_path / "out")
    with pytest.raises(ModelError, match=r"is an adapter, a part of a model\n  → .*headway merge"):
        load(str(adapted[0] / "adapter"))
    with pytest.raises(UsageError, match="is there already"):
        merge(str(base), [str(adapted[0])], adapted[1])
    with pytest.raises(UsageError, match="1 weights for 2 adapters"):
        merge(str(base), list(map(str, adapted)), tmp_path / "out", [1.0])
    with pytest.raises(UsageError, match="not all finite"):
        merge(str(base), [str(adapted[0])], tmp_path / "out", [float("nan")])
    config = adapted_config(
        sample_directory, tmp_path / "lower", base, training={**FEW, "updates": 6}, data={"preprocessing": ["lowercase"]}
    )
    with pytest.raises(UsageError, match=r"data.preprocessing: \[\] → \['lowercase'\]"):
        merge(str(base), [str(adapted[0]), str(train(config, quiet=True))], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["tensors", "config", "manifest", "version", "renamed", "missing"])
def test_a_damaged_adapter_is_refused(damage: str, base: Path, adapted: list[Path], tmp_path: Path) -> None:
    place = Path(shutil.copytree(adapted[0] / "adapter", tmp_path / "adapter"))
    manifest = json.loads((place / "adapter.json").read_text("utf-8"))
    if damage in ("tensors", "config"):
        path = place / ("adapter.safetensors" if damage == "tensors" else "config.yaml")
        raw = bytearray(path.read_bytes())
        raw[-9] ^= 1
        path.write_bytes(raw)
    elif damage == "missing":
        (place / "config.yaml").unlink()
    elif damage == "renamed":
        manifest["files"]["../x"] = manifest["files"].pop("config.yaml")
    elif damage == "version":
        manifest["format_version"] = 2
    else:
        del manifest["base"]
    (place / "adapter.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ModelError, match="adapter"):
        merge(str(base), [str(place)], tmp_path / "out")
    assert load_adapter(adapted[0]).base == load_model(base).fingerprint


def forge(adapter: Path, name: str, raw: bytes) -> None:
    """Other content of a file, with a manifest that knows it."""
    (adapter / name).write_bytes(raw)
    manifest = json.loads((adapter / "adapter.json").read_text("utf-8"))
    manifest["files"][name] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    (adapter / "adapter.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_adapters_with_other_tensors_than_they_say_are_refused(base: Path, adapted: list[Path], tmp_path: Path) -> None:
    place = Path(shutil.copytree(adapted[0] / "adapter", tmp_path / "adapter"))
    tensors = dict(load_adapter(place).tensors)
    tensors["encoder.9.self_attention.query.lora_a"] = tensors.pop("encoder.1.self_attention.query.lora_a")
    forge(place, "adapter.safetensors", b"".join(tensor_chunks(tensors)))
    with pytest.raises(ModelError, match=r"does not have the tensors that config\.yaml describes"):
        merge(str(base), [str(place)], tmp_path / "out")


def test_a_new_head_learns_beside_the_adapters_and_goes_with_them(masked: Path, kinds: Path, tmp_path: Path) -> None:  # noqa: F811
    model = {"start_from": str(masked), "lora": {"rank": 4, "on": ["attention"]}}
    training = {"updates": 100, "validate_every": 100, "learning_rate": 2e-2, "averaging": "none"}
    run = train(label_config(kinds, tmp_path / "run", model=model, training=training), quiet=True)
    adapter = load_adapter(run)
    assert sorted(adapter.whole) == ["head.bias", "head.weight"]
    assert {name.split(".")[2] for name in adapter.adapted} == {"self_attention"}
    out = merge(str(masked), [str(run)], tmp_path / "merged")
    texts = ["The dog is here.", "Is the dog here?", "If the dog is here, we go."]
    assert load(str(out)).predict(texts) == load(str(run)).predict(texts)
    with pytest.raises(UsageError, match=r"has parts of its own, which cannot be added up: head"):
        merge(str(masked), [str(run), str(run)], tmp_path / "both")


def test_a_decoder_that_the_base_has_not_goes_with_the_adapters(
    masked: Path,  # noqa: F811
    sample_directory: Path,
    tmp_path: Path,
) -> None:
    run = train(adapted_config(sample_directory, tmp_path / "run", masked, training=FEW), quiet=True)
    merged, own = weights(merge(str(masked), [str(run)], tmp_path / "merged")), weights(run)
    assert all(torch.allclose(merged[name], own[name], atol=1e-6) for name in own)
    config = (run / "adapter" / "config.yaml").read_text("utf-8")
    forge(run / "adapter", "config.yaml", re.sub(r"decoder_layers: \d+", "decoder_layers: 200", config).encode())
    with pytest.raises(ModelError, match="lacks layers of the decoder"):
        merge(str(masked), [str(run)], tmp_path / "again")


def test_an_output_that_the_base_has_not_learns_as_a_whole(base: Path, sample_directory: Path, tmp_path: Path) -> None:
    config = adapted_config(sample_directory, tmp_path / "run", base, model={"tied_embeddings": "none"}, training=FEW)
    run = train(config, quiet=True)
    assert list(load_adapter(run).whole) == ["output.weight"]
    merged, own = weights(merge(str(base), [str(run)], tmp_path / "merged")), weights(run)
    assert all(torch.equal(merged[name], own[name]) for name in own)
