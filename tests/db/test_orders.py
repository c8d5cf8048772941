"""PostgreSQL keeps the plan of a page that is asked for often, and only where that does no harm."""

from uuid import UUID

import pytest

from db.core.connect import pool
from db.core.tenant import reading
from db.resources import assets
from tests.db.rows import asset, transaction
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

TIMES = 20  # PostgreSQL tries 5 plans before it keeps one, where there are values
PLANS = """
SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements
 WHERE statement LIKE '%FROM "assets" %LIMIT%' AND statement NOT LIKE '%pg_prepared_statements%'
"""


@pytest.fixture
async def org_id(database: DatabaseUnderTest) -> UUID:
    """An organization with some assets."""
    org_id = (await Tenant.create(database)).org_id
    async with transaction(database, "opsc_app", org_id) as conn:
        for _ in range(10):
            await assets.insert(conn, asset(make="Volvo"))
    return org_id


async def plans(
    database: DatabaseUnderTest, org_id: UUID, wanted: dict[str, object]
) -> tuple[int, int]:
    """Count how often a page was read by a plan that was kept, and by one of its own."""
    async with pool(database.url("opsc_app"), "test", max_size=1) as connections:
        for _ in range(TIMES):
            async with reading(connections, org_id) as conn:
                page = await assets.table.listing(conn, wanted, after=None, limit=5, offset=1)
                assert len(page) == 5
        async with connections.connection() as conn:
            row = await (await conn.execute(PLANS)).fetchone()
    assert row is not None
    return row


async def test_the_plan_of_a_page_is_kept(database: DatabaseUnderTest, org_id: UUID) -> None:
    kept, own = await plans(database, org_id, {"deleted": False})
    assert (kept, own) == (TIMES, 0)


async def test_a_page_that_is_filtered_by_a_value_is_planned_for_it(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    kept, own = await plans(database, org_id, {"make": "Volvo"})
    assert kept + own == TIMES
    assert own >= 5
