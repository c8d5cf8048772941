"""The time that ingest takes from its start until it works, with a large fleet and its past to
remember.

    python -m benchmarks.pipeline.ready [--trackers 100000] [--zones 10000] [--starts 3]
        [--changes 3] [--no-result]

Makes the database (a minute or two), then starts `python -m ingest` again and again and waits until
its page says that it owns the lease and is connected to the broker. Writes
benchmarks/results/ready-<zones>-<date>-<commit>.json. Which part took how long, ingest says in its
log.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.common import machine, workload
from benchmarks.common import rows as setup_rows
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.subject import running
from benchmarks.pipeline import ready_rows
from benchmarks.pipeline.leader_change import longest_waits
from benchmarks.pipeline.ready_rows import Past

REMEMBERED = "state loaded"  # ingest's log


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "benchmarks.pipeline.ready", description="How long a start takes."
    )
    parser.add_argument("--trackers", type=int, default=100_000)
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--changes", type=int, default=3, help="rounds of each change of the owner")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    past = Past(options.trackers, options.zones)
    with running_environment() as environment:
        _fill(environment, past)
        starts = [_start(environment, number) for number in range(options.starts)]
        changes = _changes(environment, options)
        versions = setup_rows.server_versions(environment.admin)
    _show(starts, Console())
    print(json.dumps(changes, indent=1))
    if not options.no_result:
        facts = {
            **machine.about(versions),
            "configuration": asdict(past),
            "starts": starts,
            "changes_of_the_owner": changes,
        }
        path = machine.write_result(f"ready-{past.zones}", facts)
        print(f"written: {path}")
    return 0


def _changes(environment: Environment, options: argparse.Namespace) -> list[dict[str, object]]:
    if not options.changes:
        return []
    return longest_waits(environment, options.trackers, options.changes)


def _fill(environment: Environment, past: Past) -> None:
    began = time.monotonic()
    rings = workload.zone_rings(workload.Plan(zones=past.zones))
    setup_rows.add_fleet(environment.admin, past.trackers, rings)
    ready_rows.add_past(environment.admin, past, datetime.now(UTC))
    print(f"database made in {time.monotonic() - began:.0f} s", flush=True)


def _start(environment: Environment, number: int) -> dict[str, float]:
    """Return seconds: until ready, and of each part that ingest tells."""
    log = environment.folder / f"ready-{number}.log"
    plan = environment.ours()
    plan = replace(plan, environment={**plan.environment, "OPSC_LOG_LEVEL": "info"})
    began = time.monotonic()
    with running(plan, log):
        ready_s = time.monotonic() - began
    return {"ready_s": round(ready_s, 2), **_parts(log)}


def _parts(log: Path) -> dict[str, float]:
    for line in log.read_text().splitlines():
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("event") == REMEMBERED:
            return {name: value for name, value in said.items() if name.endswith("_s")}
    return {}


def _show(starts: Sequence[dict[str, float]], console: Console) -> None:
    table = Table("seconds", *(f"start {number + 1}" for number in range(len(starts))))
    for name in starts[0]:
        table.add_row(name.removesuffix("_s"), *(f"{one[name]:.2f}" for one in starts))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
