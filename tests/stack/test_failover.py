"""A PostgreSQL that fails over to its synchronous standby: the roles go on there by themselves."""

import asyncio
import os
import signal
import time
from contextlib import nullcontext
from pathlib import Path

import psycopg
import pytest
from typer import Typer
from typer.testing import CliRunner

from db.core.connect import connect
from db.core.errors import NotReplicated
from db.maintenance import contents, migrate, server_facts
from stack.cli.safekeeping.backup import backup
from tests.ingest.tenants import Tenant
from tests.listener.running import running
from tests.listener.test_faults import sending
from tests.servers import DatabaseOfPair, PostgresUnderTest, beside
from tests.stack.test_database_away import all_roles
from tests.waiting import until

Pair = tuple[PostgresUnderTest, PostgresUnderTest]
SOON_S = 10.0
_CANCEL_COMMITS = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def both(pair: Pair) -> DatabaseOfPair:
    """Return a database of the pair. The standby stands first: it is passed over."""
    primary, standby = pair
    return DatabaseOfPair(primary.migrated_database(), [standby.port, primary.port])


def fail_over(pair: Pair) -> None:
    primary, standby = pair
    primary.kill()
    standby.promote()


async def test_each_role_goes_on_at_the_standby(pair: Pair, tmp_path: Path) -> None:
    with all_roles(both(pair), tmp_path) as roles:
        await beside(lambda: fail_over(pair))
        began_s = time.monotonic()
        await asyncio.gather(*(asyncio.to_thread(role.wait_until_ready) for role in roles.values()))
        assert time.monotonic() - began_s < SOON_S


async def test_what_is_acknowledged_outlives_the_primary(pair: Pair) -> None:
    tenant = await Tenant.create(both(pair))
    with running(tenant.database) as system:
        async with sending(tenant, system.port) as fleet:
            await fleet.progress()
            await beside(lambda: fail_over(pair))
            await fleet.progress()


async def stop_replicating(pair: Pair) -> int:
    """Freeze what receives the primary's changes at the standby, and return its process. One that
    was frozen before may have been given up: another follows.
    """
    receivers = "SELECT pid FROM pg_stat_wal_receiver WHERE status = 'streaming'"
    found: list[int] = []

    def receives() -> bool:
        with psycopg.connect(pair[1].admin_url()) as conn:
            found[:] = [pid for (pid,) in conn.execute(receivers)]
        return bool(found)

    await until(receives)
    os.kill(found[0], signal.SIGSTOP)
    return found[0]


async def give_up_commits(pair: Pair) -> None:
    """Have a COMMIT that waits for the standby give up."""
    with psycopg.connect(pair[0].admin_url(), autocommit=True) as conn:
        await until(lambda: conn.execute(_CANCEL_COMMITS).fetchall())


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_what_is_not_replicated_counts_as_not_done(pair: Pair, in_transaction: bool) -> None:
    receiver = await stop_replicating(pair)
    async with await connect(pair[0].admin_url(), "test") as conn, asyncio.TaskGroup() as tasks:
        tasks.create_task(give_up_commits(pair))
        with pytest.raises(NotReplicated):
            async with conn.transaction() if in_transaction else nullcontext():
                await conn.execute("CREATE TABLE made ()")
        os.kill(receiver, signal.SIGCONT)
        await conn.execute("CREATE TABLE also_made ()")  # the connection is as good as before
    assert await asyncio.to_thread(_is_made, pair)


async def test_a_caller_that_gives_up_itself_leaves_the_connection_as_good_as_before(
    pair: Pair,
) -> None:
    receiver = await stop_replicating(pair)
    async with await connect(pair[0].admin_url(), "test") as conn:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await conn.execute("CREATE TABLE made ()")
        os.kill(receiver, signal.SIGCONT)
        await conn.execute("CREATE TABLE also_made ()")


def _is_made(pair: Pair) -> bool:
    with psycopg.connect(pair[0].admin_url()) as conn:
        return conn.execute("SELECT to_regclass('made') IS NOT NULL").fetchall() == [(True,)]


async def test_what_is_acknowledged_was_replicated(pair: Pair) -> None:
    """Devices hear nothing of fixes that only the primary has, and send them again."""
    primary, standby = pair
    tenant = await Tenant.create(both(pair))
    with running(tenant.database) as system:
        async with sending(tenant, system.port) as fleet:
            receiver = await stop_replicating(pair)
            await until(lambda: not system.ingest.is_ready())  # by its lease of 2 s
            await give_up_commits(pair)  # of ingest
            acknowledged = fleet.acknowledged
            await give_up_commits(pair)  # of the term that follows
            assert fleet.acknowledged == acknowledged
            await beside(primary.kill)
            os.kill(receiver, signal.SIGKILL)  # what has come to it goes with it
            await until(lambda: _is_up(standby))
            standby.promote()
            await fleet.progress()


def _is_up(postgres: PostgresUnderTest, database: str = "postgres") -> bool:
    try:
        psycopg.connect(postgres.admin_url(database)).close()
    except psycopg.OperationalError:
        return False
    return True


async def test_the_doctor_sees_that_no_standby_is_there(pair: Pair) -> None:
    primary, standby = pair
    login = primary.migrated_database().url("opsc_app")
    assert not server_facts.ask(login).lacks_standby
    standby.stop()
    await until(lambda: server_facts.ask(login).lacks_standby)


async def test_migrations_and_backups_are_of_the_primary(pair: Pair, tmp_path: Path) -> None:
    database = both(pair)
    of_both = database.url("admin").partition("?")[0]
    await until(lambda: _is_up(pair[1], database.name))  # else it is passed over
    assert migrate.migrate(of_both) == []
    assert migrate.pending(of_both) == []
    with contents.open_for_reading(of_both) as conn:
        assert conn.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    app = Typer()
    app.command()(backup)
    environment = {"OPSC_DATABASE_URL": of_both}
    made = CliRunner().invoke(app, [str(tmp_path / "made")], env=environment)
    assert made.exit_code == 0, made.output
