"""A day moves in pieces, each of which the database gets through in time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from archive.mover import MoverLimits
from archive.store import Store
from db.archive import moving
from db.archive.archived_days import ArchivedDay
from db.archive.moving import Moved
from db.core.connect import Connection
from tests.archive.fleet import DAY, NOW, in_database, seen, truck
from tests.archive.passes import archive
from tests.db.plans import Explaining
from tests.servers import DatabaseUnderTest

pytestmark = pytest.mark.every_python

_AT_ONCE = 10
_TOO_SLOW = f"""
CREATE FUNCTION count_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('test.removed', (coalesce(nullif(
        current_setting('test.removed', true), ''), '0')::int + 1)::text, true);
    IF current_setting('test.removed')::int > {_AT_ONCE} THEN
        RAISE EXCEPTION USING ERRCODE = 'query_canceled', MESSAGE = 'took too long';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER too_slow BEFORE DELETE ON gps_events
   FOR EACH ROW EXECUTE FUNCTION count_removed();
"""


@pytest.fixture
async def slow(admin: Connection) -> AsyncIterator[None]:
    """The database removes _AT_ONCE fixes within the time that a statement may take."""
    await admin.execute(_TOO_SLOW)
    yield
    await admin.execute("DROP TRIGGER too_slow ON gps_events; DROP FUNCTION count_removed")


async def test_fixes_behind_a_day_are_looked_for_once_for_each_tracker(
    database: DatabaseUnderTest, admin: Connection
) -> None:
    tenant, vehicle = await truck(admin, database, fixes=1_000)
    await admin.execute("ANALYZE gps_events")
    made = ArchivedDay(tenant.org_id, DAY, uuid4(), 1_000, 1, b"1" * 32, b"2" * 32)
    moved = Moved((vehicle.tracker_id, NOW, 0), 1_000, 0)
    Explaining.plans = []
    url = database.url("opsc_deliver")
    async with await Connection.connect(url, cursor_factory=Explaining) as conn:
        with pytest.raises(moving.ChangedMeanwhile):  # the explanation has removed them
            await moving.switch(conn, made, [], moved, None, NOW)
        await conn.rollback()
    (plan,) = Explaining.plans
    assert begun(plan) == 1


def begun(plan: Mapping[str, Any]) -> int:
    """Return how often the part of a plan that is begun most often is."""
    return max(plan["Actual Loops"], *map(begun, plan.get("Plans", ())), 0)


@pytest.mark.usefixtures("slow")
async def test_pieces_become_smaller_until_the_database_gets_through_them(
    database: DatabaseUnderTest, admin: Connection, store: Store
) -> None:
    tenant, _ = await truck(admin, database)
    limits = MoverLimits(piece_rows=100, least_rows=5, rest_s=0)  # 100, 25, and then 6
    passed = await archive(database, store, limits=limits)
    assert (passed.fixes, passed.failed_days) == (100, 0)
    assert await in_database(admin) == 0
    assert (await seen(database, tenant, store))[1] == 101


@pytest.mark.usefixtures("slow")
async def test_a_day_that_does_not_move_keeps_no_other_one_from_moving(
    database: DatabaseUnderTest, admin: Connection, store: Store
) -> None:
    large, _ = await truck(admin, database)
    small, _ = await truck(admin, database, fixes=_AT_ONCE)
    limits = MoverLimits(piece_rows=100, least_rows=100, rest_s=0)
    passed = await archive(database, store, limits=limits)
    assert (passed.fixes, passed.failed_days) == (_AT_ONCE, 1)
    for tenant, fixes in ((large, 101), (small, _AT_ONCE + 1)):
        assert (await seen(database, tenant, store))[1] == fixes
