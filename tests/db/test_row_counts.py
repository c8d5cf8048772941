"""The kept totals of lists are what counting would give, whoever writes at once."""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from db.core.ids import new_id
from db.core.registry_revision import bump
from db.core.table import row_count
from db.resources import assets, batches, trackers, zones
from db.resources.trackers import Tracker
from tests.db.rows import LONG_AGO, asset, keep_shape, transaction, zone
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

SHOWN = """
SELECT (SELECT count(*) FROM assets WHERE deleted_at IS NULL), (SELECT count(*) FROM trackers),
       (SELECT count(*) FROM zones WHERE deleted_at IS NULL)
"""


@pytest.fixture
async def org_id(database: DatabaseUnderTest) -> UUID:
    """A new organization."""
    return (await Tenant.create(database)).org_id


@pytest.fixture
def admin(database: DatabaseUnderTest) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.url("admin"), autocommit=True) as conn:
        yield conn


async def kept(database: DatabaseUnderTest, org_id: UUID) -> tuple[int, int, int]:
    """Return the counts of assets, trackers and zones; counting gives the same."""
    async with transaction(database, "opsc_app", org_id) as conn:
        found = (
            await row_count(conn, "assets"),
            await row_count(conn, "trackers"),
            await row_count(conn, "zones"),
        )
        assert await (await conn.execute(SHOWN)).fetchone() == found
    return found


def tracker() -> Tracker:
    return Tracker(new_id(), None, None, False, None, None, None, LONG_AGO, LONG_AGO)


async def make_one_of_each(database: DatabaseUnderTest, org_id: UUID) -> None:
    async with transaction(database, "opsc_app", org_id) as conn:
        revision, _ = await bump(conn)
        await assets.insert(conn, asset())
        made = zone()
        await keep_shape(conn, made)
        await zones.insert(conn, made, revision)
        await trackers.insert(conn, tracker(), "secret", revision)


async def test_an_organization_without_rows_has_totals_of_none(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    assert await kept(database, org_id) == (0, 0, 0)


async def test_what_is_made_counts_one_by_one_and_many_at_once(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    await make_one_of_each(database, org_id)
    async with transaction(database, "opsc_app", org_id) as conn:
        revision, _ = await bump(conn)
        await batches.insert_assets(conn, [asset() for _ in range(20)])
        await batches.insert_zones(conn, [(zone(), 21) for _ in range(30)], revision)
        await batches.insert_trackers(conn, [(tracker(), "secret"), (tracker(), "other")], revision)
    assert await kept(database, org_id) == (21, 3, 31)


async def test_what_is_deleted_does_not_count_until_it_is_restored(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    truck, yard = asset(), zone()
    async with transaction(database, "opsc_app", org_id) as conn:
        revision, at = await bump(conn)
        await assets.insert(conn, truck)
        await keep_shape(conn, yard)
        await zones.insert(conn, yard, revision)
    async with transaction(database, "opsc_app", org_id) as conn:
        await assets.update(conn, truck._replace(deleted_at=at), revision)
        await zones.delete(conn, yard.id, at, revision)
    assert await kept(database, org_id) == (0, 0, 0)
    async with transaction(database, "opsc_app", org_id) as conn:
        await assets.update(conn, truck, revision)
        await zones.restore(conn, yard._replace(version=2), revision)
    assert await kept(database, org_id) == (1, 0, 1)


async def test_a_revoked_tracker_counts_as_lists_show_it(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    await make_one_of_each(database, org_id)
    async with transaction(database, "opsc_app", org_id) as conn:
        await conn.execute("UPDATE trackers SET revoked_at = now()")
    assert await kept(database, org_id) == (1, 1, 1)


async def test_what_is_removed_for_good_counts_no_more(
    database: DatabaseUnderTest, org_id: UUID, admin: psycopg.Connection
) -> None:
    truck = asset(deleted_at=LONG_AGO)
    async with transaction(database, "opsc_app", org_id) as conn:
        await assets.insert(conn, truck)
        await assets.update(conn, truck, None)  # made and deleted at once
    await make_one_of_each(database, org_id)
    for table in ("asset_tags", "assets", "trackers", "zone_versions", "zones"):
        statement = sql.SQL("DELETE FROM {} WHERE org_id = %s").format(sql.Identifier(table))
        admin.execute(statement, (org_id,))
    assert await kept(database, org_id) == (0, 0, 0)


async def test_what_is_rolled_back_does_not_count(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    await make_one_of_each(database, org_id)
    async with transaction(database, "opsc_app", org_id) as conn:
        await assets.insert(conn, asset())
        async with conn.transaction():
            await assets.insert(conn, asset())
            raise psycopg.Rollback
    assert await kept(database, org_id) == (2, 1, 1)


async def test_writers_of_all_kinds_at_once_end_in_exact_totals(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    async def zones_first() -> None:
        async with transaction(database, "opsc_app", org_id) as conn:
            revision, _ = await bump(conn)
            made = zone()
            await keep_shape(conn, made)
            await zones.insert(conn, made, revision)
            await assets.insert(conn, asset())

    async def assets_alone() -> None:
        truck = asset()
        async with transaction(database, "opsc_app", org_id) as conn:
            await assets.insert(conn, truck)
        async with transaction(database, "opsc_app", org_id) as conn:
            await assets.update(conn, truck._replace(deleted_at=LONG_AGO), None)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(make_one_of_each(database, org_id))
            tasks.create_task(zones_first())
            tasks.create_task(assets_alone())
    assert await kept(database, org_id) == (16, 8, 16)


async def test_no_program_may_change_a_total(database: DatabaseUnderTest, org_id: UUID) -> None:
    await make_one_of_each(database, org_id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with transaction(database, "opsc_app", org_id) as conn:
            await conn.execute("UPDATE row_counts SET rows = 7")
