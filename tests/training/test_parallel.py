from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import textwrap
from datetime import timedelta

import pytest
import torch

from headway.config import ModelConfig, TrainingConfig
from headway.errors import ResourceError, UsageError
from headway.training import parallel
from headway.training.parallel import World, choose_device, choose_precision, choose_threads, start_distributed

CPU = torch.device("cpu")
WIDE = ModelConfig(width=512)
LAUNCH = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
HALVES = [("WORLD_SIZE", "two"), ("RANK", "3"), ("LOCAL_RANK", "-1"), ("LOCAL_WORLD_SIZE", "4")]


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LAUNCH:
        monkeypatch.delenv(name, raising=False)


def test_without_torchrun_it_is_a_world_of_one() -> None:
    world = start_distributed(TrainingConfig(device="cpu"))
    assert (world.rank, world.size, world.first, world.device) == (0, 1, True, CPU)
    assert parallel.all_reduce_sum(2.5, world) == 2.5
    parallel.barrier(world)
    parallel.stop_distributed()


@pytest.mark.parametrize(("name", "value"), HALVES)
def test_half_a_torchrun_environment_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=name):
        start_distributed(TrainingConfig(device="cpu"))


def test_a_rendezvous_that_fails_is_a_resource_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        values = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        for name, value in {**values, "MASTER_PORT": str(taken.getsockname()[1])}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ResourceError, match="rank 0 of 2 could not join"):
            start_distributed(TrainingConfig(device="cpu"), timeout=timedelta(seconds=2))


def test_two_gloo_ranks_add_up() -> None:
    code = """
        import os
        from headway.config import ModelConfig, TrainingConfig
        from headway.training import parallel
        world = parallel.start_distributed(TrainingConfig(device="cpu"))
        total = parallel.all_reduce_sum(0.1 + world.rank, world)
        seconds = {"fp32": 2.0, "bf16": 1.0 + 9 * world.rank}
        choice = parallel.choose_precision("auto", world.device, ModelConfig(), seconds.__getitem__, world=world)
        parallel.barrier(world)
        assert abs(total - 1.2) < 1e-9, total
        print(world.rank, world.size, world.first, choice.name)
        parallel.stop_distributed()
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    base = {**os.environ, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**base, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    printed = [process.communicate(timeout=120)[0].split() for process in started]
    assert [process.returncode for process in started] == [0, 0]
    wide = "bf16" if parallel.bf16_cpu_flags() else "fp32"  # rank 1 alone would have said fp32
    assert printed == [["0", "2", "True", wide], ["1", "2", "False", wide]]


def test_a_gpu_that_is_not_there_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(TrainingConfig(device="auto")) == CPU
    with pytest.raises(ResourceError, match=r"training\.device=cpu"):
        choose_device(TrainingConfig(device="cuda"))


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device(TrainingConfig(device="auto"), local_rank=1) == torch.device("cuda", 1)
    assert choose_device(TrainingConfig(device="cpu"), local_rank=1) == CPU
    with pytest.raises(ResourceError, match="nproc-per-node 2"):
        choose_device(TrainingConfig(device="cuda"), local_rank=2)


def test_threads_are_shared_among_the_processes_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        monkeypatch.setattr(parallel, "available_cores", lambda: 8)
        assert choose_threads(TrainingConfig()) == torch.get_num_threads() == 8
        assert choose_threads(TrainingConfig(), World(0, 4, 0, 4)) == 2
        assert choose_threads(TrainingConfig(), World(0, 16, 0, 16)) == 1
        assert choose_threads(TrainingConfig(threads=3), World(0, 4, 0, 4)) == 3
    finally:
        torch.set_num_threads(before)
    monkeypatch.undo()
    assert 1 <= parallel.available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("bf16_seconds", "chosen"), [(0.5, "bf16"), (0.95, "fp32"), (2.0, "fp32")])
def test_precision_is_what_the_measurement_says(monkeypatch: pytest.MonkeyPatch, bf16_seconds: float, chosen: str) -> None:
    monkeypatch.setattr(parallel, "bf16_cpu_flags", lambda: ["AMX_BF16"])
    precision = choose_precision("auto", CPU, WIDE, {"fp32": 1.0, "bf16": bf16_seconds}.__getitem__)
    assert precision.name == chosen
    assert f"{1 / bf16_seconds:.2f}×" in precision.reason
    assert "AMX_BF16" in precision.reason


def test_a_setting_is_obeyed_without_measuring() -> None:
    for name in ("fp32", "bf16"):
        precision = choose_precision(name, CPU, WIDE, lambda _: 1 / 0)  # type: ignore[arg-type]
        assert precision.name == name
        assert precision.dtype == (torch.bfloat16 if name == "bf16" else torch.float32)


def test_a_busy_moment_does_not_decide() -> None:
    trials = iter([9.0, 1.0, 2.0, 8.0, 2.0, 1.0])  # fp32, bf16, fp32, …
    assert parallel._gain_of_bf16(lambda name: next(trials, 5.0)) == 2.0


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="reads /proc/cpuinfo")
def test_a_cpu_without_bf16_is_not_even_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "bf16_cpu_flags", lambda: [])
    assert choose_precision("auto", CPU, WIDE, lambda _: 1 / 0).reason == "the CPU has no bf16 instructions"


@pytest.mark.parametrize(("has", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_takes_bf16_where_it_has_it(monkeypatch: pytest.MonkeyPatch, has: bool, chosen: str) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    precision = choose_precision("auto", torch.device("cuda", 0), WIDE)
    assert precision.name == chosen
    assert "A GPU" in precision.reason


@pytest.mark.parametrize("changes", [{}, {"encoder_layers": 0}, {"positions": "relative", "layer_dropout": 0.5}])
def test_the_real_measurement_fits_any_model_and_leaves_the_random_numbers_alone(
    changes: dict[str, object],
) -> None:
    model = ModelConfig.model_validate({"width": 16, "feed_forward_width": 32, **changes})
    torch.manual_seed(3)
    before = torch.get_rng_state()
    measure = parallel._training_piece(CPU, model)
    assert measure("fp32") > 0
    assert measure("bf16") > 0
    assert torch.equal(torch.get_rng_state(), before)


FAULTS = """
    import resource, sys, torch
    from headway.training.parallel import keep_freed_memory
    print(keep_freed_memory() if sys.argv[1] == "keep" else {})
    torch.set_num_threads(1)
    for i in range(15):
        if i == 5:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(48 << 20, dtype=torch.uint8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_kept_memory_is_not_faulted_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argument: str) -> list[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
        command = [sys.executable, "-c", textwrap.dedent(FAULTS), argument]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()

    plain, kept = run("plain"), run("keep")
    assert "'M_MMAP_MAX': 0" in kept[0]
    assert int(plain[1]) >= 10 * 24  # 10 tensors above glibc's own 32 MiB limit, in pages of at most 2 MiB
    assert int(kept[1]) < int(plain[1]) / 3
    monkeypatch.setenv("MALLOC_TOP_PAD_", "65536")
    assert parallel.keep_freed_memory() == {}  # the environment steers already


def test_other_systems_keep_their_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert parallel.keep_freed_memory() == {}
