"""Attackers beside a neighbour: what do its PUBACKs, its reads and its webhooks wait?

    python -m benchmarks.hostile.neighbours [--attacks 1,5] [--seconds S] [--share X] [--no-result]

Starts `opsc up` below var/ for each attack, with default settings and two organizations. The victim
sends fixes, reads an asset and gets webhooks; the attacker uses no more than a share of one core.
Each attack has a calm phase before it and one after it. Writes
benchmarks/results/neighbours-<date>-<commit>.json. Exit code 1 where a row is not good: a p99 of
the victim's is more than 3 x its calm value or more than 500 ms, the victim had an error, or
something of its own is missing or doubled. docs/hostile.md has what was seen.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.common import machine
from benchmarks.faults.up import Up
from benchmarks.hostile.neighbours import preparation
from benchmarks.hostile.neighbours.attacks import ATTACKS
from benchmarks.hostile.neighbours.parts import Watch, watched
from benchmarks.hostile.neighbours.preparation import Ground
from benchmarks.hostile.neighbours.report import MEASURES, Record, Row, Span, show
from stack.errors import StackError
from stack.host.os_user import reachable_home
from stack.scenario.api_client import ApiError

CALM_S = 5.0
SETTLE_S = 1.0
ATTACK_S = 12.0
SHARE = 0.3
PATIENCE_S = 90.0
MODULE = "benchmarks.hostile.neighbours"


class NeighboursFailed(Exception):
    """A process of the measurement did not do its part."""


@dataclass(frozen=True, slots=True)
class Timing:
    """calm_s: of each of the phases before and after. share: of a core, for the attacker."""

    calm_s: float = CALM_S
    attack_s: float = ATTACK_S
    share: float = SHARE


@asynccontextmanager
async def running_system(parent: Path) -> AsyncIterator[Up]:
    """Provide `opsc up`, ready, in a folder below this one that is gone at the end. Raises
    StackError.
    """
    data = _data_folder(parent)
    up = Up(data)
    try:
        up.start()
        await up.ready()
        yield up
    finally:
        await up.stop()
        shutil.rmtree(data, ignore_errors=True)


def _data_folder(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="neighbours-", dir=parent))
    folder.chmod(0o755)  # the servers' user has to walk through
    return folder


async def play(up: Up, number: int, timing: Timing, folder: Path) -> Row:
    """Run one attack, on organizations of its own. Raises NeighboursFailed, StackError and
    ApiError.
    """
    attack, record = ATTACKS[number], folder / "victim.json"
    async with AsyncExitStack() as ending:
        names = (f"{one}-{number}-{time.time_ns()}" for one in ("victim", "attacker"))
        neighbour, enemy = [
            await ending.enter_async_context(preparation.organization(up.info, name, folder))
            for name in names
        ]
        await preparation.victim(neighbour)
        await attack.prepare(enemy)
        pids = {name: part.pid for name, part in up.info.parts.items() if part.pid is not None}
        arguments = [str(timing.attack_s), str(timing.share)]
        known = {name: neighbour.ground[name] for name in ("organization_id", "email")}
        ground = _written(folder / "attacker-ground.json", enemy.ground | {"neighbour": known})
        attacker = ending.enter_context(_process("attacker", [str(number), ground, *arguments]))
        victims = [_written(folder / "victim-ground.json", neighbour.ground), str(record)]
        watch = ending.enter_context(watched(pids))
        with _process("victim", victims) as victim:
            await asyncio.sleep(SETTLE_S)
            before, _ = await _phase(watch, asyncio.sleep(timing.calm_s))
            began_s, patience_s = time.monotonic(), timing.attack_s + PATIENCE_S
            during, used_s = await _phase(
                watch, asyncio.to_thread(_finish, attacker, patience_s, "go\n")
            )
            took_s = time.monotonic() - began_s
            did = json.loads(attacker.output)
            await asyncio.sleep(SETTLE_S)
            after, _ = await _phase(watch, asyncio.sleep(timing.calm_s))
            await asyncio.to_thread(_finish, victim, PATIENCE_S)
        measured = Record.read(record)
        stored = await neighbour.client.total("/v1/gps-events")
    used_s["attacker"] = did["cpu_s"]
    return Row(
        name=attack.name,
        measures={name: measured.measure(name, (before, during, after)) for name in MEASURES},
        errors=measured.errors,
        missing=measured.missing,
        doubled=measured.doubled,
        lost=max(0, len(measured.took.get("puback", ())) - stored),
        peaks_mib=watch.peaks_mib,
        cores={name: round(used / took_s, 3) for name, used in used_s.items()},
        told=did["told"],
    )


async def _phase(watch: Watch, lasts: Any) -> tuple[Span, dict[str, float]]:
    """Wait for something; returns when it began and ended, and what each part used meanwhile."""
    begin_ns, before = time.monotonic_ns(), watch.used_s()
    await lasts
    used = {name: now - before[name] for name, now in watch.used_s().items()}
    return (begin_ns, time.monotonic_ns()), used


def _written(path: Path, ground: Ground) -> str:
    path.write_text(json.dumps(ground))
    return str(path)


@dataclass(slots=True)
class _Running:
    """A process of the measurement. output: what it printed after its first line."""

    name: str
    process: "subprocess.Popen[str]"
    output: str = ""


@contextmanager
def _process(name: str, arguments: Sequence[str]) -> Iterator[_Running]:
    """Provide a process of the measurement that has said that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"{MODULE}.{name}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise NeighboursFailed(f"the {name} cannot begin")
        yield _Running(name, process)
    finally:
        process.kill()
        process.wait()


def _finish(running: _Running, patience_s: float, line: str | None = None) -> None:
    """End its input, after a line where one is given, and wait for its end."""
    try:
        running.output, _ = running.process.communicate(line, timeout=patience_s)
    except subprocess.TimeoutExpired:
        raise NeighboursFailed(f"the {running.name} does not end") from None
    if running.process.returncode:
        raise NeighboursFailed(f"the {running.name} failed")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(MODULE, description="Attackers beside a neighbour.")
    parser.add_argument("--attacks", help=f"some of 1 to {len(ATTACKS)}, with commas")
    parser.add_argument("--seconds", type=float, default=ATTACK_S, help="of each attack")
    parser.add_argument("--share", type=float, default=SHARE, help="of a core, for the attacker")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    try:
        options.numbers = chosen(options.attacks)
    except ValueError as error:
        parser.error(str(error))
    return options


def chosen(text: str | None) -> list[int]:
    """Return places in the table of attacks, from numbers that begin with 1. Raises ValueError."""
    numbers = range(len(ATTACKS))
    if text is None:
        return list(numbers)
    wanted = [int(one) - 1 for one in text.split(",")]
    if wrong := [one + 1 for one in wanted if one not in numbers]:
        raise ValueError(f"there is no attack {wrong[0]}")
    return wanted


async def play_all(numbers: Sequence[int], timing: Timing) -> list[Row]:
    """Run attacks, each on a system of its own, one after the other."""
    parent = reachable_home(Path("var/bench"))
    rows: list[Row] = []
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            async with running_system(parent) as up:
                row = await play(up, number, timing, Path(folder))
        verdict = "; ".join(row.trouble) or "good"
        print(f"{number + 1}. {row.name}: {verdict} (told: {row.heard})", flush=True)
        rows.append(row)
    return rows


def main(arguments: Sequence[str]) -> int:
    options, console = parse(arguments), Console(width=200)
    load_before = os.getloadavg()
    timing = Timing(attack_s=options.seconds, share=options.share)
    try:
        rows = asyncio.run(play_all(options.numbers, timing))
    except (NeighboursFailed, StackError, ApiError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    show(rows, console)
    if not options.no_result:
        facts = {
            **machine.about(load_before=load_before),
            "configuration": {
                "attackers_share_of_a_core": timing.share,
                "attack_s": timing.attack_s,
                "calm_s": timing.calm_s,
            },
            "rows": [row.facts() for row in rows],
        }
        console.print(f"written: {machine.write_result('neighbours', facts)}")
    return 0 if not any(row.trouble for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
