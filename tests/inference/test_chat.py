"""Talking with a model of dialogue: what it remembers, and how it is talked to in a pipe and at a terminal."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

import headway
from headway.cli import main
from headway.config import Config
from headway.data.dialogues import history
from headway.data.tokenizer import train_tokenizers
from headway.errors import UsageError
from headway.inference.chat import Chat
from headway.model_dir import build_model, save_model
from headway.tasks import TASKS

SAID = ["Hello.", "How are you?", "What is your name?", "Where do you live?"]


def saved(folder: Path, task: str, columns: dict[str, Any], line: dict[str, Any]) -> Path:
    """A random model of a task."""
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text((json.dumps(line) + "\n") * 3, encoding="utf-8")
    corpus = {"path": str(folder / "a.jsonl"), **columns}
    config = Config.model_validate(
        {
            "run_directory": str(folder / "run"),
            "task": task,
            "data": {"train": corpus, "validation": corpus, "history_turns": 3},
            "tokenizer": {"vocabulary_size": 60, "minimum_frequency": 1},
            "model": {"encoder_layers": 1, "decoder_layers": 1, "width": 32, "feed_forward_width": 32, "heads": 2},
            "decoding": {"method": "greedy", "maximum_length": 8},
        }
    )
    tokenizers = train_tokenizers(config, TASKS[task].preparation.read)
    model = build_model(config, tokenizers)
    save_model(folder / "run" / "model", config, model.state_dict(), tokenizers)
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("chat") / "dialogue", "dialogue", {"source": "turns"}, {"turns": SAID})


def by_hand(run: Path, said: list[str]) -> list[str]:
    """The answers that `predict` gives to the histories that training makes."""
    model, whole, answers = headway.load(str(run)), [], []
    for utterance in said:
        whole.append(utterance)
        answers += model.predict([history(whole, 3)])
        whole.append(answers[-1])
    return answers


def test_each_answer_is_given_the_history_that_training_gives(run: Path) -> None:
    answers = by_hand(run, SAID)
    assert all(answers)
    assert list(Chat(run).answers(SAID)) == answers
    assert answers != headway.load(str(run)).predict(SAID)  # the history counts


def test_the_next_utterance_waits_for_the_answer(run: Path) -> None:
    asked: list[str] = []

    def ask() -> Any:
        for utterance in SAID:
            asked.append(utterance)
            yield utterance

    answers = Chat(run).answers(ask())
    next(answers)
    assert asked == SAID[:1]


def test_what_is_reset_is_forgotten_and_blank_lines_are_no_utterances(run: Path) -> None:
    chat = Chat(run)
    first = list(chat.answers(["Hello.", "  ", "How are you?"]))
    assert first == by_hand(run, ["Hello.", "How are you?"])
    chat.reset()
    assert list(chat.answers(["Hello."])) == first[:1]


def test_a_run_of_another_task_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = saved(tmp_path / "x", "translation", {"source": "a", "target": "b"}, {"a": "one two", "b": "eins zwei"})
    with pytest.raises(UsageError, match=r"is a model of translation and has not learned to talk\n.*task: dialogue"):
        Chat(other)
    assert main(["chat", str(other)]) == 2
    assert "has not learned to talk" in capsys.readouterr().err


# ---- the command line ----------------------------------------------------------------------------------------------


def talk(run: Path, text: str, monkeypatch: pytest.MonkeyPatch, *settings: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    return main(["chat", str(run), *settings])


def test_in_a_pipe_answers_are_lines_and_nothing_else_is_said(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert talk(run, "Hello.\nHow are you?\n/reset\n\nHello.\n/quit\nNever read.\n", monkeypatch) == 0
    answers = by_hand(run, ["Hello.", "How are you?"])
    assert capsys.readouterr() == ("\n".join([*answers, answers[0]]) + "\n", "")


def test_settings_of_decoding_and_no_others(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert talk(run, "Hello.\n", monkeypatch, "decoding.maximum_length=1") == 0
    assert len(capsys.readouterr().out.split()) == 1
    assert talk(run, "", monkeypatch, "model.width=3") == 2
    assert "'model.width=3' is no setting of a trained model" in capsys.readouterr().err


@pytest.mark.parametrize("end", [b"/quit\n", b"\x04", b"\x03"], ids=["quit", "Ctrl-D", "Ctrl-C"])
def test_at_a_terminal_it_asks_and_ends_cleanly(end: bytes, run: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "headway", "chat", str(run)]

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C comes from its own terminal
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # and is heard even where the tests run in the background

    process = subprocess.Popen(
        command, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=take_terminal
    )
    assert process.stdout is not None
    os.write(master, b"Hello.\n")
    answer = process.stdout.readline().decode()
    os.write(master, end)
    out, err = process.communicate(timeout=120)
    os.close(master)
    os.close(slave)
    assert answer == by_hand(run, ["Hello."])[0] + "\n"
    assert out == b""
    text = err.decode()
    assert text.startswith("headway: reading from the keyboard: each line is answered; /reset forgets, /quit ends\n> ")
    assert "Traceback" not in text
    assert process.returncode == (130 if end == b"\x03" else 0)
