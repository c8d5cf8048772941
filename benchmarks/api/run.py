"""The API's hot operations beside a bare route on the same server that answers the same bytes.

    python -m benchmarks.api.run [--quick] [--rounds N] [--only TEXT] [--fixes MILLIONS]

Makes a database of its own (10,000 assets, 1,000 zones, five million fixes in 31 chunks, 290,000
visits and events, 10,000 work orders, quotes, stock records and inspections), then plays the
operations round by round with 1 and with 2 processes, shows figures and ratios, and writes
benchmarks/results/api-<date>-<commit>.json.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from rich.console import Console

from benchmarks.api import report as api_report
from benchmarks.api import rows as api_rows
from benchmarks.api import work_rows
from benchmarks.api.operations import Operation, operations
from benchmarks.api.parts import CONNECTIONS, ApiBench, Figure
from benchmarks.api.report import Rounds
from benchmarks.api.rows import History
from benchmarks.common import machine, workload
from benchmarks.common import rows as setup_rows
from benchmarks.common.drive import DriveFailed
from benchmarks.common.environment import Environment, running_environment
from stack.errors import StackError

ASSETS = 10_000
ZONES = 1_000


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.api.run", description="Measure the API.")
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds to take the medians of (default 5)"
    )
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--only", default="", help="only operations whose name holds this")
    parser.add_argument("--fixes", type=float, default=5, help="millions of them (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="of one measurement (default 2)")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2], help="processes (default 1, then 2)"
    )
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.fixes <= 0 or options.seconds <= 0:
        parser.error("--rounds, --fixes and --seconds are more than 0")
    if options.quick:
        options.rounds, options.seconds = 1, 1.0
    return options


def play(
    bench: ApiBench, chosen: Sequence[Operation], options: argparse.Namespace, console: Console
) -> dict[int, Rounds]:
    """Measure by number of workers; round by round, so that a machine that slows down slows all."""
    played: dict[int, Rounds] = {}
    for workers in options.workers:
        with bench.served(workers) as servers:
            rounds: list[dict[str, Figure]] = []
            for number in range(1, options.rounds + 1):
                rounds.append({})
                for one in chosen:
                    rounds[-1][one.name] = figure = bench.measure(one, servers, options.seconds)
                    console.print(
                        f"{workers} worker(s)  round {number}/{options.rounds}  {one.name:<24}"
                        f" {figure.per_s:>8,.0f}/s  {figure.ratio:.3f}"
                    )
            played[workers] = rounds
    return played


def main(arguments: Sequence[str]) -> int:
    options, console = parse(arguments), Console(width=160)
    try:
        with running_environment() as environment:
            measure(environment, options, console)
    except (DriveFailed, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def measure(environment: Environment, options: argparse.Namespace, console: Console) -> None:
    """Measure everything. Raises DriveFailed or StackError where a part gives no figure."""
    history, load_before = History(options.fixes, datetime.now(UTC)), os.getloadavg()
    _fill(environment, history, console)
    asked = operations(history, ASSETS, ZONES)
    chosen = [one for one in asked if options.only in one.name]
    bench = ApiBench(environment, chosen)
    by_workers = play(bench, chosen, options, console)
    api_report.show(by_workers, console)
    if options.no_result:
        return
    about = {
        **machine.about(setup_rows.server_versions(environment.admin), load_before=load_before),
        "configuration": {
            "assets": ASSETS,
            "zones": ZONES,
            "history": {**asdict(history), "now": history.now.isoformat()},
            "rounds": options.rounds,
            "seconds": options.seconds,
            "connections": CONNECTIONS,
        },
    }
    path = machine.write_result("api", api_report.result(by_workers, about))
    console.print(f"written: {path}")


def _fill(environment: Environment, history: History, console: Console) -> None:
    began_s = time.monotonic()
    rings = workload.zone_rings(workload.Plan(zones=ZONES))
    api_rows.add_history(environment.admin, ASSETS, rings, history)
    work_rows.add_work(environment.admin, ASSETS, api_rows.USER)
    console.print(f"database made in {time.monotonic() - began_s:.0f} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
