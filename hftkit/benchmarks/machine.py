"""Where a figure was measured: a number without its machine says little."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

VERSIONS = ("hftkit", "numpy", "numba", "llvmlite", "pandas", "statsmodels", "vectorbt")


def cpu_model() -> str:
    """Model name of the first processor, as the kernel tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cores() -> int:
    """Cores this process may use (not those the machine has)."""
    return len(os.sched_getaffinity(0))


def installed(package: str) -> str | None:
    """Version of a distribution, None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """CPU, cores, kernel, interpreter, versions of what the figures depend on, and the load before the first measurement."""
    return {
        "cpu": cpu_model(),
        "cores": cores(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "versions": {name: found for name in VERSIONS if (found := installed(name))},
        "load_1min": round(os.getloadavg()[0], 2),
    }


def in_words(facts: dict[str, Any]) -> str:
    """Two lines for people."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return f"{facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, load {facts['load_1min']}\nPython {facts['python']}, {versions}"
