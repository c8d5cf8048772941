"""Pages that end early: what is read of them, and the connection behind them."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio
from psycopg import DataError
from psycopg.errors import DivisionByZero
from psycopg.errors import SyntaxError as SqlSyntaxError

from db.core.connect import Connection, Limits, Pool, pool
from db.core.listing import MAX_PAGE_BYTES, PageRows, read_page
from db.core.tenant import reading, tenant
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

KIB = 1024
# Ten gigabytes: whoever reads to the end of it does not end in time. Not in FROM, where PostgreSQL
# would write all ten million numbers to a file before the first row; and a row at a time, since all
# that was sent before the statement was given up is read.
ENDLESS = (
    "SELECT generate_series(1, 10000000), repeat('x', %(bytes)s) || pg_sleep(0.002)::text AS text"
)


@pytest_asyncio.fixture
async def org(database: DatabaseUnderTest) -> UUID:
    return (await Tenant.create(database)).org_id


@pytest_asyncio.fixture
async def connections(database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    """A pool of one connection, so that all is asked on the same."""
    limits = Limits(statement_s=600, transaction_s=600)
    async with pool(database.url("opsc_app"), "test", max_size=1, limits=limits) as opened:
        yield opened


async def _rows(conn: Connection, statement: str, **values: object) -> PageRows[tuple[int, str]]:
    return await read_page(conn, lambda n, text: (n, text), statement.encode(), values)


async def test_a_page_ends_before_its_bytes_are_too_many(connections: Pool, org: UUID) -> None:
    async with reading(connections, org) as conn:
        rows = await _rows(conn, ENDLESS, bytes=100 * KIB)
    assert rows.is_cut
    assert [n for n, _ in rows] == [*range(1, len(rows) + 1)]
    assert MAX_PAGE_BYTES - 101 * KIB < sum(len(text) for _, text in rows) <= MAX_PAGE_BYTES


async def test_a_row_that_is_too_large_is_a_page(connections: Pool, org: UUID) -> None:
    async with reading(connections, org) as conn:
        rows = await _rows(conn, ENDLESS, bytes=2 * MAX_PAGE_BYTES)
        assert (len(rows), rows.is_cut) == (1, True)
        rows = await _rows(conn, "SELECT 1, repeat('x', %(bytes)s)", bytes=2 * MAX_PAGE_BYTES)
        assert (len(rows), rows.is_cut) == (1, False)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100])
async def test_a_page_that_fits_is_whole(connections: Pool, org: UUID, n: int) -> None:
    async with reading(connections, org) as conn:
        statement = "SELECT n, 'é' FROM generate_series(1, %(n)s) AS n"
        rows = await _rows(conn, statement, n=n)
    assert (list(rows), rows.is_cut) == ([(each, "é") for each in range(1, n + 1)], False)


async def test_the_next_statement_is_not_given_up(connections: Pool, org: UUID) -> None:
    async with reading(connections, org) as conn:
        for number in range(50):
            assert (await _rows(conn, ENDLESS, bytes=MAX_PAGE_BYTES // 8)).is_cut
            cursor = await conn.execute("SELECT %s::int, pg_sleep(0.001)::text", (number,))
            assert await cursor.fetchone() == (number, "")


async def test_an_error_within_the_page_is_raised_and_the_connection_is_good(
    connections: Pool, org: UUID
) -> None:
    async with reading(connections, org) as conn:
        with pytest.raises(DivisionByZero):
            await _rows(conn, "SELECT n, 1 / (50 - n) FROM generate_series(1, %(n)s) AS n", n=99)
        with pytest.raises(SqlSyntaxError):
            await _rows(conn, "SELEC %(n)s", n=1)
        with pytest.raises(DataError):
            await _rows(conn, "SELECT %(n)s::int, '9999-12-31'::date + 1", n=1)  # no date of Python
        assert await _rows(conn, "SELECT 1, 'x' WHERE %(n)s = 1", n=1) == [(1, "x")]


async def test_what_was_written_before_a_page_that_ends_early_stays(
    connections: Pool, org: UUID
) -> None:
    async with tenant(connections, org) as conn:
        await conn.execute("UPDATE organizations SET name = 'New'")
        assert (await _rows(conn, ENDLESS, bytes=MAX_PAGE_BYTES // 8)).is_cut
    async with reading(connections, org) as conn:
        cursor = await conn.execute("SELECT name FROM organizations")
        assert await cursor.fetchone() == ("New",)
