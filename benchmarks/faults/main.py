"""The fault matrix: a whole system under traffic, broken on purpose, row by row.

    python -m benchmarks.faults.main [--rows 1,3,6] [--short] [--json] [--seed N] [--no-result]

Shows what was lost, doubled, out of order or missing in each row (docs/faults.md), and writes
benchmarks/results/faults-<date>-<commit>.json. Exit code 1 where a row is not good.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.common import machine
from benchmarks.faults.rows import ROWS, chosen
from benchmarks.faults.run import RowResult, run_rows
from stack.cli.options import say
from stack.errors import StackError
from stack.servers.system import allow_open_files


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "benchmarks.faults.main", description="Break a whole system on purpose, under traffic."
    )
    parser.add_argument("--rows", help=f"some of {','.join(ROWS)}; a number takes its variants")
    parser.add_argument("--short", action="store_true", help="each fault once or a few times")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--seed", type=int, default=1, help="of tracks and moments (default 1)")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    try:
        options.keys = chosen(options.rows)
    except ValueError as error:
        parser.error(str(error))
    return options


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    allow_open_files()
    logging.getLogger("mqtt").setLevel(logging.ERROR)  # no news that connections are cut
    commit = machine.commit()
    try:
        results = uvloop.run(played(options))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    facts = {
        **machine.about(),
        "commit": commit,
        "configuration": {"seed": options.seed, "short": options.short},
        "rows": [one.as_json() for one in results],
    }
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        show(results, Console(width=140))
    if not options.no_result:
        path = machine.write_result("faults", facts)
        say(f"written: {path}")
    return 0 if all(one.is_good for one in results) else 1


async def played(options: argparse.Namespace) -> list[RowResult]:
    """Run all chosen rows and report them as they end."""
    results: list[RowResult] = []
    async for one in run_rows(options.keys, is_short=options.short, seed=options.seed, say=say):
        results.append(one)
        say(f"row {one.key}: {verdict(one)}, {one.duration_s:.0f} s")
        for example in () if one.loaded is None else one.loaded.examples:
            say(f"  {example}")
    return results


def show(results: Sequence[RowResult], console: Console) -> None:
    table = Table(
        *(
            "row",
            "what is done",
            "how often",
            "fixes",
            "events",
            "whole",
            "L",
            "D",
            "O",
            "E",
            "W",
            "other",
        ),
        *("s", "measured", ""),
    )
    for one in results:
        done = ", ".join(f"{count:,} {name}" for name, count in one.done.items())
        measured = ", ".join(f"{name} {value:.3g}" for name, value in one.measured.items())
        numbers = [""] * 9
        if (came := one.loaded) is not None:
            t = came.tally
            counts = (t.lost, t.duplicate, t.order, t.events, t.webhooks, t.other)
            whole = f"{came.whole} of {came.assets}"
            numbers = [f"{came.stored:,}", f"{came.events:,}", whole, *(f"{n:,}" for n in counts)]
        seconds = f"{one.duration_s:.0f}"
        table.add_row(one.key, one.title, done, *numbers, seconds, measured, verdict(one))
    console.print(table)


def verdict(one: RowResult) -> str:
    if one.skipped is not None:
        return f"SKIPPED: {one.skipped}"
    if one.is_good:
        return "good"
    return f"NOT GOOD{f': {one.trouble}' if one.trouble else ''}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
