"""The whole system on this machine, as child processes.

    async with running_stack(data_dir, say, stop) as stack: ...

PostgreSQL, migrations, then ingest, deliver, api and listener side by side; ended in the reverse
order. The database that ``OPSC_DATABASE_URL`` names (a superuser's login: roles and extensions are
made) is used instead of our own; the broker of ``OPSC_BROKER_URL`` is read beside the listener.
What the roles need reaches them as ``OPSC_*`` variables; those that the caller has set are handed
on.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
import psycopg
from psycopg import sql

from db.core import migrate
from ingest.sources.link_address import MAX_PATH_BYTES
from mqtt import BrokerAddress
from stack.errors import StackError
from stack.servers.elsewhere import given_database, require_broker
from stack.servers.former import start_when_free, until_ended
from stack.servers.listening import LISTEN_HTTP_PORT, listening, require_certificate
from stack.servers.os_user import (
    Capability,
    RoleUser,
    can_write,
    hand_over_files,
    reachable_home,
    role_user,
)
from stack.servers.ports import Ports
from stack.servers.postgres import LOOPBACK, Postgres, make_home
from stack.servers.process import Command
from stack.servers.programs import provision, servers_dir
from stack.servers.runtime import (
    PartInfo,
    Secrets,
    StackInfo,
    load_secrets,
    make_data_dir,
    sole_owner,
    write_stack,
)
from stack.servers.settings import WrongSettings, unread_variables, wrong_settings
from stack.servers.supervisor import LONGEST_PAUSE_S, Part, Say, Supervisor, answers_ready
from stack.servers.tls import Certificate, certificate_of, pinned

POSTGRES_PORT = 5432
API_PORT = 8000
INGEST_HTTP_PORT = 9101
DELIVER_HTTP_PORT = 9102
API_HTTP_PORT = 9103
DATABASE = "opsc"
FIRST_FREE_PORT = 1024  # those below are for root
FILES_OF_ROLES = (
    "OPSC_BROKER_CA", "OPSC_BROKER_CERT", "OPSC_BROKER_KEY", "OPSC_LISTEN_CLIENT_CA",
    "OPSC_LINK_CA", "OPSC_LINK_CERT", "OPSC_LINK_CERT_KEY",
)  # fmt: skip
PORTS_OF_LISTENER = ("OPSC_LISTEN_HTTP", "OPSC_LISTEN_TLS_PORT", "OPSC_LISTEN_TLS12_PORT")
LONGEST_SOCKET = "ingest-standby.sock"
ROLE_STOP_S = 20.0
OPEN_FILES = 65_536


class Role(NamedTuple):
    """One of our own processes."""

    name: str
    module: str
    login: str  # its role in the database


LISTEN = Role("listener", "listener", "opsc_listen")
INGEST = Role("ingest", "ingest", "opsc_ingest")
DELIVER = Role("deliver", "webhooks", "opsc_deliver")
API = Role("api", "api", "opsc_app")


@dataclass(frozen=True)
class Variation:
    """The differences of a system from that of `opsc up`, for those who break it on purpose.

    has_ingest: else the caller starts its own, as `ingest_part` says. listener: settings of it.
    longest_pause_s: before a part that ended is started again.
    """

    has_ingest: bool = True
    longest_pause_s: float = LONGEST_PAUSE_S
    listener: Mapping[str, str] = field(default_factory=dict[str, str])


class Interrupted(StackError):
    """The user ended the system before it was ready."""


@dataclass
class Stack:
    """A system while it is being put together, and while it runs."""

    data_dir: Path
    say: Say
    secrets: Secrets
    supervisor: Supervisor = field(init=False)
    parts: dict[str, PartInfo] = field(default_factory=dict)
    api_url: str = ""
    broker_url: str = ""
    broker_tls_url: str | None = None
    link_folder: Path = field(init=False)  # of the sockets by which the listener reaches ingest
    ends_with_it: ExitStack = field(default_factory=ExitStack)
    certificate: Certificate | None = None
    variation: Variation = field(default_factory=Variation)
    ports: Ports = field(default_factory=Ports)
    role_user: RoleUser = field(default_factory=RoleUser)
    database: dict[str, str] = field(default_factory=dict)
    is_ready: bool = False

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.say, self._started)

    def info(self) -> StackInfo:
        return StackInfo(
            pid=os.getpid(),
            data_dir=str(self.data_dir),
            api_url=self.api_url,
            broker_url=self.broker_url,
            database=self.database,
            secret_key=self.secrets.secret_key,
            parts=self.parts,
            certificate=None if self.certificate is None else str(self.certificate.chain),
            broker_tls_url=self.broker_tls_url,
        )

    def log(self, part: str) -> Path:
        return self.data_dir / "log" / f"{part}.log"

    def publish(self) -> None:
        """Let other commands find the system."""
        self.is_ready = True
        write_stack(self.info())

    def _started(self, name: str, pid: int) -> None:
        """Note the process of a part, also when the part was started again: its process is another
        one then.
        """
        self.parts[name] = msgspec.structs.replace(self.parts[name], pid=pid)
        if not self.is_ready:
            return
        try:
            self.publish()
        except OSError as error:  # the disk is full: the part runs all the same
            self.say(f"other commands do not hear that {name} is another process: {error}")


@asynccontextmanager
async def running_stack(
    data_dir: Path,
    say: Say,
    stop: asyncio.Event,
    *,
    tls: bool = False,
    variation: Variation | None = None,
) -> AsyncIterator[Stack]:
    """Provide the system, ready; all of it has ended when the context is left, whatever happened.

    ``stop`` cuts the start short (``Interrupted``); what it means later is the caller's business.
    ``tls`` makes a certificate for development where none is configured.
    """
    data_dir = make_data_dir(data_dir)
    with sole_owner(data_dir):
        allow_open_files()
        stack = Stack(data_dir, say, load_secrets(data_dir))
        stack.certificate = certificate_of(data_dir / "tls", develop=tls)
        stack.variation = variation or stack.variation
        stack.supervisor.longest_pause_s = stack.variation.longest_pause_s
        try:
            await _unless_stopped(stop, _start(stack))
            stack.publish()
            yield stack
        finally:
            await asyncio.shield(stack.supervisor.stop())
            stack.ends_with_it.close()


async def _unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Interrupted("stopped before it was ready")
        working.result()
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


async def _start(stack: Stack) -> None:
    for name, near in unread_variables().items():
        stack.say(f"nothing reads {name}" + (f"; did you mean {near}?" if near else ""))
    require_certificate(stack.certificate)
    if wrong := wrong_settings(_certificate_settings(stack)):
        raise WrongSettings("\n".join(wrong))
    stack.ports.claim("OPSC_API_PORT", "OPSC_API_HTTP", "OPSC_INGEST_HTTP", "OPSC_DELIVER_HTTP")
    stack.ports.claim("OPSC_LISTEN_HTTP", "OPSC_LISTEN_TLS_PORT")
    if os.environ.get("OPSC_LISTEN_PORT") != "0":
        stack.ports.claim("OPSC_LISTEN_PORT")
    await _start_servers(stack)
    await _start_roles(stack)


async def _start_servers(stack: Stack) -> None:
    database_url = await asyncio.to_thread(given_database)
    broker_url = os.environ.get("OPSC_BROKER_URL")
    if broker_url:
        await asyncio.to_thread(require_broker, broker_url)
    home = reachable_home(stack.data_dir)
    await until_ended((home / "postgres",), stack.say)
    if database_url:
        host = urlsplit(database_url).netloc.rpartition("@")[2]
        stack.parts["postgres"] = PartInfo(address=host)
    else:
        database_url = await _start_postgres(stack)
    await asyncio.to_thread(_migrate, stack, database_url)
    if broker_url:
        broker = BrokerAddress.parse(broker_url)
        stack.parts["broker"] = PartInfo(address=f"{broker.host}:{broker.port}")
        stack.say(f"ingest reads the broker {broker_url}, too, beside the listener")
    if (home / "broker").exists():
        stack.say(f"{home / 'broker'} is of an older version's broker; nothing reads it any more")


async def _start_postgres(stack: Stack) -> str:
    programs = await asyncio.to_thread(provision, servers_dir(stack.data_dir), stack.say)
    home = reachable_home(stack.data_dir) / "postgres"
    if not home.is_relative_to(stack.data_dir):
        stack.say(f"the servers' own files are in {home.parent}: their user cannot reach yours")
    port = stack.ports.usual("postgres", POSTGRES_PORT)
    server = Postgres(programs, home, port, stack.log("postgres"))
    await asyncio.to_thread(server.prepare)
    stack.parts[server.name] = PartInfo(server.address)
    part = Part(server.command(), server.is_ready)
    await start_when_free(stack.supervisor, part, stack.say)
    await asyncio.to_thread(_create_database, server.url())
    return server.url(DATABASE)


def _create_database(admin_url: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
        if found.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _migrate(stack: Stack, admin_url: str) -> None:
    try:
        applied = migrate.migrate(admin_url)
        migrate.set_role_passwords(admin_url, stack.secrets.role_passwords)
    except (psycopg.Error, migrate.MigrationError) as error:
        raise StackError(f"the database cannot be brought up to date: {error}") from error
    for name in applied:
        stack.say(f"migrated: {name}")
    stack.database = {
        "admin": admin_url,
        **{r: _login(admin_url, r, p) for r, p in stack.secrets.role_passwords.items()},
    }


async def _start_roles(stack: Stack) -> None:
    """Start the roles side by side: each waits for what it needs by itself."""
    stack.role_user = role_user(
        reachable_home(stack.data_dir) / "postgres", _files_of_roles(stack), stack.say
    )
    stack.link_folder = _link_folder(stack)
    listener = _listener_part(stack)
    ingest = [ingest_part(stack)] if stack.variation.has_ingest else []
    deliver = _page(stack, "deliver", "OPSC_DELIVER_HTTP", DELIVER_HTTP_PORT)
    _, api_port = stack.ports.address("api", "OPSC_API_PORT", API_PORT)
    api = f"{LOOPBACK}:{api_port}"
    stack.api_url = f"{'http' if stack.certificate is None else 'https'}://{api}"
    stack.parts["deliver"] = PartInfo(deliver, metrics_url=f"http://{deliver}/metrics")
    api_http = _page(stack, "api-metrics", "OPSC_API_HTTP", API_HTTP_PORT)
    stack.parts["api"] = PartInfo(api, metrics_url=f"http://{api_http}/metrics")
    public = {"OPSC_PUBLIC_URL": os.environ.get("OPSC_PUBLIC_URL") or stack.api_url}
    mail = {"OPSC_MAIL_FOLDER": str(_mail_folder(stack))}
    at_home = {"OPSC_WEBHOOK_ALLOW_LOOPBACK": "true"}
    api_variables = {"OPSC_API_HOST": LOOPBACK, "OPSC_API_PORT": str(api_port), **public, **at_home}
    api_variables["OPSC_API_HTTP"] = api_http
    api_variables |= _certificate_variables(stack)
    await stack.supervisor.start(
        *ingest,
        _role(stack, DELIVER, {"OPSC_DELIVER_HTTP": deliver, **public, **mail, **at_home}),
        _role(stack, API, api_variables),
        listener,  # the last to start is the first to end: ingest stores what it has received
    )


def _files_of_roles(stack: Stack) -> list[Path]:
    files: list[Path] = []
    if stack.certificate is not None:
        files += [stack.certificate.chain, stack.certificate.key]
    named = (os.environ.get(name) for name in FILES_OF_ROLES)
    return [*files, *(Path(name) for name in named if name)]


def _mail_folder(stack: Stack) -> Path:
    """Prepare the folder of letters, which belongs to who runs the roles; a given folder is left as
    it is.
    """
    if given := os.environ.get("OPSC_MAIL_FOLDER"):
        identity = stack.role_user.identity
        if identity is not None and not can_write(Path(given), identity):
            stack.say(f"OPSC_MAIL_FOLDER: the user {identity.name} cannot write {given}")
        return Path(given)
    folder = reachable_home(stack.data_dir) / "mail"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    hand_over_files(folder, stack.role_user.identity)
    return folder


def _certificate_settings(stack: Stack) -> Mapping[str, str]:
    variables = _certificate_variables(stack)
    return {name.removeprefix("OPSC_").lower(): value for name, value in variables.items()}


def _certificate_variables(stack: Stack) -> Mapping[str, str]:
    if stack.certificate is None:
        return {}
    chain, key = stack.certificate.chain, stack.certificate.key
    return {"OPSC_TLS_CERT": str(chain), "OPSC_TLS_KEY": str(key)}


def _link_folder(stack: Stack) -> Path:
    """Return the folder of the link's sockets, of the roles' user alone; elsewhere, and until the
    system ends, where the data folder's path is too long for a socket.
    """
    folder = reachable_home(stack.data_dir) / "link"
    if len(os.fsencode(folder / LONGEST_SOCKET)) > MAX_PATH_BYTES:
        folder = Path(tempfile.mkdtemp(prefix="opsc-link-", dir="/tmp"))
        stack.ends_with_it.callback(shutil.rmtree, folder, ignore_errors=True)
    make_home(folder, stack.role_user.identity)
    return folder


def _listener_part(stack: Stack) -> Part:
    where = listening(stack.ports, stack.certificate)
    stack.broker_url, stack.broker_tls_url = where.url, where.tls_url
    if where.is_plain_for_all:
        stack.say(
            f"devices on the network may connect without TLS, to port {where.port};"
            " OPSC_LISTEN_PORT=0 leaves the port of TLS alone"
        )
    page = _page(stack, "listener-metrics", "OPSC_LISTEN_HTTP", LISTEN_HTTP_PORT)
    stack.parts["listener"] = PartInfo(where.address, metrics_url=f"http://{page}/metrics")
    own = {"OPSC_LISTEN_HTTP": page, **where.variables(), **_certificate_variables(stack)}
    return _role(stack, LISTEN, {**own, **stack.variation.listener})


def ingest_part(
    stack: Stack, role: Role = INGEST, variables: Mapping[str, str] | None = None
) -> Part:
    """Return an ingest process of a system whose servers run. `variables` win over those it would
    have.
    """
    address = _page(stack, role.name, "OPSC_INGEST_HTTP", INGEST_HTTP_PORT)
    stack.parts[role.name] = PartInfo(address, metrics_url=f"http://{address}/metrics")
    link = f"unix:{stack.link_folder / role.name}.sock"
    own = {"OPSC_INGEST_HTTP": address, "OPSC_INGEST_LINK": link}
    return _role(stack, role, own | dict(variables or {}))


def _page(stack: Stack, part: str, variable: str, usual_port: int) -> str:
    """Return the address of a role's page of health and metrics."""
    host, port = stack.ports.address(part, variable, usual_port)
    return f"{host}:{port}"


def _role(stack: Stack, role: Role, variables: Mapping[str, str]) -> Part:
    command = Command(
        name=role.name,
        # -P: packages are not looked for in the folder that the user happens to stand in.
        argv=[sys.executable, "-P", "-m", role.module],
        environment={
            "OPSC_DATABASE_URL": stack.database[role.login],
            "OPSC_SECRET_KEY": stack.secrets.secret_key,
            "PYTHONUNBUFFERED": "1",
            **variables,
        },
        log=stack.log(role.name),
        identity=stack.role_user.identity,
        has_no_rights=stack.role_user.identity is not None,
        rights=_rights(stack, role, variables),
        stop_signals=[(signal.SIGTERM, ROLE_STOP_S)],
        death_signal=signal.SIGKILL,
    )
    base = stack.api_url if role is API else _page_of(stack, role)
    tls = None if stack.certificate is None else pinned(str(stack.certificate.chain))
    return Part(command, answers_ready(f"{base}/readyz", tls))


def _page_of(stack: Stack, role: Role) -> str:
    return (stack.parts[role.name].metrics_url or "").removesuffix("/metrics")


def _rights(stack: Stack, role: Role, variables: Mapping[str, str]) -> list[Capability]:
    """Return the capabilities that a role without rights needs all the same."""
    rights = [Capability.DAC_READ_SEARCH] if stack.role_user.reads_everything else []
    addresses = [stack.parts[role.name].address, variables.get("OPSC_API_HTTP")]
    if role is LISTEN:
        addresses += [variables.get(name, os.environ.get(name)) for name in PORTS_OF_LISTENER]
    if any(int(text.rpartition(":")[2]) < FIRST_FREE_PORT for text in addresses if text):
        rights.append(Capability.NET_BIND_SERVICE)
    return rights


def _login(admin_url: str, role: str, password: str) -> str:
    """Return the same database with another login."""
    parts = urlsplit(admin_url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password, safe='')}@{host}"))


def allow_open_files() -> None:
    """Raise the soft limit of open files, which is often 1,024: the listener holds a file for each
    tracker.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
