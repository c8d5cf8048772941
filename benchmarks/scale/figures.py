"""The figures that are shipped with `opsc plan`, made of the newest result files, and the table of
hardware in docs/scale.md.

    python -m benchmarks.scale.figures

writes stack/sizing/figures.json, and prints the table. Run it when a result file is new.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
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
        "messages in JSON": newest("costs-json"),
        "packed messages": newest("costs-packed"),
        "idle processes": newest("costs-idle"),
        "memory of ingest": newest("sweep"),
        "connections": newest("devices"),
        "many connections": newest("devices-plain"),
        "archive": newest("history"),
        "webhooks": newest("webhooks"),
        "API": newest("api"),
    }
    facts = {name: content for name, (_, content) in read.items()}
    points = [*facts["messages in JSON"]["points"], *facts["packed messages"]["points"]]
    idle = facts["idle processes"]["idle"]
    rate = facts["webhooks"]["figures"]["rate"]
    of_list = facts["API"]["figures"]["1 workers"]["list"]
    return msgspec.convert(
        {
            "sources": {name: _source(path, content) for name, (path, content) in read.items()},
            "shapes": list(_shapes(points)),
            "idle_cores": idle["cores"],
            "idle_mib": idle["memory_mib"],
            "ingest_memory": [
                {name: point[name] for name in ("trackers", "zones")}
                | {"most_mib": round(point["most_memory_mib"], 1)}
                for point in facts["memory of ingest"]["points"].values()
            ],
            "connections": _connections(
                facts["connections"], facts["many connections"]["connections"]
            ),
            "fix_bytes": _fix_bytes(points, facts["archive"]),
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


def _shapes(points: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for form, size in sorted({(one["form"], one["fixes_per_message"]) for one in points}):
        own = [one for one in points if (one["form"], one["fixes_per_message"]) == (form, size)]
        own.sort(key=lambda one: one["fixes_per_s"])
        yield {
            "form": form,
            "fixes_per_message": size,
            "publish_bytes": own[0]["publish_bytes"],
            "loads": [{name: one[name] for name in ("fixes_per_s", "cores")} for one in own],
        }


def _connections(facts: Mapping[str, Any], most: int) -> dict[str, Any]:
    storms, connections = {one["name"]: one for one in facts["storms"]}, facts["connections"]
    grown = storms["TLS"]["connected_mib"] - storms["TLS"]["idle_mib"]
    return {
        "of_a_process": connections,
        "of_all": most,
        "tls_kib": round(grown * 1024 / connections, 1),
    }


def _fix_bytes(points: Sequence[Mapping[str, Any]], history: Mapping[str, Any]) -> dict[str, float]:
    """Return those of twenty million fixes, and visits, events and WAL of messages of 20 fixes."""
    (stored,) = (
        one["bytes_per_fix"]
        for one in points
        if one["form"] == "json" and one["fixes_per_message"] == 20 and "bytes_per_fix" in one
    )
    of_fix = {name: round(size, 1) for name, size in history["bytes_a_fix"].items()}
    return {**of_fix, "events": stored["events"], "wal": stored["wal"]}


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
