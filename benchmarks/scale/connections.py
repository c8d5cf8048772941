"""More connections than one process may have: several clients against several listener processes.

    python -m benchmarks.scale.connections [--connections N] [--no-result]

All connect at once, without TLS, and each sends a message; then they are idle, and the listener's
processes are weighed. There is one process of the listener for each 10,000, and a client for each
16,000, with an address of its own. Writes benchmarks/results/connections-<date>-<commit>.json. A
hundred thousand take a minute or two. `benchmarks.pipeline.devices` has TLS.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from math import ceil
from multiprocessing import get_context
from multiprocessing.connection import Connection

import uvloop
from rich.console import Console

from benchmarks.common import machine
from benchmarks.common import rows as setup_rows
from benchmarks.common.drive import DriveFailed
from benchmarks.common.environment import running_environment
from benchmarks.common.subject import children, cpu_s, memory_mib, running
from benchmarks.pipeline.storm import Caller, Storm, callers
from stack.errors import StackError
from stack.servers.postgres import free_port

OF_A_LISTENER, OF_A_CLIENT = 10_000, 16_000
SETTLE_S = 3.0
TIMEOUT_S = 240.0


def hold(pipe: Connection, made: Sequence[Caller], source: str, port: int) -> None:
    """Connect, say so, and keep the connections until the other end of the pipe says something."""
    uvloop.run(_held(pipe, made, source, port))


async def _held(pipe: Connection, made: Sequence[Caller], source: str, port: int) -> None:
    storm = Storm()
    try:
        await storm.begin(port, made, None, source)
    except DriveFailed as error:
        pipe.send(str(error))
        return
    pipe.send(None)
    pipe.recv()
    storm.end()


def weighed(connections: int) -> dict[str, object]:
    """Return how long it took, and what the listener held before and with all of them, MiB.
    Raises DriveFailed or StackError where not all are served.
    """
    processes = ceil(connections / OF_A_LISTENER)
    made = callers(connections)
    with running_environment() as environment:
        setup_rows.add_fleet(environment.admin, connections, [])
        port, folder = free_port(0), environment.folder
        plan = environment.listener(port, processes=processes)
        with (
            running(environment.linked(), folder / "ingest.log"),
            running(plan, folder / "listener.log") as listener,
        ):
            pids = [listener.pid, *children(listener.pid)]
            idle_mib, used_s = _held_mib(pids), sum(map(cpu_s, pids))
            began_s = time.monotonic()
            pipes = _started(made, port)
            for pipe in pipes:
                if not pipe.poll(TIMEOUT_S):
                    raise DriveFailed(f"not all were served in {TIMEOUT_S:g} s")
                if (problem := pipe.recv()) is not None:
                    raise DriveFailed(problem)
            served_s = time.monotonic() - began_s
            time.sleep(SETTLE_S)
            connected_mib, cpu = _held_mib(pids), sum(map(cpu_s, pids)) - used_s
            for pipe in pipes:
                pipe.send(None)
    return {
        "connections": connections,
        "processes": processes,
        "served_s": round(served_s, 1),
        "idle_mib": round(idle_mib, 1),
        "connected_mib": round(connected_mib, 1),
        "cpu_s": round(cpu, 1),
    }


def _started(made: Sequence[Caller], port: int) -> list[Connection]:
    """Start the clients, which end with this process."""
    context = get_context("spawn")
    pipes: list[Connection] = []
    for number, first in enumerate(range(0, len(made), OF_A_CLIENT)):
        ours, theirs = context.Pipe()
        own = made[first : first + OF_A_CLIENT]
        source = f"127.0.0.{2 + number}"
        context.Process(target=hold, args=(theirs, own, source, port), daemon=True).start()
        pipes.append(ours)
    return pipes


def _held_mib(pids: Sequence[int]) -> float:
    return sum(memory_mib(pid)[0] for pid in pids)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        "benchmarks.scale.connections", description="Weigh many connections."
    )
    parser.add_argument("--connections", type=int, default=100_000)
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options, console = parser.parse_args(arguments), Console(width=120)
    load_before = os.getloadavg()
    try:
        found = weighed(options.connections)
    except (DriveFailed, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    console.print(found)
    if not options.no_result:
        facts = {**machine.about(load_before=load_before), **found}
        console.print(f"written: {machine.write_result('connections', facts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
