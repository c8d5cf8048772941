"""Webhooks: how soon they arrive, how many a second, and beside an endpoint that hangs.

    python -m benchmarks.webhooks.run [--quick] [--only PART ...] [--quiet-s S]

Starts private servers below var/, and writes benchmarks/results/webhooks-<date>-<commit>.json. Nine
minutes; `--quick` takes three. It is meant for a machine that has nothing else to do.

- rate: deliveries a second of a backlog for 100 endpoints, in turn with a loop that posts the same
  bytes over 64 connections and has no database; and the processor time of a delivery and of a post;
- hanging: the same rate without and with one of the 100 endpoints that never answers, in turn; and
  how long after an event's creation its webhook arrives at half of that rate, without and with it;

The figures of `rate` are medians of ROUNDS rounds, and so are those of `hanging` but the latency.
The events of a backlog have their seq before a round begins: `sequenced_per_s` is their own rate.
- quiet: from PUBLISH to the webhook of the breach after QUIET_S without any work, one in
  QUIET_BETWEEN_S;
- half: the same while devices send half as much as listener and ingest can take.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.common import machine, workload
from benchmarks.common import rows as setup_rows
from benchmarks.common.drive import Drive, DriveFailed, Sending, Timing
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.gauges import Gauges
from benchmarks.common.payloads import Form
from benchmarks.common.stream import write_stream
from benchmarks.common.subject import Subject, cpu_s, running
from benchmarks.webhooks import rows
from benchmarks.webhooks.http_sink import NO_CONTENT
from benchmarks.webhooks.probes import IN
from stack.errors import StackError
from stack.servers.postgres import free_port
from telemetry.ids import derived_id

TRACKERS, ZONES, FIXES_PER_TRACKER = 2_000, 10_000, 120
PROBES, FIRST_PROBE, PROBE_PAUSE_S = 10, 5_000_000, 2.0
QUIET_BETWEEN_S = 3.0  # on the average, at random: whatever waits for work has long gone to sleep
PROBING = derived_id(b"bench probes", b"\x00")
ROUNDS = 3
BACKLOG = 40_000
LOOP_CONNECTIONS, LOOP_POSTS = 64, 50_000
FEED_S = 0.02  # between two steps of events that come steadily
SETTLE_S = 3.0
DRAIN_S = 120.0

Figures = dict[str, float]


class WebhookBench:
    """The parts, over one environment and one sink. size: 1, or less for a short run."""

    def __init__(self, environment: Environment, size: float, quiet_s: float) -> None:
        self._environment, self._size, self._quiet_s = environment, size, quiet_s
        self.sink_port = free_port(0)
        self._url = f"http://127.0.0.1:{self.sink_port}"
        self._per_s = 0.0

    def rate(self) -> Figures:
        """Measure a backlog, and the loop."""
        rounds = [self._looped() | self._drained(None) for _ in range(ROUNDS)]
        figures = _medians(rounds)
        ratios = [each["per_s"] / each["loop_per_s"] for each in rounds]
        self._per_s = figures["per_s"]
        return figures | {
            "of_loop": float(np.median(ratios)),
            "of_loop_lowest": min(ratios),
            "of_loop_highest": max(ratios),
        }

    def hanging(self) -> Figures:
        """Measure a backlog and a steady feed beside an endpoint that hangs, and without one."""
        hanging = f"{self._url}/hang"
        rounds = [(self._drained(None), self._drained(hanging)) for _ in range(ROUNDS)]
        ratios = [beside["per_s"] / alone["per_s"] for alone, beside in rounds]
        self._per_s = float(np.median([alone["per_s"] for alone, _ in rounds]))
        alone, with_one = self._fed(None), self._fed(hanging)
        return {
            "per_s_beside": float(np.median([beside["per_s"] for _, beside in rounds])),
            "of_rate_alone": float(np.median(ratios)),
            "of_rate_alone_lowest": min(ratios),
            "of_rate_alone_highest": max(ratios),
            "p99_ms_alone": alone["p99_ms"],
            "p99_ms_beside": with_one["p99_ms"],
        }

    def quiet(self) -> Figures:
        """Measure single breaches where nothing else happens."""
        port = free_port(0)
        with self._system(port):
            time.sleep(SETTLE_S + self._quiet_s)
            with self._probing(port, PROBES * QUIET_BETWEEN_S) as figures:
                time.sleep(200 * self._size)
        return figures

    def half(self) -> Figures:
        """Measure breaches at half of the load that the system can take."""
        port = free_port(0)
        with self._system(port) as listener:
            most = self._driven(listener, port, None, 10)
        probed: list[Figures] = []
        with self._system(port) as listener, ExitStack() as probing:

            def begin() -> None:
                probed.append(probing.enter_context(self._probing(port, PROBE_PAUSE_S / 4)))

            sent = self._driven(listener, port, most / 2, 40, begin)
        return probed[0] | {"messages_per_s": sent, "most_messages_per_s": most}

    def _figures(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._url}/figures", timeout=30) as answer:
            return json.load(answer)

    def _looped(self) -> Figures:
        """Measure the loop."""
        posts, used_s = round(LOOP_POSTS * self._size), time.process_time()
        per_s = uvloop.run(_posted(self.sink_port, posts))
        return {
            "loop_per_s": per_s,
            "loop_cpu_us": 1e6 * (time.process_time() - used_s) / posts,
        }

    def _drained(self, hanging: str | None) -> Figures:
        """Deliver a backlog; what hangs is left."""
        environment, admin = self._environment, self._environment.admin
        count = round(BACKLOG * self._size)
        rows.add_endpoints(admin, self._url + "/", hanging)
        rows.add_events(admin, count)
        sequenced_per_s = uvloop.run(rows.give_seqs(environment.deliver_url))
        self._figures()
        healthy = count - (count // rows.ENDPOINTS if hanging else 0)
        with self._delivering() as deliver:
            used_s, began_s = cpu_s(deliver.pid), self._database_s()
            _wait(lambda: deliver.stored_fixes() >= healthy)
            deliver_us = 1e6 * (cpu_s(deliver.pid) - used_s) / healthy
            database_us = 1e6 * (self._database_s() - began_s) / healthy
        return {
            "per_s": self._figures()["per_s"],
            "deliver_cpu_us": deliver_us,
            "database_cpu_us": database_us,
            "sequenced_per_s": sequenced_per_s,
        }

    def _database_s(self) -> float:
        """Return the processor time of the database's processes that run now."""
        return sum(map(cpu_s, setup_rows.server_pids(self._environment.admin)))

    def _fed(self, hanging: str | None) -> dict[str, Any]:
        """Deliver events that come steadily, half as many a second as the rate."""
        admin, step = self._environment.admin, max(1, round(self._per_s / 2 * FEED_S))
        rows.add_endpoints(admin, self._url + "/", hanging)
        with self._delivering():
            count, due_s = 0, time.monotonic()
            warm_s, end_s = due_s + 5, due_s + 5 + 20 * self._size
            while due_s < end_s:
                if due_s < warm_s <= due_s + FEED_S:
                    self._figures()
                rows.add_events(admin, step, count)
                count, due_s = count + step, due_s + FEED_S
                time.sleep(max(0.0, due_s - time.monotonic()))
            return self._figures()

    @contextmanager
    def _delivering(self) -> Iterator[Subject]:
        plan = self._environment.deliver(rows.SECRET_KEY)
        with running(plan, self._environment.folder / "deliver.log") as deliver:
            yield deliver

    @contextmanager
    def _system(self, port: int) -> Iterator[Subject]:
        """Run listener, ingest and delivery, with a fleet and the probes' organization."""
        environment, admin = self._environment, self._environment.admin
        setup_rows.remove_fleet(admin)
        rows.clear(admin)
        rings = workload.zone_rings(workload.Plan(zones=ZONES, trackers=TRACKERS))
        setup_rows.add_fleet(admin, TRACKERS, rings)
        rows.add_endpoint(admin, setup_rows.ORGANIZATION, self._url + "/")
        setup_rows.add_fleet(admin, PROBES, [_square()], organization=PROBING, first=FIRST_PROBE)
        self._probe_sink = free_port(0)
        rows.add_endpoint(admin, PROBING, f"http://127.0.0.1:{self._probe_sink}/")
        with ExitStack() as ending:
            ending.enter_context(self._delivering())
            ending.enter_context(running(environment.linked(), environment.folder / "ingest.log"))
            log = environment.folder / "listener.log"
            yield ending.enter_context(running(environment.listener(port), log))

    @contextmanager
    def _probing(self, port: int, pause_s: float) -> Iterator[Figures]:
        """Run the probes; the figures are there behind the block."""
        file = self._environment.folder / "probes.json"
        numbers = (port, self._probe_sink, FIRST_PROBE, PROBES, pause_s)
        figures: Figures = {}
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.webhooks.probes", *map(str, numbers), str(file)],
            stdin=subprocess.PIPE,
            env=os.environ | {"OPSC_DATABASE_URL": self._environment.admin_url},
        )
        try:
            yield figures
            process.communicate(timeout=DRAIN_S)
        finally:
            process.kill()
        if process.returncode != 0:
            raise DriveFailed("the probes failed")
        for name, taken_ms in json.loads(file.read_text()).items():
            for percentile in (50, 99):
                value = float(np.percentile(taken_ms, percentile)) if taken_ms else 0.0
                figures[f"{name.removesuffix('_ms')}_p{percentile}_ms"] = value
            figures[f"{name.removesuffix('_ms')}s"] = len(taken_ms)

    def _driven(
        self,
        listener: Subject,
        port: int,
        rate: float | None,
        window_s: float,
        on_begin: Callable[[], None] = lambda: None,
    ) -> float:
        """Send as the fleet; messages a second that were committed. on_begin: called when the load
        is under way.
        """
        stream, gauges = self._stream(), self._environment.folder / "gauges"
        Gauges(gauges, create=True)
        sending = Sending(port, in_flight=1, is_signed_in=True)
        drive = Drive(stream, gauges, sending, listener.stored_fixes, rate)

        starts = iter((on_begin,))

        def mark() -> tuple[int, float]:
            for start in starts:  # at the first mark alone
                start()
            return listener.stored_fixes(), time.monotonic()

        try:
            marks = drive.measure(Timing(2.0, window_s * self._size), mark)
            drive.finish()
        except BaseException:
            drive.abandon()
            raise
        (first, began_s), (last, ended_s) = marks
        return (last - first) / (ended_s - began_s)

    def _stream(self) -> Path:
        folder = self._environment.folder / "stream"
        if not folder.exists():
            plan = workload.Plan(zones=ZONES, trackers=TRACKERS)
            fixes = workload.tracks(plan, FIXES_PER_TRACKER)
            messages = workload.rows_in_order_of_sending(fixes, 1)
            write_stream(folder, messages, Form.JSON, TRACKERS, workload.span_us(FIXES_PER_TRACKER))
        return folder


def _square() -> workload.Floats:
    """Return a zone around the place where probes are in."""
    lat, lon = IN
    half = 0.001
    corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
    return np.array([(lon + east, lat + north) for east, north in corners])


def _medians(rounds: Sequence[Figures]) -> Figures:
    return {name: float(np.median([each[name] for each in rounds])) for name in rounds[0]}


async def _posted(port: int, posts: int) -> float:
    """Return the POSTs a second of a loop that has its bytes ready."""
    body = b'{"id":"evt_01jd8x0k2m4n6p8q0r2s4t6v8w","data":{"text":"%s"}}' % (b"x" * 700)
    head = (
        b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        b"webhook-id: evt_01jd8x0k2m4n6p8q0r2s4t6v8w\r\nwebhook-timestamp: 1767571200\r\n"
        b"webhook-signature: v1,MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\r\n"
    )
    request = head + b"content-length: %d\r\n\r\n" % len(body) + body
    left = posts

    async def post() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            writer.write(request)
            await reader.readexactly(len(NO_CONTENT))
        writer.close()

    began_s = time.monotonic()
    await asyncio.gather(*(post() for _ in range(LOOP_CONNECTIONS)))
    return posts / (time.monotonic() - began_s)


def _wait(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DRAIN_S
    while not is_done():
        if time.monotonic() > deadline:
            raise DriveFailed(f"waited {DRAIN_S:.0f} s in vain")
        time.sleep(0.2)


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _sink(port: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.webhooks.http_sink", str(port)])
    try:
        _wait(lambda: _listens(port))
        yield
    finally:
        process.terminate()
        process.wait()


PARTS: dict[str, Callable[[WebhookBench], Figures]] = {
    "rate": WebhookBench.rate,
    "hanging": WebhookBench.hanging,
    "quiet": WebhookBench.quiet,
    "half": WebhookBench.half,
}


def measure(options: argparse.Namespace, console: Console) -> dict[str, Figures]:
    """Play the parts. Raises DriveFailed or StackError where one gives no figures."""
    size = 0.25 if options.quick else 1.0
    figures: dict[str, Figures] = {}
    with running_environment() as environment:
        bench = WebhookBench(environment, size, options.quiet_s)
        with _sink(bench.sink_port):
            for part in [part for part in PARTS if part in (options.only or PARTS)]:
                figures[part] = PARTS[part](bench)
                table = Table(part, "")
                for name, value in figures[part].items():
                    table.add_row(name, f"{value:,.3g}" if value < 1 else f"{value:,.1f}")
                console.print(table)
    return figures


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("benchmarks.webhooks.run", description="Measure webhooks.")
    parser.add_argument("--quick", action="store_true", help="shorter parts")
    parser.add_argument("--only", action="append", choices=PARTS, help="may be repeated")
    parser.add_argument("--quiet-s", type=float, default=60.0, help="before `quiet` (default 60)")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options, console = parser.parse_args(arguments), Console(width=100)
    load_before = os.getloadavg()
    try:
        figures = measure(options, console)
    except (DriveFailed, StackError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if not options.no_result:
        facts = {
            **machine.about(load_before=load_before),
            "is_quick": options.quick,
            "figures": figures,
        }
        path = machine.write_result("webhooks", facts)
        console.print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
