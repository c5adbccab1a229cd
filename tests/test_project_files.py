"""The files around the package: pins, make targets, the licence, and that what the documents name exists."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line and not line.startswith("#")
)


def test_every_pin_is_exact() -> None:
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line), line
    assert PINS["torch"] == "2.13.0"
    assert list(PINS) == sorted(PINS, key=str.lower)


@pytest.mark.parametrize("package", ["torchvision", "torchaudio", "torchcodec", "headway", "pip"])
def test_what_must_not_be_pinned(package: str) -> None:
    assert package not in {name.lower() for name in PINS}


def test_every_requirement_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *(line for lines in project["optional-dependencies"].values() for line in lines)]
    names = {re.match(r"[A-Za-z0-9_.-]+", line)[0].lower() for line in wanted}  # type: ignore[index]
    assert names - {"headway"} <= {name.lower() for name in PINS}


def test_no_machine_or_host_is_named() -> None:
    for name in ("Makefile", "constraints.txt", ".ci/run", "pyproject.toml", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text("utf-8")
        assert not re.search(r"--(extra-)?index-url|pypi\.org|download\.pytorch|/home/|/root/|/work/", text), name


def test_ci_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text("utf-8")
    assert script.read_text("utf-8").rstrip().endswith("make test")


def dry_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("target", ["demo", "test", "lint", "types", "contracts", "unit", "format", "prove", "bench-training"])
def test_targets_set_themselves_up(target: str) -> None:
    shown = dry_run("-W", "constraints.txt", target)
    assert shown.returncode == 0
    assert shown.stdout.index("pip install") < shown.stdout.rindex(".venv/bin/")
    assert '-c constraints.txt -e ".[all,dev]"' in shown.stdout


def test_the_demo_walks_the_whole_way() -> None:
    commands = re.findall(r"bin/headway (\w+)", dry_run("demo").stdout)
    assert commands == ["sample", "check", "train", "evaluate", "report", "predict", "explain"]


def test_make_test_runs_all_gates() -> None:
    shown = dry_run("test").stdout
    for gate in ("ruff check .", "ruff format --check .", "mypy", "lint-imports", "pytest -n 2"):
        assert f".venv/bin/{gate}" in shown


def test_an_old_python_is_refused_clearly(tmp_path: Path) -> None:
    old = tmp_path / "oldpython"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text("utf-8"))
    for name in ("constraints.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    shown = subprocess.run(["make", f"PYTHON={old}", "lint"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert shown.returncode != 0
    assert "needs Python 3.11 or newer" in shown.stderr
    assert str(old) in shown.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_limits_in_the_security_page_are_those_of_the_code() -> None:
    from headway import config_reader, model_dir
    from headway.data import files, lines

    text = (ROOT / "SECURITY.md").read_text("utf-8")
    assert (config_reader.MAX_CONFIG_BYTES, config_reader.MAX_CONFIG_DEPTH, config_reader.MAX_CONFIG_NODES) == (
        1 << 20,
        32,
        20_000,
    )
    assert (model_dir.MAX_HEADER_BYTES, model_dir.MAX_BYTES["manifest.json"]) == (1 << 20, 1 << 20)
    assert (lines.MAX_LINE_BYTES, files.BOMB_RATIO, files.BOMB_FLOOR_BYTES) == (1 << 20, 250, 64 << 20)
    for limit in ("1 MB, 32 levels, 20,000 values", "256 MB", "1 MiB", "250 times its size, once it is over 64 MB"):
        assert limit in text
