"""The signals that let a step finish, and those that are left alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from headway.training.stop_signals import Stopped, stop_signals


@pytest.fixture(autouse=True)
def _hang_up_is_not_ignored() -> Iterator[None]:
    """As it is where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_noted_and_its_handler_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_signals() as stop:
        os.kill(os.getpid(), number)
        assert stop.number == number
    assert signal.getsignal(number) == before


def test_at_once_means_inside_the_block() -> None:
    with stop_signals() as stop:
        with pytest.raises(Stopped), stop.at_once():
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.number == signal.SIGTERM
        os.kill(os.getpid(), signal.SIGTERM)  # noted, no more


def test_under_nohup_a_hang_up_is_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.number is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_is_gone_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(descriptor: int, text: bytes) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "write", gone)
    with stop_signals() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.number == signal.SIGHUP
