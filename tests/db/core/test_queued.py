"""Queued statements: they go out with the next one, or with COMMIT, and never without a tenant."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from db.core.connect import Connection, Pool, connect
from db.core.pipeline_cursor import MOST_PREPARED
from db.core.tenant import reading, tenant
from tests.servers import DatabaseUnderTest

NAME: LiteralString = "SELECT name FROM organizations"
RENAME: LiteralString = "UPDATE organizations SET name = %s"
FAIL = ("SELECT 1 / 0", None)


async def _name(conn: Connection) -> str:
    row = await (await conn.execute(NAME)).fetchone()
    assert row is not None
    return row[0]


async def _stored(connections: Pool, org: UUID) -> str:
    async with reading(connections, org) as conn:
        assert conn.info.transaction_status == TransactionStatus.IDLE
        return await _name(conn)


async def test_what_is_queued_goes_out_ahead_of_the_next_statement(
    connections: Pool, org: UUID
) -> None:
    async with tenant(connections, org) as conn:
        conn.later((RENAME, ("One",)), (RENAME, ("Two",)))
        assert await _name(conn) == "Two"
        assert not conn.queued
    assert await _stored(connections, org) == "Two"


async def test_what_is_still_queued_goes_out_with_commit(connections: Pool, org: UUID) -> None:
    async with tenant(connections, org) as conn:
        conn.later((RENAME, ("Last",)))
    assert await _stored(connections, org) == "Last"


async def test_what_fails_with_commit_undoes_everything(connections: Pool, org: UUID) -> None:
    before = await _stored(connections, org)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await _commit_what_fails(connections, org)
    assert await _stored(connections, org) == before


async def _commit_what_fails(connections: Pool, org: UUID) -> None:
    async with tenant(connections, org) as conn:
        await conn.execute(RENAME, ("One",))
        conn.later((RENAME, ("Two",)), FAIL, (RENAME, ("Three",)))


async def test_what_is_queued_is_forgotten_with_an_error(connections: Pool, org: UUID) -> None:
    before = await _stored(connections, org)
    for asks_first in (False, True):
        with pytest.raises(LookupError):
            await _queue_and_fail(connections, org, asks_first=asks_first)
        assert await _stored(connections, org) == before


async def _queue_and_fail(connections: Pool, org: UUID, *, asks_first: bool) -> None:
    async with tenant(connections, org) as conn:
        if asks_first:
            await _name(conn)
        conn.later((RENAME, ("Never",)))
        raise LookupError


Part = Callable[[Connection], AbstractAsyncContextManager[object]]


@pytest.mark.parametrize("part", [Connection.part, Connection.transaction])
async def test_a_part_of_a_transaction_sends_its_own_and_forgets_its_own(
    connections: Pool, org: UUID, part: Part
) -> None:
    async with tenant(connections, org) as conn:
        conn.later((RENAME, ("Before",)))
        for asks in (False, True):
            with pytest.raises(LookupError):
                await _fail_in_a_part(conn, part(conn), asks=asks)
        assert await _name(conn) == "Before"
        with pytest.raises(psycopg.errors.DivisionByZero):
            await _queue_what_fails(conn, part(conn))
        assert await _name(conn) == "Before"
        async with part(conn):
            conn.later((RENAME, ("Inside",)))
        assert not conn.queued
    assert await _stored(connections, org) == "Inside"


async def test_a_part_is_undone_where_no_more_statements_can_stay_prepared(
    connections: Pool, org: UUID
) -> None:
    async with tenant(connections, org) as conn:
        for number in range(MOST_PREPARED):
            await conn.execute(f"SELECT {number}".encode())
        with pytest.raises(psycopg.errors.DivisionByZero):
            await _queue_what_fails(conn, conn.part())
        conn.later((RENAME, ("After",)))
    assert await _stored(connections, org) == "After"


async def test_a_value_that_cannot_be_sent_takes_nothing_along(
    connections: Pool, org: UUID
) -> None:
    async with tenant(connections, org) as conn:
        for name in ("One", "Two"):
            with pytest.raises(psycopg.DataError):
                await _send_a_nul(conn)
            async with conn.part():
                conn.later((RENAME, (name,)))
    assert await _stored(connections, org) == "Two"


async def _send_a_nul(conn: Connection) -> None:
    async with conn.part():
        conn.later((RENAME, ("Never",)))
        await conn.execute("SELECT %s", ("\0",))


async def test_a_transaction_that_has_failed_does_not_seem_to_commit(
    connections: Pool, org: UUID
) -> None:
    with pytest.raises(AssertionError, match="COMMIT"):
        await _overlook_an_error(connections, org)


async def _overlook_an_error(connections: Pool, org: UUID) -> None:
    async with tenant(connections, org) as conn:
        with suppress(psycopg.errors.DivisionByZero):
            await conn.together((RENAME, ("Lost",)), FAIL)


async def _fail_in_a_part(
    conn: Connection, part: AbstractAsyncContextManager[object], *, asks: bool
) -> None:
    async with part:
        conn.later((RENAME, ("Never",)))
        if asks:
            await _name(conn)
            conn.later((RENAME, ("Nor this",)))
        raise LookupError


async def _queue_what_fails(conn: Connection, part: AbstractAsyncContextManager[object]) -> None:
    async with part:
        conn.later((RENAME, ("Undone",)), FAIL)


async def test_a_connection_of_its_own_has_no_queue(database: DatabaseUnderTest) -> None:
    async with await connect(database.url("opsc_app"), "test") as conn:
        with pytest.raises(AssertionError):
            conn.later((NAME, None))
