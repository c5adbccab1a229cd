"""What a result was made on: the processor, and the versions of what computes."""

from __future__ import annotations

import platform
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
