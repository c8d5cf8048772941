"""A measurement of what newest positions cost: ingest with and without the loop that writes them.

    python -m benchmarks.pipeline.positions_cost [--pairs N] [--quick] [--no-result]

Two thousand devices send messages of twenty fixes as fast as the system takes them. Ingest runs in
turn with and without its loop, in pairs whose order changes from one to the next; the figure is the
ratio within a pair. Writes benchmarks/results/positions-cost-<date>-<commit>.json. Some six
minutes; it is meant for a machine that has nothing else to do.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields, replace

from rich.console import Console

from benchmarks.common import machine
from benchmarks.common.drive import DriveFailed, Timing
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.spread import Spread
from benchmarks.common.subject import SubjectPlan
from benchmarks.common.workload import Plan
from benchmarks.pipeline.parts import TWENTY_JSON, TWENTY_PACKED, Bench, Figure
from stack.errors import StackError

LOADS = {"20 fixes JSON": TWENTY_JSON, "20 fixes packed": TWENTY_PACKED}
DEVICES = 2_000
# Ingest as it is, but for the loop beside its batches.
_WITHOUT = """
import asyncio, sys
from ingest import leader
async def keep_positions(*_):
    await asyncio.Event().wait()
leader.keep_positions = keep_positions
from ingest.__main__ import main
sys.exit(main())
"""


class _WithoutPositions(Environment):
    """The same servers, for an ingest that writes no newest positions."""

    def linked(self) -> SubjectPlan:
        return replace(super().linked(), argv=[sys.executable, "-c", _WITHOUT])


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.pipeline.positions_cost", description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="pairs of each load (default 7)")
    parser.add_argument("--quick", action="store_true", help="shorter windows")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    if options.pairs < 1:
        parser.error("--pairs is at least 1")
    return options


def ratios(pairs: Sequence[tuple[Figure, Figure]]) -> dict[str, Spread]:
    """Return what the loop changes, as ratios of a pair: with it, then without it."""
    values = {
        "fixes a second": [with_.per_s / without.per_s for with_, without in pairs],
        "processor time of a fix": [
            with_.us_per_fix / without.us_per_fix for with_, without in pairs
        ],
    }
    for process in ("ingest", "database"):
        values[f"processor time of a fix, {process}"] = [
            (with_.cores[process] / with_.per_s) / (without.cores[process] / without.per_s)
            for with_, without in pairs
        ]
    return {name: Spread.of(each, 3) for name, each in values.items()}


def measure(options: argparse.Namespace, console: Console) -> None:
    """Measure all loads. Raises DriveFailed or StackError where one gives no rate."""
    timing = Timing(1.0, 3.0) if options.quick else Timing(2.0, 5.0)
    plan = Plan()
    shown: dict[str, dict[str, Spread]] = {}
    with running_environment() as environment:
        parts = [getattr(environment, field.name) for field in fields(environment)]
        bench = Bench(environment, plan, timing, 0, None)
        without = Bench(_WithoutPositions(*parts), plan, timing, 0, None)
        facts = machine.about(machine.library_versions())
        for name, load in LOADS.items():
            spread = load.spread(DEVICES, 1)
            pairs: list[tuple[Figure, Figure]] = []
            for number in range(options.pairs):
                if number % 2:
                    other = without.listened(spread)
                    figure = bench.listened(spread)
                else:
                    figure = bench.listened(spread)
                    other = without.listened(spread)
                pairs.append((figure, other))
                console.print(f"{name}: {figure.per_s:,.0f}/s with, {other.per_s:,.0f}/s without")
            shown[name] = ratios(pairs)
            for what, ratio in shown[name].items():
                console.print(f"{name}: {what}: {ratio.median} ({ratio.lowest}-{ratio.highest})")
    if not options.no_result:
        figures = {
            name: {what: asdict(ratio) for what, ratio in each.items()}
            for name, each in shown.items()
        }
        configuration = {**asdict(plan), **asdict(timing), "devices": DEVICES}
        result = {**facts, "configuration": configuration, "ratios": figures}
        path = machine.write_result("positions-cost", result)
        console.print(f"written: {path}")


def main(arguments: Sequence[str]) -> int:
    try:
        measure(parse(arguments), Console(width=120))
    except (DriveFailed, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
