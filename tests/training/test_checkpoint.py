from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from headway.errors import ModelError, ResourceError
from headway.training import _fs, checkpoint, manifest
from headway.training.checkpoint import Checkpoints

MODEL, TRAINING, STATE, MANIFEST = checkpoint.MODEL, checkpoint.TRAINING, checkpoint.STATE, checkpoint.MANIFEST


def tensors(step: int = 1) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(step)
    model = {"model.w": torch.randn(5, 3, generator=generator), "model.half": torch.randn(7, generator=generator).bfloat16()}
    training = {"optimizer.step.w": torch.tensor(float(step)), "rng": torch.get_rng_state(), "empty": torch.zeros(0, 4)}
    return model, training


def save(checkpoints: Checkpoints, step: int) -> Path:
    return checkpoints.save(step, *tensors(step), {"update": step})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "ä run" / "checkpoints"


@pytest.fixture
def kept(place: Path) -> Checkpoints:
    """Checkpoints with steps 10 and 20 on the disk."""
    checkpoints = Checkpoints(place)
    save(checkpoints, 10)
    save(checkpoints, 20)
    return checkpoints


# --- there and back ---


def test_everything_comes_back_bit_for_bit(place: Path) -> None:
    model, training = tensors()
    model["model.view"] = torch.arange(12.0).view(3, 4).t()[1:]  # not contiguous
    training["average"] = torch.tensor([torch.finfo(torch.float32).max, -0.0, 1e-45])
    state = {"update": 7, "best": 0.1 + 0.2, "none": None, "place": [3, 14], "text": "Grüße ☃", "deep": {"on": True}}
    path = Checkpoints(place).save(7, model, training, state)
    found = Checkpoints(place).newest()
    assert found is not None
    assert (found.path, found.step, found.skipped) == (path, 7, ())
    loaded, loaded_state = found.load()
    assert loaded_state == state
    assert loaded.keys() == {**model, **training}.keys()
    for name, tensor in {**model, **training}.items():
        assert loaded[name].dtype == tensor.dtype
        assert loaded[name].shape == tensor.shape
        assert torch.equal(loaded[name], tensor), name
    assert str(loaded["average"][1].item()) == "-0.0"


def test_the_tensor_files_are_plain_safetensors(place: Path) -> None:
    model, training = tensors()
    path = Checkpoints(place).save(7, model, training, {})
    assert all(torch.equal(value, model[key]) for key, value in safetensors.torch.load_file(path / MODEL).items())
    assert safetensors.torch.load_file(path / TRAINING).keys() == training.keys()
    assert sorted(os.listdir(path)) == sorted([MODEL, TRAINING, STATE, MANIFEST])
    records = json.loads((path / MANIFEST).read_text())["files"]
    assert {name: record["bytes"] for name, record in records.items()} == {n: (path / n).stat().st_size for n in records}


def test_nothing_saved_is_no_error(place: Path) -> None:
    assert Checkpoints(place).newest() is None
    assert not place.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["model", "training", "half", "state"])
def test_a_poisoned_state_is_refused_before_a_byte_is_written(place: Path, value: float, where: str) -> None:
    model, training = tensors()
    state: dict[str, Any] = {"update": 1}
    if where == "model":
        model["model.w"][4, 2] = value
    elif where == "half":
        model["model.half"][3] = value
    elif where == "training":
        training["optimizer.step.w"].fill_(value)
    else:
        state["best"] = value
    with pytest.raises(ResourceError, match=r"not saved.*(model\.w|model\.half|optimizer\.step\.w|finite)"):
        Checkpoints(place).save(1, model, training, state)
    assert not place.exists()


# --- retention ---


def test_the_newest_stay(place: Path) -> None:
    checkpoints = Checkpoints(place, keep=3)
    for step in range(1, 8):
        save(checkpoints, step)
    assert sorted(os.listdir(place)) == [f"step-{step:08d}" for step in (5, 6, 7)]


def test_a_step_saved_twice_keeps_both_until_they_are_old(kept: Checkpoints) -> None:
    kept.save(20, *tensors(99), {"update": 20, "again": True})
    newest = kept.newest()
    assert newest is not None
    assert newest.step == 20
    assert newest.load()[1]["again"]
    assert sorted(os.listdir(kept.directory)) == ["step-00000020", "step-00000020.1"]
    save(kept, 30)
    assert sorted(os.listdir(kept.directory)) == ["step-00000020.1", "step-00000030"]


def test_damaged_checkpoints_do_not_count(kept: Checkpoints) -> None:
    (kept.directory / "step-00000020" / MODEL).write_bytes(b"")
    save(kept, 30)
    assert sorted(os.listdir(kept.directory)) == ["step-00000010", "step-00000020", "step-00000030"]
    save(kept, 40)
    assert sorted(os.listdir(kept.directory)) == ["step-00000030", "step-00000040"]


def test_orphans_of_the_dead_go_and_those_of_the_living_stay(kept: Checkpoints) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    host = checkpoint.this_host()
    names = {
        "dead": f".tmp-step-00000030-{int(gone.stdout)}-{host}-00000000",
        "own": f".tmp-old-step-00000030-{os.getpid()}-{host}-00000000",
        "far": f".tmp-step-00000030-{sleeper.pid}-{'0' * 8 if host != '0' * 8 else '1' * 8}-00000000",
        "file": f".tmp-best-{int(gone.stdout)}-{host}-00000000",
        "living": f".tmp-step-00000030-{sleeper.pid}-{host}-00000000",
        "strange": ".tmp-mine",
    }
    try:
        for kind, name in names.items():
            if kind == "file":
                (kept.directory / name).write_text("x")
            else:
                (kept.directory / name).mkdir()
                (kept.directory / name / MODEL).write_text("half")
        newest = kept.newest()
        assert newest is not None
        assert {one.path.name for one in newest.skipped} == {names["dead"], names["far"], names["living"]}
        assert all("interrupted" in one.reason for one in newest.skipped)
        save(kept, 30)
        left = {name for name in os.listdir(kept.directory) if name.startswith(".")}
        assert left == {names["living"], names["strange"]}
    finally:
        sleeper.kill()
        sleeper.wait()


# --- damage ---


def _flip(path: Path, place: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _link(path: Path) -> None:
    there = path.parent.parent / "elsewhere"
    shutil.move(path, there)
    path.symlink_to(there)


DAMAGE = {
    "0 bytes": (MODEL, lambda p: p.write_bytes(b""), r"empty \(0 bytes\)"),
    "cut": (TRAINING, _cut, "bytes instead of"),
    "longer": (MODEL, lambda p: p.write_bytes(p.read_bytes() + b"\0"), "bytes instead of"),
    "one bit": (TRAINING, _flip, "SHA-256"),
    "one bit of the header": (MODEL, lambda p: _flip(p, 20), "SHA-256"),
    "state": (STATE, lambda p: _flip(p, 3), "SHA-256"),
    "manifest": (MANIFEST, lambda p: p.write_text(p.read_text().replace('"step": 20', '"step": 21')), "own digest"),
    "manifest is no JSON": (MANIFEST, lambda p: p.write_text("{"), "is no JSON"),
    "manifest is empty": (MANIFEST, lambda p: p.write_text(""), "empty"),
    "manifest with NaN": (MANIFEST, lambda p: p.write_text('{"a": NaN}'), "is no JSON"),
    "manifest with a surrogate": (MANIFEST, lambda p: p.write_text('{"a": "\\ud800"}'), "is no JSON"),
    "manifest is a list": (MANIFEST, lambda p: p.write_text("[1]"), "is no JSON"),
    "manifest is deep": (MANIFEST, lambda p: p.write_text("[" * 100_000), "is no JSON"),
    "no manifest": (MANIFEST, lambda p: p.unlink(), "is missing"),
    "no weights": (MODEL, lambda p: p.unlink(), "is missing"),
    "pickle": (MODEL, lambda p: torch.save({"a": torch.zeros(1)}, p), "zip archive"),
    "old pickle": (MODEL, lambda p: p.write_bytes(b"\x80\x02}q\x00."), "pickle"),
    "page": (MODEL, lambda p: p.write_text("\n<!DOCTYPE html><html>404</html>"), "web page"),
    "pointer": (
        MODEL,
        lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"),
        "Git LFS pointer",
    ),
    "zeros": (MODEL, lambda p: p.write_bytes(bytes(p.stat().st_size)), "all zeros"),
    "directory": (MODEL, lambda p: (p.unlink(), p.mkdir()), "not a regular file"),
    "link": (MODEL, _link, "not a regular file"),
    "fifo": (STATE, lambda p: (p.unlink(), os.mkfifo(p)), "not a regular file"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_with_its_reason(kept: Checkpoints, kind: str) -> None:
    name, damage, reason = DAMAGE[kind]
    damaged = kept.directory / "step-00000020"
    damage(damaged / name)
    newest = kept.newest()
    assert newest is not None
    assert newest.step == 10
    [skipped] = newest.skipped
    assert skipped.path == damaged
    with pytest.raises(ModelError, match=reason) as error:
        checkpoint.load(damaged)
    assert str(error.value).startswith(str(damaged / name))
    assert name in skipped.reason
    assert damaged.exists()


def test_a_checkpoint_under_another_name_is_refused(kept: Checkpoints) -> None:
    shutil.copytree(kept.directory / "step-00000010", kept.directory / "step-00000050")
    newest = kept.newest()
    assert newest is not None
    assert newest.step == 20
    assert "of another checkpoint (step 10" in newest.skipped[0].reason


def test_a_linked_checkpoint_is_refused(kept: Checkpoints, tmp_path: Path) -> None:
    shutil.move(kept.directory / "step-00000020", tmp_path / "elsewhere")
    (kept.directory / "step-00000020").symlink_to(tmp_path / "elsewhere")
    newest = kept.newest()
    assert newest is not None
    assert newest.step == 10
    assert "not a directory" in newest.skipped[0].reason


def _with_own_digest(content: dict[str, Any]) -> bytes:
    return manifest.to_json({**content, "digest": manifest._digest(content)})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format_version": 2}, "format version 2; this Headway knows 1"),
        ({"format_version": "1"}, "own digest"),
        ({"files": None}, "own digest"),
        ({"files": {"../../x": {"bytes": 1, "sha256": ""}}}, "another checkpoint"),
        ({"files": {name: [] for name in (MODEL, TRAINING, STATE)}}, "wrong record"),
    ],
)
def test_a_hostile_manifest_with_its_own_digest_is_refused(kept: Checkpoints, changes: dict[str, Any], reason: str) -> None:
    path = kept.directory / "step-00000020" / MANIFEST
    content = {key: value for key, value in json.loads(path.read_text()).items() if key != "digest"}
    path.write_bytes(_with_own_digest({**content, **changes}))
    with pytest.raises(ModelError, match=reason):
        checkpoint.verify(path.parent)


def test_all_bad_lists_every_reason_and_removes_nothing(kept: Checkpoints) -> None:
    _flip(kept.directory / "step-00000010" / MODEL)
    (kept.directory / "step-00000020" / MANIFEST).unlink()
    before = sorted(str(path) for path in kept.directory.rglob("*"))
    with pytest.raises(ModelError, match="none of the 2 checkpoints") as error:
        kept.newest()
    assert error.value.exit_code == 4
    assert "step-00000010: model.safetensors is damaged" in str(error.value)
    assert "step-00000020: manifest.json is missing" in str(error.value)
    assert sorted(str(path) for path in kept.directory.rglob("*")) == before


def test_an_unreadable_file_is_a_reason(kept: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    real = _fs.open_read

    def refuse(path: Path) -> int:
        if path.parent.name == "step-00000020" and path.name == MODEL:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(_fs, "open_read", refuse)
    newest = kept.newest()
    assert newest is not None
    assert newest.step == 10
    assert "Permission denied" in newest.skipped[0].reason


# --- full disks ---


def test_too_little_space_is_said_before_anything_is_written(kept: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fs, "free_bytes", lambda path: 1000)
    with pytest.raises(ResourceError, match=r"needs 1,\d{3},\d{3} bytes, but only 1,000 bytes are free") as error:
        save(kept, 30)
    assert str(kept.directory) in str(error.value)
    assert error.value.exit_code == 5
    assert sorted(os.listdir(kept.directory)) == ["step-00000010", "step-00000020"]
    with pytest.raises(ResourceError, match="needs 5,000 bytes"):
        Checkpoints(kept.directory / "not" / "yet").require_space(5000)


def test_twenty_levels_of_a_full_disk(place: Path) -> None:
    """A real limit of the kernel on the size of a file stands for the full disk."""
    checkpoints = Checkpoints(place)
    big = {"model.w": torch.arange(20_000.0)}

    def attempt(step: int) -> Path:
        return checkpoints.save(step, big, {"optimizer.step": torch.zeros(())}, {"update": step})

    attempt(1)
    attempt(2)
    size = (place / "step-00000002" / MODEL).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    step, refused = 2, 0
    for level in range(20):
        step += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * 1.1 * level / 19), hard))
        told = ""
        try:
            attempt(step)
        except ResourceError as error:
            told = str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        if told:
            refused += 1
            assert re.search(rf"{re.escape(str(place))}: could not save step {step}: .*needed 1,\d+,\d+ bytes, free [\d,]+", told)
            newest = checkpoints.newest()
            assert newest is not None
            assert newest.step == 2
            assert not [name for name in os.listdir(place) if name.startswith(".")]
    assert refused == 18  # the last two levels hold a whole file
    attempt(step + 1)
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == step + 1


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("mine")
    with pytest.raises(ResourceError, match="checkpoints"):
        save(Checkpoints(tmp_path / "checkpoints"), 1)
    assert (tmp_path / "checkpoints").read_text() == "mine"


def test_one_checkpoint_is_too_few_to_keep(place: Path) -> None:
    with pytest.raises(ValueError, match="keep=1"):
        Checkpoints(place, keep=1)
