"""History at size: pages, a zone made just now, a file of five million, before and after half of
the range went to the archive.

    python -m benchmarks.history.run [--fixes MILLIONS] [--pages N] [--no-result]

Makes a database and servers of its own (1,000 machines, 20 million fixes over 60 days), lets ingest
add up the hours, asks the API one request after the other, lets `opsc deliver` archive what is
older than 31 days, asks the same again, and writes benchmarks/results/history-<date>-<commit>.json.
"""

import argparse
import base64
import http.client
import os
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from rich.console import Console

from benchmarks.api import rows as api_rows
from benchmarks.common import machine
from benchmarks.common import rows as setup_rows
from benchmarks.common.drive import DriveFailed
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.rows import asset_uuid
from benchmarks.common.subject import SubjectPlan, children, memory_mib, running
from benchmarks.history import rows
from benchmarks.history.rows import CELLS, DENSE, WEEK, Months
from stack.errors import StackError
from stack.servers.postgres import free_port
from telemetry.ids import format_id

DAY = timedelta(days=1)
ROUNDS = 7  # of what takes longer than a page of a machine
SECRET_KEY = secrets.token_bytes(32)
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of `asked` requests, and what the last of them answered for `total`."""

    asked: int
    p50_ms: float
    p99_ms: float
    total: object = None


@dataclass(frozen=True, slots=True)
class File:
    """A file as it came, and what the API's process held beyond what it held before, MiB."""

    fixes: int
    bytes: int
    seconds: float
    memory_mib: float


class Caller:
    """One connection to the API, as a dispatcher has it."""

    def __init__(self, port: int, pid: int, key: str) -> None:
        self._port, self._pid = port, pid
        self._conn = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self._headers = {"Authorization": f"Bearer {key}"}

    def connect_anew(self) -> None:
        """Forget the connection, which the API has closed by now."""
        self._conn.close()

    def ask(self, path: str, **parameters: object) -> Any:
        """Return the answer. Raises DriveFailed where it is no success."""
        self._conn.request("GET", f"{path}?{urlencode(parameters)}", headers=self._headers)
        answer = self._conn.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise DriveFailed(f"{path} {parameters}: {answer.status} {body[:500].decode()}")
        return msgspec.json.decode(body)

    def add_zone(self, name: str, geometry: dict[str, object]) -> str:
        """Make a zone, and return its id."""
        body = msgspec.json.encode({"name": name, "kind": "restricted", "geometry": geometry})
        headers = {**self._headers, "Content-Type": "application/json"}
        self._conn.request("POST", "/v1/zones", body, headers)
        answer = self._conn.getresponse()
        text = answer.read()
        if answer.status != 201:
            raise DriveFailed(f"no zone: {answer.status} {text[:500].decode()}")
        return msgspec.json.decode(text)["id"]

    def file(self, media_type: str, **parameters: object) -> File:
        """Read a file, and throw it away."""
        processes = [self._pid, *children(self._pid)]
        before = {pid: memory_mib(pid)[0] for pid in processes}
        for pid in processes:
            with open(f"/proc/{pid}/clear_refs", "w") as most:
                most.write("5")  # proc(5): VmHWM begins again
        headers = {**self._headers, "Accept": media_type}
        began_s, size, lines = time.monotonic(), 0, 0
        self._conn.request("GET", f"/v1/gps-events?{urlencode(parameters)}", headers=headers)
        answer = self._conn.getresponse()
        while data := answer.read(_READ_BYTES):
            size += len(data)
            lines += data.count(b"\n")
        if answer.status != 200:
            raise DriveFailed(f"no file: {answer.status}")
        seconds = time.monotonic() - began_s
        grown = max(memory_mib(pid)[1] - before[pid] for pid in processes)
        return File(lines, size, seconds, grown)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.history.run", description="Measure history.")
    parser.add_argument("--fixes", type=float, default=20, help="millions of them (default 20)")
    parser.add_argument("--pages", type=int, default=1_000, help="of single machines")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    if options.fixes < 4 or options.pages < 100:
        parser.error("--fixes is 4 at least, --pages 100")
    return options


def timed(asked: int, ask: Callable[[], Any]) -> Times:
    """Ask one after the other. The first is not counted: it fills caches."""
    answer, times_ms = ask(), list[float]()
    for _ in range(asked):
        began_s = time.perf_counter()
        answer = ask()
        times_ms.append((time.perf_counter() - began_s) * 1000)
    times_ms.sort()
    total = answer.get("total")
    if answer.get("total_is_estimate"):
        total = f"about {total}"
    return Times(asked, times_ms[asked // 2], times_ms[asked * 99 // 100], total)


def questions(caller: Caller, months: Months, pages: int) -> Iterator[tuple[str, Times | File]]:
    """Ask everything, and yield what it is called with what it took."""
    chosen = random.Random(34)
    everything = {"from": _text(months.now - months.days * DAY), "to": _text(months.now)}
    dense = ",".join(format_id("ast", asset_uuid(n)) for n in range(DENSE))
    since, until = months.week
    week = {"from": _text(since), "to": _text(until), "asset_id": dense}

    def a_day(of: Callable[[], datetime]) -> Any:
        begins = of()
        number = chosen.randrange(months.trackers)
        return caller.ask(
            "/v1/gps-events",
            **{"from": _text(begins), "to": _text(begins + DAY)},
            asset_id=format_id("ast", asset_uuid(number)),
        )

    def anywhere() -> datetime:
        return months.now - chosen.random() * (months.days - 1) * DAY - DAY

    yield "a page of a machine's day", timed(pages, lambda: a_day(anywhere))
    across = months.edge - DAY / 2
    yield "the same, half of it old", timed(pages, lambda: a_day(lambda: across))
    yield (
        "a page of a machine, all days",
        timed(
            pages // 10,
            lambda: caller.ask(
                "/v1/gps-events",
                **everything,
                asset_id=format_id("ast", asset_uuid(chosen.randrange(months.trackers))),
            ),
        ),
    )
    for name, cells in (("a twentieth", 1), ("all", CELLS)):
        zone = caller.add_zone(f"{name} {secrets.token_hex(4)}", rows.zone(cells))
        asked = {"zone_id": zone, "zone_by": "shape", **week}
        yield (
            f"a zone made now, {name} of the hours meet it",
            timed(ROUNDS, lambda asked=asked: caller.ask("/v1/gps-events", **asked)),
        )
    yield (
        "the nearest to a place, a day",
        timed(
            ROUNDS,
            lambda: caller.ask(
                "/v1/gps-events/nearest",
                **{"from": _text(across), "to": _text(across + DAY)},
                lat=47.001,
                lon=10.003,
            ),
        ),
    )
    yield (
        "few of many, a machine's week",
        timed(
            ROUNDS,
            lambda: caller.ask(
                "/v1/gps-events",
                **{**week, "asset_id": format_id("ast", asset_uuid(3))},
                max_points=500,
            ),
        ),
    )
    # Five million: the whole week of fifty, and of the others what makes it up.
    days = max(1.0, 2e6 / (months.fixes * 1e6 - DENSE * (WEEK / rows.DENSE_STEP)) * months.days)
    wide = max(WEEK / 2, days * DAY / 2)
    file = {"from": _text(months.edge - wide), "to": _text(months.edge + wide)}
    yield "a file (NDJSON)", caller.file("application/x-ndjson", **file)


@contextmanager
def served(environment: Environment, key: str, archive: str) -> Iterator[Caller]:
    """Provide a caller of the API, one process."""
    port = free_port(0)
    url = f"http://127.0.0.1:{port}/readyz"
    plan = SubjectPlan(
        name="api",
        argv=[sys.executable, "-m", "api"],
        environment={
            "OPSC_DATABASE_URL": environment.app_url,
            "OPSC_SECRET_KEY": base64.urlsafe_b64encode(SECRET_KEY).decode(),
            "OPSC_ARCHIVE_URL": archive,
            "OPSC_API_PORT": str(port),
            "OPSC_API_HTTP": f"127.0.0.1:{free_port(0)}",
        },
        ready_url=url,
        metrics_url=url,
        counter="",
    )
    with running(plan, environment.folder / "api.log") as subject:
        yield Caller(port, subject.pid, key)


def hours_added(environment: Environment, months: Months) -> float:
    """Let ingest add up the hours of all fixes; returns how long that took, seconds."""
    began_s = time.monotonic()
    with running(environment.linked(), environment.folder / "ingest.log"):
        behind = timedelta(minutes=10)
        until = None
        while until is None or until < datetime.now(UTC) - behind:
            time.sleep(1)
            row = environment.admin.execute(
                "SELECT nullif(until, '-infinity') FROM fix_hours_end"
            ).fetchone()
            until = None if row is None else row[0]
    return time.monotonic() - began_s


def moved(environment: Environment, months: Months, archive: str) -> float:
    """Let old days move; returns how long that took, seconds."""
    began_s = time.monotonic()
    plan = environment.deliver(SECRET_KEY)
    settings = {
        "OPSC_ARCHIVE_URL": archive,
        "OPSC_ARCHIVE_AFTER_DAYS": str(rows.ARCHIVED_AFTER_DAYS),
    }
    plan = replace(plan, environment={**plan.environment, **settings})
    with running(plan, environment.folder / "deliver.log"):
        query = "SELECT EXISTS (SELECT FROM gps_events WHERE time < %s)"
        while environment.admin.execute(query, (months.edge,)).fetchone() == (True,):
            time.sleep(2)
    return time.monotonic() - began_s


def measure(environment: Environment, options: argparse.Namespace, console: Console) -> None:
    """Measure everything. Raises DriveFailed or StackError where a part gives no figure."""
    months, load_before = Months(options.fixes, datetime.now(UTC)), os.getloadavg()
    began_s = time.monotonic()
    rows.add_months(environment.admin, months)
    key = api_rows.add_caller(environment.admin)
    fixes, table, index = setup_rows.bytes_per_fix(environment.admin)
    console.print(
        f"{fixes:,} fixes in {time.monotonic() - began_s:.0f} s;"
        f" {table:.0f} bytes each in the table, {index:.0f} in its index"
    )
    hours_s = hours_added(environment, months)
    console.print(f"hours added up in {hours_s:.0f} s")
    folder = environment.folder / "archive"
    folder.mkdir()
    archive = f"file://{folder}"
    with served(environment, key, archive) as caller:
        before = _answered(caller, months, options.pages, console)
        moved_s = moved(environment, months, archive)
        days, old, size = rows.archived(environment.admin)
        console.print(
            f"{old:,} fixes of {days} days moved in {moved_s:.0f} s; {size / old:.1f} bytes each"
        )
        caller.connect_anew()
        after = _answered(caller, months, options.pages, console)
    if options.no_result:
        return
    facts = {
        **machine.about(setup_rows.server_versions(environment.admin), load_before=load_before),
        "configuration": {**asdict(months), "now": months.now.isoformat()},
        "bytes_a_fix": {"table": table, "index": index, "archive": size / old},
        "fixes": {"all": fixes, "archived": old},
        "seconds": {"hours": hours_s, "archive": moved_s},
        "before": before,
        "after": after,
    }
    console.print(f"written: {machine.write_result('history', facts)}")


def _answered(
    caller: Caller, months: Months, pages: int, console: Console
) -> dict[str, dict[str, object]]:
    answered = dict[str, dict[str, object]]()
    for name, figures in questions(caller, months, pages):
        answered[name] = asdict(figures)
        console.print(f"  {name:<45} {figures}")
    return answered


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def main(arguments: Sequence[str]) -> int:
    options, console = parse(arguments), Console(width=160)
    try:
        with running_environment() as environment:
            measure(environment, options, console)
    except (DriveFailed, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
