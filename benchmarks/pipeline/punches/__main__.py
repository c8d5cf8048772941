"""A thousand employees who punch within five seconds while fixes arrive.

    python -m benchmarks.pipeline.punches [--rounds N] [--employees N] [--rate FIXES] [--no-result]

Starts private servers below var/, and writes benchmarks/results/punches-<date>-<commit>.json. About
six minutes. A round has three runs:

- paced: 5,000 fixes a second, with punches; how long a punch and a fix wait for the COMMIT of
  their event or row, and for their PUBACK;
- alone, beside: as many fixes as ingest takes, without punches and with them; in every other
  round the other way round.

Every run ends when all that was sent is stored: each employee has one punch, one event and one open
shift, and each fix its row. Else the measurement fails.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common import machine, workload
from benchmarks.common import rows as setup_rows
from benchmarks.common.drive import Drive, DriveFailed, Sending, Timing
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.gauges import Gauges
from benchmarks.common.rows import Stored
from benchmarks.common.spread import Spread
from benchmarks.common.stream import write_stream
from benchmarks.common.subject import running
from benchmarks.pipeline import latency
from benchmarks.pipeline.latency import Latency
from benchmarks.pipeline.parts import ONE_JSON
from benchmarks.pipeline.punches import rows as punch_rows
from benchmarks.pipeline.punches.crowd import Crowd, Told
from stack.errors import StackError
from stack.servers.postgres import free_port

WITHIN_S = 5.0
TIMING = Timing(warm_up_s=2.0, window_s=WITHIN_S + 1.0)
LOAD = ONE_JSON.spread(400, 4)
PLAN = workload.Plan(trackers=LOAD.connections)


@dataclass(frozen=True, slots=True)
class PunchRun:
    """One run. punch_* and the latencies of fixes: None where nobody punched or looked."""

    fixes_per_s: float
    punch_event: Latency | None = None
    punch_puback: Latency | None = None
    fix_row: Latency | None = None
    fix_puback: Latency | None = None


class PunchBench:
    """The runs, over one environment."""

    def __init__(self, environment: Environment, employees: int) -> None:
        self._environment, self._admin = environment, environment.admin
        self._people = range(PLAN.trackers, PLAN.trackers + employees)
        rings = workload.zone_rings(PLAN)
        setup_rows.add_fleet(self._admin, PLAN.trackers + employees, rings)
        self._place = punch_rows.jobsite(self._admin, rings)
        punch_rows.add_employees(self._admin, self._people)
        self._stream, self._times = environment.folder / "stream", environment.folder / "times.npz"
        fixes = workload.tracks(PLAN, LOAD.fixes_per_tracker)
        messages = workload.rows_in_order_of_sending(fixes, 1)
        span_us = workload.span_us(LOAD.fixes_per_tracker)
        write_stream(self._stream, messages, LOAD.form, LOAD.connections, span_us)

    def run(self, *, has_punches: bool, rate: float | None = None) -> PunchRun:
        """Return what one run gives. rate: fixes a second; None: as many as ingest takes."""
        environment, port = self._environment, free_port(0)
        punch_rows.empty(self._admin)
        with ExitStack() as ending:
            log = environment.folder / "ingest.log"
            ingest = ending.enter_context(running(environment.linked(), log))
            log = environment.folder / "listener.log"
            ending.enter_context(running(environment.listener(port), log))
            people = self._people if has_punches else range(0)
            crowd = Crowd(port, people, self._place, WITHIN_S)
            flushes = setup_rows.flushes(self._admin)
            between, sent = self._drive(port, ingest.stored_fixes, crowd, rate)
            told = crowd.finish()
            flush_ms = self._flush_ms(flushes)
        self._check(sent, len(told))
        fixes_per_s = (between[1].rows - between[0].rows) / (between[1].at_s - between[0].at_s)
        run = PunchRun(round(fixes_per_s, 1))
        if told:
            run = replace(run, **self._of_punches(told, flush_ms))
        if rate is not None:
            run = replace(run, **self._of_fixes(between[0].at_s, between[1].at_s, flush_ms))
        return run

    def _drive(
        self, port: int, done: Callable[[], int], crowd: Crowd, rate: float | None
    ) -> tuple[tuple[Stored, Stored], int]:
        gauges = self._environment.folder / "gauges"
        Gauges(gauges, create=True)
        sending = Sending(port, LOAD.in_flight, is_signed_in=True)
        times = None if rate is None else self._times
        drive = Drive(self._stream, gauges, sending, done, rate, times)

        def mark() -> Stored:
            stored = setup_rows.count_fixes(self._admin)
            crowd.punch()
            return stored

        try:
            return drive.measure(TIMING, mark), drive.finish()
        except BaseException:
            drive.abandon()
            raise

    def _flush_ms(self, before: tuple[int, float]) -> float:
        count, took_ms = setup_rows.flushes(self._admin)
        return (took_ms - before[1]) / max(1, count - before[0])

    def _check(self, fixes: int, punches: int) -> None:
        """Raise DriveFailed where what is stored is not what was sent."""
        stored, counts = setup_rows.count_fixes(self._admin).rows, punch_rows.counts(self._admin)
        if stored != fixes or set(counts) != {punches}:
            raise DriveFailed(
                f"of {fixes} fixes {stored} are stored, of {punches} punches {counts}"
            )

    def _of_punches(self, told: Sequence[Told], flush_ms: float) -> dict[str, Latency]:
        at_us = punch_rows.event_times(self._admin)
        event_ms = [at_us[one.employee_id] / 1e3 - one.sent_ns / 1e6 for one in told]
        puback_ms = [(one.acknowledged_ns - one.sent_ns) / 1e6 for one in told]
        return {
            "punch_event": Latency.of(np.array(event_ms), flush_ms),
            "punch_puback": Latency.of(np.array(puback_ms), 0.0),
        }

    def _of_fixes(self, from_s: float, to_s: float, flush_ms: float) -> dict[str, Latency]:
        chosen = latency.sampled(PLAN.trackers)
        sent = latency.sent_times(self._stream, self._times, chosen)
        row_ms = latency.taken_ms(self._admin, sent, chosen, from_s, to_s)
        puback_ms = latency.acknowledged_ms(self._times, from_s, to_s)
        return {
            "fix_row": Latency.of(row_ms, flush_ms),
            "fix_puback": Latency.of(puback_ms, 0.0),
        }


def play(
    bench: PunchBench, options: argparse.Namespace, console: Console
) -> dict[str, list[PunchRun]]:
    """Return the runs of all rounds, by name."""
    runs: dict[str, list[PunchRun]] = {"paced": [], "alone": [], "beside": []}
    for number in range(options.rounds):
        pair = ("alone", "beside") if number % 2 == 0 else ("beside", "alone")
        for name in ("paced", *pair):
            rate = options.rate if name == "paced" else None
            run = bench.run(has_punches=name != "alone", rate=rate)
            runs[name].append(run)
            console.print(f"round {number + 1}  {name:<7} {run.fixes_per_s:>10,.0f} fixes/s")
    return runs


def rates(runs: dict[str, list[PunchRun]]) -> dict[str, Spread]:
    """Return fixes a second, alone, beside punches, and the ratio of each round."""
    alone, beside = ([run.fixes_per_s for run in runs[name]] for name in ("alone", "beside"))
    shares = [one / other for one, other in zip(beside, alone, strict=True)]
    return {
        "alone": Spread.of(alone, 0),
        "beside": Spread.of(beside, 0),
        "ratio": Spread.of(shares, 3),
    }


def show(runs: dict[str, list[PunchRun]], console: Console) -> None:
    """Print two tables."""
    table = Table("medians of the rounds, ms", "p50", "p99", "most")
    for name in ("punch_event", "punch_puback", "fix_row", "fix_puback"):
        seen = [value for run in runs["paced"] if (value := getattr(run, name)) is not None]
        cells = (median(getattr(one, of) for one in seen) for of in ("p50_ms", "p99_ms", "most_ms"))
        table.add_row(name, *(f"{cell:.1f}" for cell in cells))
    console.print(table)
    table = Table("fixes a second", "median", "lowest", "highest")
    for name, spread in rates(runs).items():
        ends = (spread.median, spread.lowest, spread.highest)
        table.add_row(
            name, *(f"{value:,.3f}" if name == "ratio" else f"{value:,.0f}" for value in ends)
        )
    console.print(table)


def result(runs: dict[str, list[PunchRun]], about: dict[str, object]) -> dict[str, object]:
    """Return the content of the result file: `about`, every run, every rate."""
    every = {name: [asdict(run) for run in some] for name, some in runs.items()}
    spreads = {name: asdict(spread) for name, spread in rates(runs).items()}
    return {**about, "fixes_per_s": spreads, "runs": every}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("benchmarks.pipeline.punches", description="Punches.")
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    parser.add_argument("--employees", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=5_000, help="fixes a second of the paced run")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options, console = parser.parse_args(arguments), Console(width=120)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load_before, began_s = os.getloadavg(), time.monotonic()
    try:
        with running_environment() as environment:
            bench = PunchBench(environment, options.employees)
            runs = play(bench, options, console)
            versions = setup_rows.server_versions(environment.admin)
    except (DriveFailed, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    show(runs, console)
    if not options.no_result:
        about: dict[str, object] = {
            **machine.about(versions, load_before=load_before),
            "configuration": {
                **asdict(PLAN),
                **asdict(TIMING),
                "employees": options.employees,
                "punches_within_s": WITHIN_S,
                "paced_fixes_per_s": options.rate,
                "connections_of_fixes": LOAD.connections,
                "in_flight": LOAD.in_flight,
                "took_s": round(time.monotonic() - began_s, 1),
            },
        }
        path = machine.write_result("punches", result(runs, about))
        console.print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
