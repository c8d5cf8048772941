"""PostgreSQL with TimescaleDB as an unprivileged child on loopback, and what servers share.

Each server owns one folder (``home``) that holds its data and its
configuration. ``prepare`` makes the folder once and writes the configuration anew every time;
``command`` says what to run; ``is_ready`` asks the server itself. ``start`` does the three in turn
and returns the process.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import quote

import psycopg

from stack.errors import StackError
from stack.host.os_user import OsUser, hand_over, hand_over_opened, service_identity
from stack.host.process import Command, Process, how_it_ended, wait_until
from stack.host.programs import Programs
from stack.servers.postgres_sizes import MIB, machine_memory_bytes

LOOPBACK = "127.0.0.1"
FIRST_PORT = 1024  # of those for ordinary users
MOST_OTHERS = 10_000
OWN_SETTINGS = "postgresql.local.conf"
START_TIMEOUT_S = 60.0
INITDB_TIMEOUT_S = 120.0
LAST_LINES = 6  # of initdb

POSTGRES_SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    # A batch of old fixes may make a chunk for each of its days, and each takes some ten locks.
    "max_locks_per_transaction": "512",
    "password_encryption": "scram-sha-256",
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    # The Apache edition has no jobs: its schedulers would only log that and block DROP DATABASE.
    "timescaledb.max_background_workers": "0",
    "synchronous_commit": "on",
    "jit": "off",
    "effective_io_concurrency": "200",
    "random_page_cost": "1.1",
    # Ingest writes without pause: few, long checkpoints instead of many short ones.
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "wal_compression": "lz4",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a %d ",
    "log_checkpoints": "off",
    "log_min_duration_statement": "2s",
    # Bound values are secrets, addresses and positions: none in the log (docs/monitoring.md).
    # Terse, since DETAIL and CONTEXT show rows and values.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "lc_messages": "C.UTF-8",
}

_claims: list[socket.socket] = []  # that stand for the ports that are ours


def free_port(preferred: int) -> int:
    """Return ``preferred`` if nothing listens there on loopback, else another free port (0: any).

    The preferred port is ours until this process ends: another `opsc` that starts at the same
    moment takes another, although nothing listens there yet. Any other port is none that the system
    would give to a connection meanwhile, and none that this function returned lately.
    """
    if preferred and _can_bind(preferred) and _claim(preferred):
        return preferred
    for port in islice(_other_ports(), MOST_OTHERS):
        if _can_bind(port):
            return port
    raise OSError("no free TCP port on loopback")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


@cache
def _other_ports() -> Iterator[int]:
    """Return the ports below those of connections (ip(7)), round and round from any one of them."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(max(FIRST_PORT, lowest - MOST_OTHERS), lowest) or range(FIRST_PORT, 65_536)
    return islice(cycle(ports), secrets.randbelow(len(ports)), None)


def _claim(port: int) -> bool:
    """Bind an abstract socket (unix(7)) that stands for the port, for all users of this machine: it
    is no file, and ends with our process.

    False where another process has it.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0opsc-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


class Postgres:
    """One database cluster below ``home``, with a superuser ``postgres`` and a random password."""

    name = "postgres"

    def __init__(
        self,
        programs: Programs,
        home: Path,
        port: int,
        log: Path,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port
        self._programs = programs
        self._home, self._cluster, self._log = home, home / "cluster", log
        self._identity = service_identity(owner_of=self._cluster)
        self._settings = {
            **POSTGRES_SETTINGS,
            "shared_buffers": f"{_shared_buffers_mb()}MB",
            **(settings or {}),
            "port": str(port),
        }

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def url(self, database: str = "postgres") -> str:
        """Return the superuser's URL."""
        password = quote((self._home / "superuser.password").read_text().strip())
        return f"postgresql://postgres:{password}@{self.address}/{database}"

    def prepare(self) -> None:
        """Make the cluster if there is none, and write its configuration."""
        make_home(self._home, self._identity)
        if not self._cluster.exists():
            self._initdb()
        settings = "".join(f"{k} = '{v}'\n" for k, v in self._settings.items())
        if not (self._home / OWN_SETTINGS).exists():
            self._write(OWN_SETTINGS, "# Settings here win over those that opsc writes.\n")
        self._write("cluster/postgresql.conf", f"{settings}include = '../{OWN_SETTINGS}'\n")
        self._write("cluster/pg_hba.conf", f"host all all {LOOPBACK}/32 scram-sha-256\n")

    def command(self) -> Command:
        return Command(
            name=self.name,
            argv=[str(self._programs.postgres_bin / "postgres"), "-D", str(self._cluster)],
            environment=self._programs.postgres_environment,
            log=self._log,
            identity=self._identity,
            cwd=self._home,
            # fast, then immediate
            stop_signals=[(signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0)],
            death_signal=signal.SIGINT,
        )

    def is_ready(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def start(self) -> Process:
        self.prepare()
        return started(self.command(), self.is_ready)

    def _initdb(self) -> None:
        """Run initdb in a folder beside, renamed when whole: a cut-off run leaves no half-made
        cluster.
        """
        partial = self._home / "cluster.partial"
        shutil.rmtree(partial, ignore_errors=True)
        self._write("superuser.password", secrets.token_urlsafe(24) + "\n")
        drop: dict[str, object] = {}
        if self._identity is not None:
            drop = {"user": self._identity.uid, "group": self._identity.gid, "extra_groups": []}
        try:
            subprocess.run(
                [
                    str(self._programs.postgres_bin / "initdb"),
                    f"--pgdata={partial}",
                    f"--pwfile={self._home / 'superuser.password'}",
                    "--username=postgres",
                    "--encoding=UTF8",
                    "--locale=C.UTF-8",
                    "--auth=scram-sha-256",
                ],
                env={**os.environ, **self._programs.postgres_environment},
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=INITDB_TIMEOUT_S,
                check=True,
                **drop,  # pyright: ignore[reportArgumentType, reportCallIssue]
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise StackError(_why_initdb_failed(error, self._home)) from None
        partial.rename(self._cluster)

    def _write(self, name: str, text: str) -> None:
        write_private(self._home / name, text, self._identity)


def _why_initdb_failed(
    error: subprocess.CalledProcessError | subprocess.TimeoutExpired, home: Path
) -> str:
    """Return a message with the last lines of initdb. They are in no file: the disk may be full."""
    how = "took too long"
    if isinstance(error, subprocess.CalledProcessError):
        how = f"failed ({how_it_ended(error.returncode)})"
    said = (error.output or b"").decode("utf-8", "replace").strip().splitlines()
    lines = "\n".join(said[-LAST_LINES:])
    return f"no database could be made in {home}: initdb {how}; its last lines:\n{lines}"


def started(command: Command, is_ready: Callable[[], bool]) -> Process:
    """Return a new process of a server, once it is ready."""
    process = Process(command)
    try:
        wait_until(process, is_ready, START_TIMEOUT_S)
    except BaseException:
        process.stop()
        raise
    return process


def make_home(home: Path, identity: OsUser | None) -> None:
    """Create ``home`` for the server alone (0700); folders above it that we make can be walked."""
    made = [p for p in home.parents if not p.exists()]
    home.mkdir(parents=True, exist_ok=True)
    for path in made:
        path.chmod(0o755)
    home.chmod(0o700)
    hand_over(home, identity)


def write_private(path: Path, text: str, identity: OsUser | None) -> None:
    """Write beside and rename, readable by the server (and root) only."""
    partial = path.with_name(f"{path.name}.new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        hand_over_opened(file.fileno(), identity)
    partial.rename(path)


def _shared_buffers_mb() -> int:
    """Return an eighth of the memory, between 128 MB and 2 GB: the machine has other work, too."""
    return max(128, min(2048, machine_memory_bytes() // MIB // 8))
