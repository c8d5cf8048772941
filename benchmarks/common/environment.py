"""Private servers for one benchmark run, configured as `opsc up` configures them."""

import base64
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from benchmarks.common import rows as setup_rows
from benchmarks.common.mosquitto import Mosquitto, broker_program
from benchmarks.common.subject import SubjectPlan
from db.maintenance import migrate
from stack.host.os_user import reachable_home
from stack.host.programs import provision
from stack.servers.postgres import Postgres, free_port
from stack.servers.tls import Certificate, development_certificate

# When each transaction was committed, and how long its log took to reach the disk.
TIMING = {"track_commit_timestamp": "on", "track_wal_io_timing": "on"}

PAGE_PORTS = range(20_000, 32_000, 8)
"""Below those that the system gives to connections, of which a storm leaves thousands behind."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The servers to measure. `ingest_url` is the database as the role opsc_ingest, `listen_url` as
    opsc_listen, `app_url` as opsc_app, `deliver_url` as opsc_deliver, `admin_url` as a
    superuser. certificate: of the listener, if it speaks TLS.
    """

    folder: Path
    broker_port: int
    broker_pid: int
    broker_version: str
    ingest_url: str
    listen_url: str
    app_url: str
    deliver_url: str
    admin_url: str
    certificate: Certificate
    admin: setup_rows.Admin

    def linked(self) -> SubjectPlan:
        """Return our ingest, as a process of its own, behind the listener."""
        plan = self._ingest()
        link = {"OPSC_INGEST_LINK": f"unix:{self.folder / 'link.sock'}"}
        return replace(plan, environment={**plan.environment, **link})

    def listener(
        self, port: int, *, is_tls: bool = False, processes: int = 1, http_port: int | None = None
    ) -> SubjectPlan:
        """Return our listener, which devices connect to at `port`, and send to by HTTP at
        `http_port`.
        """
        page_port = _free_ports(processes)
        page = f"127.0.0.1:{page_port}"
        door = "off" if http_port is None else f"127.0.0.1:{http_port}"
        ports = {"OPSC_LISTEN_PORT": str(port)}
        if is_tls:
            ports = {
                "OPSC_LISTEN_PORT": "0",
                "OPSC_LISTEN_TLS_PORT": str(port),
                "OPSC_TLS_CERT": str(self.certificate.chain),
                "OPSC_TLS_KEY": str(self.certificate.key),
            }
        return SubjectPlan(
            name="listener",
            argv=[sys.executable, "-m", "listener"],
            environment={
                **ports,
                "OPSC_DATABASE_URL": self.listen_url,
                "OPSC_LISTEN_HTTP": page,
                "OPSC_LISTEN_INGEST_HTTP": door,
                "OPSC_LISTEN_PROCESSES": str(processes),
                "OPSC_LISTEN_MAX_CONNECTIONS": "12000",
                "OPSC_LISTEN_EXEMPT_NETWORKS": "127.0.0.0/8",
                "OPSC_LOG_LEVEL": "warning",
            },
            ready_url=f"http://127.0.0.1:{page_port + processes - 1}/readyz",
            metrics_url=f"http://{page}/metrics",
            counter="opsc_listener_messages_total",
        )

    def ours(self) -> SubjectPlan:
        """Return our ingest, as a process of its own, behind the broker."""
        plan = self._ingest()
        broker = {"OPSC_BROKER_URL": f"mqtt://127.0.0.1:{self.broker_port}"}
        return replace(plan, environment={**plan.environment, **broker})

    def _ingest(self) -> SubjectPlan:
        http = f"127.0.0.1:{free_port(0)}"
        return SubjectPlan(
            name="ingest",
            argv=[sys.executable, "-m", "ingest"],
            environment={
                "OPSC_DATABASE_URL": self.ingest_url,
                "OPSC_INGEST_HTTP": http,
                "OPSC_LOG_LEVEL": "warning",
            },
            ready_url=f"http://{http}/readyz",
            metrics_url=f"http://{http}/metrics",
            counter="opsc_ingest_fixes_stored_total",
        )

    def deliver(self, secret_key: bytes) -> SubjectPlan:
        """Return our delivery of webhooks, also to loopback. secret_key: of endpoints' secrets."""
        http = f"127.0.0.1:{free_port(0)}"
        return SubjectPlan(
            name="deliver",
            argv=[sys.executable, "-m", "webhooks"],
            environment={
                "OPSC_DATABASE_URL": self.deliver_url,
                "OPSC_DELIVER_HTTP": http,
                "OPSC_SECRET_KEY": base64.urlsafe_b64encode(secret_key).decode(),
                "OPSC_WEBHOOK_ALLOW_LOOPBACK": "true",
                "OPSC_LOG_LEVEL": "warning",
            },
            ready_url=f"http://{http}/readyz",
            metrics_url=f"http://{http}/metrics",
            counter="opsc_webhook_delivered_total",
        )

    def baseline(self) -> SubjectPlan:
        """Return the pipeline that most people would write."""
        port = free_port(0)
        broker = f"mqtt://127.0.0.1:{self.broker_port}"
        metrics = f"http://127.0.0.1:{port}/metrics"
        return SubjectPlan(
            name="baseline",
            argv=[
                *(sys.executable, "-m", "benchmarks.common.baseline"),
                *(broker, self.ingest_url, str(port)),
            ],
            environment={},
            ready_url=metrics,
            metrics_url=metrics,
            counter="baseline_fixes_stored_total",
        )


def _free_ports(count: int) -> int:
    """Return the first of this many free ports in a row."""
    return next(
        first
        for first in PAGE_PORTS
        if all(free_port(first + place) == first + place for place in range(count))
    )


@contextmanager
def running_environment() -> Iterator[Environment]:
    """Provide servers below var/, on the disk that `opsc up` would use; nothing is
    left at the end.
    """
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
        broker = Mosquitto(broker_program(), folder / "broker", free_port(0), folder / "broker.log")
        process = broker.start()
        ending.callback(process.stop)
        urls = (*_migrated(postgres), postgres.url("opsc"))
        certificate = development_certificate(folder / "tls")
        admin = ending.enter_context(psycopg.connect(postgres.url("opsc"), autocommit=True))
        version = _broker_version(folder / "broker.log")
        yield Environment(
            folder, broker.port, process.pid, version, *urls, certificate=certificate, admin=admin
        )


def _migrated(postgres: Postgres) -> tuple[str, str, str, str]:
    """Make the database; returns its URLs as opsc_ingest, opsc_listen, opsc_app, opsc_deliver."""
    with psycopg.connect(postgres.url(), autocommit=True) as conn:
        conn.execute("CREATE DATABASE opsc")
    migrate.migrate(postgres.url("opsc"))
    password = secrets.token_hex(16)
    roles = ("opsc_ingest", "opsc_listen", "opsc_app", "opsc_deliver")
    migrate.set_role_passwords(postgres.url("opsc"), dict.fromkeys(roles, password))
    ingest, listen, app, deliver = (
        f"postgresql://{role}:{password}@{postgres.address}/opsc" for role in roles
    )
    return ingest, listen, app, deliver


def _broker_version(log: Path) -> str:
    """Return the version that mosquitto names in its first line."""
    words = log.read_text().split()
    return next((words[at + 2] for at, word in enumerate(words) if word == "mosquitto"), "unknown")
