"""The machine of a measurement, and the file of its result: without the machine a figure says
nothing.
"""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("aiomqtt", "mqtt5", "msgspec", "numpy", "psycopg", "rtree", "shapely", "uvloop")

RESULTS = Path("benchmarks/results")


def about(
    versions: Mapping[str, str] | None = None, load_before: tuple[float, ...] | None = None
) -> dict[str, object]:
    """Return the facts with which a result file begins. versions: of servers."""
    facts: dict[str, object] = {
        "commit": commit(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {**library_versions(), **(versions or {})},
    }
    if load_before is not None:
        facts["load_average"] = {"before": load_before, "after": os.getloadavg()}
    return facts


def write_result(name: str, facts: Mapping[str, object]) -> Path:
    """Write the result file of a measurement that ends today, and return its path. facts: those of
    `about`, and the figures.
    """
    path = RESULTS / f"{name}-{datetime.now(UTC):%Y-%m-%d}-{facts['commit']}.json"
    RESULTS.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=2) + "\n")
    return path


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
