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
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from db.maintenance import migrate
from mqtt import BrokerAddress
from stack.errors import StackError
from stack.host.os_user import (
    reachable_home,
)
from stack.host.programs import provision, servers_dir
from stack.servers.cluster.machines import DATABASE
from stack.servers.cluster.start import home_of, refuse_settings, start_servers
from stack.servers.elsewhere import given_database, require_broker
from stack.servers.former import start_when_free, until_ended
from stack.servers.listening import NO_INGEST, claim_boxes, require_certificate
from stack.servers.postgres import Postgres
from stack.servers.role_parts import certificate_variables, start_roles
from stack.servers.runtime import (
    PartInfo,
    load_secrets,
    make_data_dir,
    sole_owner,
)
from stack.servers.settings import (
    WrongSettings,
    unread_variables,
    use_todays_names,
    wrong_settings,
)
from stack.servers.stack import Stack, Variation
from stack.servers.supervisor import Part, Say
from stack.servers.tls import certificate_of

POSTGRES_PORT = 5432
OPEN_FILES = 65_536


class Interrupted(StackError):
    """The user ended the system before it was ready."""


@asynccontextmanager
async def running_stack(
    data_dir: Path,
    say: Say,
    stop: asyncio.Event,
    *,
    tls: bool = False,
    is_cluster: bool = False,
    variation: Variation | None = None,
) -> AsyncIterator[Stack]:
    """Provide the system, ready; all of it has ended when the context is left, whatever happened.

    ``stop`` cuts the start short (``Interrupted``); what it means later is the caller's business.
    ``tls`` makes a certificate for development where none is configured. ``is_cluster``: three of
    each server, two of each role.
    """
    data_dir = make_data_dir(data_dir)
    with sole_owner(data_dir):
        allow_open_files()
        stack = Stack(data_dir, say, load_secrets(data_dir))
        stack.certificate = certificate_of(data_dir / "tls", develop=tls)
        stack.variation = variation or stack.variation
        try:
            await _unless_stopped(stop, _start(stack, is_cluster))
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


async def _start(stack: Stack, is_cluster: bool) -> None:
    use_todays_names(stack.say)
    for name, near in unread_variables().items():
        stack.say(f"the variable {name} is unknown" + (f"; did you mean {near}?" if near else ""))
    require_certificate(stack.certificate)
    if wrong := wrong_settings({**os.environ, **certificate_variables(stack)}):
        raise WrongSettings("\n".join(wrong))
    if is_cluster:
        refuse_settings()
    stack.ports.claim("OPSC_API_PORT", "OPSC_API_HTTP", "OPSC_INGEST_HTTP", "OPSC_DELIVER_HTTP")
    stack.ports.claim("OPSC_LISTEN_HTTP", "OPSC_LISTEN_TLS_PORT")
    claim_boxes()
    if os.environ.get("OPSC_LISTEN_PORT") != "0":
        stack.ports.claim("OPSC_LISTEN_PORT")
    if os.environ.get("OPSC_LISTEN_INGEST_HTTP") != NO_INGEST:
        stack.ports.claim("OPSC_LISTEN_INGEST_HTTP")
    await _start_servers(stack, is_cluster)
    stack.say("starting the roles: listener, ingest, deliver, api")
    await start_roles(stack)


async def _start_servers(stack: Stack, is_cluster: bool) -> None:
    database_url = stack.variation.database_url or await asyncio.to_thread(given_database)
    broker_url = os.environ.get("OPSC_BROKER_URL")
    if broker_url:
        await asyncio.to_thread(require_broker, broker_url)
    home = reachable_home(stack.data_dir)
    await until_ended((home / "postgres",), stack.say)
    others = home / "postgres" / "cluster" if is_cluster else home_of(stack.data_dir)
    if others.exists():
        how = "without" if is_cluster else "with"
        stack.say(f"the data of `opsc up` {how} --cluster stays in {others}, and is not used now")
    if is_cluster:
        cluster = await start_servers(stack)
        await asyncio.to_thread(_create_database, cluster.url("postgres"))
        database_url = cluster.url(DATABASE)
    elif database_url:
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
        stack.say(f"{home / 'broker'} belongs to the broker of an older version; it can be deleted")


async def _start_postgres(stack: Stack) -> str:
    programs = await asyncio.to_thread(provision, servers_dir(stack.data_dir), stack.say)
    home = reachable_home(stack.data_dir) / "postgres"
    if not home.is_relative_to(stack.data_dir):
        stack.say(
            f"the servers' files are in {home.parent}: their user cannot read your data folder"
        )
    port = stack.ports.usual("postgres", POSTGRES_PORT)
    stack.say(f"starting PostgreSQL; its data is in {home}")
    server = Postgres(programs, home, port, stack.log("postgres"))
    await asyncio.to_thread(server.prepare)
    stack.parts[server.name] = PartInfo(server.address)
    part = Part(server.command(), server.is_ready)
    await start_when_free(stack.supervisor, part, stack.say)
    await asyncio.to_thread(_create_database, server.url())
    return server.url(DATABASE)


def _create_database(admin_url: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        rows = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
        if rows.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _migrate(stack: Stack, admin_url: str) -> None:
    try:
        if pending := migrate.pending(admin_url):
            stack.say(f"migrating the database to {pending[-1]} ({len(pending)} to apply)")
        migrate.migrate(admin_url)
        migrate.set_role_passwords(admin_url, stack.secrets.role_passwords)
    except (psycopg.Error, migrate.MigrationError) as error:
        raise StackError(f"the database cannot be brought up to date: {error}") from error
    stack.database = {
        "admin": admin_url,
        **{r: _login(admin_url, r, p) for r, p in stack.secrets.role_passwords.items()},
    }


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
