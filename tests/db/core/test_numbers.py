"""Numbers of an organization, without gaps."""

from db.core.numbers import next_number
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest


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
