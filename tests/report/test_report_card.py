"""How long a training took, and what energy that may have been."""

from __future__ import annotations

import re

import pytest

from headway.report.card import duration, energy, learning_seconds, wall_seconds
from headway.training.starts import Start


def start(time: float, *, device: str = "cpu", threads: int = 2, processes: int = 1) -> Start:
    return Start(time, 0, device, "a processor", 4, threads, processes, "fp32", 10)


LINES = [
    {"update": 1, "time": 110.0, "tokens": 50, "tokens_per_second": 10.0},
    {"update": 1, "time": 115.0, "validation_loss": 1.0},
    {"update": 2, "time": 1020.0, "tokens": 50, "tokens_per_second": 5.0},
]


def test_the_time_between_two_starts_is_not_counted() -> None:
    spans = wall_seconds([start(100.0), start(500.0), start(1000.0)], LINES)
    assert [(one.time, seconds) for one, seconds in spans] == [(100.0, 15.0), (1000.0, 20.0)]  # the second wrote nothing
    assert wall_seconds([], LINES) == []
    assert learning_seconds(LINES) == pytest.approx(15.0)
    assert learning_seconds([]) == 0.0


def test_energy_is_watts_times_hours_of_every_thread_and_gpu() -> None:
    of_cores = energy([(start(0.0, threads=3, processes=2), 7200.0)])
    assert of_cores.startswith("about 0.14 kWh (between 0.048 and 0.29) = 12 core hours × 12 W")
    of_both = energy([(start(0.0, device="a GPU", threads=1), 3600.0)])
    assert re.search(r"1 core hours × 12 W .* \+ 1 GPU hours × 300 W", of_both)
    assert of_both.startswith("about 0.31 kWh (between 0.074 and 0.72)")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.26, "0.3 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3600, "1 h 0 min"), (98765, "27 h 26 min")]
)
def test_durations_are_short(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
