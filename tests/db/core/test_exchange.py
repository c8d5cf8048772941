"""Statements on a connection of a pool: what goes out together, and what stays prepared."""

from contextlib import AbstractAsyncContextManager, suppress
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus

from db.core.connect import Connection, Pool, connect
from db.core.exchange import Exchange
from db.core.pipeline_cursor import MOST_PREPARED
from db.core.tenant import acting_for, reading, tenant
from tests.servers import DatabaseUnderTest

ORGANIZATION: LiteralString = "SELECT org_id FROM organizations"


async def _numbers(conn: Connection, *numbers: int) -> None:
    """Read numbers, each with a statement of its own."""
    for number in numbers:
        statement = sql.SQL("SELECT {}").format(sql.Literal(number))
        row = await (await conn.execute(statement)).fetchone()
        assert row == (number,)


async def _prepared(conn: Connection) -> int:
    row = await (await conn.execute("SELECT count(*) FROM pg_prepared_statements")).fetchone()
    assert row is not None
    return row[0]


async def test_values_stand_where_they_are_named(connections: Pool) -> None:
    statement = "SELECT %(a)s::int, %(b)s::text, %(a)s::int, 7 %% 4, '%%'"
    async with connections.connection() as conn:
        row = await (await conn.execute(statement, {"b": "x%sy", "a": 1, "more": 2})).fetchone()
        assert row == (1, "x%sy", 1, 3, "%")
        row = await (await conn.execute("SELECT %s::int, %s::int[]", (1, [2, 3]))).fetchone()
        assert row == (1, [2, 3])
        assert await (await conn.execute("SELECT '%s'")).fetchone() == ("%s",)


async def test_rows_come_one_by_one_and_all_at_once(connections: Pool) -> None:
    async with connections.connection() as conn:
        cursor = await conn.execute("SELECT generate_series(1, 4)")
        assert cursor.rowcount == 4
        assert await cursor.fetchone() == (1,)
        assert await cursor.fetchall() == [(2,), (3,), (4,)]
        assert await cursor.fetchone() is None
        assert await (await conn.execute("SELECT WHERE false")).fetchone() is None


async def test_no_more_stays_prepared_than_may(connections: Pool) -> None:
    async with connections.connection() as conn:
        await _numbers(conn, *range(3 * MOST_PREPARED))
        await _numbers(conn, 0, 3 * MOST_PREPARED - 1, 0)
        assert await _prepared(conn) <= MOST_PREPARED + 1


async def test_what_is_asked_again_stays_prepared_once(connections: Pool, org: UUID) -> None:
    for _ in range(10):
        async with reading(connections, org) as conn:
            await _numbers(conn, 1)
    async with connections.connection() as conn:
        assert await _prepared(conn) == 3  # the tenant, the number, and this


async def test_what_must_not_be_prepared_is_not(connections: Pool, org: UUID) -> None:
    async with reading(connections, org) as conn:
        for _ in range(10):
            cursor = await conn.execute(ORGANIZATION + " WHERE %s", (True,), prepare=False)
            assert await cursor.fetchone() == (org,)
    async with connections.connection() as conn:
        assert await _prepared(conn) == 1  # this


async def test_a_statement_that_fails_can_be_asked_again(connections: Pool, org: UUID) -> None:
    statement = "SELECT 10 / %s::int"
    for divisor in (0, 5, 0, 2):
        async with connections.connection() as conn:
            if divisor:
                row = await (await conn.execute(statement, (divisor,))).fetchone()
                assert row == (10 // divisor,)
            else:
                with pytest.raises(psycopg.errors.DivisionByZero):
                    await conn.execute(statement, (divisor,))
            with pytest.raises(psycopg.errors.UndefinedTable):
                await conn.execute("SELECT * FROM nowhere")
            assert conn.info.transaction_status == TransactionStatus.IDLE


async def test_what_is_prepared_outlives_a_rollback(connections: Pool, org: UUID) -> None:
    for _ in range(7):  # psycopg would prepare by now, and drop everything with a rollback
        async with tenant(connections, org) as conn:
            with pytest.raises(LookupError):
                await _ask_and_fail(conn, conn.transaction())
            await _numbers(conn, 1)
        with pytest.raises(LookupError):
            await _in_a_transaction_that_fails(connections, org)
        async with reading(connections, org) as conn:
            await _numbers(conn, 1)


async def _in_a_transaction_that_fails(connections: Pool, org: UUID) -> None:
    async with tenant(connections, org) as conn:
        await _numbers(conn, 1)
        raise LookupError


async def _ask_and_fail(conn: Connection, part: AbstractAsyncContextManager[object]) -> None:
    async with part:
        await _numbers(conn, 1)
        raise LookupError


async def test_all_that_goes_out_together_is_one_transaction(connections: Pool, org: UUID) -> None:
    renaming = "UPDATE organizations SET name = %s"
    name = "SELECT name FROM organizations"
    async with connections.connection() as conn:
        cursor = await conn.together(acting_for(org), (renaming, ("New",)), (name, None))
        assert await cursor.fetchone() == ("New",)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await conn.together(acting_for(org), (renaming, ("Newer",)), ("SELECT 1 / 0", None))
        assert conn.info.transaction_status == TransactionStatus.IDLE
    async with reading(connections, org) as conn:
        assert await (await conn.execute(name)).fetchone() == ("New",)


async def test_many_statements_go_out_together(connections: Pool, org: UUID) -> None:
    long = "x" * 10_000  # more than the buffers between us hold
    async with connections.connection() as conn:
        asked = [("SELECT %s::text || %s::int", (long, number)) for number in range(1_000)]
        cursor = await conn.together(*asked)
        assert await cursor.fetchone() == (long + "999",)


async def test_what_goes_out_together_twice_is_prepared_once(connections: Pool) -> None:
    async with connections.connection() as conn:
        for _ in range(2):
            asked = [("SELECT %s::int", (number,)) for number in range(10)]
            assert await (await conn.together(*asked)).fetchone() == (9,)
        assert await _prepared(conn) == 2  # that, and this


async def test_a_connection_of_its_own_asks_one_after_the_other(
    database: DatabaseUnderTest, org: UUID
) -> None:
    async with await connect(database.url("opsc_app"), "test") as conn, conn.transaction():
        cursor = await conn.together(acting_for(org), (ORGANIZATION, None))
        assert await cursor.fetchone() == (org,)


async def test_answers_come_to_each_question_whatever_connection_it_is(
    connections: Pool, database: DatabaseUnderTest, org: UUID
) -> None:
    async with (
        connections.connection() as pooled,
        await connect(database.url("opsc_app"), "test") as own,
    ):
        for conn in (pooled, own):
            exchange = Exchange(conn)
            exchange.tell(*acting_for(org))
            names = exchange.ask(ORGANIZATION, None, lambda rows: [name for (name,) in rows])
            numbers = exchange.ask("SELECT unnest(%b::int4[])", ([1, 2],), list)
            await exchange.send()
            await exchange.send()  # nothing waits
            assert (names.value, numbers.value) == ([org], [(1,), (2,)])
            exchange.tell("SELECT 1 / %s::int", (0,))
            with pytest.raises(psycopg.errors.DivisionByZero):
                await exchange.send()
            assert conn.info.transaction_status == TransactionStatus.IDLE


@pytest.mark.parametrize("has_psycopg_prepared", [True, False])
async def test_what_a_rollback_drops_is_prepared_again(
    database: DatabaseUnderTest, has_psycopg_prepared: bool
) -> None:
    async with await connect(database.url("opsc_app"), "test") as conn:
        for round_ in range(8):
            for _ in range(6 if has_psycopg_prepared else 0):
                await conn.execute("SELECT 2")
            for ending in (LookupError, psycopg.Rollback, None):
                with suppress(LookupError):
                    async with conn.transaction():
                        assert await conn.answers([("SELECT %s::int", (round_,))]) == [[(round_,)]]
                        if ending is not None:
                            raise ending
            assert await _prepared(conn) <= 3  # that, and psycopg's own


async def test_a_server_that_ends_meanwhile_is_an_operational_error(
    connections: Pool, org: UUID
) -> None:
    with pytest.raises(psycopg.OperationalError):
        async with reading(connections, org) as conn:
            await conn.execute("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)")
    async with reading(connections, org) as conn:
        assert await (await conn.execute(ORGANIZATION)).fetchone() == (org,)
