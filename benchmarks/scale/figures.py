"""The figures that are shipped with `opsc plan`, made of the newest result files, and the table of
hardware in docs/scale.md.

    python -m benchmarks.scale.figures

writes stack/sizing/figures.json, and prints the table. Run it when a result file is new.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.common.machine import RESULTS
from stack.sizing import figures as shipped
from stack.sizing.figures import Figures, Source
from stack.sizing.needs import Fleet, disk, needs

FILE = Path(shipped.__file__).with_name("figures.json")
TRACKERS = (100, 1_000, 10_000, 100_000)
INTERVALS_S = (1, 10, 60)
SIZES = (1, 20)
SINGLE = ("listener-at-300", "listener-at-3000", "listener-at-half", "listener-1-json-2000x1")
ARCHIVE_AFTER_DAYS = 90
GB, MBIT, NONE = 1e9, 125_000, "-"
EVENTS_PER_FIX = 0.02
"""Of the workload, once all trackers are known."""
HEAD = (
    "trackers",
    "a fix every",
    "fixes a message",
    "cores",
    "memory of roles, MiB",
    "machine: cores, GiB",
    "disk a day, GB",
    "in a year, GB",
    "in a year with an archive, GB",
    "from trackers, Mbit/s",
)


def newest(name: str) -> tuple[Path, dict[str, Any]]:
    """Return the result file of a measurement that is newest by what it says itself."""
    found = [(path, json.loads(path.read_text())) for path in RESULTS.glob(f"{name}-20*.json")]
    if not found:
        raise FileNotFoundError(f"no {name}-*.json in {RESULTS}")
    return max(found, key=lambda one: one[1]["measured_at"])


def figures() -> Figures:
    """Read the result files."""
    read = {
        "cores": newest("end-to-end"),
        "bytes": newest("costs-json"),
        "idle processes": newest("costs-idle"),
        "memory of ingest": newest("costs-memory"),
        "connections": newest("devices"),
        "webhooks": newest("webhooks"),
        "API": newest("api"),
    }
    facts = {name: content for name, (_, content) in read.items()}
    points = {
        one["fixes_per_message"]: one for one in facts["bytes"]["points"] if "bytes_per_fix" in one
    }
    idle = facts["idle processes"]["idle"]
    rate = facts["webhooks"]["figures"]["rate"]
    of_list = facts["API"]["figures"]["1 workers"]["list"]
    return msgspec.convert(
        {
            "sources": {name: _source(path, content) for name, (path, content) in read.items()},
            "single": [_load(facts["cores"], part, 1) for part in SINGLE],
            "arrays": _load(facts["cores"], "listener-20-json", 20),
            "publish_bytes": (
                points[1]["publish_bytes"],
                round((points[20]["publish_bytes"] - points[1]["publish_bytes"]) / 19, 1),
            ),
            "idle_cores": idle["cores"],
            "idle_mib": idle["memory_mib"],
            "ingest_memory": [
                {**fleet, "most_mib": round(fleet["most_mib"], 1)}
                for fleet in facts["memory of ingest"]["fleets"]
            ],
            "connections": _connections(facts["connections"]),
            "fix_bytes": {
                name: points[20]["bytes_per_fix"][name]
                for name in ("table", "index", "events", "wal", "archive")
            },
            "events_per_fix": EVENTS_PER_FIX,
            "deliveries": {
                "deliver_us": round(rate["deliver_cpu_us"], 1),
                "database_us": round(rate["database_cpu_us"], 1),
                "most_per_s": round(rate["per_s"]),
            },
            "requests": {
                "api_us": of_list["api_us"]["median"],
                "database_us": of_list["postgresql_us"]["median"],
                "most_per_s": of_list["per_s"]["median"],
            },
        },
        Figures,
    )


def _source(path: Path, content: Mapping[str, Any]) -> Source:
    machine = content["machine"]
    return Source(
        path.name, content["measured_at"], content["commit"], machine["cpu"], machine["cores"]
    )


def _load(facts: Mapping[str, Any], part: str, fixes_per_message: int) -> dict[str, Any]:
    """Return a part of the way from a device's socket: the median round."""
    figure = facts["parts"][part]
    (number,) = (
        number
        for number, per_s in enumerate(figure["values"])
        if per_s == sorted(figure["values"])[len(figure["values"]) // 2]
    )
    cores = figure["cores"][number]
    return {
        "fixes_per_message": fixes_per_message,
        "messages_per_s": figure["values"][number] / fixes_per_message,
        "cores": {name: cores[name] for name in ("listener", "ingest", "database")},
    }


def _connections(facts: Mapping[str, Any]) -> dict[str, Any]:
    storms, connections = {one["name"]: one for one in facts["storms"]}, facts["connections"]
    grown = storms["TLS"]["connected_mib"] - storms["TLS"]["idle_mib"]
    return {
        "of_a_process": connections,
        "of_all": connections,
        "tls_kib": round(grown * 1024 / connections, 1),
    }


def hardware(figures: Figures) -> str:
    """Return the table of hardware."""
    rows = (
        _row(Fleet(trackers, interval_s, size), figures)
        for trackers in TRACKERS
        for interval_s in INTERVALS_S
        for size in SIZES
    )
    return "\n".join([_line(HEAD), f"|{'---|' * len(HEAD)}", *rows])


def _row(fleet: Fleet, figures: Figures) -> str:
    found = needs(fleet, figures)
    archived = disk(replace(fleet, archive_after_days=ARCHIVE_AFTER_DAYS), figures)
    machine = found.machine
    cells = (
        f"{fleet.trackers:,}",
        f"{fleet.interval_s:g} s",
        str(fleet.fixes_per_message),
        _number(found.cores, 2),
        _number(found.memory_mib, 0),
        NONE if machine is None else f"{machine.cores}, {machine.memory_gib}",
        gigabytes(found.disk.live_per_day),
        gigabytes(found.disk.live),
        f"{gigabytes(archived.live)} + {gigabytes(archived.archived)}",
        _number(found.received_bytes_per_s, 1, MBIT),
    )
    return _line(cells)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, digits: int, unit: float = 1) -> str:
    return NONE if value is None else f"{value / unit:,.{digits}f}"


def gigabytes(size_bytes: float) -> str:
    """Return two digits of it, which is as exact as the figures are."""
    size = size_bytes / GB
    return f"{size:,.0f}" if size >= 10 else f"{size:.2g}"


def main() -> int:
    made = figures()
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    print(hardware(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
