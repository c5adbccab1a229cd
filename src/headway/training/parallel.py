"""Where the work is done: device, threads, precision, memory of the allocator, and the processes of a torchrun start.

Everything here is decided once at the start, and each decision can be printed with its reason.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import torch
import torch.distributed as dist

from headway.config import ModelConfig, TrainingConfig
from headway.errors import ResourceError, UsageError
from headway.model.transformer import Transformer
from headway.training.losses import cross_entropy

# --- processes ---------------------------------------------------------------------------------------------------


CPU = torch.device("cpu")
MEETING = timedelta(minutes=10)
# The others wait while the first rank prepares the data or validates, which may take hours. A dead rank is not found by
# waiting: it closes its connections, and torchrun ends the others.
WAITING = timedelta(days=1)


@dataclass(frozen=True)
class World:
    """The processes that train together. `rank` counts over all machines, `local_rank` on this one."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    device: torch.device = CPU
    group: dist.ProcessGroup | None = None  # that sums and waits

    @property
    def first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0


def start_distributed(training: TrainingConfig, timeout: timedelta = MEETING) -> World:
    """Read what torchrun left in the environment, choose the device and join the group: gloo on CPUs, nccl on GPUs.

    Without torchrun it is a world of one and nothing is started.

    Raises:
        UsageError: the environment is half of a torchrun start.
        ResourceError: no such device, or the other processes cannot be reached.
    """
    rank, size = _from_environment("RANK", 0), _from_environment("WORLD_SIZE", 1)
    local_rank, local_size = _from_environment("LOCAL_RANK", 0), _from_environment("LOCAL_WORLD_SIZE", 1)
    if not 0 <= rank < size or not 0 <= local_rank < local_size <= size:
        raise UsageError(
            f"RANK={rank} WORLD_SIZE={size} LOCAL_RANK={local_rank} LOCAL_WORLD_SIZE={local_size} do not fit together",
            remedy="start with `torchrun --nproc-per-node N -m headway …`, or unset these variables",
        )
    device = choose_device(training, local_rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if size > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        try:
            dist.init_process_group(backend, rank=rank, world_size=size, timeout=timeout)
        except (ValueError, RuntimeError, OSError) as error:
            first_line = (str(error).splitlines() or [type(error).__name__])[0]
            raise ResourceError(
                f"rank {rank} of {size} could not join the others over {backend}: {first_line}",
                remedy="start every process with torchrun; for a port in use choose another --master-port",
            ) from error
    group = dist.new_group(timeout=WAITING) if size > 1 else None
    return World(rank, size, local_rank, local_size, device, group)


def _from_environment(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a number", where=f"environment: {name}", remedy="start with torchrun") from None


def stop_distributed() -> None:
    """Leave the group, if one was joined."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def all_reduce_sum(value: float, world: World) -> float:
    """The sum over all ranks, in double precision."""
    if world.size == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64, device=world.device)
    dist.all_reduce(total, group=world.group)
    return total.item()


def barrier(world: World) -> None:
    """Wait until every rank is here."""
    if world.size > 1:
        dist.barrier(world.group, device_ids=[world.device.index or 0] if world.device.type == "cuda" else None)


# --- device and threads ------------------------------------------------------------------------------------------


def choose_device(training: TrainingConfig, local_rank: int = 0) -> torch.device:
    """The device of this process: `auto` takes a CUDA GPU where there is one.

    Raises:
        ResourceError: a GPU is asked for and there is none, or fewer than there are processes.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if training.device == "cpu" or (training.device == "auto" and count == 0):
        return torch.device("cpu")
    if count == 0:
        why = "this build of torch is without CUDA" if torch.version.cuda is None else "CUDA finds no GPU"
        raise ResourceError(f"device=cuda, but {why}", where="training.device", remedy="set training.device=cpu (or auto)")
    if local_rank >= count:
        raise ResourceError(
            f"process {local_rank} of this machine has no GPU of its own: there are {count}",
            where="training.device",
            remedy=f"start torchrun with --nproc-per-node {count}, or set training.device=cpu",
        )
    return torch.device("cuda", local_rank)


def choose_threads(training: TrainingConfig, world: World | None = None) -> int:
    """Set and return torch's threads: `training.threads`, or this process's share of the cores it may use."""
    share = max(1, available_cores() // (world.local_size if world else 1))
    threads = training.threads or share
    torch.set_num_threads(threads)
    return threads


def available_cores() -> int:
    """Cores that this process may use: its affinity, and the CPU quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):
        pass  # no control groups of version 2
    return max(1, cores)


# --- precision ---------------------------------------------------------------------------------------------------

PrecisionName = Literal["fp32", "bf16"]
BF16_MUST_GAIN = 1.1  # below this, the narrower numbers are not worth having
CALIBRATION_SECONDS = 0.5


@dataclass(frozen=True)
class Precision:
    """What the arithmetic is done in, and why. Weights and optimiser stay in float32."""

    name: PrecisionName
    reason: str

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.name == "bf16" else torch.float32


def choose_precision(
    setting: Literal["auto", "fp32", "bf16"],
    device: torch.device,
    model: ModelConfig,
    measure: Callable[[PrecisionName], float] | None = None,
    *,
    world: World | None = None,
) -> Precision:
    """fp32 or bf16. `auto`: bf16 on GPUs that have it; on CPUs what a measurement of under a second finds faster.

    `measure` gives the seconds of a representative piece of training in a precision. Rank 0 decides for all. The choice is
    part of a run's arithmetic: keep it in the checkpoint and pass it as `setting` on resuming, or resuming is not exact.
    """
    if setting != "auto":
        return Precision(setting, "asked for")
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision("bf16", f"{name} has bf16")
        return Precision("fp32", f"{name} has no bf16")
    flags = bf16_cpu_flags()
    if sys.platform == "linux" and platform.machine() == "x86_64" and not flags:
        return Precision("fp32", "the CPU has no bf16 instructions")
    gain = _gain_of_bf16(measure or _training_piece(device, model)) if world is None or world.first else 0.0
    if world is not None:
        gain = all_reduce_sum(gain, world)
    chosen: PrecisionName = "bf16" if gain >= BF16_MUST_GAIN else "fp32"
    has = ", ".join(flags) or "CPU flags unknown"
    return Precision(chosen, f"measured at width {model.width}: bf16 is {gain:.2f}× as fast as fp32 ({has})")


def bf16_cpu_flags() -> list[str]:
    """The instruction sets for bf16 products that Linux reports, such as AMX_BF16 and AVX512_BF16."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    lines = [line.split(":", 1)[-1] for line in text.splitlines() if line.startswith(("flags", "Features"))]
    flags = {flag for line in lines for flag in line.split()}
    return [name.upper() for name in ("amx_bf16", "avx512_bf16", "bf16") if name in flags]


def _gain_of_bf16(measure: Callable[[PrecisionName], float]) -> float:
    """How many times as fast as fp32: least times of alternating trials, so that a busy machine hinders both alike."""
    names: tuple[PrecisionName, ...] = ("fp32", "bf16")
    least = dict.fromkeys(names, float("inf"))
    rounds, start = 0, time.perf_counter()
    while rounds < 3 or (time.perf_counter() - start < CALIBRATION_SECONDS and rounds < 100):
        for name in names:
            least[name] = min(least[name], measure(name))
        rounds += 1
    return least["fp32"] / max(least["bf16"], 1e-12)


def _training_piece(device: torch.device, model: ModelConfig) -> Callable[[PrecisionName], float]:
    """A function that times one training step of one encoder and one decoder layer of `model` on sentences of 16 tokens.

    A chain of bare products would flatter bf16: on narrow models the casts and the attention around them eat the gain.
    """
    B, T, V = max(8, min(64, (1 << 14) // model.width)), 16, 1024
    changes = {"encoder_layers": 1, "decoder_layers": 1, "layer_dropout": 0.0, "tied_embeddings": "all"}
    changes["max_positions"] = max(T, model.max_positions)
    with torch.random.fork_rng(devices=[]):  # the random numbers belong to the run
        small = Transformer(model.model_copy(update=changes), V, V).to(device)
        ids_BT = torch.randint(1, V, (B, T)).to(device)
    mask_BT = torch.ones_like(ids_BT, dtype=torch.bool)

    def measure(name: PrecisionName) -> float:
        start = time.perf_counter()
        small.compute_dtype = torch.bfloat16 if name == "bf16" else torch.float32
        small.zero_grad()
        cross_entropy(
            small(ids_BT, mask_BT, ids_BT), small.output_weight, ids_BT, bias=small.output_bias, smoothing=0.1
        ).loss.backward()
        return time.perf_counter() - start

    return measure


# --- the allocator -----------------------------------------------------------------------------------------------

_MALLOPT = {"M_TRIM_THRESHOLD": (-1, -1), "M_TOP_PAD": (-2, 64 << 20), "M_MMAP_MAX": (-4, 0)}  # number, value: malloc.h
KEPT_KERNELS = "64"


def keep_freed_memory() -> dict[str, int]:
    """Tell glibc's malloc to keep what is freed: fresh pages cost more than the arithmetic done in them on a CPU.

    Large blocks come from the heap instead of a mapping each, the heap is never trimmed and grows 64 MiB at a time.
    Resident memory then stays at its peak. Returns what was set; nothing on other systems, or where the environment
    already steers malloc (MALLOC_…_ or GLIBC_TUNABLES).

    The kernels that oneDNN makes for each new shape of bf16 products are another matter: it keeps up to 1,024 of them twice,
    a gigabyte and more over batches of many lengths. Fewer are as fast (docs/LOG.md); the environment wins here too.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, KEPT_KERNELS)
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return {}
    steered = any(key.startswith("MALLOC_") and key.endswith("_") for key in os.environ)
    if steered or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return {}
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return {}
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    return {name: value for name, (number, value) in _MALLOPT.items() if mallopt(number, value)}
