"""The cost of a listener's connections, and the waits of a device with a backlog.

    python -m benchmarks.pipeline.devices [--connections N] [--hours H]

Starts private servers below var/, and writes benchmarks/results/devices-<date>-<commit>.json. Three
minutes with 10,000 connections. Both ends need a descriptor for each of them (`ulimit -n`).

- storm: all connections at once; until each has its CONNACK, and until each has a PUBACK;
- memory: of the listener with all of them idle, less what it held before;
- backlog: fixes of 1 Hz in messages of 20, over a round trip of 200 ms: an hour with one message in
  flight, which a day takes 24 times, and a day with 20 in flight.
"""

import argparse
import asyncio
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.common import machine
from benchmarks.common import rows as setup_rows
from benchmarks.common.drive import DriveFailed
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.subject import children, cpu_s, memory_mib, running
from benchmarks.common.workload import Plan, zone_rings
from benchmarks.pipeline import slow_network, storm
from benchmarks.pipeline.storm import Served, Storm
from stack.errors import StackError
from stack.servers.postgres import free_port
from stack.servers.tls import pinned

ZONES = 100
ROUND_TRIP_S = 0.2
FIXES_PER_MESSAGE = 20
SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Row:
    """A storm and what it left. cpu_s: processor time of the listener; client_cpu_s: ours."""

    name: str
    served: Served
    idle_mib: float
    connected_mib: float
    cpu_s: float
    client_cpu_s: float


class DeviceBench:
    """Ingest runs; a listener for each part."""

    def __init__(self, environment: Environment, connections: int) -> None:
        self._environment = environment
        self._callers = storm.callers(connections)

    async def storm(self, name: str, *, is_tls: bool, processes: int) -> Row:
        """Open all connections at once, then stay idle."""
        environment, port = self._environment, free_port(0)
        plan = environment.listener(port, is_tls=is_tls, processes=processes)
        tls = pinned(str(environment.certificate.chain)) if is_tls else None
        with running(plan, environment.folder / "listener.log") as listener:
            pids = [listener.pid, *children(listener.pid)]
            idle_mib = _held_mib(pids)
            used_s, own_s = sum(map(cpu_s, pids)), time.process_time()
            storming = Storm()
            served = await storming.begin(port, self._callers, tls)
            own_s = time.process_time() - own_s
            await asyncio.sleep(SETTLE_S)
            row = Row(
                name=name,
                served=served,
                idle_mib=idle_mib,
                connected_mib=_held_mib(pids),
                cpu_s=sum(map(cpu_s, pids)) - used_s,
                client_cpu_s=own_s,
            )
            storming.end()
        return row

    async def backlog(self, tracker: int, hours: float, in_flight: int) -> float:
        """Measure the seconds that the backlog takes."""
        environment, port = self._environment, free_port(0)
        packets = slow_network.backlog(tracker, round(hours * 3600), FIXES_PER_MESSAGE)
        with running(environment.listener(port), environment.folder / "listener.log"):
            async with slow_network.delayed(port, ROUND_TRIP_S) as near:
                return await slow_network.send(near, tracker, packets, in_flight)


def _held_mib(pids: Sequence[int]) -> float:
    return sum(memory_mib(pid)[0] for pid in pids)


async def measure(
    environment: Environment, options: argparse.Namespace
) -> tuple[list[Row], dict[str, float]]:
    """Run all parts, one after the other."""
    bench, hours = DeviceBench(environment, options.connections), options.hours
    setup_rows.empty(environment.admin)
    with running(environment.linked(), environment.folder / "ingest.log"):
        rows = [
            await bench.storm("plain", is_tls=False, processes=1),
            await bench.storm("TLS", is_tls=True, processes=1),
            await bench.storm("TLS, 4 processes", is_tls=True, processes=4),
        ]
        waits = {
            f"{hours:g} h, 1 in flight": await bench.backlog(0, hours, 1),
            f"{24 * hours:g} h, 20 in flight": await bench.backlog(1, 24 * hours, 20),
        }
    return rows, waits


def show(rows: Sequence[Row], waits: dict[str, float], connections: int, console: Console) -> None:
    """Print two tables."""
    heads = (
        "all signed in, s",
        "all served, s",
        "tried again",
        "memory, MiB",
        "KiB each",
        "CPU s",
        "client's",
    )
    table = Table(f"{connections} connections", *heads)
    for row in rows:
        grown_mib = row.connected_mib - row.idle_mib
        each = grown_mib * 1024 / connections
        times = (
            f"{row.served.signed_in_s:.1f}",
            f"{row.served.served_s:.1f}",
            str(row.served.again),
        )
        rest = (f"{grown_mib:.0f}", f"{each:.1f}", f"{row.cpu_s:.1f}", f"{row.client_cpu_s:.1f}")
        table.add_row(row.name, *times, *rest)
    console.print(table)
    table = Table("backlog of 1 Hz, arrays of 20, 200 ms round trip", "seconds")
    for name, took_s in waits.items():
        table.add_row(name, f"{took_s:.0f}")
    console.print(table)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        "benchmarks.pipeline.devices", description="Connections and backlogs."
    )
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=1.0, help="of backlog (default 1)")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options, console = parser.parse_args(arguments), Console(width=120)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load_before = os.getloadavg()
    try:
        with running_environment() as environment:
            rings = zone_rings(Plan(zones=ZONES))
            setup_rows.add_fleet(environment.admin, options.connections, rings)
            rows, waits = uvloop.run(measure(environment, options))
    except (DriveFailed, StackError, ConnectionError) as error:
        print(error, file=sys.stderr)
        return 1
    show(rows, waits, options.connections, console)
    if not options.no_result:
        facts = {
            **machine.about(load_before=load_before),
            "connections": options.connections,
            "storms": [asdict(row) for row in rows],
            "backlog_s": waits,
        }
        path = machine.write_result("devices", facts)
        console.print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
