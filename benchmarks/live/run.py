"""Fan-out of events to many WebSockets beside raw writes of ready frames, and idle WebSockets.

    python -m benchmarks.live.run [--quick] [--readers N] [--events N] [--idle N] [--rounds N]

Each round commits a burst of events and takes the time from the first to the last arrival; then a
bare server writes as many frames of the same size to as many connections, in the same way read.
Single events follow, each once the one before has arrived everywhere. Last, idle connections are
opened and the memory of the API's process is read.
"""

import argparse
import base64
import json
import os
import resource
import secrets
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from api.auth.access_tokens import Grant, Tokens
from api.limits.plans import LIVE_CONNECTIONS
from benchmarks.common import machine
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.rows import Admin
from benchmarks.common.subject import SubjectPlan, cpu_s, running
from benchmarks.live.children import Children
from db.core.ids import new_id
from db.core.secrets import read_secret_keys
from stack.errors import StackError
from stack.servers.postgres import free_port

GOAL = 0.5
_WITHIN_S = 120.0  # most that the processes of a measurement take to the next thing they say
_CONNECTS_PER_S = 50  # at least: a quiet machine opens some ten times as many
_OTHER_FILES = 200  # of a process beside its connections
_DATA = json.dumps({"asset_name": "Truck 7", "zone_name": "Depot", "text": "x" * 500})
_EMIT = """
WITH raised AS (
    UPDATE organizations SET event_seq = event_seq + %(count)s WHERE org_id = %(org)s
    RETURNING event_seq - %(count)s AS last_seq
)
INSERT INTO events (org_id, id, type, occurred_at, data, seq)
SELECT %(org)s, gen_random_uuid(), 'asset.geofence_breach', now(), %(data)s::json,
       last_seq + number
  FROM raised, generate_series(1, %(count)s) AS number
"""


class Fanout(NamedTuple):
    """Deliveries a second, and processor time of the server for one of them."""

    per_s: float
    server_us: float


class Readers:
    """A process of readers."""

    def __init__(
        self, children: Children, port: int, readers: int, events: int, tokens: Sequence[str]
    ):
        self._children, self._readers, self._deliveries = children, readers, readers * events
        self._child = children.start("benchmarks.live.readers", port, readers, events, *tokens)

    def are_ready(self) -> None:
        self._line("all readers are connected", _WITHIN_S + self._readers / _CONNECTS_PER_S)

    def per_s(self) -> float:
        """Wait for all, and return the deliveries a second."""
        return self._deliveries / self.seconds()

    def seconds(self) -> float:
        first_ns, last_ns = map(int, self._line("all readers have all events").split())
        return max(last_ns - first_ns, 1) / 1e9

    def _line(self, what: str, within_s: float = _WITHIN_S) -> str:
        return self._children.line(self._child, what, within_s)


class LiveBench:
    """The API over one environment."""

    def __init__(self, environment: Environment, port: int, pid: int, tokens: Tokens) -> None:
        self._admin: Admin = environment.admin
        self._port, self.pid, self._tokens = port, pid, tokens
        self.url = f"http://127.0.0.1:{port}"

    def organization(self) -> tuple[object, str]:
        """Return a new organization, and the token of its user."""
        org_id = new_id()
        self._admin.execute(
            "INSERT INTO organizations (org_id, name, plan) VALUES (%s, 'bench', 'unlimited')",
            (org_id,),
        )
        return org_id, self.user(org_id, "b@example.com")

    def user(self, org_id: UUID, email: str, password_hash: str | None = None) -> str:
        """Make a viewer, and return a token of theirs."""
        user_id, sign_in_id = new_id(), new_id()
        self._admin.execute(
            "INSERT INTO users (org_id, id, email, password_hash, role)"
            " VALUES (%s, %s, %s, %s, 'viewer')",
            (org_id, user_id, email, password_hash),
        )
        self._admin.execute(
            "INSERT INTO sign_ins (org_id, id, user_id, kind, expires_at)"
            " VALUES (%s, %s, %s, 'token', now() + interval '1 day')",
            (org_id, sign_in_id, user_id),
        )
        return self._tokens.issue(Grant(org_id, user_id, sign_in_id))

    def fanout(self, readers: int, events: int) -> Fanout:
        """Commit a burst of events."""
        org_id, token = self.organization()
        with ExitStack() as ending:
            reading = Readers(Children(ending), self._port, readers, events, [token])
            reading.are_ready()
            used_s = cpu_s(self.pid)
            self._admin.execute(_EMIT, {"org": org_id, "count": events, "data": _DATA})
            per_s = reading.per_s()
            return Fanout(per_s, (cpu_s(self.pid) - used_s) / (readers * events) * 1e6)

    def single_ms(self, readers: int) -> float:
        """Return the time from the first to the last arrival of one event."""
        org_id, token = self.organization()
        with ExitStack() as ending:
            reading = Readers(Children(ending), self._port, readers, 1, [token])
            reading.are_ready()
            self._admin.execute(_EMIT, {"org": org_id, "count": 1, "data": _DATA})
            return reading.seconds() * 1e3

    def idle_bytes(self, readers: int) -> float:
        """Return the memory of the process for one idle connection that has authenticated."""
        most = LIVE_CONNECTIONS["unlimited"]
        tokens = [self.organization()[1] for _ in range(-(-readers // most))]
        before = _resident_bytes(self.pid)
        with ExitStack() as ending:
            reading = Readers(Children(ending), self._port, readers, 0, tokens)
            reading.are_ready()
            return (_resident_bytes(self.pid) - before) / readers


def raw(readers: int, events: int, size: int) -> Fanout:
    """Measure the ceiling."""
    port = free_port(0)
    with ExitStack() as ending:
        children = Children(ending)
        server = children.start("benchmarks.live.raw", port, readers, events, size)
        children.line(server, "the server of raw frames listens", _WITHIN_S)
        reading = Readers(children, port, readers, events, [])
        reading.are_ready()
        used_s = cpu_s(server.pid)
        server.write_line("go")
        per_s = reading.per_s()
        return Fanout(per_s, (cpu_s(server.pid) - used_s) / (readers * events) * 1e6)


@contextmanager
def served(environment: Environment) -> Iterator[LiveBench]:
    """Provide the API as one process."""
    port, key = free_port(0), base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    url = f"http://127.0.0.1:{port}/readyz"
    settings = {
        "OPSC_DATABASE_URL": environment.app_url,
        "OPSC_SECRET_KEY": key,
        "OPSC_API_PORT": str(port),
        "OPSC_API_HTTP": f"127.0.0.1:{free_port(0)}",
        "OPSC_API_MAX_LIVE_CONNECTIONS": "100000",
    }
    argv = [sys.executable, "-m", "api"]
    plan = SubjectPlan("api", argv, settings, ready_url=url, metrics_url=url, counter="")
    with running(plan, environment.folder / "api.log") as subject:
        yield LiveBench(environment, port, subject.pid, Tokens(read_secret_keys(key), 86_400))


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def check_open_files(connections: int) -> None:
    """Raise StackError where a process may not have that many connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _OTHER_FILES
    if most < needed:
        raise StackError(
            f"{connections:,} connections take {needed:,} open files in a process, and the hard"
            f" limit is {most:,}: raise it (`ulimit -Hn {needed}` as root) or choose fewer with"
            " --idle and --readers"
        )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.live.run", description="Measure live events.")
    parser.add_argument("--readers", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=200, help="of one burst (default 200)")
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections; 0: none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one small round")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    if options.quick:
        options.readers, options.events, options.idle, options.rounds = 200, 50, 500, 1
    return options


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    try:
        check_open_files(max(options.idle, options.readers))
        measure(options)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def measure(options: argparse.Namespace) -> None:
    load_before = os.getloadavg()
    rounds: list[dict[str, float]] = []
    with running_environment() as environment, served(environment) as bench:
        for number in range(1, options.rounds + 1):
            ours = bench.fanout(options.readers, options.events)
            ceiling = raw(options.readers, options.events, len(_DATA) + 250)
            single_ms = bench.single_ms(options.readers)
            raw_ms = options.readers / raw(options.readers, 1, len(_DATA) + 250).per_s * 1e3
            rounds.append(
                {
                    "per_s": ours.per_s,
                    "raw_per_s": ceiling.per_s,
                    "ratio": ours.per_s / ceiling.per_s,
                    "server_us": ours.server_us,
                    "raw_server_us": ceiling.server_us,
                    "single_ms": single_ms,
                    "raw_single_ms": raw_ms,
                }
            )
            figures = "  ".join(f"{name} {value:,.2f}" for name, value in rounds[-1].items())
            print(f"round {number}/{options.rounds}  {figures}", flush=True)
        idle_bytes = bench.idle_bytes(options.idle) if options.idle else None
    if idle_bytes is not None:
        print(f"{options.idle} idle connections: {idle_bytes / 1024:.1f} KiB each")
    medians = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    print(f"ratio {medians['ratio']:.3f} (goal {GOAL})")
    if not options.no_result:
        facts = {
            **machine.about(load_before=load_before),
            "configuration": vars(options),
            "goal": GOAL,
            "medians": medians,
            "rounds": rounds,
            "idle_bytes": idle_bytes,
        }
        path = machine.write_result("live", facts)
        print(f"written: {path}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
