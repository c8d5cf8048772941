"""Real servers for tests: PostgreSQL with TimescaleDB, mosquitto and RabbitMQ, on free ports.

`python -m tests.servers` fetches their programs where the system has none, and says so.

Tests reach them through the fixtures of ``conftest.py``. A server can be stopped, killed and
started again on the same port and data, which is how tests break things on purpose.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from benchmarks.common.mosquitto import BrokerProgram, Mosquitto, broker_program
from db.core.connect import Connection, connect
from db.maintenance import migrate
from stack.host.process import Process
from stack.host.programs import Programs, provision
from stack.servers.cluster.rabbitmq import Rabbit, RabbitNode, rabbit_program
from stack.servers.postgres import OWN_SETTINGS, Postgres, free_port
from tests.audit.certificates import write_certificates

TEMPLATE = "opsc_template"
# Tests kill processes, not the machine: what the kernel holds is safe without fsync.
TEST_SETTINGS = {
    "fsync": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "256MB",  # in memory, where there is room
    "scram_iterations": "1",  # tests connect thousands of times; 4,096 rounds take 4 ms each time
}
ANY_PORT = 0
CHILDREN_END_S = 10
IN_MEMORY = Path("/dev/shm")
ROOM_IN_MEMORY_BYTES = 2 << 30  # `make test` takes half of it


@contextmanager
def data_folder() -> Iterator[Path]:
    """Provide a folder for the data of servers, which their user can walk through.

    It is in memory where there is room, and else beside other temporary files. A copy of a database
    is 900 files. Where others were removed lately, ext4 looks long for a place for each: a seventh
    of the processor's time of `make test`.
    """
    for left in IN_MEMORY.glob("opsc-test-*-*"):  # by a process that was killed
        if not Path(f"/proc/{left.name.split('-')[2]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    parent = IN_MEMORY if _is_there_room() else None
    folder = Path(tempfile.mkdtemp(prefix=f"opsc-test-{os.getpid()}-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_there_room() -> bool:
    try:
        free_bytes = shutil.disk_usage(IN_MEMORY).free
        available_kb = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        return False
    has_memory = available_kb and int(available_kb[1]) * 1024 >= 2 * ROOM_IN_MEMORY_BYTES
    return bool(has_memory) and free_bytes >= ROOM_IN_MEMORY_BYTES and os.access(IN_MEMORY, os.W_OK)


def _is_running(pid: str) -> bool:
    """Return whether a process runs; one that has ended does not, whether or not anybody has taken
    note of it.
    """
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except FileNotFoundError:
        return False


class _Restartable:
    """A server that can be stopped, killed and started."""

    def __init__(self, server: Postgres | Mosquitto | RabbitNode) -> None:
        self._server = server
        self._process: Process | None = None
        self.port = server.port

    @property
    def process(self) -> Process:
        assert self._process is not None, "the server was not started"
        return self._process

    def start(self) -> None:
        self._process = self._server.start()

    def stop(self) -> None:
        """Stop the server in order, as `opsc up` ends it."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """kill -9. What it had started sees that and ends: PostgreSQL starts again only then."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.process.kill()
        deadline = time.monotonic() + CHILDREN_END_S
        while any(map(_is_running, children)):
            assert time.monotonic() < deadline, f"children of {pid} are still there"
            time.sleep(0.01)

    def restart(self) -> None:
        self.stop()
        self.start()


class BrokerUnderTest(_Restartable):
    """A mosquitto as an external broker; ``url`` is mqtt://127.0.0.1:port.

    Lets everybody do everything, unless its settings say otherwise.
    """

    def __init__(self, program: BrokerProgram, folder: Path, settings: dict[str, str]) -> None:
        self.log = folder / "broker.log"
        broker = Mosquitto(program, folder / "broker", free_port(ANY_PORT), self.log, settings)
        super().__init__(broker)
        self.host, self.url = "127.0.0.1", broker.url


class LogUnderTest(_Restartable):
    """A RabbitMQ of one node; each log in it is empty at first.

    authority: who vouches for it, as `localhost`, at its port for TLS.
    """

    def __init__(self, folder: Path) -> None:
        self.authority, chain, key = write_certificates(folder)
        self.certificate = (chain, key)
        self._rabbit = Rabbit(folder / "rabbit", certificate=self.certificate)
        self._rabbit.start_epmd()
        self._numbers = count(1)
        super().__init__(self._rabbit.nodes[0])

    def stop(self) -> None:
        self._rabbit.stop()

    def new_url(self, tls_host: str | None = None) -> str:
        """Return the URL of an empty log. tls_host: with TLS, under this name."""
        name = f"test-{next(self._numbers)}"
        self._rabbit.add_vhost(name)
        return self._rabbit.url(name, tls_host)

    def show(self, chain: Path, key: Path) -> None:
        """Have another certificate."""
        self._rabbit.nodes[0].show(chain, key)
        self.control("eval", "ssl:clear_pem_cache().")

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl."""
        return self._rabbit.nodes[0].control(*arguments)


class _Kept(NamedTuple):
    """A connection that is kept. loop: what it was opened in."""

    loop: asyncio.AbstractEventLoop
    connection: Connection

    def is_of(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether the connection can be used in `loop`; not where the server ended it."""
        if self.loop is not loop or self.connection.closed:
            return False
        waiting = select.poll()
        waiting.register(self.connection.fileno(), select.POLLIN)
        return not waiting.poll(0)


class DatabaseUnderTest:
    """One database of a cluster, with a URL for each role."""

    def __init__(self, postgres: PostgresUnderTest, name: str) -> None:
        self.name = name
        self._postgres = postgres
        self._sessions: dict[str, psycopg.Connection[tuple[Any, ...]]] = {}
        self._connections: dict[str, _Kept] = {}

    def url(self, role: str) -> str:
        """Return the URL of ``role``: admin (a superuser), or one of `ROLES` of the migrations."""
        if role == "admin":
            return self._postgres.admin_url(self.name)
        password = self._postgres.passwords[role]
        return f"postgresql://{role}:{password}@127.0.0.1:{self._postgres.port}/{self.name}"

    def run(
        self,
        role: str,
        statement: str,
        values: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        org_id: UUID | None = None,
    ) -> list[tuple[Any, ...]]:
        """Run a statement as `role`, for an organization, and return its rows.

        The session is kept: each new one costs the server 10 ms, and tests ask until something is
        so.
        """
        try:
            return self._run(role, statement, values, org_id)
        except psycopg.OperationalError:
            if role not in self._sessions or not self._sessions[role].closed:
                raise
            return self._run(role, statement, values, org_id)  # the session was ended

    @asynccontextmanager
    async def connection(self, role: str) -> AsyncIterator[Connection]:
        """Provide a connection of `role` that nobody else uses; kept for the event loop."""
        loop = asyncio.get_running_loop()
        kept = self._connections.pop(role, None)
        if kept is not None and kept.is_of(loop):
            conn = kept.connection
            await conn.execute("RESET ALL")
        else:
            if kept is not None:
                kept.connection.pgconn.finish()
            conn = await connect(self.url(role), "test")
        try:
            yield conn
        finally:
            is_idle = conn.info.transaction_status is TransactionStatus.IDLE
            if is_idle and role not in self._connections:
                conn.pop_wake_ups()
                self._connections[role] = _Kept(loop, conn)
            else:
                await conn.close()

    def close(self) -> None:
        """Close the sessions that are kept."""
        while self._sessions:
            self._sessions.popitem()[1].close()
        while self._connections:
            self._connections.popitem()[1].connection.pgconn.finish()

    def _run(
        self, role: str, statement: str, values: Any, org_id: UUID | None
    ) -> list[tuple[Any, ...]]:
        session = self._sessions.get(role)
        if session is None or session.closed:
            session = psycopg.connect(self.url(role), autocommit=True, prepare_threshold=None)
            self._sessions[role] = session
        if org_id is None:
            return _rows(session.execute(statement.encode(), values))
        with session.transaction():
            session.execute("CALL act_for(%s, '')", (org_id,))
            return _rows(session.execute(statement.encode(), values))


def _rows(cursor: psycopg.Cursor[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [] if cursor.description is None else cursor.fetchall()


class DatabaseOfPair(DatabaseUnderTest):
    """A database of a primary and its standby, at the addresses of both, in any order."""

    def __init__(self, database: DatabaseUnderTest, ports: Sequence[int]) -> None:
        super().__init__(database._postgres, database.name)
        self._ports = ports

    def url(self, role: str) -> str:
        login = super().url(role).partition("@")[0]
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"{login}@{hosts}/{self.name}?target_session_attrs=read-write"


class PostgresUnderTest(_Restartable):
    """A PostgreSQL cluster that hands out databases, empty or migrated."""

    def __init__(
        self, programs: Programs, folder: Path, like: PostgresUnderTest | None = None
    ) -> None:
        """Start it. like: one that is stopped, whose data is copied instead of made anew."""
        self.log, self._home = folder / "postgres.log", folder / "postgres"
        if like is not None:
            subprocess.run(["cp", "--archive", like._home, self._home], check=True)
        port = free_port(ANY_PORT)
        self._postgres = Postgres(programs, self._home, port, self.log, TEST_SETTINGS)
        super().__init__(self._postgres)
        fresh = {role: secrets.token_hex(8) for role in migrate.ROLES}
        self.passwords = fresh if like is None else like.passwords
        self._numbers = count(1)
        self._has_template = like is not None and like._has_template

    def admin_url(self, database: str = "postgres") -> str:
        return self._postgres.url(database)

    def empty_database(self) -> DatabaseUnderTest:
        """Return a database that knows nothing of us."""
        return self._create(f"empty_{next(self._numbers)}", "template1")

    def migrated_database(self) -> DatabaseUnderTest:
        """Return a fresh copy of a migrated database; milliseconds after the first."""
        self.make_template()
        database = self._create(f"test_{next(self._numbers)}", TEMPLATE)
        migrate.bootstrap(database.url("admin"))
        return database

    def follow(self, primary: PostgresUnderTest) -> None:
        """Start as a standby of the server that this one is a copy of, and let its commits wait
        for us.
        """
        own = self._home / OWN_SETTINGS
        followed = conninfo_to_dict(primary.admin_url())
        server = " ".join(
            f"{name}={followed[name]}" for name in ("host", "port", "user", "password")
        )
        with own.open("a") as file:
            file.write(f"primary_conninfo = '{server}'\nwal_retrieve_retry_interval = '100ms'\n")
        shutil.copy2(own, self._home / "cluster" / "standby.signal")
        shutil.chown(self._home / "cluster" / "standby.signal", own.owner(), own.group())
        with (primary._home / "cluster" / "pg_hba.conf").open("a") as file:
            file.write("host replication all 127.0.0.1/32 scram-sha-256\n")
        primary._execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = '*'"))
        primary._execute(sql.SQL("SELECT pg_reload_conf()"))
        self.start()

    def promote(self) -> None:
        """End being a standby."""
        self._execute(sql.SQL("SELECT pg_promote()"))

    def drop(self, database: DatabaseUnderTest) -> None:
        database.close()
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._execute(statement.format(sql.Identifier(database.name)))

    def _create(self, name: str, template: str) -> DatabaseUnderTest:
        # Less work than by the WAL, the default.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self._execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return DatabaseUnderTest(self, name)

    def make_template(self) -> None:
        """Make the migrated database that others are copies of, unless it is there."""
        if self._has_template:
            return
        template = self._create(TEMPLATE, "template1")
        migrate.migrate(template.url("admin"))
        self._set_passwords()
        # No session may sit in the template while it is being copied.
        name = sql.Identifier(TEMPLATE)
        self._execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        self._has_template = True

    def _set_passwords(self) -> None:
        """Let the server hash all passwords, by its `scram_iterations`."""
        admin = conninfo_to_dict(self.admin_url())
        for role, password in {**self.passwords, "postgres": str(admin["password"])}.items():
            names = sql.Identifier(role), sql.Literal(password)
            self._execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(*names))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.admin_url(), autocommit=True) as connection:
            connection.execute(statement)


_Started = TypeVar("_Started")
_LASTING = ThreadPoolExecutor(1, "servers")


async def beside(start: Callable[[], _Started]) -> _Started:
    """Start servers while the event loop goes on, in a thread that lasts as long as this process.

    A server is killed when the thread that started it ends (`stack.host.process`). The threads of
    `asyncio.to_thread` end with the event loop, after each test.
    """
    return await asyncio.get_running_loop().run_in_executor(_LASTING, start)


AnyServer = TypeVar("AnyServer", bound=_Restartable)


class Servers:
    """Starts servers in a temporary folder and ends all of them with it."""

    def __init__(self, programs: Programs, folder: Path) -> None:
        self.programs = programs
        self._folder = folder
        self._numbers = count(1)
        self._started: list[_Restartable] = []

    def start_postgres(self, like: PostgresUnderTest | None = None) -> PostgresUnderTest:
        return self._start(PostgresUnderTest(self.programs, self._next_folder(), like))

    def start_pair(self, like: PostgresUnderTest) -> tuple[PostgresUnderTest, PostgresUnderTest]:
        """Start a primary, and a standby for which its commits wait."""
        primary = self.start_postgres(like)
        primary.stop()
        standby = PostgresUnderTest(self.programs, self._next_folder(), primary)
        primary.start()
        standby.follow(primary)
        self._started.append(standby)
        return primary, standby

    def start_broker(self, **settings: str) -> BrokerUnderTest:
        program = broker_program()
        return self._start(BrokerUnderTest(program, self._next_folder(), settings))

    def start_log(self) -> LogUnderTest:
        return self._start(LogUnderTest(self._next_folder()))

    def stop(self) -> None:
        while self._started:
            self._started.pop().stop()

    def _start(self, server: AnyServer) -> AnyServer:
        server.start()
        self._started.append(server)
        return server

    def _next_folder(self) -> Path:
        folder = self._folder / str(next(self._numbers))
        folder.mkdir(mode=0o755)
        return folder


@contextmanager
def running_servers(programs: Programs) -> Iterator[Servers]:
    """Provide a place to start servers in; none is left at the end."""
    with data_folder() as folder:
        servers = Servers(programs, folder)
        try:
            yield servers
        finally:
            servers.stop()


if __name__ == "__main__":
    provision()
    broker_program()
    rabbit_program()
