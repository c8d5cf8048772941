"""The change of a fix's cost and latency with trackers, zones, messages and batches.

    python -m benchmarks.pipeline.sweep [--quick] [--only TEXT]

Starts private servers below var/, plays each point once, shows what each part costs per fix, then
how long a message takes at 10, 50 and 90 % of what the system can do, and writes
benchmarks/results/sweep-<date>-<commit>.json. About seven minutes.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import lcm

from rich.console import Console
from rich.table import Table

from benchmarks.common import machine
from benchmarks.common import rows as setup_rows
from benchmarks.common.drive import DriveFailed, Timing
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.payloads import Form
from benchmarks.common.workload import Plan
from benchmarks.engine.load import plan_of
from benchmarks.pipeline.parts import Bench, Figure, Load
from benchmarks.pipeline.planning import PlanningLoad, split
from geofence.judging.warmup import prepare
from stack.errors import StackError

SHARES = (0.1, 0.5, 0.9)  # of what the system can do
PROCESSES = ("load", "broker", "ingest", "database")
LATENCY_GOAL_MS = 30.0  # p99 at half load
MEMORY_GOAL_MIB = 500.0
LARGE_GOAL = 0.9  # of the rate of the base


@dataclass(frozen=True, slots=True)
class Point:
    """A point of measurement."""

    trackers: int = 10_000
    zones: int = 10_000
    fixes_per_message: int = 20
    form: Form = Form.JSON
    batch_fixes: int | None = None
    latency_ms: int | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The settings of ingest, by variable."""
        wanted = {
            "OPSC_INGEST_BATCH_FIXES": self.batch_fixes,
            "OPSC_INGEST_LATENCY_MS": self.latency_ms,
        }
        return {name: str(value) for name, value in wanted.items() if value is not None}

    @property
    def plan(self) -> Plan:
        return plan_of(self.zones, self.trackers)

    @property
    def load(self) -> Load:
        """Some 800,000 fixes a pass, whole messages, an even number of fixes for each tracker."""
        least = max(20, min(480, 800_000 // self.trackers))
        step = lcm(2, self.fixes_per_message)
        return Load(self.fixes_per_message, self.form, -(-least // step) * step)

    @property
    def timing(self) -> Timing:
        """The timing, warm when every tracker has sent."""
        return Timing(warm_up_s=10.0 if self.trackers > 50_000 else 2.0, window_s=3.0)


BASE = Point()
LARGE = Point(trackers=100_000, zones=100_000)
SINGLE = replace(BASE, fixes_per_message=1)
PACKED = replace(BASE, form=Form.PACKED)
POINTS: Mapping[str, Point] = {
    "base: 10,000 trackers, 10,000 zones, 20 fixes JSON": BASE,
    "1 fix": SINGLE,
    "1 fix, batches of 20 ms": replace(SINGLE, latency_ms=20),
    "5 fixes": replace(BASE, fixes_per_message=5),
    "100 fixes": replace(BASE, fixes_per_message=100),
    "20 fixes packed": PACKED,
    "batches of 2,000 fixes": replace(BASE, batch_fixes=2_000),
    "batches of 100,000 fixes": replace(BASE, batch_fixes=100_000),
    "1,000 trackers": replace(BASE, trackers=1_000),
    "100 zones": replace(BASE, zones=100),
    "100,000 zones": replace(BASE, zones=100_000),
    "100,000 trackers, 100,000 zones": LARGE,
    "100,000 trackers": replace(BASE, trackers=100_000),
}
LATENCY_POINTS = {"1 fix": SINGLE, "20 fixes": BASE}


class Sweep:
    """Points on one set of servers; a fleet stays until a point wants another."""

    def __init__(self, environment: Environment, quick: bool) -> None:
        self._environment, self._quick = environment, quick
        self._plan: Plan | None = None
        self._bench: Bench | None = None

    def play(self, point: Point, rate: float | None = None) -> Figure:
        """Measure a point."""
        return self._bench_of(point).ours(point.load, rate, point.settings)

    def _bench_of(self, point: Point) -> Bench:
        if self._bench is None or self._plan != point.plan:
            timing = Timing(1.0, 2.0) if self._quick else point.timing
            self._bench = Bench(self._environment, point.plan, timing, 0, None)
            self._plan = point.plan
        return self._bench


def costs_us(figure: Figure) -> dict[str, float]:
    """Return the processor time per fix by process, microseconds."""
    return {name: round(1e6 * figure.cores[name] / figure.per_s, 2) for name in PROCESSES}


def planning_ns(quick: bool) -> dict[str, dict[str, float]]:
    """Measure what planning costs by part, nanoseconds per fix, in batches of about 2 MiB."""
    prepare()
    found: dict[str, dict[str, float]] = {}
    loads = {
        "20 fixes JSON": (BASE, 600),
        "20 fixes packed": (PACKED, 3_000),
        "1 fix": (SINGLE, 2_000),
    }
    for name, (point, messages) in loads.items():
        small = replace(point, trackers=2_000)
        load = PlanningLoad(small.plan, small.form, small.fixes_per_message, 60)
        ns = split(load, messages, 4 if quick else 20).ns
        found[name] = {part: round(value) for part, value in ns.items()}
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        "benchmarks.pipeline.sweep", description="What a fix costs, and when."
    )
    parser.add_argument(
        "--quick", action="store_true", help="short windows; proves only that it runs"
    )
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="points whose name has this in it"
    )
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    try:
        measure(options, Console(width=120))
    except (DriveFailed, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def measure(options: argparse.Namespace, console: Console) -> None:
    """Measure everything. Raises DriveFailed or StackError where a point gives no figure."""
    with running_environment() as environment:
        sweep = Sweep(environment, options.quick)
        figures = dict(_played(sweep, options.only, console))
        delays = dict(_delays(sweep, figures, console))
        versions = {**setup_rows.server_versions(environment.admin)}
        versions["mosquitto"] = environment.broker_version
    split_ns = planning_ns(options.quick)
    _show(figures, delays, split_ns, console)
    if not options.no_result:
        facts = _result(figures, delays, split_ns, versions)
        path = machine.write_result("sweep", facts)
        console.print(f"written: {path}")


def _played(sweep: Sweep, only: str, console: Console) -> Iterable[tuple[str, Figure]]:
    for name, point in POINTS.items():
        if only in name:
            figure = sweep.play(point)
            console.print(f"{name:<52} {figure.per_s:>10,.0f} fixes/s  {costs_us(figure)}")
            yield name, figure


def _delays(
    sweep: Sweep, figures: Mapping[str, Figure], console: Console
) -> Iterable[tuple[str, Figure]]:
    for name, point in LATENCY_POINTS.items():
        most = next((figures[key].per_s for key in figures if POINTS[key] == point), 0.0)
        for share in SHARES if most else ():
            rate = share * most / point.fixes_per_message
            figure = sweep.play(point, rate)
            console.print(f"{name} at {share:.0%}: {figure.per_s:,.0f} fixes/s {figure.latency}")
            yield f"{name} at {share:.0%}", figure


def _show(
    figures: Mapping[str, Figure],
    delays: Mapping[str, Figure],
    split_ns: Mapping[str, Mapping[str, float]],
    console: Console,
) -> None:
    heads = (f"{name}, us a fix" for name in PROCESSES)
    table = Table("point", "fixes/s", *heads, "events", "memory (most), MiB")
    for name, figure in figures.items():
        costs = (f"{cost:.2f}" for cost in costs_us(figure).values())
        memory = f"{figure.memory_mib:.0f} ({figure.most_memory_mib:.0f})"
        more = (f"{figure.events_per_fix:.1%}", memory)
        table.add_row(name, f"{figure.per_s:,.0f}", *costs, *more)
    console.print(table)
    table = Table("load", "fixes/s", "p50, ms", "p99, ms", "most, ms", "of it flush, ms")
    for name, figure in delays.items():
        if (seen := figure.latency) is not None:
            times = (f"{t:.1f}" for t in (seen.p50_ms, seen.p99_ms, seen.most_ms, seen.flush_ms))
            table.add_row(name, f"{figure.per_s:,.0f}", *times)
    console.print(table)
    table = Table("planning, ns a fix", *split_ns)
    for part in next(iter(split_ns.values())):
        table.add_row(part, *(f"{ns.get(part, 0):.0f}" for ns in split_ns.values()))
    console.print(table)


def _result(
    figures: Mapping[str, Figure],
    delays: Mapping[str, Figure],
    split_ns: Mapping[str, Mapping[str, float]],
    versions: Mapping[str, str],
) -> dict[str, object]:
    return {
        **machine.about(versions),
        "points": {
            name: {**asdict(POINTS[name]), **asdict(figure), "us_per_fix": costs_us(figure)}
            for name, figure in figures.items()
        },
        "latency": {name: asdict(figure) for name, figure in delays.items()},
        "planning_ns_per_fix": split_ns,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
