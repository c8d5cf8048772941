"""Private servers for one benchmark run, configured as `opsc up` configures them."""

import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks import setup_rows
from benchmarks.subject import SubjectPlan
from db import migrate
from stack.broker import Mosquitto
from stack.identity import reachable_home
from stack.provision import provision
from stack.servers import Postgres, free_port

# When each transaction was committed, and how long its log took to reach the disk.
TIMING = {"track_commit_timestamp": "on", "track_wal_io_timing": "on"}


@dataclass(frozen=True, slots=True)
class Environment:
    """Where the servers are. `ingest_url` is the database as the role opsc_ingest, `app_url` as
    opsc_app."""

    folder: Path
    broker_port: int
    broker_pid: int
    broker_version: str
    ingest_url: str
    app_url: str
    admin: setup_rows.Admin

    def ours(self) -> SubjectPlan:
        """Our ingest, as a process of its own."""
        http = f"127.0.0.1:{free_port(0)}"
        return SubjectPlan(
            name="ingest",
            argv=[sys.executable, "-m", "ingest"],
            environment={
                "OPSC_DATABASE_URL": self.ingest_url,
                "OPSC_BROKER_URL": f"mqtt://127.0.0.1:{self.broker_port}",
                "OPSC_INGEST_HTTP": http,
                "OPSC_LOG_LEVEL": "warning",
            },
            ready_url=f"http://{http}/readyz",
            metrics_url=f"http://{http}/metrics",
            counter="opsc_ingest_fixes_stored_total",
        )

    def baseline(self) -> SubjectPlan:
        """The pipeline that most people would write."""
        port = free_port(0)
        broker = f"mqtt://127.0.0.1:{self.broker_port}"
        metrics = f"http://127.0.0.1:{port}/metrics"
        return SubjectPlan(
            name="baseline",
            argv=[
                *(sys.executable, "-m", "benchmarks.baseline"),
                *(broker, self.ingest_url, str(port)),
            ],
            environment={},
            ready_url=metrics,
            metrics_url=metrics,
            counter="baseline_fixes_stored_total",
        )


@contextmanager
def running_environment() -> Iterator[Environment]:
    """Servers below var/, on the disk that `opsc up` would use; nothing is left at the end."""
    programs = provision()
    parent = reachable_home(Path("var/bench"))
    parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as ending:
        folder = Path(tempfile.mkdtemp(dir=parent))
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # the servers' user has to walk through
        postgres = Postgres(
            programs, folder / "postgres", free_port(0), folder / "postgres.log", TIMING
        )
        ending.callback(postgres.start().stop)
        broker = Mosquitto(programs, folder / "broker", free_port(0), folder / "broker.log")
        process = broker.start()
        ending.callback(process.stop)
        ingest_url, app_url = _migrated(postgres)
        admin = ending.enter_context(psycopg.connect(postgres.url("opsc"), autocommit=True))
        version = _broker_version(folder / "broker.log")
        yield Environment(folder, broker.port, process.pid, version, ingest_url, app_url, admin)


def _migrated(postgres: Postgres) -> tuple[str, str]:
    """Makes the database; returns its URLs as opsc_ingest and as opsc_app."""
    with psycopg.connect(postgres.url(), autocommit=True) as conn:
        conn.execute("CREATE DATABASE opsc")
    migrate.migrate(postgres.url("opsc"))
    password = secrets.token_hex(16)
    roles = ("opsc_ingest", "opsc_app")
    migrate.set_role_passwords(postgres.url("opsc"), dict.fromkeys(roles, password))
    ingest, app = (f"postgresql://{role}:{password}@{postgres.address}/opsc" for role in roles)
    return ingest, app


def _broker_version(log: Path) -> str:
    """mosquitto names its version in its first line."""
    words = log.read_text().split()
    return next((words[at + 2] for at, word in enumerate(words) if word == "mosquitto"), "unknown")
