"""Attackers beside victims: do the victims' PUBACKs come in time, and is memory bounded?

    python -m benchmarks.hostile.main [--attacks 1,5] [--seconds S] [--share X] [--no-result]

Starts a whole system below var/ with the settings of `opsc up`, a listener for each attack. The
victims are 50 trackers of one organization with 200 messages a second; the attackers belong to
another one, or have not signed in, and use no more than a share of one core. Each attack has a calm
phase before it and one after it. Writes benchmarks/results/hostile-<date>-<commit>.json. Exit code
1 where a victim's p99 is 3 x its calm value or more, a message of a victim is lost, a victim is cut
or kept out, or the listener's memory exceeds its bound. docs/hostile.md has what was seen.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.common import machine
from benchmarks.common import rows as setup_rows
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.subject import Subject, SubjectPlan, children, cpu_s, memory_mib, running
from benchmarks.common.workload import Plan, zone_rings
from benchmarks.hostile.attacks import (
    ATTACKS,
    CROSSED_LAT,
    CROSSED_LON,
    FIRST_TRACKER,
    TRACKERS,
)
from benchmarks.hostile.box_attacks import CLAIMED
from benchmarks.hostile.report import Row, Spans, Waited, by_reason, memory_bound_mib, show
from listener.settings import ListenSettings
from stack.errors import StackError
from stack.servers.postgres import free_port
from telemetry.ids import derived_id

ATTACKERS = derived_id(b"hostile org", b"\x00")
ZONES = 100
VICTIMS = 50
MESSAGES_PER_S = 200.0
MAX_CONNECTIONS = 10_000
CALM_S = 5.0
SETTLE_S = 1.0
ATTACK_S = 12.0
SHARE = 0.3
PATIENCE_S = 60.0


class HostileFailed(Exception):
    """A process of the measurement did not do its part."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The record that the victims wrote. newcomer: when each sign-in began, and how long it took or
    0, ns.
    """

    took: Spans
    newcomer: Spans
    unanswered: int
    cuts: int


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time, ns, and the processor time that it cost, s."""

    begin_ns: int
    end_ns: int
    used_s: dict[str, float]

    def waited(self, took: Spans) -> Waited:
        return Waited.of(took, self.begin_ns, self.end_ns)


class Bench:
    """Ingest runs; a listener for each attack."""

    def __init__(self, environment: Environment, ingest: Subject, seconds: float, share: float):
        self._environment = environment
        self._ingest = ingest
        self._seconds = seconds
        self._share = share

    def play(self, number: int) -> Row:
        """Run one attack. Raises HostileFailed and PartFailed."""
        attack, port, http_port = ATTACKS[number], free_port(0), free_port(0)
        boxes, queclink = free_port(0), free_port(0)
        ports = {"mqtt": port, "http": http_port, "teltonika": boxes, "datagrams": boxes}
        ports["queclink"] = queclink
        environment, times = self._environment, self._environment.folder / "victims.npz"
        stored = setup_rows.count_fixes_of(environment.admin, setup_rows.ORGANIZATION)
        plan = _as_opsc_up(environment.listener(port, http_port=http_port))
        plan = _with_boxes(plan, boxes, queclink)
        with ExitStack() as ending:
            log = environment.folder / "listener.log"
            listener = ending.enter_context(running(plan, log))
            idle_mib = _peak_mib(listener)
            attackers = ending.enter_context(self._attackers(number, ports[attack.door]))
            with _victims(port, times):
                time.sleep(SETTLE_S)
                before = self._phase(listener, CALM_S)
                begin_s = time.monotonic()
                _begin(attackers)
                during = self._phase(listener, attack.seconds or self._seconds)
                did = _ended(attackers)
                took_s = time.monotonic() - begin_s
                time.sleep(SETTLE_S)
                after = self._phase(listener, CALM_S)
                page = _read(plan.metrics_url)
            measured = _measured(times)
            peak_mib = _peak_mib(listener)
        stored = setup_rows.count_fixes_of(environment.admin, setup_rows.ORGANIZATION) - stored
        signed_in = measured.newcomer[_within(measured.newcomer, during), 1]
        cores = {name: used_s / _seconds(during) for name, used_s in during.used_s.items()}
        cores["attackers"] = did.pop("cpu_s") / took_s
        return Row(
            name=attack.name,
            before=before.waited(measured.took),
            attack=during.waited(measured.took),
            after=after.waited(measured.took),
            lost=measured.unanswered + max(0, len(measured.took) - stored),
            cuts=measured.cuts,
            kept_out=int((signed_in == 0).sum()),
            let_in_ms=round(float(signed_in.max(initial=0)) / 1e6, 1),
            peak_mib=peak_mib,
            bound_mib=memory_bound_mib(idle_mib, MAX_CONNECTIONS, _max_held_bytes()),
            ingest_peak_mib=round(memory_mib(self._ingest.pid)[1], 1),
            cores={name: round(used, 3) for name, used in cores.items()},
            attackers=did,
            ended=by_reason(page, "opsc_listener_ended_total"),
            refused=by_reason(page, "opsc_listener_refused_total"),
        )

    @contextmanager
    def _attackers(self, number: int, port: int) -> Iterator[list["subprocess.Popen[str]"]]:
        """Provide the attackers' processes, which wait for a line."""
        attack = ATTACKS[number]
        seconds = attack.seconds or self._seconds
        share = self._share / attack.processes
        processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "benchmarks.hostile.attacker", str(number)),
                    *(str(port), str(seconds), str(share), str(process * attack.addresses)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for process in range(attack.processes)
        ]
        try:
            time.sleep(SETTLE_S)
            yield processes
        finally:
            for process in processes:
                process.kill()
                process.wait()

    def _phase(self, listener: Subject, seconds: float) -> Phase:
        pids = {"listener": _all(listener.pid), "ingest": _all(self._ingest.pid)}
        begin_ns = time.monotonic_ns()
        before = {name: sum(map(cpu_s, group)) for name, group in pids.items()}
        time.sleep(seconds)
        used = {name: sum(map(cpu_s, group)) - before[name] for name, group in pids.items()}
        return Phase(begin_ns, time.monotonic_ns(), used)


def _as_opsc_up(plan: SubjectPlan) -> SubjectPlan:
    """Return the settings that `opsc up` gives: no address is exempt from bounds."""
    own = dict(plan.environment)
    del own["OPSC_LISTEN_EXEMPT_NETWORKS"]
    own["OPSC_LISTEN_MAX_CONNECTIONS"] = str(MAX_CONNECTIONS)
    return replace(plan, environment=own)


def _with_boxes(plan: SubjectPlan, teltonika: int, queclink: int) -> SubjectPlan:
    """Add the ports of boxes, Teltonika's by UDP, too."""
    doors = {
        "OPSC_LISTEN_TELTONIKA": f"127.0.0.1:{teltonika}, udp://127.0.0.1:{teltonika}",
        "OPSC_LISTEN_QUECLINK": f"127.0.0.1:{queclink}",
    }
    return replace(plan, environment={**plan.environment, **doors})


def _max_held_bytes() -> int:
    return int(ListenSettings.model_fields["listen_max_held_bytes"].default)


@contextmanager
def _victims(port: int, times: Path) -> Iterator[None]:
    """Provide the victims' process, connected; it has ended in order after the block."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.hostile.victims"),
            *(str(port), str(VICTIMS), str(MESSAGES_PER_S), str(times)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise HostileFailed("the victims cannot connect")
        yield
        process.communicate(timeout=PATIENCE_S)
        if process.returncode:
            raise HostileFailed("the victims ended early")
    finally:
        process.kill()
        process.wait()


def _begin(attackers: Sequence["subprocess.Popen[str]"]) -> None:
    for process in attackers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def _ended(attackers: Sequence["subprocess.Popen[str]"]) -> dict[str, float]:
    """Sum what all attackers did together. `most`: connections at a time."""
    total: Counter[str] = Counter()
    for process in attackers:
        output, _ = process.communicate(timeout=PATIENCE_S)
        if process.returncode:
            raise HostileFailed("an attacker failed")
        facts = json.loads(output)
        total.update(facts.pop("done"))
        total.update(facts)
    return dict(total)


def _measured(times: Path) -> Measured:
    with np.load(times) as saved:
        return Measured(
            saved["took"], saved["newcomer"], int(saved["unanswered"]), int(saved["cuts"])
        )


def _within(spans: Spans, phase: Phase) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return (spans[:, 0] >= phase.begin_ns) & (spans[:, 0] < phase.end_ns)


def _seconds(phase: Phase) -> float:
    return (phase.end_ns - phase.begin_ns) / 1e9


def _all(pid: int) -> list[int]:
    return [pid, *children(pid)]


def _peak_mib(subject: Subject) -> float:
    return round(sum(memory_mib(pid)[1] for pid in _all(subject.pid)), 1)


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "benchmarks.hostile.main", description="Attackers beside victims."
    )
    parser.add_argument("--attacks", help=f"some of 1 to {len(ATTACKS)}, with commas")
    parser.add_argument("--seconds", type=float, default=ATTACK_S, help="of each attack")
    parser.add_argument("--share", type=float, default=SHARE, help="of a core, for attackers")
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


def play(environment: Environment, options: argparse.Namespace) -> list[Row]:
    """Run all chosen attacks, one after the other."""
    admin = environment.admin
    setup_rows.add_fleet(admin, VICTIMS + 1, zone_rings(Plan(zones=ZONES)))
    setup_rows.add_fleet(
        admin, TRACKERS, crossed_zones(), organization=ATTACKERS, first=FIRST_TRACKER
    )
    claimed = {FIRST_TRACKER + number: imei for number, imei in enumerate(CLAIMED)}
    setup_rows.claim_imeis(admin, ATTACKERS, claimed)
    setup_rows.empty(admin)
    rows: list[Row] = []
    with running(environment.linked(), environment.folder / "ingest.log") as ingest:
        bench = Bench(environment, ingest, options.seconds, options.share)
        for number in options.numbers:
            row = bench.play(number)
            verdict = "; ".join(row.trouble) or "good"
            print(f"{number + 1}. {row.name}: {row.ratio:.1f}, {verdict}", flush=True)
            rows.append(row)
    return rows


def crossed_zones() -> list["np.ndarray[tuple[int, int], np.dtype[np.float64]]"]:
    """Return ten zones on one place, squares of some 200 m."""
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]) * 0.0009
    centre = np.array([CROSSED_LON, CROSSED_LAT])
    return [square * (1 + n / 100) + centre for n in range(10)]


def main(arguments: Sequence[str]) -> int:
    options, console = parse(arguments), Console(width=200)
    load_before = os.getloadavg()
    try:
        with running_environment() as environment:
            rows = play(environment, options)
    except (HostileFailed, StackError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    show(rows, console)
    if not options.no_result:
        facts = {
            **machine.about(load_before=load_before),
            "configuration": {
                "attackers_share_of_a_core": options.share,
                "attack_s": options.seconds,
                "victims": VICTIMS,
                "messages_per_s": MESSAGES_PER_S,
                "max_connections": MAX_CONNECTIONS,
                "max_held_bytes": _max_held_bytes(),
            },
            "rows": [row.facts() for row in rows],
        }
        path = machine.write_result("hostile", facts)
        console.print(f"written: {path}")
    return 0 if not any(row.trouble for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
