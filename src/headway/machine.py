"""What a result was made on: the processor, the versions of what computes, and the memory that it took."""

from __future__ import annotations

import platform
import re
import resource
import sys
from importlib import metadata
from pathlib import Path

MEASURED_PACKAGES = ("headway", "torch", "numpy", "sacrebleu", "sacremoses", "tokenizers")


def versions() -> dict[str, str]:
    """Of Python, and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in MEASURED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Its name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def peak_memory() -> int:
    """The most bytes that this process held at once; what getrusage tells on Linux begins with those of its parent."""
    status = Path("/proc/self/status")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text("utf-8"), re.MULTILINE) if status.is_file() else None
    if found is not None:
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
