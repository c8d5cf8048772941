"""Numbers rise by one, and what was recorded of work orders stays."""

import asyncio
from uuid import UUID

import psycopg
import pytest

from db.core.numbers import next_number
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest


@pytest.fixture(scope="module")
def org_id(database: DatabaseUnderTest) -> UUID:
    """An organization."""
    return asyncio.run(Tenant.create(database)).org_id


async def test_numbers_rise_by_one_and_come_back_with_what_is_undone(
    database: DatabaseUnderTest,
) -> None:
    org_id = (await Tenant.create(database)).org_id
    async with transaction(database, "opsc_app", org_id) as conn:
        assert [await next_number(conn, "work_order") for _ in range(3)] == [1, 2, 3]
        async with conn.transaction(force_rollback=True):
            assert await next_number(conn, "work_order") == 4
        assert await next_number(conn, "work_order") == 4
        assert await next_number(conn, "quote") == 1


@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["work_order_transitions", "work_order_comments"])
async def test_what_was_recorded_stays(
    database: DatabaseUnderTest, org_id: UUID, table: str, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with transaction(database, "opsc_app", org_id) as conn:
            await conn.execute(statement.format(table).encode())
