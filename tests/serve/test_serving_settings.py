"""What the command line of the server refuses, how many workers it takes by itself, and what a closed terminal does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from running import in_a_loop

from headway import cli_serving
from headway.cli import main
from headway.serve import server


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--workers", "-1"), "--workers: -1 is no such number"),
        (("--port", "-1"), "--port: -1 is no port"),
        (("--port", "65536"), "--port: 65536 is no port"),
        (("--workers", "0"), "--workers: 0 is no such number"),
        (("--threads", "-1"), "--threads: -1 is no such number"),
        (("limits.drain_seconds=inf",), "limits.drain_seconds: 'inf' is no number"),
        (("limits.seconds=nan",), "limits.seconds: 'nan' is no number"),
        (("limits.drain_seconds=1e999",), "limits.drain_seconds: '1e999' is no number"),
    ],
)
def test_numbers_that_would_stop_it_are_refused(
    arguments: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").touch()
    assert main(["serve", f"mt={tmp_path}", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_checkpoints_are_no_reason_for_fewer_workers(run_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("translation")
    assert list(run.glob("checkpoints/*/model.safetensors"))
    size = sum(file.stat().st_size for file in (run / "model").iterdir())
    room = int(4.5 * cli_serving.COPIES * size / cli_serving.SHARE_OF_MEMORY)
    monkeypatch.setattr(cli_serving.os, "sysconf", {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": room}.__getitem__)
    monkeypatch.setattr(cli_serving.os, "sched_getaffinity", lambda _: range(16))
    assert cli_serving._workers_for([run]) == cli_serving._workers_for([run / "model"]) == 4


def test_a_run_without_a_model_is_refused_before_anything_is_loaded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoints").mkdir()
    assert main(["serve", str(tmp_path)]) == 4
    told = capfd.readouterr().err
    assert "this run has no model yet" in told
    assert "loading" not in told


def test_a_terminal_that_is_closed_ends_it_and_loads_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    renewed: list[str] = []
    service: Any = SimpleNamespace(pools={"mt": SimpleNamespace(renew=lambda: renewed.append("mt"))})
    handlers: dict[int, tuple[Any, ...]] = {}
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)  # the tests may be run by nohup

    async def hang_up(there: list[bool]) -> bool:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "add_signal_handler", lambda number, *call: handlers.update({number: call}))
        monkeypatch.setattr(server, "_has_terminal", lambda: there.pop(0))
        told = server._told_to_stop(service)
        handlers[signal.SIGHUP][0]()
        return told.done()

    assert in_a_loop(hang_up([True, False]))
    assert renewed == []
    assert not in_a_loop(hang_up([True, True]))
    assert renewed == ["mt"]
