"""A measurement from a device's socket to committed rows: ceilings, ours and the usual way, side by
side.

    python -m benchmarks.pipeline.end_to_end [--quick] [--rounds N] [--only PART ...]
        [--profile FILE]

Starts private servers below var/, plays the parts in turn, round by round, shows rates and ratios,
and writes benchmarks/results/<date>-<commit>.json. About ten minutes; `--quick` takes two. It is
meant for a machine that has nothing else to do: only ratios within one run can be compared.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.common import machine
from benchmarks.common import rows as setup_rows
from benchmarks.common.drive import DriveFailed, Timing
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.workload import Plan
from benchmarks.pipeline import report
from benchmarks.pipeline.parts import (
    CALM_PER_S,
    ONE_JSON,
    QUIET_PER_S,
    TWENTY_JSON,
    TWENTY_PACKED,
    Bench,
    Figure,
)
from stack.errors import StackError

SHAPES = {"2000x1": (2_000, 1), "400x4": (400, 4), "100x20": (100, 20)}
ALONE = SHAPES["2000x1"]
PARTS: dict[str, Callable[[Bench], Figure]] = {
    **{
        name: part
        for shape, spread in SHAPES.items()
        for name, part in (
            (f"broker-{shape}", partial(Bench.broker_ceiling, load=ONE_JSON.spread(*spread))),
            (f"listener-1-json-{shape}", partial(Bench.listened, load=ONE_JSON.spread(*spread))),
        )
    },
    **{
        f"log-{nodes}-1-json-{shape}": partial(
            Bench.listened, load=ONE_JSON.spread(*SHAPES[shape]), log_nodes=nodes
        )
        for nodes in (1, 3)
        for shape in ("2000x1", "100x20")
    },
    "listener-1-json-tls": partial(Bench.listened, load=ONE_JSON.spread(*ALONE), is_tls=True),
    "listener-at-half": partial(Bench.at_half, load=ONE_JSON.spread(*ALONE)),
    "listener-at-300": partial(Bench.listened, load=ONE_JSON.spread(*ALONE), rate=QUIET_PER_S),
    "listener-at-3000": partial(Bench.listened, load=ONE_JSON.spread(*ALONE), rate=CALM_PER_S),
    "baseline-1-json": partial(Bench.baseline, load=ONE_JSON),
    "copy": Bench.copy_ceiling,
    "listener-20-json": partial(Bench.listened, load=TWENTY_JSON.spread(*ALONE)),
    "listener-20-packed": partial(Bench.listened, load=TWENTY_PACKED.spread(*ALONE)),
    "baseline-20-json": partial(Bench.baseline, load=TWENTY_JSON),
}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "benchmarks.pipeline.end_to_end",
        description="Measure the way from a tracker's socket to rows.",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds to take the medians of (default 3)"
    )
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="only this part; may be repeated"
    )
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="FILE",
        help="record the listener with py-spy (.svg or text)",
    )
    parser.add_argument("--zones", type=int, default=Plan().zones)
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.zones < 1:
        parser.error("--rounds and --zones are at least 1")
    if options.profile and shutil.which("py-spy") is None:
        parser.error("--profile needs the program py-spy (pip install py-spy)")
    return options


def timing(quick: bool) -> Timing:
    return Timing(warm_up_s=1.0, window_s=2.0) if quick else Timing(warm_up_s=2.0, window_s=5.0)


def play(bench: Bench, parts: Sequence[str], rounds: int, console: Console) -> report.Rounds:
    """Round by round, so that a machine that slows down slows all parts."""
    played: list[dict[str, Figure]] = []
    for number in range(1, rounds + 1):
        figures: dict[str, Figure] = {}
        for part in parts:
            figures[part] = PARTS[part](bench)
            console.print(f"round {number}/{rounds}  {part:<24} {figures[part].per_s:>10,.0f}/s")
        played.append(figures)
    return played


def about(environment: Environment, plan: Plan, options: argparse.Namespace) -> dict[str, object]:
    """Return what the result file says beside the figures."""
    versions = {
        **machine.library_versions(),
        **setup_rows.server_versions(environment.admin),
        "mosquitto": environment.broker_version,
    }
    return {
        **machine.about(versions),
        "configuration": {
            **asdict(plan),
            **asdict(timing(options.quick)),
            "rounds": options.rounds,
            "qos": 1,
            "synchronous_commit": "on",
        },
    }


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    options.rounds = 1 if options.quick else options.rounds
    try:
        measure(options, Console(width=120))
    except (DriveFailed, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def measure(options: argparse.Namespace, console: Console) -> None:
    """Measure everything. Raises DriveFailed or StackError where a part gives no rate."""
    plan = Plan(zones=options.zones)
    parts = [part for part in PARTS if part in (options.only or PARTS)]
    copy_rows = 600_000 if options.quick else 2_000_000
    with running_environment() as environment:
        bench = Bench(environment, plan, timing(options.quick), copy_rows, options.profile)
        rounds = play(bench, parts, options.rounds, console)
        facts = about(environment, plan, options)
    report.show(rounds, console)
    if not options.no_result:
        # Figures are made of the newest result that has all parts.
        name = "end-to-end-parts" if options.only else "end-to-end"
        path = machine.write_result(name, report.result(rounds, facts))
        console.print(f"written: {path}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
