"""The geofence engine alone, and what else answers its questions, side by side.

    python -m benchmarks.engine.run [--quick] [--rounds N] [--only TEXT] [--postgis FOLDER]

Plays the parts in turn, round by round, shows figures and ratios, and writes
benchmarks/results/engine-<date>-<commit>.json. Some five minutes; `--quick` plays one round.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.common import machine
from benchmarks.engine import history as careful
from benchmarks.engine import parts as ours
from benchmarks.engine import peers, report
from geofence.judging.warmup import prepare

ZONES = (100, 10_000, 100_000)
BATCHES = (1, 100, 1_000, 20_000)
VERTICES = (20, 200, 2_000, 20_000)
SHARES_NEAR = (0.0, 0.1, 0.5)
DAYS = (1_250, 10_000)


@dataclass(frozen=True, slots=True)
class Part:
    unit: str
    measure: Callable[[], float]


def _by_batch(size: int) -> float:
    return ours.by_zones(10_000).ns_per_fix(size)


def _by_vertices(vertices: int) -> float:
    return ours.by_vertices(vertices).ns_per_fix()


def _by_share_near(share: float) -> float:
    return ours.by_share_near(share).ns_per_fix()


def parts() -> dict[str, Part]:
    """Return the parts in the order in which they are played."""
    found: dict[str, Part] = {}
    for zones in ZONES:
        found[f"judge {zones}"] = Part("ns/fix", lambda n=zones: ours.by_zones(n).ns_per_fix())
        found[f"containment {zones}"] = Part("ns/fix", partial(ours.containment_ns, zones))
        found[f"shapely {zones}"] = Part("ns/fix", partial(peers.strtree_ns, zones))
        found[f"rtree {zones}"] = Part("ns/fix", partial(peers.rtree_ns, zones))
    for size in BATCHES:
        found[f"batch {size}"] = Part("ns/fix", partial(_by_batch, size))
    for vertices in VERTICES:
        found[f"vertices {vertices}"] = Part("ns/fix", partial(_by_vertices, vertices))
    for share in SHARES_NEAR:
        found[f"near {share:.0%}"] = Part("ns/fix", partial(_by_share_near, share))
    found["history in order"] = Part("us/fix", careful.in_order_us)
    found["history day, 5% late"] = Part("us/fix", careful.day_us)
    for fixes in DAYS:
        found[f"history late of {fixes}"] = Part("us/fix", partial(careful.late_us, fixes))
    found["history recall"] = Part("us/fix", careful.recall_us)
    for zones in ZONES[1:]:
        found[f"build {zones}"] = Part("s", partial(ours.build_s, zones))
        found[f"edit {zones}"] = Part("ms", partial(ours.edit_ms, zones))
        judging = partial(ours.edit_while_judging_ms, zones)
        found[f"edit while judging {zones}"] = Part("ms", judging)
        found[f"memory {zones}"] = Part("MiB", partial(ours.index_mib, zones))
    return found


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "benchmarks.engine.run", description="Measure the engine alone."
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds to take the medians of (default 5)"
    )
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--only", default="", help="only parts whose name holds this")
    parser.add_argument(
        "--postgis", type=Path, default=Path("/"), help="where PostgreSQL and PostGIS are unpacked"
    )
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    options.rounds = 1 if options.quick else options.rounds
    return options


def play(played: Mapping[str, Part], rounds: int, console: Console) -> report.Rounds:
    """Round by round, so that a machine that slows down slows all parts."""
    figures: list[dict[str, float]] = []
    for number in range(1, rounds + 1):
        figures.append({})
        for name, part in played.items():
            figures[-1][name] = value = part.measure()
            console.print(f"round {number}/{rounds}  {name:<28} {value:>12,.2f} {part.unit}")
    return figures


def main(arguments: Sequence[str]) -> int:
    options, console = parse(arguments), Console(width=110)
    chosen = parts()
    prepare()
    load_before = os.getloadavg()
    with ExitStack() as ending:
        if peers.has_postgis(options.postgis):
            join = ending.enter_context(peers.running_postgis(options.postgis, 10_000))
            chosen["postgis 10000"] = Part("ns/fix", join)
        else:
            console.print("PostGIS is not here: it is left out (--postgis says where it is)")
        chosen = {name: part for name, part in chosen.items() if options.only in name}
        rounds = play(chosen, options.rounds, console)
    units = {name: part.unit for name, part in chosen.items()}
    report.show(rounds, units, console)
    if not options.no_result:
        about = {
            **machine.about(load_before=load_before),
            "configuration": {"rounds": options.rounds, "batch": ours.BATCH, "workload": "W1"},
        }
        path = machine.write_result("engine", report.result(rounds, units, about))
        console.print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
