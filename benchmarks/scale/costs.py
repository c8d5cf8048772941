"""The cost of a fix in each process behind the listener, by shape of message and load.

    python -m benchmarks.scale.costs json | packed | idle | memory [--quick] [--no-result]

Starts private servers below var/. `json` and `packed` play messages of 1, 5 and 20 fixes, each as
fast as the system takes them, then at half and at a tenth of that; three minutes each.
`idle` runs all roles with nothing to do, `memory` an ingest with larger and larger fleets. Writes
benchmarks/results/costs-<part>-<date>-<commit>.json, which `benchmarks.scale.figures` reads.
Processor time is what counts here: with other work on the machine rates are far lower, and costs
hardly differ. The load average stands beside each figure.
"""

import argparse
import base64
import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict

from rich.console import Console

from benchmarks.common import machine
from benchmarks.common import rows as setup_rows
from benchmarks.common.drive import DriveFailed, Timing
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.packets import publish_head
from benchmarks.common.payloads import Form, fix_texts, joined, topic
from benchmarks.common.subject import SubjectPlan, children, cpu_s, memory_mib, running
from benchmarks.common.workload import Plan, tracks
from benchmarks.engine.load import plan_of
from benchmarks.pipeline.parts import Bench, Figure, Load
from benchmarks.scale import archived
from stack.errors import StackError
from stack.servers.postgres import free_port

DEVICES = 2_000
SIZES = (1, 5, 20)
SHARES = {"half": 0.5, "tenth": 0.1}
FIXES_PER_TRACKER = {1: 120, 5: 240, 20: 480}
SETTLE_S, IDLE_S = 5.0, 20.0
FLEETS = ((1_000, 10_000), (10_000, 10_000), (100_000, 10_000), (100_000, 100_000))
KNOWING_PER_S = 2_000.0
"""Messages a second, until every tracker of a fleet has sent."""
PROCESSES = ("listener", "ingest", "database")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.scale.costs", description="Measure costs.")
    parser.add_argument("part", choices=[*Form, "idle", "memory"])
    parser.add_argument("--quick", action="store_true", help="short; proves only that it runs")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    return parser.parse_args(arguments)


def points(environment: Environment, form: Form, quick: bool) -> Iterator[dict[str, object]]:
    """Play each shape and load, and yield what each cost."""
    plan = Plan(trackers=DEVICES)
    timing = Timing(1.0, 2.0) if quick else Timing(2.0, 5.0)
    bench = Bench(environment, plan, timing, 0, None)
    archived_bytes = archived.bytes_per_fix()
    empty_bytes = setup_rows.database_bytes(environment.admin)
    for size in SIZES:
        load = Load(size, form, FIXES_PER_TRACKER[size]).spread(DEVICES, 1)
        before = setup_rows.wal_bytes(environment.admin)
        most = bench.listened(load)
        wal_bytes = setup_rows.wal_bytes(environment.admin) - before
        fixes, table, index = setup_rows.bytes_per_fix(environment.admin)
        grown = setup_rows.database_bytes(environment.admin) - empty_bytes
        stored = {
            "fixes": fixes,
            "table": round(table, 1),
            "index": round(index, 1),
            "events": round(grown / fixes - table - index, 1),  # visits, events, who they are of
            "wal": round(wal_bytes / fixes, 1),
            "archive": round(archived_bytes, 1),
        }
        yield {**_point(load, "most", most), "bytes_per_fix": stored}
        rates = {name: share * most.per_s / size for name, share in SHARES.items()}
        for name, rate in rates.items():
            yield _point(load, name, bench.listened(load, rate))


def _point(load: Load, name: str, figure: Figure) -> dict[str, object]:
    return {
        "fixes_per_message": load.fixes_per_message,
        "form": load.form.value,
        "load": name,
        "fixes_per_s": round(figure.per_s, 1),
        "cores": {process: round(figure.cores[process], 4) for process in PROCESSES},
        "us_per_fix": {
            process: round(1e6 * figure.cores[process] / figure.per_s, 2) for process in PROCESSES
        },
        "generator_cores": round(figure.cores["load"], 3),
        "puback": None if figure.puback is None else asdict(figure.puback),
        "events_per_fix": figure.events_per_fix,
        "listener_mib": figure.memory_mib,
        "publish_bytes": round(publish_bytes(load.fixes_per_message, load.form), 1),
        "load_average": round(os.getloadavg()[0], 2),
    }


def publish_bytes(size: int, form: Form) -> float:
    """Return the bytes of a PUBLISH on average, with its topic."""
    lengths: list[int] = []
    for tracker, rows in enumerate(tracks(Plan(trackers=50), 20)):
        payload = joined(fix_texts(rows[:size], form), form)
        lengths.append(len(publish_head(topic(tracker, form), 1, len(payload))) + len(payload))
    return sum(lengths) / len(lengths)


def memory(environment: Environment, quick: bool) -> Iterator[dict[str, object]]:
    """Yield what ingest holds when every tracker of a fleet has sent, and the most that it held."""
    for trackers, zones in FLEETS[: 1 if quick else None]:
        bench = Bench(environment, plan_of(zones, trackers), Timing(2.0, 3.0), 0, None)
        figure = bench.ours(Load(1, Form.JSON, 2), KNOWING_PER_S)
        yield {
            "trackers": trackers,
            "zones": zones,
            "held_mib": figure.memory_mib,
            "most_mib": figure.most_memory_mib,
            "load_average": round(os.getloadavg()[0], 2),
        }


def idle(environment: Environment, quick: bool) -> dict[str, object]:
    """Return cores and memory (MiB) of each process while nobody is connected."""
    folder, settle_s, idle_s = environment.folder, SETTLE_S, 2.0 if quick else IDLE_S
    secret_key, admin = secrets.token_bytes(32), environment.admin
    setup_rows.remove_fleet(admin)
    setup_rows.add_fleet(admin, DEVICES, [])
    plans = {
        "ingest": environment.linked(),
        "listener": environment.listener(free_port(0)),
        "deliver": environment.deliver(secret_key),
        "api": _api(environment, secret_key),
    }
    with ExitStack() as ending:
        pids: dict[str, list[int]] = {}
        for name, plan in plans.items():
            subject = ending.enter_context(running(plan, folder / f"{name}.log"))
            pids[name] = [subject.pid, *children(subject.pid)]
        time.sleep(settle_s)
        pids["database"] = setup_rows.server_pids(admin)
        began_s, before = time.monotonic(), {name: _used_s(pids[name]) for name in pids}
        time.sleep(idle_s)
        took_s = time.monotonic() - began_s
        cores = {name: round((_used_s(pids[name]) - before[name]) / took_s, 4) for name in pids}
        held = {name: round(sum(memory_mib(pid)[0] for pid in pids[name]), 1) for name in plans}
    return {"cores": cores, "memory_mib": held, "load_average": round(os.getloadavg()[0], 2)}


def _used_s(pids: Sequence[int]) -> float:
    return sum(map(cpu_s, pids))


def _api(environment: Environment, secret_key: bytes) -> SubjectPlan:
    port = free_port(0)
    url = f"http://127.0.0.1:{port}/readyz"
    return SubjectPlan(
        name="api",
        argv=[sys.executable, "-m", "api"],
        environment={
            "OPSC_DATABASE_URL": environment.app_url,
            "OPSC_SECRET_KEY": base64.urlsafe_b64encode(secret_key).decode(),
            "OPSC_API_PORT": str(port),
            "OPSC_API_HTTP": f"127.0.0.1:{free_port(0)}",
        },
        ready_url=url,
        metrics_url=url,
        counter="",
    )


def measure(options: argparse.Namespace, console: Console) -> None:
    """Measure a part. Raises DriveFailed or StackError where a point gives no figure."""
    load_before = os.getloadavg()
    with running_environment() as environment:
        figures: dict[str, object] = {}
        if options.part == "idle":
            figures["idle"] = idle(environment, options.quick)
            console.print(figures["idle"])
        else:
            found: list[dict[str, object]] = []
            figures["fleets" if options.part == "memory" else "points"] = found
            for point in (
                memory(environment, options.quick)
                if options.part == "memory"
                else points(environment, Form(options.part), options.quick)
            ):
                console.print(point)
                found.append(point)
        versions = setup_rows.server_versions(environment.admin)
    if not options.no_result:
        facts = {
            **machine.about(versions, load_before=load_before),
            "configuration": {**asdict(Plan(trackers=DEVICES)), "synchronous_commit": "on"},
            **figures,
        }
        console.print(f"written: {machine.write_result(f'costs-{options.part}', facts)}")


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    try:
        measure(options, Console(width=160))
    except (DriveFailed, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
