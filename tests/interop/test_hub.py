"""Models by their names: fetched from a hub that is a small server here, only what is read of them, and only when asked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headway.cli import main
from headway.errors import ModelError, ResourceError, UsageError
from headway.interop.hub import fetch, is_hub_name
from headway.model_dir import load_model

hub = pytest.importorskip("huggingface_hub", reason="it is what fetches")
pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")

from tiny_models import save_tiny  # noqa: E402  (needs transformers)

COMMIT = "c0ffee" + "0" * 34
UNWANTED = ("pytorch_model.bin", "modeling_tiny.py", "onnx/model.onnx", "consolidated.safetensors", "README.md", "tf_model.h5")


class Hub(ThreadingHTTPServer):
    """As much of the hub as a download asks for. `models`: directory of each name; `asked`: what was asked for."""

    def __init__(self, models: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.models, self.asked = models, list[str]()
        self.closed: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        told = re.fullmatch(r"/api/models/(.+)/(revision|tree)/([^/]+)", path)
        file = re.fullmatch(r"/(.+)/resolve/([^/]+)/(.+)", path)
        found = told or file
        name = found[1] if found else ""
        if name not in self.server.models:
            return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        if name in self.server.closed and (file or (told and told[2] == "tree")):
            return self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
        directory = self.server.models[name]
        if told and told[3] not in ("main", "v1", COMMIT):
            return self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        if told and told[2] == "revision":
            return self.answer(200, json.dumps({"id": name, "sha": COMMIT, "siblings": []}).encode())
        if told:
            files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
            rows = [
                {"type": "file", "path": str(path.relative_to(directory)), "size": path.stat().st_size, "oid": "0" * 40}
                for path in files
            ]
            return self.answer(200, json.dumps(rows).encode())
        assert file is not None
        content = (directory / file[3]).read_bytes()
        return self.answer(200, content, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'})

    def answer(self, code: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    whole = tmp_path_factory.mktemp("published")
    for name in ("whole", "pickled"):
        save_tiny("gpt2", whole / name)
        for file in UNWANTED:
            path = whole / name / file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"\x80\x04 never fetched")
    (whole / "pickled" / "model.safetensors").unlink()
    return {"someone/tiny": whole / "whole", "tiny": whole / "whole", "someone/pickled": whole / "pickled"}


@pytest.fixture
def server(published: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The library reads where the hub is when it is imported, so that its constants are set."""
    with Hub(published) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.address)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", running.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.chdir(tmp_path)
        yield running
        running.shutdown()
        thread.join()


def files_asked(server: Hub) -> set[str]:
    return {path.partition(f"/resolve/{COMMIT}/")[2] for path in server.asked if "/resolve/" in path}


@pytest.mark.parametrize("name", ["someone/tiny", "tiny"])
def test_a_name_becomes_a_model(
    name: str, server: Hub, published: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", name, "ours"]) == 0
    told = capsys.readouterr()
    assert f"fetched {name}@{COMMIT}" in told.err
    assert told.out.strip().endswith("ours")
    assert files_asked(server) == {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    assert main(["import", str(published[name]), "same"]) == 0
    one, other = (load_model(tmp_path / part) for part in ("ours", "same"))
    assert one.fingerprint == other.fingerprint
    assert f"{name}@{COMMIT}" in (tmp_path / "ours" / "card.md").read_text("utf-8")


def test_what_was_fetched_is_not_fetched_again(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch("someone/tiny", "v1")
    assert first.name == COMMIT
    server.asked.clear()
    assert fetch("someone/tiny", COMMIT) == first
    assert files_asked(server) == set()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetch("someone/tiny", "v1") == first


def test_what_cannot_be_fetched_is_told(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="someone/other: is no directory, and the hub has no such model"):
        fetch("someone/other", None)
    with pytest.raises(ModelError, match="has no revision v9"):
        fetch("someone/tiny", "v9")
    with pytest.raises(ModelError, match=r"no weights as safetensors(.|\n)+save_pretrained"):
        fetch("someone/pickled", None)
    assert not files_asked(server) & set(UNWANTED)
    server.closed.add("someone/tiny")
    with pytest.raises(ModelError, match=r"only to those who accept its terms\s+→ accept"):
        fetch("someone/tiny", None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    server.asked.clear()
    with pytest.raises(ResourceError, match="HF_HUB_OFFLINE is set"):
        fetch("someone/new", None)
    assert server.asked == []


def test_a_hub_that_is_not_there_is_told(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "http://127.0.0.1:9"  # discard: nobody listens
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", nowhere)
    with pytest.raises(ResourceError, match=r"cannot be fetched: ConnectError(.|\n)+try again"):
        fetch("someone/tiny", None)


def test_without_the_library_the_extra_is_named(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"pip install 'headway\[hub\]'"):
        fetch("someone/tiny", None)


@pytest.mark.parametrize(
    "given", ["./tiny", "/nowhere/tiny", "a/b/c", "tiny/", "owner/", "some one/tiny", "a..b", "a--b", "~/tiny"]
)
def test_a_path_is_never_asked_for(given: str, server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", given, "ours"]) == 2
    assert "no such directory" in capsys.readouterr().err
    assert server.asked == []


def test_a_path_with_a_mistake_in_it_is_put_right(server: Hub, tmp_path: Path) -> None:
    (tmp_path / "downloads" / "minilm").mkdir(parents=True)
    with pytest.raises(
        UsageError, match=r"downloads/minlm: no such directory\s+→ did you mean downloads/minilm\?.*--revision main"
    ):
        is_hub_name("downloads/minlm", None)
    assert is_hub_name("downloads/minlm", "main")
    assert is_hub_name("someone/tiny", None)
    assert not is_hub_name("downloads", None)
    assert is_hub_name("download", None)  # what stands beside it is no model
    (tmp_path / "minilm-copy").mkdir()
    (tmp_path / "minilm-copy" / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"did you mean minilm-copy\?"):
        is_hub_name("minilm-cpy", None)
    with pytest.raises(UsageError, match="leave --revision out"):
        is_hub_name("minilm-copy", "main")
    with pytest.raises(UsageError, match="is no name on the hub"):
        is_hub_name("a/b/c", "main")
    assert server.asked == []


def test_the_environment_says_where_the_hub_is(server: Hub, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": server.address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    script = "import sys; from headway.interop.hub import fetch; print(fetch('someone/tiny', None))"
    for more, code in ({}, 0), ({"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}, 1):
        done = subprocess.run(
            [sys.executable, "-c", script], env={**environment, **more}, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == code, done.stderr
        if not code:
            assert Path(done.stdout.strip()).name == COMMIT
            assert Path(done.stdout.strip()).is_relative_to(tmp_path / "home")
        else:
            assert "HF_HUB_OFFLINE is set" in done.stderr
