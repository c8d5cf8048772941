"""A measurement of coarse positions: how often they enter and leave a zone for nothing, and which
visits they miss.

    python -m benchmarks.engine.coarse [--devices N] [--no-result]
    python -m benchmarks.engine.coarse --tables RESULT    the tables of docs/benchmarks.md

Seeded. Parked devices send 300 fixes, a minute apart; others drive in, stay 20 minutes and leave.
Writes benchmarks/results/coarse-<date>-<commit>.json. About a minute.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import machine
from benchmarks.engine.coarse_rules import JUDGES, Told
from benchmarks.engine.coarse_world import (
    FAR_M,
    PARKED,
    STAY_FIXES,
    VISITED,
    Noise,
    Reading,
    Site,
    parked,
    visiting,
)
from geofence.judging.warmup import prepare

ACCURACIES_M = (5.0, 10.0, 20.0, 30.0, 50.0, 65.0, 80.0, 100.0, 150.0, None)
NOISES: tuple[Noise, ...] = ("independent", "walking")
READINGS: tuple[Reading, ...] = ("radius", "axis")
FIXES = 300
# In the documentation:
SHOWN = ("no rule", "Home Assistant", "now")
WIDER = "now, errors 1.5 times as large"
SHOWN_ACCURACIES_M = (65.0, None)

Row = dict[str, Any]


def false_events(told: Told, site: Site) -> float:
    """Return events per 100 fixes beside a true enter."""
    count = told.events.sum(axis=1)
    if site.holds_them:
        count = count - (count > 0)
    return float(count.mean()) * 100 / told.events.shape[1]


def missed(told: Told) -> float:
    """Return the share of true visits in per cent that no visit told of overlaps."""
    stay = slice(len(FAR_M), len(FAR_M) + STAY_FIXES)
    found = (told.inside | (told.events > 0))[:, stay].any(axis=1)
    return 100 * (1 - float(found.mean()))


def parked_rows(devices: int) -> Iterator[Row]:
    for reading in READINGS:
        for site in PARKED:
            for seed, accuracy_m in enumerate(ACCURACIES_M):
                row: Row = {"reading": reading, "site": site.name, "accuracy_m": accuracy_m}
                for noise in NOISES:
                    fixes = parked(site, accuracy_m, noise, reading, (devices, FIXES), seed)
                    row[noise] = {
                        name: round(false_events(judge(fixes, site), site), 3)
                        for name, judge in JUDGES.items()
                    }
                yield row


def visit_rows(devices: int) -> Iterator[Row]:
    for site in VISITED:
        for seed, accuracy_m in enumerate(ACCURACIES_M):
            row: Row = {"site": site.name, "accuracy_m": accuracy_m}
            for noise in NOISES:
                fixes = visiting(accuracy_m, noise, "radius", devices, seed)
                row[noise] = {
                    name: round(missed(judge(fixes, site)), 2) for name, judge in JUDGES.items()
                }
            yield row


def table(rows: Sequence[Row], columns: Sequence[str], digits: int) -> str:
    """Return a table in Markdown: of each rule the figure for independent and for
    walking errors.
    """
    lines = [f"| device | accuracy, m | {' | '.join(columns)} |"]
    lines.append("|" + "---|" * (2 + len(columns)))
    for row in rows:
        if row["accuracy_m"] not in SHOWN_ACCURACIES_M:
            continue
        accuracy = "10 to 150" if row["accuracy_m"] is None else f"{row['accuracy_m']:g}"
        cells = [
            f"{row['independent'][name]:.{digits}f} / {row['walking'][name]:.{digits}f}"
            for name in columns
        ]
        lines.append(f"| {row['site']} | {accuracy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def tables(result: dict[str, Any]) -> list[str]:
    """Return the tables of the documentation: false events, then missed visits."""
    radius, axis = ([r for r in result["parked"] if r["reading"] == name] for name in READINGS)
    both = [
        {**row, **{noise: {**row[noise], WIDER: wider[noise]["now"]} for noise in NOISES}}
        for row, wider in zip(radius, axis, strict=True)
    ]
    return [table(both, (*SHOWN, WIDER), 2), table(result["visits"], SHOWN, 0)]


def newest_result(folder: Path = machine.RESULTS) -> dict[str, Any]:
    """Read what was measured last."""
    return json.loads(max(folder.glob("coarse-*.json")).read_text())


def measure(devices: int) -> dict[str, Any]:
    prepare()
    return {
        **machine.about(),
        "configuration": {"devices": devices, "fixes": FIXES},
        "parked": list(parked_rows(devices)),
        "visits": list(visit_rows(5 * devices)),
    }


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "benchmarks.engine.coarse", description="Judge coarse positions."
    )
    parser.add_argument("--devices", type=int, default=200, help="in each row (default 200)")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    parser.add_argument("--tables", type=Path, help="show the tables of a result file instead")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    if options.tables is not None:
        print("\n\n".join(tables(json.loads(options.tables.read_text()))))
        return 0
    result = measure(options.devices)
    print("\n\n".join(tables(result)))
    if not options.no_result:
        path = machine.write_result("coarse", result)
        print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
