"""A run remembers when and on what it was trained, and what its data held; a run that was killed remembers both starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_loop import train_and_die
from tiny_run import FEW, tiny_config

from headway.data.check import check
from headway.data.checks.report import CheckReport
from headway.report.material import gather
from headway.report.page import report_page
from headway.training.loop import train
from headway.training.starts import read_starts


def test_both_starts_of_a_killed_run_are_kept_with_hardware_and_data(
    sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(sample_directory, tmp_path / "run", training=FEW)
    train_and_die(config, 7, monkeypatch)
    train(config, quiet=True)
    first, second = read_starts(tmp_path / "run")
    assert (first.update, second.update) == (0, 5)
    assert first.time < second.time
    assert (first.device, first.threads, first.processes, first.precision) == ("cpu", 1, 1, "fp32")
    assert first.processor
    assert first.cores >= 1
    assert first.parameters > 1000
    assert first.data == second.data
    assert {"python", "torch", "headway"} <= first.versions.keys()
    recorded = CheckReport.from_json(json.loads((tmp_path / "run" / "check.json").read_text("utf-8")))
    now = check(config, quick=True)
    assert (recorded.corpora, recorded.findings, recorded.passed) == (now.corpora, now.findings, now.passed)
    material = gather(tmp_path / "run", "test")
    assert material.training_note == ""  # the data is that which was trained on
    page = report_page(material)
    assert "in 2 starts; what was lost when it was stopped is not counted" in page
    assert first.data["train"] in page


def test_half_a_line_and_the_fields_of_a_newer_headway_are_passed_over(tmp_path: Path) -> None:
    assert read_starts(tmp_path) == []
    (tmp_path / "starts.jsonl").write_bytes(b'{"time": 1.0, "news": 1}\n\xff\n[1]\n{"ti')
    assert read_starts(tmp_path) == []
