"""What is shown and recorded must never cost the training."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from tiny_run import tiny_config

from headway.training.progress import Progress, _forget_after
from headway.training.validation import Example, ValidationScores


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


BEST = [("r", -0.2, "r -0.200"), ("BLEU", 31.5, "BLEU 31.500"), ("loss", -2.5, "loss 2.500")]


@pytest.mark.parametrize(("metric", "best", "shown"), BEST)
def test_the_best_figure_keeps_its_sign(
    metric: str, best: float, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    progress = Progress(tmp_path, tiny_config(tmp_path, tmp_path), enabled=True, record=False)
    progress._metric = metric
    progress.end(best, tmp_path)
    assert sys.stderr.getvalue().startswith(f"done: best validation {shown}; ")  # type: ignore[attr-defined]


def test_texts_of_the_data_do_not_command_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    example = Example("\x1b[2J[red]\u202eevil", "one\ntwo", "x" * 1000)
    scores = ValidationScores(1.0, 2.7, None, None, None, [example])
    Progress(tmp_path, tiny_config(tmp_path, tmp_path), enabled=True, record=False).validation(1, scores, better=False)
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "⟨U+001B⟩[2J[red]⟨U+202E⟩evil" in shown
    assert "one⟨U+000A⟩two" in shown
    assert "x" * 400 + " …" in shown
    assert "x" * 401 not in shown


def test_a_validation_that_is_repeated_is_told_once(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    lines = [json.dumps(line) for line in ({"update": 1, "validation_loss": 2.0}, {"update": 2, "loss": 1.0})]
    lines.append(json.dumps({"update": 2, "validation_loss": 1.0}))
    for validated, kept in ((True, 3), (False, 2)):
        metrics.write_text("\n".join(lines) + "\n")
        _forget_after(metrics, 2, validated=validated)
        assert metrics.read_text().splitlines() == lines[:kept]


def test_damaged_lines_of_the_metrics_are_passed_over(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"update": update}).encode() for update in (1, 2, 3)]
    metrics.write_bytes(lines[0] + b"\n\xff\xfe\0\n" + lines[1] + b"\n" + lines[2] + b'\n{"upd')
    _forget_after(metrics, 2, validated=True)
    assert metrics.read_bytes() == lines[0] + b"\n" + lines[1] + b"\n"
