"""A save, its publishing and its pruning, stopped before every single file-system operation in every way (T2, T16)."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from simulated_disk import MUTATIONS, SPACE_NEEDED, Disk, KilledError
from torch import Tensor

from headway.errors import ModelError, ResourceError
from headway.training import _fs, checkpoint
from headway.training.checkpoint import Checkpoints

PLACE = Path("/run/checkpoints")
ERRORS = ("ENOSPC", "EDQUOT", "EIO", "EACCES")
Maker = Callable[[], Checkpoints]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.getLogger("headway").setLevel(logging.ERROR)
    yield
    logging.getLogger("headway").setLevel(logging.NOTSET)


def content(step: int) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    model = {"model.weight": torch.full((3, 2), float(step)), "model.bias": torch.arange(3.0)}
    return model, {"optimizer.step": torch.tensor(float(step))}, {"update": step, "score": 0.1 * step}


def save(checkpoints: Checkpoints, step: int) -> None:
    checkpoints.save(step, *content(step))


def verified(checkpoints: Checkpoints) -> list[int]:
    """Steps that verify and hold what was saved, newest first."""
    found = []
    for name in checkpoints._names():
        with contextlib.suppress(ModelError):
            tensors, state = checkpoint.load(checkpoints.directory / name)
            model, training, wanted = content(checkpoint._key(name)[0])
            assert state == wanted
            assert tensors.keys() == {**model, **training}.keys()
            assert all(torch.equal(tensors[key], value) for key, value in {**model, **training}.items())
            found.append(wanted["update"])
    return found


def prepared(monkeypatch: pytest.MonkeyPatch, make: Maker) -> Disk:
    """A disk with the whole checkpoints 5 and 10."""
    disk = Disk()
    disk.install(monkeypatch)
    _fs.make_directory(Path("/run"))
    _fs.fsync_directory(Path("/"))
    disk.root.durable_entries = dict(disk.root.entries or {})
    for step in (5, 10):
        save(make(), step)
    disk.lose_power("kept", "kept")
    return disk


def work(make: Maker, done: list[str]) -> None:
    """What is interrupted: two saves, each of which prunes."""
    save(make(), 15)
    done.append("saved 15")
    save(make(), 20)
    done.append("saved 20")


def look(make: Maker, done: list[str], what: str) -> None:
    """What must hold whatever has happened."""
    steps = verified(make())
    newest = make().newest()
    reached = 20 if "saved 20" in done else 15 if "saved 15" in done else 10
    assert newest is not None
    assert newest.step == steps[0], f"{what}: newest is {newest.step}, whole are {steps}"
    assert newest.step >= reached, f"{what}: {reached} was saved, but only {steps} are left"
    assert len(steps) >= 2, f"{what}: only {steps} are left"


def go_on(make: Maker, disk: Disk, what: str) -> None:
    """The next save works and cleans up."""
    disk.disarm()
    save(make(), 25)
    newest = make().newest()
    assert newest is not None
    assert newest.step == 25, what
    assert not [name for name in disk.list_directory(PLACE) if name.startswith(".tmp")], f"{what}: orphans are left"


POWER_FAILURES = [("lost", "lost", 0), ("kept", "lost", 0), ("kept", "half", 0), ("kept", "zeros", 0), ("lost", "kept", 0)]
POWER_FAILURES += [("some", "some", seed) for seed in range(4)]


AFFECTED: dict[str, tuple[str, ...]] = {
    "kill": (*MUTATIONS, "the end"),  # before a question the disk is as before the next change
    "tear": ("write",),
    "short": ("write", "read_into"),
    "ENOSPC": tuple(SPACE_NEEDED),
    "EDQUOT": tuple(SPACE_NEEDED),
}


def every_crash(
    monkeypatch: pytest.MonkeyPatch, make: Maker, faults: tuple[str, ...] = ("kill", "tear", *ERRORS, "short")
) -> int:
    """Run through all of them; raises AssertionError at the first that loses something. Returns the number of cases."""
    start = prepared(monkeypatch, make)
    done: list[str] = []
    trial = copy.deepcopy(start)
    trial.install(monkeypatch)
    trial.disarm()
    work(make, done)
    operations = trial.operations
    cases = 0
    for fault in faults:
        for place, operation in enumerate([*operations, "the end"]):
            if operation not in AFFECTED.get(fault, (operation,)):
                continue
            for lasting in (False, True) if fault == "ENOSPC" else (False,):
                disk, done = copy.deepcopy(start), []
                disk.install(monkeypatch)
                disk.arm(place, fault, lasting)
                what = f"{fault} before operation {place} ({operation})"
                try:
                    work(make, done)
                except KilledError:
                    assert fault in ("kill", "tear")
                except ResourceError:
                    assert fault in ERRORS, what
                disk.disarm()
                states = [disk]
                for names, data, seed in POWER_FAILURES if fault in ("kill", "tear") else []:
                    states.append(copy.deepcopy(disk))
                    states[-1].lose_power(names, data, seed)
                for index, state in enumerate(states):
                    state.install(monkeypatch)
                    said = what if index == 0 else f"{what}, power lost {POWER_FAILURES[index - 1]}"
                    look(make, done, said)
                    if index in (0, 1, 6):
                        go_on(make, state, said)
                    cases += 1
    return cases


def test_nothing_is_lost_at_any_operation(
    monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    cases = every_crash(monkeypatch, lambda: Checkpoints(PLACE))
    record_property("cases", cases)
    assert cases > 1200


# --- planted bugs: each must be caught -----------------------------------------------------------------------------


class RenamesFirst(Checkpoints):
    """Gives the directory its name before it is whole, and counts names."""

    def _write(self, step: int, files: Any) -> Path:
        final = self._free_name(step)
        _fs.make_directory(final)
        for name in self._names()[self.keep :]:
            checkpoint._remove(self.directory / name)
        records = {name: checkpoint.write_file(final / name, chunks) for name, chunks in files.items()}
        checkpoint.write_file(final / checkpoint.MANIFEST, [checkpoint.manifest_of(step, records)])
        _fs.fsync_directory(final)
        _fs.fsync_directory(self.directory)
        return final


class PrunesFirst(Checkpoints):
    def save(self, step: int, *content: Any) -> Path:
        for name in self._names()[1:]:
            checkpoint._remove(self.directory / name)
        return super().save(step, *content)


def _nothing(*_: Any) -> None:
    return None


def _believes_the_disk(path: Path, chunks: Any) -> dict[str, Any]:
    data = b"".join(bytes(chunk) for chunk in chunks)
    descriptor = _fs.create(path)
    _fs.write(descriptor, memoryview(data))
    _fs.fsync(descriptor)
    _fs.close(descriptor)
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("maker", [RenamesFirst, PrunesFirst])
def test_a_wrong_order_is_caught(monkeypatch: pytest.MonkeyPatch, maker: type[Checkpoints]) -> None:
    with pytest.raises(AssertionError, match=r"are left|was saved|newest|None"):
        every_crash(monkeypatch, lambda: maker(PLACE), ("kill",))


@pytest.mark.parametrize("operation", ["fsync", "fsync_directory"])
def test_a_forgotten_fsync_is_caught(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    monkeypatch.setattr(Disk, operation, lambda self, _: self._count(operation) and None)
    with pytest.raises(AssertionError, match=r"are left|was saved|newest|None"):
        every_crash(monkeypatch, lambda: Checkpoints(PLACE), ("kill",))


def test_a_writer_that_believes_every_write_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "write_file", _believes_the_disk)
    with pytest.raises((AssertionError, ResourceError)):
        every_crash(monkeypatch, lambda: Checkpoints(PLACE), ("short",))


def test_a_reader_that_believes_the_name_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checkpoints, "_problem", _nothing)
    monkeypatch.setattr(Disk, "fsync", lambda self, _: self._count("fsync") and None)
    with pytest.raises(AssertionError):
        every_crash(monkeypatch, lambda: Checkpoints(PLACE), ("kill",))


# --- retention, as a state machine ---------------------------------------------------------------------------------


class Retention(RuleBasedStateMachine):
    """Saves, damage, kills and power failures in any order; what must be whole is kept in `whole`."""

    make: Callable[[], Checkpoints] = staticmethod(lambda: Checkpoints(PLACE, keep=2))

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.disk, self.step = Disk(), 0
        self.disk.install(self.patch)
        self.whole: set[int] = set()

    def teardown(self) -> None:
        self.patch.undo()

    def _kept(self) -> set[int]:
        return set(sorted(self.whole, reverse=True)[:2])

    @rule()
    def saves(self) -> None:
        self.step += 1
        save(self.make(), self.step)
        self.whole.add(self.step)
        self.whole = self._kept()

    @rule(
        fault=st.sampled_from(["kill", "tear", *ERRORS]), place=st.integers(0, 70), power=st.sampled_from([None, *POWER_FAILURES])
    )
    def fails_to_save(self, fault: str, place: int, power: tuple[str, str, int] | None) -> None:
        self.step += 1
        self.disk.arm(place, fault)
        try:
            save(self.make(), self.step)
            self.whole.add(self.step)
        except (KilledError, ResourceError):
            pass
        self.disk.disarm()
        self.disk.lose_power(*(power or ("kept", "kept", 0)))  # a kill alone: in time the system writes everything
        if self.step in verified(self.make()):
            self.whole.add(self.step)
        self.whole = self._kept() if self.step in self.whole else self.whole

    @precondition(lambda self: len(self.whole) > 1)
    @rule(data=st.data())
    def is_damaged(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(sorted(self.whole)))
        node = self.disk._need(
            PLACE / f"step-{step:08d}" / data.draw(st.sampled_from([checkpoint.MODEL, checkpoint.STATE, checkpoint.MANIFEST]))
        )
        place = data.draw(st.integers(0, len(node.data) - 1))
        node.data[place] ^= 1 << data.draw(st.integers(0, 7))
        node.durable_data = bytes(node.data)
        self.whole.remove(step)

    @invariant()
    def keeps_what_it_must(self) -> None:
        steps = verified(self.make())
        assert self.whole <= set(steps), f"whole should be {self.whole}, are {steps}"
        if self.whole:
            newest = self.make().newest()
            assert newest is not None
            assert newest.step == max(steps)


LIMITS = settings(deadline=None, suppress_health_check=list(HealthCheck), stateful_step_count=15, database=None, derandomize=True)


def test_retention_never_removes_a_checkpoint_that_is_needed() -> None:
    run_state_machine_as_test(Retention, settings=settings(LIMITS, max_examples=100))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_retention_never_removes_a_checkpoint_that_is_needed_2000_times() -> None:
    run_state_machine_as_test(Retention, settings=settings(LIMITS, max_examples=2000, derandomize=False))


class CountsNames(Checkpoints):
    """A planted bug: retention that counts damaged checkpoints as whole."""

    def _prune(self, saved: Path) -> None:
        with contextlib.suppress(OSError, ModelError, ResourceError):
            for name in self._names()[self.keep :]:
                checkpoint._remove(self.directory / name)


def test_retention_that_counts_damaged_checkpoints_is_caught() -> None:
    class Buggy(Retention):
        make = staticmethod(lambda: CountsNames(PLACE, keep=2))

    first = settings(LIMITS, max_examples=300, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError, match="whole should be"):
        run_state_machine_as_test(Buggy, settings=first)


# --- real kills on the real disk -----------------------------------------------------------------------------------

FORKS = """
    import os, shutil, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import torch
    from simulated_disk import MUTATIONS
    from test_crash_points import save, verified
    from headway.training import _fs
    from headway.training.checkpoint import Checkpoints

    torch.set_num_threads(1)
    place = Path(sys.argv[2])

    def child(run, stop):
        count = 0
        def counted(function):
            def call(*arguments):
                nonlocal count
                if count == stop:
                    os._exit(9)
                count += 1
                return function(*arguments)
            return call
        for name in MUTATIONS:
            setattr(_fs, name, counted(getattr(_fs, name)))
        save(Checkpoints(run), 15)
        os._exit(0)

    for step in (5, 10):
        save(Checkpoints(place / "start"), step)
    stop = 0
    while True:
        run = place / str(stop)
        shutil.copytree(place / "start", run)
        pid = os.fork()
        if pid == 0:
            child(run, stop)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        steps = verified(Checkpoints(run))
        assert len(steps) >= 2 and steps[0] >= 10 and Checkpoints(run).newest().step == steps[0], (stop, steps)
        save(Checkpoints(run), 20)
        left = sorted(os.listdir(run))
        assert left[-1] == "step-00000020" and len(left) == 2 and not left[0].startswith("."), (stop, left)
        if code == 0:
            break
        stop += 1
    print(stop)
"""


def test_a_killed_process_at_every_change_of_the_real_disk(tmp_path: Path) -> None:
    import subprocess
    import sys
    import textwrap

    command = [sys.executable, "-c", textwrap.dedent(FORKS), str(Path(__file__).parent), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=200, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) >= 25
