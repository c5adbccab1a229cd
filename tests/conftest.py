"""For all tests: time is no part of a property, the machine may be busy. A browser for pages, and little runs to look into."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from headway.config import load_config
from headway.samples import write_sample
from headway.training.loop import train

settings.register_profile("headway", deadline=None)
settings.load_profile("headway")

LOCAL = ("file:", "blob:", "data:")
SMALL = (
    "model.width=32", "model.heads=2", "model.feed_forward_width=32", "training.updates=30", "training.batch_tokens=512",
    "training.tensorboard=false", "training.threads=1", "training.warmup_updates=5", "tokenizer.vocabulary_size=300",
)  # fmt: skip


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The system's own Chromium without a window; skips where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file in the browser; the test fails for anything on the console, and for a request to anywhere else."""
    trouble: list[str] = []
    contexts: list[Any] = []

    def open_file(path: Path, **settings: Any) -> Any:
        context = chromium.new_context(accept_downloads=True, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: None if request.url.startswith(LOCAL) else trouble.append(request.url),
        )
        page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))
        page.goto(path.resolve().as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert trouble == []


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A little run of a task, learned when it is first asked for: once for all processes of the tests, each has a copy."""
    base = tmp_path_factory.getbasetemp()
    common = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "learned"
    common.mkdir(exist_ok=True)
    found: dict[str, Path] = {}

    def learned(kind: str) -> Path:
        if kind not in found:
            original, done = common / kind, common / f"{kind}.done"
            with (common / f"{kind}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not done.exists():
                    write_sample(kind, original, seed=1, size=150)
                    train(load_config(original / "config.yaml", [*SMALL, f"run_directory={original / 'run'}"]))
                    done.touch()
            own = tmp_path_factory.mktemp("explained") / kind
            shutil.copytree(original, own)
            found[kind] = own / "run"
        return found[kind]

    return learned
