"""A whole system under load for a long time, broken now and then: does anything grow, is anything
lost, does any log say what nobody can explain.

    python -m benchmarks.soak.main [--minutes 20] [--rate 13000] [--seed N] [--json] [--no-result]

Shows what every process held, what became of both loads, and the lines that no fault explains
(docs/faults.md), and writes benchmarks/results/soak-<date>-<commit>.json. Exit code 1 where the run
is not good.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import signal
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.common import machine
from benchmarks.soak import faults as soak_faults
from benchmarks.soak.faults import Fault, Kind
from benchmarks.soak.run import LOAD, Soaked, SoakPlan, soak
from benchmarks.soak.verdict import (
    FILES,
    MEMORY_MIB,
    THREADS,
    Line,
    Stretch,
    Trend,
    calm_stretches,
    trend,
    unexplained,
)
from benchmarks.soak.watch import Held, Incarnation
from stack.cli.options import say
from stack.servers.system import allow_open_files

ROW_BYTES = 320  # with its index and the events
SPARE_BYTES = 8 << 30  # the database's log, and what must stay free
LEAST_S = 240.0  # that a process must live to be judged
SHOWN_S = 60.0
_SHOWN_LINES = 40


@dataclass(frozen=True, slots=True)
class Lived:
    """One process, and how what it held went on."""

    who: Incarnation
    seen: Sequence[Held]
    own: Trend
    files: Trend
    threads: Trend

    @property
    def is_judged(self) -> bool:
        """The load generator is no part of the system."""
        return self.who.name != LOAD and self.own.is_flat is not None

    @property
    def is_flat(self) -> bool:
        """PostgreSQL opens a file for each part of a table that it meets, and keeps it open up to
        a bound of its own: its files are no measure."""
        flat = [self.own.is_flat, self.threads.is_flat]
        if not self.who.name.startswith("postgres"):
            flat.append(self.files.is_flat)
        return not self.is_judged or all(flat)

    @property
    def seconds(self) -> float:
        return self.seen[-1].at_s - self.seen[0].at_s

    def as_json(self) -> Mapping[str, Any]:
        trends = {"own_mib": self.own, "files": self.files, "threads": self.threads}
        return {
            "name": self.who.name,
            "from_s": round(self.seen[0].at_s),
            "seconds": round(self.seconds),
            **{name: _rounded(asdict(one)) for name, one in trends.items()},
            "resident_mib": [round(one.resident, 1) for one in (self.seen[0], self.seen[-1])],
            "proportional_mib": [round(one.share, 1) for one in (self.seen[0], self.seen[-1])],
            "judged": self.is_judged,
            "flat": self.is_flat,
        }


def lived(came: Soaked, calm: Sequence[Stretch]) -> list[Lived]:
    """Return the processes that were seen more than once, the longest lives first within a name."""
    found: list[Lived] = []
    for who, seen in came.memory.seen.items():
        at_s = [one.at_s for one in seen]
        own = trend(at_s, [one.own for one in seen], MEMORY_MIB, calm, LEAST_S)
        files = trend(at_s, [one.files for one in seen], FILES, calm, LEAST_S)
        threads = trend(at_s, [one.threads for one in seen], THREADS, calm, LEAST_S)
        found.append(Lived(who, seen, own, files, threads))
    return sorted(found, key=lambda one: (one.who.name, -one.seconds))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The faults of a run, each in words."""

    lived: Sequence[Lived]
    lines: Sequence[Line]
    wrong: Sequence[str]


def judged(came: Soaked) -> Verdict:
    faults = [Fault(Kind.STARTED, 0.0, came.load_began_s), *came.faults]
    all_lived = lived(came, calm_stretches(faults, came.load_ended_s))
    lines = unexplained(came.suspects, faults)
    wrong = [] if came.trouble is None else [came.trouble]
    if came.canary is None or not came.canary.tally.is_clean:
        wrong.append("the canary did not come out as it was sent")
    if came.background is None or not came.background.is_exact:
        wrong.append("the background did not come out as it was sent")
    if len(came.faults) < len(came.planned):
        wrong.append(f"only {len(came.faults)} of {len(came.planned)} faults were done")
    wrong += [f"{one.who.name} grew" for one in all_lived if not one.is_flat]
    if lines:
        wrong.append(f"{len(lines)} lines of logs are not explained")
    return Verdict(all_lived, lines, wrong)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "benchmarks.soak.main", description="A whole system under load, broken now and then."
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="about (default 20)")
    parser.add_argument(
        "--rate", type=int, default=13_000, help="messages a second (default 13000)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of tracks and moments (default 1)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    if not 1 <= options.minutes <= 24 * 60 or not 100 <= options.rate <= 100_000:
        parser.error("--minutes is 1 to 1440, --rate 100 to 100000")
    options.plan = SoakPlan(options.minutes * 60, options.rate, options.seed)
    if (least := least_free_bytes(options.plan)) > (free := _free_bytes()):
        told = f"{least >> 30} GiB of disk are needed below {tempfile.gettempdir()}"
        parser.error(f"{told}, {free >> 30} are free: choose fewer --minutes or a lower --rate")
    return options


def least_free_bytes(plan: SoakPlan) -> int:
    return SPARE_BYTES + round(1.25 * plan.seconds * plan.rate * ROW_BYTES)


def _free_bytes() -> int:
    return shutil.disk_usage(tempfile.gettempdir()).free


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    allow_open_files()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leaves nothing behind either
    logging.getLogger("mqtt").setLevel(logging.ERROR)  # no news that connections are cut
    commit = machine.commit()
    came = uvloop.run(soak(options.plan, say))
    verdict = judged(came)
    facts = {
        **machine.about(),
        "commit": commit,
        "configuration": asdict(options.plan) | {"fleet": asdict(options.plan.fleet)},
        **as_json(came, verdict),
    }
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        show(came, verdict, Console(width=140))
    if not options.no_result:
        path = machine.write_result("soak", facts)
        say(f"written: {path}")
    return 1 if verdict.wrong else 0


def as_json(came: Soaked, verdict: Verdict) -> Mapping[str, Any]:
    explained = Counter(line.source for line in came.suspects)
    explained.subtract(Counter(line.source for line in verdict.lines))
    return {
        "good": not verdict.wrong,
        "wrong": list(verdict.wrong),
        "seconds": came.seconds,
        "load_began_s": round(came.load_began_s, 1),
        "faults": [asdict(one) for one in came.faults],
        "background": None if came.background is None else asdict(came.background),
        "backlog_messages": _spread(came.backlog),
        "canary": None if came.canary is None else asdict(came.canary),
        "processes": [one.as_json() for one in verdict.lived if len(one.seen) > 1],
        "log_lines": came.lines,
        "explained_lines": dict(explained),
        "unexplained_lines": [asdict(line) for line in verdict.lines[:1_000]],
    }


def _spread(values: Sequence[int]) -> Mapping[str, int]:
    if not values:
        return {}
    return {"median": round(statistics.median(values)), "most": max(values)}


def _rounded(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        name: round(value, 1) if isinstance(value, float) else value
        for name, value in facts.items()
    }


def show(came: Soaked, verdict: Verdict, console: Console) -> None:
    console.print(_processes(verdict.lived))
    console.print(_faults(came))
    if (fleet := came.background) is not None:
        console.print(
            f"background: {fleet.sent:,} sent, {fleet.stored:,} stored, {fleet.wrong:,} trackers"
            f" wrong, {fleet.refused:,} refused, {fleet.events:,} events"
            f" ({fleet.events / max(1, fleet.stored):.1%}), {fleet.gaps_in_seq:,} gaps in seq;"
            f" {fleet.connects:,} connections, {fleet.given_up:,} messages given up"
        )
    if (canary := came.canary) is not None:
        t = canary.tally
        console.print(
            f"canary: {canary.sent:,} sent, {canary.stored:,} stored, {canary.events:,} events;"
            f" L {t.lost} D {t.duplicate} O {t.order} E {t.events} W {t.webhooks} other {t.other}"
        )
        for example in canary.examples:
            console.print(f"  {example}")
    explained = len(came.suspects) - len(verdict.lines)
    console.print(f"logs: {came.lines:,} lines, {explained:,} explained by faults")
    for line in verdict.lines[:_SHOWN_LINES]:
        text = f"  not explained: {line.at_s:.0f} s, {line.source}: {line.text}"
        console.print(text, markup=False, highlight=False)
    console.print("good" if not verdict.wrong else f"NOT GOOD: {'; '.join(verdict.wrong)}")


def _processes(all_lived: Sequence[Lived]) -> Table:
    """Return the processes that lived for a while; PostgreSQL's own only where they were judged."""
    table = Table(
        *("process", "from s", "for s", "own MiB: first", "middle", "last", "most", "per hour"),
        *("resident MiB", "files", "threads", ""),
    )
    for one in all_lived:
        is_backend = one.who.name.startswith("postgres: ")
        if one.seconds < SHOWN_S or (is_backend and not one.is_judged):
            continue
        own = one.own
        numbers = (own.first, own.middle, own.last, own.most, own.per_hour, one.seen[-1].resident)
        table.add_row(
            one.who.name,
            f"{one.seen[0].at_s:.0f}",
            f"{one.seconds:.0f}",
            *(f"{number:,.1f}" for number in numbers),
            *(f"{kind.middle:.0f} > {kind.last:.0f}" for kind in (one.files, one.threads)),
            _how(one),
        )
    return table


def _how(one: Lived) -> str:
    if not one.is_judged:
        return "not judged" if one.who.name == LOAD else "too short"
    return "flat" if one.is_flat else "GREW"


def _faults(came: Soaked) -> Table:
    table = Table("fault", "times", "ready again after s (most)", "caught up after s (most)")
    for kind, times in soak_faults.counted(came.faults).items():
        own = [one for one in came.faults if one.kind is kind]
        ready = max((one.ended_s - one.began_s for one in own), default=0.0)
        caught_up = max(((one.caught_up_s or 0) - one.began_s for one in own), default=0.0)
        table.add_row(kind, f"{times}", f"{ready:.1f}", f"{caught_up:.1f}")
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
