"""What is shown and recorded must never cost the training."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from tiny_run import tiny_config

from headway.training.progress import Progress, _forget_after


class Gone(io.StringIO):
    """A closed terminal, a broken pipe or a full disk."""

    tried = False

    def write(self, text: str) -> int:
        self.tried = True
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_log_that_takes_no_more_does_not_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Gone()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress(tmp_path, tiny_config(tmp_path, tmp_path), enabled=True, record=False)
    with progress:
        progress.console.print("one line")
        progress.end(1.0, tmp_path)
    assert stream.tried


def test_what_is_shown_goes_to_standard_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    Progress(tmp_path, tiny_config(tmp_path, tmp_path), enabled=True, record=False).end(1.0, tmp_path)
    assert sys.stderr.getvalue().startswith("done: best validation score 1.000")  # type: ignore[attr-defined]


def test_damaged_lines_of_the_metrics_are_passed_over(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"update": update}).encode() for update in (1, 2, 3)]
    metrics.write_bytes(lines[0] + b"\n\xff\xfe\0\n" + lines[1] + b"\n" + lines[2] + b'\n{"upd')
    _forget_after(metrics, 2)
    assert metrics.read_bytes() == lines[0] + b"\n" + lines[1] + b"\n"
