"""Pages that end early: what is read of them, and the connection behind them."""

from collections.abc import AsyncIterator, Callable
from typing import Any, LiteralString
from uuid import UUID

import pytest
import pytest_asyncio
from psycopg import sql

from db.core.connect import Connection, Pool, pool
from db.core.ids import new_id
from db.core.listing import MAX_PAGE_BYTES, PageRows, read_page
from db.core.tenant import reading, tenant
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

KIB = 1024
WIDE = "SELECT n, repeat('x', %(bytes)s) FROM generate_series(1, 200) AS n"


@pytest_asyncio.fixture
async def org(database: DatabaseUnderTest) -> UUID:
    return (await Tenant.create(database)).org_id


@pytest_asyncio.fixture
async def connections(database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    """A pool of one connection, so that all is asked on the same."""
    async with pool(database.url("opsc_app"), "test", max_size=1) as opened:
        yield opened


async def _rows(
    conn: Connection, statement: LiteralString, **values: object
) -> PageRows[tuple[int, str]]:
    return await read_page(conn, lambda n, text: (n, text), sql.SQL(statement), values)


@pytest.mark.parametrize("begin", [reading, tenant])
async def test_a_page_ends_where_it_has_its_bytes(
    connections: Pool, org: UUID, begin: Callable[..., Any]
) -> None:
    async with begin(connections, org) as conn:
        rows = await _rows(conn, WIDE, bytes=100 * KIB)
    assert rows.is_cut
    assert [n for n, _ in rows] == [*range(1, len(rows) + 1)]
    size = sum(len(text) for _, text in rows)
    assert MAX_PAGE_BYTES - 10 * KIB < size < MAX_PAGE_BYTES + 100 * KIB


async def test_a_row_that_is_too_large_is_a_page(connections: Pool, org: UUID) -> None:
    async with reading(connections, org) as conn:
        rows = await _rows(conn, WIDE, bytes=2 * MAX_PAGE_BYTES)
        assert (len(rows), rows.is_cut) == (1, True)
        rows = await _rows(conn, "SELECT 1, repeat('x', %(bytes)s)", bytes=2 * MAX_PAGE_BYTES)
        assert (len(rows), rows.is_cut) == (1, False)


async def test_what_is_stored_compressed_counts_as_it_is_read(
    connections: Pool, org: UUID, database: DatabaseUnderTest
) -> None:
    async with tenant(connections, org) as conn:
        for _ in range(3):
            await conn.execute(
                "INSERT INTO clients (org_id, id, name, notes)"
                " VALUES (current_org_id(), %s, 'C', repeat('x', 10000))",
                (new_id(),),
            )
    statement = "SELECT 1, notes FROM clients CROSS JOIN generate_series(1, 300)"
    (stored,) = database.run("admin", "SELECT pg_column_size(notes) FROM clients LIMIT 1")[0]
    assert stored < KIB
    async with reading(connections, org) as conn:
        rows = await _rows(conn, statement)
    assert rows.is_cut
    assert MAX_PAGE_BYTES // 11_000 < len(rows) <= MAX_PAGE_BYTES // 10_000 + 1


@pytest.mark.parametrize("n", [0, 1, 100])
async def test_a_page_that_fits_is_whole(connections: Pool, org: UUID, n: int) -> None:
    async with reading(connections, org) as conn:
        statement = "SELECT n, 'é' FROM generate_series(1, %(n)s) AS n"
        rows = await _rows(conn, statement, n=n)
    assert (list(rows), rows.is_cut) == ([(each, "é") for each in range(1, n + 1)], False)
