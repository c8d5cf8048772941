"""A connection that comes back to the pool belongs to nobody, however its last use ended."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio

from db.core.connect import Connection, Limits, Pool, pool
from db.core.tenant import reading, tenant
from tests.servers import DatabaseUnderTest

Transaction = Callable[[Pool, UUID], AbstractAsyncContextManager[Connection]]
TRANSACTIONS = [tenant, reading]
COUNT = "SELECT count(*) FROM organizations"


@pytest_asyncio.fixture
async def connections(database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    """A pool of one connection, so that the next user gets that of the last one."""
    limits = Limits(statement_s=2)
    async with pool(database.url("opsc_app"), "test", max_size=1, limits=limits) as opened:
        yield opened


async def _value(conn: Connection, statement: str) -> object:
    row = await (await conn.execute(statement.encode())).fetchone()
    assert row is not None
    return row[0]


async def _is_nobodys(connections: Pool) -> bool:
    """Return whether the connection is as if new: no tenant, no rows, and free to write."""
    async with connections.connection() as conn:
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        setting = await _value(conn, "SELECT current_setting('app.org_id', true)")
        assert await _value(conn, "SHOW transaction_read_only") == "off"
        return not setting and await _value(conn, COUNT) == 0


@pytest.mark.parametrize("transaction", TRANSACTIONS)
async def test_a_tenant_sees_its_own_row_and_nothing_stays(
    connections: Pool, org: UUID, transaction: Transaction
) -> None:
    async with transaction(connections, org) as conn:
        assert await _value(conn, COUNT) == 1
        assert await _value(conn, "SELECT org_id FROM organizations") == org
    assert await _is_nobodys(connections)


@pytest.mark.parametrize("transaction", TRANSACTIONS)
async def test_nothing_stays_where_nothing_was_asked(
    connections: Pool, org: UUID, transaction: Transaction
) -> None:
    async with transaction(connections, org):
        pass
    assert await _is_nobodys(connections)


async def _ask_and_fail(transaction: AbstractAsyncContextManager[Connection]) -> None:
    async with transaction as conn:
        await _value(conn, COUNT)
        raise LookupError


@pytest.mark.parametrize("transaction", TRANSACTIONS)
async def test_nothing_stays_after_an_error_in_the_block(
    connections: Pool, org: UUID, transaction: Transaction
) -> None:
    with pytest.raises(LookupError):
        await _ask_and_fail(transaction(connections, org))
    assert await _is_nobodys(connections)


@pytest.mark.parametrize("transaction", TRANSACTIONS)
async def test_nothing_stays_after_a_statement_that_failed(
    connections: Pool, org: UUID, transaction: Transaction
) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with transaction(connections, org) as conn:
            await _value(conn, "SELECT 1 / 0")
    assert await _is_nobodys(connections)


@pytest.mark.parametrize("transaction", TRANSACTIONS)
async def test_nothing_stays_after_a_statement_that_took_too_long(
    connections: Pool, org: UUID, transaction: Transaction
) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        async with transaction(connections, org) as conn:
            await _value(conn, "SELECT pg_sleep(60)")
    assert await _is_nobodys(connections)


@pytest.mark.parametrize("transaction", TRANSACTIONS)
async def test_nothing_stays_after_a_request_that_was_given_up(
    connections: Pool, org: UUID, transaction: Transaction
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), transaction(connections, org) as conn:
            await _value(conn, "SELECT pg_sleep(60)")
    assert await _is_nobodys(connections)


async def test_a_transaction_that_has_failed_does_not_seem_to_commit(
    connections: Pool, org: UUID
) -> None:
    with pytest.raises(AssertionError, match="COMMIT"):
        await _overlook_an_error(connections, org)
    assert await _is_nobodys(connections)


async def _overlook_an_error(connections: Pool, org: UUID) -> None:
    async with tenant(connections, org) as conn:
        with suppress(psycopg.errors.DivisionByZero):
            await _value(conn, "SELECT 1 / 0")


async def test_a_server_that_ends_meanwhile_is_an_operational_error(
    connections: Pool, org: UUID
) -> None:
    with pytest.raises(psycopg.OperationalError):
        async with reading(connections, org) as conn:
            await _value(conn, "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)")
    async with reading(connections, org) as conn:
        assert await _value(conn, COUNT) == 1


async def test_what_is_only_read_cannot_be_written(connections: Pool, org: UUID) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        async with reading(connections, org) as conn:
            await _value(conn, "UPDATE organizations SET name = 'Other' RETURNING 1")
    assert await _is_nobodys(connections)


async def test_a_connection_that_the_server_ended_is_not_given_out(
    connections: Pool, org: UUID, database: DatabaseUnderTest
) -> None:
    async with reading(connections, org) as conn:
        server = await _value(conn, "SELECT pg_backend_pid()")
    with psycopg.connect(database.url("admin"), autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 10000)", (server,))
    async with reading(connections, org) as conn:
        assert await _value(conn, "SELECT pg_backend_pid()") != server


async def test_a_connection_that_has_heard_something_is_asked_and_kept(
    connections: Pool, org: UUID, database: DatabaseUnderTest
) -> None:
    async with connections.connection() as conn:
        await conn.execute("LISTEN news")
        server = conn.info.backend_pid
    with psycopg.connect(database.url("admin"), autocommit=True) as admin:
        admin.execute("NOTIFY news")
    async with reading(connections, org) as conn:
        assert await _value(conn, "SELECT pg_backend_pid()") == server


@pytest.mark.parametrize("transaction", TRANSACTIONS)
async def test_many_at_once_wait_for_their_turn(
    connections: Pool, org: UUID, transaction: Transaction
) -> None:
    async def ask() -> object:
        async with transaction(connections, org) as conn:
            return await _value(conn, COUNT)

    assert await asyncio.gather(*(ask() for _ in range(40))) == [1] * 40
