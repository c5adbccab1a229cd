"""A model directory: whole or refused. Every damage, mix-up and attack is told; a kill at any operation leaves a model."""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
import json
import os
import pickle
import random
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from headway import model_files
from headway.config import Config, TokenizerConfig, parse_config
from headway.data.tokenizer import Tokenizers, train_tokenizer
from headway.errors import ModelError, ResourceError
from headway.model.transformer import Transformer
from headway.model_card import model_card
from headway.model_dir import NAMES, bundle_fingerprint, find_model, load_model, save_model
from headway.training import _fs

CONFIG = """\
run_directory: runs/x
data: {{train: {{source: a.en, target: a.de}}, validation: {{source: b.en, target: b.de}}}}
model: {{encoder_layers: 1, decoder_layers: 1, width: 16, feed_forward_width: 32, heads: 2, tied_embeddings: {tied}}}
tokenizer: {{kind: word, minimum_frequency: 1, joint: {joint}}}
"""
LINES = ["a man rides a horse", "ein mann reitet ein pferd", "a dog runs"]
Edit = Callable[[Path], None]


def configuration(*, joint: bool = True) -> Config:
    return parse_config(CONFIG.format(tied="all" if joint else "decoder", joint=str(joint).lower()), "x")


def tokenizers_of(config: Config, lines: list[str] = LINES) -> Tokenizers:
    settings = config.tokenizer
    one = train_tokenizer(lines, settings)
    return Tokenizers(one, one if settings.joint else train_tokenizer([*lines, "noch ein wort"], settings))


def build(config: Config, tokenizers: Tokenizers, seed: int = 0) -> Transformer:
    sizes = tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size
    return Transformer(config.model, *sizes, seed=seed)


def save(directory: Path, *, seed: int = 0, joint: bool = True) -> Transformer:
    config = configuration(joint=joint)
    tokenizers = tokenizers_of(config)
    model = build(config, tokenizers, seed)
    save_model(directory, config, model.state_dict(), tokenizers, {"update": 7, "validation": {"bleu": 35.125}})
    return model


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("template") / "model"
    save(directory)
    return directory


@pytest.fixture
def saved(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "model"))


def refusal(directory: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(directory)
    return str(caught.value)


def rewrite_manifest(directory: Path, **changes: Any) -> None:
    """Makes digests and sizes true again, as somebody would who means to deceive."""
    manifest = json.loads((directory / "manifest.json").read_text())
    for name in manifest["files"]:
        content = (directory / name).read_bytes()
        manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest.update(changes)
    (directory / "manifest.json").write_text(json.dumps(manifest))


def rewrite_fingerprint(directory: Path) -> None:
    rewrite_manifest(directory)
    manifest = json.loads((directory / "manifest.json").read_text())
    rewrite_manifest(directory, fingerprint=bundle_fingerprint((directory / "config.yaml").read_text(), manifest))


def edit_config(directory: Path, old: str, new: str) -> None:
    text = (directory / "config.yaml").read_text()
    assert text.count(old) >= 1, text
    (directory / "config.yaml").write_text(text.replace(old, new))


# ---- there and back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("joint", [True, False])
def test_what_is_saved_is_loaded(tmp_path: Path, joint: bool) -> None:
    model = save(tmp_path / "a" / "model", joint=joint)
    loaded = load_model(tmp_path / "a" / "model")
    assert loaded.config == configuration(joint=joint)
    assert not loaded.model.training
    assert (loaded.tokenizers.source is loaded.tokenizers.target) == joint
    assert loaded.tokenizers.source.digest == tokenizers_of(loaded.config).source.digest
    theirs = loaded.model.state_dict()
    assert theirs.keys() == model.state_dict().keys()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in model.state_dict().items())
    assert set(os.listdir(tmp_path / "a" / "model")) <= set(NAMES)
    assert os.listdir(tmp_path / "a") == ["model"]


def test_tied_weights_are_stored_once_and_stay_tied(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    embeddings = [name for name in manifest["tensors"] if "tokens.weight" in name]
    assert len(embeddings) == 1
    model = load_model(saved).model
    assert model.source_embedding.tokens.weight is model.target_embedding.tokens.weight


def test_the_same_model_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save(tmp_path / "again")
    for name in os.listdir(saved):
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_a_loaded_model_may_be_saved_over_itself(saved: Path) -> None:
    loaded = load_model(saved)
    save_model(saved, loaded.config, loaded.model.state_dict(), loaded.tokenizers)
    assert load_model(saved).fingerprint == loaded.fingerprint


def test_a_replaced_or_deleted_model_keeps_answering(saved: Path) -> None:
    loaded = load_model(saved)
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    save(saved, seed=5)
    shutil.rmtree(saved)
    assert all(torch.equal(before[name], tensor) for name, tensor in loaded.model.state_dict().items())


def test_replacing_keeps_notes_and_leaves_nothing_behind(saved: Path) -> None:
    (saved / "notes.txt").write_text("good one")
    first = load_model(saved).fingerprint
    save(saved, seed=3)
    assert load_model(saved).fingerprint != first
    assert (saved / "notes.txt").read_text() == "good one"
    assert os.listdir(saved.parent) == ["model"]


def test_the_card_may_be_edited(saved: Path) -> None:
    (saved / "card.md").write_text("# Mine")
    assert load_model(saved).config.task == "translation"
    (saved / "card.md").unlink()
    assert load_model(saved).config.task == "translation"


def test_what_stands_in_the_way_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("…")
    with pytest.raises(ModelError, match="holds something that is not a model"):
        save(tmp_path / "thesis")
    with pytest.raises(ModelError, match="is not a directory"):
        save(tmp_path / "thesis" / "chapter.txt")
    assert os.listdir(tmp_path) == ["thesis"]
    (tmp_path / "empty").mkdir()
    save(tmp_path / "empty")
    assert load_model(tmp_path / "empty")


def test_weights_that_are_not_finite_are_not_saved(saved: Path) -> None:
    config = configuration()
    tokenizers = tokenizers_of(config)
    model = build(config, tokenizers)
    with torch.no_grad():
        model.encoder_norm.weight[3] = float("nan")
    before = (saved / "manifest.json").read_bytes()
    with pytest.raises(ResourceError, match=r"encoder_norm\.weight"):
        save_model(saved, config, model.state_dict(), tokenizers)
    assert (saved / "manifest.json").read_bytes() == before


# ---- kills and full disks ------------------------------------------------------------------------------------------

OPERATIONS = ["list_directory", "make_directory", "create", "write", "fsync", "close", "fsync_directory", "rename", "remove_file",
              "remove_directory", "status", "open_read", "read_into"]  # fmt: skip


class Killed(BaseException):
    """Not an Exception: nothing may catch it, as nothing catches SIGKILL."""


def stop_at(monkeypatch: pytest.MonkeyPatch, number: int, error: Callable[[], BaseException]) -> list[str]:
    """Lets `number` operations of the file system happen and fails from then on; returns the names of those that did."""
    done: list[str] = []

    def wrap(name: str) -> Callable[..., Any]:
        real = getattr(_fs, name)

        def operation(*arguments: Any) -> Any:
            if len(done) >= number:
                raise error()
            done.append(name)
            return real(*arguments)

        return operation

    for name in OPERATIONS:
        monkeypatch.setattr(_fs, name, wrap(name))
    exchange = model_files._exchange

    def operation(one: Path, other: Path) -> bool:
        if len(done) >= number:
            raise error()
        done.append("exchange")
        return exchange(one, other)

    monkeypatch.setattr(model_files, "_exchange", operation)
    return done


@pytest.mark.parametrize("atomic", [True, False])
def test_a_kill_at_every_operation_leaves_the_old_or_the_new_model(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    old = load_model(template).fingerprint
    save(tmp_path / "new", seed=9)
    new = load_model(tmp_path / "new").fingerprint
    seen, point = set(), 0
    while True:
        directory = tmp_path / str(point) / "model"
        shutil.copytree(template, directory)
        with monkeypatch.context() as patch:
            if not atomic:
                patch.setattr(model_files, "_exchange", lambda one, other: False)
            done = stop_at(patch, point, Killed)
            try:
                save(directory, seed=9)
                finished = True
            except Killed:
                finished = False
        found = load_model(directory).fingerprint
        assert found in (old, new), done
        seen.add(found)
        save(directory, seed=9)
        assert os.listdir(directory.parent) == ["model"], done
        if finished:
            break
        point += 1
    assert seen == {old, new}
    assert point > 30


def test_a_disk_that_refuses_leaves_the_old_model(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, refused = load_model(template).fingerprint, 0
    save(tmp_path / "new", seed=9)
    new = load_model(tmp_path / "new").fingerprint
    for point in itertools.count(0, 2):
        directory = tmp_path / str(point) / "model"
        shutil.copytree(template, directory)
        with monkeypatch.context() as patch:
            stop_at(patch, point, lambda: OSError(errno.ENOSPC, "No space left on device", "/disk"))
            told = ""
            try:
                save(directory, seed=9)
            except ResourceError as error:
                told = str(error)
        refused += "No space left on device" in told and "there still is a whole one" in told
        assert load_model(directory).fingerprint in ((old, new) if told else (new,))
        if not told:
            break
    assert refused > 10


# ---- damage --------------------------------------------------------------------------------------------------------


def outcome(directory: Path) -> str:
    """Whether a model is loaded or refused; anything but a ModelError is a fault of ours and passes through."""
    try:
        load_model(directory)
    except ModelError:
        return "refused"
    return "loaded"


def flipped(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_every_flipped_bit_is_found(saved: Path) -> None:
    draw = random.Random(1)
    kept = {name: (saved / name).read_bytes() for name in os.listdir(saved) if name != "card.md"}
    assert {"config.yaml", "model.safetensors", "manifest.json"} < kept.keys()
    for name, content in kept.items():
        for _ in range(60):
            flipped(saved / name, draw.randrange(8 * len(content)))
            if name == "manifest.json":  # some of it is only told, such as the version that wrote it
                assert outcome(saved) in ("loaded", "refused")
            else:
                assert "→" in refusal(saved)
            (saved / name).write_bytes(content)
    assert load_model(saved)


def test_every_cut_is_found(saved: Path) -> None:
    content = (saved / "model.safetensors").read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]:
        (saved / "model.safetensors").write_bytes(content[:length])
        assert "model.safetensors: " in refusal(saved)
    (saved / "model.safetensors").write_bytes(content + b"\0")
    assert f"has {len(content) + 1:,} bytes instead of {len(content):,}" in refusal(saved)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", "x")
    return buffer.getvalue()


@pytest.mark.parametrize("lying", [False, True], ids=["honest manifest", "lying manifest"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (pickle.dumps({"weights": [1, 2]}), "a Python pickle"),
        (zipped(), "a zip archive"),
        (b"<!DOCTYPE html><html>Not found</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 90, "an HDF5 file"),
        (b"GGUF" + b"\1" * 90, "a GGUF file"),
        (b"\x93NUMPY\x01\0" + b"\0" * 90, "a NumPy file"),
        (b"\0" * 4000, "all zeros"),
        (b"\xff" * 8 + b"\0" * 4000, ""),
        ((2 << 20).to_bytes(8, "little") + b" " * (3 << 20), "its header claims 2,097,152 bytes"),
        ((4).to_bytes(8, "little") + b"[[[[" + b"\0" * 9000, ""),
        ((1 << 20).to_bytes(8, "little") + b"[" * (1 << 20), ""),
        ((2).to_bytes(8, "little") + b"{}" + b"\0" * 9000, ""),
    ],
    ids=range(14),
)
def test_foreign_weights_are_named(saved: Path, content: bytes, told: str, lying: bool) -> None:
    (saved / "model.safetensors").write_bytes(content)
    if lying:
        rewrite_fingerprint(saved)
    message = refusal(saved)
    assert told in message or (not lying and "bytes instead of" in message)


def rewrite_weights(directory: Path, change: Callable[[dict[str, Any], bytes], tuple[Any, bytes]]) -> None:
    content = (directory / "model.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, body = change(json.loads(content[8 : 8 + length]), content[8 + length :])
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (directory / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    rewrite_fingerprint(directory)


def change_entry(**fields: Any) -> Callable[[dict[str, Any], bytes], tuple[Any, bytes]]:
    def change(header: dict[str, Any], body: bytes) -> tuple[Any, bytes]:
        header["encoder_norm.weight"].update(fields)
        return header, body

    return change


@pytest.mark.parametrize(
    "change",
    [
        change_entry(dtype="I32"),
        change_entry(dtype="F16"),
        change_entry(dtype="PICKLE"),
        change_entry(shape=[4, 4]),
        change_entry(shape=[1 << 62, 1 << 62]),
        change_entry(shape=[-16]),
        change_entry(data_offsets=[0, 64]),
        change_entry(data_offsets=[-64, 0]),
        change_entry(data_offsets=[1 << 62, (1 << 62) + 64]),
        change_entry(more="x"),
        lambda header, body: ({name: entry for name, entry in header.items() if name != "encoder_norm.weight"}, body),
        lambda header, body: ({**header, "extra": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}, body),
        lambda header, body: (header, body[:-4]),
        lambda header, body: (header, body + b"\0\0\0\0"),
        lambda header, body: (header, body[:100] + b"\0\0\xc0\x7f" * 30 + body[220:]),
        lambda header, body: (header, body[:100] + b"\0\0\x80\xff" + body[104:]),
        lambda header, body: (json.dumps(header).encode()[:-1] + b',"encoder_norm.weight":{}}', body),
        lambda header, body: ({f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(9000)}, body),
    ],
    ids=range(18),
)
def test_weights_that_do_not_fit_are_refused_even_with_true_digests(saved: Path, change: Any) -> None:
    rewrite_weights(saved, change)
    start = time.process_time()
    assert "model.safetensors: " in refusal(saved)
    assert time.process_time() - start < 1


def test_missing_and_extra_tensors_are_named(saved: Path) -> None:
    def rename(header: dict[str, Any], body: bytes) -> tuple[Any, bytes]:
        header["renamed"] = header.pop("encoder_norm.weight")
        return header, body

    rewrite_weights(saved, rename)
    assert "lacks the tensors encoder_norm.weight and has the unknown tensors renamed" in refusal(saved)


# ---- what does not belong together ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("heads: 2", "heads: 4"),
        ("norm_place: pre", "norm_place: post"),
        ("activation: relu", "activation: gelu"),
        ("positions: sinusoidal", "positions: none"),
        ("source_language: en", "source_language: fr"),
        ("preprocessing: []", "preprocessing: [lowercase]"),
        ("norm: layer", "norm: rms"),
        ("tied_embeddings: all", "tied_embeddings: decoder"),
        ("width: 16", "width: 32"),
        ("gated: false", "gated: true"),
    ],
)
def test_a_changed_configuration_is_refused(saved: Path, old: str, new: str) -> None:
    edit_config(saved, old, new)
    assert "config.yaml: " in refusal(saved)
    rewrite_manifest(saved)
    message = refusal(saved)
    assert "does not belong to these weights (fingerprint " in message
    assert json.loads((saved / "manifest.json").read_text())["fingerprint"][:16] in message


def test_settings_of_training_and_decoding_are_not_part_of_the_fingerprint(saved: Path) -> None:
    edit_config(saved, "beam_size: 5", "beam_size: 4")
    rewrite_manifest(saved)
    assert load_model(saved).config.decoding.beam_size == 4


@pytest.mark.parametrize("lines", [[*LINES, "one more word"], ["z " + LINES[0], *LINES[1:]], list(reversed(LINES))])
def test_another_tokenizer_is_refused(saved: Path, lines: list[str]) -> None:
    one = train_tokenizer(lines, TokenizerConfig(kind="word", minimum_frequency=1))
    original = (saved / "tokenizer.json").read_bytes()
    one.save(saved / "tokenizer.json")
    if (saved / "tokenizer.json").read_bytes() == original:
        return  # the order of lines does not matter to it
    assert "tokenizer.json: " in refusal(saved)
    rewrite_manifest(saved)
    assert "the tokenizer does not belong to these weights" in refusal(saved)


def test_parts_of_another_model_are_refused(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    save(other, seed=4)
    for name in ("model.safetensors", "manifest.json"):
        kept = (saved / name).read_bytes()
        shutil.copy(other / name, saved / name)
        assert refusal(saved)
        (saved / name).write_bytes(kept)
    shutil.copy(other / "model.safetensors", saved / "model.safetensors")
    rewrite_manifest(saved)
    assert "fingerprint" in refusal(saved)


def test_a_big_configuration_over_small_weights_is_refused_before_it_is_built(saved: Path) -> None:
    edit_config(saved, "width: 16", "width: 65536")
    edit_config(saved, "encoder_layers: 1", "encoder_layers: 256")
    rewrite_fingerprint(saved)
    start = time.process_time()
    assert "too few for the" in refusal(saved)
    assert time.process_time() - start < 1


def test_a_sparse_giant_is_refused_before_it_is_read(saved: Path) -> None:
    with open(saved / "model.safetensors", "r+b") as file:
        file.truncate(10 << 30)
    start = time.process_time()
    assert "bytes instead of" in refusal(saved)
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["files"]["model.safetensors"]["bytes"] = 10 << 30
    manifest["fingerprint"] = bundle_fingerprint((saved / "config.yaml").read_text(), manifest)
    (saved / "manifest.json").write_text(json.dumps(manifest))
    assert "too many for the" in refusal(saved)
    with open(saved / "config.yaml", "r+b") as file:
        file.truncate(10 << 30)
    assert "config.yaml: has 10,737,418,240 bytes" in refusal(saved)
    assert time.process_time() - start < 1


# ---- the manifest and the names in it ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            lambda manifest: {**manifest, "format_version": 2},
            "has format version 2, and this Headway knows 1\n  → upgrade Headway",
        ),
        (lambda manifest: {**manifest, "format_version": "1"}, "is not a manifest"),
        (lambda manifest: {**manifest, "format_version": True}, "is not a manifest"),
        (lambda manifest: {"format_version": 1}, "is not a manifest"),
        (lambda manifest: [], "is not a manifest"),
        (lambda manifest: {**manifest, "files": []}, "is not a manifest"),
        (lambda manifest: {**manifest, "fingerprint": None}, "fingerprint"),
        (lambda manifest: {**manifest, "tokenizers": {}}, "digests of the tokenizers"),
        (lambda manifest: {**manifest, "tokenizers": {"source": 1, "target": 2}}, "digests of the tokenizers"),
        (lambda manifest: {**manifest, "files": {"config.yaml": manifest["files"]["config.yaml"]}}, "does not name"),
        (
            lambda manifest: {**manifest, "files": {**manifest["files"], "config.yaml": {"bytes": 3}}},
            "size and digest for config.yaml",
        ),
        (lambda manifest: {**manifest, "files": {**manifest["files"], "config.yaml": None}}, "size and digest for config.yaml"),
    ],
    ids=range(12),
)
def test_strange_manifests(saved: Path, edit: Any, told: str) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps(edit(manifest)))
    assert told in refusal(saved)


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "{" * 100_000, "[" * 1_000_000, '{"format_version": 1, "format_version": 1}', '{"a": ' + "9" * 9000 + "}"],
)
def test_manifests_that_are_no_json(saved: Path, text: str) -> None:
    (saved / "manifest.json").write_text(text)
    assert "manifest.json: " in refusal(saved)


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "~/x", "..\\x", "C:\\x", "\\\\host\\share", "a\0b", "%2e%2e/x", "．．/x", "model/../../x",
     ".", "..", "",
     "x" * 5000, "\u202eexe.ledom", "CON", "config.yaml\n", "weights.bin", "sub/config.yaml"],
    ids=range(19),
)  # fmt: skip
def test_hostile_names_are_refused(saved: Path, name: str) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["files"][name] = manifest["files"]["config.yaml"]
    (saved / "manifest.json").write_text(json.dumps(manifest))
    message = refusal(saved)
    assert "which is no file of a model" in message
    assert len(message) < 800
    assert name.isprintable() or name not in message.replace("\n  →", "")


@pytest.mark.parametrize("name", ["config.yaml", "model.safetensors", "tokenizer.json", "manifest.json"])
def test_links_and_special_files_are_not_followed(saved: Path, tmp_path: Path, name: str) -> None:
    shutil.move(saved / name, tmp_path / "elsewhere")
    (saved / name).symlink_to(tmp_path / "elsewhere")
    assert "is not a regular file (links are not followed)" in refusal(saved)
    (saved / name).unlink()
    os.mkfifo(saved / name)
    assert refusal(saved)
    (saved / name).unlink()
    assert "missing" in refusal(saved) or "no manifest.json" in refusal(saved)


def test_a_file_without_permission(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(_fs, "open_read", refuse)
    assert "cannot be read: Permission denied\n  → mend its permissions" in refusal(saved)


# ---- nothing is ever run -------------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self) -> Any:
        return (os.system, ("touch /tmp/headway-was-here",))


WATCH: dict[str, Any] = {"events": None}
RUNS_CODE = (
    "exec",
    "compile",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "pickle.find_class",
)


def _watcher(event: str, arguments: tuple[Any, ...]) -> None:
    if WATCH["events"] is not None and (event in RUNS_CODE or event == "open"):
        WATCH["events"].append((event, arguments))


@pytest.fixture
def watched() -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """The events of the interpreter that could run code or reach outside."""
    if "hook" not in WATCH:
        WATCH["hook"] = True
        sys.addaudithook(_watcher)
    WATCH["events"] = []
    yield WATCH["events"]
    WATCH["events"] = None


def test_hostile_files_run_nothing_and_open_nothing_outside(saved: Path, watched: list[tuple[str, tuple[Any, ...]]]) -> None:
    hostile = [pickle.dumps(Bomb(), protocol) for protocol in range(6)]
    hostile += [
        zipped(),
        b"!!python/object/apply:os.system ['true']",
        b"{{ 7 * 7 }}",
        b'{"__reduce__": "os.system"}',
        b"import os",
    ]
    kept = {name: (saved / name).read_bytes() for name in os.listdir(saved)}
    load_model(saved)  # what is imported lazily is imported now
    watched.clear()
    refused = 0
    for content in hostile:
        for name in kept:
            (saved / name).write_bytes(content)
            for lying in (False, True):
                if lying and name not in ("manifest.json", "card.md"):
                    rewrite_manifest(saved)
                watched.clear()
                found = outcome(saved)
                refused += found == "refused"
                assert found == "refused" or name == "card.md", (name, content)
                events = [event for event in watched if event[0] != "open"]
                paths = [str(event[1][0]) for event in watched if event[0] == "open" and not isinstance(event[1][0], int)]
                assert events == []
                assert all(path.startswith(str(saved)) for path in paths), paths
            for other, bytes_ in kept.items():
                (saved / other).write_bytes(bytes_)
    assert refused == len(hostile) * (len(kept) - 1) * 2
    assert not Path("/tmp/headway-was-here").exists()


# ---- finding a model -----------------------------------------------------------------------------------------------


def test_find_model(saved: Path, tmp_path: Path) -> None:
    assert find_model(saved) == saved
    assert find_model(str(tmp_path)) == saved
    (tmp_path / "link").symlink_to(saved)
    assert find_model(tmp_path / "link") == tmp_path / "link"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("modle", "no such directory\n  → did you mean "),
        ("model/config.yaml", "is a file, not a model directory\n  → name the directory it stands in"),
        ("begun", "this run has no model yet\n  → train on"),
        ("foreign", "holds pytorch_model.bin, which may run code when opened"),
        ("theirs", "is a directory of Hugging Face\n  → headway import "),
        ("other", "is no model directory: it has no manifest.json"),
        ("no/where", "no such directory"),
        ("x" * 5000, "File name too long"),
        ("a\0b", "null byte"),
        ("\x1b[31m", "no such directory"),
    ],
    ids=range(10),
)
def test_what_is_no_model(saved: Path, tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "begun" / "checkpoints").mkdir(parents=True)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "pytorch_model.bin").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "theirs").mkdir()
    for file in ("config.json", "model.safetensors"):
        (tmp_path / "theirs" / file).touch()
    with pytest.raises(ModelError) as caught:
        find_model(tmp_path / name)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 600
    assert "\x1b" not in str(caught.value)


# ---- the card ------------------------------------------------------------------------------------------------------


def test_the_card_tells_what_was_measured_and_no_markup_gets_in() -> None:
    examples = [{"source": "<script>x</script> | *b*", "reference": "r", "translation": "line\nbreak"}]
    card = model_card(configuration(), {"update": 4000, "validation": {"bleu": 35.125, "examples": examples, "loss": None}})
    assert "# Translation, en → de" in card
    assert "| update | 4,000 |" in card
    assert "| validation bleu | 35.12 |" in card
    assert "<script>" not in card
    assert "  - model: line break" in card
    assert "headway predict" in card
