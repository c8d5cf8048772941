"""The machine of a measurement: without it a figure says nothing."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("aiomqtt", "mqtt5", "msgspec", "numpy", "psycopg", "rtree", "shapely", "uvloop")


def machine() -> dict[str, str | int]:
    """Return processor, memory and kernel."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": memory_bytes >> 20,
        "kernel": platform.release(),
    }


def library_versions() -> dict[str, str]:
    """Return Python's version and those of the libraries that the figures depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def commit() -> str:
    """Return the commit that was measured, with `-dirty` where files differ from it."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
